//! What outlives the server: its store, the contents of its files, and beside them a journal that nothing can happen to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use obrolan::{Answer, Ask, Config, Engine, Seq, Snapshot, Time};
use obrolan_server::store::{Batch, Contents, History, Loaded, SqliteStore, Start, Store, StoreError};
use sha2::{Digest, Sha256};

use crate::{faults::Moods, random::Random};

/// The server's store, when it is not at its best.
pub(crate) struct Moody {
    store: SqliteStore,
    moods: Moods,
    calm: Arc<AtomicBool>,
    random: Random,
}

impl Moody {
    /// A store with moods, until it is to be `calm`.
    pub(crate) fn new(store: SqliteStore, moods: Moods, calm: Arc<AtomicBool>, random: Random) -> Moody {
        Moody { store, moods, calm, random }
    }

    fn in_a_mood(&mut self, mood: Option<u64>) -> bool {
        !self.calm.load(Ordering::Relaxed) && mood.is_some_and(|n| self.random.once_in(n))
    }
}

fn refused(action: &'static str) -> StoreError {
    StoreError::Io { action, path: "disk".into(), source: std::io::Error::other("it is in a mood") }
}

impl Store for Moody {
    fn append(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.store.append(batch)
    }

    fn load(&mut self, visit: &mut dyn FnMut(Loaded<'_>) -> Result<(), String>) -> Result<(), StoreError> {
        self.store.load(visit)
    }

    fn snapshot(&mut self, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        if self.in_a_mood(self.moods.no_snapshot) {
            return Err(refused("store a snapshot"));
        }
        self.store.snapshot(seq, bytes)
    }

    fn messages(&mut self, ids: &[u64], budget: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        if self.in_a_mood(self.moods.no_read) {
            return Err(refused("read"));
        }
        let least = self.in_a_mood(self.moods.least);
        self.store.messages(if least { &ids[..1] } else { ids }, budget)
    }

    fn history(
        &mut self,
        start: Start,
        floor: u64,
        limit: usize,
        budget: usize,
    ) -> Result<History, StoreError> {
        if self.in_a_mood(self.moods.no_read) {
            return Err(refused("read"));
        }
        let limit = if self.in_a_mood(self.moods.least) { 1 } else { limit };
        self.store.history(start, floor, limit, budget)
    }
}

/// An engine from what a store holds.
pub(crate) fn recover(
    config: Config,
    random: &mut Random,
    now: Time,
    snapshot: Option<&[u8]>,
    records: impl Iterator<Item = (u64, impl AsRef<[u8]>)>,
) -> Engine {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&random.next().to_le_bytes());
    let mut recovery = Engine::recover(config, seed).expect("a plan's configuration can be kept");
    if let Some(bytes) = snapshot {
        recovery.snapshot(bytes).expect("a snapshot of the engine reads");
    }
    for (seq, record) in records {
        recovery.record(Seq(seq), record.as_ref()).expect("a record of the engine reads");
    }
    recovery.start(now).expect("nothing is missing")
}

/// Everything the engine has given out to be stored.
#[derive(Default)]
pub(crate) struct Journal {
    records: Vec<Vec<u8>>,
    /// The last record that the store has said to have.
    stored: u64,
    /// The first record that the store has said not to have, and may have all the same until it is read again.
    refused: Option<u64>,
    snapshots: Vec<Snapshot>,
}

impl Journal {
    pub(crate) fn given(&mut self, seq: Seq, record: &[u8]) {
        assert_eq!(seq.0, self.records.len() as u64 + 1, "records come in order");
        self.records.push(record.to_vec());
    }

    pub(crate) fn len(&self) -> u64 {
        self.records.len() as u64
    }

    pub(crate) fn stored(&mut self, up_to: u64) {
        self.stored = up_to;
    }

    pub(crate) fn refused(&mut self, from: u64) {
        self.refused = Some(from);
    }

    pub(crate) fn snapshot(&mut self, snapshot: Snapshot) {
        self.snapshots.push(snapshot);
    }

    /// The store was read, after a start or a failure: everything it said to have is there, and nothing that it was not given. Whether
    /// there is also what it said not to have.
    pub(crate) fn read(&mut self, contents: &Contents, restarted: bool) -> bool {
        let first = contents.snapshot.as_ref().map_or(0, |(seq, _)| *seq);
        let last = contents.records.last_seq().unwrap_or(first);
        let given = self.records.len() as u64;
        assert!(
            (self.stored..=given).contains(&last),
            "the store ends with record {last}, and has said to have {}",
            self.stored
        );
        for (entry, seq) in contents.records.iter().zip(first + 1..) {
            assert_eq!(entry.seq, seq);
            assert!(entry.record == self.records[seq as usize - 1], "record {seq} is another");
        }
        let undead = self.refused.take().is_some_and(|from| from <= last);
        assert!(restarted || !undead, "what the store refused is there while it runs");
        self.stored = last;
        self.records.truncate(last as usize);
        self.snapshots.retain(|snapshot| snapshot.seq.0 <= last);
        undead
    }

    /// The state that any of the snapshots and all the records after it lead to.
    pub(crate) fn digest(&self, config: Config, random: &mut Random, now: Time) -> [u8; 32] {
        let old = match self.snapshots.len() as u64 {
            0 => None,
            n => self.snapshots.get(random.below(n + 1) as usize),
        };
        let first = old.map_or(0, |snapshot| snapshot.seq.0);
        let records = (first + 1..).zip(&self.records[first as usize..]);
        recover(config, random, now, old.map(|snapshot| &snapshot.bytes[..]), records).digest()
    }
}

/// The contents of files.
#[derive(Default)]
pub(crate) struct Files {
    uploads: BTreeMap<u64, Vec<u8>>,
    kept: BTreeMap<[u8; 32], Vec<u8>>,
}

impl Files {
    /// The server has started: what was uploaded in part is gone, and what no message names.
    pub(crate) fn restarted(&mut self, named: &BTreeSet<[u8; 32]>) {
        self.uploads.clear();
        self.kept.retain(|sha256, _| named.contains(sha256));
        assert_eq!(self.kept.len(), named.len(), "a message names a content that was never kept");
    }

    /// Does some work, unless it `fails`.
    pub(crate) fn work(&mut self, ask: Ask, fails: bool) -> Answer {
        match ask {
            Ask::AppendUpload { upload, offset, bytes } => {
                let held = self.uploads.entry(upload).or_default();
                held.truncate(offset as usize);
                assert_eq!(held.len() as u64, offset, "a part leaves a hole");
                if fails {
                    return Answer::Failed;
                }
                held.extend(bytes);
                Answer::Done
            }
            Ask::DropUpload { upload } => {
                self.uploads.remove(&upload);
                Answer::Done
            }
            _ if fails => Answer::Failed,
            Ask::FinishUpload { upload } => {
                let bytes = self.uploads.remove(&upload).unwrap_or_default();
                let (sha256, size) = (Sha256::digest(&bytes).into(), bytes.len() as u64);
                self.kept.insert(sha256, bytes);
                Answer::FileStored { sha256, size }
            }
            Ask::ReadFile { sha256, offset, length } => {
                Answer::FileBytes(self.kept[&sha256][offset as usize..][..length].to_vec())
            }
            other => unreachable!("this is not about files: {other:?}"),
        }
    }
}
