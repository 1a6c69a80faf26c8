//! From a snapshot and a journal back to an engine.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ApiError, Engine, Seq};
use crate::{
    limits::{Config, ConfigError, Service},
    state::{MOST, MessageId, Record, State, Thawing},
    time::Time,
};

/// The layout of a snapshot, its first byte.
const LAYOUT: u8 = 1;

/// The whole state at a point of the journal.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last record in it. A host may drop the journal up to here once the snapshot is durable, and must
    /// not use the snapshot before this record is durable itself.
    pub seq: Seq,
    /// What [`Recovery::snapshot`] takes.
    pub bytes: Vec<u8>,
}

/// Without the bytes: they hold hashes of passwords.
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} bytes up to {:?})", self.bytes.len(), self.seq)
    }
}

/// Rebuilds an engine: the snapshot if there is one, then every record after it in order, then [`start`](Self::start).
///
/// ```
/// use obrolan::{Config, Engine, Time};
/// # fn journal() -> Vec<(obrolan::Seq, Vec<u8>)> { vec![] }
/// let config = Config { persistence: true, ..Default::default() };
/// let mut recovery = Engine::recover(config, [0; 32]).unwrap();
/// for (seq, record) in journal() {
///     recovery.record(seq, &record).unwrap();
/// }
/// let engine = recovery.start(Time(1_795_424_400_000)).unwrap();
/// assert_eq!(engine.accounts(), 0);
/// ```
pub struct Recovery {
    engine: Engine,
}

/// A snapshot or a record that is not this engine's, or damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The snapshot does not read.
    #[error("the snapshot does not read ({why}); restore the data folder from a backup")]
    Snapshot {
        /// What is wrong.
        why: String,
    },
    /// The snapshot is of a layout this version does not know.
    #[error(
        "the snapshot has layout {found}, this version knows {LAYOUT}; use the version of obrolan that wrote it, or a newer one"
    )]
    Layout {
        /// The layout found.
        found: u8,
    },
    /// The snapshot did not come first.
    #[error("the snapshot has to come before the records")]
    SnapshotLate,
    /// A record is missing or came twice.
    #[error("record {expected} should come next, but {found} did: the journal has a hole or a repetition")]
    OutOfOrder {
        /// The record that should come.
        expected: u64,
        /// The record that came.
        found: u64,
    },
    /// A message is in a mailbox, but its body came neither with its record nor in the snapshot.
    #[error(
        "message {id} has no body in the journal; its host kept bodies itself: set `messages: Service::Host`"
    )]
    NoBody {
        /// The message's number.
        id: u64,
    },
    /// A file was sent, but its content came neither with the journal nor in the snapshot.
    #[error(
        "the file of message {id} has no content in the journal; its host kept files itself: set `files: Service::Host`"
    )]
    NoContent {
        /// The message's number.
        id: u64,
    },
    /// The record does not read, or does not fit what came before it.
    #[error("record {seq} {why}; restore the data folder from a backup")]
    Record {
        /// Which one.
        seq: u64,
        /// What is wrong.
        why: String,
    },
}

#[derive(Serialize)]
struct Written<S, M, F> {
    seq: u64,
    state: S,
    messages: M,
    /// Contents that the engine itself keeps.
    files: F,
}

#[derive(Deserialize)]
struct Read {
    seq: u64,
    state: Thawing,
    /// Each with the message before it in its conversation.
    messages: Vec<(MessageId, MessageId, Vec<u8>)>,
    files: Vec<([u8; 32], Vec<u8>)>,
}

impl Engine {
    /// Begins to rebuild an engine from what its host has stored. `seed` is as for [`new`](Self::new).
    ///
    /// # Errors
    /// The configuration cannot be kept.
    pub fn recover(config: Config, seed: [u8; 32]) -> Result<Recovery, ConfigError> {
        Ok(Recovery { engine: Engine::new(config, seed, Time(0))? })
    }

    /// The whole state, bodies of messages and contents of files included if the engine keeps them.
    ///
    /// Takes time and memory in proportion to it.
    ///
    /// # Errors
    /// The store failed: until the engine is [restored](Self::restore), its state is not what is durable.
    pub fn snapshot(&self) -> Result<Snapshot, ApiError> {
        if self.journal.failed {
            return Err(ApiError::StoreFailed);
        }
        let seq = self.journal.last;
        let written = Written {
            seq: seq.0,
            state: self.state.freeze(),
            messages: self.memory.sorted(),
            files: self.memory_files.sorted(),
        };
        let bytes = postcard::to_extend(&written, vec![LAYOUT]).expect("plain data and a Vec cannot fail");
        Ok(Snapshot { seq, bytes })
    }

    /// SHA-256 of the state: equal states have equal digests.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let bytes = postcard::to_stdvec(&self.state.freeze()).expect("plain data and a Vec cannot fail");
        Sha256::digest(bytes).into()
    }
}

impl Recovery {
    /// Takes a snapshot; first of all, and at most one.
    ///
    /// # Errors
    /// It is damaged, or came late. The recovery cannot go on.
    pub fn snapshot(&mut self, bytes: &[u8]) -> Result<(), RecoveryError> {
        if self.engine.journal.last != Seq(0) {
            return Err(RecoveryError::SnapshotLate);
        }
        let damaged = |why: &dyn fmt::Display| RecoveryError::Snapshot { why: why.to_string() };
        let rest = match bytes {
            [LAYOUT, rest @ ..] => rest,
            [found, ..] => return Err(RecoveryError::Layout { found: *found }),
            [] => return Err(damaged(&"it is empty")),
        };
        let (read, rest) = postcard::take_from_bytes::<Read>(rest).map_err(|error| damaged(&error))?;
        if !rest.is_empty() {
            return Err(damaged(&"it goes on after its end"));
        }
        if read.seq >= MOST {
            return Err(damaged(&"it counts more records than can be"));
        }
        self.engine.state = State::thaw(read.state, self.engine.hash_key).map_err(|error| damaged(&error))?;
        self.engine.journal.last = Seq(read.seq);
        for (id, prev, json) in read.messages {
            self.engine.memory.recover(id, prev, &json);
        }
        for (sha256, bytes) in read.files {
            self.engine.memory_files.insert(sha256, &bytes);
        }
        Ok(())
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// It is damaged or not the next one. The recovery cannot go on.
    pub fn record(&mut self, seq: Seq, record: &[u8]) -> Result<(), RecoveryError> {
        let expected = self.engine.journal.last.0 + 1;
        if seq.0 != expected {
            return Err(RecoveryError::OutOfOrder { expected, found: seq.0 });
        }
        let wrong = |why: &dyn fmt::Display| RecoveryError::Record { seq: seq.0, why: why.to_string() };
        let (record, body) = Record::decode(record).map_err(|_| wrong(&"does not read"))?;
        let prev = self.engine.state.last_before(&record);
        self.engine.state.apply(&record).map_err(|error| wrong(&error))?;
        self.engine.journal.last = seq;
        if let (Service::Inside, Record::FileKept { sha256, bytes }) = (self.engine.config.files, &record) {
            self.engine.memory_files.insert(*sha256, bytes);
        }
        if let (Service::Inside, Some(id)) = (self.engine.config.messages, record.message())
            && !body.is_empty()
        {
            self.engine.memory.recover(id, prev, body);
        }
        Ok(())
    }

    /// The engine, as it was after the last record.
    ///
    /// # Errors
    /// The engine is to keep the bodies of messages or the contents of files itself, and one did not come with the journal.
    pub fn start(self, now: Time) -> Result<Engine, RecoveryError> {
        let mut engine = self.engine;
        engine.journal.recovered();
        engine.advance(now);
        if engine.config.messages == Service::Inside {
            let held = || engine.state.users().iter().flat_map(|user| user.mailbox.after(MessageId(0)));
            if let Some(id) = held().find(|id| !engine.memory.contains(*id)) {
                return Err(RecoveryError::NoBody { id: id.0 });
            }
            engine.memory.recount(held());
        }
        if engine.config.files == Service::Inside {
            let named: BTreeSet<[u8; 32]> = engine.file_digests().collect();
            if let Some((id, _)) =
                engine.state.files().find(|(_, file)| engine.memory_files.get(&file.sha256).is_none())
            {
                return Err(RecoveryError::NoContent { id: id.0 });
            }
            engine.memory_files.retain(|sha256| named.contains(sha256));
        }
        Ok(engine)
    }
}
