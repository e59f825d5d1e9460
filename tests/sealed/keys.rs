//! Keyrings: made, kept shut, changed.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{
    command::{tenure, tenure_with},
    scene::Scene,
};

#[test]
fn a_key_is_changed_without_a_pause_and_old_entries_stay_readable_as_long_as_it_is_kept() {
    let scene = Scene::new();
    let (old, new) = (scene.key(&["k1"]), scene.key(&["k2"]));
    let first = scene.keyring("first", &[&old]);
    let both = scene.keyring("both", &[&old, &new]);
    let turned = scene.keyring("turned", &[&new, &old]);
    let last = scene.keyring("last", &[&new]);

    let worker = scene.worker(Some(&first));
    assert_eq!(scene.ask(Some(&first), "desk/a", "one"), "1 one");
    drop(worker);
    let worker = scene.worker(Some(&both));
    assert_eq!(scene.ask(Some(&both), "desk/a", "two"), "2 two");
    // A worker that has the new key already, and one that seals with it.
    let _other = scene.worker(Some(&turned));
    drop(worker);
    assert_eq!(scene.ask(Some(&turned), "desk/a", "three"), "3 three");

    for heard in ["1 one", "2 two", "3 three"] {
        assert!(scene.history(Some(&both), "desk/a").contains(heard), "{heard}");
    }
    let shown = scene.history(Some(&last), "desk/a");
    assert!(shown.contains("3 three") && !shown.contains("one"), "{shown}");
    assert_eq!(shown.matches("sealed by key k1, which is not here").count(), 6, "{shown}");
}

#[test]
fn a_group_may_have_a_key_of_its_own() {
    let scene = Scene::new();
    let keys = scene.keyring("keys", &[&scene.key(&["k1"]), &scene.key(&["shop-1", "--group", "shop"])]);
    let _worker = scene.worker(Some(&keys));
    let send = ["send", "desk/a", "hello", "--group", "shop", "--wait=30s"];
    assert_eq!(scene.run(Some(&keys), &send).well().trim(), "1 hello");
    assert_eq!(scene.ask(Some(&keys), "desk/other", "hello"), "1 hello");
    assert_eq!(scene.history(None, "desk/a").matches("sealed by key shop-1,").count(), 3);
    assert_eq!(scene.history(None, "desk/other").matches("sealed by key k1,").count(), 3);
    assert!(scene.redis::<String>(&["GET", &scene.named("desk/a", "state")]).contains("shop-1"));
    assert!(scene.history(Some(&keys), "desk/a").contains("1 hello"));
}

#[test]
fn a_file_that_others_may_read_or_write_is_refused() {
    let scene = Scene::new();
    let keys = scene.keyring("keys", &[&scene.key(&["k1"])]);
    for (mode, is_fine) in [(0o600, true), (0o400, true), (0o440, true), (0o644, false), (0o620, false)] {
        fs::set_permissions(&keys, fs::Permissions::from_mode(mode)).unwrap();
        let ended = scene.run(Some(&keys), &["sessions"]);
        match is_fine {
            true => _ = ended.well(),
            false => assert!(ended.badly(2).contains("chmod 600"), "{mode:o}"),
        }
    }
}

#[test]
fn what_is_wrong_with_keys_is_told_and_none_is_shown() {
    let scene = Scene::new();
    let line = scene.key(&["k1"]);
    let secret = line.split(' ').nth(1).unwrap();
    let given = [
        (vec![line.as_str(), "k2"], "line 2 is not `ID KEY`"),
        (vec![line.as_str(), line.as_str()], "there is a key k1 already"),
        (vec!["# none"], "there is no key"),
    ];
    for (lines, expected) in given {
        let keys = scene.keyring("keys", &lines);
        let told = scene.run(Some(&keys), &["sessions"]).badly(2);
        assert!(told.contains(expected) && !told.contains(secret), "{told}");
    }
    let url = scene.redis.url();
    let keys = scene.keyring("keys", &[&line]);
    let twice = [("TENURE_REDIS", url.as_str()), ("TENURE_KEYS", &line), ("TENURE_KEYS_FILE", &keys)];
    assert!(tenure_with(&twice, &["sessions"]).badly(2).contains("and not both"));
    assert!(scene.run(Some("/no/such/file"), &["sessions"]).badly(2).contains("cannot read"));
}

#[test]
fn keys_may_come_in_the_environment() {
    let scene = Scene::new();
    let line = scene.key(&["k1"]);
    let keys = scene.keyring("keys", &[&line]);
    let _worker = scene.worker(Some(&keys));
    let url = scene.redis.url();
    let variables = [("TENURE_REDIS", url.as_str()), ("TENURE_KEYS", line.as_str())];
    let said = tenure_with(&variables, &["send", "desk/a", "hello", "--wait=30s"]).well();
    assert_eq!(said.trim(), "1 hello");
    assert!(tenure_with(&variables, &["history", "desk/a"]).well().contains("1 hello"));
}

#[test]
fn every_key_that_is_made_is_another() {
    let made: Vec<_> = (0..3).map(|_| tenure(&["seal-key", "k1"]).well()).collect();
    assert!(made.iter().all(|line| line.starts_with("k1 ") && line.trim().len() == 47), "{made:?}");
    assert!(made[0] != made[1] && made[1] != made[2]);
    assert!(tenure(&["seal-key", "a/b"]).code == Some(2));
}
