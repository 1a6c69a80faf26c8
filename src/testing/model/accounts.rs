//! Accounts and sessions.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Asked, From, Model, Pending, Reply};
use crate::{
    Config, Password, Time, names,
    testing::rules::{new_password, ok, session_end, sorted, use_interval},
    wire::{Code, Kind},
};

#[derive(Clone)]
pub(in crate::testing) struct User {
    pub(in crate::testing) name: String,
    pub(super) key: String,
    full_name: String,
    country: String,
    pub(in crate::testing) password: String,
    /// The oldest first.
    sessions: Vec<u64>,
    pub(in crate::testing) mailbox: Vec<u64>,
    pub(in crate::testing) gap: Vec<u64>,
}

#[derive(Clone)]
pub(in crate::testing) struct Session {
    pub(in crate::testing) user: usize,
    used: Time,
    pub(super) group: Option<u64>,
}

impl Model {
    /// The session that a request acts for, and its user.
    pub(super) fn actor(
        &mut self,
        config: &Config,
        from: From<'_>,
        named: Option<&str>,
    ) -> Result<(u64, usize), Code> {
        let session = match named {
            Some(text) => from.given.get(text).copied(),
            None => from.bound,
        };
        let session = session.ok_or(Code::NoSession)?;
        let held = self.sessions.get_mut(&session).ok_or(Code::NoSession)?;
        if from.now > session_end(config, held.used) && !from.subscribed.contains(&session) {
            return Err(Code::NoSession);
        }
        if from.now.since(held.used) > use_interval(config) {
            held.used = from.now;
        }
        Ok((session, held.user))
    }

    /// Ends the sessions and drops the uploads that were unused for too long. To be pushed messages is to use a session.
    pub(in crate::testing) fn end_unused(&mut self, config: &Config, now: Time, subscribed: &BTreeSet<u64>) {
        self.drop_unused_uploads(now);
        let over = self.sessions.iter().filter(|(_, held)| now > session_end(config, held.used));
        for session in over.map(|(session, _)| *session).collect::<Vec<_>>() {
            match self.sessions.get_mut(&session) {
                Some(held) if subscribed.contains(&session) => held.used = now,
                _ => self.end_session(session),
            }
        }
    }

    /// Opens a session and returns its number.
    pub(in crate::testing) fn open_session(&mut self, user: usize, now: Time) -> u64 {
        self.last_number += 1;
        self.sessions.insert(self.last_number, Session { user, used: now, group: None });
        self.users[user].sessions.push(self.last_number);
        self.last_number
    }

    pub(super) fn end_session(&mut self, session: u64) {
        if let Some(ended) = self.sessions.remove(&session) {
            self.users[ended.user].sessions.retain(|held| *held != session);
        }
    }

    pub(super) fn register(
        &mut self,
        asked: Asked<'_>,
        user: &str,
        password: &str,
        country: &str,
        name: &str,
    ) -> Result<Reply, Code> {
        let config = asked.config;
        let session = asked.actor.ok().map(|(session, _)| session);
        self.check_may_register(config, session)?;
        self.check_new_user(config, user)?;
        if country.len() > 64 || name.len() > 256 || (country.to_owned() + name).contains(char::is_control) {
            return Err(Code::BadParameters);
        }
        let password = new_password(config, password)?;
        let (user, country, name) = (user.to_owned(), country.to_owned(), name.to_owned());
        queued(asked, Pending::Register { session, user, password, country, name })
    }

    /// Where registration is closed, the first account is made by anybody, the others by admins.
    pub(super) fn check_may_register(&self, config: &Config, session: Option<u64>) -> Result<(), Code> {
        let held = session.and_then(|session| self.sessions.get(&session));
        let allowed = config.accounts.registration_open
            || self.users.is_empty()
            || held.is_some_and(|held| self.is_admin(config, held.user));
        if allowed { Ok(()) } else { Err(Code::Forbidden) }
    }

    pub(super) fn registered(
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
            gap: vec![],
        });
        Ok(ok(Kind::Register, Value::Null))
    }

    pub(super) fn auth(&self, asked: Asked<'_>, user: &str, password: &str) -> Result<Reply, Code> {
        let password = Password::new(password);
        let user = self.user_at(asked.config, user).ok().filter(|_| password.is_some());
        let password = password.map_or(String::new(), |password| password.expose().to_owned());
        let right = user.map(|user| self.users[user].password.clone());
        queued(asked, Pending::Auth { user, password, right })
    }

    pub(super) fn authenticated(
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
        self.open_session(user, now);
        Ok(ok(Kind::Auth, Value::Null))
    }

    pub(super) fn passwd(&self, asked: Asked<'_>, old: &str, new: &str) -> Result<Reply, Code> {
        let (session, me) = asked.actor?;
        let new = new_password(asked.config, new)?;
        // Even what is no password is an attempt, and waits for its turn.
        let wrong = if asked.from.queue_full { Code::Busy } else { Code::BadCredentials };
        let password = Password::new(old).ok_or(wrong)?.expose().to_owned();
        let right = self.users[me].password.clone();
        queued(asked, Pending::OldPassword { session, password, right, new })
    }

    pub(super) fn password_changed(&mut self, session: u64, new: String) -> Result<Reply, Code> {
        let user = self.sessions.get(&session).ok_or(Code::NoSession)?.user;
        self.users[user].password = new;
        for other in self.users[user].sessions.clone() {
            if other != session {
                self.end_session(other);
            }
        }
        Ok(ok(Kind::Passwd, Value::Null))
    }

    pub(super) fn whoami(&self, asked: Asked<'_>) -> Result<Reply, Code> {
        let (_, me) = asked.actor?;
        let User { name, full_name, country, .. } = &self.users[me];
        let admin = self.is_admin(asked.config, me);
        let fields = json!({"user": name, "name": full_name, "country": country, "admin": admin});
        Ok(ok(asked.kind, fields))
    }

    pub(super) fn list_users(&self, asked: Asked<'_>, after: Option<&str>) -> Result<Reply, Code> {
        let after = match after {
            Some(name) => names::key(name).ok_or(Code::BadParameters)?.into_owned(),
            None => String::new(),
        };
        let hidden = asked.config.accounts.list_users_needs_session && asked.actor.is_err();
        let shown = self.users.iter().filter(|user| !hidden && user.key > after);
        let names = sorted(shown.map(|user| (user.key.clone(), user.name.clone())));
        Ok(ok(asked.kind, json!({"users": names})))
    }

    pub(super) fn is_admin(&self, config: &Config, user: usize) -> bool {
        let admins = &config.accounts.admins;
        if admins.is_empty() { user == 0 } else { admins.contains(&self.users[user].key) }
    }

    fn check_new_user(&self, config: &Config, name: &str) -> Result<(), Code> {
        let key = names::key(name).ok_or(Code::InvalidName)?;
        match () {
            () if self.users.iter().any(|user| user.key == key) => Err(Code::UserExists),
            () if self.users.len() >= config.limits.users => Err(Code::Busy),
            () => Ok(()),
        }
    }
}

fn queued(asked: Asked<'_>, pending: Pending) -> Result<Reply, Code> {
    if asked.from.queue_full { Err(Code::Busy) } else { Ok(Reply::Later(pending)) }
}
