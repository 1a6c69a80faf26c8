//! What a server of this protocol knows and answers, in the plainest way: the engine is compared with it.
//!
//! It has no journal, no connections and no subscriptions; the [referee](super::referee) adds those.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde_json::{Value, json};

use super::rules::{error, help, new_password, ok, session_end, sorted, use_interval};
use crate::{
    Config, Password, Service, Time,
    names::{self, Address},
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

#[derive(Clone)]
pub(super) struct User {
    pub(super) name: String,
    key: String,
    full_name: String,
    country: String,
    pub(super) password: String,
    /// The oldest first.
    sessions: Vec<u64>,
    pub(super) mailbox: Vec<u64>,
    pub(super) gap: u64,
}

#[derive(Clone)]
pub(super) struct Session {
    pub(super) user: usize,
    used: Time,
    group: Option<u64>,
}

#[derive(Clone)]
struct Group {
    name: String,
    key: String,
    members: BTreeSet<usize>,
}

#[derive(Clone)]
pub(super) struct Message {
    pub(super) json: Value,
    pub(super) to: Vec<usize>,
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
    Register { session: u64, user: String, password: String, country: String, name: String },
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

impl Model {
    /// Answers a request.
    pub(super) fn request(&mut self, config: &Config, from: From<'_>, line: &Line<'_>) -> Reply {
        let kind = line.request.kind();
        let reply = self.handle(config, from, line);
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
                Ok(self.inbox_read(&ids[..bodies.min(ids.len())], more || bodies < ids.len()))
            }
        };
        reply.unwrap_or_else(|code| Reply::Now(error(Some(kind), code)))
    }

    /// Ends the sessions that were unused for too long.
    pub(super) fn end_unused(&mut self, config: &Config, now: Time) {
        let over = self.sessions.iter().filter(|(_, held)| now > session_end(config, held.used));
        for session in over.map(|(session, _)| *session).collect::<Vec<_>>() {
            self.end_session(session);
        }
    }

    fn handle(&mut self, config: &Config, from: From<'_>, line: &Line<'_>) -> Result<Reply, Code> {
        let kind = line.request.kind();
        let actor = match kind.spec().session {
            SessionParam::ByForm | SessionParam::ByCount => self.actor(config, from, line.session),
            SessionParam::Unused | SessionParam::Own => Err(Code::NoSession),
        };
        let session = actor.unwrap_or(0);
        let me = self.sessions.get(&session).map_or(usize::MAX, |held| held.user);
        let none = Value::Null;
        match line.request {
            Request::Ping | Request::Quit => Ok(ok(kind, none)),
            Request::Help { request } => help(request),
            Request::Auth { user, password } => {
                let password = Password::new(password);
                let user = self.user_at(config, user).ok().filter(|_| password.is_some());
                let password = password.map_or(String::new(), |password| password.expose().to_owned());
                let right = user.map(|user| self.users[user].password.clone());
                queued(from, Pending::Auth { user, password, right })
            }
            Request::Register { user, password, country, name } => {
                self.check_may_register(config, session)?;
                self.check_new_user(config, user)?;
                if country.len() > 64
                    || name.len() > 256
                    || (country.to_owned() + name).contains(char::is_control)
                {
                    return Err(Code::BadParameters);
                }
                let password = new_password(config, password)?;
                let (user, country, name) = (user.to_owned(), country.to_owned(), name.to_owned());
                queued(from, Pending::Register { session, user, password, country, name })
            }
            Request::Passwd { old, new } => {
                actor?;
                let new = new_password(config, new)?;
                let password = Password::new(old).ok_or(Code::BadCredentials)?.expose().to_owned();
                let right = self.users[me].password.clone();
                queued(from, Pending::OldPassword { session, password, right, new })
            }
            Request::Resume { sid } => {
                self.actor(config, from, Some(sid))?;
                Ok(ok(kind, none))
            }
            Request::Logout => {
                self.end_session(actor?);
                Ok(ok(kind, none))
            }
            Request::Whoami => {
                actor?;
                let User { name, full_name, country, .. } = &self.users[me];
                let admin = self.is_admin(config, me);
                Ok(ok(kind, json!({"user": name, "name": full_name, "country": country, "admin": admin})))
            }
            Request::Send { to, text } => {
                actor?;
                let to = self.user_at(config, to)?;
                if self.users[to].mailbox.len() >= config.limits.mailbox_messages {
                    return Err(Code::MailboxFull);
                }
                let names = json!({"to": self.users[to].name});
                Ok(self.deliver(kind, from.now, me, names, text, vec![to]))
            }
            Request::SendGroup { group, text } => {
                actor?;
                let (no, group) = self.group_at(config, group)?;
                if !group.members.contains(&me) {
                    return Err(Code::NotMember);
                }
                let names = json!({"to": group.name, "group": group.name});
                let to: Vec<usize> = group.members.iter().copied().filter(|member| *member != me).collect();
                self.sessions.get_mut(&session).expect("it acts").group = Some(no);
                let reply = self.deliver(kind, from.now, me, names, text, to.clone());
                for user in &to {
                    let user = &mut self.users[*user];
                    if user.mailbox.len() > config.limits.mailbox_messages {
                        // Of groups the oldest goes, be it this one; private messages stay.
                        let of_group = |id: &u64| self.messages[id].json.get("group").is_some();
                        let oldest = user.mailbox.iter().position(of_group).expect("this one is of a group");
                        user.mailbox.remove(oldest);
                        user.gap += 1;
                    }
                }
                Ok(reply)
            }
            Request::Inbox { after } => {
                actor?;
                let after = after.unwrap_or(0);
                let mut ids: Vec<u64> =
                    self.users[me].mailbox.iter().copied().filter(|id| *id > after).collect();
                let more = ids.len() > 100;
                ids.truncate(100);
                if ids.is_empty() || config.messages == Service::Inside {
                    return Ok(self.inbox_read(&ids, more));
                }
                Ok(Reply::Later(Pending::Inbox { ids, more }))
            }
            Request::History { .. }
            | Request::Upload { .. }
            | Request::SendFile { .. }
            | Request::SendGroupFile { .. }
            | Request::GetFile { .. } => {
                unreachable!("not among a scenario's requests: those have transcripts")
            }
            Request::Ack { id } => {
                actor?;
                self.users[me].mailbox.retain(|held| *held > id);
                self.users[me].gap = 0;
                Ok(ok(kind, none))
            }
            Request::Subscribe { after } => {
                actor?;
                let beyond = after.is_some_and(|after| after > self.last_message);
                Ok(ok(kind, if beyond { json!({"after": self.last_message}) } else { none }))
            }
            Request::AddGroup { group } => {
                actor?;
                let key = names::key(group).ok_or(Code::InvalidName)?.into_owned();
                if self.groups.values().any(|held| held.key == key) {
                    return Err(Code::GroupExists);
                }
                self.check_group_room(config, me)?;
                self.last_number += 1;
                let added = Group { name: group.to_owned(), key, members: BTreeSet::from([me]) };
                self.groups.insert(self.last_number, added);
                self.sessions.get_mut(&session).expect("it acts").group = Some(self.last_number);
                Ok(ok(kind, none))
            }
            Request::JoinGroup { group } => {
                actor?;
                let (no, group) = self.group_at(config, group)?;
                if group.members.contains(&me) {
                    return Err(Code::AlreadyMember);
                }
                if group.members.len() >= config.limits.group_members {
                    return Err(Code::Busy);
                }
                self.check_group_room(config, me)?;
                self.groups.get_mut(&no).expect("it was found").members.insert(me);
                self.sessions.get_mut(&session).expect("it acts").group = Some(no);
                Ok(ok(kind, none))
            }
            Request::LeaveGroup { group } => {
                actor?;
                let (no, group) = self.group_at(config, group)?;
                if !group.members.contains(&me) {
                    return Err(Code::NotMember);
                }
                let left = self.groups.get_mut(&no).expect("it was found");
                left.members.remove(&me);
                if left.members.is_empty() {
                    self.groups.remove(&no);
                }
                Ok(ok(kind, none))
            }
            Request::ListMyGroups => {
                actor?;
                let names = self.groups_of(me);
                Ok(ok(kind, json!({"users": names, "groups": names})))
            }
            Request::ListGroup { group } => {
                actor?;
                let group = match group {
                    Some(group) => self.group_at(config, group)?.1,
                    None => {
                        let current = self.sessions[&session].group;
                        current.and_then(|no| self.groups.get(&no)).ok_or(Code::NoSuchGroup)?
                    }
                };
                if !group.members.contains(&me) {
                    return Err(Code::NotMember);
                }
                let members = group.members.iter().map(|member| &self.users[*member]);
                let names = sorted(members.map(|user| (user.key.clone(), user.name.clone())));
                Ok(ok(kind, json!({"groups": names, "members": names})))
            }
            Request::ListUsers { after } => {
                let after = match after {
                    Some(name) => names::key(name).ok_or(Code::BadParameters)?.into_owned(),
                    None => String::new(),
                };
                let hidden = config.accounts.list_users_needs_session && actor.is_err();
                let shown = self.users.iter().filter(|user| !hidden && user.key > after);
                Ok(ok(
                    kind,
                    json!({"users": sorted(shown.map(|user| (user.key.clone(), user.name.clone())))}),
                ))
            }
            Request::AddRealm { name, ip, port, fingerprint } => {
                actor?;
                if !self.is_admin(config, me) {
                    return Err(Code::Forbidden);
                }
                let key = names::key(name).ok_or(Code::InvalidName)?.into_owned();
                let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
                let is_fingerprint = |text: &str| {
                    text.len() <= 64
                        && text.strip_prefix("SHA256:").is_some_and(|rest| rest.chars().all(base64))
                };
                let pinned = fingerprint.is_none_or(is_fingerprint);
                if !(1..=65_535).contains(&port) || ip.parse::<IpAddr>().is_err() || !pinned {
                    return Err(Code::BadParameters);
                }
                if key == config.realm || self.realms.contains_key(&key) {
                    return Err(Code::RealmExists);
                }
                if self.realms.len() >= config.limits.realms {
                    return Err(Code::Busy);
                }
                let row = json!({"name": name, "ip": ip, "port": port, "fingerprint": fingerprint});
                self.realms.insert(key, row);
                Ok(ok(kind, none))
            }
            Request::ListRealms => {
                actor?;
                Ok(ok(kind, json!({"realms": self.realms.values().collect::<Vec<_>>()})))
            }
        }
    }

    /// The session that a request acts for.
    fn actor(&mut self, config: &Config, from: From<'_>, named: Option<&str>) -> Result<u64, Code> {
        let session = match named {
            Some(text) => from.given.get(text).copied(),
            None => from.bound,
        };
        let session = session.ok_or(Code::NoSession)?;
        let held = self.sessions.get_mut(&session).ok_or(Code::NoSession)?;
        if from.now > session_end(config, held.used) {
            return Err(Code::NoSession);
        }
        if from.now.since(held.used) > use_interval(config) {
            held.used = from.now;
        }
        Ok(session)
    }

    fn registered(
        &mut self,
        config: &Config,
        user: &str,
        password: String,
        country: String,
        full_name: String,
    ) -> Result<Reply, Code> {
        self.check_new_user(config, user)?;
        self.users.push(User {
            name: user.to_owned(),
            key: names::key(user).ok_or(Code::InvalidName)?.into_owned(),
            full_name,
            country,
            password,
            sessions: vec![],
            mailbox: vec![],
            gap: 0,
        });
        Ok(ok(Kind::Register, Value::Null))
    }

    fn authenticated(
        &mut self,
        config: &Config,
        now: Time,
        user: Option<usize>,
        password: &str,
        right: Option<String>,
    ) -> Result<Reply, Code> {
        let user = user.ok_or(Code::BadCredentials)?;
        if right.as_deref() != Some(password) || self.users[user].password != password {
            return Err(Code::BadCredentials);
        }
        while self.users[user].sessions.len() >= config.limits.sessions_per_user {
            self.end_session(self.users[user].sessions[0]);
        }
        self.last_number += 1;
        self.sessions.insert(self.last_number, Session { user, used: now, group: None });
        self.users[user].sessions.push(self.last_number);
        Ok(ok(Kind::Auth, Value::Null))
    }

    fn password_changed(&mut self, session: u64, new: String) -> Result<Reply, Code> {
        let user = self.sessions.get(&session).ok_or(Code::NoSession)?.user;
        self.users[user].password = new;
        for other in self.users[user].sessions.clone() {
            if other != session {
                self.end_session(other);
            }
        }
        Ok(ok(Kind::Passwd, Value::Null))
    }

    fn end_session(&mut self, session: u64) {
        if let Some(ended) = self.sessions.remove(&session) {
            self.users[ended.user].sessions.retain(|held| *held != session);
        }
    }

    fn deliver(
        &mut self,
        kind: Kind,
        now: Time,
        from: usize,
        names: Value,
        text: &str,
        to: Vec<usize>,
    ) -> Reply {
        self.last_message += 1;
        let id = self.last_message;
        let mut json = names;
        json["id"] = id.into();
        json["from"] = self.users[from].name.as_str().into();
        json["time"] = now.to_string().into();
        json["text"] = text.into();
        to.iter().for_each(|user| self.users[*user].mailbox.push(id));
        self.messages.insert(id, Message { json, to });
        ok(kind, json!({"id": id}))
    }

    fn inbox_read(&self, ids: &[u64], more: bool) -> Reply {
        let messages: Vec<&Value> = ids.iter().map(|id| &self.messages[id].json).collect();
        ok(Kind::Inbox, json!({"messages": messages, "more": more}))
    }

    fn is_admin(&self, config: &Config, user: usize) -> bool {
        let admins = &config.accounts.admins;
        if admins.is_empty() { user == 0 } else { admins.contains(&self.users[user].key) }
    }

    /// Where registration is closed, the first account is made by anybody, the others by admins.
    fn check_may_register(&self, config: &Config, session: u64) -> Result<(), Code> {
        let held = self.sessions.get(&session);
        let allowed = config.accounts.registration_open
            || self.users.is_empty()
            || held.is_some_and(|held| self.is_admin(config, held.user));
        if allowed { Ok(()) } else { Err(Code::Forbidden) }
    }

    fn check_new_user(&self, config: &Config, name: &str) -> Result<(), Code> {
        let key = names::key(name).ok_or(Code::InvalidName)?;
        match () {
            () if self.users.iter().any(|user| user.key == key) => Err(Code::UserExists),
            () if self.users.len() >= config.limits.users => Err(Code::Busy),
            () => Ok(()),
        }
    }

    fn check_group_room(&self, config: &Config, user: usize) -> Result<(), Code> {
        let full = self.groups_of(user).len() >= config.limits.groups_per_user;
        if full { Err(Code::Busy) } else { Ok(()) }
    }

    /// The names of a user's groups, in order.
    pub(super) fn groups_of(&self, user: usize) -> Vec<String> {
        let held = self.groups.values().filter(|group| group.members.contains(&user));
        sorted(held.map(|group| (group.key.clone(), group.name.clone())))
    }

    fn user_at(&self, config: &Config, address: &str) -> Result<usize, Code> {
        let key = self.key_at(config, address)?;
        self.users.iter().position(|user| Some(&user.key) == key.as_ref()).ok_or(Code::NoSuchUser)
    }

    fn group_at(&self, config: &Config, address: &str) -> Result<(u64, &Group), Code> {
        let key = self.key_at(config, address)?;
        let mut groups = self.groups.iter().map(|(no, group)| (*no, group));
        groups.find(|(_, group)| Some(&group.key) == key.as_ref()).ok_or(Code::NoSuchGroup)
    }

    fn key_at(&self, config: &Config, address: &str) -> Result<Option<String>, Code> {
        let Address { name, realm } = Address::parse(address);
        match realm.map(|realm| names::key(realm).map(|key| key.into_owned())) {
            Some(Some(realm)) if self.realms.contains_key(&realm) => Err(Code::RealmUnreachable),
            Some(Some(realm)) if realm != config.realm => Err(Code::NoSuchRealm),
            Some(None) => Err(Code::NoSuchRealm),
            _ => Ok(names::key(name).map(|key| key.into_owned())),
        }
    }

    /// The realms as LIST_REALMS shows them.
    pub(super) fn realms(&self) -> Vec<&Value> {
        self.realms.values().collect()
    }
}

fn queued(from: From<'_>, pending: Pending) -> Result<Reply, Code> {
    if from.queue_full { Err(Code::Busy) } else { Ok(Reply::Later(pending)) }
}
