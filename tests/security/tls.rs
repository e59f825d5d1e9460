//! `rediss://`, with an authority of the test's own.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    command::{Ended, tenure, tenure_with},
    support::{
        RedisCluster, RedisServer, WorkerProcess,
        pki::{Authority, Files},
        port,
        sentinel::{NAME, Sentinel},
    },
};

/// A server that is reached by TLS; the fixture's own port is for the fixture.
struct Encrypted {
    folder: TempDir,
    authority: Authority,
    server: RedisServer,
    port: u16,
}

impl Encrypted {
    /// One whose certificate is for `name`; `clients` is `yes` if they have to show one too.
    fn for_name(name: &str, clients: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let authority = Authority::new("the test's own");
        let ca = authority.write(folder.path(), "ca.pem");
        let Files { certificate, key } = authority.issue(folder.path(), name);
        let port = port::free();
        let server = RedisServer::builder()
            .with_tls()
            .option("tls-port", &port.to_string())
            .option("tls-cert-file", text(&certificate))
            .option("tls-key-file", text(&key))
            .option("tls-ca-cert-file", text(&ca))
            .option("tls-auth-clients", clients)
            .start();
        Self { folder, authority, server, port }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn url(&self, host: &str) -> String {
        format!("rediss://{host}:{}", self.port)
    }
}

/// The ports of the server that its clients came in by, their own of the fixture aside.
fn ports_in_use(server: &RedisServer) -> Vec<u16> {
    let mut conn = server.client().get_connection().unwrap();
    let me: u64 = redis::cmd("CLIENT").arg("ID").query(&mut conn).unwrap();
    let list: String = redis::cmd("CLIENT").arg("LIST").query(&mut conn).unwrap();
    let others = list.lines().filter(|line| !line.starts_with(&format!("id={me} ")));
    let port = |line: &str| {
        line.split(' ').find_map(|field| field.strip_prefix("laddr=")?.rsplit_once(':')?.1.parse().ok())
    };
    others.filter_map(port).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn look(url: &str, ca: &Path) -> Ended {
    tenure(&["workers", "--redis", url, "--tls-ca", text(ca), "--timeout", "10s"])
}

#[test]
fn every_connection_of_a_fleet_goes_by_tls() {
    let there = Encrypted::for_name("localhost", "no");
    let (url, ca) = (there.url("localhost"), there.ca());
    let mut worker = WorkerProcess::start(&url, &["--tls-ca", text(&ca)]);
    let by_environment = [("TENURE_REDIS", url.as_str()), ("TENURE_TLS_CA", text(&ca))];
    let reply = tenure_with(&by_environment, &["send", "echo/a", "hello", "--wait"]).well();
    assert_eq!(reply, "hello\n");
    let ports = ports_in_use(&there.server);
    assert!(ports.len() >= 4, "lanes, ear and watch: {ports:?}");
    assert!(ports.iter().all(|port| *port == there.port), "{ports:?}");
    assert!(tenure_with(&by_environment, &["doctor"]).well().contains("notifications"));
    assert!(worker.drain(std::time::Duration::from_secs(30)).success());
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused_and_its_ca_asked_for() {
    let there = Encrypted::for_name("localhost", "no");
    let other = Authority::new("another").write(there.folder.path(), "other.pem");
    let said = look(&there.url("localhost"), &other).badly(5);
    assert!(said.contains("--tls-ca") && said.contains("nobody trusted here"), "{said}");
    let said = tenure(&["workers", "--redis", &there.url("localhost"), "--timeout", "10s"]).badly(5);
    assert!(said.contains("--tls-ca"), "{said}");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let there = Encrypted::for_name("redis.internal", "no");
    let said = look(&there.url("localhost"), &there.ca()).badly(5);
    assert!(said.contains("certificate for another name"), "{said}");
    let by_address = Encrypted::for_name("127.0.0.1", "no");
    look(&by_address.url("127.0.0.1"), &by_address.ca()).well();
}

#[test]
fn a_server_that_wants_a_certificate_of_its_clients_gets_it_or_says_so() {
    let there = Encrypted::for_name("localhost", "yes");
    let (url, ca) = (there.url("localhost"), there.ca());
    let said = look(&url, &ca).badly(5);
    assert!(said.contains("--tls-cert"), "{said}");
    let ours = there.authority.issue(there.folder.path(), "client");
    let (certificate, key) = (text(&ours.certificate), text(&ours.key));
    let args =
        ["workers", "--redis", &url, "--tls-ca", text(&ca), "--tls-cert", certificate, "--tls-key", key];
    tenure(&args).well();
    let variables = [
        ("TENURE_REDIS", url.as_str()),
        ("TENURE_TLS_CA", text(&ca)),
        ("TENURE_TLS_CERT", certificate),
        ("TENURE_TLS_KEY", key),
    ];
    tenure_with(&variables, &["workers"]).well();
    let strange = Authority::new("another").issue(there.folder.path(), "stranger");
    let args = ["--tls-cert", text(&strange.certificate), "--tls-key", text(&strange.key)];
    let args = [&["workers", "--redis", &url, "--tls-ca", text(&ca)], &args[..]].concat();
    let said = tenure(&args).badly(5);
    assert!(said.contains("does not take the certificate"), "{said}");
}

#[test]
fn what_cannot_be_meant_is_a_mistake_of_usage() {
    let folder = TempDir::new().unwrap();
    let authority = Authority::new("any");
    let ca = authority.write(folder.path(), "ca.pem");
    let files = authority.issue(folder.path(), "x");
    let (ca, certificate, key) = (text(&ca), text(&files.certificate), text(&files.key));
    let encrypted = "rediss://localhost:1";
    for (url, args, expected) in [
        ("redis://localhost:1", &["--tls-ca", ca][..], "write rediss://"),
        (encrypted, &["--tls-ca", key], "no certificate (PEM) in what is to be trusted"),
        (encrypted, &["--tls-ca", "/no/such/file"], "--tls-ca: cannot read /no/such/file"),
        (encrypted, &["--tls-cert", certificate], "go together"),
        (encrypted, &["--tls-key", key], "go together"),
        (encrypted, &["--tls-cert", key, "--tls-key", key], "no certificate (PEM) to show"),
        (encrypted, &["--tls-cert", certificate, "--tls-key", certificate], "no private key"),
        ("rediss://localhost:1/#insecure", &[], "would trust anybody"),
    ] {
        let said = tenure(&[&["workers", "--redis", url], args].concat()).badly(2);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn sentinels_and_the_primary_that_they_name_are_both_reached_by_tls() {
    // Sentinels name addresses, so the certificates are for those.
    let server = Encrypted::for_name("127.0.0.1", "no");
    let (ca, folder, port) = (server.ca(), server.folder.path(), port::free());
    let at = |file: &str| text(&folder.join(file)).to_owned();
    let lines = [
        format!("tls-port {port}"),
        format!("tls-cert-file {}", at("127.0.0.1.pem")),
        format!("tls-key-file {}", at("127.0.0.1.key")),
        format!("tls-ca-cert-file {}", text(&ca)),
        "tls-auth-clients no".to_owned(),
        "tls-replication yes".to_owned(),
    ];
    let lines = lines.each_ref().map(String::as_str);
    let _sentinel = Sentinel::start("redis-server", server.port, Duration::from_secs(600), &lines);
    let url = format!("rediss+sentinel://127.0.0.1:{port}/{NAME}");
    _ = look(&url, &ca).well();
    let said = look(&url.replace("rediss", "redis"), &ca).badly(2);
    assert!(said.contains("not reached by TLS"), "{said}");
}

#[test]
fn every_master_of_a_cluster_is_reached_by_tls() {
    // Nodes name addresses, so the certificate is for theirs.
    let (folder, authority) = (TempDir::new().unwrap(), Authority::new("the test's own"));
    let ca = authority.write(folder.path(), "ca.pem");
    let Files { certificate, key } = authority.issue(folder.path(), "127.0.0.1");
    let cluster = RedisCluster::start_encrypted(&[
        ("tls-cert-file", text(&certificate)),
        ("tls-key-file", text(&key)),
        ("tls-ca-cert-file", text(&ca)),
        ("tls-auth-clients", "no"),
    ]);
    let url = cluster.url();
    let mut worker = WorkerProcess::start(&url, &["--tls-ca", text(&ca)]);
    // Some of them are on each.
    for n in 0..6 {
        let session = format!("echo/{n}");
        let args = ["send", &session, "hello", "--wait", "--redis", &url, "--tls-ca", text(&ca)];
        assert_eq!(tenure(&args).well(), "hello\n");
    }
    for (node, encrypted) in cluster.nodes().iter().zip(cluster.encrypted_ports()) {
        let ports = ports_in_use(node);
        assert!(ports.len() >= 4, "lanes, ear and watch: {ports:?}");
        assert!(ports.iter().all(|port| *port == encrypted), "{ports:?}");
    }
    let other = Authority::new("another").write(folder.path(), "other.pem");
    let said = look(&url, &other).badly(5);
    assert!(said.contains("--tls-ca"), "{said}");
    assert!(worker.drain(Duration::from_secs(30)).success());
}
