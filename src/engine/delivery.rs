//! SUBSCRIBE: messages pushed as they come.
//!
//! A subscription is live while every message before the next one is pushed; then a new message goes out without a read.
//! If the connection has too much to send already, the subscription falls behind: messages wait in the mailbox, and are
//! read from the store when the peer has made room.

use std::{ops::Range, sync::Arc};

use super::{
    Ask, ConnId, Engine, Seq, asks::Pending, connections::Subscription, dispatch::Actor, outbox::Content,
};
use crate::{
    limits::Service,
    state::{MessageId, SessionNo, UserNo},
    wire::{END, Kind, Object},
};

/// The most messages read at once for a subscription.
const REPLAY_MESSAGES: usize = 64;

/// How long after a failed read another is tried, in milliseconds.
const REREAD: u64 = 30_000;

/// What makes a message an event: its first bytes, in place of the message's `{`.
const EVENT: &[u8] = b"{\"event\":\"message\",";

impl Engine {
    pub(super) fn subscribe(&mut self, actor: Actor, after: Option<u64>) {
        self.keep_subscription(actor.conn, self.journal.last);
        self.unsubscribe(actor.conn);
        let user = actor.user.0 as usize;
        if self.subscribers.len() <= user {
            self.subscribers.resize_with(user + 1, Vec::new);
        }
        self.subscribers[user].push(actor.conn);
        // Beyond the last message nothing is known: whoever names a message to come would miss those before it. They are told
        // where the subscription begins instead, and so can go on from there on another connection.
        let (after, last) = (MessageId(after.unwrap_or(0)), self.state.last_message());
        let cursor = after.min(last);
        if let Some(held) = self.connections.get_mut(actor.conn) {
            held.subscription = Some(Subscription {
                user: actor.user,
                session: actor.session,
                cursor,
                live: false,
                gap_told: 0,
            });
        }
        self.respond(actor.conn, Kind::Subscribe, |out| {
            let answer = Object::ok(out, Kind::Subscribe.spec().ok);
            if after > last { answer.field("after", &last.0) } else { answer }.end_frame();
        });
        self.replay(actor.conn);
    }

    pub(super) fn subscription(&mut self, conn: ConnId) -> Option<&mut Subscription> {
        self.connections.get_mut(conn)?.subscription.as_mut()
    }

    /// Ends the subscription of a connection, if it has one.
    pub(super) fn unsubscribe(&mut self, conn: ConnId) {
        let Some(held) = self.connections.get_mut(conn) else { return };
        let Some(subscription) = held.subscription.take() else { return };
        self.subscribers[subscription.user.0 as usize].retain(|other| *other != conn);
        // What is read would be taken for what a later subscription of this connection reads. That one waits for it to be over, so that
        // nobody has the host read more and more by subscribing again and again.
        if let Some(pending) = held.reading.and_then(|ticket| self.asked.get_mut(&ticket)) {
            *pending = Pending::Stale { conn };
        }
    }

    /// Ends the subscriptions of a user's sessions that the next record makes be `over`.
    pub(super) fn unsubscribe_user(&mut self, user: UserNo, over: impl Fn(SessionNo) -> bool) {
        let next = Seq(self.journal.last.0 + 1);
        for conn in self.subscribers.get(user.0 as usize).cloned().unwrap_or_default() {
            let held = self.connections.get(conn).and_then(|held| held.subscription.as_ref());
            if held.is_some_and(|held| over(held.session)) {
                self.keep_subscription(conn, next);
                self.unsubscribe(conn);
            }
        }
    }

    /// A session was bound to a connection: a subscription of the same user is the session's now. Another user's ends, for what is pushed
    /// is for who is logged in.
    pub(super) fn pass_subscription(&mut self, conn: ConnId, session: SessionNo) {
        let user = self.state.session(session).expect("what is bound was looked up").user;
        self.keep_subscription(conn, self.journal.last);
        match self.subscription(conn) {
            Some(subscription) if subscription.user == user => subscription.session = session,
            _ => self.unsubscribe(conn),
        }
    }

    /// Keeps what the subscription of a connection is, before it is changed by what waits for this record.
    fn keep_subscription(&mut self, conn: ConnId, record: Seq) {
        let durable = self.journal.durable;
        if let Some(held) = self.connections.get_mut(conn) {
            held.subscribed.retain(|(record, _)| *record > durable);
            // Of several changes that wait for one record, the first knows what was before.
            if record > durable && held.subscribed.last().is_none_or(|(last, _)| *last < record) {
                held.subscribed.push((record, held.subscription.clone()));
            }
        }
    }

    /// The record `from` and those after it are lost, and so is what waited for them: the subscription of a connection is what it was.
    pub(super) fn take_back_subscription(&mut self, conn: ConnId, from: Seq) {
        let Some(held) = self.connections.get_mut(conn) else { return };
        let changes = std::mem::take(&mut held.subscribed);
        if let Some((_, before)) = changes.into_iter().find(|(record, _)| *record >= from) {
            self.unsubscribe(conn);
            if let (Some(subscription), Some(held)) = (before, self.connections.get_mut(conn)) {
                self.subscribers[subscription.user.0 as usize].push(conn);
                held.subscription = Some(subscription);
            }
        }
    }

    /// Pushes a private message; its body is at `body` in the journal's records.
    pub(super) fn push_message(&mut self, id: MessageId, body: Range<usize>, to: UserNo) {
        match self.subscribers.get(to.0 as usize).map(Vec::as_slice) {
            None | Some([]) => {}
            // The one reader there mostly is has it written straight into its buffer.
            Some(&[conn]) => {
                if self.takes_live(conn, id) {
                    let (gate, durable) = (self.journal.last, self.journal.durable);
                    let body = &self.journal.records[body];
                    self.connections.with_outbox(conn, |outbox| {
                        outbox.write(gate, durable, Content::Message(id), |out| event(out, body));
                    });
                    self.gated(conn, gate);
                } else {
                    self.replay(conn);
                }
            }
            Some(_) => self.push_group_message(id, body, &[to]),
        }
    }

    /// Pushes a message to several users: serialised once and shared.
    pub(super) fn push_group_message(&mut self, id: MessageId, body: Range<usize>, to: &[UserNo]) {
        let mut shared: Option<Arc<[u8]>> = None;
        for user in to {
            for at in 0.. {
                let Some(&conn) = self.subscribers.get(user.0 as usize).and_then(|conns| conns.get(at))
                else {
                    break;
                };
                if !self.takes_live(conn, id) {
                    self.replay(conn);
                    continue;
                }
                let event = shared.get_or_insert_with(|| {
                    let mut out = Vec::with_capacity(EVENT.len() + body.len() + END.len());
                    event(&mut out, &self.journal.records[body.clone()]);
                    out.into()
                });
                let gate = self.journal.last;
                self.connections.with_outbox(conn, |outbox| outbox.share(gate, Content::Message(id), event));
                self.gated(conn, gate);
            }
        }
    }

    /// Whether a connection takes a new message right now; otherwise it has fallen behind, and reads it later.
    fn takes_live(&mut self, conn: ConnId, id: MessageId) -> bool {
        let limit = self.config.limits.output_buffer;
        let Some(held) = self.connections.get_mut(conn) else { return false };
        // Nothing follows the last answer of a connection that ends.
        let takes = held.outbox().len() <= limit && held.ending.is_none();
        let Some(subscription) = &mut held.subscription else { return false };
        subscription.live &= takes;
        if subscription.live {
            subscription.cursor = id;
        }
        subscription.live
    }

    /// Goes on reading for a subscription that is behind, while the connection has room.
    pub(super) fn replay(&mut self, conn: ConnId) {
        // Half of it, so that a slow reader is not served message by message.
        let room = self.config.limits.output_buffer / 2;
        while let Some(held) = self.connections.get_mut(conn)
            && held.outbox().len() <= room
            && held.ending.is_none()
            && held.reading.is_none()
            && let Some(subscription) = &mut held.subscription
            && !subscription.live
            && !self.journal.failed
        {
            let mailbox = &self.state.user(subscription.user).mailbox;
            if mailbox.gap() > subscription.gap_told {
                let count = mailbox.gap() - subscription.gap_told;
                subscription.gap_told = mailbox.gap();
                self.push_event(conn, |out| {
                    Object::begin(out).text("event", "gap").field("count", &count).end_frame();
                });
                continue;
            }
            let ids: Vec<MessageId> = mailbox.after(subscription.cursor).take(REPLAY_MESSAGES).collect();
            if ids.is_empty() {
                subscription.live = true;
                return;
            }
            match self.config.messages {
                Service::Host => {
                    let ask = Ask::ReadMessages { ids: ids.clone(), budget: room };
                    let ticket = self.ask(ask, Pending::Replay { conn, ids });
                    if let Some(held) = self.connections.get_mut(conn) {
                        held.reading = Some(ticket);
                    }
                }
                Service::Inside => {
                    let bodies = self.memory.read_within(&ids, room);
                    self.push_read(conn, ids.into_iter().zip(bodies));
                }
            }
        }
    }

    /// Bodies were read for a subscription; none, if that failed.
    pub(super) fn replayed(&mut self, conn: ConnId, messages: impl Iterator<Item = (MessageId, Vec<u8>)>) {
        let mut messages = messages.peekable();
        let failed = messages.peek().is_none();
        self.push_read(conn, messages);
        match failed {
            false => self.replay(conn),
            // The next message, the next bytes sent or else some time start another attempt.
            true => self.look_at(conn, self.now.after(REREAD)),
        }
    }

    /// What was read was for a subscription that is over by now; there may be another.
    pub(super) fn read_in_vain(&mut self, conn: ConnId) {
        if let Some(held) = self.connections.get_mut(conn) {
            held.reading = None;
            self.replay(conn);
        }
    }

    fn push_read(&mut self, conn: ConnId, messages: impl Iterator<Item = (MessageId, Vec<u8>)>) {
        let Some(held) = self.connections.get_mut(conn) else { return };
        held.reading = None;
        let Some(subscription) = held.subscription.as_mut().filter(|_| held.ending.is_none()) else { return };
        let mut newest = subscription.cursor;
        let (gate, durable) = (self.journal.last, self.journal.durable);
        self.connections.with_outbox(conn, |outbox| {
            for (id, body) in messages {
                newest = id;
                outbox.write(gate, durable, Content::Message(id), |out| event(out, &body));
            }
        });
        if let Some(subscription) = self.subscription(conn) {
            subscription.cursor = newest;
        }
        self.gated(conn, gate);
    }

    /// A user confirmed something: where nothing is left of the gap that was told, the next one is told from its start.
    pub(super) fn forget_gap(&mut self, user: UserNo) {
        if self.state.user(user).mailbox.gap() > 0 {
            return;
        }
        for conn in self.subscribers.get(user.0 as usize).cloned().unwrap_or_default() {
            if let Some(subscription) = self.subscription(conn) {
                subscription.gap_told = 0;
            }
        }
    }

    /// The state was restored: subscriptions whose sessions are gone end, the others go on from what is durable.
    pub(super) fn resubscribe(&mut self) {
        for conn in self.connections.ids() {
            let Some(held) = self.connections.get_mut(conn) else { continue };
            let Some(subscription) = &mut held.subscription else { continue };
            let session = self.state.session(subscription.session);
            if session.is_some_and(|session| session.user == subscription.user) {
                subscription.cursor = subscription.cursor.min(self.state.last_message());
                subscription.live = false;
                subscription.gap_told = 0;
                self.replay(conn);
            } else {
                self.unsubscribe(conn);
            }
        }
    }
}

/// Writes a message as the event that pushes it.
fn event(out: &mut Vec<u8>, message: &[u8]) {
    out.extend_from_slice(EVENT);
    out.extend_from_slice(&message[1..]);
    out.extend_from_slice(END);
}
