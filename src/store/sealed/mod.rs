//! A store around a store that keeps bodies and states under [seal](crate::model::seal): what lies in Redis can be read
//! only by who has the key. To callers it is the same contract; no script knows of it.
//!
//! Sealed are messages, entries, states, dead letters, and the answers to messages that came sealed. What is in clear
//! already, or comes so by the plain door or from a sender without keys, is read as it is. Whatever a message is sealed
//! with when it is accepted it keeps until its entry is written.
//!
//! What cannot be opened, because its key is not here or it was changed or moved, is unreadable to a worker: its session is
//! set aside with all that it holds as it is, and goes on after `unquarantine` once that is mended. A repeat of an operation
//! seals again, under another nonce: no operation compares bodies.

mod answer;
mod groups;
mod inbox;
mod listener;
mod opening;
mod sealing;
mod snapshot;
mod store;

use std::{fmt, sync::Arc};

pub use listener::SealedListener;

use self::groups::Groups;
use crate::model::{
    Namespace, SessionId,
    seal::{Content, Keyring, Nonce24, Place},
};

/// Where seals get their nonces: random, and never twice the same.
pub trait Nonces: Send + Sync + 'static {
    /// The next one.
    fn draw(&self) -> Nonce24;
}

/// A store that seals what it writes, and opens what it reads. Without a key it only tells what it cannot open.
#[derive(Clone)]
pub struct Sealed<S> {
    inner: S,
    seals: Seals,
}

/// All that sealing and opening takes.
#[derive(Clone)]
struct Seals {
    namespace: Namespace,
    keyring: Keyring,
    nonces: Arc<dyn Nonces>,
    groups: Groups,
    unopened: UnopenedEntry,
}

/// What becomes of an entry in a history that cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnopenedEntry {
    /// The whole history is unreadable.
    Refuse,
    /// [`Unopened::as_body`](crate::model::seal::Unopened::as_body) stands in its place.
    Show,
}

impl<S> Sealed<S> {
    /// `inner`, which is the store of `namespace`, under these keys. An entry that cannot be opened is an error to who
    /// reads a history.
    pub fn new(inner: S, namespace: Namespace, keyring: Keyring, nonces: Arc<dyn Nonces>) -> Self {
        let (groups, unopened) = (Groups::default(), UnopenedEntry::Refuse);
        Self { inner, seals: Seals { namespace, keyring, nonces, groups, unopened } }
    }

    /// The same for who only looks: in place of an entry that cannot be opened stands which key it names, and why.
    pub fn showing_unopened(self) -> Self {
        Self { seals: self.seals.showing_unopened(), ..self }
    }

    /// What it is around.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The keys it has.
    pub fn keyring(&self) -> &Keyring {
        &self.seals.keyring
    }
}

impl Seals {
    fn showing_unopened(self) -> Self {
        Self { unopened: UnopenedEntry::Show, ..self }
    }

    fn place<'a>(&'a self, session: &'a SessionId, content: Content) -> Place<'a> {
        Place::of(&self.namespace, Some(session), content)
    }
}

impl<S: fmt::Debug> fmt::Debug for Sealed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("inner", &self.inner)
            .field("keyring", &self.seals.keyring)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Body, seal::Seal},
        runtime::Env,
        store::memory::MemoryStore,
    };

    fn sealed(seed: u64) -> Sealed<MemoryStore> {
        let keyring = Keyring::parse("k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let env = Env::seeded(seed);
        let (namespace, settings) = ("shop".parse::<Namespace>().unwrap(), Default::default());
        let store = MemoryStore::new(namespace.clone(), settings, Arc::new(env.clone()));
        Sealed::new(store, namespace, keyring, Arc::new(env))
    }

    /// A thousand seals of one body at one place.
    fn drawn(store: &Sealed<MemoryStore>) -> Vec<Body> {
        let (seals, session) = (&store.seals, "echo/a".parse().unwrap());
        let key = seals.keyring.sealing(None).unwrap();
        let place = seals.place(&session, Content::State);
        (0..1000).map(|_| seals.close(key, &place, "{}")).collect()
    }

    #[test]
    fn a_seed_gives_the_same_seals_and_no_two_of_them_are_alike() {
        let first = drawn(&sealed(7));
        assert_eq!(first, drawn(&sealed(7)));
        let distinct: std::collections::BTreeSet<_> = first.iter().map(Body::as_json).collect();
        assert_eq!(distinct.len(), first.len());
        assert!(first.iter().all(|body| Seal::is_form_of(body.as_json())));
        assert_ne!(first, drawn(&sealed(8)));
    }

    #[test]
    fn what_is_shown_of_a_store_holds_no_key() {
        let shown = format!("{:?}", sealed(1).seals.keyring);
        assert_eq!(shown, "Keyring([SealingKey(k1)])");
    }
}
