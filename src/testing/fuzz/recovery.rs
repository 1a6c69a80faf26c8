//! Recovery from a journal and snapshots, whole and damaged.

use super::SEED;
use crate::{
    Config, Engine, RecoveryError, Seq, Snapshot, Time,
    testing::{
        scenario::{START, Scenario},
        terms::Feed,
        world::World,
    },
};

/// A journal gives the state that wrote it, from the start and on top of each snapshot. One with a hole, a repetition or a record that
/// is cut short gives an error, or the same state; a snapshot that is cut short gives an error. Where a byte is altered, which the
/// engine cannot always see and its host has to, what comes out is an error or a whole state: one that writes a snapshot and a journal that
/// give itself.
///
/// The bytes are what the damage is, where, and with what; then a scenario.
pub fn recovery(bytes: &[u8]) {
    let [damage, high, low, with, rest @ ..] = bytes else { return };
    let place = usize::from(*high) << 8 | usize::from(*low);
    let mut scenario = Scenario::decode(rest);
    // Where there is little room, not all that is brought back can stay.
    scenario.config.limits.memory_messages = 1 << 20;
    scenario.config.limits.memory_files = 1 << 20;
    let mut world = scenario.play(SEED, Feed::Whole);
    world.settle();
    let (last, _) = world.journal();
    if last == Seq(0) {
        return;
    }
    let snapshot = world.engine().snapshot().expect("a settled world has a store that works");
    let digest = world.engine().digest();
    let journal = Journal { config: &scenario.config, world: &world, now: world.now() };
    for base in [None].into_iter().chain(world.snapshots().iter().map(Some)) {
        assert!(world.recover(last, base).is_ok_and(|engine| engine.snapshot().as_ref() == Ok(&snapshot)));
    }
    let at = 1 + place as u64 % last.0;
    let record = world.record(Seq(at));
    match damage % 5 {
        // A hole, at the end of which there is nothing to tell it by.
        0 => {
            let recovered =
                journal.recover((1..=last.0).filter(|seq| *seq != at).map(|seq| (seq, seq)), None);
            assert_eq!(recovered.is_ok(), at == last.0);
        }
        1 => {
            let twice = (1..=at).chain(at..=last.0).map(|seq| (seq, seq));
            assert!(journal.recover(twice, None).is_err());
        }
        2 => {
            let cut = &record[..usize::from(*with) % record.len()];
            // The body of a message, with which its record ends, is no part of the state.
            let recovered = journal.recover((1..=last.0).map(|seq| (seq, seq)), Some((at, cut)));
            assert!(recovered.is_err() || recovered.is_ok_and(|engine| engine.digest() == digest));
        }
        3 => {
            let cut = snapshot.bytes[..place % snapshot.bytes.len()].to_vec();
            assert!(world.recover(last, Some(&Snapshot { seq: last, bytes: cut })).is_err());
        }
        _ => {
            let alter = |bytes: &[u8]| {
                let mut altered = bytes.to_vec();
                let at = place % altered.len();
                altered[at] ^= (*with).max(1);
                altered
            };
            let of_snapshot = Snapshot { seq: last, bytes: alter(&snapshot.bytes) };
            let of_record = alter(record);
            let recovered = [
                world.recover(last, Some(&of_snapshot)),
                journal.recover((1..=last.0).map(|seq| (seq, seq)), Some((at, &of_record))),
            ];
            recovered.into_iter().flatten().for_each(|engine| is_whole(engine, &scenario));
        }
    }
}

/// A world's journal.
struct Journal<'a> {
    config: &'a Config,
    world: &'a World,
    now: Time,
}

impl Journal<'_> {
    /// Recovers from records under these numbers, one of which is another.
    fn recover(
        &self,
        records: impl Iterator<Item = (u64, u64)>,
        altered: Option<(u64, &[u8])>,
    ) -> Result<Engine, RecoveryError> {
        let mut recovery = Engine::recover(self.config.clone(), SEED).expect("it was kept before");
        for (seq, of) in records {
            let record = match altered {
                Some((at, record)) if at == of => record,
                _ => self.world.record(Seq(of)),
            };
            recovery.record(Seq(seq), record)?;
        }
        recovery.start(self.now)
    }
}

/// An engine's snapshot gives the engine, now and after more has happened.
fn is_whole(engine: Engine, scenario: &Scenario) {
    let mut world = World::going_on(engine, scenario.config.clone(), START);
    for _ in 0..2 {
        let (last, _) = world.journal();
        let recovered = world.recover(last, None).expect("what an engine wrote, it reads");
        assert!(recovered.snapshot() == world.engine().snapshot(), "another state than was written");
        scenario.steps.iter().for_each(|step| world.step(step));
        world.settle();
    }
}
