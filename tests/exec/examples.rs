//! The example programs, run as their readers would.

use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use serde_json::json;
use tenure::{Body, agents::file::ExecSpec, model::TurnPolicy};

use crate::desk::{Desk, in_path, policy, python};

async fn example(program: PathBuf, folder: &str, file: &str) -> Desk {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(folder);
    let command = vec![folder.to_owned(), file.to_owned()];
    let spec = ExecSpec { program, command, env: [].into(), directory };
    Desk::running(spec, policy(), tempfile::tempdir().unwrap()).await
}

#[tokio::test]
async fn the_support_desk_in_python_remembers_looks_up_and_refuses() {
    support_desk(example(python(), "python", "support_exec.py").await).await;
}

#[tokio::test]
async fn the_support_desk_in_node_remembers_looks_up_and_refuses() {
    match in_path("node") {
        Some(node) => support_desk(example(node, "node", "support_exec.mjs").await).await,
        None => println!("not run: there is no node (scripts/test installs it)"),
    }
}

async fn support_desk(desk: Desk) {
    assert_eq!(desk.ask_text("own/zoe", "My name is Zoë").await, "Hello Zoë, how can I help?");
    assert_eq!(desk.ask_text("own/zoe", "Where is order a-17?").await, "Order A-17 is on its way.");
    let third = "Zoë, that was message 3; before that you said \"Where is order a-17?\"";
    assert_eq!(desk.ask_text("own/zoe", "and now\u{2028}?").await, third);
    let history = desk.history("own/zoe").await;
    let appended: Vec<_> = history.iter().filter(|entry| entry.kind.as_str().starts_with("tool")).collect();
    let bodies: Vec<serde_json::Value> = appended.iter().map(|entry| entry.body.decode().unwrap()).collect();
    assert_eq!(bodies[0], json!({"tool": "orders", "order": "A-17", "idempotency_key": "own/zoe#2"}));
    assert_eq!(bodies[1], json!({"order": "A-17", "status": "on its way"}));

    assert_eq!(desk.ask_text("own/zoe", "forget me").await, "Forgotten.");
    assert_eq!(
        desk.ask_text("own/zoe", "who?").await,
        "stranger, that was message 1; before that you said \"forget me\""
    );
    let no_text = desk.ask_body("own/bob", Body::parse(r#"{"n": 1}"#).unwrap()).await.error.unwrap();
    assert_eq!(no_text.message, r#"send text, such as {"text": "hello"}"#);
    assert!(desk.logs.with("a run failed")[0].contains("GiveUp"), "{}", desk.logs.text());

    let names =
        ["Ann", "Ben", "Cleo", "Dan"].map(|name| (format!("own/{name}"), format!("my name is {name}")));
    let greeted = join_all(names.iter().map(|(session, text)| desk.ask_text(session, text))).await;
    assert!(greeted[2] == "Hello Cleo, how can I help?" && greeted.len() == 4);
}

#[tokio::test]
async fn the_smallest_agent_repeats_what_it_hears_cancels_or_not() {
    let policy = TurnPolicy { tries: 1, ..policy() };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python");
    let command = vec!["python3".to_owned(), "echo.py".to_owned()];
    let spec = ExecSpec { program: python(), command, env: [].into(), directory };
    let desk = Desk::running(spec, policy, tempfile::tempdir().unwrap()).await;
    let long = "ü".repeat(200_000);
    assert_eq!(desk.ask_text("own/a", &long).await, long);
}
