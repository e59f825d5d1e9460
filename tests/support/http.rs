//! An HTTP server of the test's own, which behaves as badly as the test wants it to.
//!
//! One thread a connection, and plain blocking reads: what goes over the wire is what the test wrote.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Counted from 0 in the order in which they were opened.
    pub connection: usize,
    /// Which request of its connection this is, from 0.
    pub number: usize,
    /// Method, path, version.
    pub line: String,
    /// By name in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    /// The body, which is JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// What the server does next.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answers with these bytes, and goes on with the next request of the connection.
    Answer(Vec<u8>),
    /// Answers with these bytes (perhaps none), and closes the connection.
    Close(Vec<u8>),
    /// Writes these bytes, and no more until the other side closes.
    Stall(Vec<u8>),
}

impl Act {
    /// A whole answer.
    pub fn status(status: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = body.len();
        Self::Answer(format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}").into())
    }

    /// A turn's result.
    pub fn reply(text: &str) -> Self {
        let body = serde_json::json!({ "reply": { "text": text } }).to_string();
        Self::status("200 OK", &[("content-type", "application/json")], &body)
    }
}

type Behaviour = Box<dyn Fn(&Request) -> Act + Send + Sync>;

/// A running server; its threads end with the test's process.
#[derive(Clone)]
pub struct HttpServer {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

/// What came so far.
#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<Request>,
    abandoned: usize,
}

impl HttpServer {
    /// A server that does with each request what `behaviour` says.
    pub fn start(behaviour: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        Self::serve(None, Box::new(behaviour))
    }

    /// The same behind TLS.
    pub fn start_tls(
        config: ServerConfig,
        behaviour: impl Fn(&Request) -> Act + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Some(Arc::new(config)), Box::new(behaviour))
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT/turn`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/turn", self.port)
    }

    /// All requests so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.seen().requests.clone()
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.seen().connections
    }

    /// How often the other side closed a connection that it was still owed an answer on.
    pub fn abandoned(&self) -> usize {
        self.seen().abandoned
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().expect("no holder panics")
    }

    fn serve(tls: Option<Arc<ServerConfig>>, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let server = Self { port, seen: Arc::default() };
        let (ours, behaviour) = (server.clone(), Arc::new(behaviour));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (server, behaviour, tls) = (ours.clone(), behaviour.clone(), tls.clone());
                // A connection that breaks concerns nobody but its client.
                thread::spawn(move || _ = server.connection(stream, tls, &**behaviour));
            }
        });
        server
    }

    fn connection(
        &self,
        stream: TcpStream,
        tls: Option<Arc<ServerConfig>>,
        behaviour: &dyn Fn(&Request) -> Act,
    ) -> io::Result<()> {
        let connection = {
            let mut seen = self.seen();
            seen.connections += 1;
            seen.connections - 1
        };
        stream.set_nodelay(true)?;
        match tls {
            None => self.talk(BufReader::new(stream), connection, behaviour),
            Some(config) => {
                let session = ServerConnection::new(config).map_err(io::Error::other)?;
                self.talk(BufReader::new(StreamOwned::new(session, stream)), connection, behaviour)
            }
        }
    }

    fn talk<S: Read + Write>(
        &self,
        mut stream: BufReader<S>,
        connection: usize,
        behaviour: &dyn Fn(&Request) -> Act,
    ) -> io::Result<()> {
        for number in 0.. {
            let Some(request) = read(&mut stream, connection, number)? else { break };
            self.seen().requests.push(request.clone());
            match behaviour(&request) {
                Act::Answer(bytes) => stream.get_mut().write_all(&bytes)?,
                Act::Close(bytes) => return stream.get_mut().write_all(&bytes),
                Act::Stall(bytes) => {
                    stream.get_mut().write_all(&bytes)?;
                    stream.get_mut().flush()?;
                    // The other side has nothing more to say: this returns when it goes.
                    _ = stream.read_to_end(&mut Vec::new());
                    self.seen().abandoned += 1;
                    break;
                }
            }
            stream.get_mut().flush()?;
        }
        Ok(())
    }
}

/// The next request of a connection; none when the client is done with it.
fn read(stream: &mut impl BufRead, connection: usize, number: usize) -> io::Result<Option<Request>> {
    let Some(line) = read_line(stream)? else { return Ok(None) };
    let mut headers = BTreeMap::new();
    while let Some(header) = read_line(stream)?.filter(|header| !header.is_empty()) {
        let (name, value) = header.split_once(':').expect("a header has a colon");
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a number"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some(Request { connection, number, line, headers, body }))
}

fn read_line(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let ended = stream.read_until(b'\n', &mut line)? == 0;
    Ok((!ended).then(|| String::from_utf8_lossy(line.trim_ascii_end()).into_owned()))
}
