//! What can be seen, and by whom.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::{
    scene::{SOON, Scene, found},
    support::wait_until,
};

/// Said to agents, and by them; never to be found.
const SAID: [&str; 5] =
    ["pLantedInATurn", "pLantedToFail", "pLantedInMail", "pLantedInASecondTurn", "noted pL"];

/// Every command that the server sees from now on, and every hint.
fn listen_in(port: u16) -> Arc<Mutex<Vec<u8>>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    write!(stream, "MONITOR\r\n").unwrap();
    let heard = Arc::<Mutex<Vec<u8>>>::default();
    let ours = heard.clone();
    thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            ours.lock().unwrap().extend(&bytes[..read]);
        }
    });
    heard
}

#[test]
fn nothing_that_is_said_and_no_key_is_in_a_byte_of_redis() {
    let scene = Scene::new();
    let key = scene.key(&["k1"]);
    let keys = scene.keyring("keys", &[&key]);
    let keys = Some(keys.as_str());
    let monitor = listen_in(scene.redis.port());
    let mut worker = scene.worker(keys);
    let ps = fs::read(format!("/proc/{}/cmdline", worker.pid())).unwrap();

    assert_eq!(scene.ask(keys, "desk/a", "pLantedInATurn"), "1 pLantedInATurn");
    assert_eq!(scene.ask(keys, "desk/a", "pLantedInASecondTurn"), "2 pLantedInASecondTurn");
    // Given up on: an entry, an error for who waits, and a dead letter that can be read and tried again.
    let why = scene.run(keys, &["send", "desk/b", "pLantedToFail", "--id", "once", "--wait=30s"]).badly(1);
    assert!(why.contains("it was pLantedToFail"), "{why}");
    let again = scene.run(keys, &["send", "desk/b", "pLantedToFail", "--id", "once", "--wait=30s"]).badly(1);
    assert!(again.contains("it was pLantedToFail"), "{again}");
    assert!(scene.run(keys, &["dead", "ls"]).well().contains("pLantedToFail"));
    scene.run(keys, &["dead", "retry", "--all"]).well();
    wait_until("it fails again", SOON, || scene.run(keys, &["dead", "ls"]).well().contains("pLantedToFail"));
    // Mail that nobody takes, and that a deletion puts into `dead`.
    scene.run(keys, &["send", "nobody/a", "pLantedInMail"]).well();
    assert!(scene.run(keys, &["show", "nobody/a", "--mail"]).well().contains("pLantedInMail"));
    assert!(
        scene
            .run(None, &["show", "nobody/a", "--mail"])
            .well()
            .contains("(sealed by key k1, which is not here")
    );
    scene.run(keys, &["send", "nobody/b", "pLantedInMail"]).well();
    scene.run(keys, &["delete", "nobody/b"]).well();
    let history = scene.history(keys, "desk/a");
    for said in ["1 pLantedInATurn", "noted pLantedInATurn"] {
        assert!(history.contains(said), "{history}");
    }
    worker.drain(SOON);

    let mut all = scene.stored();
    all.push(("MONITOR".to_owned(), monitor.lock().unwrap().clone()));
    let secret = key.split(' ').nth(1).unwrap();
    for word in SAID {
        assert!(found(&all, word).is_empty(), "{word} stands in {:?}", found(&all, word));
    }
    all.push(("log".to_owned(), fs::read(scene.log()).unwrap()));
    all.push(("ps".to_owned(), ps));
    assert!(found(&all, secret).is_empty(), "a key stands in {:?}", found(&all, secret));
    // Else nothing would have been found whatever there was.
    let names = found(&all, "desk/a").join(", ");
    for place in ["appendonlydir", "dump.rdb", "MONITOR"] {
        assert!(names.contains(place), "{place} is not in {names}");
    }
}

#[test]
fn without_the_key_a_history_names_it_and_shows_the_rest() {
    let scene = Scene::new();
    let keys = scene.keyring("keys", &[&scene.key(&["k1"])]);
    let _worker = scene.worker(Some(&keys));
    assert_eq!(scene.ask(Some(&keys), "desk/a", "hello"), "1 hello");
    let shown = scene.history(None, "desk/a");
    assert_eq!(shown.lines().count(), 3);
    assert!(shown.lines().all(|line| line.contains("(sealed by key k1, which is not here")), "{shown}");
    let lines = scene.run(None, &["history", "desk/a", "--json", "--limit", "1"]).well();
    assert!(lines.contains(r#""kind":"assistant""#), "{lines}");
    assert!(lines.contains(r#""body":{"sealed":{"key":"k1","why":"no_key"}}"#), "{lines}");
    // Its own message, which came in clear, is answered in clear.
    assert_eq!(scene.ask(None, "desk/a", "without a key"), "2 without a key");
    assert!(!scene.history(None, "desk/a").contains("without a key"));
    assert!(scene.history(Some(&keys), "desk/a").contains("without a key"));
}

#[test]
fn doctor_tells_which_keys_are_in_use_and_which_of_them_is_missing() {
    let scene = Scene::new();
    let keys = scene.keyring("keys", &[&scene.key(&["k1"])]);
    let worker = scene.worker(None);
    assert_eq!(scene.ask(None, "desk/a", "hello"), "1 hello");
    assert!(!scene.run(None, &["doctor", "--json"]).well().contains(r#""check":"keys""#));
    drop(worker);
    let _worker = scene.worker(Some(&keys));
    assert_eq!(scene.ask(Some(&keys), "desk/b", "hello"), "1 hello");
    let told = scene.run(Some(&keys), &["doctor", "--json"]).well();
    let found =
        r#""check":"keys","status":"ok","found":"k1 seals; of a few newest entries 2 by k1, 2 in clear""#;
    assert!(told.contains(found), "{told}");
    let told = scene.run(None, &["doctor", "--json"]).well();
    let found =
        r#""status":"warn","found":"no key is here; of a few newest entries 2 by k1 (not here), 2 in clear""#;
    assert!(told.contains(found), "{told}");
}

#[test]
fn an_answer_that_cannot_be_opened_is_an_error_at_once() {
    let scene = Scene::new();
    let keys = scene.keyring("keys", &[&scene.key(&["k1"])]);
    let _worker = scene.worker(Some(&keys));
    scene.run(Some(&keys), &["send", "desk/a", "hello", "--id", "once", "--wait=30s"]).well();
    let told = scene.run(None, &["send", "desk/a", "hello", "--id", "once", "--wait=10m"]);
    let line = told.stderr.lines().last().unwrap();
    assert_eq!(told.code, Some(1), "{line}");
    assert!(line.contains("the reply cannot be read: sealed by key k1, which is not here"), "{line}");
}

#[test]
fn a_message_of_the_plain_door_is_sealed_when_it_is_relayed_and_its_answer_can_be_read() {
    let scene = Scene::new();
    let keys = scene.keyring("keys", &[&scene.key(&["k1"])]);
    let _worker = scene.worker(Some(&keys));
    let door = "tenure:default:ingress";
    scene.redis::<String>(&["XADD", door, "*", "to", "nobody/a", "body", "pLantedAtTheDoor"]);
    scene.redis::<String>(&["XADD", door, "*", "to", "desk/a", "body", "hello", "reply_to", "replies"]);
    let (_, reply): (String, String) = scene.redis(&["BLPOP", "replies", "30"]);
    assert!(reply.contains("1 hello"), "{reply}");
    let mail: Vec<String> = scene.redis(&["LRANGE", &scene.named("nobody/a", "in"), "0", "-1"]);
    assert!(mail[0].contains(r#"{"sealed":{"v":1,"key":"k1","of":"relayed""#), "{mail:?}");
    assert!(!mail[0].contains("pLantedAtTheDoor"));
}

#[test]
fn who_has_no_key_takes_nothing_that_looks_sealed() {
    let scene = Scene::new();
    let _worker = scene.worker(None);
    let body = r#"{"sealed":{"v":1,"key":"k1","of":"message","nonce":"","box":""}}"#;
    let refused = scene.run(None, &["send", "desk/a", "--body", body]).badly(4);
    assert!(refused.contains("not a message"), "{refused}");
    let door = "tenure:default:ingress";
    scene.redis::<String>(&["XADD", door, "*", "to", "desk/a", "body", body, "reply_to", "replies"]);
    let (_, reply): (String, String) = scene.redis(&["BLPOP", "replies", "30"]);
    assert!(reply.contains("malformed") && reply.contains("the form of a sealed one"), "{reply}");
    assert_eq!(scene.ask(None, "desk/a", "hello"), "1 hello");
}
