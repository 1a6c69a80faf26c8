//! Dedupe keys: a request that is repeated with its key is answered as the first was, and does nothing.

use serde_json::Value;

use super::{Asked, Model};
use crate::{Config, Time, testing::rules::changes_one_thing, wire::Code};

/// How long a key is remembered, in milliseconds.
const DAY: u64 = 24 * 3_600_000;

impl Model {
    /// What the request was answered the first time; `None` if this is the first.
    pub(super) fn answered_before(&self, asked: Asked<'_>, key: &str) -> Result<Option<Value>, Code> {
        if !changes_one_thing(asked.kind) {
            return Err(Code::BadParameters);
        }
        let (_, me) = asked.actor?;
        let response = self.response_to(me, key, asked.from.now);
        if response.is_none() {
            self.check_key_room(asked.config, me, asked.from.now)?;
        }
        Ok(response)
    }

    pub(super) fn response_to(&self, user: usize, key: &str, now: Time) -> Option<Value> {
        let held = self.answers.get(&(user, key.to_owned()));
        held.filter(|(time, _)| now.since(*time) < DAY).map(|(_, response)| response.clone())
    }

    pub(super) fn check_key_room(&self, config: &Config, user: usize, now: Time) -> Result<(), Code> {
        let own =
            self.answers.iter().filter(|((other, _), (time, _))| *other == user && now.since(*time) < DAY);
        if own.count() >= config.limits.dedupe_keys { Err(Code::Busy) } else { Ok(()) }
    }

    pub(super) fn remember(&mut self, user: usize, key: &str, now: Time, response: &Value) {
        self.answers.insert((user, key.to_owned()), (now, response.clone()));
    }
}
