//! The whole state as bytes, and back.

use serde::{Deserialize, Serialize};

use super::{
    Answered, File, Group, GroupNo, HashKey, Inconsistent, MessageId, Realm, Session, SessionNo, State, User,
    UserNo, check,
};
use crate::names;

/// More than anything is ever counted to, with room to go on from.
pub(crate) const MOST: u64 = 1 << 62;

/// What of the state cannot be worked out from the rest, in an order that depends on nothing else: equal states have
/// equal bytes.
#[derive(Serialize, Deserialize)]
pub(crate) struct Frozen<U, G, R, A, F> {
    users: Vec<U>,
    groups: Vec<(GroupNo, G)>,
    sessions: Vec<(SessionNo, Session)>,
    realms: Vec<R>,
    conversations: Vec<((UserNo, UserNo), MessageId)>,
    /// By time.
    answered: Vec<A>,
    next_session: SessionNo,
    next_group: GroupNo,
    last_message: MessageId,
    files: Vec<(MessageId, F)>,
}

/// As it is read.
pub(crate) type Thawing = Frozen<User, Group, Realm, Answered, File>;

impl State {
    pub(crate) fn freeze(&self) -> Frozen<&User, &Group, &Realm, &Answered, &File> {
        let mut groups: Vec<_> = self.groups.iter().map(|(no, group)| (*no, group)).collect();
        groups.sort_unstable_by_key(|(no, _)| *no);
        let mut sessions: Vec<_> = self.sessions.iter().map(|(no, held)| (*no, held.clone())).collect();
        sessions.sort_unstable_by_key(|(no, _)| *no);
        let mut conversations: Vec<_> =
            self.conversations.iter().map(|(pair, last)| (*pair, *last)).collect();
        conversations.sort_unstable();
        let mut files: Vec<_> = self.files().collect();
        files.sort_unstable_by_key(|(id, _)| *id);
        Frozen {
            users: self.users.iter().collect(),
            groups,
            sessions,
            realms: self.realms.values().collect(),
            conversations,
            answered: self.answers.iter().collect(),
            next_session: self.next_session,
            next_group: self.next_group,
            last_message: self.last_message,
            files,
        }
    }

    pub(crate) fn thaw(frozen: Thawing, key: HashKey) -> Result<State, Inconsistent> {
        let counted = [frozen.next_session.0, frozen.next_group.0, frozen.last_message.0];
        check(counted.iter().all(|count| *count < MOST), "counts more than can be")?;
        let mut state = State::new(key);
        let users = frozen.users.len();
        let name = |name: &str| match names::key(name) {
            Some(key) => Ok(Box::<str>::from(&*key)),
            None => Err(Inconsistent("holds a name that is none")),
        };
        for (at, user) in frozen.users.into_iter().enumerate() {
            let (key, no) = (name(&user.name)?, UserNo(at as u32));
            check(user.mailbox.is_sound(), "holds a mailbox out of order")?;
            check(user.mailbox.newest() <= Some(frozen.last_message), "holds a message to come")?;
            check(state.users_by_key.insert(key.clone(), no).is_none(), "holds a user twice")?;
            state.users_sorted.insert(key, no);
            state.users.push(user);
        }
        for (no, group) in frozen.groups {
            check(no < frozen.next_group && group.is_sound(users), "holds a group of no users")?;
            check(state.groups_by_key.insert(name(&group.name)?, no).is_none(), "holds a group twice")?;
            state.groups.insert(no, group);
        }
        for (no, session) in frozen.sessions {
            check(no < frozen.next_session, "holds a session to come")?;
            let user = state.users.get(session.user.0 as usize);
            check(user.is_some_and(|user| user.sessions.contains(&no)), "holds a session of no user")?;
            state.sessions_by_use.insert((session.used, no));
            let again = state.sessions_by_digest.insert(session.digest, no);
            check(again.is_none() && state.sessions.insert(no, session).is_none(), "holds a session twice")?;
        }
        for (at, user) in state.users.iter().enumerate() {
            let no = UserNo(at as u32);
            let in_group = |group: &GroupNo| state.groups.get(group).is_some_and(|group| group.has(no));
            check(user.groups.iter().all(in_group), "holds a user in no group")?;
            let own = |session: &SessionNo| state.sessions.get(session).is_some_and(|held| held.user == no);
            let once = user.sessions.is_sorted_by(|a, b| a < b);
            check(once && user.sessions.iter().all(own), "holds a user of no session")?;
        }
        for realm in frozen.realms {
            state.realms.insert(name(&realm.name)?, realm);
        }
        state.conversations.extend(frozen.conversations);
        for answered in frozen.answered {
            state.remember(answered)?;
        }
        for (id, file) in frozen.files {
            check(id <= frozen.last_message, "holds a file to come")?;
            state.add_file(id, file)?;
        }
        state.next_session = frozen.next_session;
        state.next_group = frozen.next_group;
        state.last_message = frozen.last_message;
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        state::tests::{bytes, state},
        time::Time,
    };

    const KEY: HashKey = HashKey(3, 4);

    #[test]
    fn what_thaws_is_what_was_frozen() {
        let whole = bytes(&state());
        let state = State::thaw(postcard::from_bytes(&whole).unwrap(), KEY).unwrap();
        assert_eq!(bytes(&state), whole);
        assert_eq!(
            (state.find_user("ANN"), state.find_group("Keluarga")),
            (Some(UserNo(0)), Some(GroupNo(0)))
        );
        assert_eq!(state.stalest_session(), Some((Time(2), SessionNo(0))));
        assert_eq!(state.last_between(UserNo(1), UserNo(0)), MessageId(2));
        assert!(state.answered(UserNo(0), "key", Time(6)).is_some());
    }

    #[test]
    fn a_damaged_snapshot_says_what_it_holds() {
        type Damage = fn(&mut Thawing);
        let damages: [(Damage, &str); 25] = [
            (|all| all.next_session.0 = MOST, "counts more than can be"),
            (|all| all.next_group.0 = MOST, "counts more than can be"),
            (|all| all.last_message.0 = MOST, "counts more than can be"),
            (|all| all.users[0].name = " ".into(), "holds a name that is none"),
            (|all| all.users[0].name = "BOB".into(), "holds a user twice"),
            (|all| all.last_message.0 = 1, "holds a message to come"),
            (|all| all.groups[0].1.name = " ".into(), "holds a name that is none"),
            (|all| all.next_group.0 = 0, "holds a group of no users"),
            (|all| all.users.clear(), "holds a group of no users"),
            (|all| all.groups.push(all.groups[0].clone()), "holds a group twice"),
            (|all| all.next_session.0 = 1, "holds a session to come"),
            (|all| all.sessions[0].1.user.0 = 1, "holds a session of no user"),
            (|all| all.sessions[0].1.user.0 = 2, "holds a session of no user"),
            (|all| all.sessions[0].1.digest = all.sessions[1].1.digest, "holds a session twice"),
            (|all| all.sessions.push(all.sessions[0].clone()), "holds a session twice"),
            (|all| all.sessions.retain(|(no, _)| no.0 > 0), "holds a user of no session"),
            (|all| all.users[0].sessions.push(SessionNo(0)), "holds a user of no session"),
            (|all| all.users[0].groups.push(GroupNo(1)), "holds a user in no group"),
            (|all| all.users[1].groups.push(GroupNo(0)), "holds a user in no group"),
            (|all| all.realms[0].name = " ".into(), "holds a name that is none"),
            (|all| all.answered[0].user.0 = 2, "is by an unknown user"),
            (|all| all.answered.push(all.answered[0].clone()), "answers a request twice"),
            (|all| all.files[0].0.0 = 3, "holds a file to come"),
            (|all| all.files.push(all.files[0].clone()), "holds a file twice"),
            (
                |all| {
                    let mut older = all.answered[0].clone();
                    (older.time, older.key) = (Time(4), "older".into());
                    all.answered.push(older);
                },
                "is older than the one before it",
            ),
        ];
        let whole = bytes(&state());
        for (number, (damage, why)) in damages.into_iter().enumerate() {
            let mut damaged: Thawing = postcard::from_bytes(&whole).unwrap();
            damage(&mut damaged);
            let thawed = State::thaw(damaged, KEY).map(|_| "a state");
            assert_eq!(thawed, Err(Inconsistent(why)), "damage {number}");
        }
    }
}
