//! The SQLite file: its layout, how it is made and how it is opened.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::super::{FileStore, Place, StoreError};
use super::checksum::Head;
use super::failure::{Failure, damaged};
use super::folder::{Folder, io_error, private_file};
use super::log;

/// `OBRL`: tells an obrolan store from any other SQLite file.
const APPLICATION_ID: u32 = 0x4f42_524c;

/// The layout of the tables. It is also `PRAGMA user_version`, so that a layout can be refused before it is understood.
pub(super) const LAYOUT: u32 = 1;

// Blobs come last in their rows: SQLite reads a row from the left, and need not touch the pages of a long blob to get at the rest.
const TABLES: &str = "
    CREATE TABLE head (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        layout INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        chain INTEGER NOT NULL,
        crc INTEGER NOT NULL
    );
    CREATE TABLE snapshot (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        seq INTEGER NOT NULL,
        chain INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        bytes BLOB NOT NULL
    );
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY,
        crc INTEGER NOT NULL,
        message INTEGER,
        record BLOB NOT NULL
    );
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        prev INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        body BLOB NOT NULL
    );";

// Without CREATE, for a missing file is not an empty store; without a mutex, for the store has one owner at a time.
const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Makes an empty store. It is built under another name and gets its own when it is complete: a file of the store's name
/// that is empty or half made is damage then, never the beginning of a store.
pub(super) fn create(folder: &Folder, path: &Path) -> Result<(), StoreError> {
    let log = log_of(path);
    if log.exists() {
        let why = format!("it is missing, but its log {} is there", log.display());
        return Err(damaged(Place::File, why).reading(path, Place::File));
    }
    // What names them is lost then: an empty store would leave them to nobody.
    if FileStore::any_in(&folder.path)? {
        let why = "it is missing, but there are files of users in the folder \"files\" beside it; to begin anew, choose another data folder";
        return Err(damaged(Place::File, why).reading(path, Place::File));
    }
    let new = path.with_extension("new");
    for leftover in [new.clone(), path.with_extension("new-journal")] {
        match fs::remove_file(&leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", &leftover, error));
            }
            _ => {}
        }
    }
    private_file().open(&new).map_err(|error| io_error("create", &new, error))?;
    fill(&new).map_err(|error| Failure::from(error).writing(&new, "create the tables"))?;
    fs::rename(&new, path).map_err(|error| io_error("create", path, error))?;
    folder.sync()
}

fn fill(path: &Path) -> rusqlite::Result<()> {
    let conn = Connection::open_with_flags(path, FLAGS)?;
    conn.pragma_update(None, "application_id", APPLICATION_ID)?;
    conn.pragma_update(None, "user_version", LAYOUT)?;
    conn.execute_batch(TABLES)?;
    conn.execute(
        "INSERT INTO head (id, layout, seq, chain, crc) VALUES (1, ?, 0, 0, ?)",
        (LAYOUT, Head::default().crc()),
    )?;
    conn.close().map_err(|(_, error)| error)
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("sqlite3-wal")
}

/// Opens a store that [`create`] made.
pub(super) fn connect(path: &Path) -> Result<Connection, Failure> {
    // SQLite would take an empty file for a new database and delete its log, which may hold everything.
    let size = fs::metadata(path).map_err(|error| io_error("open", path, error))?.len();
    if size == 0 {
        return Err(damaged(Place::File, "it is empty"));
    }
    let log = log_of(path);
    if let Some(why) = log::damage(&log).map_err(|error| io_error("read", &log, error))? {
        return Err(damaged(Place::Log, why));
    }
    let conn = Connection::open_with_flags(path, FLAGS)?;
    // Exclusive before the first read: the log's index then lives in this process and no `-shm` file is made.
    conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    // What the file is comes before anything that would write to it.
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id")? != i64::from(APPLICATION_ID) {
        return Err(damaged(Place::File, "it is not an obrolan store"));
    }
    match u32::try_from(pragma("user_version")?).unwrap_or(0) {
        LAYOUT => {}
        version if version > LAYOUT => {
            return Err(StoreError::TooNew { path: path.to_owned(), version, known: LAYOUT }.into());
        }
        version => {
            return Err(damaged(Place::File, format!("there is no layout {version}")));
        }
    }
    log::rewrite(&log).map_err(|error| io_error("write", &log, error))?;
    // fullfsync: where a plain fsync leaves data in the disk's own cache (macOS). journal_size_limit: the log shrinks to
    // this many bytes after it has had to grow.
    conn.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA cell_size_check = ON;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    Ok(conn)
}
