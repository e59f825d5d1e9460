//! Short words for what the claims of the contract are about.

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tenure::{
    model::{
        AgentName, Body, Entry, EntryKind, Epoch, Lease, Message, MessageId, Millis, NewEntry, NewMessage,
        Nonce, Partition, Pool, ReplyTo, SessionId, SessionRecord, WorkerId,
    },
    store::{
        Boundary, Claim, Claimant, Claimed, Commit, Deliverer, Done, DutyWish, Hint, HistoryRange, Look,
        Mail, OutReply, Overdue, PartitionSnapshot, Presence, Purpose, Reckoning, Release, Renewal, Run,
        Sent, SessionSnapshot, StateChange, Store, Suspect,
    },
};
use uuid::Uuid;

use super::ground::Ground;

/// Every worker's lease, unless a test says otherwise.
pub const LEASE: Duration = Duration::from_secs(10);
/// What `own` is set for.
pub const OWN_TTL: Duration = Duration::from_secs(60);
/// One millisecond.
pub const MS: Duration = Duration::from_millis(1);
/// As long as idempotency keys and buried workers are remembered.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// More mail than any test sends.
pub const PAGE: usize = 100;

/// A store, and a source of ids that never repeat.
pub struct World<G> {
    ground: G,
    drawn: AtomicU64,
}

/// A worker that listens.
pub struct Ears<G: Ground> {
    worker: WorkerId,
    listener: <G::Store as Store>::Listener,
}

impl<G> Deref for World<G> {
    type Target = G;

    fn deref(&self) -> &G {
        &self.ground
    }
}

/// A session of agent `echo`.
pub fn session(key: &str) -> SessionId {
    format!("echo/{key}").parse().expect("a good session")
}

pub fn worker(name: &str) -> WorkerId {
    name.parse().expect("a good worker")
}

pub fn pool(name: &str) -> Pool {
    name.parse().expect("a good pool")
}

pub fn echo() -> AgentName {
    "echo".parse().expect("a good agent")
}

pub fn key(name: &str) -> ReplyTo {
    name.parse().expect("a good reply key")
}

/// The queue of pool `default` and agent `echo`.
pub fn queue() -> (Pool, AgentName) {
    (Pool::default(), echo())
}

impl<G: Ground> World<G> {
    pub fn on(ground: G) -> Self {
        Self { ground, drawn: AtomicU64::new(1) }
    }

    fn draw(&self) -> u64 {
        self.drawn.fetch_add(1, Ordering::Relaxed)
    }

    pub fn name(&self) -> MessageId {
        MessageId(Uuid::from_u64_pair(0x0190_0000_0000_7000, 0x8000_0000_0000_0000 + self.draw()))
    }

    pub fn partition(&self, session: &SessionId) -> Partition {
        self.store().partitions().of(session)
    }

    // ---- messages

    pub fn message(&self, session: &SessionId, text: &str) -> NewMessage {
        NewMessage {
            session: session.clone(),
            message: self.name(),
            id: None,
            reply_to: None,
            body: Body::text(text),
            group: None,
            resume: None,
            pool: Pool::default(),
            durability: Default::default(),
            class: Default::default(),
        }
    }

    /// A message with the sender's own key.
    pub fn message_with_id(&self, session: &SessionId, id: &str) -> NewMessage {
        NewMessage { id: Some(id.parse().expect("a good id")), ..self.message(session, "hello") }
    }

    /// A message whose answer goes to `list` by way of `out`, whatever the store: who sent it wants none, and somebody who
    /// asks again does.
    pub async fn asked_again(&self, session: &SessionId, list: &str) -> NewMessage {
        let id = format!("asked-{}", self.draw());
        let first = self.accepted(self.message_with_id(session, &id)).await;
        let again = NewMessage { reply_to: Some(key(list)), ..self.message_with_id(session, &id) };
        let sent = self.sent(&again).await;
        assert!(matches!(sent, Sent::Repeat { message, .. } if message == first.message), "{sent:?}");
        first
    }

    pub async fn sent(&self, message: &NewMessage) -> Sent {
        self.store().send(message).await.expect("the store answers")
    }

    /// Sends a message that is accepted.
    pub async fn accepted(&self, message: NewMessage) -> NewMessage {
        let sent = self.sent(&message).await;
        assert!(matches!(sent, Sent::Accepted { message: name, .. } if name == message.message), "{sent:?}");
        message
    }

    /// Sends some text that is accepted.
    pub async fn send(&self, session: &SessionId, text: &str) -> NewMessage {
        self.accepted(self.message(session, text)).await
    }

    // ---- workers

    pub fn presence(&self, name: &str) -> Presence {
        Presence {
            worker: worker(name),
            lease: LEASE,
            pool: Pool::default(),
            agents: vec![echo()],
            full: Default::default(),
            load: None,
            duty: DutyWish::Leave,
        }
    }

    pub async fn renewed(&self, at: &SessionId, presence: &Presence) -> Renewal {
        self.store().renew(self.partition(at), presence).await.expect("the store answers")
    }

    /// Makes a worker without room known where `at` lives.
    pub async fn join(&self, at: &SessionId, name: &str) {
        self.join_as(at, &self.presence(name)).await;
    }

    /// Makes a worker with that load known where `at` lives.
    pub async fn join_with_load(&self, at: &SessionId, name: &str, load: u64) {
        self.join_as(at, &Presence { load: Some(load), ..self.presence(name) }).await;
    }

    pub async fn join_as(&self, at: &SessionId, presence: &Presence) -> Renewal {
        self.store().join(self.partition(at), presence).await.expect("the store answers")
    }

    pub async fn listen(&self, name: &str) -> Ears<G> {
        let worker = worker(name);
        let listener = self.store().listen(&worker).await.expect("the store answers");
        Ears { worker, listener }
    }

    /// What came in for a worker since it was asked last.
    pub async fn heard(&self, ears: &mut Ears<G>) -> Vec<Hint> {
        self.ground.heard(&ears.worker, &mut ears.listener).await
    }

    /// Lets a worker's lease pass, whoever else renewed.
    pub fn let_leases_pass(&self) {
        self.advance(LEASE + MS);
    }

    // ---- ownership

    pub fn claimant(&self, name: &str) -> Claimant {
        Claimant {
            worker: worker(name),
            pool: Pool::default(),
            nonce: Nonce(self.draw()),
            own_ttl: OWN_TTL,
            seen: Epoch(0),
            overdue: Overdue::Bury,
            suspect: Suspect::Take,
            purpose: Purpose::Run,
            class: Default::default(),
        }
    }

    /// What a caller knows that has seen this server, and expects its clock to show `until` at most.
    pub async fn reckoning(&self, until: Millis) -> Reckoning {
        let run = self.store().vital(&[]).await.unwrap().run;
        Reckoning { run: Run::named(&run), until }
    }

    pub async fn claims(&self, name: &str, session: &SessionId) -> Claim {
        self.claims_as(&self.claimant(name), session).await
    }

    pub async fn claims_as(&self, claimant: &Claimant, session: &SessionId) -> Claim {
        self.store().claim(session, claimant, PAGE).await.expect("the store answers")
    }

    /// Claims a session and gets it.
    pub async fn claimed(&self, name: &str, session: &SessionId) -> Claimed {
        match self.claims(name, session).await {
            Claim::Won(claimed) => *claimed,
            other => panic!("{name} should have won {session}: {other:?}"),
        }
    }

    /// Claims a session that has one fresh message.
    pub async fn claimed_with_mail(&self, name: &str, session: &SessionId) -> (Claimed, Message) {
        self.join(session, name).await;
        self.send(session, "hello").await;
        let claimed = self.claimed(name, session).await;
        let first = first_message(&claimed.mail);
        (claimed, first)
    }

    pub async fn released(&self, lease: &Lease, leaving: tenure::store::Leaving) -> Release {
        self.store().release(lease, leaving, PAGE).await.expect("the store answers")
    }

    // ---- turns

    /// A boundary that writes nothing but itself.
    pub fn boundary(&self, record: &SessionRecord) -> Boundary {
        Boundary {
            commit: format!("c{}", self.draw()),
            after: record.seq,
            boundaries: record.unfinished.map_or(0, |unfinished| unfinished.boundaries),
            turn: record.turns + 1,
            turns: record.turns,
            entries: Vec::new(),
            state: StateChange::Keep,
            of: None,
            done: None,
            unfinished: None,
            tries: 0,
            backoff: None,
            quarantine: None,
            own_ttl: OWN_TTL,
            page: PAGE,
            class: Default::default(),
        }
    }

    /// A boundary that ends the turn of `message` with two entries and an answer.
    pub fn turn_of(&self, record: &SessionRecord, message: &Message) -> Boundary {
        let entry = |kind, text| NewEntry { kind, message: Some(message.message), body: Body::text(text) };
        Boundary {
            turns: record.turns + 1,
            entries: vec![entry(EntryKind::User, "asked"), entry(EntryKind::Assistant, "answered")],
            done: Some(done(message)),
            ..self.boundary(record)
        }
    }

    pub async fn commits(&self, lease: &Lease, boundary: &Boundary) -> Commit {
        self.store().commit(lease, boundary).await.expect("the store answers")
    }

    /// Commits a boundary that is written; what it may hand out, and the mail behind it.
    pub async fn committed(&self, lease: &Lease, boundary: &Boundary) -> (Vec<OutReply>, Vec<Mail>) {
        match self.commits(lease, boundary).await {
            Commit::Done { out, mail } => (out, mail),
            other => panic!("it should have been written: {other:?}"),
        }
    }

    /// Lets `name` take one message of `session` to its end; what may be handed out.
    pub async fn takes_a_turn(&self, name: &str, session: &SessionId) -> Vec<OutReply> {
        let claimed = self.claimed(name, session).await;
        let message = first_message(&claimed.mail);
        self.committed(&claimed.lease, &self.turn_of(&claimed.record, &message)).await.0
    }

    /// Hands out what a commit left for that.
    pub async fn hands_out(&self, session: &SessionId, out: &[OutReply]) {
        let delivered = self.store().deliver(self.partition(session), out, Deliverer::Duty).await;
        delivered.expect("the store answers");
    }

    /// The oldest reply in a list, which is taken.
    pub async fn takes_reply(&self, list: &str) -> Option<String> {
        self.store().take_reply(&key(list), Duration::ZERO).await.expect("the store answers")
    }

    /// The next reply in a list, for which it waits.
    pub async fn waits_for_reply(&self, list: &ReplyTo) -> Option<String> {
        self.store().take_reply(list, Duration::from_secs(20)).await.expect("the store answers")
    }

    /// A claimed session whose only message waits for its next try, `wait` from now.
    pub async fn backing_off(&self, name: &str, session: &SessionId, wait: Duration) -> Claimed {
        let (claimed, _) = self.claimed_with_mail(name, session).await;
        let boundary = Boundary { backoff: Some(wait), tries: 1, ..self.boundary(&claimed.record) };
        self.committed(&claimed.lease, &boundary).await;
        claimed
    }

    // ---- looking

    pub async fn record(&self, session: &SessionId) -> SessionRecord {
        match self.store().look(session).await.expect("the store answers") {
            Look::Here(sight) => sight.record,
            other => panic!("{session} should be there: {other:?}"),
        }
    }

    pub async fn holds(&self, at: &SessionId) -> PartitionSnapshot {
        self.snapshot().await.partitions.remove(&self.partition(at)).unwrap_or_default()
    }

    pub async fn seen(&self, session: &SessionId) -> SessionSnapshot {
        let found = self.holds(session).await.sessions.remove(session);
        found.unwrap_or_else(|| panic!("{session} should be there"))
    }

    /// Since when the session has been in `ready`, if it is there.
    pub async fn ready_since(&self, session: &SessionId) -> Option<Millis> {
        let ready = self.holds(session).await.ready;
        ready.get(&queue()).and_then(|sessions| sessions.get(session)).copied()
    }

    pub async fn is_ready(&self, session: &SessionId) -> bool {
        self.ready_since(session).await.is_some()
    }

    /// The loads of workers with room.
    pub async fn idle(&self, at: &SessionId) -> BTreeMap<WorkerId, u64> {
        self.holds(at).await.idle.remove(&queue()).unwrap_or_default()
    }

    pub async fn holds_session(&self, name: &str, session: &SessionId) -> bool {
        let held = self.holds(session).await.held;
        held.get(&worker(name)).is_some_and(|held| held.contains(session))
    }

    pub async fn history(&self, session: &SessionId) -> Vec<Entry> {
        let all = HistoryRange::Newest(0);
        self.store().history(session, all, Duration::ZERO).await.expect("the store answers")
    }
}

/// What ends the turn of `message` with an answer.
pub fn done(message: &Message) -> Done {
    Done {
        number: message.number,
        message: message.message,
        id: message.id.clone(),
        reply_to: message.reply_to.clone(),
        answer: format!("{{\"answer\":{}}}", message.number),
        sealed: message.sealed,
        dead: None,
    }
}

pub fn messages(mail: &[Mail]) -> Vec<Message> {
    let message = |mail: &Mail| match mail {
        Mail::Message(message) => message.clone(),
        other => panic!("a message that can be read: {other:?}"),
    };
    mail.iter().map(message).collect()
}

pub fn first_message(mail: &[Mail]) -> Message {
    messages(mail).into_iter().next().expect("there is mail")
}

/// Where replies go, in order.
pub fn to(out: &[OutReply]) -> Vec<&str> {
    out.iter().map(|reply| reply.to.as_str()).collect()
}
