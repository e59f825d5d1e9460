//! Where a server is: in a file, behind a socket, in a database of its own, for a user.

use std::fs;

use tempfile::TempDir;

use crate::{
    command::{tenure, tenure_with},
    support::{RedisServer, WorkerProcess},
};

#[test]
fn the_address_may_stand_in_a_file() {
    let server = RedisServer::builder().requirepass("secret1").start();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("redis.url");
    let path = file.to_str().unwrap();
    for end in ["", "\n", "\r\n"] {
        fs::write(&file, format!("{}{end}", server.url())).unwrap();
        tenure(&["workers", "--redis-url-file", path]).well();
        tenure_with(&[("TENURE_REDIS_FILE", path)], &["workers"]).well();
    }
}

#[test]
fn a_file_without_an_address_is_a_mistake_of_usage_and_is_not_repeated() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("redis.url");
    let path = file.to_str().unwrap();
    let said = tenure(&["workers", "--redis-url-file", path]).badly(2);
    assert!(said.contains("--redis-url-file: cannot read"), "{said}");
    for content in ["", "\n", "redis://:secret1@h:1\nredis://:secret1@h:2\n", "two secret1", "secret1"] {
        fs::write(&file, content).unwrap();
        let said = tenure(&["workers", "--redis-url-file", path]).badly(2);
        assert!(said.contains("is not an address") && !said.contains("secret1"), "{said}");
    }
    fs::write(&file, [b"redis://".as_slice(), &[0xff]].concat()).unwrap();
    tenure(&["workers", "--redis-url-file", path]).badly(2);
}

#[test]
fn an_address_and_a_file_with_one_are_too_many() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("redis.url");
    fs::write(&file, "redis://127.0.0.1:1").unwrap();
    let path = file.to_str().unwrap();
    for (variables, args) in [
        (&[][..], &["workers", "--redis", "redis://127.0.0.1:1", "--redis-url-file", path][..]),
        (&[("TENURE_REDIS", "redis://127.0.0.1:1")], &["--redis-url-file", path, "workers"]),
        (&[("TENURE_REDIS", "redis://127.0.0.1:1"), ("TENURE_REDIS_FILE", path)], &["workers"]),
    ] {
        let said = tenure_with(variables, args).badly(2);
        assert!(said.contains("not both"), "{said}");
    }
    // What needs no server does not look for its address.
    tenure_with(&[("TENURE_REDIS_FILE", "/no/such/file")], &["completions", "bash"]).well();
}

#[test]
fn a_fleet_meets_behind_a_unix_socket_in_a_database_of_its_own_as_a_user() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("redis.sock");
    let socket = socket.to_str().unwrap();
    let server = RedisServer::builder().option("unixsocket", socket).start();
    let mut conn = server.client().get_connection().unwrap();
    let user = "ACL SETUSER ann on >pass1 ~* &* +@all";
    let mut set = redis::Cmd::new();
    user.split(' ').for_each(|word| _ = set.arg(word));
    set.exec(&mut conn).unwrap();
    for scheme in ["unix", "redis+unix"] {
        let url = format!("{scheme}://{socket}?db=3&user=ann&pass=pass1");
        let mut worker = WorkerProcess::start(&url, &[]);
        let reply = tenure(&["send", "echo/a", scheme, "--wait", "--redis", &url]).well();
        assert_eq!(reply, format!("{scheme}\n"));
        assert!(worker.drain(std::time::Duration::from_secs(30)).success());
    }
    // The same by TCP.
    let url = format!("redis://ann:pass1@127.0.0.1:{}/3", server.port());
    assert!(tenure(&["history", "echo/a", "--redis", &url]).well().contains("redis+unix"));
    let empty: u64 = redis::cmd("DBSIZE").query(&mut conn).unwrap();
    assert_eq!(empty, 0, "nothing of it is in database 0");
    let said = tenure(&["workers", "--redis", &url.replace("pass1", "pass2")]).badly(4);
    assert!(said.contains("user name and password") && !said.contains("pass2"), "{said}");
}

#[test]
fn a_socket_that_is_not_there_is_named_without_its_password() {
    let url = "unix:///no/such/socket?pass=secret1";
    let said = tenure(&["workers", "--redis", url, "--timeout", "200ms"]).badly(5);
    assert!(said.contains("/no/such/socket") && !said.contains("secret1"), "{said}");
}
