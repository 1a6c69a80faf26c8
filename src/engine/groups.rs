//! ADD_GROUP, JOIN_GROUP, LEAVE_GROUP, LIST_MY_GROUPS, LIST_GROUP.

use super::{
    Engine,
    dispatch::{Actor, Failure},
};
use crate::{
    names,
    state::{GroupNo, Record},
    wire::{Code, Kind, Object},
};

impl Engine {
    pub(super) fn add_group(&mut self, actor: Actor, name: &str) -> Result<(), Failure> {
        if names::key(name).is_none() {
            return Err(Code::InvalidName.into());
        }
        if self.state.find_group(name).is_some() {
            return Err(Code::GroupExists.into());
        }
        self.check_group_room(actor)?;
        let group = self.state.next_group();
        self.commit(&Record::GroupAdded { group, name, session: actor.session });
        self.succeed(actor.conn, Kind::AddGroup);
        Ok(())
    }

    pub(super) fn join_group(&mut self, actor: Actor, name: &str) -> Result<(), Failure> {
        let no = self.local_group(name)?;
        let group = self.state.group(no).ok_or(Code::NoSuchGroup)?;
        if group.has(actor.user) {
            return Err(Code::AlreadyMember.into());
        }
        if group.members().len() >= self.config.limits.group_members {
            return Err(Code::Busy.into());
        }
        self.check_group_room(actor)?;
        self.commit(&Record::GroupJoined { group: no, session: actor.session });
        self.succeed(actor.conn, Kind::JoinGroup);
        Ok(())
    }

    pub(super) fn leave_group(&mut self, actor: Actor, name: &str) -> Result<(), Failure> {
        let no = self.local_group(name)?;
        if !self.state.group(no).is_some_and(|group| group.has(actor.user)) {
            return Err(Code::NotMember.into());
        }
        self.commit(&Record::GroupLeft { group: no, session: actor.session });
        self.succeed(actor.conn, Kind::LeaveGroup);
        Ok(())
    }

    pub(super) fn list_my_groups(&mut self, actor: Actor) {
        let groups = self.state.user(actor.user).groups.iter();
        let names = groups.filter_map(|group| self.state.group(*group)).map(|group| group.name.clone());
        let names = sorted(names.collect());
        self.respond(actor.conn, Kind::ListMyGroups, |out| {
            Object::ok(out, None).field("users", &names).field("groups", &names).end_frame();
        });
    }

    pub(super) fn list_group(&mut self, actor: Actor, name: Option<&str>) -> Result<(), Failure> {
        let current = || self.state.session(actor.session)?.group;
        let group = match name {
            Some(name) => self.local_group(name)?,
            None => current().ok_or(Code::NoSuchGroup)?,
        };
        let group = self.state.group(group).ok_or(Code::NoSuchGroup)?;
        if !group.has(actor.user) {
            return Err(Code::NotMember.into());
        }
        let names = sorted(group.members().map(|user| self.state.user(user).name.clone()).collect());
        self.respond(actor.conn, Kind::ListGroup, |out| {
            Object::ok(out, None).field("groups", &names).field("members", &names).end_frame();
        });
        Ok(())
    }

    /// The group of this realm under that address.
    pub(super) fn local_group(&self, address: &str) -> Result<GroupNo, Failure> {
        let name = self.local_name(address)?;
        self.state.find_group(name).ok_or(Code::NoSuchGroup.into())
    }

    fn check_group_room(&self, actor: Actor) -> Result<(), Failure> {
        let full = self.state.user(actor.user).groups.len() >= self.config.limits.groups_per_user;
        if full { Err(Code::Busy.into()) } else { Ok(()) }
    }
}

/// Names in the order of their keys.
fn sorted(mut names: Vec<Box<str>>) -> Vec<Box<str>> {
    names.sort_by_cached_key(|name| names::key(name).map(std::borrow::Cow::into_owned));
    names
}
