//! What a server of this protocol knows and answers, in the plainest way: the engine is compared with it.
//!
//! It has no journal, no connections and no subscriptions; the [referee](super::referee) adds those.

mod accounts;
mod groups;
mod messages;
mod realms;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(super) use accounts::{Session, User};
use groups::Group;
pub(super) use messages::Message;

use super::rules::{error, help, ok};
use crate::{
    Config, Time,
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
    /// The last number given to a session or a group, none of them twice.
    pub(super) last_number: u64,
}

/// What a request leads to.
pub(super) enum Reply {
    /// This response.
    Now(Value),
    /// That response, once this is done.
    Later(Pending),
}

/// What a request waits for.
#[derive(Clone)]
pub(super) enum Pending {
    Register { user: String, password: String, country: String, name: String },
    Auth { user: Option<usize>, password: String, right: Option<String> },
    OldPassword { session: u64, password: String, right: String, new: String },
    NewPassword { session: u64, new: String },
    Inbox { ids: Vec<u64>, more: bool },
}

/// Where a request comes from.
#[derive(Clone, Copy)]
pub(super) struct From<'a> {
    pub(super) now: Time,
    /// The session of its connection.
    pub(super) bound: Option<u64>,
    /// The session ids that were given out.
    pub(super) given: &'a BTreeMap<String, u64>,
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
    pub(super) fn request(&mut self, config: &Config, from: From<'_>, line: &Line<'_>) -> Reply {
        let kind = line.request.kind();
        let actor = match kind.spec().session {
            SessionParam::ByForm | SessionParam::ByCount => self.actor(config, from, line.session),
            SessionParam::Unused | SessionParam::Own => Err(Code::NoSession),
        };
        let reply = self.handle(Asked { config, from, kind, actor }, line.request);
        reply.unwrap_or_else(|code| Reply::Now(error(Some(kind), code)))
    }

    /// Goes on with a request when what it waits for is done; `bodies` is how many messages were read.
    pub(super) fn go_on(
        &mut self,
        config: &Config,
        now: Time,
        kind: Kind,
        pending: Pending,
        bodies: usize,
    ) -> Reply {
        let reply = match pending {
            Pending::Register { user, password, country, name } => {
                self.registered(config, &user, password, country, name)
            }
            Pending::Auth { user, password, right } => {
                self.authenticated(config, now, user, &password, right)
            }
            Pending::OldPassword { password, right, .. } if password != right => Err(Code::BadCredentials),
            Pending::OldPassword { session, new, .. } => {
                Ok(Reply::Later(Pending::NewPassword { session, new }))
            }
            Pending::NewPassword { session, new } => self.password_changed(session, new),
            Pending::Inbox { ids, more } => {
                Ok(self.inbox_read(&ids[..bodies.min(ids.len())], more || bodies < ids.len()))
            }
        };
        reply.unwrap_or_else(|code| Reply::Now(error(Some(kind), code)))
    }

    fn handle(&mut self, asked: Asked<'_>, request: Request<'_>) -> Result<Reply, Code> {
        match request {
            Request::Ping | Request::Quit => Ok(ok(asked.kind, Value::Null)),
            Request::Help { request } => help(request),
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
            Request::Send { to, text } => self.send(asked, to, text),
            Request::SendGroup { group, text } => self.send_group(asked, group, text),
            Request::Inbox { after } => self.inbox(asked, after.unwrap_or(0)),
            Request::History { .. }
            | Request::Upload { .. }
            | Request::SendFile { .. }
            | Request::SendGroupFile { .. }
            | Request::GetFile { .. } => {
                unreachable!("not among a scenario's requests: those have transcripts")
            }
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
