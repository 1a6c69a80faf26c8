//! What can go wrong in a store, said so that the person who runs the server knows what to do.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// The part of a store that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File,
    /// The write-ahead log, which holds the last transactions.
    Log,
    /// The row that says which record is the last.
    Head,
    /// The snapshot.
    Snapshot,
    /// The journal's record of this number.
    Record(u64),
    /// The stored body of the message of this number.
    Message(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File => f.write_str("the file itself"),
            Place::Log => f.write_str("its log (the file of the same name with -wal)"),
            Place::Head => f.write_str("the head (table `head`)"),
            Place::Snapshot => f.write_str("the snapshot (table `snapshot`)"),
            Place::Record(seq) => write!(f, "record {seq} (table `journal`)"),
            Place::Message(id) => write!(f, "message {id} (table `messages`)"),
        }
    }
}

/// Why a store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder could not be made, opened or written.
    #[error("cannot {action} {}: {source}. {}", path.display(), after_io(source))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite could not read or write, and the store's content is not to blame.
    #[error("cannot {action} in {}: {source}. {}", path.display(), after_sqlite(source))]
    Sqlite {
        /// What was tried, as a verb.
        action: &'static str,
        /// The store's file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Another process has the data folder open.
    #[error(
        "the data folder {} is in use by another obrolan server{}. Stop that one, or choose another folder",
        data.display(),
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The data folder.
        data: PathBuf,
        /// The other process, if it has said who it is.
        pid: Option<u32>,
    },
    /// Something is not as it was stored.
    #[error(
        "the store {} is damaged at {place}: {why}. Keep a copy of its folder, check the disk, and restore the folder from a backup",
        path.display()
    )]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// Where.
        place: Place,
        /// What is wrong there.
        why: String,
    },
    /// A newer obrolan wrote the store.
    #[error(
        "the store {} has layout {version}, and this obrolan knows layouts up to {known}. Start the newer obrolan that wrote it",
        path.display()
    )]
    TooNew {
        /// The store's file.
        path: PathBuf,
        /// The layout it has.
        version: u32,
        /// The newest layout this program knows.
        known: u32,
    },
    /// What was read is as it was stored, but the visitor of [`Store::load`](super::Store::load) could not use it.
    #[error(
        "{place} in {} is intact but could not be applied: {why}. Start the version of obrolan that wrote it, or restore a backup",
        path.display()
    )]
    Rejected {
        /// The store's file.
        path: PathBuf,
        /// What was being visited.
        place: Place,
        /// The visitor's error.
        why: String,
    },
    /// A batch does not continue the store's records.
    #[error(
        "record {got} came where record {expected} must follow, and nothing was stored. This is a fault in obrolan: please report it"
    )]
    OutOfOrder {
        /// The number that must come next.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// A snapshot is of a state the store has not got the records of.
    #[error(
        "the snapshot at record {seq} was refused, for the store can take one from {first} to {last}; the former one stays. This is a fault in obrolan: please report it"
    )]
    SnapshotRefused {
        /// The last record the snapshot contains.
        seq: u64,
        /// The record of the former snapshot.
        first: u64,
        /// The last durable record.
        last: u64,
    },
    /// An earlier commit failed, and the store has not been read again since.
    #[error(
        "nothing is stored or looked up, because an earlier commit failed and the store must be read from its beginning first. The earlier failure: {cause}"
    )]
    Halted {
        /// The earlier failure.
        cause: String,
    },
}

fn after_io(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "Let the user who runs obrolan read and write it, or choose another data folder"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "Make room on that disk",
        io::ErrorKind::ReadOnlyFilesystem => "Make the file system writable, or choose another data folder",
        _ => "Check the path and the disk, or choose another data folder",
    }
}

fn after_sqlite(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "Make room on that disk",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "Close the program that has this file open"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "Let the user who runs obrolan read and write the file and its folder"
        }
        Some(ErrorCode::OutOfMemory) => "Give the server more memory",
        _ => "Check the disk and the system's log",
    }
}
