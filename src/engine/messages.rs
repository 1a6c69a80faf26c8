//! SEND, SEND_GROUP, INBOX, ACK, and the sending of all messages.

use super::{
    Ask, ConnId, Engine,
    asks::Pending,
    dispatch::{Actor, Failure},
    files::{FileInfo, To},
};
use crate::{
    limits::Service,
    state::{GroupNo, Mailbox, MessageId, Record, UserNo},
    time::Time,
    wire::{Code, Kind, Object},
};

/// The most messages in a response to INBOX (protocol, section 4).
const INBOX_MESSAGES: usize = 100;

/// Bytes of bodies after which a response to INBOX or HISTORY holds no further message.
pub(super) const INBOX_BYTES: usize = 1 << 20;

impl Engine {
    pub(super) fn send(&mut self, actor: Actor, to: &str, text: &str) -> Result<(), Failure> {
        let to = To::User(self.local_user(to)?);
        self.check_recipient(actor.user, to)?;
        self.send_content(actor, to, Content::Text(text));
        Ok(())
    }

    pub(super) fn send_group(&mut self, actor: Actor, group: &str, text: &str) -> Result<(), Failure> {
        let to = To::Group(self.local_group(group)?);
        self.check_recipient(actor.user, to)?;
        self.send_content(actor, to, Content::Text(text));
        Ok(())
    }

    /// Whether a user may send there now; to how many it goes.
    pub(super) fn check_recipient(&self, from: UserNo, to: To) -> Result<usize, Failure> {
        let recipients = match to {
            To::User(to) => {
                if self.state.user(to).mailbox.len() >= self.config.limits.mailbox_messages {
                    return Err(Code::MailboxFull.into());
                }
                1
            }
            To::Group(group) => {
                let group = self.state.group(group).ok_or(Code::NoSuchGroup)?;
                if !group.has(from) {
                    return Err(Code::NotMember.into());
                }
                group.members().len() - 1
            }
        };
        // A message's body needs a place.
        if self.config.messages == Service::Inside && self.memory.is_full() {
            return Err(Code::Busy.into());
        }
        Ok(recipients)
    }

    /// Sends what may be sent.
    pub(super) fn send_content(&mut self, actor: Actor, to: To, content: Content<'_>) {
        match to {
            To::User(to) => self.send_private(actor, to, content),
            To::Group(group) => self.send_to_group(actor, group, content),
        }
    }

    fn send_private(&mut self, actor: Actor, to: UserNo, content: Content<'_>) {
        let (id, from, now) = (self.state.next_message(), actor.user, self.now);
        let prev = self.state.last_between(from, to);
        let record = match content {
            Content::Text(_) => Record::Sent { id, from, to },
            Content::File { sha256, info } => Record::FileSent { id, from, to, sha256, size: info.size },
        };
        let body = self.commit_message(&record, id, prev, |engine, out| {
            let (from, to) = (&engine.state.user(from).name, &engine.state.user(to).name);
            message(out, id, from, to, None, now, content);
        });
        if self.config.messages == Service::Inside {
            self.memory.insert(id, prev, &self.journal.records[body.clone()], 1);
        }
        self.sent_message(actor.conn, content, [Kind::Send, Kind::SendFile], id);
        self.push_message(id, body, to);
    }

    fn send_to_group(&mut self, actor: Actor, no: GroupNo, content: Content<'_>) {
        let group = self.state.group(no).expect("whether there is such a group was looked at");
        let limit = self.config.limits.mailbox_messages;
        let recipients: Vec<UserNo> = group.members().filter(|member| *member != actor.user).collect();
        if self.config.messages == Service::Inside {
            // Bodies that the fullest mailboxes are about to make room for.
            let mailboxes = recipients.iter().map(|user| &self.state.user(*user).mailbox);
            let full = mailboxes.filter(|held| held.len() >= limit);
            self.memory.release(full.filter_map(Mailbox::oldest_of_groups));
        }
        let (id, prev, now) = (self.state.next_message(), group.last, self.now);
        let (session, group, mailbox_limit) = (actor.session, no, limit as u64);
        let record = match content {
            Content::Text(_) => Record::SentToGroup { id, session, group, mailbox_limit },
            Content::File { sha256, info } => {
                Record::FileSentToGroup { id, session, group, mailbox_limit, sha256, size: info.size }
            }
        };
        let body = self.commit_message(&record, id, prev, |engine, out| {
            let group = &engine.state.group(no).expect("it was there a moment ago").name;
            message(out, id, &engine.state.user(actor.user).name, group, Some(group), now, content);
        });
        if self.config.messages == Service::Inside {
            let holds = |user: &&UserNo| self.state.user(**user).mailbox.newest() == Some(id);
            let held = recipients.iter().filter(holds).count();
            self.memory.insert(id, prev, &self.journal.records[body.clone()], held as u32);
        }
        self.sent_message(actor.conn, content, [Kind::SendGroup, Kind::SendGroupFile], id);
        self.push_group_message(id, body, &recipients);
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
        // One with a dedupe key is remembered even so: its repeat must not confirm what came in between.
        if mailbox.has_up_to(up_to) || self.once.is_some() {
            if self.config.messages == Service::Inside {
                self.memory.release(mailbox.up_to(up_to));
            }
            self.commit(&Record::Confirmed { user, up_to });
            self.forget_gap(user);
        }
        self.succeed(actor.conn, Kind::Ack);
    }

    fn sent_message(
        &mut self,
        conn: ConnId,
        content: Content<'_>,
        [of_text, of_file]: [Kind; 2],
        id: MessageId,
    ) {
        let (kind, file) = match content {
            Content::Text(_) => (of_text, None),
            Content::File { info, .. } => (of_file, Some(info)),
        };
        self.respond(conn, kind, |out| sent(out, kind, id, file));
    }
}

/// What a message carries.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Text(&'a str),
    File { sha256: [u8; 32], info: &'a FileInfo },
}

/// Writes the response to a request that sent a message.
pub(super) fn sent(out: &mut Vec<u8>, kind: Kind, id: MessageId, file: Option<&FileInfo>) {
    let ok = Object::ok(out, kind.spec().ok).field("id", &id.0);
    match file {
        Some(file) => ok.field("file", file).end_frame(),
        None => ok.end_frame(),
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
    content: Content<'_>,
) {
    let time = time.rfc3339();
    let time = std::str::from_utf8(&time).expect("digits are ASCII");
    let object = Object::begin(out).field("id", &id.0).text("from", from).text("to", to);
    let object = match group {
        Some(group) => object.text("group", group),
        None => object,
    };
    let object = object.text("time", time);
    match content {
        Content::Text(text) => object.text("text", text).end(),
        Content::File { info, .. } => object.field("file", info).end(),
    }
}
