//! Limits on attempts to log in and to register.

use std::net::{IpAddr, Ipv6Addr};

use crate::{
    state::{HashKey, Map},
    time::Time,
};

/// What attempts are counted against.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// A user name's key, whether there is such a user or not.
    Account(Box<str>),
    /// An address; of IPv6 the /64 that one customer is given.
    Peer(IpAddr),
}

impl Subject {
    pub(super) fn peer(address: IpAddr) -> Subject {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Subject::Peer(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            v4 => Subject::Peer(v4),
        }
    }

    /// How many attempts may come at once, and after how many milliseconds there may be one more.
    const fn rate(&self) -> (u64, u64) {
        match self {
            Subject::Account(_) => (10, 60_000),
            Subject::Peer(_) => (30, 10_000),
        }
    }
}

/// How many subjects are remembered. An attempt forgotten early is one attempt more.
const SUBJECTS: usize = 100_000;

/// Counts attempts by the generic cell rate algorithm: for each subject, the time when all it was given is back.
pub(super) struct Throttle {
    full_at: Map<Subject, Time>,
}

impl Throttle {
    pub(super) fn new(key: HashKey) -> Throttle {
        Throttle { full_at: Map::with_hasher(key) }
    }

    /// Counts an attempt against all of these, or against none and tells after how many seconds to try again.
    pub(super) fn attempt(&mut self, now: Time, subjects: &[Subject]) -> Result<(), u64> {
        let wait = |subject: &Subject| {
            let (burst, period) = subject.rate();
            self.full_at(now, subject).since(now.after((burst - 1) * period))
        };
        let wait = subjects.iter().map(wait).max().unwrap_or(0);
        if wait > 0 {
            return Err(wait.div_ceil(1000));
        }
        for subject in subjects {
            let full_at = self.full_at(now, subject).after(subject.rate().1);
            self.remember(now, subject, full_at);
        }
        Ok(())
    }

    /// Takes an attempt back: it succeeded. The account's earlier failures are forgiven too.
    pub(super) fn succeeded(&mut self, subjects: &[Subject]) {
        self.take_back(subjects);
        for account in subjects.iter().filter(|subject| matches!(subject, Subject::Account(_))) {
            self.full_at.remove(account);
        }
    }

    /// Takes an attempt back: it could not be made.
    pub(super) fn take_back(&mut self, subjects: &[Subject]) {
        for subject in subjects {
            if let Some(full_at) = self.full_at.get_mut(subject) {
                full_at.0 -= subject.rate().1.min(full_at.0);
            }
        }
    }

    fn full_at(&self, now: Time, subject: &Subject) -> Time {
        self.full_at.get(subject).map_or(now, |full_at| now.max(*full_at))
    }

    fn remember(&mut self, now: Time, subject: &Subject, full_at: Time) {
        if self.full_at.len() >= SUBJECTS && !self.full_at.contains_key(subject) {
            self.full_at.retain(|_, full_at| *full_at > now);
            if self.full_at.len() >= SUBJECTS {
                // Not one is over: half of them, those closest to it, go at once, so that this stays rare.
                let mut times: Vec<Time> = self.full_at.values().copied().collect();
                let (_, median, _) = times.select_nth_unstable(SUBJECTS / 2);
                let median = *median;
                self.full_at.retain(|_, full_at| *full_at > median);
            }
        }
        self.full_at.insert(subject.clone(), full_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_by_one() {
        let mut throttle = Throttle::new(HashKey(1, 2));
        let subjects = [Subject::Account("ann".into()), Subject::peer("192.0.2.1".parse().unwrap())];
        for _ in 0..10 {
            assert_eq!(throttle.attempt(Time(5), &subjects), Ok(()));
        }
        assert_eq!(throttle.attempt(Time(5), &subjects), Err(60));
        assert_eq!(throttle.attempt(Time(59_004), &subjects), Err(2));
        assert_eq!(throttle.attempt(Time(60_005), &subjects), Ok(()));
        assert_eq!(throttle.attempt(Time(60_005), &subjects), Err(60));
        throttle.succeeded(&subjects);
        assert_eq!(throttle.attempt(Time(60_005), &subjects), Ok(()));
    }

    #[test]
    fn one_customer_is_one_peer() {
        let peer = |address: &str| Subject::peer(address.parse().unwrap());
        assert_eq!(peer("2001:db8:1:2::3"), peer("2001:db8:1:2:ffff::"));
        assert_ne!(peer("2001:db8:1:2::"), peer("2001:db8:1:3::"));
        assert_eq!(peer("::ffff:192.0.2.1"), peer("192.0.2.1"));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut throttle = Throttle::new(HashKey(1, 2));
        for n in 0..=SUBJECTS {
            throttle.attempt(Time(n as u64), &[Subject::Account(n.to_string().into())]).unwrap();
        }
        assert!(throttle.full_at.len() <= SUBJECTS);
    }

    #[test]
    fn whoever_is_over_is_forgotten_before_whoever_is_not() {
        let mut throttle = Throttle::new(HashKey(1, 2));
        let guesser = [Subject::Account("guesser".into())];
        while throttle.attempt(Time(0), &guesser).is_ok() {}
        for n in 1..SUBJECTS {
            throttle.remember(Time(0), &Subject::Account(n.to_string().into()), Time(1000));
        }
        throttle.attempt(Time(1000), &[Subject::Account("one more".into())]).unwrap();
        assert_eq!(throttle.full_at.len(), 2);
        assert!(throttle.attempt(Time(1000), &guesser).is_err());
    }
}
