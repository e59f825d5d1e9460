//! One run of the agent: what it waits for before it, what it sees, and what it makes durable before its end.

use std::{
    ops::ControlFlow,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tracing::debug;

use super::{Look, Owner};
use crate::{
    model::{Entry, Failure, Message, SessionId},
    runtime::{
        actor::{Departure, REPEAT_AFTER},
        agent::{Run, is_new_state},
        beyond, boundary,
        env::{Env, Moment},
        turn::{BoundaryRequest, Desk, TurnContext},
    },
    store::{HistoryRange, Lack, Leaving, Store, StoreError, StoreResult},
};

impl<S: Store> Owner<S> {
    /// What the server lacks for what a message asks for over its agent's class, if it does so for long: nothing runs
    /// meanwhile. Breaks off if the session is not ours to run any more.
    pub(super) async fn lack_for(&mut self, message: &Message) -> ControlFlow<Departure, Option<Lack>> {
        let class = self.class_of(message);
        if class == self.hosted.class {
            return ControlFlow::Continue(None);
        }
        let (stops, env, window) = (self.shared.stops.clone(), self.shared.env.clone(), self.window.clone());
        let session = self.lease.session().clone();
        let mut lasting = Box::pin(beyond::lasting_lack(self.shared.clone(), session, class));
        loop {
            tokio::select! {
                biased;
                () = stops.lost.cancelled() => return ControlFlow::Break(Departure::Lost),
                () = window.ended(&env) => return ControlFlow::Break(Departure::Distrusted),
                lack = &mut lasting => return ControlFlow::Continue(lack),
                () = stops.drain.cancelled() => break,
                seen = self.refresh_when_due() => self.looked(seen, Look::Running)?,
            }
        }
        // It may hold what leaving needs.
        drop(lasting);
        self.leave(Leaving::HandOff).await?;
        ControlFlow::Break(Departure::HandedOff)
    }

    /// Runs the agent once. Breaks off, with nothing written, if the session is not ours to run any more.
    pub(super) async fn run_agent(
        &mut self,
        message: &Message,
        turn: u64,
        attempt: u32,
    ) -> ControlFlow<Departure, Run> {
        let (stops, env, window) = (self.shared.stops.clone(), self.shared.env.clone(), self.window.clone());
        let (shared, hosted) = (self.shared.clone(), self.hosted.clone());
        let limit = hosted.policy.timeout;
        let desk = Desk::default();
        let unread = Unread::default();
        let mut context = self.context(turn, attempt, desk.clone(), unread.clone());
        let state = match &self.state {
            Ok(state) => state.clone(),
            Err(why) => return ControlFlow::Continue(Run::Unreadable(why.clone())),
        };
        let mut run = Box::pin(async {
            let _slot = hosted.slots.acquire().await.expect("slots are never closed");
            shared.counted(&hosted);
            context.deadline = env.now().plus(limit);
            env.timeout(limit, hosted.agent.run(context, state.as_deref(), message.clone())).await
        });
        loop {
            tokio::select! {
                biased;
                () = stops.lost.cancelled() => return ControlFlow::Break(Departure::Lost),
                () = window.ended(&env) => return ControlFlow::Break(Departure::Distrusted),
                ended = &mut run => {
                    let ended = ended.unwrap_or_else(|| Run::Failed(timed_out(limit)));
                    return ControlFlow::Continue(for_want_of(&unread, ended));
                }
                // Right after the run, and before the grace may end it: what it asked for is not lost.
                request = desk.left() => self.make_boundary(request, message, turn).await?,
                () = stops.grace_over.cancelled() => {
                    // First the run: what it does outside ends before the next owner can begin.
                    drop(run);
                    self.leave(Leaving::HandOff).await?;
                    return ControlFlow::Break(Departure::HandedOff);
                }
                // The run goes on meanwhile.
                seen = self.refresh_when_due() => self.looked(seen, Look::Running)?,
            }
        }
    }

    /// Makes durable what the run under way did so far, and tells it.
    async fn make_boundary(
        &mut self,
        request: BoundaryRequest,
        message: &Message,
        turn: u64,
    ) -> ControlFlow<Departure> {
        let BoundaryRequest { appended, state, done } = request;
        let before = self.state.as_ref().expect("a run begins with a state that can be read");
        let changed = is_new_state(before.as_deref(), &state).then_some(state);
        let resume = self.hosted.policy.resume;
        let (mut boundary, position) =
            boundary::middle(&self.position, turn, message, appended, changed.as_deref(), resume);
        boundary.class = self.class_of(message);
        self.commit(boundary, 0).await?;
        self.position = position;
        if let Some(state) = changed {
            self.state = Ok(Some(state.into()));
        }
        // A run that does not wait for it any more fails by that.
        _ = done.send(());
        ControlFlow::Continue(())
    }

    /// What the agent sees; its deadline is set when the run begins.
    fn context(&self, turn: u64, attempt: u32, desk: Desk, unread: Unread) -> TurnContext {
        let (store, env) = (self.shared.store.clone(), self.shared.env.clone());
        let session = self.lease.session().clone();
        TurnContext {
            session: session.clone(),
            turn,
            attempt,
            deadline: Moment::default(),
            env: self.shared.env.clone(),
            history: self.hosted.policy.history,
            read_history: Arc::new(move |most| {
                let (store, env, session) = (store.clone(), env.clone(), session.clone());
                let unread = unread.clone();
                Box::pin(async move {
                    let read = read_history(store, env, session, most).await;
                    read.inspect_err(|err| remember(&unread, err))
                })
            }),
            boundaries: self.position.boundaries(),
            desk,
        }
    }
}

/// A session's newest entries. A server that does not answer, or is loading, is asked again: that is no failure of the run.
async fn read_history<S: Store>(
    store: S,
    env: Env,
    session: SessionId,
    most: usize,
) -> StoreResult<Vec<Entry>> {
    loop {
        match store.history(&session, HistoryRange::Newest(most), Duration::ZERO).await {
            Err(err) if err.passes() => debug!(%session, error = %err, "reading again"),
            read => return read,
        }
        env.sleep(REPEAT_AFTER).await;
    }
}

/// Why a run could not read its history, if that was so.
type Unread = Arc<OnceLock<String>>;

fn remember(unread: &Unread, err: &StoreError) {
    if let StoreError::Unreadable { .. } = err {
        _ = unread.set(err.to_string());
    }
}

/// A run that failed, and could not read its history: that is not the message's doing, and no further try would mend it.
fn for_want_of(unread: &Unread, run: Run) -> Run {
    match (run, unread.get()) {
        (Run::Failed(_), Some(why)) => Run::Unreadable(why.clone()),
        (run, _) => run,
    }
}

fn timed_out(limit: Duration) -> Failure {
    let message = format!("the agent did not answer within {limit:?}");
    Failure { reason: "timeout", message, retry: true, not_before: Duration::ZERO }
}
