//! Messages and mailboxes.

use serde_json::{Value, json};

use super::{Asked, Model, Pending, Reply};
use crate::{
    Config, Service, Time,
    testing::rules::{ascii_len, ok},
    wire::{Code, Kind},
};

#[derive(Clone)]
pub(in crate::testing) struct Message {
    pub(in crate::testing) json: Value,
    /// The bytes of a file.
    pub(super) content: Option<Vec<u8>>,
    pub(super) from: usize,
    pub(in crate::testing) to: Vec<usize>,
    conversation: Where,
    /// The server, which keeps messages in memory, has let it go.
    pub(super) forgotten: bool,
}

impl Message {
    pub(super) fn is_of(&self, conversation: Where) -> bool {
        self.conversation == conversation
    }

    /// Bytes of memory that its text takes.
    fn len(&self) -> usize {
        if self.forgotten { 0 } else { ascii_len(&self.json) }
    }
}

/// The conversation that a message is of.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Where {
    /// Two users, the one who registered earlier first.
    Between(usize, usize),
    Group(u64),
}

/// Whom a message is sent to.
#[derive(Clone, Copy)]
pub(super) enum To {
    User(usize),
    Group(u64),
}

/// What a message carries.
pub(super) enum Content<'a> {
    Text(&'a str),
    File { name: &'a str, bytes: Vec<u8> },
}

impl Model {
    pub(super) fn send(&mut self, asked: Asked<'_>, to: To, text: &str) -> Result<Reply, Code> {
        let actor = asked.actor?;
        self.check_recipient(asked.config, actor.1, to)?;
        Ok(self.deliver(asked.config, asked.from.now, actor, to, Content::Text(text)))
    }

    /// Whether a user may send there; to how many it goes.
    pub(super) fn check_recipient(&self, config: &Config, from: usize, to: To) -> Result<usize, Code> {
        let recipients = match to {
            To::User(to) if self.users[to].mailbox.len() >= config.limits.mailbox_messages => {
                return Err(Code::MailboxFull);
            }
            To::User(_) => 1,
            To::Group(no) => {
                let group = self.groups.get(&no).ok_or(Code::NoSuchGroup)?;
                if !group.members.contains_key(&from) {
                    return Err(Code::NotMember);
                }
                group.members.len() - 1
            }
        };
        let waiting = self.messages.iter().filter(|(id, _)| self.is_held(**id));
        let waiting: usize = waiting.map(|(_, held)| held.len()).sum();
        let full = config.messages == Service::Inside && waiting >= config.limits.memory_messages;
        if full { Err(Code::Busy) } else { Ok(recipients) }
    }

    /// Sends what may be sent.
    pub(super) fn deliver(
        &mut self,
        config: &Config,
        now: Time,
        (session, from): (u64, usize),
        to: To,
        content: Content<'_>,
    ) -> Reply {
        self.last_message += 1;
        let id = self.last_message;
        let (mut json, to, conversation) = match to {
            To::User(to) => {
                (json!({"to": self.users[to].name}), vec![to], Where::Between(from.min(to), from.max(to)))
            }
            To::Group(no) => {
                self.sessions.get_mut(&session).expect("it acts").group = Some(no);
                let group = &self.groups[&no];
                let others = group.members.keys().copied().filter(|member| *member != from).collect();
                (json!({"to": group.name, "group": group.name}), others, Where::Group(no))
            }
        };
        json["id"] = id.into();
        json["from"] = self.users[from].name.as_str().into();
        json["time"] = now.to_string().into();
        let (kinds, file, content) = match content {
            Content::Text(text) => {
                json["text"] = text.into();
                ([Kind::Send, Kind::SendGroup], None, None)
            }
            Content::File { name, bytes } => {
                let file = super::files::info(id, name, &bytes);
                json["file"] = file.clone();
                ([Kind::SendFile, Kind::SendGroupFile], Some(file), Some(bytes))
            }
        };
        let of_group = matches!(conversation, Where::Group(_));
        let message = Message { json, content, from, to: to.clone(), conversation, forgotten: false };
        self.messages.insert(id, message);
        to.iter().for_each(|user| self.users[*user].mailbox.push(id));
        for user in to {
            if self.users[user].mailbox.len() > config.limits.mailbox_messages {
                self.drop_oldest_of_groups(user, id);
            }
        }
        self.let_go(id);
        self.make_room(config);
        let mut fields = json!({"id": id});
        if let Some(file) = file {
            fields["file"] = file;
        }
        ok(kinds[usize::from(of_group)], fields)
    }

    /// Of groups the oldest goes, be it the new one; private messages stay.
    fn drop_oldest_of_groups(&mut self, user: usize, new: u64) {
        let of_group = |id: &u64| matches!(self.messages[id].conversation, Where::Group(_));
        let oldest = self.users[user].mailbox.iter().position(of_group).expect("the new one is of a group");
        let dropped = self.users[user].mailbox.remove(oldest);
        self.users[user].gap.push(dropped);
        if dropped != new {
            self.let_go(dropped);
        }
    }

    fn is_held(&self, id: u64) -> bool {
        self.users.iter().any(|user| user.mailbox.contains(&id))
    }

    /// A message that no mailbox holds is the next to be forgotten, after those before it.
    fn let_go(&mut self, id: u64) {
        if !self.is_held(id) {
            self.released.push(id);
        }
    }

    /// A server that keeps messages in memory forgets what no mailbox holds when it needs the room.
    fn make_room(&mut self, config: &Config) {
        let kept = |model: &Model| model.messages.values().map(Message::len).sum::<usize>();
        while config.messages == Service::Inside
            && kept(self) > config.limits.memory_messages
            && !self.released.is_empty()
        {
            let forgotten = self.released.remove(0);
            self.messages.get_mut(&forgotten).expect("it was sent").forgotten = true;
        }
    }

    /// The server starts again from all that was ever recorded.
    pub(in crate::testing) fn restart(&mut self, config: &Config) {
        self.uploads.clear();
        self.apart.clear();
        self.messages.values_mut().for_each(|held| held.forgotten = false);
        self.released.clear();
        for id in self.messages.keys().copied().collect::<Vec<_>>() {
            self.let_go(id);
        }
        self.make_room(config);
    }

    pub(super) fn inbox(&self, asked: Asked<'_>, after: u64) -> Result<Reply, Code> {
        let (_, me) = asked.actor?;
        let mut ids: Vec<u64> = self.users[me].mailbox.iter().copied().filter(|id| *id > after).collect();
        let more = ids.len() > 100;
        ids.truncate(100);
        if ids.is_empty() || asked.config.messages == Service::Inside {
            return Ok(self.inbox_read(&ids, more));
        }
        Ok(Reply::Later(Pending::Inbox { ids, more }))
    }

    pub(super) fn inbox_read(&self, ids: &[u64], more: bool) -> Reply {
        let messages: Vec<&Value> = ids.iter().map(|id| &self.messages[id].json).collect();
        ok(Kind::Inbox, json!({"messages": messages, "more": more}))
    }

    pub(super) fn ack(&mut self, asked: Asked<'_>, up_to: u64) -> Result<Reply, Code> {
        let (_, me) = asked.actor?;
        let user = &mut self.users[me];
        let confirmed: Vec<u64> = user.mailbox.extract_if(.., |held| *held <= up_to).collect();
        // It is told in whole until what is confirmed is behind all of it.
        if user.gap.last().is_some_and(|newest| *newest <= up_to) {
            user.gap.clear();
        }
        confirmed.into_iter().for_each(|id| self.let_go(id));
        self.make_room(asked.config);
        Ok(ok(asked.kind, Value::Null))
    }
}
