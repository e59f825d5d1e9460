//! What belongs to the namespace and to no partition: settings, agents, members, the plain door, replies.

use std::{collections::BTreeMap, time::Duration};

use super::{door::cursor_of, hints::Hints, partition::Keyspace, replies::Replies, stream::Stream};
use crate::{
    model::{
        AgentDeclaration, AgentName, Body, Door, Durability, Millis, Partition, Pool, Settings, StreamId,
        WorkerId,
    },
    store::{Configured, Cursors, DeadLetter, Declared, Ingress, IngressEntry, Member, OutReply},
};

/// The fields of an entry of the plain door.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Everything that a store holds.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) settings: Option<Settings>,
    pub(super) agents: BTreeMap<AgentName, AgentDeclaration>,
    pub(super) members: BTreeMap<WorkerId, (Member, Millis)>,
    pub(super) partitions: BTreeMap<Partition, Keyspace>,
    pub(super) ingress: BTreeMap<Door, Stream<Fields>>,
    pub(super) replies: Replies,
    pub(super) hints: Hints,
    pub(super) journal: Option<Vec<String>>,
}

impl State {
    pub(super) fn configure(&mut self, wanted: &Settings) -> Configured {
        let settled = self.settings.get_or_insert_with(|| wanted.clone());
        if settled == wanted { Configured::Agreed } else { Configured::Differs(settled.clone()) }
    }

    pub(super) fn declare(
        &mut self,
        worker: &WorkerId,
        agent: &AgentName,
        how: &AgentDeclaration,
        now: Millis,
    ) -> Declared {
        if let Some(home) = self.agents.get(agent).map(|how| &how.pool).filter(|home| **home != how.pool) {
            let others = self.serving(home, agent, now).filter(|other| *other != worker);
            let workers: Vec<_> = others.cloned().collect();
            if !workers.is_empty() {
                return Declared::Elsewhere { pool: home.clone(), workers };
            }
        }
        Declared::Known(self.agents.insert(agent.clone(), how.clone()))
    }

    /// The members that serve an agent in a pool, by incarnation.
    fn serving<'a>(
        &'a self,
        pool: &'a Pool,
        agent: &'a AgentName,
        now: Millis,
    ) -> impl Iterator<Item = &'a WorkerId> {
        let living = self.members.values().filter(move |(_, until)| now <= *until);
        let serves = |member: &Member| member.pool == *pool && member.agents.contains(agent);
        living.map(|(member, _)| member).filter(move |member| serves(member)).map(|member| &member.worker)
    }

    pub(super) fn announce(&mut self, member: &Member, ttl: Duration, now: Millis) {
        self.forget_lapsed(now);
        self.members.insert(member.worker.clone(), (member.clone(), now.plus(ttl)));
    }

    /// Forgets for good what lapsed: members, replies nobody took, idempotency keys, `own`.
    pub(super) fn forget_lapsed(&mut self, now: Millis) {
        self.members.retain(|_, (_, until)| now <= *until);
        self.replies.forget_lapsed(now);
        for keys in self.partitions.values_mut() {
            keys.forget_lapsed(now);
        }
    }

    pub(super) fn members(&self, now: Millis) -> Vec<Member> {
        let living = self.members.values().filter(|(_, until)| now <= *until);
        living.map(|(member, _)| member.clone()).collect()
    }

    /// The oldest entries of a plain door.
    pub(super) fn ingress(&self, door: Door, limit: usize) -> Ingress {
        let Some(stream) = self.ingress.get(&door) else { return Ingress::default() };
        let oldest = stream.iter().take(limit);
        let entries = oldest.map(|(id, fields)| IngressEntry { id, fields: fields.clone() }).collect();
        Ingress { entries, last: stream.last() }
    }

    pub(super) fn cursors(&self, door: Door, of: &[Partition]) -> Cursors {
        let cursor = |of: &Partition| self.partitions.get(of)?.cursors.get(&cursor_of(door)).copied();
        let taken = of.iter().filter_map(|partition| Some((*partition, cursor(partition)?))).collect();
        Cursors { taken, ..Cursors::default() }
    }

    pub(super) fn deliver(&mut self, partition: Partition, replies: &[OutReply], now: Millis) {
        for OutReply { id, .. } in replies {
            let keys = self.partitions.entry(partition).or_default();
            let Some(reply) = keys.take_out(*id) else { continue };
            if self.replies.push(&reply.to, &reply.payload, now) {
                continue;
            }
            let keys = self.partitions.entry(partition).or_default();
            keys.give_up(DeadLetter {
                partition,
                id: StreamId::default(),
                session: reply.session,
                message: reply.message,
                reason: DeadLetter::REPLY_TO.to_owned(),
                tries: 0,
                time: now,
                reply_to: Some(reply.to),
                durability: Durability::MEMORY,
                body: Body::from_door(&reply.payload),
            });
        }
    }
}
