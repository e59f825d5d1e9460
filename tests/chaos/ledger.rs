//! What the senders know, kept outside Redis: what they sent, what was accepted, what was answered, and when.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use serde::Serialize;
use tenure::{
    SessionId,
    client::Receipt,
    model::{Envelope, MessageId},
};

/// How a message comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Door {
    /// Through the client.
    Client,
    /// By `XADD`.
    Plain,
}

/// One message of one sender.
#[derive(Debug, Clone, Serialize)]
pub struct Note {
    pub sender: usize,
    pub session: SessionId,
    /// Its number in the session, from 1.
    pub n: u64,
    pub door: Door,
    /// When it was tried first.
    pub sent: Duration,
    /// How often it was tried, later repeats too.
    pub tries: u32,
    pub accepted: Option<Duration>,
    /// Its name, if the door gave one.
    pub message: Option<MessageId>,
    pub answered: Option<Duration>,
    /// Every reply that came, in order.
    pub replies: Vec<Envelope>,
    /// What the client's door said to the same id later.
    #[serde(skip)]
    pub repeats: Vec<Receipt>,
}

impl Note {
    /// From the first try to the reply.
    pub fn wait(&self) -> Option<Duration> {
        Some(self.answered?.saturating_sub(self.sent))
    }
}

/// All notes, by the message's own id.
pub struct Ledger {
    began: Instant,
    book: Mutex<Book>,
}

/// What the ledger holds.
#[derive(Debug, Clone, Default)]
pub struct Book {
    pub notes: BTreeMap<String, Note>,
    /// What senders were told instead of an answer, and how often.
    pub complaints: BTreeMap<String, u64>,
    /// What should never have come.
    pub strange: Vec<String>,
}

impl Ledger {
    pub fn new() -> Self {
        Self { began: Instant::now(), book: Mutex::default() }
    }

    /// The time of the run.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn sent(&self, id: &str, sender: usize, session: &SessionId, n: u64, door: Door) {
        let note = Note {
            sender,
            session: session.clone(),
            n,
            door,
            sent: self.now(),
            tries: 0,
            accepted: None,
            message: None,
            answered: None,
            replies: Vec::new(),
            repeats: Vec::new(),
        };
        self.book().notes.insert(id.to_owned(), note);
    }

    pub fn tried(&self, id: &str) {
        self.with(id, |note| note.tries += 1);
    }

    pub fn accepted(&self, id: &str, message: Option<MessageId>) {
        let now = self.now();
        self.with(id, |note| (note.accepted, note.message) = (Some(now), message));
    }

    pub fn repeated(&self, id: &str, receipt: Receipt) {
        self.with(id, |note| note.repeats.push(receipt));
    }

    /// The session of the message, if this was its first reply.
    pub fn answered(&self, payload: &str) -> Option<SessionId> {
        let now = self.now();
        let envelope: Envelope = match serde_json::from_str(payload) {
            Ok(envelope) => envelope,
            Err(err) => return self.found_strange(format!("a reply that cannot be read: {err}: {payload}")),
        };
        let mut book = self.book();
        let id = envelope.id.as_ref().map(ToString::to_string).unwrap_or_default();
        let Some(note) = book.notes.get_mut(&id) else {
            drop(book);
            return self.found_strange(format!("a reply to a message that nobody sent: {payload}"));
        };
        note.replies.push(envelope);
        let first = note.answered.is_none();
        note.answered = note.answered.or(Some(now));
        first.then(|| note.session.clone())
    }

    pub fn complained(&self, what: String) {
        *self.book().complaints.entry(what).or_default() += 1;
    }

    /// How many were sent, and how many are not answered.
    pub fn standing(&self) -> (usize, usize) {
        let book = self.book();
        (book.notes.len(), book.notes.values().filter(|note| note.answered.is_none()).count())
    }

    /// All of it.
    pub fn read(&self) -> Book {
        self.book().clone()
    }

    fn found_strange<T>(&self, what: String) -> Option<T> {
        self.book().strange.push(what);
        None
    }

    fn with(&self, id: &str, change: impl FnOnce(&mut Note)) {
        change(self.book().notes.get_mut(id).expect("it was sent"));
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().expect("nobody panics while writing")
    }
}

/// Writes one JSON object a line.
pub fn write_lines(path: &Path, lines: impl Iterator<Item = impl Serialize>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for line in lines {
        serde_json::to_writer(&mut file, &line)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}
