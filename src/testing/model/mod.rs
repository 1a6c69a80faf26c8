//! What a server of this protocol knows and answers, in the plainest way: the engine is compared with it.
//!
//! It has no journal, no connections and no subscriptions; the [referee](super::referee) adds those.

mod accounts;
mod files;
mod groups;
mod history;
mod messages;
mod once;
mod realms;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

pub(super) use accounts::{Session, User};
pub(super) use files::Sending;
use files::{Key, Upload};
use groups::Group;
pub(super) use messages::Message;
use messages::To;
use once::Answered;

use super::rules::{error, help, ok};
use crate::{
    Ask, Config, Time,
    wire::{Code, Kind, Line, Request, SessionParam},
};

/// All that is known.
#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) users: Vec<User>,
    pub(super) sessions: BTreeMap<u64, Session>,
    groups: BTreeMap<u64, Group>,
    /// As LIST_REALMS shows them, by key.
    realms: BTreeMap<String, Value>,
    pub(super) messages: BTreeMap<u64, Message>,
    pub(super) last_message: u64,
    /// Messages that no mailbox holds, in the order they are forgotten where there is little room for them.
    released: Vec<u64>,
    uploads: BTreeMap<Key, Upload>,
    /// Bytes of files that take room but are no upload and no message's: with a request that is worked on, or kept in vain. By user.
    apart: BTreeMap<usize, usize>,
    /// What requests with a dedupe key were answered, and when.
    answers: Vec<Answered>,
    /// The last number given to a session or a group, none of them twice.
    pub(super) last_number: u64,
}

/// What a request leads to.
pub(super) enum Reply {
    /// This response.
    Now(Value),
    /// This response once more, to a request that is repeated with its dedupe key.
    Again(Value),
    /// That response, once this is done.
    Later(Pending),
}

/// What a request waits for.
#[derive(Clone)]
pub(super) enum Pending {
    Register {
        /// The session that the request acts for, if there is one.
        session: Option<u64>,
        user: String,
        password: String,
        country: String,
        name: String,
    },
    Auth {
        user: Option<usize>,
        password: String,
        right: Option<String>,
    },
    OldPassword {
        session: u64,
        password: String,
        right: String,
        new: String,
    },
    NewPassword {
        session: u64,
        new: String,
    },
    Inbox {
        ids: Vec<u64>,
        more: bool,
    },
    /// The messages that could be shown, the newest first; `known` unless they were to be those before a message that there is not.
    History {
        older: Vec<u64>,
        limit: usize,
        known: bool,
    },
    Upload {
        key: Key,
        offset: usize,
        bytes: Vec<u8>,
    },
    KeepFile(Sending),
    StoreFile(Sending),
    GetFile {
        sha256: [u8; 32],
        offset: usize,
        length: usize,
        fields: Value,
    },
}

impl Pending {
    /// Whether this is what has to be asked for.
    pub(super) fn is_asked_by(&self, ask: &Ask) -> bool {
        match (self, ask) {
            (
                Pending::Register { password, .. } | Pending::NewPassword { new: password, .. },
                Ask::HashPassword { password: asked, .. },
            )
            | (Pending::OldPassword { password, .. }, Ask::VerifyPassword { password: asked, .. }) => {
                asked.expose() == password
            }
            (Pending::Auth { user, password, .. }, Ask::VerifyPassword { password: asked, .. }) => {
                user.is_none() || asked.expose() == password
            }
            (Pending::Inbox { ids, .. }, Ask::ReadMessages { ids: asked, .. }) => {
                asked.iter().map(|id| id.0).eq(ids.iter().copied())
            }
            (Pending::History { limit, .. }, Ask::ReadHistory { limit: asked, .. }) => asked == limit,
            (Pending::Upload { offset, bytes, .. }, Ask::AppendUpload { offset: at, bytes: asked, .. }) => {
                *at == *offset as u64 && asked == bytes
            }
            (Pending::KeepFile(sending), Ask::AppendUpload { offset: 0, bytes, .. }) => {
                *bytes == sending.bytes
            }
            (Pending::StoreFile(_), Ask::FinishUpload { .. }) => true,
            (
                Pending::GetFile { sha256, offset, length, .. },
                Ask::ReadFile { sha256: asked, offset: at, length: long },
            ) => sha256 == asked && *at == *offset as u64 && length == long,
            _ => false,
        }
    }

    pub(super) fn is_about_password(&self) -> bool {
        matches!(
            self,
            Pending::Register { .. }
                | Pending::Auth { .. }
                | Pending::OldPassword { .. }
                | Pending::NewPassword { .. }
        )
    }

    /// Whether it goes on without its connection: what is uploaded is the user's.
    pub(super) fn outlives_connection(&self) -> bool {
        matches!(self, Pending::Upload { .. } | Pending::KeepFile(_) | Pending::StoreFile(_))
    }
}

/// Where a request comes from.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    pub(super) now: Time,
    /// The session of its connection.
    pub(super) bound: Option<u64>,
    /// The session ids that were given out.
    pub(super) given: &'a BTreeMap<String, u64>,
    /// The sessions that messages are pushed for.
    pub(super) subscribed: &'a BTreeSet<u64>,
    /// Whether as many passwords are worked on as may be.
    pub(super) queue_full: bool,
}

/// A request that is being answered.
#[derive(Clone, Copy)]
struct Asked<'a> {
    config: &'a Config,
    from: From<'a>,
    kind: Kind,
    /// The session it acts for, and that session's user.
    actor: Result<(u64, usize), Code>,
}

impl Model {
    /// Answers a request.
    pub(super) fn request(
        &mut self,
        config: &Config,
        from: From<'_>,
        line: &Line<'_>,
        dedupe: Option<&str>,
    ) -> Reply {
        let kind = line.request.kind();
        let actor = match kind.spec().session {
            SessionParam::ByForm | SessionParam::ByCount => self.actor(config, from, line.session),
            SessionParam::Unused | SessionParam::Own => Err(Code::NoSession),
        };
        let reply = self.once(Asked { config, from, kind, actor }, line.request, dedupe);
        reply.unwrap_or_else(|code| Reply::Now(error(Some(kind), code)))
    }

    /// Goes on with a request when what it waits for is done; `read` is how many messages were read.
    pub(super) fn go_on(
        &mut self,
        config: &Config,
        now: Time,
        kind: Kind,
        pending: Pending,
        read: usize,
    ) -> Reply {
        let reply = match pending {
            Pending::Register { session, user, password, country, name } => self
                .check_may_register(config, session)
                .and_then(|()| self.registered(config, &user, password, country, name)),
            Pending::Auth { user, password, right } => {
                self.authenticated(config, now, user, &password, right)
            }
            Pending::OldPassword { password, right, .. } if password != right => Err(Code::BadCredentials),
            Pending::OldPassword { session, new, .. } => {
                Ok(Reply::Later(Pending::NewPassword { session, new }))
            }
            Pending::NewPassword { session, new } => self.password_changed(session, new),
            Pending::Inbox { ids, more } => {
                Ok(self.inbox_read(&ids[..read.min(ids.len())], more || read < ids.len()))
            }
            Pending::History { .. } => self.history_read(pending, read),
            Pending::Upload { .. } => self.uploaded(pending),
            Pending::KeepFile(sending) => Ok(Reply::Later(Pending::StoreFile(sending))),
            Pending::StoreFile(sending) => self.stored(config, now, sending),
            Pending::GetFile { fields, .. } => Ok(ok(kind, fields)),
        };
        reply.unwrap_or_else(|code| Reply::Now(error(Some(kind), code)))
    }

    fn once(&mut self, asked: Asked<'_>, request: Request<'_>, dedupe: Option<&str>) -> Result<Reply, Code> {
        let Some(key) = dedupe else { return self.handle(asked, request, None) };
        if let Some(response) = self.answered_before(asked, key)? {
            return Ok(Reply::Again(response));
        }
        let reply = self.handle(asked, request, dedupe)?;
        if let Reply::Now(response) = &reply {
            self.remember(asked.config, asked.actor?.1, key, asked.from.now, response);
        }
        Ok(reply)
    }

    fn handle(
        &mut self,
        asked: Asked<'_>,
        request: Request<'_>,
        dedupe: Option<&str>,
    ) -> Result<Reply, Code> {
        match request {
            Request::Ping | Request::Quit => Ok(ok(asked.kind, Value::Null)),
            Request::Help { request } => help(asked.config, request),
            Request::Auth { user, password } => self.auth(asked, user, password),
            Request::Register { user, password, country, name } => {
                self.register(asked, user, password, country, name)
            }
            Request::Passwd { old, new } => self.passwd(asked, old, new),
            Request::Resume { sid } => {
                self.actor(asked.config, asked.from, Some(sid))?;
                Ok(ok(asked.kind, Value::Null))
            }
            Request::Logout => {
                self.end_session(asked.actor?.0);
                Ok(ok(asked.kind, Value::Null))
            }
            Request::Whoami => self.whoami(asked),
            Request::Send { to, text } => {
                asked.actor?;
                let to = To::User(self.user_at(asked.config, to)?);
                self.send(asked, to, text)
            }
            Request::SendGroup { group, text } => {
                asked.actor?;
                let to = To::Group(self.group_at(asked.config, group)?.0);
                self.send(asked, to, text)
            }
            Request::SendFile { to, filename, base64 } => {
                asked.actor?;
                let to = To::User(self.user_at(asked.config, to)?);
                self.send_file(asked, to, filename, base64, dedupe)
            }
            Request::SendGroupFile { group, filename, base64 } => {
                asked.actor?;
                let to = To::Group(self.group_at(asked.config, group)?.0);
                self.send_file(asked, to, filename, base64, dedupe)
            }
            Request::Upload { filename, base64, offset } => self.upload(asked, filename, base64, offset),
            Request::GetFile { id, offset, length } => self.get_file(asked, id, offset, length),
            Request::Inbox { after } => self.inbox(asked, after.unwrap_or(0)),
            Request::History { with, before, limit } => self.history(asked, with, before, limit),
            Request::Ack { id } => self.ack(asked, id),
            Request::Subscribe { after } => {
                asked.actor?;
                let beyond = after.is_some_and(|after| after > self.last_message);
                let begins = if beyond { json!({"after": self.last_message}) } else { Value::Null };
                Ok(ok(asked.kind, begins))
            }
            Request::AddGroup { group } => self.add_group(asked, group),
            Request::JoinGroup { group } => self.join_group(asked, group),
            Request::LeaveGroup { group } => self.leave_group(asked, group),
            Request::ListMyGroups => {
                let names = self.groups_of(asked.actor?.1);
                Ok(ok(asked.kind, json!({"users": names, "groups": names})))
            }
            Request::ListGroup { group } => self.list_group(asked, group),
            Request::ListUsers { after } => self.list_users(asked, after),
            Request::AddRealm { name, ip, port, fingerprint } => {
                self.add_realm(asked, name, ip, port, fingerprint)
            }
            Request::ListRealms => {
                asked.actor?;
                Ok(ok(asked.kind, json!({"realms": self.realms()})))
            }
        }
    }
}
