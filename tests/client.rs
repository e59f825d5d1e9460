//! The client, on an embedded store with workers beside it, and on a server that stops answering.

mod support;

use std::{sync::Arc, time::Duration};

use tenure::{
    Agent, AgentError, Env, Message, Reply, SessionId, Turn, Worker, WorkerHandle,
    agents::Echo,
    client::{Answer, Client, ClientError, DeadId, Outgoing, SessionView},
    model::{
        AgentDeclaration, Body, Cause, Durability, EntryKind, Limits, Pool, Resume, Settings, Status,
        TurnPolicy, WorkerConfig,
    },
    store::{HistoryRange, MemoryStore, RedisStore, Refusal, Store, redis::Options},
};

use support::RedisServer;

const SOON: Duration = Duration::from_secs(10);
const AT_ONCE: Duration = Duration::from_millis(1);

fn id(session: &str) -> SessionId {
    session.parse().expect("a session's id")
}

fn text(session: &str, text: &str) -> Outgoing {
    Outgoing::text(id(session), text)
}

fn client_with(limits: Limits) -> Client<MemoryStore> {
    let env = Env::system();
    let settings = Settings { limits, ..Settings::default() };
    Client::new(MemoryStore::new("test".parse().unwrap(), settings, Arc::new(env.clone())), env)
}

fn client() -> Client<MemoryStore> {
    client_with(Limits::default())
}

async fn worker(client: &Client<MemoryStore>, pool: &str, agent: impl Agent) -> WorkerHandle {
    let named = WorkerConfig::named("w".parse().unwrap());
    let config = WorkerConfig { pool: pool.parse().unwrap(), ..named };
    let worker = Worker::builder(client.store().clone()).config(config).agent("echo", agent).start();
    worker.await.expect("it starts")
}

/// Fails on the messages that say so.
struct Picky;

impl Agent for Picky {
    type State = ();

    fn policy(&self) -> TurnPolicy {
        TurnPolicy { tries: 1, ..TurnPolicy::default() }
    }

    async fn turn(&self, _: &mut Turn<()>, message: Message) -> Result<Reply, AgentError> {
        match message.body.as_text().as_deref() {
            Some("fail") => Err(AgentError::permanent("as told")),
            Some("hush") => Ok(Reply::none()),
            _ => Ok(Reply::body(message.body)),
        }
    }
}

#[tokio::test]
async fn asking_gives_the_reply_and_the_same_id_gives_the_same_again_whatever_the_body() {
    let client = client();
    let worker = worker(&client, "default", Echo).await;
    let key = || "k 1".parse().unwrap();
    let first = client.ask(text("echo/a", "one").id(key()), SOON).await.unwrap();
    assert_eq!(first.reply, Some(Body::text("one")));
    assert!(!first.repeat && first.entry.is_some() && first.turn == Some(1));
    let again = client.ask(text("echo/a", "two").id(key()), SOON).await.unwrap();
    assert_eq!(again, Answer { repeat: true, ..first.clone() });
    let sent = client.send(text("echo/a", "three").id(key())).await.unwrap();
    assert!(sent.repeat && sent.message == first.message);
    let history = client.history(&id("echo/a"), HistoryRange::Newest(0)).await.unwrap();
    assert_eq!(history.len(), 2, "one turn: {history:?}");
    worker.drain().await;
}

#[tokio::test]
async fn a_turn_without_a_reply_is_an_answer_without_one() {
    let client = client();
    let worker = worker(&client, "default", Picky).await;
    let answer = client.ask(text("echo/a", "hush"), SOON).await.unwrap();
    assert_eq!((answer.reply, answer.entry, answer.turn), (None, None, Some(1)));
    worker.drain().await;
}

#[tokio::test]
async fn what_is_not_answered_in_time_is_answered_to_whoever_asks_again_with_the_id() {
    let client = client();
    let late = client.ask(text("echo/a", "hello"), AT_ONCE).await.unwrap_err();
    let ClientError::NoAnswer { message, id: key, repeat: false, .. } = late else { panic!("{late}") };
    let worker = worker(&client, "default", Echo).await;
    let answer = client.ask(text("echo/a", "hello").id(key), SOON).await.unwrap();
    assert!(answer.repeat && answer.message == message);
    assert_eq!(answer.reply, Some(Body::text("hello")));
    worker.drain().await;
}

#[tokio::test]
async fn a_message_finds_the_pool_that_serves_its_agent() {
    let client = client();
    let before = client.send(text("echo/early", "hello")).await.unwrap();
    let worker = worker(&client, "gpu", Echo).await;
    let patient = Client::new(client.store().clone(), Env::system());
    let answer = patient.ask(text("echo/a", "hello"), SOON).await.unwrap();
    assert_eq!(answer.reply, Some(Body::text("hello")));
    let view = patient.session(&id("echo/a")).await.unwrap();
    assert_eq!(view.pool, Some("gpu".parse::<Pool>().unwrap()));
    assert!(!before.repeat);
    worker.drain().await;
}

#[tokio::test]
async fn an_agents_error_is_told_apart_and_its_message_can_be_retried_or_dropped() {
    let client = client();
    let worker = worker(&client, "default", Picky).await;
    let failed = client.ask(text("echo/a", "fail"), SOON).await.unwrap_err();
    let ClientError::Failed { message, error, .. } = failed else { panic!("{failed}") };
    assert_eq!((error.reason.as_str(), error.message.as_str()), ("failed", "as told"));

    let letter = first_letter(&client).await;
    let again = client.retry(letter).await.unwrap();
    assert_ne!(again, message, "it is a message of its own");
    assert!(matches!(client.retry(letter).await, Err(ClientError::NoLetter(gone)) if gone == letter));
    // It fails again, after which this one is answered.
    client.ask(text("echo/a", "next"), SOON).await.unwrap();
    let letter = first_letter(&client).await;
    client.drop_dead(letter).await.unwrap();
    assert!(matches!(client.drop_dead(letter).await, Err(ClientError::NoLetter(_))));
    assert_eq!(client.dead().next_page().await.unwrap(), None);
    worker.drain().await;
}

async fn first_letter(client: &Client<MemoryStore>) -> DeadId {
    let page = client.dead().next_page().await.unwrap().expect("a dead letter");
    DeadId::of(&page[0])
}

#[tokio::test]
async fn a_full_inbox_and_a_large_body_are_refused_but_never_a_repeat() {
    let client = client_with(Limits { body: 100, inbox: 1 });
    let key = || "k".parse().unwrap();
    let first = client.send(text("echo/a", "one").id(key())).await.unwrap();
    let full = client.send(text("echo/a", "two")).await.unwrap_err();
    assert!(matches!(full, ClientError::Refused(Refusal::Full)), "{full}");
    let again = client.send(text("echo/a", "one").id(key())).await.unwrap();
    assert!(again.repeat && again.message == first.message);
    let large = client.send(text("echo/b", &"x".repeat(100))).await.unwrap_err();
    assert!(matches!(large, ClientError::Refused(Refusal::TooLarge)), "{large}");
}

#[tokio::test]
async fn a_session_says_why_it_does_not_move() {
    let client = client();
    client.send(text("echo/a", "hello")).await.unwrap();
    let cause = async || {
        let SessionView { status, cause, reason, .. } = client.session(&id("echo/a")).await.unwrap();
        assert_eq!(reason.is_some(), cause.is_some());
        (status, cause)
    };
    assert_eq!(cause().await, (Status::Waiting, Some(Cause::NoWorker)));
    let worker = worker(&client, "default", Echo).await;
    client.ask(text("echo/a", "and again"), SOON).await.unwrap();
    assert_eq!(cause().await, (Status::Idle, None));
    worker.drain().await;
    assert_eq!(cause().await, (Status::Passive, None));
    assert!(matches!(client.session(&id("echo/b")).await, Err(ClientError::NoSession(_))));
}

#[tokio::test]
async fn all_sessions_are_listed_once_over_pages_and_partitions() {
    let client = client();
    for n in 0..150 {
        client.send(text(&format!("echo/{{same}}{n}"), "x")).await.unwrap();
        client.send(text(&format!("echo/{n}"), "x")).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut pages = client.sessions().await.unwrap();
    while let Some(page) = pages.next_page().await.unwrap() {
        seen.extend(page.into_iter().map(|view| view.session));
    }
    seen.sort();
    let listed = seen.len();
    seen.dedup();
    assert_eq!((listed, seen.len()), (300, 300));
}

#[tokio::test]
async fn a_deleted_session_is_gone_and_its_mail_is_in_dead() {
    let client = client();
    for n in 0..150 {
        client.send(text("echo/a", &n.to_string())).await.unwrap();
    }
    client.delete(&id("echo/a")).await.unwrap();
    assert!(matches!(client.session(&id("echo/a")).await, Err(ClientError::NoSession(_))));
    assert!(matches!(client.delete(&id("echo/a")).await, Err(ClientError::NoSession(_))));
    let mut letters = Vec::new();
    let mut pages = client.dead();
    while let Some(page) = pages.next_page().await.unwrap() {
        letters.extend(page);
    }
    assert_eq!(letters.len(), 150);
    assert!(letters.iter().all(|letter| letter.reason == "deleted"));
}

#[tokio::test]
async fn a_reply_that_its_key_could_not_take_is_no_message_to_retry() {
    let client = client();
    let worker = worker(&client, "default", Echo).await;
    let taken = "taken".parse().unwrap();
    client.store().occupy(&taken);
    client.send(text("echo/a", "hello").reply_to(taken)).await.unwrap();
    let mut letter = None;
    support::eventually("the reply is in dead", SOON, async || {
        letter = client.dead().next_page().await.unwrap().and_then(|page| page.first().cloned());
        letter.is_some()
    })
    .await;
    let letter = letter.expect("waited for");
    assert_eq!(letter.reason, "reply_to");
    let refused = client.retry(DeadId::of(&letter)).await.unwrap_err();
    assert!(matches!(refused, ClientError::NoMessage(_)), "{refused}");
    worker.drain().await;
}

#[tokio::test]
async fn following_gives_every_entry_once_and_in_order() {
    let client = client();
    let worker = worker(&client, "default", Echo).await;
    let mut follow = client.follow(id("echo/a"), None);
    let mut seen = Vec::new();
    for n in 0..5 {
        client.ask(text("echo/a", &n.to_string()), SOON).await.unwrap();
        while seen.len() < 2 * (n + 1) {
            seen.extend(follow.next().await.unwrap());
        }
    }
    let users = seen.iter().filter(|entry| entry.kind == EntryKind::User);
    let said: Vec<_> = users.map(|entry| entry.body.as_text().unwrap()).collect();
    assert_eq!(said, ["0", "1", "2", "3", "4"]);
    assert!(seen.windows(2).all(|pair| pair[0].id.seq + 1 == pair[1].id.seq));
    worker.drain().await;
}

/// A client of a server, which waits for no single answer longer than a tenth of a second. It knows
/// who serves `echo`.
async fn impatient(server: &RedisServer) -> Client<RedisStore> {
    let options = Options { timeout: Duration::from_millis(100), ..Options::new(server.url()) };
    let store = RedisStore::connect(options).await.expect("it answers");
    let declaration =
        AgentDeclaration { pool: Pool::default(), resume: Resume::default(), durability: Durability::MEMORY };
    store.declare(&"w".parse().unwrap(), &"echo".parse().unwrap(), &declaration).await.expect("it answers");
    let client = Client::new(store, Env::system());
    client.send(text("echo/first", "who serves it is known from here")).await.expect("it answers");
    client
}

#[tokio::test]
async fn a_send_with_an_id_outlasts_a_server_that_hangs_and_is_accepted_once() {
    let server = RedisServer::start();
    let client = impatient(&server).await;
    server.pause();
    let mut send = std::pin::pin!(client.send(text("echo/a", "hello").id("k".parse().unwrap())));
    let early = tokio::time::timeout(Duration::from_millis(400), &mut send).await;
    assert!(early.is_err(), "it goes on trying: {early:?}");
    server.resume();
    let receipt = send.await.unwrap();
    assert!(!receipt.repeat, "a repeat of its own is none to the caller");
    assert_eq!(client.session(&id("echo/a")).await.unwrap().waiting, 1);
}

#[tokio::test]
async fn a_send_without_an_id_that_gets_no_answer_is_not_repeated_but_said_to_be_unknown() {
    let server = RedisServer::start();
    let client = impatient(&server).await;
    server.pause();
    let unknown = client.send(text("echo/a", "hello")).await.unwrap_err();
    assert!(matches!(unknown, ClientError::Unknown(_)), "{unknown}");
    server.resume();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_waits_for_a_server_that_is_back_and_still_loads_its_data() {
    // It loads for a quarter of a minute, or until it is told to hurry; and it answers after every
    // 1,024 commands, six times a second.
    let slowly = ["--key-load-delay", "100"];
    let mut server = RedisServer::builder().appendonly("always").args(&slowly).start();
    let store = RedisStore::connect(Options::new(server.url())).await.expect("the server answers");
    let client = Client::new(store, Env::system()).with_patience(Duration::from_secs(60));
    let mut conn = server.client().get_connection().expect("the server answers");
    let mut sets = redis::pipe();
    (0..100_000).for_each(|n| _ = sets.set(n, "x").ignore());
    sets.exec(&mut conn).expect("SET is answered");
    server.kill();
    let (url, restarted) = (
        server.client(),
        std::thread::spawn(move || {
            server.restart();
            server
        }),
    );
    let patient = redis::AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let mut conn = None;
    support::eventually("it loads", Duration::from_secs(30), async || {
        let Ok(mut open) = url.get_multiplexed_async_connection_with_config(&patient).await else {
            return false;
        };
        let answer = redis::cmd("PING").exec_async(&mut open).await;
        conn = Some(open);
        answer.is_err_and(|err| err.kind() == redis::ServerErrorKind::BusyLoading.into())
    })
    .await;
    let mut send = std::pin::pin!(client.send(text("echo/a", "x").id("once".parse().expect("an id"))));
    let early = tokio::time::timeout(Duration::from_millis(400), &mut send).await;
    assert!(early.is_err(), "it still loads: {early:?}");
    let hurry = redis::cmd("CONFIG").arg("SET").arg("key-load-delay").arg(0).to_owned();
    hurry.exec_async(conn.as_mut().expect("it was asked")).await.expect("it may be told while it loads");
    let receipt = send.await.expect("it is back in time");
    assert!(!receipt.repeat);
    restarted.join().expect("it is back");
}
