//! Messages and mailboxes.

use serde_json::{Value, json};

use super::{Asked, Model, Pending, Reply};
use crate::{
    Service,
    testing::rules::ok,
    wire::{Code, Kind},
};

#[derive(Clone)]
pub(in crate::testing) struct Message {
    pub(in crate::testing) json: Value,
    pub(in crate::testing) to: Vec<usize>,
}

impl Model {
    pub(super) fn send(&mut self, asked: Asked<'_>, to: &str, text: &str) -> Result<Reply, Code> {
        let (_, me) = asked.actor?;
        let to = self.user_at(asked.config, to)?;
        if self.users[to].mailbox.len() >= asked.config.limits.mailbox_messages {
            return Err(Code::MailboxFull);
        }
        let names = json!({"to": self.users[to].name});
        Ok(self.deliver(asked, me, names, text, vec![to]))
    }

    pub(super) fn send_group(&mut self, asked: Asked<'_>, group: &str, text: &str) -> Result<Reply, Code> {
        let (session, me) = asked.actor?;
        let (no, group) = self.group_at(asked.config, group)?;
        if !group.members.contains(&me) {
            return Err(Code::NotMember);
        }
        let names = json!({"to": group.name, "group": group.name});
        let to: Vec<usize> = group.members.iter().copied().filter(|member| *member != me).collect();
        self.sessions.get_mut(&session).expect("it acts").group = Some(no);
        let reply = self.deliver(asked, me, names, text, to.clone());
        for user in &to {
            let user = &mut self.users[*user];
            if user.mailbox.len() > asked.config.limits.mailbox_messages {
                // Of groups the oldest goes, be it this one; private messages stay.
                let of_group = |id: &u64| self.messages[id].json.get("group").is_some();
                let oldest = user.mailbox.iter().position(of_group).expect("this one is of a group");
                user.mailbox.remove(oldest);
                user.gap += 1;
            }
        }
        Ok(reply)
    }

    fn deliver(&mut self, asked: Asked<'_>, from: usize, names: Value, text: &str, to: Vec<usize>) -> Reply {
        self.last_message += 1;
        let id = self.last_message;
        let mut json = names;
        json["id"] = id.into();
        json["from"] = self.users[from].name.as_str().into();
        json["time"] = asked.from.now.to_string().into();
        json["text"] = text.into();
        to.iter().for_each(|user| self.users[*user].mailbox.push(id));
        self.messages.insert(id, Message { json, to });
        ok(asked.kind, json!({"id": id}))
    }

    pub(super) fn inbox(&self, asked: Asked<'_>, after: u64) -> Result<Reply, Code> {
        let (_, me) = asked.actor?;
        let mut ids: Vec<u64> = self.users[me].mailbox.iter().copied().filter(|id| *id > after).collect();
        let more = ids.len() > 100;
        ids.truncate(100);
        if ids.is_empty() || asked.config.messages == Service::Inside {
            return Ok(self.inbox_read(&ids, more));
        }
        Ok(Reply::Later(Pending::Inbox { ids, more }))
    }

    pub(super) fn inbox_read(&self, ids: &[u64], more: bool) -> Reply {
        let messages: Vec<&Value> = ids.iter().map(|id| &self.messages[id].json).collect();
        ok(Kind::Inbox, json!({"messages": messages, "more": more}))
    }

    pub(super) fn ack(&mut self, asked: Asked<'_>, id: u64) -> Result<Reply, Code> {
        let (_, me) = asked.actor?;
        self.users[me].mailbox.retain(|held| *held > id);
        self.users[me].gap = 0;
        Ok(ok(asked.kind, Value::Null))
    }
}
