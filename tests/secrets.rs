//! No secret is seen: not in a byte of Redis, not in a log at any level, not in what a command says.
//!
//! Values are planted where secrets belong (an agent's `env`, its `headers`, the query of its URL, the
//! server's password), everything is made to go wrong that can, at the most talkative level of
//! logging, and then all that was written is searched. That the search finds what is there is shown by
//! markers that are no secrets.

mod support;

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use support::{
    RedisServer, WorkerProcess,
    http::{Act, HttpServer},
};
use tempfile::TempDir;

const PASSWORD: &str = "pLanted1InTheServersPassword";
const WRONG_PASSWORD: &str = "pLanted2InAPasswordThatIsWrong";
const HEADER: &str = "pLanted3InAHeader";
const QUERY: &str = "pLanted4InAQuery";
const ENV: &str = "pLanted5InAnEnvironment";
const WRITTEN: &str = "pLanted6WrittenIntoTheFileItself";
const SECRETS: [&str; 6] = [PASSWORD, WRONG_PASSWORD, HEADER, QUERY, ENV, WRITTEN];

/// Not secret, and everywhere.
const MESSAGE: &str = "mArkerInAMessage";
const REASON: &str = "mArkerInAReason";

const SOON: Duration = Duration::from_secs(30);

/// A fleet that talks as much as it can, and everything it said.
struct Scene {
    folder: TempDir,
    redis: RedisServer,
    monitor: Arc<Mutex<Vec<u8>>>,
    /// What was said, and by whom.
    said: Vec<(String, Vec<u8>)>,
}

impl Scene {
    fn new(agents: &str) -> Self {
        let redis = RedisServer::builder()
            .requirepass(PASSWORD)
            .appendonly("always")
            .option("aof-use-rdb-preamble", "no")
            .option("rdbcompression", "no")
            .start();
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("agents.toml"), agents).unwrap();
        fs::write(folder.path().join("redis.url"), redis.url() + "\n").unwrap();
        let monitor = Arc::default();
        listen_in(redis.port(), &monitor);
        Self { folder, redis, monitor, said: Vec::new() }
    }

    fn agents(&self) -> String {
        self.folder.path().join("agents.toml").to_str().unwrap().to_owned()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Where the address of Redis stands.
    fn url_file(&self) -> PathBuf {
        self.folder.path().join("redis.url")
    }

    /// A worker whose log goes to the scene's file, and that reads from a file where Redis is.
    fn worker(&self) -> WorkerProcess {
        let log = File::options().append(true).create(true).open(self.log()).unwrap();
        let args = ["--agents", &self.agents(), "--lease", "1s"];
        WorkerProcess::start_with("", &args, |command| {
            talkative(command)
                .env("TENURE_REDIS_FILE", self.url_file())
                .env_remove("TENURE_REDIS")
                .stderr(log);
        })
    }

    /// Runs a command to its end, and keeps what it said.
    fn run(&mut self, args: &[&str]) -> Option<i32> {
        let file = self.url_file();
        self.run_with("TENURE_REDIS_FILE", file.to_str().unwrap(), args)
    }

    fn run_on(&mut self, url: &str, args: &[&str]) -> Option<i32> {
        self.run_with("TENURE_REDIS", url, args)
    }

    fn run_with(&mut self, name: &str, value: &str, args: &[&str]) -> Option<i32> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
        let output = talkative(command.args(args).env(name, value)).output().unwrap();
        self.said.push((args.join(" "), [output.stdout, output.stderr].concat()));
        output.status.code()
    }

    /// All that was written anywhere.
    fn everything(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut conn = self.redis.client().get_connection().unwrap();
        redis::cmd("SAVE").exec(&mut conn).unwrap();
        let mut all = std::mem::take(&mut self.said);
        all.extend(files(self.redis.folder()));
        all.push(("MONITOR".to_owned(), self.monitor.lock().unwrap().clone()));
        all.push(("log".to_owned(), fs::read(self.log()).unwrap()));
        all
    }
}

/// With all that could be secret in its environment, and told to log everything.
fn talkative(command: &mut Command) -> &mut Command {
    command.env("RUST_LOG", "trace").env("SHOP_TOKEN", HEADER).env("DESK_PASSWORD", ENV).stdin(Stdio::null())
}

/// Adds to `heard` every command that the server sees from now on, published hints too.
fn listen_in(port: u16, heard: &Arc<Mutex<Vec<u8>>>) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    write!(stream, "AUTH {PASSWORD}\r\nMONITOR\r\n").unwrap();
    let ours = heard.clone();
    thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            ours.lock().unwrap().extend(&bytes[..read]);
        }
    });
}

/// All files below `folder`, by name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| match path.is_dir() {
        true => files(&path),
        false => vec![(path.display().to_string(), fs::read(&path).unwrap())],
    };
    entries.flat_map(read).collect()
}

fn holds(bytes: &[u8], word: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(word)
}

/// Where `word` stands.
fn found<'a>(all: &'a [(String, Vec<u8>)], word: &str) -> Vec<&'a str> {
    all.iter().filter(|(_, bytes)| holds(bytes, word)).map(|(name, _)| name.as_str()).collect()
}

/// An agent that quotes all it is told, where a person would look for help.
fn quoting_server() -> HttpServer {
    HttpServer::start(|request| {
        let everything = format!("{REASON}: {} {:?}", request.line, request.headers);
        match request.json()["message"]["body"]["say"].as_str() {
            Some("fine") => Act::reply("fine"),
            Some("refuse") => {
                let body = serde_json::json!({ "message": everything, "data": { "retry": false } });
                Act::status("403 Forbidden", &[], &body.to_string())
            }
            Some("redirect") => Act::status("302 Found", &[("location", &everything.replace(' ', "/"))], ""),
            Some("garbage") => Act::status("200 OK", &[], &everything),
            Some("close") => Act::Close(Vec::new()),
            _ => Act::status("503 Service Unavailable", &[("retry-after", "0")], &everything),
        }
    })
}

/// Answers, refuses, says what is no answer, or dies; and quotes what it was given wherever it can.
const CHILD: &str = r#"
import json, sys, os
given = os.environ["DESK_PASSWORD"], os.environ["WRITTEN"]
for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    say = request["params"]["message"]["body"]["say"]
    if say == "die":
        sys.exit(f"mArkerInAReason: out of luck with {given}")
    answer = {"jsonrpc": "2.0", "id": request["id"]}
    if say == "fine":
        answer["result"] = {"reply": {"text": "fine"}, "state": {"seen": True}}
    else:
        answer["error"] = {"code": 1, "message": f"mArkerInAReason: {given}"}
    if say == "garbage":
        print("no JSON", given)
        print(json.dumps({"jsonrpc": "2.0", "id": 1, "method": given[0]}))
        answer = {"id": request["id"], "result": {"append": [{"kind": given[1], "body": {}}]}}
    print(json.dumps(answer), flush=True)
"#;

fn declared(server: &HttpServer) -> String {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let often = "tries = 2\nbackoff = { first = '1ms', max = '10ms' }";
    format!(
        r#"
[agents.web]
type = "http"
url = "{url}?key={QUERY}"
headers = {{ authorization = "Bearer ${{SHOP_TOKEN}}", x-written = "{WRITTEN}" }}
{often}

[agents.down]
type = "http"
url = "http://127.0.0.1:{nobody}/?key={QUERY}"
headers = {{ authorization = "Bearer ${{SHOP_TOKEN}}" }}
{often}

[agents.desk]
type = "exec"
command = ["python3", "desk.py"]
env = {{ DESK_PASSWORD = "${{DESK_PASSWORD}}", WRITTEN = "{WRITTEN}" }}
{often}
"#,
        url = server.url(),
    )
}

#[test]
fn no_secret_is_in_redis_in_a_log_or_in_what_a_command_says() {
    let server = quoting_server();
    let mut scene = Scene::new(&declared(&server));
    fs::write(scene.folder.path().join("desk.py"), CHILD).unwrap();
    let mut worker = scene.worker();
    let shown_by_ps = fs::read(format!("/proc/{}/cmdline", worker.pid())).unwrap();
    scene.said.push(("ps".to_owned(), shown_by_ps));
    for session in ["web/a", "down/a", "desk/a"] {
        for say in ["fine", "refuse", "redirect", "garbage", "close", "die", "fine"] {
            let body = format!(r#"{{"say":"{say}","marker":"{MESSAGE}"}}"#);
            scene.run(&["send", session, "--body", &body, "--wait=20s"]);
        }
    }
    scene.run(&["send", "nobody/a", "hello", "--wait=100ms"]);
    let agents = scene.agents();
    for args in [
        &["workers"][..],
        &["sessions"],
        &["sessions", "--json"],
        &["show", "web/a"],
        &["history", "web/a"],
        &["history", "desk/a", "--json"],
        &["dead", "ls"],
        &["dead", "ls", "--json"],
        &["keys", "web/a"],
        &["doctor"],
        &["check", &agents],
        &["check", &agents, "--json"],
    ] {
        scene.run(args);
    }
    // Connections break, and the password is not the one it was.
    scene.redis.restart();
    listen_in(scene.redis.port(), &scene.monitor);
    scene.run(&["send", "web/b", "--body", r#"{"say":"fine"}"#, "--wait=20s"]);
    let wrong = scene.redis.url().replace(PASSWORD, WRONG_PASSWORD);
    let nowhere = format!("redis://ann:{PASSWORD}@127.0.0.1:1");
    let malformed = format!("redis://:{PASSWORD}@:what:");
    let socket = format!("unix:///no/such/socket?pass={PASSWORD}");
    for url in [&wrong, &nowhere, &malformed, &socket] {
        for args in [&["worker", "--agents", &agents, "--timeout", "1s"][..], &["doctor", "--timeout", "1s"]]
        {
            assert_ne!(scene.run_on(url, args), Some(0), "{args:?}");
        }
    }
    worker.drain(SOON);
    let said = worker.said().into_bytes();

    let mut all = scene.everything();
    all.push(("the worker's stdout".to_owned(), said));
    for secret in SECRETS {
        let places = found(&all, secret);
        assert!(places.is_empty(), "{secret} stands in {places:?}");
    }
    // Else nothing would have been found whatever there was.
    let messages = found(&all, MESSAGE).join(", ");
    for place in ["appendonlydir", "dump.rdb", "MONITOR", "history web/a", "dead ls"] {
        assert!(messages.contains(place), "{place} is not in {messages}");
    }
    let reasons = found(&all, REASON).join(", ");
    for place in ["appendonlydir", "dump.rdb", "MONITOR", "log", "send web/a", "send desk/a", "history web/a"]
    {
        assert!(reasons.contains(place), "{place} is not in {reasons}");
    }
}

#[test]
fn a_variable_that_is_not_set_is_named_and_no_other_is_shown() {
    let server = quoting_server();
    let mut scene = Scene::new(&declared(&server).replace("${DESK_PASSWORD}", "${NOT_SET_ANYWHERE}"));
    let agents = scene.agents();
    for args in [&["worker", "--agents", &agents][..], &["check", &agents]] {
        assert_eq!(scene.run(args), Some(2));
    }
    File::create(scene.log()).unwrap();
    let all = scene.everything();
    assert_eq!(found(&all, "NOT_SET_ANYWHERE").len(), 2);
    for secret in SECRETS {
        assert!(found(&all, secret).is_empty(), "{secret} stands in {:?}", found(&all, secret));
    }
}
