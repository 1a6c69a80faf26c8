//! The simulator: the engine, the server's store on a disk in memory and many clients, with everything that can go wrong between them,
//! all decided by one number and done by one thread in virtual time.
//!
//! After the trouble everything heals, and what was promised has to have come true: every message that was answered OK is with its
//! recipients under one id and in order, none is with anybody else, keys were heeded, mailboxes get empty, and the state is at every
//! start the one that the journal leads to. See docs/testing.md.

mod answers;
mod disk;
mod faults;
mod ledger;
mod network;
#[path = "../support/random.rs"]
mod random;
mod server;
mod storage;
mod strangers;
mod users;
mod vfs;
mod world;

use std::{
    env,
    sync::{Mutex, PoisonError},
    thread,
    time::Instant,
};

use world::{Outcome, World};

/// How many seeds are run if nobody says.
const SEEDS: u64 = 2000;

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Says how to see a failure again.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("seed {} fails; run it again with: tests/sim/run --seed {}", self.0, self.0);
        }
    }
}

/// SQLite's file systems are one process's, and the crate that adds ours to them is not made for threads.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn run(seed: u64) -> Outcome {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let _replay = Replay(seed);
    World::new(seed, env::var_os("OBROLAN_SIM_TRACE").is_some()).run()
}

#[test]
fn what_is_promised_comes_true_whatever_goes_wrong() {
    let first = setting("OBROLAN_SIM_FIRST").unwrap_or(0);
    let seeds = setting("OBROLAN_SIM_SEEDS").unwrap_or(SEEDS);
    let begun = Instant::now();
    let outcomes: Vec<Outcome> = (first..first + seeds).map(run).collect();
    let seconds = begun.elapsed().as_secs_f64();

    let hours = outcomes.iter().map(|outcome| outcome.lasted).sum::<u64>() as f64 / 3_600_000.0;
    let sum =
        |count: fn(&world::Counts) -> u64| outcomes.iter().map(|outcome| count(&outcome.counts)).sum::<u64>();
    println!(
        "{seeds} seeds from {first}: {hours:.1} hours in {seconds:.1} s, {:.2} simulated hours a second; {} events, {} records, \
         {} faults, {} starts, {} syncs, {} refused syncs, {} sectors lost",
        hours / seconds,
        sum(|counts| counts.events),
        sum(|counts| counts.records),
        sum(|counts| counts.faults),
        sum(|counts| counts.starts),
        sum(|counts| counts.disk.syncs),
        sum(|counts| counts.disk.refused_syncs),
        sum(|counts| counts.disk.lost_sectors),
    );
}

#[test]
fn a_seed_decides_everything() {
    for seed in 1_000_000..1_000_020 {
        assert!(run(seed).digest == run(seed).digest, "seed {seed} leads to two worlds");
    }
}
