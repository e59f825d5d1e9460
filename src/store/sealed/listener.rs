//! Hints that bring a message bring it opened.

use super::Seals;
use crate::store::{Hint, Listener};

/// The listener of a [`Sealed`](super::Sealed) store.
pub struct SealedListener<L> {
    inner: L,
    seals: Seals,
}

impl<L> SealedListener<L> {
    pub(super) fn new(inner: L, seals: Seals) -> Self {
        Self { inner, seals }
    }

    /// What it is around.
    pub fn inner(&mut self) -> &mut L {
        &mut self.inner
    }
}

impl<L: Listener> Listener for SealedListener<L> {
    async fn recv(&mut self) -> Hint {
        match self.inner.recv().await {
            Hint::Wake { session, mail: Some(mail) } => {
                let mail = Some(Box::new(self.seals.one_mail(&session, *mail)));
                Hint::Wake { session, mail }
            }
            hint => hint,
        }
    }
}
