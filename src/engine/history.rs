//! HISTORY: a conversation read backwards, page by page, confirmed or not.
//!
//! Each message is stored with the number of the one before it in its conversation, so that a page costs the same however long the
//! conversation is: there is no index to keep, and nothing to search.

use serde::Deserialize;

use super::{
    Ask, ConnId, Engine,
    asks::Pending,
    dispatch::{Actor, Failure},
    messages::INBOX_BYTES,
};
use crate::{
    limits::Service,
    state::{MessageId, UserNo},
    wire::{Code, Kind, Object},
};

/// How many messages a response holds at most, unless the request says so, and whatever it says.
const PAGE: u64 = 50;
const MOST: u64 = 100;

/// The conversation that a page is of.
pub(super) enum Conversation {
    Between(UserNo, UserNo),
    /// That of the group of this name. The group may be gone when the page has been read.
    Group(Box<str>),
}

/// Of a message's body, what tells its conversation.
#[derive(Deserialize)]
struct Envelope {
    from: Box<str>,
    to: Box<str>,
    group: Option<Box<str>>,
}

impl Engine {
    pub(super) fn history(
        &mut self,
        actor: Actor,
        with: &str,
        before: Option<u64>,
        limit: Option<u64>,
    ) -> Result<(), Failure> {
        let limit = limit.unwrap_or(PAGE);
        if !(1..=MOST).contains(&limit) {
            return Err(Code::BadParameters.into());
        }
        let (conversation, newest, floor) = self.conversation(actor.user, with)?;
        let (before, limit) = (before.map(MessageId), limit as usize);
        if before.is_some_and(|before| before <= floor || before > newest) {
            return Err(Code::BadParameters.into());
        }
        let pending = Pending::History { conn: actor.conn, conversation, limit, paged: before.is_some() };
        match self.config.messages {
            Service::Host if newest > floor => {
                self.ask(Ask::ReadHistory { newest, before, floor, limit, budget: INBOX_BYTES }, pending);
            }
            // With nothing above the floor there is nothing to read, whoever keeps it.
            _ => {
                let answer = self.memory.history(newest, before, floor, limit, INBOX_BYTES);
                self.resolve(pending, answer);
            }
        }
        Ok(())
    }

    /// The conversation that a user means, its last message, and the last one that is not for that user to read.
    ///
    /// A group may have the name of a user: whoever is in it means the group.
    fn conversation(
        &self,
        user: UserNo,
        with: &str,
    ) -> Result<(Conversation, MessageId, MessageId), Failure> {
        let name = self.local_name(with)?;
        let group = self.state.find_group(name).and_then(|group| self.state.group(group));
        if let Some(group) = group
            && let Some(since) = group.since(user)
        {
            return Ok((Conversation::Group(group.name.clone()), group.last, since));
        }
        match self.state.find_user(name) {
            Some(other) => {
                let newest = self.state.last_between(user, other);
                Ok((Conversation::Between(user, other), newest, MessageId(0)))
            }
            None if group.is_some() => Err(Code::NotMember.into()),
            None => Err(Code::NoSuchUser.into()),
        }
    }

    /// A page was read: `messages` are the newest first; `before`, if the request is `paged`, is where it began.
    pub(super) fn history_read(
        &mut self,
        conn: ConnId,
        conversation: &Conversation,
        paged: bool,
        before: Option<&[u8]>,
        messages: &[Vec<u8>],
        more: bool,
    ) -> Result<(), Failure> {
        // The peer may have named a message of strangers, and the page is of their conversation then. A message that does not exist, one
        // that is not kept and one that is not the peer's to read are answered alike, so that nobody learns which it is.
        if paged && !before.is_some_and(|body| self.is_of(body, conversation)) {
            return Err(Code::BadParameters.into());
        }
        // Others may have taken the room while the page was read.
        self.check_output_room()?;
        let messages = messages.iter().rev().map(Vec::as_slice);
        self.respond(conn, Kind::History, |out| {
            Object::ok(out, None).objects("messages", messages).field("more", &more).end_frame();
        });
        Ok(())
    }

    /// Whether a message that is above the floor of a conversation is one of it.
    ///
    /// Names tell: those of users never change. The name of a group may have been that of another group before, but that ended before
    /// the present one began, and so all its messages are below the floor of every member.
    fn is_of(&self, body: &[u8], conversation: &Conversation) -> bool {
        let Ok(Envelope { from, to, group }) = serde_json::from_slice(body) else { return false };
        match conversation {
            Conversation::Group(name) => group.as_ref() == Some(name),
            Conversation::Between(a, b) => {
                let (a, b) = (&self.state.user(*a).name, &self.state.user(*b).name);
                group.is_none() && ((&from, &to) == (a, b) || (&from, &to) == (b, a))
            }
        }
    }
}
