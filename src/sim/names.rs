//! Numbers for what choices touch, so that a step names nothing by text.

use std::collections::BTreeMap;

use super::choice::Object;
use crate::model::{Door, Partition, SessionId};

/// The objects of a run, by number.
pub(super) struct Names {
    partitions: u16,
    sessions: BTreeMap<SessionId, Object>,
    by_number: Vec<SessionId>,
}

impl Names {
    pub(super) const NAMESPACE: Object = Object(0);
    const FIRST_DOOR: u32 = 1;

    const FIRST_PARTITION: u32 = Self::FIRST_DOOR + 1 + Door::NUMBERED as u32;

    pub(super) fn of(partitions: u16) -> Self {
        Self { partitions, sessions: BTreeMap::new(), by_number: Vec::new() }
    }

    pub(super) fn door(door: Door) -> Object {
        let number = Door::all().position(|one| one == door).expect("it is one of all");
        Object(Self::FIRST_DOOR + u32::try_from(number).expect("a few doors"))
    }

    pub(super) fn partition(partition: Partition) -> Object {
        Object(Self::FIRST_PARTITION + u32::from(partition.0))
    }

    fn first_session(&self) -> u32 {
        Self::FIRST_PARTITION + u32::from(self.partitions)
    }

    pub(super) fn session(&mut self, session: &SessionId) -> Object {
        if let Some(object) = self.sessions.get(session) {
            return *object;
        }
        let number = u32::try_from(self.by_number.len()).expect("far fewer sessions");
        let object = Object(self.first_session() + number);
        self.sessions.insert(session.clone(), object);
        self.by_number.push(session.clone());
        object
    }

    /// The session behind an object, if it is one.
    pub(super) fn as_session(&self, object: Object) -> Option<&SessionId> {
        let index = object.0.checked_sub(self.first_session())?;
        self.by_number.get(usize::try_from(index).ok()?)
    }

    /// All sessions met so far, in order of their first appearance.
    pub(super) fn sessions(&self) -> &[SessionId] {
        &self.by_number
    }

    /// As people read it, for each number from 0.
    pub(super) fn texts(&self) -> Vec<String> {
        let namespace = std::iter::once("the namespace".to_owned());
        let doors = Door::all().map(|door| door.to_string());
        let partitions = (0..self.partitions).map(|partition| format!("p{partition}"));
        namespace
            .chain(doors)
            .chain(partitions)
            .chain(self.by_number.iter().map(ToString::to_string))
            .collect()
    }
}
