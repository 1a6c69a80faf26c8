//! Groups and their members.

use serde::{Deserialize, Serialize};

use super::{GroupNo, Inconsistent, MessageId, SessionNo, State, UserNo, check};
use crate::names;

/// A group (protocol, sections 3 and 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// The name as it was added.
    pub(crate) name: Box<str>,
    pub(crate) owner: UserNo,
    /// By user number.
    members: Vec<Member>,
    /// The last message sent to it; 0 if there was none.
    pub(crate) last: MessageId,
}

/// A user's place in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    user: UserNo,
    /// The last message of the realm before they joined: what came later is theirs to read.
    since: MessageId,
}

impl Group {
    pub(crate) fn members(&self) -> impl ExactSizeIterator<Item = UserNo> + '_ {
        self.members.iter().map(|member| member.user)
    }

    pub(crate) fn has(&self, user: UserNo) -> bool {
        self.place(user).is_ok()
    }

    /// The last message that is not for a member to read: the last one of the realm before they joined.
    pub(crate) fn since(&self, member: UserNo) -> Option<MessageId> {
        self.place(member).ok().map(|place| self.members[place].since)
    }

    fn place(&self, user: UserNo) -> Result<usize, usize> {
        self.members.binary_search_by_key(&user, |member| member.user)
    }

    /// Whether the members are in order and every one is a user.
    pub(super) fn is_sound(&self, users: usize) -> bool {
        let users = |member: &Member| (member.user.0 as usize) < users;
        !self.members.is_empty()
            && self.members.iter().all(users)
            && self.members.is_sorted_by(|a, b| a.user < b.user)
    }
}

impl State {
    pub(crate) fn group(&self, group: GroupNo) -> Option<&Group> {
        self.groups.get(&group)
    }

    /// The group of that name, in any spelling that is the same name.
    pub(crate) fn find_group(&self, name: &str) -> Option<GroupNo> {
        self.groups_by_key.get(&*names::key(name)?).copied()
    }

    /// The number the next group gets.
    pub(crate) fn next_group(&self) -> GroupNo {
        self.next_group
    }

    pub(super) fn add_group(
        &mut self,
        group: GroupNo,
        name: &str,
        session: SessionNo,
    ) -> Result<(), Inconsistent> {
        let key = names::key(name).ok_or(Inconsistent("adds a group by what is no name"))?;
        check(group == self.next_group, "skips a group number")?;
        check(!self.groups_by_key.contains_key(&*key), "adds a group again")?;
        let session = self.sessions.get_mut(&session).ok_or(Inconsistent("is of no session"))?;
        let owner = session.user;
        session.group = Some(group);
        self.users[owner.0 as usize].groups.push(group);
        self.next_group = GroupNo(group.0 + 1);
        self.groups_by_key.insert(key.into(), group);
        let members = vec![Member { user: owner, since: self.last_message }];
        self.groups.insert(group, Group { name: name.into(), owner, members, last: MessageId(0) });
        Ok(())
    }

    pub(super) fn join_group(&mut self, group: GroupNo, session: SessionNo) -> Result<(), Inconsistent> {
        let session = self.sessions.get_mut(&session).ok_or(Inconsistent("is of no session"))?;
        let joined = self.groups.get_mut(&group).ok_or(Inconsistent("is of no group"))?;
        let Err(place) = joined.place(session.user) else {
            return Err(Inconsistent("joins a group again"));
        };
        joined.members.insert(place, Member { user: session.user, since: self.last_message });
        self.users[session.user.0 as usize].groups.push(group);
        session.group = Some(group);
        Ok(())
    }

    pub(super) fn leave_group(&mut self, group: GroupNo, session: SessionNo) -> Result<(), Inconsistent> {
        let user = self.sessions.get(&session).ok_or(Inconsistent("is of no session"))?.user;
        let left = self.groups.get_mut(&group).ok_or(Inconsistent("is of no group"))?;
        let place = left.place(user).map_err(|_| Inconsistent("leaves a group it is not in"))?;
        left.members.remove(place);
        self.users[user.0 as usize].groups.retain(|held| *held != group);
        if left.members.is_empty() {
            let key = names::key(&left.name).expect("a group has a name").into_owned();
            self.groups_by_key.remove(&*key);
            self.groups.remove(&group);
        }
        Ok(())
    }

    pub(super) fn send_to_group(
        &mut self,
        id: MessageId,
        session: SessionNo,
        group: GroupNo,
        mailbox_limit: u64,
    ) -> Result<(), Inconsistent> {
        check(id == self.next_message(), "skips a message number")?;
        let session = self.sessions.get_mut(&session).ok_or(Inconsistent("is of no session"))?;
        let sent_to = self.groups.get_mut(&group).ok_or(Inconsistent("is of no group"))?;
        check(sent_to.has(session.user), "is to a group its sender is not in")?;
        session.group = Some(group);
        sent_to.last = id;
        for member in sent_to.members.iter().filter(|member| member.user != session.user) {
            self.users[member.user.0 as usize].mailbox.push_group(id, mailbox_limit);
        }
        self.last_message = id;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_users_in_order() {
        let group = |members: &[u32]| {
            let members = members.iter().map(|user| Member { user: UserNo(*user), since: MessageId(0) });
            Group { name: "g".into(), owner: UserNo(0), members: members.collect(), last: MessageId(0) }
        };
        assert!(group(&[0, 1, 3]).is_sound(4));
        for damaged in [&[][..], &[0, 4], &[1, 0], &[1, 1]] {
            assert!(!group(damaged).is_sound(4), "{damaged:?}");
        }
    }
}
