//! Accounts.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{GroupNo, Inconsistent, Mailbox, SessionNo, State, UserNo, check};
use crate::{names, time::Time};

/// An account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    /// The name as registered.
    pub(crate) name: Box<str>,
    pub(crate) full_name: Box<str>,
    pub(crate) country: Box<str>,
    /// An argon2id PHC string.
    pub(crate) password_hash: Box<str>,
    pub(crate) registered: Time,
    /// In the order they were opened.
    pub(crate) sessions: Vec<SessionNo>,
    /// In the order they were joined.
    pub(crate) groups: Vec<GroupNo>,
    pub(crate) mailbox: Mailbox,
    /// Which answers to their requests are remembered by a dedupe key, oldest first.
    #[serde(skip)]
    pub(super) answers: VecDeque<u64>,
    /// What the files they sent count against their quota.
    #[serde(skip)]
    pub(crate) file_bytes: u64,
}

impl State {
    pub(crate) fn user(&self, user: UserNo) -> &User {
        &self.users[user.0 as usize]
    }

    pub(crate) fn user_count(&self) -> usize {
        self.users.len()
    }

    pub(crate) fn users(&self) -> &[User] {
        &self.users
    }

    /// The user of that name, in any spelling that is the same name.
    pub(crate) fn find_user(&self, name: &str) -> Option<UserNo> {
        self.users_by_key.get(&*names::key(name)?).copied()
    }

    /// Users in the order of their names, from the first after `after` on.
    pub(crate) fn users_after<'a>(&'a self, after: &'a str) -> impl Iterator<Item = &'a User> {
        let range = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        self.users_sorted.range::<str, _>(range).map(|(_, user)| self.user(*user))
    }

    pub(super) fn register(
        &mut self,
        user: UserNo,
        name: &str,
        full_name: &str,
        country: &str,
        password_hash: &str,
        registered: Time,
    ) -> Result<(), Inconsistent> {
        let key = names::key(name).ok_or(Inconsistent("registers what is no name"))?;
        check(user.0 as usize == self.users.len(), "skips a user number")?;
        check(!self.users_by_key.contains_key(&*key), "registers a name again")?;
        self.users_by_key.insert((*key).into(), user);
        self.users_sorted.insert((*key).into(), user);
        self.users.push(User {
            name: name.into(),
            full_name: full_name.into(),
            country: country.into(),
            password_hash: password_hash.into(),
            registered,
            sessions: Vec::new(),
            groups: Vec::new(),
            mailbox: Mailbox::default(),
            answers: VecDeque::new(),
            file_bytes: 0,
        });
        Ok(())
    }

    pub(super) fn change_password(
        &mut self,
        user: UserNo,
        password_hash: &str,
        kept: SessionNo,
    ) -> Result<(), Inconsistent> {
        let account = self.users.get_mut(user.0 as usize).ok_or(Inconsistent("is by an unknown user"))?;
        check(account.sessions.contains(&kept), "keeps a session of somebody else")?;
        account.password_hash = password_hash.into();
        for session in account.sessions.clone().into_iter().filter(|session| *session != kept) {
            self.end_session(session)?;
        }
        Ok(())
    }
}
