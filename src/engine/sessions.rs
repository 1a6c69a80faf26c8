//! Which session a request acts for, and when sessions end.

use super::{ConnId, Engine, dispatch::Actor};
use crate::{
    secret::SessionId,
    state::{Record, SessionNo, UserNo},
    time::Time,
    wire::Code,
};

impl Engine {
    /// Who a request acts for: the session it names, or else the connection's (protocol, section 2).
    pub(super) fn actor(&mut self, conn: ConnId, named: Option<&str>) -> Result<Actor, Code> {
        let session = match named {
            Some(sid) => self.state.find_session(&SessionId::digest(sid)),
            None => self.connections.get(conn).and_then(|held| held.session),
        };
        let session = session.ok_or(Code::NoSession)?;
        let held = self.state.session(session).ok_or(Code::NoSession)?;
        let user = held.user;
        if self.now > self.session_end(held.used) && !self.is_subscribed(session, user) {
            return Err(Code::NoSession);
        }
        if self.now.since(held.used) > self.use_interval() {
            self.commit(&Record::SessionUsed { session, time: self.now });
        }
        Ok(Actor { conn, session, user })
    }

    /// Uses of a session this soon after one another are one record.
    fn use_interval(&self) -> u64 {
        (self.config.limits.session_idle / 8).min(3_600_000)
    }

    /// Whether messages are pushed for a session. That is a use of it: a client that only listens is not cut off.
    fn is_subscribed(&self, session: SessionNo, user: UserNo) -> bool {
        let mut conns = self.subscribers.get(user.0 as usize).into_iter().flatten();
        conns.any(|conn| {
            let subscription = self.connections.get(*conn).and_then(|held| held.subscription.as_ref());
            subscription.is_some_and(|subscription| subscription.session == session)
        })
    }

    /// When a session whose last recorded use was then ends: never before it was unused for the whole time.
    fn session_end(&self, used: Time) -> Time {
        used.after(self.config.limits.session_idle).after(self.use_interval())
    }

    /// When [`end_unused_sessions`](Self::end_unused_sessions) has something to do.
    pub(super) fn next_session_end(&self) -> Option<Time> {
        self.state.stalest_session().map(|(used, _)| self.session_end(used).after(1))
    }

    pub(super) fn end_unused_sessions(&mut self) {
        while !self.journal.failed
            && let Some((used, session)) = self.state.stalest_session()
            && self.now > self.session_end(used)
        {
            let user = self.state.session(session).expect("it is one of the sessions").user;
            if self.is_subscribed(session, user) {
                self.commit(&Record::SessionUsed { session, time: self.now });
            } else {
                self.end_session(session);
            }
        }
    }

    /// Ends a session, and what was subscribed with it.
    pub(super) fn end_session(&mut self, session: SessionNo) {
        let user = self.state.session(session).expect("who ends a session has looked it up").user;
        self.unsubscribe_user(user, |other| other == session);
        self.commit(&Record::SessionEnded { session });
    }

    /// The state was restored: a number that was given to a lost session will be given again, to somebody else.
    pub(super) fn unbind_lost_sessions(&mut self) {
        for conn in self.connections.ids() {
            if let Some(held) = self.connections.get_mut(conn) {
                held.session = held.session.filter(|session| self.state.session(*session).is_some());
            }
        }
    }
}
