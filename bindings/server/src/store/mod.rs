//! Where a server keeps what must outlive it: the engine's records, its snapshots and the bodies of its messages.
//!
//! A store knows nothing of chats. It sees numbered records, each an opaque string of bytes, and numbered message bodies;
//! what it promises is that [`Store::append`] has made a batch durable, whole, when it returns `Ok`, and that
//! [`Store::load`] gives back exactly what was appended, or an error that names the place that is damaged.
//!
//! Contents of files are kept apart, by [`FileStore`]. [`SqliteStore`] is the store on a disk, and [`Worker`] the thread that runs one, so that nobody else waits for the disk.

mod batch;
mod error;
mod files;
mod sqlite;
mod worker;

pub use batch::{Batch, Entry, MessageRef};
pub use error::{Place, StoreError};
pub use files::{Digest, FileStore, Found};
pub(crate) use files::{FILES, UNNAMED, hex};
pub use sqlite::SqliteStore;
pub use worker::{Command, Contents, Done, Executor, Worker};

/// Where [`Store::history`] begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With this message.
    At(u64),
    /// With the message before this one in its conversation. This one is read too.
    Before(u64),
}

/// A part of a conversation, as [`Store::history`] reads it.
#[derive(Debug, PartialEq, Eq)]
pub struct History {
    /// The body of the message of [`Start::Before`].
    pub before: Option<Vec<u8>>,
    /// Bodies, the newest first.
    pub messages: Vec<Vec<u8>>,
    /// Whether the conversation goes on above the floor.
    pub more: bool,
}

/// What [`Store::load`] hands to its visitor.
#[derive(Clone, Copy)]
pub enum Loaded<'a> {
    /// The newest snapshot. It comes first, if there is one.
    Snapshot {
        /// The last record the snapshot contains.
        seq: u64,
        /// The bytes given to [`Store::snapshot`].
        bytes: &'a [u8],
    },
    /// A record after the snapshot.
    Record {
        /// Its number: one more than that of the record, or snapshot, before it; the very first record is 1.
        seq: u64,
        /// The bytes given to [`Batch::push`], message body included.
        record: &'a [u8],
    },
}

/// Durable storage of one engine's records. It has one owner, who is the only one to write.
pub trait Store: Send {
    /// Appends every record of `batch` and stores its messages: all of it is durable when this returns `Ok`, none of it
    /// is visible when this returns an error, and the same records may then be appended again. An empty batch does nothing.
    ///
    /// # Errors
    /// [`StoreError::OutOfOrder`] unless the batch continues the store's last record number by number (the first record
    /// ever is 1); anything else when the disk refuses.
    fn append(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// Visits the snapshot, if there is one, and every record after it in order, each of them checked. The store is known to be
    /// whole only when this returns `Ok`: after an error, what was visited before it is to be thrown away.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the first thing that is not as it was stored; [`StoreError::Rejected`] carries the
    /// visitor's own error.
    fn load(&mut self, visit: &mut dyn FnMut(Loaded<'_>) -> Result<(), String>) -> Result<(), StoreError>;

    /// Replaces the former snapshot and deletes the records up to `seq`, which this one contains: both or neither. Message
    /// bodies stay.
    ///
    /// # Errors
    /// [`StoreError::SnapshotRefused`] when `seq` lies beyond the last durable record or before the former snapshot.
    fn snapshot(&mut self, seq: u64, bytes: &[u8]) -> Result<(), StoreError>;

    /// Reads the bodies of the messages `ids`, in that order, each of them checked: the first, and of those after it as many as begin
    /// within `budget` bytes.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the first message that is missing or altered.
    fn messages(&mut self, ids: &[u64], budget: usize) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Reads a conversation backwards, from message to [`prev`](MessageRef::prev), each of them checked: the bodies of at most `limit`
    /// messages beyond `floor`, the first, and of those after it as many as begin within `budget` bytes. However long the
    /// conversation is, no other row is touched.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the first message that is missing or altered.
    fn history(
        &mut self,
        start: Start,
        floor: u64,
        limit: usize,
        budget: usize,
    ) -> Result<History, StoreError>;
}
