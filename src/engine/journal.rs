//! Records on their way to the journal, and the gate that holds bytes until they are there.

use std::collections::VecDeque;

use super::{ApiError, Ask, ConnId, Due, Engine, MessageRef, Seq, outbox::Content};
use crate::{
    state::{MessageId, Record},
    time::Time,
    wire::{ClassicAnswer, Code, Kind, Object, append_field},
};

/// Where the journal stands.
#[derive(Default)]
pub(super) struct Journal {
    /// The last record made.
    pub(super) last: Seq,
    /// The last record known to be durable. Without a journal, the last record made.
    pub(super) durable: Seq,
    /// The last record the host was given.
    given: Seq,
    /// The bytes of the records not given out yet, after those of the ones that were.
    pub(super) records: Vec<u8>,
    records_start: usize,
    /// Connections with bytes behind records that are not durable, in the order of those.
    held: VecDeque<(Seq, ConnId)>,
    /// The store failed: the state holds what is not durable, and stands still until it is restored.
    pub(super) failed: bool,
}

impl Journal {
    /// The bytes of the next record, for the host.
    pub(super) fn take(&mut self, seq: Seq, len: usize) -> &[u8] {
        self.given = seq;
        let start = self.records_start;
        self.records_start += len;
        &self.records[start..self.records_start]
    }

    /// All records so far came from the journal.
    pub(super) fn recovered(&mut self) {
        self.durable = self.last;
        self.given = self.last;
    }

    /// Room at the end of `records`, what was given out dropped.
    fn room(&mut self) -> &mut Vec<u8> {
        if self.records_start == self.records.len() {
            self.records.clear();
            self.records.shrink_to(1 << 20);
            self.records_start = 0;
        }
        &mut self.records
    }
}

impl Engine {
    /// All records up to `up_to` are durable. What was held behind them may leave.
    ///
    /// # Errors
    /// Not all of these are on their way to the journal.
    pub fn persisted(&mut self, now: Time, up_to: Seq) -> Result<(), ApiError> {
        self.advance(now);
        self.check_on_its_way(up_to)?;
        self.journal.durable = up_to;
        while let Some((_, conn)) = self.journal.held.pop_front_if(|(seq, _)| *seq <= up_to) {
            self.announce(conn);
        }
        Ok(())
    }

    /// The record `from` and all after it could not be made durable, and will not be. All records before it are taken to be durable: if
    /// they may not be, name the first that may not.
    ///
    /// What was answered in reliance on them becomes `unavailable`, and so is every request until
    /// [`restore`](Self::restore): nothing was changed (protocol, section 6).
    ///
    /// # Errors
    /// The record is not on its way to the journal.
    pub fn persist_failed(&mut self, now: Time, from: Seq) -> Result<(), ApiError> {
        self.advance(now);
        self.check_on_its_way(from)?;
        self.journal.durable = Seq(from.0 - 1);
        // What is answered from now on waits for no record that will never be durable.
        self.journal.last = self.journal.durable;
        self.journal.failed = true;
        self.journal.held.clear();
        // What has not come out yet needs not be done: it may be about records that the host was never given.
        let mut never_asked = vec![];
        self.outputs.retain(|due| match due {
            Due::Persist { .. } | Due::Registered(..) | Due::LoggedIn(..) => false,
            Due::Ask(_, Ask::DropUpload { .. }) => true,
            Due::Ask(ticket, _) => {
                never_asked.push(*ticket);
                false
            }
            _ => true,
        });
        self.abandon_asks();
        for ticket in never_asked {
            self.asked.remove(&ticket);
        }
        self.journal.records.clear();
        self.journal.records_start = 0;
        for conn in self.connections.ids() {
            let durable = self.journal.durable;
            if let Some(taken_back) = self.connections.with_outbox(conn, |outbox| outbox.fail(from, durable))
                && let Some(held) = self.connections.get_mut(conn)
            {
                held.gate = Seq(0);
                held.dialect.take_back();
                // Whoever was told that they are not logged in must not act for anybody.
                if taken_back.login {
                    held.session = None;
                }
                self.take_back_subscription(conn, from);
                // A message may have waited for a later record than its own: what is left of those is sent again.
                if let Some(first) = taken_back.message
                    && let Some(subscription) = self.subscription(conn)
                {
                    subscription.cursor = subscription.cursor.min(MessageId(first.0 - 1));
                }
            }
            self.announce(conn);
            self.after_room(conn);
        }
        Ok(())
    }

    /// Goes on after [`persist_failed`](Self::persist_failed) with what is durable, as [recovered](Self::recover) from the
    /// store. Connections stay; a session that was not durable is gone.
    ///
    /// # Errors
    /// The store has not failed, the recovery lacks records that are durable, or this is no engine as it comes out of a recovery with the same
    /// `messages` and `files`. The engine is as it was.
    pub fn restore(&mut self, now: Time, recovered: Engine) -> Result<(), ApiError> {
        self.advance(now);
        if !self.journal.failed {
            return Err(ApiError::StoreNotFailed);
        }
        let (durable, found) = (self.journal.durable.0, recovered.journal.last.0);
        if found < durable {
            return Err(ApiError::RecoveredTooLittle { found, durable });
        }
        let same =
            recovered.config.messages == self.config.messages && recovered.config.files == self.config.files;
        let unused = recovered.journal.durable == recovered.journal.last && recovered.outputs.is_empty();
        if !same || !unused {
            return Err(ApiError::NotRecovered);
        }
        // The maps of the state hash with the key it was made with.
        self.hash_key = recovered.hash_key;
        self.state = recovered.state;
        self.memory = recovered.memory;
        self.memory_files = recovered.memory_files;
        self.journal = recovered.journal;
        self.unbind_lost_sessions();
        self.resubscribe();
        Ok(())
    }

    fn check_on_its_way(&self, seq: Seq) -> Result<(), ApiError> {
        let Journal { durable, given, failed, .. } = self.journal;
        if failed {
            return Err(ApiError::StoreFailed);
        }
        if seq <= durable || seq > given || !self.config.persistence {
            return Err(ApiError::NotOnItsWay { seq: seq.0, from: durable.0 + 1, to: given.0 });
        }
        Ok(())
    }

    /// Makes a change: applies the record and sends it to the journal.
    pub(super) fn commit(&mut self, record: &Record<'_>) {
        self.with_key(record, |engine, record| {
            let start = engine.journal.room().len();
            if engine.config.persistence {
                record.encode(&mut engine.journal.records);
            }
            engine.committed(record, start, None);
        });
    }

    /// Makes a change that brings a message. Returns where the message's body is in `journal.records`, until the next change.
    pub(super) fn commit_message(
        &mut self,
        record: &Record<'_>,
        id: MessageId,
        prev: MessageId,
        body: impl FnOnce(&Engine, &mut Vec<u8>),
    ) -> std::ops::Range<usize> {
        self.with_key(record, |engine, record| {
            let start = engine.journal.room().len();
            let mut records = std::mem::take(&mut engine.journal.records);
            if engine.config.persistence {
                record.encode(&mut records);
            }
            let body_start = records.len();
            body(engine, &mut records);
            engine.journal.records = records;
            engine.committed(record, start, Some(MessageRef { id, prev, body_at: body_start - start }));
            body_start..engine.journal.records.len()
        })
    }

    fn committed(&mut self, record: &Record<'_>, start: usize, message: Option<MessageRef>) {
        self.state.apply(record).expect("a request is checked before it becomes a record");
        self.journal.last.0 += 1;
        let (seq, end) = (self.journal.last, self.journal.records.len());
        if self.config.persistence {
            self.outputs.push_back(Due::Persist { seq, len: end - start, message });
        } else {
            self.journal.durable = seq;
            self.journal.records_start = end;
        }
    }

    /// Writes the response to a request, behind every record it could reveal.
    pub(super) fn respond(&mut self, conn: ConnId, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        self.write_answer(conn, self.gate(Some(kind)), Some(kind), write);
    }

    /// What must be durable before a request may be answered.
    fn gate(&self, kind: Option<Kind>) -> Seq {
        if kind.is_some_and(Kind::reveals_state) { self.journal.last } else { Seq(0) }
    }

    /// Writes the response to what is no request, which reveals nothing.
    pub(super) fn refuse(&mut self, conn: ConnId, kind: Option<Kind>, code: Code) {
        self.write_answer(conn, Seq(0), kind, |out| Object::error(out, kind, code).end_frame());
    }

    /// Writes an event.
    pub(super) fn push_event(&mut self, conn: ConnId, write: impl FnOnce(&mut Vec<u8>)) {
        self.write(conn, self.journal.last, Content::Other, write);
    }

    /// Writes the answer to a classic request. Several requests may stand behind it: it waits for the records of all of them.
    pub(super) fn write_classic(&mut self, conn: ConnId, answer: ClassicAnswer) {
        let gate = self.gate(answer.kind);
        let content = answer.kind.map_or(Content::Other, Content::Classic);
        self.write(conn, gate, content, |out| out.extend_from_slice(&answer.frame));
    }

    /// Writes an answer with the tag of its request, if it had one; that to a classic request in its dialect, when it is whole.
    fn write_answer(
        &mut self,
        conn: ConnId,
        gate: Seq,
        kind: Option<Kind>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.connections.get_mut(conn).is_some_and(|held| held.dialect.captures()) {
            return self.capture(conn, kind, write);
        }
        let answer = |tag| kind.map_or(Content::Other, |kind| Content::Answer(kind, tag));
        match self.connections.get_mut(conn).and_then(|held| held.tag.take()) {
            None => self.write(conn, gate, answer(0), write),
            Some(tag) => {
                let mut json = Vec::new();
                Object::begin(&mut json).field("tag", &*tag).end();
                // Without its braces, and with the comma before it.
                let len = json.len() - 1;
                self.write(conn, gate, answer(len as u16), |out| {
                    write(out);
                    append_field(out, "tag", &*tag);
                });
            }
        }
    }

    fn write(&mut self, conn: ConnId, gate: Seq, content: Content, write: impl FnOnce(&mut Vec<u8>)) {
        let durable = self.journal.durable;
        self.connections.with_outbox(conn, |outbox| outbox.write(gate, durable, content, write));
        self.gated(conn, gate);
    }

    /// Tells the host of new bytes, now or when their record is durable.
    pub(super) fn gated(&mut self, conn: ConnId, gate: Seq) {
        let Some(held) = self.connections.get_mut(conn) else { return };
        if gate <= self.journal.durable {
            self.announce(conn);
        } else if held.gate < gate {
            held.gate = gate;
            self.journal.held.push_back((gate, conn));
        }
    }

    fn announce(&mut self, conn: ConnId) {
        let Some(held) = self.connections.get_mut(conn) else { return };
        if !held.announced && held.outbox().is_ready(self.journal.durable) {
            held.announced = true;
            self.outputs.push_back(Due::Writable(conn));
        }
    }
}

impl Kind {
    /// Whether its answer may be so large that some of them at once are too much.
    pub(super) fn answer_is_large(self) -> bool {
        matches!(
            self,
            Kind::Inbox
                | Kind::History
                | Kind::GetFile
                | Kind::ListUsers
                | Kind::ListGroup
                | Kind::ListMyGroups
                | Kind::ListRealms
        )
    }

    /// Whether a response to it could tell of a change, so that it has to wait for that to be durable.
    pub(super) fn reveals_state(self) -> bool {
        !matches!(self, Kind::Ping | Kind::Help | Kind::Quit)
    }
}
