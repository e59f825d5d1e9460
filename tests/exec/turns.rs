//! What a program is told, and what becomes of what it answers.

use futures_util::future::join_all;
use serde_json::json;
use tenure::{Body, model::TurnPolicy, store::Store};

use crate::desk::{Desk, policy};

#[tokio::test]
async fn many_turns_at_once_are_told_apart_by_their_ids() {
    let desk = Desk::of(
        r#"
while True:
    requests = [read() for _ in range(20)]
    for request in reversed(requests):
        answer(request, reply={"text": text(request)})
"#,
    )
    .await;
    let texts: Vec<_> = (0..20).map(|n| format!("text {n}")).collect();
    let asked =
        texts.iter().enumerate().map(async |(n, text)| desk.ask_text(&format!("own/{n}"), text).await);
    assert_eq!(join_all(asked).await, texts);
}

#[tokio::test]
async fn a_turn_is_told_all_it_needs() {
    let desk =
        Desk::of("while True:\n    r = read(); answer(r, reply={'told': r['params']}, state={'n': 1})").await;
    let first = desk.ask_json("own/a", "one").await["told"].clone();
    assert_eq!((&first["session"], &first["agent"]), (&json!("own/a"), &json!("own")));
    assert_eq!((&first["turn"], &first["try"]), (&json!(1), &json!(1)));
    assert_eq!((&first["key"], &first["state"]), (&json!("own/a#1"), &json!(null)));
    assert_eq!((&first["message"]["body"], &first["history"]), (&json!({"text": "one"}), &json!([])));
    assert!(first["deadline"].as_str().unwrap().ends_with('Z'), "{first}");

    let second = desk.ask_json("own/a", "two").await["told"].clone();
    assert_eq!((&second["turn"], &second["state"]), (&json!(2), &json!({"n": 1})));
    let kinds: Vec<_> = second["history"].as_array().unwrap().iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["user", "assistant"]);
    assert_eq!(second["history"][0]["body"], json!({"text": "one"}));
    assert_eq!(second["history"][0]["message"], first["message"]["id"]);
}

#[tokio::test]
async fn an_absent_state_is_unchanged_and_null_clears_it() {
    let desk = Desk::of(
        r#"
while True:
    request = read()
    result = {"set": {"state": [1]}, "keep": {}, "clear": {"state": None}}[text(request)]
    answer(request, reply={"was": request["params"]["state"]}, **result)
"#,
    )
    .await;
    let mut was = Vec::new();
    for what in ["set", "keep", "clear", "keep"] {
        was.push(desk.ask_json("own/a", what).await["was"].clone());
    }
    assert_eq!(json!(was), json!([null, [1], [1], null]));
}

#[tokio::test]
async fn appended_entries_stand_between_the_message_and_the_reply_and_a_reply_may_be_missing() {
    let desk = Desk::of(
        r#"
call, result = {"kind": "tool_call", "body": {"n": 1}}, {"kind": "tool_result", "body": {"n": 2}}
answer(read(), append=[call, result], reply={"text": "done"})
answer(read())
say({"id": read()["id"], "result": None})
"#,
    )
    .await;
    desk.ask("own/a", "look it up").await;
    assert_eq!(desk.ask("own/a", "say nothing").await.reply, Some(None));
    assert_eq!(desk.ask("own/a", "nor now").await.reply, Some(None));
    let history = desk.history("own/a").await;
    let kinds: Vec<_> = history.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["user", "tool_call", "tool_result", "assistant", "user", "user"]);
}

#[tokio::test]
async fn a_body_with_line_breaks_in_it_is_still_one_line() {
    let desk = Desk::of("while True:\n    r = read(); answer(r, reply=r['params']['message']['body'])").await;
    let body = Body::parse("{\n  \"a\": \"x\\ny\u{2028}\",\r\n  \"b\": 1\n}").unwrap();
    let reply = desk.ask_body("own/a", body).await.reply.unwrap().unwrap();
    let value: serde_json::Value = reply.decode().unwrap();
    assert_eq!(value, json!({"a": "x\ny\u{2028}", "b": 1}));
}

#[tokio::test]
async fn an_error_is_tried_again_unless_it_says_no_and_may_lack_its_code() {
    let script = r#"
while True:
    request = read()
    error = {"message": "no", "data": {"retry": False}}
    if text(request) == "later":
        error = {"code": 7, "message": f"try {request['params']['try']}"}
    say({"jsonrpc": "2.0", "id": request["id"], "error": error})
"#;
    let desk = Desk::under(TurnPolicy { tries: 3, ..policy() }, script, &[]).await;
    assert_eq!(desk.ask_text("own/a", "later").await, "failed: try 3");
    assert_eq!(desk.ask_text("own/b", "never").await, "failed: no");
    let mut tries = Vec::new();
    for partition in desk.store.partitions().all() {
        let dead = desk.store.dead(partition, None, 10).await.unwrap();
        tries.extend(dead.into_iter().map(|letter| letter.tries));
    }
    tries.sort_unstable();
    assert_eq!(tries, [1, 3]);
}

#[tokio::test]
async fn a_result_that_cannot_be_read_fails_its_turn_and_nothing_else() {
    let desk = Desk::of(
        r#"
bad = [{"reply": "text"}, {"append": [{"kind": "nonsense", "body": {}}]}, {"append": [{"kind": "user", "body": {}}]}, 7]
while True:
    request = read()
    n = int(text(request))
    say({"id": request["id"], "result": bad[n] if n < len(bad) else {"reply": {"text": "fine"}}})
"#,
    )
    .await;
    for n in 0..4 {
        let error = desk.ask_text(&format!("own/{n}"), &n.to_string()).await;
        assert!(
            error.starts_with("failed: ") && error.contains(["read", "kind"][usize::from(n == 2)]),
            "{error}"
        );
    }
    assert_eq!(desk.ask_text("own/9", "9").await, "fine");
}
