//! Noticing what a server lost: what was acknowledged of a session is looked for whenever there is reason to doubt it.
//!
//! A reason is another start of the server. Then every session that was owned here a while ago is claimed again, or looked
//! at by its owner; and where the last commit of a session that is claimed is not the one that was seen acknowledged,
//! and that entry is not there either, its new owner writes down what is lost before it does anything else.

use std::time::Duration;

use tracing::{debug, warn};

use super::{
    actor::{Departure, REPEAT_AFTER, SessionActor},
    incarnation::Incarnation,
    supervisor::Command,
    trust::Window,
};
use crate::{
    model::{Acknowledged, Entry, Loss, SessionRecord},
    store::{HistoryRange, Look, Store, StoreError, StoreResult},
};

/// How many entries are looked through before all are.
const NEWEST: usize = 256;

/// What became of what is known.
enum Finding {
    /// It is there, or told of, or nothing to doubt.
    Well,
    Lost(Loss),
    /// There is no such session.
    Gone,
}

impl<S: Store> Incarnation<S> {
    /// Looks at every session that may have lost something.
    pub(super) fn look_for_losses(&self) {
        let (commands, sessions) = (self.commands.clone(), self.ledger.sessions());
        self.spawn(async move {
            // Nobody listens only when the incarnation is over.
            _ = commands.send(Command::LookEverywhere).await;
            _ = commands.send(Command::Recover(sessions)).await;
        });
    }
}

impl<S: Store> SessionActor<S> {
    /// What the server lost of the session since this worker saw it acknowledged. `record` is as it was claimed.
    pub(super) async fn lost(
        &self,
        record: Option<&SessionRecord>,
        window: &Window,
    ) -> Result<Option<Loss>, Departure> {
        let Some(known) = self.shared.ledger.known(&self.session) else { return Ok(None) };
        if record.is_some_and(|record| record.commit.as_ref() == Some(&known.commit)) {
            return Ok(None);
        }
        tokio::select! {
            biased;
            () = self.shared.stops.lost.cancelled() => Err(Departure::Lost),
            () = window.ended(&self.shared.env) => Err(Departure::Distrusted),
            loss = self.insist_on_loss(&known) => loss,
        }
    }

    async fn insist_on_loss(&self, known: &Acknowledged) -> Result<Option<Loss>, Departure> {
        loop {
            match self.look_for_loss(known).await {
                Ok(Finding::Well) => return Ok(None),
                Ok(Finding::Lost(loss)) => {
                    self.shared.ledger.found_lost(&self.session);
                    return Ok(Some(loss));
                }
                // Deleted, or lost whole: then its next message makes it anew.
                Ok(Finding::Gone) => return Err(Departure::Unreported),
                Err(err @ StoreError::Unreadable { .. }) => {
                    warn!(session = %self.session, error = %err, "cannot see whether something is lost");
                    return Ok(None);
                }
                Err(err) => debug!(session = %self.session, error = %err, "looking for losses again"),
            }
            self.shared.env.sleep(REPEAT_AFTER).await;
        }
    }

    async fn look_for_loss(&self, known: &Acknowledged) -> StoreResult<Finding> {
        let is_in_doubt = || self.shared.ledger.is_in_doubt(&self.session, self.shared.env.now());
        if !is_in_doubt() {
            self.shared.meet_server().await?;
        }
        if !is_in_doubt() {
            return Ok(Finding::Well);
        }
        // First the record: it may then only be older than the history.
        let record = match self.shared.store.look(&self.session).await? {
            Look::Here(sight) => sight.record,
            Look::Unreadable(_) | Look::Overwritten { .. } => return Ok(Finding::Well),
            Look::Absent => {
                warn!(session = %self.session, "a session is gone: lost with its server, or deleted");
                self.shared.ledger.found_gone(&self.session);
                return Ok(Finding::Gone);
            }
        };
        if record.commit.as_ref() == Some(&known.commit) {
            return Ok(Finding::Well);
        }
        let history = self.history_back_to(known).await?;
        Ok(Loss::of(known, &history, &record).map_or_else(
            || {
                self.shared.ledger.forget(&self.session);
                Finding::Well
            },
            Finding::Lost,
        ))
    }

    /// The newest entries, as far back as before what is known, or to the beginning.
    async fn history_back_to(&self, known: &Acknowledged) -> StoreResult<Vec<Entry>> {
        let read =
            |most| self.shared.store.history(&self.session, HistoryRange::Newest(most), Duration::ZERO);
        let newest = read(NEWEST).await?;
        match newest.first() {
            Some(first) if first.id > known.entry && newest.len() == NEWEST => read(0).await,
            _ => Ok(newest),
        }
    }
}
