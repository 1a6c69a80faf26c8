//! Groups.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Asked, Model, Reply};
use crate::{
    Config, names,
    testing::rules::{ok, sorted},
    wire::Code,
};

#[derive(Clone)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) key: String,
    /// Each with the last message of the realm before they joined: what came later is theirs to read.
    pub(super) members: BTreeMap<usize, u64>,
}

impl Model {
    pub(super) fn add_group(&mut self, asked: Asked<'_>, name: &str) -> Result<Reply, Code> {
        let (session, me) = asked.actor?;
        let key = names::key(name).ok_or(Code::InvalidName)?.into_owned();
        if self.groups.values().any(|held| held.key == key) {
            return Err(Code::GroupExists);
        }
        self.check_group_room(asked.config, me)?;
        self.last_number += 1;
        let added = Group { name: name.to_owned(), key, members: BTreeMap::from([(me, self.last_message)]) };
        self.groups.insert(self.last_number, added);
        self.sessions.get_mut(&session).expect("it acts").group = Some(self.last_number);
        Ok(ok(asked.kind, Value::Null))
    }

    pub(super) fn join_group(&mut self, asked: Asked<'_>, name: &str) -> Result<Reply, Code> {
        let (session, me) = asked.actor?;
        let (no, group) = self.group_at(asked.config, name)?;
        if group.members.contains_key(&me) {
            return Err(Code::AlreadyMember);
        }
        if group.members.len() >= asked.config.limits.group_members {
            return Err(Code::Busy);
        }
        self.check_group_room(asked.config, me)?;
        self.groups.get_mut(&no).expect("it was found").members.insert(me, self.last_message);
        self.sessions.get_mut(&session).expect("it acts").group = Some(no);
        Ok(ok(asked.kind, Value::Null))
    }

    pub(super) fn leave_group(&mut self, asked: Asked<'_>, name: &str) -> Result<Reply, Code> {
        let (_, me) = asked.actor?;
        let (no, group) = self.group_at(asked.config, name)?;
        if !group.members.contains_key(&me) {
            return Err(Code::NotMember);
        }
        let left = self.groups.get_mut(&no).expect("it was found");
        left.members.remove(&me);
        if left.members.is_empty() {
            self.groups.remove(&no);
        }
        Ok(ok(asked.kind, Value::Null))
    }

    pub(super) fn list_group(&self, asked: Asked<'_>, name: Option<&str>) -> Result<Reply, Code> {
        let (session, me) = asked.actor?;
        let group = match name {
            Some(name) => self.group_at(asked.config, name)?.1,
            None => {
                let current = self.sessions[&session].group;
                current.and_then(|no| self.groups.get(&no)).ok_or(Code::NoSuchGroup)?
            }
        };
        if !group.members.contains_key(&me) {
            return Err(Code::NotMember);
        }
        let members = group.members.keys().map(|member| &self.users[*member]);
        let names = sorted(members.map(|user| (user.key.clone(), user.name.clone())));
        Ok(ok(asked.kind, json!({"groups": names, "members": names})))
    }

    /// The names of a user's groups, in order.
    pub(in crate::testing) fn groups_of(&self, user: usize) -> Vec<String> {
        let held = self.groups.values().filter(|group| group.members.contains_key(&user));
        sorted(held.map(|group| (group.key.clone(), group.name.clone())))
    }

    fn check_group_room(&self, config: &Config, user: usize) -> Result<(), Code> {
        let full = self.groups_of(user).len() >= config.limits.groups_per_user;
        if full { Err(Code::Busy) } else { Ok(()) }
    }
}
