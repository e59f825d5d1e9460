//! `send` as another language calls it: the text out of `lua/`, keys and arguments by the table of its README.

use std::fs;

use redis::{AsyncCommands, RedisResult, Value};
use tenure::store::{Look, Mail, Store};

use crate::{
    desk::{by_hand, claim, session, store_on},
    support::RedisServer,
};

const UUID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// As `lua/README.md` says.
fn script(name: &str) -> String {
    let read =
        |name: &str| fs::read_to_string(format!("{}/lua/{name}.lua", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (shebang, rest) = read(name).split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    format!("{shebang}\n{}{rest}", read("prelude"))
}

fn keys(tag: &str) -> Vec<String> {
    let kinds = [
        "meta:echo/alice",
        "in:echo/alice",
        "ready:default:echo",
        "idle:default:echo",
        "index",
        "out",
        "ids:echo/alice K",
    ];
    kinds.iter().map(|kind| format!("tenure:{{{tag}}}:{kind}")).collect()
}

fn arguments(tag: &str, body: &str) -> Vec<String> {
    let wake = format!("tenure:{{{tag}}}:wake:");
    ["echo/alice", UUID, body, "default", "1048576", "1000", &wake, "K", "my:replies", "", ""]
        .map(str::to_owned)
        .into()
}

async fn call(server: &RedisServer, keys: &[String], arguments: &[String]) -> RedisResult<Vec<Value>> {
    let mut connection = by_hand(server).await;
    let sha: String =
        redis::cmd("SCRIPT").arg("LOAD").arg(script("send")).query_async(&mut connection).await?;
    let mut call = redis::cmd("EVALSHA");
    call.arg(sha).arg(keys.len()).arg(keys).arg(arguments);
    call.query_async(&mut connection).await
}

#[tokio::test]
async fn a_message_by_evalsha_is_a_message_like_any_other() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    let tag = store.partitions().tag(store.partitions().of(&alice)).to_owned();
    let (keys, arguments) = (keys(&tag), arguments(&tag, "{\"text\":\"hello\"}"));
    let sent = call(&server, &keys, &arguments).await.unwrap();
    assert_eq!(sent[0], Value::BulkString(b"accepted".to_vec()));
    let again = call(&server, &keys, &arguments).await.unwrap();
    assert_eq!(again[0], Value::BulkString(b"repeat".to_vec()));

    let claimed = claim(&store, &alice).await;
    let [Mail::Message(message)] = &claimed.mail[..] else { panic!("one message: {:?}", claimed.mail) };
    assert_eq!(message.message.to_string(), UUID);
    assert_eq!(message.body.as_text().as_deref(), Some("hello"));
    assert_eq!(message.reply_to.as_ref().unwrap().as_str(), "my:replies");
}

#[tokio::test]
async fn a_message_by_evalsha_may_ask_for_more_than_its_agent_with_one_argument_more() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    let tag = store.partitions().tag(store.partitions().of(&alice)).to_owned();
    let mut arguments = arguments(&tag, "{}");
    arguments.push("fsync+replicas:255".to_owned());
    call(&server, &keys(&tag), &arguments).await.unwrap();
    let claimed = claim(&store, &alice).await;
    let [Mail::Message(message)] = &claimed.mail[..] else { panic!("one message: {:?}", claimed.mail) };
    assert_eq!(message.durability, "fsync+replicas:255".parse().unwrap());
}

#[tokio::test]
async fn a_wrong_call_is_an_error_and_changes_nothing() {
    let server = RedisServer::start();
    let (store, alice) = (store_on(&server).await, session("echo/alice"));
    let tag = store.partitions().tag(store.partitions().of(&alice)).to_owned();
    let good = || arguments(&tag, "{}");
    let with = |at: usize, value: &str| {
        let mut changed = good();
        changed[at] = value.to_owned();
        changed
    };
    let asking = |class: &str| [good(), vec![class.to_owned()]].concat();
    let wrong = [
        (keys(&tag), good()[..10].to_vec()),
        (keys(&tag)[..6].to_vec(), good()),
        (keys(&tag), with(7, "")),
        (keys(&tag), with(1, "no uuid")),
        (keys(&tag), with(2, "[1]")),
        (keys(&tag), with(2, "{")),
        (keys(&tag), with(4, "many")),
        (keys(&tag), with(0, "alice")),
        (keys(&tag), with(0, "Echo/alice")),
        (keys(&tag), with(0, "echo/alice smith")),
        (keys(&tag), with(0, "echo/alice\u{a0}smith")),
        (keys(&tag), with(0, &format!("echo/{}", "x".repeat(252)))),
        (keys(&tag), with(3, "a pool")),
        (keys(&tag), with(7, "two\nlines")),
        (keys(&tag), with(7, &"x".repeat(257))),
        (keys(&tag), with(8, "tenure:mine")),
        (keys(&tag), with(9, "a group")),
        (keys(&tag), with(10, "never")),
        (keys(&tag), asking("disk")),
        (keys(&tag), asking("replicas:0")),
        (keys(&tag), asking("replicas:256")),
        (keys(&tag), asking("replicas:1\",\"v\":\"")),
        (keys(&tag), [asking("fsync"), vec![String::new()]].concat()),
    ];
    for (keys, arguments) in wrong {
        let error = call(&server, &keys, &arguments).await.unwrap_err();
        assert_eq!(error.code(), Some("ERR"), "{error}");
    }
    let mut not_utf_8 = redis::cmd("EVAL");
    not_utf_8.arg(script("send")).arg(7).arg(keys(&tag)).arg(&b"echo/\xed\xa0\x80"[..]).arg(&good()[1..]);
    let error = not_utf_8.exec_async(&mut by_hand(&server).await).await.unwrap_err();
    assert_eq!(error.code(), Some("ERR"), "{error}");
    assert_eq!(store.look(&alice).await.unwrap(), Look::Absent);
    let all: Vec<String> = by_hand(&server).await.keys("*").await.unwrap();
    assert!(all.is_empty(), "{all:?}");
}
