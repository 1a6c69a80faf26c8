//! REGISTER, AUTH, RESUME, LOGOUT, PASSWD, WHOAMI.

use std::net::IpAddr;

use super::{
    Ask, ConnId, Due, Engine, Peer,
    asks::Pending,
    dispatch::{Actor, Failure},
    throttle::Subject,
};
use crate::{
    names,
    passwords::NOBODY,
    secret::{Password, SessionId},
    state::{Record, SessionNo, UserNo},
    wire::{Code, Kind, Object},
};

/// An account that is made when its password is hashed.
pub(super) struct Registering {
    pub(super) conn: ConnId,
    /// The session that the request acts for, if there is one.
    session: Option<SessionNo>,
    user: Box<str>,
    country: Box<str>,
    name: Box<str>,
    pub(super) subjects: Vec<Subject>,
}

impl Engine {
    pub(super) fn register(
        &mut self,
        conn: ConnId,
        actor: Option<Actor>,
        user: &str,
        password: &str,
        country: &str,
        name: &str,
    ) -> Result<(), Failure> {
        let session = actor.map(|actor| actor.session);
        self.check_may_register(session)?;
        self.check_new_user(user)?;
        if !names::is_country(country) || !names::is_full_name(name) {
            return Err(Code::BadParameters.into());
        }
        let password = self.new_password(password)?;
        let subjects: Vec<_> = self.throttled_peer(conn).into_iter().collect();
        self.attempt(conn, &subjects)?;
        let registering = Registering {
            conn,
            session,
            user: user.into(),
            country: country.into(),
            name: name.into(),
            subjects,
        };
        let salt = self.random_bytes();
        self.ask_password(Ask::HashPassword { password, salt }, Pending::Register(registering));
        Ok(())
    }

    pub(super) fn registered(&mut self, registering: &Registering, hash: &str) -> Result<(), Failure> {
        let Registering { conn, session, user, country, name, subjects } = registering;
        // Somebody else may have registered while the password was hashed, or the session that allowed it have ended.
        self.check_may_register(*session)?;
        self.check_new_user(user)?;
        self.throttle.succeeded(subjects);
        let no = UserNo(self.state.user_count() as u32);
        self.commit(&Record::Registered {
            user: no,
            name: user,
            full_name: name,
            country,
            password_hash: hash,
            time: self.now,
        });
        self.outputs.push_back(Due::Registered(*conn, no));
        self.succeed(*conn, Kind::Register);
        Ok(())
    }

    pub(super) fn auth(&mut self, conn: ConnId, user: &str, password: &str) -> Result<(), Failure> {
        // `ann` and `ann@here` are one account.
        let account = self.local_name(user).ok().and_then(names::key);
        let subjects = match (self.throttled_peer(conn), account) {
            (None, _) => vec![],
            (Some(peer), Some(key)) => vec![peer, Subject::Account(key.into())],
            (Some(peer), None) => vec![peer],
        };
        self.attempt(conn, &subjects)?;
        // What is no password is nobody's, and takes as long.
        let password = Password::new(password);
        let user = self.local_user(user).ok().filter(|_| password.is_some());
        let hash = user.map_or(NOBODY, |user| &self.state.user(user).password_hash).to_owned();
        let password = password.unwrap_or_else(Password::placeholder);
        let then = Pending::Auth { conn, user, hash: hash.clone(), subjects };
        self.ask_password(Ask::VerifyPassword { password, hash }, then);
        Ok(())
    }

    pub(super) fn authenticated(
        &mut self,
        conn: ConnId,
        user: Option<UserNo>,
        subjects: &[Subject],
    ) -> Result<(), Failure> {
        let Some(user) = user else {
            self.outputs.push_back(Due::LoginFailed(conn));
            return Err(Code::BadCredentials.into());
        };
        self.throttle.succeeded(subjects);
        while self.state.user(user).sessions.len() >= self.config.limits.sessions_per_user {
            let oldest = self.state.user(user).sessions[0];
            self.end_session(oldest);
        }
        // A host that starts again with an old seed draws the same ids again.
        let (sid, digest) = loop {
            let sid = SessionId::from_random(self.random_bytes());
            let digest = SessionId::digest(sid.expose());
            if self.state.find_session(&digest).is_none() {
                break (sid, digest);
            }
        };
        let session = self.state.next_session();
        self.commit(&Record::SessionOpened { session, user, digest, time: self.now });
        self.bind(conn, session);
        self.outputs.push_back(Due::LoggedIn(conn, user));
        self.respond(conn, Kind::Auth, |out| {
            Object::ok(out, Kind::Auth.spec().ok).text("tokenid", sid.expose()).end_frame();
        });
        Ok(())
    }

    pub(super) fn resume(&mut self, conn: ConnId, sid: &str) -> Result<(), Failure> {
        let actor = self.actor(conn, Some(sid))?;
        self.bind(conn, actor.session);
        self.succeed(conn, Kind::Resume);
        Ok(())
    }

    pub(super) fn logout(&mut self, actor: Actor) {
        self.end_session(actor.session);
        self.succeed(actor.conn, Kind::Logout);
    }

    pub(super) fn passwd(&mut self, actor: Actor, old: &str, new: &str) -> Result<(), Failure> {
        let new = self.new_password(new)?;
        let user = self.state.user(actor.user);
        let hash = user.password_hash.to_string();
        let account = names::key(&user.name).expect("a user has a name").into();
        let subjects = match self.throttled_peer(actor.conn) {
            Some(peer) => vec![peer, Subject::Account(account)],
            None => vec![],
        };
        self.attempt(actor.conn, &subjects)?;
        let Some(password) = Password::new(old) else { return Err(Code::BadCredentials.into()) };
        let then = Pending::VerifyOld { conn: actor.conn, session: actor.session, new, subjects };
        self.ask_password(Ask::VerifyPassword { password, hash }, then);
        Ok(())
    }

    pub(super) fn old_password_verified(
        &mut self,
        conn: ConnId,
        session: SessionNo,
        new: Password,
        matches: bool,
        subjects: &[Subject],
    ) -> Result<(), Failure> {
        if !matches {
            self.outputs.push_back(Due::LoginFailed(conn));
            return Err(Code::BadCredentials.into());
        }
        self.throttle.succeeded(subjects);
        let salt = self.random_bytes();
        // The place in the queue that the old password had is free again.
        self.ask_password(Ask::HashPassword { password: new, salt }, Pending::HashNew { conn, session });
        Ok(())
    }

    pub(super) fn new_password_hashed(
        &mut self,
        conn: ConnId,
        session: SessionNo,
        hash: &str,
    ) -> Result<(), Failure> {
        // The session may have ended while the passwords were worked on.
        let user = self.state.session(session).ok_or(Code::NoSession)?.user;
        self.unsubscribe_user(user, |other| other != session);
        self.commit(&Record::PasswordChanged { user, password_hash: hash, kept: session });
        self.succeed(conn, Kind::Passwd);
        Ok(())
    }

    pub(super) fn whoami(&mut self, actor: Actor) {
        let admin = self.is_admin(actor.user);
        let user = self.state.user(actor.user);
        // Cheap to copy, and what is written must not borrow what it is written to.
        let (name, full_name, country) = (user.name.clone(), user.full_name.clone(), user.country.clone());
        self.respond(actor.conn, Kind::Whoami, |out| {
            Object::ok(out, None)
                .text("user", &name)
                .text("name", &full_name)
                .text("country", &country)
                .field("admin", &admin)
                .end_frame();
        });
    }

    /// The admins are those the configuration names, or else the first account (protocol, section 2).
    pub(super) fn is_admin(&self, user: UserNo) -> bool {
        if self.admins.is_empty() {
            return user == UserNo(0);
        }
        names::key(&self.state.user(user).name).is_some_and(|key| self.admins.contains(&*key))
    }

    /// Whether accounts are made now with a session or without: where registration is closed, the first one and those that admins make.
    fn check_may_register(&self, session: Option<SessionNo>) -> Result<(), Failure> {
        let by_admin = || {
            let held = session.and_then(|session| self.state.session(session));
            held.is_some_and(|held| self.is_admin(held.user))
        };
        let open = self.config.accounts.registration_open || self.state.user_count() == 0;
        if open || by_admin() { Ok(()) } else { Err(Code::Forbidden.into()) }
    }

    fn check_new_user(&self, name: &str) -> Result<(), Failure> {
        if names::key(name).is_none() {
            Err(Code::InvalidName.into())
        } else if self.state.find_user(name).is_some() {
            Err(Code::UserExists.into())
        } else if self.state.user_count() >= self.config.limits.users {
            Err(Code::Busy.into())
        } else {
            Ok(())
        }
    }

    fn new_password(&self, typed: &str) -> Result<Password, Failure> {
        let long_enough = |password: &Password| {
            password.expose().chars().count() >= self.config.accounts.min_password_length
        };
        Password::new(typed).filter(long_enough).ok_or(Code::WeakPassword.into())
    }

    /// The peer, if its attempts are counted (protocol, section 2).
    fn throttled_peer(&self, conn: ConnId) -> Option<Subject> {
        let address = match self.connections.get(conn)?.peer {
            Peer::Address(address) => address,
            Peer::Local => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        };
        let counted = !address.to_canonical().is_loopback() || self.config.accounts.throttle_loopback;
        counted.then(|| Subject::peer(address))
    }

    /// Counts an attempt, if there is a place in the queue for its password: who is told to come back later has not tried yet.
    fn attempt(&mut self, conn: ConnId, subjects: &[Subject]) -> Result<(), Failure> {
        self.check_password_room()?;
        self.throttle.attempt(self.now, subjects).map_err(|retry_after| {
            self.outputs.push_back(Due::Throttled(conn));
            Failure::throttled(retry_after)
        })
    }

    fn bind(&mut self, conn: ConnId, session: SessionNo) {
        if let Some(held) = self.connections.get_mut(conn) {
            held.session = Some(session);
        }
        self.pass_subscription(conn, session);
    }
}
