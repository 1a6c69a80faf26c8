//! What requests with a dedupe key were answered.

use serde::{Deserialize, Serialize};

use super::{Inconsistent, Record, State, UserNo, check};
use crate::time::Time;

/// How long a dedupe key is remembered, in milliseconds (protocol, section 1).
pub(crate) const DEDUPE: u64 = 24 * 3_600_000;

/// The first answer to a request with a dedupe key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(super) time: Time,
    pub(super) user: UserNo,
    pub(super) key: Box<str>,
    response: Box<[u8]>,
}

impl State {
    /// The whole response that the request with this key was answered, if it was within the last 24 hours.
    pub(crate) fn answered(&self, user: UserNo, key: &str, now: Time) -> Option<&[u8]> {
        let answered = self.answered.get(&(user, key.into()))?;
        (now.since(answered.time) < DEDUPE).then_some(&answered.response)
    }

    /// Whether a user has `limit` keys of the last 24 hours.
    pub(crate) fn has_answered(&self, user: UserNo, limit: usize, now: Time) -> bool {
        let held = self.user(user).answered as usize;
        // Keys that are over stay until the next one comes. They are few, or the next is not far.
        let over = || {
            let over = self.answered_by_time.iter().take_while(|(time, ..)| now.since(*time) >= DEDUPE);
            over.filter(|(_, other, _)| *other == user).count()
        };
        held >= limit && held - over() >= limit
    }

    pub(super) fn answer_once(
        &mut self,
        user: UserNo,
        key: &str,
        time: Time,
        response: &[u8],
        record: &Record<'_>,
    ) -> Result<(), Inconsistent> {
        // A host's clock may have been set back over a restart.
        let time = time.max(self.answered_by_time.back().map_or(Time(0), |(last, ..)| *last));
        check(!matches!(record, Record::Once { .. }), "has two keys")?;
        check((user.0 as usize) < self.users.len(), "is by an unknown user")?;
        check(self.answered(user, key, time).is_none(), "repeats a key")?;
        self.apply(record)?;
        while let Some((_, user, key)) =
            self.answered_by_time.pop_front_if(|(answered, ..)| time.since(*answered) >= DEDUPE)
        {
            self.answered.remove(&(user, key));
            self.users[user.0 as usize].answered -= 1;
        }
        self.remember(Answered { time, user, key: key.into(), response: response.into() })
    }

    pub(super) fn remember(&mut self, answered: Answered) -> Result<(), Inconsistent> {
        let user =
            self.users.get_mut(answered.user.0 as usize).ok_or(Inconsistent("is by an unknown user"))?;
        let last = self.answered_by_time.back().map_or(Time(0), |(time, ..)| *time);
        check(last <= answered.time, "is older than the one before it")?;
        check(
            !self.answered.contains_key(&(answered.user, answered.key.clone())),
            "answers a request twice",
        )?;
        user.answered += 1;
        self.answered_by_time.push_back((answered.time, answered.user, answered.key.clone()));
        self.answered.insert((answered.user, answered.key.clone()), answered);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{HashKey, MessageId};

    #[test]
    fn a_clock_that_was_set_back_is_no_damage() {
        let mut state = State::new(HashKey(1, 2));
        state.register(UserNo(0), "ann", "Ann", "ID", "", Time(0)).unwrap();
        let confirmed = Record::Confirmed { user: UserNo(0), up_to: MessageId(0) };
        for (key, time) in [("one", DEDUPE), ("two", 5)] {
            state.answer_once(UserNo(0), key, Time(time), b"{}", &confirmed).unwrap();
        }
        assert!(state.answered(UserNo(0), "two", Time(DEDUPE)).is_some());
    }
}
