//! Sessions that cannot be read: set aside as they are, and well again once what was wrong is mended.

use serde_json::Value;

use crate::{
    scene::{SOON, Scene},
    support::wait_until,
};

/// Waits until the session is set aside; the reason.
fn quarantined(scene: &Scene, session: &str) -> String {
    let mut shown = Value::Null;
    wait_until("it is set aside", SOON, || {
        shown = scene.shown(session);
        shown["status"] == "quarantined"
    });
    assert_eq!(shown["cause"], "unreadable", "{shown}");
    shown["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_missing_key_sets_aside_and_with_it_everything_goes_on() {
    let scene = Scene::new();
    let keys = scene.keyring("keys", &[&scene.key(&["k1"])]);
    let other = scene.keyring("other", &[&scene.key(&["k2"])]);
    let worker = scene.worker(Some(&keys));
    assert_eq!(scene.ask(Some(&keys), "desk/state", "one"), "1 one");
    drop(worker);

    let before: String = scene.redis(&["GET", &scene.named("desk/state", "state")]);
    let worker = scene.worker(Some(&other));
    // One cannot read its mail, the other its state.
    scene.run(Some(&keys), &["send", "desk/mail", "two"]).well();
    scene.run(Some(&other), &["send", "desk/state", "two"]).well();
    let why = quarantined(&scene, "desk/mail");
    assert!(why.contains("message") && why.contains("sealed by key k1, which is not here"), "{why}");
    let why = quarantined(&scene, "desk/state");
    assert!(why.contains("state") && why.contains("sealed by key k1, which is not here"), "{why}");
    for session in ["desk/mail", "desk/state"] {
        assert_eq!(scene.shown(session)["waiting"], 1);
    }
    assert_eq!(scene.redis::<String>(&["GET", &scene.named("desk/state", "state")]), before);
    assert_eq!(scene.run(None, &["dead", "ls", "--json"]).well(), "");
    drop(worker);

    let k1 = std::fs::read_to_string(&keys).unwrap();
    let k2 = std::fs::read_to_string(&other).unwrap();
    let both = scene.keyring("both", &[&k2, &k1]);
    let _worker = scene.worker(Some(&both));
    for (session, reply) in [("desk/mail", "1 two"), ("desk/state", "2 two")] {
        scene.run(None, &["unquarantine", session]).well();
        wait_until("its turn ends", SOON, || scene.history(Some(&both), session).contains(reply));
    }
}

#[test]
fn a_state_that_was_touched_sets_aside() {
    let scene = Scene::new();
    let keys = scene.keyring("keys", &[&scene.key(&["k1"])]);
    let worker = scene.worker(Some(&keys));
    assert_eq!(scene.ask(Some(&keys), "desk/a", "one"), "1 one");
    drop(worker);
    let name = scene.named("desk/a", "state");
    let state: String = scene.redis(&["GET", &name]);
    let at = state.find("box").unwrap() + 20;
    let other = if &state[at..=at] == "A" { "B" } else { "A" };
    scene.redis::<()>(&["SETRANGE", &name, &at.to_string(), other]);
    let _worker = scene.worker(Some(&keys));
    scene.run(Some(&keys), &["send", "desk/a", "two"]).well();
    let why = quarantined(&scene, "desk/a");
    assert!(why.contains("sealed by key k1, and changed or moved since"), "{why}");
    scene.redis::<()>(&["SET", &name, &state]);
    scene.run(None, &["unquarantine", "desk/a"]).well();
    wait_until("its turn ends", SOON, || scene.history(Some(&keys), "desk/a").contains("2 two"));
}

#[test]
fn mail_that_was_touched_sets_aside_also_where_it_is_no_json_any_more() {
    let scene = Scene::new();
    let keys = scene.keyring("keys", &[&scene.key(&["k1"])]);
    for (session, old, new) in [("desk/a", "\"box\":\"", "\"box\":\"AA"), ("desk/b", "\"box\":", "\"box\"=")]
    {
        scene.run(Some(&keys), &["send", session, "hello"]).well();
        let inbox = scene.named(session, "in");
        let mail: String = scene.redis(&["LINDEX", &inbox, "0"]);
        assert!(mail.contains(old), "{mail}");
        scene.redis::<()>(&["LSET", &inbox, "0", &mail.replace(old, new)]);
    }
    let _worker = scene.worker(Some(&keys));
    for session in ["desk/a", "desk/b"] {
        let why = quarantined(&scene, session);
        assert!(why.contains("and changed or moved since"), "{why}");
        assert_eq!(scene.shown(session)["waiting"], 1);
    }
}

#[test]
fn what_was_moved_from_another_session_is_not_read() {
    let scene = Scene::new();
    let keys = scene.keyring("keys", &[&scene.key(&["k1"])]);
    let worker = scene.worker(Some(&keys));
    assert_eq!(scene.ask(Some(&keys), "desk/a", "of a"), "1 of a");
    assert_eq!(scene.ask(Some(&keys), "desk/b", "of b"), "1 of b");
    drop(worker);
    scene.run(Some(&keys), &["send", "desk/c", "of c"]).well();
    scene.run(Some(&keys), &["send", "desk/d", "of d"]).well();
    // A state, the body of a message, and an entry of a history.
    let state: String = scene.redis(&["GET", &scene.named("desk/a", "state")]);
    scene.redis::<()>(&["SET", &scene.named("desk/b", "state"), &state]);
    let mail = |session: &str| scene.redis::<String>(&["LINDEX", &scene.named(session, "in"), "0"]);
    let (of_c, of_d) = (mail("desk/c"), mail("desk/d"));
    let forged = format!("{}\n{}", of_d.lines().next().unwrap(), of_c.lines().nth(1).unwrap());
    scene.redis::<()>(&["LSET", &scene.named("desk/d", "in"), "0", &forged]);
    scene.run(Some(&keys), &["send", "desk/b", "again"]).well();
    let _worker = scene.worker(Some(&keys));
    for session in ["desk/b", "desk/d"] {
        let why = quarantined(&scene, session);
        assert!(why.contains("sealed by key k1, and changed or moved since"), "{why}");
    }
    assert_eq!(mail("desk/d"), forged);
    wait_until("the other goes on", SOON, || {
        scene.run(Some(&keys), &["show", "desk/c", "--json"]).well().contains("\"turns\":1")
    });
}

/// A history that cannot be read is not the message's doing: it costs no try, and the message is not given up on.
#[test]
fn a_history_that_cannot_be_read_sets_aside_and_keeps_the_message() {
    let scene = Scene::new();
    let (k1, k2) = (scene.key(&["k1"]), scene.key(&["k2"]));
    let old = scene.keyring("old", &[&k1]);
    let both = scene.keyring("both", &[&k2, &k1]);
    let new = scene.keyring("new", &[&k2]);
    let worker = scene.worker(Some(&old));
    assert_eq!(scene.ask(Some(&old), "desk/a", "one"), "1 one");
    drop(worker);
    // The state is under the new key now, and so is the mail; the oldest entries are not.
    let worker = scene.worker(Some(&both));
    assert_eq!(scene.ask(Some(&both), "desk/a", "two"), "2 two");
    drop(worker);
    let worker = scene.worker(Some(&new));
    scene.run(Some(&new), &["send", "desk/a", "three"]).well();
    let why = quarantined(&scene, "desk/a");
    assert!(why.contains("entry") && why.contains("sealed by key k1, which is not here"), "{why}");
    assert_eq!(scene.shown("desk/a")["waiting"], 1);
    drop(worker);
    let _worker = scene.worker(Some(&both));
    scene.run(None, &["unquarantine", "desk/a"]).well();
    wait_until("its turn ends", SOON, || scene.history(Some(&both), "desk/a").contains("3 three"));
}
