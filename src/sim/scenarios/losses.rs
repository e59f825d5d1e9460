use super::ground::{Draw, counting, ms, session, tell};
use crate::{
    model::{Entry, EntryId, EntryKind, Loss, SessionId, WorkerConfig},
    sim::{End, Fault, Faults, Planned, Scenario, Workload},
    store::SessionSnapshot,
};

/// How long after the failover all losses are told, at most: some wait until another owner has left.
const TOLD_WITHIN_MS: u64 = 60_000;

/// The replica takes over without the last turns of sessions whose owners live on.
pub(super) const SCENARIO: Scenario = Scenario {
    name: "what-a-failover-lost-is-told-turn-by-turn",
    about: "A replica takes over that lacks the last turns, at `memory`; all workers live on.",
    holds: "The history of each session that had an owner names the turns that were acknowledged and are lost, no others.",
    made: |seed| {
        let mut draw = Draw::of(seed);
        let cut = draw.between_ms(300, 3_000);
        let over = cut + draw.between_ms(1, 2_500);
        let plan = vec![Planned::at(cut, Fault::CutReplica), Planned::at(over, Fault::Failover)];
        let workload = Workload::messages("count", 6, 40).client(move |client| async move {
            client.env().sleep(over + ms(TOLD_WITHIN_MS)).await;
            tell(&client, &session(0), "after").await;
        });
        counting(seed, ms(100))
            .configure(|_, config| WorkerConfig { idle: ms(3_000), ..config })
            .workload(workload)
            .faults(Faults::Plan(plan))
            .check("each loss is told, and nothing else", told)
    },
};

fn told(end: &End) -> Result<(), String> {
    let [before] = end.replaced() else { return Err("there was one failover".to_owned()) };
    let after = end.sessions();
    let sessions = before.partitions.values().flat_map(|partition| &partition.sessions);
    for (session, held) in sessions {
        let Some(now) = after.get(session) else { continue };
        let replied =
            end.acked().iter().filter(|acked| acked.session == *session).filter_map(|acked| acked.entry);
        Judgement::of(held, now, replied.collect()).passed(session)?;
    }
    Ok(())
}

/// What was lost of a session, and what is told of that.
struct Judgement<'e> {
    lost: Vec<&'e Entry>,
    told: Vec<Loss>,
    /// Replies of which clients were told.
    replied: Vec<EntryId>,
    /// Nobody need have known of it: it had no owner, or was lost whole and made anew later.
    may_be_silent: bool,
}

impl<'e> Judgement<'e> {
    fn of(held: &'e SessionSnapshot, now: &'e SessionSnapshot, replied: Vec<EntryId>) -> Self {
        let is_new = held.record.created != now.record.created;
        Self {
            lost: held.history.iter().filter(|entry| !now.history.contains(entry)).collect(),
            told: now.history.iter().filter_map(Loss::in_entry).collect(),
            replied,
            may_be_silent: is_new || held.record.owner.is_none(),
        }
    }

    fn passed(&self, session: &SessionId) -> Result<(), String> {
        let passed = match self.told.as_slice() {
            [] => self.may_be_silent || self.is_unanswered(|_| true) && self.knew_nobody(|_| true),
            [loss] => self.is_right(loss),
            _ => false,
        };
        let lost: Vec<_> = self.lost.iter().map(|entry| entry.id.to_string()).collect();
        let found = || format!("{session}: {:?} is told, and lost is {}", self.told, lost.join(" "));
        if passed { Ok(()) } else { Err(found()) }
    }

    fn is_right(&self, loss: &Loss) -> bool {
        let of_it = || self.lost.iter().filter(|entry| entry.id <= loss.last);
        let ended = of_it().filter(|entry| entry.kind == EntryKind::Assistant).map(|entry| entry.turn);
        let turns = ended.clone().min().zip(ended.max());
        let (first, last) = (of_it().next(), of_it().next_back());
        let entries = first.zip(last).map(|(first, last)| (first.id.seq, last.id.seq));
        let last = last.map(|entry| entry.id);
        (last, entries, turns) == (Some(loss.last), Some(loss.entries), loss.turns)
            && self.is_unanswered(|id| id > loss.last)
            && self.knew_nobody(|id| id > loss.last)
    }

    /// Whether of these only one commit was lost: its answer may have been lost with it, and then it is nobody's loss.
    fn is_unanswered(&self, of_these: impl Fn(EntryId) -> bool) -> bool {
        let mut turns = self.lost.iter().filter(|entry| of_these(entry.id)).map(|entry| entry.turn);
        let first = turns.next();
        turns.all(|turn| Some(turn) == first)
    }

    /// Whether no client was told of any of these that are lost.
    fn knew_nobody(&self, of_these: impl Fn(EntryId) -> bool) -> bool {
        !self.lost.iter().any(|entry| of_these(entry.id) && self.replied.contains(&entry.id))
    }
}
