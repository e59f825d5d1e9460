//! The [`Store`] contract, bound method by method.

use std::time::Duration;

use tokio::sync::Notify;

use super::{MemoryListener, MemoryStore, door::check_fields, workers::RUN};
use crate::{
    model::{
        AgentDeclaration, AgentName, Door, Durability, Entry, Lease, MessageId, NewMessage, Partition,
        Partitions, Pool, ReplyTo, SessionId, Settings, StreamId, WorkerId,
    },
    planted::{Bug, planted},
    store::{
        Agents, Boundary, Bury, Claim, Claimant, Commit, Configured, Cursors, DeadLetter, Declared, Delete,
        Deliverer, Fire, FirstMessage, Free, Ground, HistoryRange, Ingress, Lack, Leaving, Look, Member,
        Mend, Offer, OutReply, Presence, Proceed, Reach, Reap, Refresh, Relay, Relayed, Release, Renewal,
        Revive, Sent, Store, StoreResult, Survey, Vitals,
    },
};

impl Store for MemoryStore {
    type Listener = MemoryListener;

    fn partitions(&self) -> &Partitions {
        &self.shared.partitions
    }

    async fn uptime(&self) -> StoreResult<Duration> {
        Ok(Duration::MAX)
    }

    async fn configure(&self, wanted: &Settings) -> StoreResult<Configured> {
        self.run(format_args!("configure {wanted:?}"), |state, _| Ok(state.configure(wanted)))
    }

    async fn declare(
        &self,
        worker: &WorkerId,
        agent: &AgentName,
        how: &AgentDeclaration,
    ) -> StoreResult<Declared> {
        self.run(format_args!("declare {worker} {agent} {how:?}"), |state, now| {
            Ok(state.declare(worker, agent, how, now))
        })
    }

    async fn reach(&self, partition: Partition, class: Durability) -> StoreResult<Reach> {
        self.run(format_args!("reach {partition} {class}"), |_, _| Ok(self.reaches(class)))
    }

    async fn lacks(&self, partition: Partition, class: Durability) -> StoreResult<Option<Lack>> {
        self.run(format_args!("lacks {partition} {class}"), |_, _| Ok(self.lack_of(class)))
    }

    async fn agents(&self) -> StoreResult<Agents> {
        self.run(format_args!("agents"), |state, _| {
            Ok(Agents { known: state.agents.clone(), ..Agents::default() })
        })
    }

    async fn announce(&self, member: &Member, ttl: Duration) -> StoreResult<()> {
        self.run(format_args!("announce {member:?} {ttl:?}"), |state, now| {
            state.announce(member, ttl, now);
            Ok(())
        })
    }

    async fn retire(&self, worker: &WorkerId) -> StoreResult<()> {
        self.run(format_args!("retire {worker}"), |state, _| {
            state.members.remove(worker);
            Ok(())
        })
    }

    async fn members(&self) -> StoreResult<Vec<Member>> {
        self.run(format_args!("members"), |state, now| Ok(state.members(now)))
    }

    async fn send(&self, message: &NewMessage) -> StoreResult<Sent> {
        let partition = self.shared.partitions.of(&message.session);
        let sent =
            self.run_in(partition, format_args!("send {message:?}"), |keys, step| keys.send(step, message));
        sent.map(|sent| sent.acknowledged(self.reaches(message.class)))
    }

    async fn take_reply(&self, key: &ReplyTo, wait: Duration) -> StoreResult<Option<String>> {
        first(&self.shared.replied, wait, Option::is_some, || {
            self.run(format_args!("take_reply {key}"), |state, now| state.replies.take(key, now))
        })
        .await
    }

    async fn ingress(&self, door: Door, limit: usize, wait: Duration) -> StoreResult<Ingress> {
        first(
            &self.shared.posted,
            wait,
            |ingress: &Ingress| !ingress.entries.is_empty(),
            || self.run(format_args!("ingress {door} {limit}"), |state, _| Ok(state.ingress(door, limit))),
        )
        .await
    }

    async fn post(&self, door: Door, fields: &[(Vec<u8>, Vec<u8>)]) -> StoreResult<StreamId> {
        let posted = self.run(format_args!("post {door} {fields:?}"), |state, now| {
            check_fields(fields)?;
            Ok(state.ingress.entry(door).or_default().add(now, fields.to_vec()))
        });
        self.shared.posted.notify_waiters();
        posted
    }

    async fn remove_ingress(&self, door: Door, ids: &[StreamId]) -> StoreResult<()> {
        self.run(format_args!("remove_ingress {door} {ids:?}"), |state, _| {
            let stream = state.ingress.entry(door).or_default();
            for id in ids {
                stream.remove(*id);
            }
            Ok(())
        })
    }

    async fn advance_ingress(&self, door: Door, past: StreamId) -> StoreResult<()> {
        self.run(format_args!("advance_ingress {door} {past}"), |state, _| {
            state.ingress.entry(door).or_default().advance(past);
            Ok(())
        })
    }

    async fn cursors(&self, door: Door, of: &[Partition]) -> StoreResult<Cursors> {
        self.run(format_args!("cursors {door} {of:?}"), |state, _| Ok(state.cursors(door, of)))
    }

    async fn relay(
        &self,
        partition: Partition,
        door: Door,
        previous: Option<StreamId>,
        batch: &[Relayed],
    ) -> StoreResult<Relay> {
        let asked = format_args!("relay {partition} {door} {previous:?} {batch:?}");
        let relayed =
            self.run_in(partition, asked, |keys, step| keys.relay(step, partition, door, previous, batch));
        relayed.map(|relayed| relayed.acknowledged(self.reaches(Relayed::class(batch))))
    }

    async fn join(&self, partition: Partition, presence: &Presence) -> StoreResult<Renewal> {
        self.run_in(partition, format_args!("join {partition} {presence:?}"), |keys, step| {
            Ok(keys.join(step, presence))
        })
    }

    async fn renew(&self, partition: Partition, presence: &Presence) -> StoreResult<Renewal> {
        self.run_in(partition, format_args!("renew {partition} {presence:?}"), |keys, step| {
            Ok(keys.renew(step, presence))
        })
    }

    async fn bury(&self, partition: Partition, worker: &WorkerId, ground: Ground) -> StoreResult<Bury> {
        self.run_in(partition, format_args!("bury {partition} {worker} {ground:?}"), |keys, step| {
            Ok(keys.bury(step, worker, ground))
        })
    }

    async fn held(
        &self,
        partition: Partition,
        worker: &WorkerId,
        limit: usize,
    ) -> StoreResult<Vec<SessionId>> {
        self.run_in(partition, format_args!("held {partition} {worker} {limit}"), |keys, _| {
            Ok(keys.held.get(worker).into_iter().flatten().take(limit).cloned().collect())
        })
    }

    async fn listen(&self, worker: &WorkerId) -> StoreResult<MemoryListener> {
        Ok(self.state().hints.listen(worker))
    }

    async fn vital(&self, workers: &[WorkerId]) -> StoreResult<Vitals> {
        self.run(format_args!("vital {workers:?}"), |state, _| {
            let present = workers.iter().map(|worker| state.hints.is_heard(worker)).collect();
            Ok(Vitals { run: RUN.to_owned(), present })
        })
    }

    async fn tell_to_drain(&self, worker: &WorkerId) -> StoreResult<bool> {
        self.run(format_args!("tell_to_drain {worker}"), |state, _| Ok(state.hints.drain(worker)))
    }

    async fn claim(&self, session: &SessionId, claimant: &Claimant, page: usize) -> StoreResult<Claim> {
        let partition = self.shared.partitions.of(session);
        let claimed =
            self.run_in(partition, format_args!("claim {session} {claimant:?} {page}"), |keys, step| {
                Ok(keys.claim(step, session, claimant, page))
            });
        claimed.map(|claim| claim.acknowledged(self.reaches(claimant.class)))
    }

    async fn release(&self, lease: &Lease, leaving: Leaving, page: usize) -> StoreResult<Release> {
        let partition = self.shared.partitions.of(lease.session());
        self.run_in(partition, format_args!("release {lease:?} {leaving:?} {page}"), |keys, step| {
            keys.release(step, lease, leaving, page)
        })
    }

    async fn refresh(&self, lease: &Lease, own_ttl: Duration, page: usize) -> StoreResult<Refresh> {
        let partition = self.shared.partitions.of(lease.session());
        self.run_in(partition, format_args!("refresh {lease:?} {own_ttl:?} {page}"), |keys, step| {
            keys.refresh(step, lease, own_ttl, page)
        })
    }

    async fn reap(&self, session: &SessionId, from: &WorkerId, pool: &Pool) -> StoreResult<Reap> {
        let partition = self.shared.partitions.of(session);
        self.run_in(partition, format_args!("reap {session} {from} {pool}"), |keys, step| {
            keys.reap(step, session, from, pool)
        })
    }

    async fn commit(&self, lease: &Lease, boundary: &Boundary) -> StoreResult<Commit> {
        let partition = self.shared.partitions.of(lease.session());
        let mut reach = self.reaches(boundary.class);
        let committed =
            self.run_in(partition, format_args!("commit {lease:?} {boundary:?}"), |keys, step| {
                if planted(Bug::WaitAfterRead) && keys.has_commit(lease.session(), &boundary.commit) {
                    reach = Reach::Reached;
                }
                keys.commit(step, partition, lease, boundary)
            });
        self.shared.appended.notify_waiters();
        self.shared.replied.notify_waiters();
        committed.map(|commit| commit.acknowledged(reach))
    }

    async fn survey(&self, partition: Partition, agents: &[(Pool, AgentName)]) -> StoreResult<Survey> {
        self.run_in(partition, format_args!("survey {partition} {agents:?}"), |keys, step| {
            Ok(keys.survey(step, agents))
        })
    }

    async fn fire(&self, session: &SessionId, pool: &Pool) -> StoreResult<Fire> {
        let partition = self.shared.partitions.of(session);
        self.run_in(partition, format_args!("fire {session} {pool}"), |keys, step| {
            keys.fire(step, session, pool)
        })
    }

    async fn offer(&self, session: &SessionId, pool: &Pool, except: Option<&WorkerId>) -> StoreResult<Offer> {
        let partition = self.shared.partitions.of(session);
        self.run_in(partition, format_args!("offer {session} {pool} {except:?}"), |keys, step| {
            Ok(keys.offer(step, session, pool, except))
        })
    }

    async fn mend(
        &self,
        session: &SessionId,
        pool: &Pool,
        owner: Option<&WorkerId>,
        home: Option<&Pool>,
    ) -> StoreResult<Mend> {
        let partition = self.shared.partitions.of(session);
        self.run_in(partition, format_args!("mend {session} {pool} {owner:?} {home:?}"), |keys, step| {
            keys.mend(step, session, pool, owner, home)
        })
    }

    async fn deliver(&self, partition: Partition, replies: &[OutReply], _: Deliverer) -> StoreResult<()> {
        let delivered = self.run(format_args!("deliver {partition} {replies:?}"), |state, now| {
            state.deliver(partition, replies, now);
            Ok(())
        });
        self.shared.replied.notify_waiters();
        delivered
    }

    async fn look(&self, session: &SessionId) -> StoreResult<Look> {
        let partition = self.shared.partitions.of(session);
        self.run_in(partition, format_args!("look {session}"), |keys, _| Ok(keys.look(session)))
    }

    async fn sessions(
        &self,
        partition: Partition,
        after: Option<&SessionId>,
        limit: usize,
    ) -> StoreResult<Vec<SessionId>> {
        self.run_in(partition, format_args!("sessions {partition} {after:?} {limit}"), |keys, _| {
            Ok(keys.sessions_after(after, limit))
        })
    }

    async fn history(
        &self,
        session: &SessionId,
        range: HistoryRange,
        wait: Duration,
    ) -> StoreResult<Vec<Entry>> {
        let partition = self.shared.partitions.of(session);
        let wait = match range {
            HistoryRange::After(..) => wait,
            HistoryRange::Newest(_) => Duration::ZERO,
        };
        first(
            &self.shared.appended,
            wait,
            |entries: &Vec<Entry>| !entries.is_empty(),
            || {
                self.run_in(partition, format_args!("history {session} {range:?}"), |keys, _| {
                    Ok(keys.history(session, range))
                })
            },
        )
        .await
    }

    async fn dead(
        &self,
        partition: Partition,
        after: Option<StreamId>,
        limit: usize,
    ) -> StoreResult<Vec<DeadLetter>> {
        self.run_in(partition, format_args!("dead {partition} {after:?} {limit}"), |keys, _| {
            Ok(keys.letters(partition, after).take(limit).collect())
        })
    }

    async fn revive(&self, letter: &DeadLetter, message: MessageId, pool: &Pool) -> StoreResult<Revive> {
        self.run_in(letter.partition, format_args!("revive {letter:?} {message} {pool}"), |keys, step| {
            keys.revive(step, letter, message, pool)
        })
    }

    async fn drop_dead(&self, partition: Partition, ids: &[StreamId]) -> StoreResult<usize> {
        self.run_in(partition, format_args!("drop_dead {partition} {ids:?}"), |keys, _| {
            Ok(ids.iter().filter(|id| keys.dead.remove(**id).is_some()).count())
        })
    }

    async fn free(&self, session: &SessionId, pool: &Pool, first: FirstMessage) -> StoreResult<Free> {
        let partition = self.shared.partitions.of(session);
        self.run_in(partition, format_args!("free {session} {pool} {first:?}"), |keys, step| {
            keys.free(step, session, pool, first)
        })
    }

    async fn proceed(&self, session: &SessionId, pool: &Pool) -> StoreResult<Proceed> {
        let partition = self.shared.partitions.of(session);
        self.run_in(partition, format_args!("proceed {session} {pool}"), |keys, step| {
            keys.proceed(step, session, pool)
        })
    }

    async fn delete(
        &self,
        session: &SessionId,
        pool: &Pool,
        owner: Option<&WorkerId>,
    ) -> StoreResult<Delete> {
        let partition = self.shared.partitions.of(session);
        self.run_in(partition, format_args!("delete {session} {pool} {owner:?}"), |keys, step| {
            keys.delete(step, partition, session, pool, owner)
        })
    }
}

/// The first look that finds something, or the last one after `wait`; looks again whenever `changed` tells.
///
/// May be dropped while waiting: only a look that finds something takes it, and it is then returned at once.
async fn first<T: Send>(
    changed: &Notify,
    wait: Duration,
    found: impl Fn(&T) -> bool + Send + Sync,
    look: impl Fn() -> StoreResult<T> + Send + Sync,
) -> StoreResult<T> {
    if wait.is_zero() {
        return look();
    }
    let patient = async {
        loop {
            let mut next = std::pin::pin!(changed.notified());
            next.as_mut().enable();
            let seen = look();
            if seen.as_ref().map_or(true, &found) {
                return seen;
            }
            next.await;
        }
    };
    match tokio::time::timeout(wait, patient).await {
        Ok(seen) => seen,
        Err(_) => look(),
    }
}
