//! A program that does what it should not harms its own turns at most.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tenure::model::TurnPolicy;

use crate::desk::{Desk, policy};

const SHORT: Duration = Duration::from_millis(500);

#[tokio::test]
async fn a_time_out_sends_cancel_and_the_late_answer_is_ignored_with_a_log_line() {
    let script = r#"
late = None
while True:
    request = read()
    if request["method"] == "cancel":
        if late and request["params"]["id"] == late["id"]:
            answer(late, reply={"text": "late"})
            told = request
    elif text(request) == "hang" and not late:
        late = request
    else:
        answer(request, reply={"cancelled": told, "id": late["id"]} if late else {"text": "awake"})
"#;
    let desk = Desk::under(TurnPolicy { timeout: SHORT, ..policy() }, script, &[]).await;
    desk.awake("awake").await;
    let reply = desk.ask_json("own/a", "hang").await;
    let cancel = json!({"jsonrpc": "2.0", "method": "cancel", "params": {"id": reply["id"]}});
    assert_eq!(reply["cancelled"], cancel);
    let ignored = desk.logs.with("its turn is over");
    assert!(ignored.last().unwrap().contains(&format!("id={}", reply["id"])), "{ignored:?}");
}

#[tokio::test]
async fn an_answer_given_twice_or_to_nothing_and_garbage_are_survived_with_a_log_line_each() {
    let desk = Desk::of(
        r#"
while True:
    request = read()
    print("debug: I forgot to remove this")
    print("{\"id\": ", "\udcff".encode("utf8", "surrogateescape"), "[" * 100000)
    say({"jsonrpc": "2.0", "id": 999, "result": {}})
    say({"jsonrpc": "2.0", "method": "hello"})
    say(7)
    say([{"id": request["id"], "result": {"reply": {"text": "once"}}}, {"id": "x", "result": {}}])
    answer(request, reply={"text": "twice"})
"#,
    )
    .await;
    assert_eq!(desk.ask_text("own/a", "one").await, "once");
    assert_eq!(desk.ask_text("own/a", "two").await, "once");
    assert!(!desk.logs.with("nothing with its id was asked").is_empty(), "{}", desk.logs.text());
    assert!(!desk.logs.with("its turn is over").is_empty());
    assert!(desk.logs.with("I forgot to remove this").iter().any(|line| line.contains("standard error")));
}

#[tokio::test]
async fn a_flood_of_garbage_is_a_few_lines_of_log() {
    let desk = Desk::of(
        r#"
request = read()
print("\n".join("nonsense" for _ in range(100_000)))
answer(request, reply={"text": "done"})
read()
"#,
    )
    .await;
    assert_eq!(desk.ask_text("own/a", "one").await, "done");
    let lines = desk.logs.with("nonsense").len();
    assert!((1..=50).contains(&lines), "{lines}");
}

#[tokio::test]
async fn a_request_of_the_programs_own_is_told_that_there_is_no_such_method() {
    let desk = Desk::of(
        r#"
request = read()
say({"jsonrpc": "2.0", "id": "mine", "method": "state", "params": {}})
answer(request, reply=read())
read()
"#,
    )
    .await;
    let told = desk.ask_json("own/a", "one").await;
    assert_eq!((&told["id"], &told["error"]["code"]), (&json!("mine"), &json!(-32601)));
}

#[tokio::test]
async fn a_program_that_stops_reading_holds_up_no_time_out_and_is_ended() {
    let script = r#"
first = first_life()
while True:
    request = read()
    if request["method"] == "turn":
        if first and text(request) == "stop":
            time.sleep(3600)
        answer(request, reply={"text": "well"})
"#;
    let desk = Desk::under(TurnPolicy { timeout: SHORT, tries: 1, ..policy() }, script, &[]).await;
    desk.awake("well").await;
    assert!(desk.ask_text("own/a", "stop").await.starts_with("timeout"));
    let (long, began) = ("x".repeat(300_000), desk.env.now());
    let asked = (0..10).map(async |n| desk.ask(&format!("own/{n}"), &long).await.error.unwrap().reason);
    assert_eq!(join_all(asked).await, ["timeout"; 10]);
    assert!(desk.env.now().since(began) < SHORT * 6);
    desk.awake("well").await;
    assert_eq!(desk.logs.with("has read nothing and said nothing").len(), 1, "{}", desk.logs.text());
}

#[tokio::test]
async fn a_line_too_long_ends_the_program_and_its_turn_is_tried_on_the_next() {
    let desk = Desk::of(
        r#"
first = first_life()
while True:
    request = read()
    if first:
        sys.stdout.write("x" * (9 << 20))
    answer(request, reply={"text": f"try {request['params']['try']}"})
"#,
    )
    .await;
    assert_eq!(desk.ask_text("own/a", "one").await, "try 2");
    assert_eq!(desk.logs.with("a run failed").len(), 1);
    assert!(desk.logs.with("a run failed")[0].contains("longer than 8 MiB"), "{}", desk.logs.text());
}

#[tokio::test]
async fn a_program_that_closes_its_output_is_started_again() {
    let desk = Desk::of(
        r#"
first = first_life()
request = read()
if first:
    os.close(1)
    time.sleep(3600)
answer(request, reply={"text": f"try {request['params']['try']}"})
read()
"#,
    )
    .await;
    assert_eq!(desk.ask_text("own/a", "one").await, "try 2");
    assert!(!desk.logs.with("it closed its output").is_empty(), "{}", desk.logs.text());
}

#[tokio::test]
async fn standard_error_is_in_the_log_with_the_sessions_fields() {
    let desk = Desk::of(
        r#"
request = read()
print("thinking", file=sys.stderr)
print(json.dumps({"session": "own/other", "step": 2}), file=sys.stderr)
sys.stderr.flush()
time.sleep(0.2)
answer(request)
read()
"#,
    )
    .await;
    desk.ask("own/a", "one").await;
    let thinking = &desk.logs.with("thinking")[0];
    assert!(thinking.contains("session=own/a") && thinking.contains("turn=1"), "{thinking}");
    assert!(thinking.contains("agent=own"), "{thinking}");
    assert!(desk.logs.with("step")[0].contains("own/other"), "{}", desk.logs.text());
}

#[tokio::test]
async fn a_secret_of_the_environment_is_in_no_error_and_no_log_though_the_program_shows_it() {
    let script = r#"
request = read()
print("cannot log in with", os.environ["TOKEN"], file=sys.stderr, flush=True)
time.sleep(0.2)
os._exit(1)
"#;
    let desk = Desk::under(TurnPolicy { tries: 1, ..policy() }, script, &[("TOKEN", "hunter2hunter2")]).await;
    let error = desk.ask_text("own/a", "one").await;
    assert!(error.ends_with("cannot log in with ***"), "{error}");
    assert!(desk.logs.with("cannot log in").len() > 1 && desk.logs.with("hunter2").is_empty());
}
