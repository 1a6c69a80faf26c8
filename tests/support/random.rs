//! Random numbers that a failed run can be repeated with.

// Every test file includes this module and uses a part of it.
#![allow(dead_code)]

use std::{
    env,
    time::{SystemTime, UNIX_EPOCH},
};

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub(crate) fn seeded(seed: u64) -> Random {
        Random(seed)
    }

    /// Seeded by `OBROLAN_TEST_SEED`, or by the clock; says which.
    pub(crate) fn printed() -> Random {
        let seed = match env::var("OBROLAN_TEST_SEED") {
            Ok(seed) => seed.parse().expect("OBROLAN_TEST_SEED is a number"),
            Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64,
        };
        println!("random numbers from OBROLAN_TEST_SEED={seed}");
        Random(seed)
    }

    /// Another source, for another thread.
    pub(crate) fn fork(&mut self) -> Random {
        Random(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of some choices.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}
