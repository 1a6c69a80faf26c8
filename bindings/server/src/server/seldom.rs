//! Log lines that others can cause as often as they like.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// How often a line may come.
const EVERY: Duration = Duration::from_secs(1);

/// Lets one line of a kind through a second, and counts the others.
#[derive(Default)]
pub(super) struct Seldom {
    last: Cell<Option<Instant>>,
    left_out: Cell<u64>,
}

impl Seldom {
    /// Runs `tell`, if it may be told now, with how many were left out since it last was.
    pub(super) fn tell(&self, tell: impl FnOnce(u64)) {
        if let Some(others) = self.at(Instant::now()) {
            tell(others);
        }
    }

    fn at(&self, now: Instant) -> Option<u64> {
        if self.last.get().is_some_and(|last| now.duration_since(last) < EVERY) {
            self.left_out.update(|others| others + 1);
            return None;
        }
        self.last.set(Some(now));
        Some(self.left_out.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_second_comes_through_with_the_number_of_the_others() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let at = |ms| seldom.at(start + Duration::from_millis(ms));
        assert_eq!(
            [0, 1, 500, 999, 1000, 1001, 2500, 4000].map(at),
            [Some(0), None, None, None, Some(3), None, Some(1), Some(0)]
        );
    }
}
