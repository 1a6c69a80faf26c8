//! The connections that are open.

use std::num::NonZeroU64;

use super::{
    ConnId, Seq, Ticket,
    io::{CloseReason, Peer},
    outbox::Outbox,
};
use crate::{
    state::{MessageId, SessionNo, UserNo},
    time::Time,
    wire::{Dialect, Kind, LineDecoder, Tag},
};

/// One of them.
pub(super) struct Connection {
    pub(super) peer: Peer,
    pub(super) lines: LineDecoder,
    outbox: Outbox,
    /// The session bound to it; it may have ended since.
    pub(super) session: Option<SessionNo>,
    pub(super) subscription: Option<Subscription>,
    /// What its subscription was before requests changed it that wait for these records; not all of them may be waited for any more.
    pub(super) subscribed: Vec<(Seq, Option<Subscription>)>,
    /// Under which ticket messages are being read for its subscription, or for the one before.
    pub(super) reading: Option<Ticket>,
    /// What the next response repeats.
    pub(super) tag: Option<Box<Tag<'static>>>,
    pub(super) dialect: Dialect,
    /// An answer is on its way that its next request has to wait for.
    pub(super) waiting: bool,
    /// The host was told that it takes no bytes.
    pub(super) stopped: bool,
    /// The host was told that it has bytes to send, and has not sent all of them.
    pub(super) announced: bool,
    /// It takes no further requests; once all is answered and sent, it is closed for this reason.
    pub(super) ending: Option<CloseReason>,
    /// The newest record behind which bytes are known to wait.
    pub(super) gate: Seq,
    /// The last request; once it is ending, the last bytes read.
    pub(super) last_active: Time,
    /// When to look whether it is idle.
    pub(super) check_at: Time,
}

/// What SUBSCRIBE set up on a connection.
#[derive(Clone)]
pub(super) struct Subscription {
    pub(super) user: UserNo,
    pub(super) session: SessionNo,
    /// The last message pushed.
    pub(super) cursor: MessageId,
    /// Whether all before the next message is pushed, so that it needs not be read from the store.
    pub(super) live: bool,
    /// How much of the mailbox's gap was told.
    pub(super) gap_told: u64,
}

impl Connection {
    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Whether it takes a request now, with at most `limit` bytes waiting to be sent.
    pub(super) fn takes_requests(&self, limit: usize) -> bool {
        !self.waiting && self.ending.is_none() && self.outbox.len() <= limit
    }
}

/// All of them, found by number in constant time.
#[derive(Default)]
pub(super) struct Connections {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Bytes that wait to be sent on all of them, or that their dialects gather.
    unsent: usize,
}

#[derive(Default)]
struct Slot {
    /// How many connections stood here before.
    generation: u32,
    connection: Option<Connection>,
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, peer: Peer, now: Time, check_at: Time) -> ConnId {
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[at as usize];
        slot.connection = Some(Connection {
            peer,
            lines: LineDecoder::default(),
            outbox: Outbox::default(),
            session: None,
            subscription: None,
            subscribed: Vec::new(),
            reading: None,
            tag: None,
            dialect: Dialect::default(),
            waiting: false,
            stopped: false,
            announced: false,
            ending: None,
            gate: Seq(0),
            last_active: now,
            check_at,
        });
        id(at, slot.generation)
    }

    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Connection> {
        self.get(conn)?;
        let at = place(conn);
        let slot = &mut self.slots[at];
        // A slot that has used up its numbers is left empty for good.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(at as u32);
        }
        let connection = slot.connection.take()?;
        self.unsent -= connection.outbox.len() + connection.dialect.held();
        Some(connection)
    }

    /// Bytes that wait to be sent on all connections, or are gathered for an answer.
    pub(super) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Changes what is to be sent on a connection: the only way to, so that it is counted.
    pub(super) fn with_outbox<T>(
        &mut self,
        conn: ConnId,
        change: impl FnOnce(&mut Outbox) -> T,
    ) -> Option<T> {
        let outbox = &mut self.get_mut(conn)?.outbox;
        let before = outbox.len();
        let result = change(outbox);
        let after = outbox.len();
        self.unsent = self.unsent - before + after;
        Some(result)
    }

    /// Has a connection's dialect take a response, so that what it gathers is counted.
    pub(super) fn answer_dialect(&mut self, conn: ConnId, kind: Option<Kind>, response: Vec<u8>) {
        if let Some(held) = self.get_mut(conn) {
            let before = held.dialect.held();
            held.dialect.answered(kind, response);
            let after = held.dialect.held();
            self.unsent = self.unsent - before + after;
        }
    }

    pub(super) fn get(&self, conn: ConnId) -> Option<&Connection> {
        let slot = self.slots.get(place(conn)).filter(|slot| slot.generation == generation(conn))?;
        slot.connection.as_ref()
    }

    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        let slot = self.slots.get_mut(place(conn)).filter(|slot| slot.generation == generation(conn))?;
        slot.connection.as_mut()
    }

    /// The numbers of all connections, in the order of their places.
    pub(super) fn ids(&self) -> Vec<ConnId> {
        let taken = self.slots.iter().enumerate().filter(|(_, slot)| slot.connection.is_some());
        taken.map(|(at, slot)| id(at as u32, slot.generation)).collect()
    }
}

fn id(at: u32, generation: u32) -> ConnId {
    ConnId(NonZeroU64::new(u64::from(generation) << 32 | u64::from(at + 1)).expect("at + 1 is not 0"))
}

fn place(conn: ConnId) -> usize {
    // 0 in the lower half, which no connection has, becomes a place that is never there.
    (conn.get() as u32).wrapping_sub(1) as usize
}

fn generation(conn: ConnId) -> u32 {
    (conn.get() >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_not_used_again() {
        let mut connections = Connections::default();
        let first = connections.insert(Peer::Local, Time(0), Time(0));
        assert!(connections.remove(first).is_some());
        let second = connections.insert(Peer::Local, Time(0), Time(0));
        assert_ne!(first, second);
        assert!(connections.get(first).is_none() && connections.remove(first).is_none());
        assert!(connections.get(second).is_some());
        assert_eq!(connections.len(), 1);
        assert_eq!(connections.ids(), [second]);
        assert!(connections.get(ConnId::from_number(1 << 32).unwrap()).is_none());
    }
}
