//! What requests with a dedupe key were answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{HashKey, Inconsistent, Map, Record, State, UserNo, check};
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

/// All of them. Each has a number that grows, so the first is the oldest.
pub(super) struct Answers {
    by_number: BTreeMap<u64, Answered>,
    by_key: Map<(UserNo, Box<str>), u64>,
    next: u64,
}

impl Answers {
    pub(super) fn new(key: HashKey) -> Answers {
        Answers { by_number: BTreeMap::new(), by_key: Map::with_hasher(key), next: 0 }
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Answered> {
        self.by_number.values()
    }

    fn get(&self, user: UserNo, key: &str) -> Option<&Answered> {
        self.by_number.get(self.by_key.get(&(user, key.into()))?)
    }
}

impl State {
    /// The whole response that the request with this key was answered, if it was within the last 24 hours.
    pub(crate) fn answered(&self, user: UserNo, key: &str, now: Time) -> Option<&[u8]> {
        let answered = self.answers.get(user, key)?;
        (now.since(answered.time) < DEDUPE).then_some(&answered.response)
    }

    /// `limit` is how many keys of a user are remembered: the oldest make room.
    pub(super) fn answer_once(
        &mut self,
        user: UserNo,
        key: &str,
        time: Time,
        limit: u64,
        response: &[u8],
        record: &Record<'_>,
    ) -> Result<(), Inconsistent> {
        // A host's clock may have been set back over a restart.
        let time = time.max(self.answers.by_number.last_key_value().map_or(Time(0), |(_, last)| last.time));
        check(!matches!(record, Record::Once { .. }), "has two keys")?;
        check((user.0 as usize) < self.users.len(), "is by an unknown user")?;
        check(self.answered(user, key, time).is_none(), "repeats a key")?;
        self.apply(record)?;
        while let Some((&number, oldest)) = self.answers.by_number.first_key_value()
            && time.since(oldest.time) >= DEDUPE
        {
            self.forget_answer(number);
        }
        while let Some(&number) = self.users[user.0 as usize].answers.front()
            && self.users[user.0 as usize].answers.len() as u64 >= limit
        {
            self.forget_answer(number);
        }
        self.remember(Answered { time, user, key: key.into(), response: response.into() })
    }

    /// Forgets the oldest of all answers, or the oldest of its user.
    fn forget_answer(&mut self, number: u64) {
        if let Some(Answered { user, key, .. }) = self.answers.by_number.remove(&number) {
            self.answers.by_key.remove(&(user, key));
            self.users[user.0 as usize].answers.pop_front();
        }
    }

    pub(super) fn remember(&mut self, answered: Answered) -> Result<(), Inconsistent> {
        let user =
            self.users.get_mut(answered.user.0 as usize).ok_or(Inconsistent("is by an unknown user"))?;
        let last = self.answers.by_number.last_key_value().map_or(Time(0), |(_, last)| last.time);
        check(last <= answered.time, "is older than the one before it")?;
        let key = (answered.user, answered.key.clone());
        check(!self.answers.by_key.contains_key(&key), "answers a request twice")?;
        let number = self.answers.next;
        self.answers.next += 1;
        user.answers.push_back(number);
        self.answers.by_key.insert(key, number);
        self.answers.by_number.insert(number, answered);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MessageId;

    fn state() -> State {
        let mut state = State::new(HashKey(1, 2));
        for (number, name) in ["ann", "bob"].into_iter().enumerate() {
            state.register(UserNo(number as u32), name, name, "ID", "", Time(0)).unwrap();
        }
        state
    }

    fn answer(state: &mut State, user: UserNo, key: &str, time: u64) {
        let confirmed = Record::Confirmed { user, up_to: MessageId(0) };
        state.answer_once(user, key, Time(time), 2, b"{}", &confirmed).unwrap();
    }

    #[test]
    fn a_clock_that_was_set_back_is_no_damage() {
        let mut state = state();
        for (key, time) in [("one", DEDUPE), ("two", 5)] {
            answer(&mut state, UserNo(0), key, time);
        }
        assert!(state.answered(UserNo(0), "two", Time(DEDUPE)).is_some());
    }

    #[test]
    fn the_oldest_of_a_user_make_room() {
        let mut state = state();
        let (ann, bob) = (UserNo(0), UserNo(1));
        for (user, key) in [(ann, "1"), (bob, "1"), (ann, "2"), (ann, "3"), (ann, "1")] {
            answer(&mut state, user, key, 7);
        }
        let known = |user, key| state.answered(user, key, Time(8)).is_some();
        assert_eq!(["1", "2", "3"].map(|key| known(ann, key)), [true, false, true]);
        assert!(known(bob, "1"), "each has room of their own");
        answer(&mut state, bob, "2", 7 + DEDUPE);
        assert_eq!(state.answers.iter().count(), 1, "after a day all are forgotten");
    }
}
