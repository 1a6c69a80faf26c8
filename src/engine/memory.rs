//! Bodies of messages kept by the engine itself, for hosts without a store.

use crate::state::{MessageId, NumberMap};

/// Bodies of the messages that some mailbox holds.
pub(super) struct MemoryMessages {
    bodies: NumberMap<MessageId, Body>,
    /// Bytes of all bodies.
    bytes: usize,
    limit: usize,
}

struct Body {
    json: Box<[u8]>,
    /// How many mailboxes hold it.
    held: u32,
}

impl MemoryMessages {
    pub(super) fn new(limit: usize) -> MemoryMessages {
        MemoryMessages { bodies: NumberMap::default(), bytes: 0, limit }
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= self.limit
    }

    /// Keeps a body for the mailboxes that hold it; for none, it is forgotten.
    pub(super) fn insert(&mut self, id: MessageId, json: &[u8], held: u32) {
        if held > 0 {
            self.bytes += json.len();
            self.bodies.insert(id, Body { json: json.into(), held });
        }
    }

    /// Tells that one mailbox less holds each of these.
    pub(super) fn release(&mut self, ids: impl IntoIterator<Item = MessageId>) {
        for id in ids {
            let body = self.bodies.get_mut(&id).expect("what a mailbox holds is kept");
            body.held -= 1;
            if body.held == 0 {
                self.bytes -= body.json.len();
                self.bodies.remove(&id);
            }
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

    pub(super) fn contains(&self, id: MessageId) -> bool {
        self.bodies.contains_key(&id)
    }

    /// Counts anew who holds what, and forgets what nobody holds.
    pub(super) fn recount(&mut self, holders: impl Iterator<Item = MessageId>) {
        self.bodies.values_mut().for_each(|body| body.held = 0);
        for id in holders {
            if let Some(body) = self.bodies.get_mut(&id) {
                body.held += 1;
            }
        }
        self.bodies.retain(|_, body| body.held > 0);
        self.bytes = self.bodies.values().map(|body| body.json.len()).sum();
    }

    /// All bodies by number.
    pub(super) fn sorted(&self) -> Vec<(MessageId, &[u8])> {
        let mut all: Vec<_> = self.bodies.iter().map(|(id, body)| (*id, &*body.json)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }
}
