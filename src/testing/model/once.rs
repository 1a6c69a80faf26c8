//! Dedupe keys: a request that is repeated with its key is answered as the first was, and does nothing.

use serde_json::Value;

use super::{Asked, Model};
use crate::{Config, Time, testing::rules::changes_one_thing, wire::Code};

/// How long a key is remembered, in milliseconds.
const DAY: u64 = 24 * 3_600_000;

/// What a user's request with a key was answered.
#[derive(Clone)]
pub(super) struct Answered {
    user: usize,
    key: String,
    time: Time,
    response: Value,
}

impl Model {
    /// What the request was answered the first time; `None` if this is the first.
    pub(super) fn answered_before(&self, asked: Asked<'_>, key: &str) -> Result<Option<Value>, Code> {
        if !changes_one_thing(asked.kind) {
            return Err(Code::BadParameters);
        }
        let (_, me) = asked.actor?;
        Ok(self.response_to(me, key, asked.from.now))
    }

    pub(super) fn response_to(&self, user: usize, key: &str, now: Time) -> Option<Value> {
        let held = self
            .answers
            .iter()
            .find(|held| held.user == user && held.key == key && now.since(held.time) < DAY);
        held.map(|held| held.response.clone())
    }

    /// Remembers a response, unless it is remembered. Of those of the same user, the oldest makes room.
    pub(super) fn remember(&mut self, config: &Config, user: usize, key: &str, now: Time, response: &Value) {
        if self.response_to(user, key, now).is_some() {
            return;
        }
        self.answers.retain(|held| now.since(held.time) < DAY);
        if self.answers.iter().filter(|held| held.user == user).count() >= config.limits.dedupe_keys {
            let oldest = self.answers.iter().position(|held| held.user == user);
            self.answers.remove(oldest.expect("there are some"));
        }
        self.answers.push(Answered { user, key: key.to_owned(), time: now, response: response.clone() });
    }
}
