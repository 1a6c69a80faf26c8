//! SEND, SEND_GROUP, INBOX, ACK.

use super::{
    Ask, ConnId, Engine,
    asks::Pending,
    dispatch::{Actor, Failure},
};
use crate::{
    limits::Service,
    state::{Mailbox, MessageId, Record, UserNo},
    time::Time,
    wire::{Code, Kind, Object},
};

/// The most messages in a response to INBOX (protocol, section 4).
const INBOX_MESSAGES: usize = 100;

/// Bytes of bodies after which a response to INBOX or HISTORY holds no further message.
pub(super) const INBOX_BYTES: usize = 1 << 20;

impl Engine {
    pub(super) fn send(&mut self, actor: Actor, to: &str, text: &str) -> Result<(), Failure> {
        let to = self.local_user(to)?;
        if self.state.user(to).mailbox.len() >= self.config.limits.mailbox_messages {
            return Err(Code::MailboxFull.into());
        }
        self.check_message_room()?;
        let (id, from, now) = (self.state.next_message(), actor.user, self.now);
        let prev = self.state.last_between(from, to);
        let body = self.commit_message(&Record::Sent { id, from, to }, id, prev, |engine, out| {
            let (from, to) = (&engine.state.user(from).name, &engine.state.user(to).name);
            message(out, id, from, to, None, now, text);
        });
        if self.config.messages == Service::Inside {
            self.memory.insert(id, prev, &self.journal.records[body.clone()], 1);
        }
        self.sent_message(actor.conn, Kind::Send, id);
        self.push_message(id, body, to);
        Ok(())
    }

    pub(super) fn send_group(&mut self, actor: Actor, group: &str, text: &str) -> Result<(), Failure> {
        let no = self.local_group(group)?;
        let group = self.state.group(no).ok_or(Code::NoSuchGroup)?;
        if !group.has(actor.user) {
            return Err(Code::NotMember.into());
        }
        self.check_message_room()?;
        let limit = self.config.limits.mailbox_messages;
        let recipients: Vec<UserNo> = group.members().filter(|member| *member != actor.user).collect();
        if self.config.messages == Service::Inside {
            // Bodies that the fullest mailboxes are about to make room for.
            let mailboxes = recipients.iter().map(|user| &self.state.user(*user).mailbox);
            let full = mailboxes.filter(|held| held.len() >= limit);
            self.memory.release(full.filter_map(Mailbox::oldest_of_groups));
        }
        let (id, prev, now) = (self.state.next_message(), group.last, self.now);
        let record =
            Record::SentToGroup { id, session: actor.session, group: no, mailbox_limit: limit as u64 };
        let body = self.commit_message(&record, id, prev, |engine, out| {
            let group = &engine.state.group(no).expect("it was there a moment ago").name;
            message(out, id, &engine.state.user(actor.user).name, group, Some(group), now, text);
        });
        if self.config.messages == Service::Inside {
            let holds = |user: &&UserNo| self.state.user(**user).mailbox.newest() == Some(id);
            let held = recipients.iter().filter(holds).count();
            self.memory.insert(id, prev, &self.journal.records[body.clone()], held as u32);
        }
        self.sent_message(actor.conn, Kind::SendGroup, id);
        self.push_group_message(id, body, &recipients);
        Ok(())
    }

    pub(super) fn inbox(&mut self, actor: Actor, after: Option<u64>) {
        let mailbox = &self.state.user(actor.user).mailbox;
        let waiting = mailbox.after(MessageId(after.unwrap_or(0)));
        let more = waiting.len() > INBOX_MESSAGES;
        let ids: Vec<MessageId> = waiting.take(INBOX_MESSAGES).collect();
        match self.config.messages {
            _ if ids.is_empty() => self.inbox_read(actor.conn, false, std::iter::empty()),
            Service::Host => {
                let ask = Ask::ReadMessages { ids: ids.clone(), budget: INBOX_BYTES };
                self.ask(ask, Pending::Inbox { conn: actor.conn, ids, more });
            }
            Service::Inside => {
                let bodies = self.memory.read_within(&ids, INBOX_BYTES);
                let more = more || bodies.len() < ids.len();
                self.inbox_read(actor.conn, more, bodies.iter().map(Vec::as_slice));
            }
        }
    }

    pub(super) fn inbox_read<'a>(
        &mut self,
        conn: ConnId,
        more: bool,
        bodies: impl Iterator<Item = &'a [u8]>,
    ) {
        self.respond(conn, Kind::Inbox, |out| {
            Object::ok(out, None).objects("messages", bodies).field("more", &more).end_frame();
        });
    }

    pub(super) fn ack(&mut self, actor: Actor, id: u64) {
        let (user, up_to) = (actor.user, MessageId(id));
        let mailbox = &self.state.user(user).mailbox;
        if mailbox.oldest().is_some_and(|oldest| oldest <= up_to) || mailbox.gap() > 0 {
            if self.config.messages == Service::Inside {
                self.memory.release(mailbox.up_to(up_to));
            }
            self.commit(&Record::Confirmed { user, up_to });
            self.forget_gap(user);
        }
        self.succeed(actor.conn, Kind::Ack);
    }

    /// A message's body needs a place.
    fn check_message_room(&self) -> Result<(), Failure> {
        let full = self.config.messages == Service::Inside && self.memory.is_full();
        if full { Err(Code::Busy.into()) } else { Ok(()) }
    }

    fn sent_message(&mut self, conn: ConnId, kind: Kind, id: MessageId) {
        self.respond(conn, kind, |out| Object::ok(out, kind.spec().ok).field("id", &id.0).end_frame());
    }
}

/// Writes a message as readers see it (protocol, section 4). The store keeps the same bytes.
fn message(
    out: &mut Vec<u8>,
    id: MessageId,
    from: &str,
    to: &str,
    group: Option<&str>,
    time: Time,
    text: &str,
) {
    let time = time.rfc3339();
    let time = std::str::from_utf8(&time).expect("digits are ASCII");
    let object = Object::begin(out).field("id", &id.0).text("from", from).text("to", to);
    let object = match group {
        Some(group) => object.text("group", group),
        None => object,
    };
    object.text("time", time).text("text", text).end();
}
