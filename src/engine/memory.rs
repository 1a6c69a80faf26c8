//! Bodies of messages kept by the engine itself, for hosts without a store.

use std::collections::{BTreeMap, VecDeque};

use super::Answer;
use crate::state::MessageId;

/// Bodies of messages: all that some mailbox holds, and of the others, which are there for HISTORY, the latest that there is room for.
pub(super) struct MemoryMessages {
    /// In order, since they come and go in about that: the ends are what a processor has at hand.
    bodies: BTreeMap<MessageId, Body>,
    /// Those that no mailbox holds any more, in the order they were let go: the first make room.
    released: VecDeque<MessageId>,
    /// Bytes of all bodies.
    bytes: usize,
    /// Bytes of those that some mailbox holds.
    held_bytes: usize,
    limit: usize,
}

struct Body {
    json: Box<[u8]>,
    /// The message before it in the same conversation.
    prev: MessageId,
    /// How many mailboxes hold it.
    held: u32,
}

impl MemoryMessages {
    pub(super) fn new(limit: usize) -> MemoryMessages {
        let (bodies, released) = (BTreeMap::new(), VecDeque::new());
        MemoryMessages { bodies, released, bytes: 0, held_bytes: 0, limit }
    }

    /// Whether what mailboxes hold takes all the room: there is nothing to forget for a further message.
    pub(super) fn is_full(&self) -> bool {
        self.held_bytes >= self.limit
    }

    /// Keeps a body, which so many mailboxes hold.
    pub(super) fn insert(&mut self, id: MessageId, prev: MessageId, json: &[u8], held: u32) {
        self.bytes += json.len();
        self.bodies.insert(id, Body { json: json.into(), prev, held });
        if held > 0 {
            self.held_bytes += json.len();
        } else {
            self.released.push_back(id);
        }
        self.make_room();
    }

    /// Keeps a body until it is known who [holds](Self::recount) it.
    pub(super) fn recover(&mut self, id: MessageId, prev: MessageId, json: &[u8]) {
        self.bodies.insert(id, Body { json: json.into(), prev, held: 0 });
    }

    /// Tells that one mailbox less holds each of these.
    pub(super) fn release(&mut self, ids: impl IntoIterator<Item = MessageId>) {
        for id in ids {
            let body = self.bodies.get_mut(&id).expect("what a mailbox holds is kept");
            body.held -= 1;
            if body.held == 0 {
                self.held_bytes -= body.json.len();
                self.released.push_back(id);
            }
        }
        self.make_room();
    }

    /// Forgets what no mailbox holds, as far as it must: in constant time for each that comes.
    fn make_room(&mut self) {
        while self.bytes > self.limit
            && let Some(body) = self.released.pop_front().and_then(|id| self.bodies.remove(&id))
        {
            self.bytes -= body.json.len();
        }
    }

    /// The bodies of the first, and of as many after it as fit the budget.
    pub(super) fn read_within(&self, ids: &[MessageId], budget: usize) -> Vec<Vec<u8>> {
        let mut bytes = 0;
        let mut bodies = Vec::new();
        for id in ids {
            let json = &self.bodies.get(id).expect("what a mailbox holds is kept").json;
            if bytes > budget {
                break;
            }
            bytes += json.len();
            bodies.push(json.to_vec());
        }
        bodies
    }

    /// Does the work of [`Ask::ReadHistory`](super::Ask::ReadHistory).
    pub(super) fn history(
        &self,
        newest: MessageId,
        before: Option<MessageId>,
        floor: MessageId,
        limit: usize,
        budget: usize,
    ) -> Answer {
        let anchor = before.and_then(|before| self.bodies.get(&before));
        let start = if before.is_some() { anchor.map(|body| body.prev) } else { Some(newest) };
        let next = |id: MessageId| self.bodies.get(&id).filter(|_| id > floor);
        let mut at = start.and_then(next);
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while let Some(body) = at.filter(|_| messages.len() < limit && bytes <= budget) {
            bytes += body.json.len();
            messages.push(body.json.to_vec());
            at = next(body.prev);
        }
        Answer::History { before: anchor.map(|body| body.json.to_vec()), messages, more: at.is_some() }
    }

    pub(super) fn contains(&self, id: MessageId) -> bool {
        self.bodies.contains_key(&id)
    }

    /// Counts anew who holds what, after all bodies were [recovered](Self::recover).
    pub(super) fn recount(&mut self, holders: impl Iterator<Item = MessageId>) {
        for id in holders {
            if let Some(body) = self.bodies.get_mut(&id) {
                body.held += 1;
            }
        }
        let len = |body: &Body| body.json.len();
        self.bytes = self.bodies.values().map(len).sum();
        self.held_bytes = self.bodies.values().filter(|body| body.held > 0).map(len).sum();
        // In what order they were let go is not known any more.
        self.released = self.bodies.iter().filter(|(_, body)| body.held == 0).map(|(id, _)| *id).collect();
        self.make_room();
    }

    /// All bodies by number, each with the message before it.
    pub(super) fn sorted(&self) -> Vec<(MessageId, MessageId, &[u8])> {
        self.bodies.iter().map(|(id, body)| (*id, body.prev, &*body.json)).collect()
    }
}
