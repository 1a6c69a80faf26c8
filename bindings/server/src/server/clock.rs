//! The time, as the engine is told it.

use std::{
    cell::Cell,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use obrolan::Time;

/// The system's time, but never going back or standing still: where somebody sets the system's clock back, this one goes on as
/// time passes until the other has caught up.
pub(super) struct Clock {
    /// A time that was told, and when that was.
    told: Cell<(Time, Instant)>,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { told: Cell::new((system_time(), Instant::now())) }
    }

    pub(super) fn now(&self) -> Time {
        self.at(system_time(), Instant::now())
    }

    /// Puts it forward.
    pub(super) fn forward(&self, by: Duration) {
        self.told.set((self.now().after(by.as_millis() as u64), Instant::now()));
    }

    fn at(&self, system: Time, instant: Instant) -> Time {
        let (told, at) = self.told.get();
        let passed = told.after(instant.duration_since(at).as_millis() as u64);
        // Only then, for what is lost by rounding would add up.
        if system > passed {
            self.told.set((system, instant));
        }
        system.max(passed)
    }
}

pub(super) fn system_time() -> Time {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    Time(since_epoch.map_or(0, |since| since.as_millis() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_system_forward_and_goes_on_when_that_is_set_back() {
        let start = Instant::now();
        let clock = Clock { told: Cell::new((Time(1_000_000), start)) };
        let at = |system, passed| clock.at(Time(system), start + Duration::from_micros(passed));
        assert_eq!(at(1_000_005, 5_000), Time(1_000_005));
        assert_eq!(at(1_060_005, 5_000), Time(1_060_005), "set forward by a minute");
        // Set back by an hour; looked at so often that each time less than a millisecond has passed.
        for passed in 0..20 {
            assert_eq!(at(0, 5_000 + passed * 500), Time(1_060_005 + passed / 2));
        }
        assert_eq!(at(1_060_014, 15_000), Time(1_060_015), "it has not caught up yet");
        assert_eq!(at(1_060_020, 15_000), Time(1_060_020));
    }

    #[test]
    fn it_can_be_put_forward() {
        let clock = Clock::new();
        let before = clock.now();
        clock.forward(Duration::from_secs(86_400));
        assert!((86_400_000..86_460_000).contains(&clock.now().since(before)));
    }
}
