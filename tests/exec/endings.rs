//! How a program ends, and what comes after.

use std::time::Duration;

use tenure::{agents::file::ExecSpec, model::TurnPolicy};

use crate::{
    desk::{Desk, PATIENCE, lives, policy, python},
    support::eventually,
};

#[tokio::test]
async fn a_program_that_dies_in_a_turn_says_why_and_the_turn_is_tried_again_on_the_next() {
    let desk = Desk::of(
        r#"
first = first_life()
while True:
    request = read()
    if first:
        print("first this", file=sys.stderr)
        sys.exit("out of luck")
    answer(request, reply={"text": f"try {request['params']['try']}"})
"#,
    )
    .await;
    assert_eq!(desk.ask_text("own/a", "one").await, "try 2");
    let failed = &desk.logs.with("a run failed")[0];
    assert!(failed.contains("ended (exit status: 1): out of luck"), "{failed}");
    assert_eq!(desk.ask_text("own/a", "two").await, "try 1");
}

#[tokio::test]
async fn a_program_that_keeps_dying_is_started_less_and_less_often() {
    let desk = Desk::of(
        r#"
with open("starts", "a") as starts:
    print(time.time(), file=starts)
sys.exit(3)
"#,
    )
    .await;
    let error = desk.ask("own/a", "one").await.error.unwrap();
    assert!(error.message.contains("exit status: 3"), "{error:?}");
    let starts = || desk.written("starts").unwrap_or_default();
    eventually("five starts", PATIENCE, async || starts().lines().count() >= 5).await;
    let times: Vec<f64> = starts().lines().map(|time| time.parse().unwrap()).collect();
    for (gap, least) in times.windows(2).zip([0.1, 0.2, 0.4, 0.8]) {
        // A process may be slow to start, so a gap has a lower bound only; and not quite that.
        assert!(gap[1] - gap[0] > least * 0.7, "{times:?}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("nothing-here");
    let directory = folder.path().to_owned();
    let spec = ExecSpec { program, command: vec!["nothing-here".to_owned()], env: [].into(), directory };
    let desk = Desk::running(spec, TurnPolicy { tries: 1, ..policy() }, folder).await;
    let error = desk.ask_text("own/a", "one").await;
    assert!(error.starts_with("failed: ") && error.contains("nothing-here"), "{error}");
}

#[tokio::test]
async fn a_turn_is_not_kept_waiting_for_a_start_that_would_come_too_late() {
    let script = "sys.exit('no configuration')";
    let policy = TurnPolicy { tries: 1, timeout: Duration::from_secs(2), ..policy() };
    let desk = Desk::under(policy.clone(), script, &[]).await;
    eventually("an answer long before the start", PATIENCE, async || {
        let began = desk.env.now();
        let error = desk.ask("own/a", "one").await.error.unwrap();
        let took = desk.env.now().since(began);
        error.message.contains("no configuration") && took < policy.timeout / 4 && waits_long(&desk)
    })
    .await;
}

fn waits_long(desk: &Desk) -> bool {
    !desk.logs.with("again_in=3.2s").is_empty()
}

#[tokio::test]
async fn a_drained_worker_ends_its_program_by_closing_its_input() {
    let desk = Desk::of(
        r#"
open("pid", "w").write(str(os.getpid()))
answer(read(), reply={"text": "hi"})
assert sys.stdin.read() == ""
open("ended well", "w").close()
"#,
    )
    .await;
    desk.ask("own/a", "one").await;
    desk.worker.drain().await;
    assert!(!lives(&desk.written("pid").unwrap()));
    assert!(desk.written("ended well").is_some());
}

#[tokio::test]
async fn a_program_that_does_not_want_to_end_is_made_to_with_what_it_started() {
    let desk = Desk::of(
        r#"
import signal, subprocess
signal.signal(signal.SIGTERM, lambda *_: open("asked", "w").close())
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
open("pids", "w").write(f"{os.getpid()} {child.pid}")
answer(read(), reply={"text": "hi"})
while True:
    time.sleep(1)
"#,
    )
    .await;
    desk.ask("own/a", "one").await;
    desk.worker.drain().await;
    assert!(desk.written("asked").is_some(), "it is asked first");
    for pid in desk.written("pids").unwrap().split(' ') {
        eventually("its end", PATIENCE, async || !lives(pid)).await;
    }
}

#[tokio::test]
async fn a_program_ends_with_a_worker_that_ends_without_a_word() {
    let desk = Desk::of(
        r#"
open("pid", "w").write(str(os.getpid()))
answer(read(), reply={"text": "hi"})
while True:
    time.sleep(1)
"#,
    )
    .await;
    desk.ask("own/a", "one").await;
    desk.worker.kill().await;
    let pid = desk.written("pid").unwrap();
    eventually("its end", PATIENCE, async || !lives(&pid)).await;
}

#[tokio::test]
async fn a_program_is_found_where_its_file_is_and_runs_there() {
    let desk = Desk::of("while True:\n    answer(read(), reply={'text': os.getcwd()})").await;
    let folder = desk.path("").canonicalize().unwrap();
    assert_eq!(desk.ask_text("own/a", "one").await, folder.to_str().unwrap());
    assert!(python().is_absolute());
}
