//! What a worker's environment has to do with it: certificates, variables, proxies.

use std::{fs, process::Command, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tempfile::TempDir;
use tenure::{
    Env,
    client::{Client, ClientError, Outgoing},
    store::{RedisStore, redis::Options},
};

use crate::{
    stage::PATIENCE,
    support::{
        RedisServer, WorkerProcess,
        http::{Act, HttpServer},
        pki::Authority,
    },
};

/// A worker process whose one agent, `web`, is at a URL.
struct Fleet {
    folder: TempDir,
    server: RedisServer,
}

impl Fleet {
    fn new(url: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let agents = format!(
            r#"
            [agents.web]
            type = "http"
            url = "{url}"
            headers = {{ authorization = "Bearer ${{SHOP_TOKEN}}" }}
            tries = 2
            backoff = {{ first = "1ms", max = "1ms" }}
            "#
        );
        fs::write(folder.path().join("agents.toml"), agents).unwrap();
        Self { folder, server: RedisServer::start() }
    }

    fn agents(&self) -> String {
        self.folder.path().join("agents.toml").to_str().unwrap().to_owned()
    }

    fn worker(&self, change: impl FnOnce(&mut Command)) -> WorkerProcess {
        WorkerProcess::start_with(&self.server.url(), &["--agents", &self.agents()], |command| {
            command.env("SHOP_TOKEN", "t0ken");
            change(command);
        })
    }

    /// The reply's text, or the error's.
    async fn hear(&self) -> String {
        let store = RedisStore::connect(Options::new(self.server.url())).await.unwrap();
        let client = Client::new(store, Env::system());
        match client.ask(Outgoing::text("web/a".parse().unwrap(), "hello"), PATIENCE).await {
            Ok(answer) => answer.reply.unwrap().as_text().unwrap(),
            Err(ClientError::Failed { error, .. }) => error.message,
            other => panic!("{other:?}"),
        }
    }
}

/// An authority nobody knows (its certificate as PEM), and a server's identity signed by it.
fn private_authority(name: &str) -> (String, ServerConfig) {
    let authority = Authority::new(name);
    let (servers, key) = authority.sign("localhost");
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![servers.der().clone()], private)
        .unwrap();
    (authority.pem(), config)
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_where_ssl_cert_file_names_it() {
    let (authority, config) = private_authority("ours");
    let server = HttpServer::start_tls(config, |_| Act::reply("hello"));
    let fleet = Fleet::new(&format!("https://localhost:{}/turn", server.port()));
    let file = fleet.folder.path().join("authority.pem");
    fs::write(&file, authority).unwrap();
    let _worker = fleet.worker(|command| _ = command.env("SSL_CERT_FILE", &file));
    assert_eq!(fleet.hear().await, "hello");
    assert_eq!(fleet.hear().await, "hello");
    assert_eq!(server.connections(), 1, "a handshake is not made for every turn");
}

#[tokio::test]
async fn an_authority_that_nobody_knows_is_refused_with_what_to_do() {
    let (_, config) = private_authority("ours");
    let (other, _) = private_authority("theirs");
    let server = HttpServer::start_tls(config, |_| Act::reply("hello"));
    let fleet = Fleet::new(&format!("https://localhost:{}/turn", server.port()));
    let file = fleet.folder.path().join("other.pem");
    fs::write(&file, other).unwrap();
    let _worker = fleet.worker(|command| _ = command.env("SSL_CERT_FILE", &file));
    let message = fleet.hear().await;
    let begin = format!("https://localhost:{}: invalid peer certificate: ", server.port());
    assert!(message.starts_with(&begin) && message.contains("SSL_CERT_FILE"), "{message}");
    assert!(server.requests().is_empty(), "no header went to somebody unknown");
}

#[test]
fn a_worker_that_could_trust_nobody_says_so_at_its_start() {
    let fleet = Fleet::new("https://localhost:1/turn");
    let ended = Command::new(env!("CARGO_BIN_EXE_tenure"))
        .args(["worker", "--redis", &fleet.server.url(), "--agents", &fleet.agents()])
        .envs([("SHOP_TOKEN", "t0ken"), ("SSL_CERT_FILE", "/there/is/no/such/file"), ("RUST_LOG", "off")])
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("agents.toml:2: ") && said.contains("SSL_CERT_FILE"), "{said}");
}

#[tokio::test]
async fn headers_take_their_values_from_the_environment_and_its_proxies_are_not_used() {
    let proxy = HttpServer::start(|_| Act::reply("by the proxy"));
    let server = HttpServer::start(|_| Act::reply("hello"));
    let fleet = Fleet::new(&server.url());
    let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let address = format!("http://127.0.0.1:{}", proxy.port());
    let _worker = fleet.worker(|command| {
        command.envs(names.map(|name| (name, &address))).env_remove("no_proxy").env_remove("NO_PROXY");
    });
    assert_eq!(fleet.hear().await, "hello");
    assert_eq!(server.requests()[0].headers["authorization"], "Bearer t0ken");
    assert_eq!(proxy.connections(), 0);
}
