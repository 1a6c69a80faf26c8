//! What the server knows: users, sessions, groups, mailboxes, realms.
//!
//! Plain data, changed only by [`State::apply`]. Bodies of messages are not part of it.

mod answers;
mod files;
mod groups;
mod hash;
mod mailbox;
mod record;
mod sessions;
mod snapshot;
#[cfg(test)]
mod tests;
mod users;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use answers::{Answered, Answers};
pub(crate) use files::{File, charge};
pub(crate) use groups::Group;
use hash::NumberMap;
pub(crate) use hash::{HashKey, Map};
pub(crate) use mailbox::Mailbox;
pub(crate) use record::Record;
pub(crate) use sessions::Session;
pub(crate) use snapshot::{MOST, Thawing};
pub(crate) use users::User;

use crate::{secret::SessionDigest, time::Time};

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($inner:ident);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub(crate) struct $name(pub(crate) $inner);
    )*};
}

numbers! {
    /// Users are numbered as they register; the first is 0.
    UserNo(u32);
    /// Groups are numbered as they are added; numbers are not used again.
    GroupNo(u64);
    /// Sessions are numbered as they are opened; numbers are not used again.
    SessionNo(u64);
}

/// The number of a message: the first is 1, and it grows over the realm (protocol, section 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId(pub u64);

/// Another server this one was told of (protocol, section 7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Realm {
    pub(crate) name: Box<str>,
    pub(crate) ip: Box<str>,
    pub(crate) port: u16,
    pub(crate) fingerprint: Option<Box<str>>,
}

/// All of it.
pub(crate) struct State {
    users: Vec<User>,
    users_by_key: Map<Box<str>, UserNo>,
    /// The same once more, in the order of LIST_USERS.
    users_sorted: BTreeMap<Box<str>, UserNo>,
    groups: NumberMap<GroupNo, Group>,
    groups_by_key: Map<Box<str>, GroupNo>,
    sessions: NumberMap<SessionNo, Session>,
    sessions_by_digest: Map<SessionDigest, SessionNo>,
    sessions_by_use: BTreeSet<(Time, SessionNo)>,
    realms: BTreeMap<Box<str>, Realm>,
    /// The last message between two users, the smaller number first.
    conversations: NumberMap<(UserNo, UserNo), MessageId>,
    /// What requests with a dedupe key were answered.
    answers: Answers,
    /// By the messages that brought them.
    files: NumberMap<MessageId, File>,
    next_session: SessionNo,
    next_group: GroupNo,
    last_message: MessageId,
}

/// A record that does not fit the state: the journal is not this state's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it {0}")]
pub(crate) struct Inconsistent(pub(crate) &'static str);

/// `Ok` if `holds`; what must hold of a record before anything is changed.
fn check(holds: bool, what: &'static str) -> Result<(), Inconsistent> {
    if holds { Ok(()) } else { Err(Inconsistent(what)) }
}

impl State {
    pub(crate) fn new(key: HashKey) -> State {
        State {
            users: Vec::new(),
            users_by_key: Map::with_hasher(key),
            users_sorted: BTreeMap::new(),
            groups: NumberMap::default(),
            groups_by_key: Map::with_hasher(key),
            sessions: NumberMap::default(),
            sessions_by_digest: Map::with_hasher(key),
            sessions_by_use: BTreeSet::new(),
            realms: BTreeMap::new(),
            conversations: NumberMap::default(),
            answers: Answers::new(key),
            files: NumberMap::default(),
            next_session: SessionNo(0),
            next_group: GroupNo(0),
            last_message: MessageId(0),
        }
    }

    /// Makes the one change that a record tells of, or none if it does not fit.
    pub(crate) fn apply(&mut self, record: &Record<'_>) -> Result<(), Inconsistent> {
        match *record {
            Record::Registered { user, name, full_name, country, password_hash, time } => {
                self.register(user, name, full_name, country, password_hash, time)
            }
            Record::PasswordChanged { user, password_hash, kept } => {
                self.change_password(user, password_hash, kept)
            }
            Record::SessionOpened { session, user, digest, time } => {
                self.open_session(session, user, digest, time)
            }
            Record::SessionUsed { session, time } => self.use_session(session, time),
            Record::SessionEnded { session } => self.end_session(session),
            Record::GroupAdded { group, name, session } => self.add_group(group, name, session),
            Record::GroupJoined { group, session } => self.join_group(group, session),
            Record::GroupLeft { group, session } => self.leave_group(group, session),
            Record::Sent { id, from, to } => self.send(id, from, to),
            Record::SentToGroup { id, session, group, mailbox_limit } => {
                self.send_to_group(id, session, group, mailbox_limit)
            }
            Record::Confirmed { user, up_to } => self.confirm(user, up_to),
            Record::RealmAdded { name, ip, port, fingerprint } => self.add_realm(name, ip, port, fingerprint),
            Record::Once { user, key, time, limit, response, ref record } => {
                self.answer_once(user, key, time, limit, response, record)
            }
            Record::FileSent { id, from, to, sha256, size } => self.send_file(id, from, to, sha256, size),
            Record::FileSentToGroup { id, session, group, mailbox_limit, sha256, size } => {
                self.send_file_to_group(id, session, group, mailbox_limit, sha256, size)
            }
            Record::FileKept { .. } => Ok(()),
        }
    }

    /// The number the next message gets.
    pub(crate) fn next_message(&self) -> MessageId {
        MessageId(self.last_message.0 + 1)
    }

    pub(crate) fn last_message(&self) -> MessageId {
        self.last_message
    }

    /// The last message between two users; 0 if there was none.
    pub(crate) fn last_between(&self, a: UserNo, b: UserNo) -> MessageId {
        self.conversations.get(&(a.min(b), a.max(b))).copied().unwrap_or_default()
    }

    /// The last message so far of the conversation that a record adds one to; 0 if this is its first.
    pub(crate) fn last_before(&self, record: &Record<'_>) -> MessageId {
        match record {
            Record::Sent { from, to, .. } | Record::FileSent { from, to, .. } => {
                self.last_between(*from, *to)
            }
            Record::SentToGroup { group, .. } | Record::FileSentToGroup { group, .. } => {
                self.group(*group).map_or(MessageId(0), |group| group.last)
            }
            Record::Once { record, .. } => self.last_before(record),
            _ => MessageId(0),
        }
    }

    pub(crate) fn realm(&self, key: &str) -> Option<&Realm> {
        self.realms.get(key)
    }

    /// All realms, sorted by name.
    pub(crate) fn realms(&self) -> impl ExactSizeIterator<Item = &Realm> {
        self.realms.values()
    }

    fn send(&mut self, id: MessageId, from: UserNo, to: UserNo) -> Result<(), Inconsistent> {
        check(id == self.next_message(), "skips a message number")?;
        check((from.0 as usize) < self.users.len(), "is from an unknown user")?;
        let recipient = self.users.get_mut(to.0 as usize).ok_or(Inconsistent("is to an unknown user"))?;
        recipient.mailbox.push(id);
        self.conversations.insert((from.min(to), from.max(to)), id);
        self.last_message = id;
        Ok(())
    }

    fn confirm(&mut self, user: UserNo, up_to: MessageId) -> Result<(), Inconsistent> {
        let user = self.users.get_mut(user.0 as usize).ok_or(Inconsistent("is by an unknown user"))?;
        user.mailbox.confirm(up_to);
        Ok(())
    }

    fn add_realm(
        &mut self,
        name: &str,
        ip: &str,
        port: u16,
        fingerprint: Option<&str>,
    ) -> Result<(), Inconsistent> {
        let key = crate::names::key(name).ok_or(Inconsistent("names a realm by what is no name"))?;
        check(!self.realms.contains_key(&*key), "adds a realm again")?;
        let realm =
            Realm { name: name.into(), ip: ip.into(), port, fingerprint: fingerprint.map(Into::into) };
        self.realms.insert(key.into(), realm);
        Ok(())
    }
}
