//! How long to wait before the next attempt to connect.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// The first step, in milliseconds.
const FIRST: u64 = 1000;

/// Waiting times between attempts: they double from 1 s up to a cap, with jitter, so that the clients of a server that
/// comes back do not all come back in the same moment.
///
/// ```
/// use obrolan::client::Backoff;
/// let mut backoff = Backoff::new(7, 30_000);
/// assert!((500..=1000).contains(&backoff.next_delay()));
/// assert!((1000..=2000).contains(&backoff.next_delay()));
/// backoff.reset();
/// assert!((500..=1000).contains(&backoff.next_delay()));
/// ```
#[derive(Debug)]
pub struct Backoff {
    random: ChaCha8Rng,
    step: u64,
    cap: u64,
}

impl Backoff {
    /// Waiting times of at most `cap` milliseconds. Clients that start together should have different seeds.
    #[must_use]
    pub fn new(seed: u64, cap: u64) -> Backoff {
        Backoff { random: ChaCha8Rng::seed_from_u64(seed), step: FIRST.min(cap), cap }
    }

    /// Milliseconds to wait before the next attempt: between half of the step and all of it.
    pub fn next_delay(&mut self) -> u64 {
        let half = self.step / 2;
        let delay = half + self.random.next_u64() % (self.step - half + 1);
        self.step = self.step.saturating_mul(2).min(self.cap);
        delay
    }

    /// Starts over from 1 s: a connection has proved good.
    pub fn reset(&mut self) {
        self.step = FIRST.min(self.cap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let mut backoff = Backoff::new(1, 30_000);
        for step in [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000] {
            let delay = backoff.next_delay();
            assert!((step / 2..=step).contains(&delay), "{delay} ms of {step}");
        }
    }

    #[test]
    fn seeds_decide() {
        let delays = |seed| {
            let mut backoff = Backoff::new(seed, 30_000);
            [(); 5].map(|()| backoff.next_delay())
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }

    #[test]
    fn any_cap_will_do() {
        for cap in [0, 1, u64::MAX] {
            let mut backoff = Backoff::new(1, cap);
            assert!((0..100).all(|_| backoff.next_delay() <= cap));
        }
    }
}
