//! Maps keyed by what peers choose, and by numbers of our own.

use std::{collections::HashMap, hash::BuildHasher};

use foldhash::fast::FixedState;
use siphasher::sip::SipHasher13;

/// A map whose hashes no peer can foresee: their key comes from the engine's seed.
///
/// Its order is never shown: whatever leaves is sorted or looked up.
pub(crate) type Map<K, V> = HashMap<K, V, HashKey>;

/// A map keyed by numbers that the state gives out: no peer can choose them to collide, so hashing them may be quick.
pub(crate) type NumberMap<K, V> = HashMap<K, V, FixedState>;

/// The key of all hashes of what peers choose.
#[derive(Clone, Copy)]
pub(crate) struct HashKey(pub(crate) u64, pub(crate) u64);

impl BuildHasher for HashKey {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}
