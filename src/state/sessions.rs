//! Who is logged in.

use serde::{Deserialize, Serialize};

use super::{GroupNo, Inconsistent, SessionNo, State, UserNo, check};
use crate::{secret::SessionDigest, time::Time};

/// A session (protocol, section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) user: UserNo,
    pub(crate) digest: SessionDigest,
    /// When it was last used, as far as the journal tells: uses soon after one another are not all recorded.
    pub(crate) used: Time,
    /// The group it last added, joined or sent to; it may have left or ended since.
    pub(crate) group: Option<GroupNo>,
}

impl State {
    pub(crate) fn session(&self, session: SessionNo) -> Option<&Session> {
        self.sessions.get(&session)
    }

    pub(crate) fn find_session(&self, digest: &SessionDigest) -> Option<SessionNo> {
        self.sessions_by_digest.get(digest).copied()
    }

    /// The number the next session gets.
    pub(crate) fn next_session(&self) -> SessionNo {
        self.next_session
    }

    /// The session that was not used for longest, with the time of its last use.
    pub(crate) fn stalest_session(&self) -> Option<(Time, SessionNo)> {
        self.sessions_by_use.first().copied()
    }

    pub(super) fn open_session(
        &mut self,
        session: SessionNo,
        user: UserNo,
        digest: SessionDigest,
        used: Time,
    ) -> Result<(), Inconsistent> {
        check(session == self.next_session, "skips a session number")?;
        check(!self.sessions_by_digest.contains_key(&digest), "opens a session again")?;
        let account = self.users.get_mut(user.0 as usize).ok_or(Inconsistent("is by an unknown user"))?;
        account.sessions.push(session);
        self.next_session = SessionNo(session.0 + 1);
        self.sessions_by_digest.insert(digest, session);
        self.sessions_by_use.insert((used, session));
        self.sessions.insert(session, Session { user, digest, used, group: None });
        Ok(())
    }

    pub(super) fn use_session(&mut self, session: SessionNo, time: Time) -> Result<(), Inconsistent> {
        let used = &mut self.sessions.get_mut(&session).ok_or(Inconsistent("is of no session"))?.used;
        self.sessions_by_use.remove(&(*used, session));
        self.sessions_by_use.insert((time, session));
        *used = time;
        Ok(())
    }

    pub(super) fn end_session(&mut self, session: SessionNo) -> Result<(), Inconsistent> {
        let ended = self.sessions.remove(&session).ok_or(Inconsistent("is of no session"))?;
        self.sessions_by_digest.remove(&ended.digest);
        self.sessions_by_use.remove(&(ended.used, session));
        self.users[ended.user.0 as usize].sessions.retain(|held| *held != session);
        Ok(())
    }
}
