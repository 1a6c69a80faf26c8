//! HISTORY.

use serde_json::{Value, json};

use super::{Asked, Model, Pending, Reply, messages::Where};
use crate::{
    Service,
    testing::rules::ok,
    wire::{Code, Kind},
};

impl Model {
    pub(super) fn history(
        &self,
        asked: Asked<'_>,
        with: &str,
        before: Option<u64>,
        limit: Option<u64>,
    ) -> Result<Reply, Code> {
        let (_, me) = asked.actor?;
        let limit = limit.unwrap_or(50);
        if !(1..=100).contains(&limit) {
            return Err(Code::BadParameters);
        }
        let (conversation, since) = self.conversation(asked, me, with)?;
        let all: Vec<u64> =
            self.messages.iter().filter(|(_, held)| held.is_of(conversation)).map(|(id, _)| *id).collect();
        let readable: Vec<u64> = all.into_iter().filter(|id| *id > since).collect();
        let newest = readable.last().copied().unwrap_or(0);
        if before.is_some_and(|before| before <= since || before > newest) {
            return Err(Code::BadParameters);
        }
        // The newest first.
        let older = readable.iter().rev().copied().filter(|id| before.is_none_or(|before| *id < before));
        let known = before.is_none_or(|before| readable.contains(&before));
        if asked.config.messages == Service::Host {
            let pending = Pending::History { older: older.collect(), limit: limit as usize, known };
            return if readable.is_empty() {
                self.history_read(pending, 0)
            } else {
                Ok(Reply::Later(pending))
            };
        }
        // History ends at what was forgotten.
        let known = known && before.is_none_or(|before| !self.messages[&before].forgotten);
        let older: Vec<u64> = older.take_while(|id| !self.messages[id].forgotten).collect();
        let read = older.len().min(limit as usize);
        self.history_read(Pending::History { older, limit: limit as usize, known }, read)
    }

    /// So many messages were read.
    pub(super) fn history_read(&self, pending: Pending, read: usize) -> Result<Reply, Code> {
        let Pending::History { older, known, .. } = pending else { unreachable!("history is read") };
        if !known {
            return Err(Code::BadParameters);
        }
        let messages: Vec<&Value> = older[..read].iter().rev().map(|id| &self.messages[id].json).collect();
        Ok(ok(Kind::History, json!({"messages": messages, "more": read < older.len()})))
    }

    /// What a user means, and the last message that is not for them to read.
    fn conversation(&self, asked: Asked<'_>, me: usize, with: &str) -> Result<(Where, u64), Code> {
        let group = self.group_at(asked.config, with);
        if let Ok((no, group)) = group
            && let Some(since) = group.members.get(&me)
        {
            return Ok((Where::Group(no), *since));
        }
        match (self.user_at(asked.config, with), group) {
            (Ok(other), _) => Ok((Where::Between(me.min(other), me.max(other)), 0)),
            (Err(_), Ok(_)) => Err(Code::NotMember),
            (Err(code), Err(_)) => Err(code),
        }
    }
}
