//! The store on a disk: one SQLite file, `obrolan.sqlite3`, in a data folder that one process holds at a time.
//!
//! # What is promised
//!
//! A batch is one transaction in SQLite's write-ahead log (WAL), synced before [`append`](Store::append) returns: neither a
//! killed process nor a power cut takes it back, as long as the disk keeps what it has confirmed.
//!
//! Damage is told from content by checksums of our own, for SQLite keeps none over its tables. Each record's CRC-32C covers the
//! checksum before it, its number, its bytes and the checksum of the message it carries, which in turn covers the message's number,
//! its `prev` and its body. The `head` row, rewritten in each transaction, holds the number and checksum of the last record, and
//! the snapshot holds those of the last record inside it. So a record that is altered, moved, lost in the middle or lost at the
//! end is found by [`load`](Store::load), and an altered message by whoever reads it. A CRC finds accidents; it is no
//! protection from somebody who writes to the file on purpose.
//!
//! # What cannot be promised
//!
//! - The last transactions live in `obrolan.sqlite3-wal` until a checkpoint moves them into the file. SQLite ends the log at the
//!   first frame whose checksum is wrong, for that is what a commit cut short by a crash looks like. If frames of a later commit follow, it is
//!   damage, and is refused; damage to the last commit of the log, a lost log file, or a copy of the folder without it brings back
//!   an earlier state: a whole one, but what came later is gone without a trace. The same holds of an older copy put in the place of the
//!   folder.
//! - When the disk fails in the very act of confirming a commit, `append` returns an error although the records may be on it.
//!   They are invisible from then on, and overwritten by the next commit; `load` makes one before it reads, so that what
//!   it returned is also what a crash right after it leaves. A crash before either may bring the records back; opening the store
//!   writes the log again first, since a system that has failed to sync may show what it will never write.
//! - `load` reads the snapshot, the records and the messages of these records. An older message is checked when it is read.
//!
//! The file is locked against other programs too, `sqlite3` included: to back up, stop the server and copy the whole folder.

mod checksum;
mod failure;
mod file;
pub(super) mod folder;
mod log;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};

use super::{Batch, History, Loaded, Place, Start, Store, StoreError};
use checksum::Head;
use failure::{Failure, damaged};
use folder::{Folder, io_error};

const FILE: &str = "obrolan.sqlite3";
const SELECT_MESSAGE: &str = "SELECT prev, crc, body FROM messages WHERE id = ?";
const MISSING: &str = "it is missing";
const CHECKSUM: &str = "its checksum does not match";

type Visitor<'v> = dyn FnMut(Loaded<'_>) -> Result<(), String> + 'v;

/// A [`Store`] in one SQLite file. Dropping it moves the log into the file and releases the data folder.
pub struct SqliteStore {
    // Before the folder, so that it is closed while the lock still holds.
    conn: Connection,
    folder: Folder,
    path: PathBuf,
    head: Head,
    /// Whether a commit has failed that may be in the log all the same.
    doubtful: bool,
}

impl SqliteStore {
    /// Opens the store in the folder `data`, or makes both; the `bool` says whether the store was made. The folder stays locked
    /// until the store is dropped. What is new is for this user alone: the folder has mode 0700, its files 0600.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has the folder; [`StoreError::TooNew`] and [`StoreError::Damaged`] if what is
    /// there cannot be this version's store; otherwise what the system said.
    pub fn open(data: &Path) -> Result<(SqliteStore, bool), StoreError> {
        let folder = Folder::open(data)?;
        let path = folder.path.join(FILE);
        let created = !path.try_exists().map_err(|error| io_error("look for", &path, error))?;
        if created {
            file::create(&folder, &path)?;
        }
        let conn = file::connect(&path).map_err(|failure| failure.reading(&path, Place::File))?;
        let mut store = SqliteStore { conn, folder, path, head: Head::default(), doubtful: false };
        store.head = store.keep_if_damaged(SqliteStore::read_head)?;
        Ok((store, created))
    }

    /// The data folder, as an absolute path.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.folder.path
    }

    /// Runs `read`. If it finds damage, the files stay as they are when the store is closed: whoever repairs them wants the
    /// log as it was.
    fn keep_if_damaged<T>(
        &mut self,
        read: impl FnOnce(&SqliteStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = read(self);
        if let Err(StoreError::Damaged { .. }) = result {
            // If even this fails, closing checkpoints as it always does, and the error at hand is still the one to report.
            let _ = self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
        result
    }

    fn read_head(&self) -> Result<Head, StoreError> {
        let read = || {
            let mut select = self.conn.prepare_cached("SELECT layout, seq, chain, crc FROM head")?;
            let mut rows = select.query(())?;
            let row = rows.next()?.ok_or_else(|| damaged(Place::Head, MISSING))?;
            let head = Head { seq: number(row, 1)?, chain: row.get(2)? };
            if row.get::<_, u32>(0)? != file::LAYOUT || row.get::<_, u32>(3)? != head.crc() {
                return Err(damaged(Place::Head, CHECKSUM));
            }
            Ok(head)
        };
        read().map_err(|failure: Failure| failure.reading(&self.path, Place::Head))
    }

    /// Visits the snapshot and returns where the journal goes on from it.
    fn read_snapshot(&self, visit: &mut Visitor<'_>) -> Result<Head, Failure> {
        let mut select = self.conn.prepare_cached("SELECT seq, chain, crc, bytes FROM snapshot")?;
        let mut rows = select.query(())?;
        let Some(row) = rows.next()? else {
            return Ok(Head::default());
        };
        let at = Head { seq: number(row, 0)?, chain: row.get(1)? };
        let bytes = row.get_ref(3)?.as_blob()?;
        if row.get::<_, u32>(2)? != checksum::snapshot(at, bytes) {
            return Err(damaged(Place::Snapshot, CHECKSUM));
        }
        visit(Loaded::Snapshot { seq: at.seq, bytes }).map_err(|why| self.rejected(Place::Snapshot, why))?;
        Ok(at)
    }

    /// Visits the records after `at`, and moves `at` along with them.
    fn read_journal(&self, at: &mut Head, visit: &mut Visitor<'_>) -> Result<(), Failure> {
        let mut select = self.conn.prepare_cached(
            "SELECT journal.seq, journal.crc, record, message, prev, messages.crc, body
             FROM journal LEFT JOIN messages ON messages.id = message ORDER BY journal.seq",
        )?;
        let mut rows = select.query(())?;
        let mut whole = Vec::new();
        while let Some(row) = rows.next()? {
            let seq = number(row, 0)?;
            if seq != at.seq + 1 {
                let why = format!("after record {} comes record {seq}", at.seq);
                return Err(damaged(Place::Record(at.seq + 1), why));
            }
            let place = Place::Record(seq);
            let mut record = row.get_ref(2)?.as_blob()?;
            let mut carried = None;
            if let Some(id) = row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned) {
                let (crc, body) = self.read_message(row, 4, id)?;
                carried = Some((id, crc));
                whole.clear();
                whole.extend_from_slice(record);
                whole.extend_from_slice(body);
            }
            let chain = checksum::record(at.chain, seq, record, carried);
            if row.get::<_, u32>(1)? != chain {
                return Err(damaged(place, "the chain of checksums breaks here"));
            }
            if carried.is_some() {
                record = &whole;
            }
            visit(Loaded::Record { seq, record }).map_err(|why| self.rejected(place, why))?;
            *at = Head { seq, chain };
        }
        Ok(())
    }

    /// The checksum and the body of the message `id`, whose columns `prev`, `crc` and `body` begin at `column` of `row`.
    fn read_message<'a>(
        &self,
        row: &'a Row<'_>,
        column: usize,
        id: u64,
    ) -> Result<(u32, &'a [u8]), StoreError> {
        let read = || {
            if row.get_ref(column)? == ValueRef::Null {
                return Err(damaged(Place::Message(id), MISSING));
            }
            let body = row.get_ref(column + 2)?.as_blob()?;
            let crc = checksum::message(id, number(row, column)?, body);
            if row.get::<_, u32>(column + 1)? != crc {
                return Err(damaged(Place::Message(id), CHECKSUM));
            }
            Ok((crc, body))
        };
        read().map_err(|failure: Failure| failure.reading(&self.path, Place::Message(id)))
    }

    /// The message before `id` in its conversation, and the body of `id`.
    fn message(&self, id: u64) -> Result<(u64, Vec<u8>), StoreError> {
        let read = || {
            let mut select = self.conn.prepare_cached(SELECT_MESSAGE)?;
            let mut rows = select.query([id.cast_signed()])?;
            let row = rows.next()?.ok_or_else(|| damaged(Place::Message(id), MISSING))?;
            let (_, body) = self.read_message(row, 0, id)?;
            Ok((number(row, 0)?, body.to_vec()))
        };
        read().map_err(|failure: Failure| failure.reading(&self.path, Place::Message(id)))
    }

    /// Runs `change` in a transaction of its own.
    fn write<T>(
        &mut self,
        action: &'static str,
        change: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let write = || {
            // Dropped before its commit, a transaction is rolled back.
            let transaction = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let changed = change(&transaction)?;
            self.doubtful = true;
            transaction.commit()?;
            self.doubtful = false;
            Ok(changed)
        };
        write().map_err(|failure: Failure| failure.writing(&self.path, action))
    }

    fn rejected(&self, place: Place, why: String) -> StoreError {
        StoreError::Rejected { path: self.path.clone(), place, why }
    }
}

impl Store for SqliteStore {
    fn append(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut head = self.head;
        self.head = self.write("store records", |conn| {
            let mut add_message =
                conn.prepare_cached("INSERT INTO messages (id, prev, crc, body) VALUES (?, ?, ?, ?)")?;
            let mut add_record =
                conn.prepare_cached("INSERT INTO journal (seq, crc, message, record) VALUES (?, ?, ?, ?)")?;
            for entry in batch.iter() {
                let expected = head.seq + 1;
                if entry.seq != expected {
                    return Err(StoreError::OutOfOrder { expected, got: entry.seq }.into());
                }
                let mut carried = None;
                if let Some(message) = entry.message {
                    let crc = checksum::message(message.id, message.prev, entry.body());
                    add_message
                        .execute((message.id.cast_signed(), message.prev.cast_signed(), crc, entry.body()))
                        .map_err(Failure::inserting(Place::Message(message.id)))?;
                    carried = Some((message.id, crc));
                }
                let chain = checksum::record(head.chain, entry.seq, entry.head(), carried);
                add_record
                    .execute((
                        entry.seq.cast_signed(),
                        chain,
                        carried.map(|(id, _)| id.cast_signed()),
                        entry.head(),
                    ))
                    .map_err(Failure::inserting(Place::Record(entry.seq)))?;
                head = Head { seq: entry.seq, chain };
            }
            write_head(conn, head)?;
            Ok(head)
        })?;
        Ok(())
    }

    fn load(&mut self, visit: &mut Visitor<'_>) -> Result<(), StoreError> {
        if self.doubtful {
            let head = self.head;
            self.write("undo a failed commit", |conn| {
                // SQLite does not write a page that nothing has changed, and a commit without pages leaves the log as it is.
                conn.prepare_cached("UPDATE head SET seq = seq + 1")?.execute(())?;
                Ok(write_head(conn, head)?)
            })?;
        }
        self.head = self.keep_if_damaged(|store| {
            let path = &store.path;
            let head = store.read_head()?;
            let mut end =
                store.read_snapshot(visit).map_err(|failure| failure.reading(path, Place::Snapshot))?;
            // What a failed read was after is the record that had to come next.
            store
                .read_journal(&mut end, visit)
                .map_err(|failure| failure.reading(path, Place::Record(end.seq + 1)))?;
            let (place, why) = if end.seq < head.seq {
                (
                    Place::Record(end.seq + 1),
                    format!("it is missing: the store had records up to {}", head.seq),
                )
            } else {
                (Place::Head, format!("it does not belong to the last record, which is {}", end.seq))
            };
            if end == head { Ok(head) } else { Err(damaged(place, why).reading(path, place)) }
        })?;
        Ok(())
    }

    fn snapshot(&mut self, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let last = self.head.seq;
        self.write("store a snapshot", |conn| {
            let former = conn
                .prepare_cached("SELECT seq, chain FROM snapshot")?
                .query_row((), |row| Ok(Head { seq: number(row, 0)?, chain: row.get(1)? }))
                .optional()?
                .unwrap_or_default();
            if !(former.seq..=last).contains(&seq) {
                return Err(StoreError::SnapshotRefused { seq, first: former.seq, last }.into());
            }
            let chain = if seq == former.seq {
                former.chain
            } else {
                conn.prepare_cached("SELECT crc FROM journal WHERE seq = ?")?
                    .query_row([seq.cast_signed()], |row| row.get(0))
                    .optional()?
                    .ok_or_else(|| damaged(Place::Record(seq), MISSING))?
            };
            conn.prepare_cached(
                "INSERT OR REPLACE INTO snapshot (id, seq, chain, crc, bytes) VALUES (1, ?, ?, ?, ?)",
            )?
            .execute((
                seq.cast_signed(),
                chain,
                checksum::snapshot(Head { seq, chain }, bytes),
                bytes,
            ))?;
            conn.prepare_cached("DELETE FROM journal WHERE seq <= ?")?.execute([seq.cast_signed()])?;
            Ok(())
        })
    }

    fn messages(&mut self, ids: &[u64], budget: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let (mut bodies, mut bytes) = (Vec::new(), 0);
        for &id in ids {
            if bytes > budget {
                break;
            }
            let (_, body) = self.message(id)?;
            bytes += body.len();
            bodies.push(body);
        }
        Ok(bodies)
    }

    fn history(
        &mut self,
        start: Start,
        floor: u64,
        limit: usize,
        budget: usize,
    ) -> Result<History, StoreError> {
        let (mut next, before) = match start {
            Start::At(id) => (id, None),
            Start::Before(id) => {
                let (prev, body) = self.message(id)?;
                (prev, Some(body))
            }
        };
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while next > floor && messages.len() < limit && bytes <= budget {
            let (prev, body) = self.message(next)?;
            bytes += body.len();
            messages.push(body);
            next = prev;
        }
        Ok(History { before, messages, more: next > floor })
    }
}

fn write_head(conn: &Connection, head: Head) -> rusqlite::Result<()> {
    conn.prepare_cached("UPDATE head SET seq = ?, chain = ?, crc = ?")?.execute((
        head.seq.cast_signed(),
        head.chain,
        head.crc(),
    ))?;
    Ok(())
}

// SQLite's integers are signed. The cast keeps every bit, so each u64 comes back as it was.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}
