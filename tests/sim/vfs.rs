//! The server's own store on a disk in memory: SQLite is given a file system that is one.
//!
//! The store also looks at its folder by itself, so there is a real one with a lock and a file of the database's name in it. What the
//! database reads and writes never gets there.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use obrolan_server::store::{SqliteStore, StoreError};
use sqlite_vfs::{DatabaseHandle, LockKind, OpenAccess, OpenOptions, Vfs, WalDisabled};
use tempfile::TempDir;

use crate::{disk::Disk, random::Random};

const DATABASE: &str = "obrolan.sqlite3";
const LOG: &str = "obrolan.sqlite3-wal";

/// An empty store, as it is made on a real disk. From here on SQLite has the disks in memory.
static EMPTY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is room for a scratch folder");
    drop(SqliteStore::open(folder.path()).expect("a store can be made"));
    let empty = fs::read(folder.path().join(DATABASE)).expect("it was made");
    sqlite_vfs::register("memory", Drive, true).expect("SQLite takes a file system");
    empty
});

/// The disks, by the folders that they are mounted on.
static DISKS: Mutex<BTreeMap<PathBuf, SharedDisk>> = Mutex::new(BTreeMap::new());

type SharedDisk = Arc<Mutex<Disk>>;

/// A folder in memory, where there is one: nothing in it has to last.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    folder.expect("there is room for a scratch folder")
}

/// A folder whose files are on a disk of its own.
pub(crate) struct Folder {
    real: TempDir,
    disk: SharedDisk,
}

impl Folder {
    /// A folder with an empty store.
    pub(crate) fn new(random: Random) -> Folder {
        let disk = Arc::new(Mutex::new(Disk::new(random, DATABASE, &EMPTY)));
        let real = scratch();
        fs::write(real.path().join(DATABASE), "on a disk in memory")
            .expect("a scratch folder can be written");
        locked(&DISKS).insert(real.path().to_owned(), disk.clone());
        Folder { real, disk }
    }

    pub(crate) fn path(&self) -> &Path {
        self.real.path()
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        locked(&self.disk)
    }

    /// Opens the store. It also writes to its log by itself, so for as long as that takes there is a real one.
    pub(crate) fn open_store(&self) -> Result<SqliteStore, StoreError> {
        let log = self.path().join(LOG);
        let seen = self.disk().content(LOG).map(<[u8]>::to_vec);
        if let Some(content) = &seen {
            fs::write(&log, content).expect("a scratch folder can be written");
            let file = File::options().write(true).open(&log).expect("it was just made");
            file.set_modified(SystemTime::UNIX_EPOCH).expect("its times can be set");
        }
        let opened = SqliteStore::open(self.path()).map(|(store, _)| store);
        if seen.is_some() {
            let written = fs::metadata(&log).and_then(|log| log.modified()).expect("it is there");
            if opened.is_ok() && written > SystemTime::UNIX_EPOCH {
                assert_eq!(fs::read(&log).ok(), seen, "the store alters its log behind SQLite's back");
                self.disk().written_anew(LOG);
            }
            fs::remove_file(&log).expect("it is there");
        }
        opened
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        locked(&DISKS).remove(self.path());
    }
}

/// A test that panicked has left a disk as any panic does: between two operations.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file system of all disks.
struct Drive;

struct Handle {
    disk: SharedDisk,
    name: String,
    lock: LockKind,
}

/// The disk and the name of a file.
fn find(path: &str) -> io::Result<(SharedDisk, String)> {
    let (folder, name) = path.rsplit_once('/').ok_or(io::ErrorKind::NotFound)?;
    let disk = locked(&DISKS).get(Path::new(folder)).cloned().ok_or(io::ErrorKind::NotFound)?;
    Ok((disk, name.to_owned()))
}

impl Vfs for Drive {
    type Handle = Handle;

    fn open(&self, path: &str, options: OpenOptions) -> io::Result<Handle> {
        let (disk, name) = find(path)?;
        let exists = locked(&disk).exists(&name);
        match options.access {
            OpenAccess::Create | OpenAccess::CreateNew if !exists => locked(&disk).create(&name)?,
            OpenAccess::CreateNew => return Err(io::ErrorKind::AlreadyExists.into()),
            _ if !exists => return Err(io::ErrorKind::NotFound.into()),
            _ => {}
        }
        Ok(Handle { disk, name, lock: LockKind::None })
    }

    fn delete(&self, path: &str) -> io::Result<()> {
        let (disk, name) = find(path)?;
        locked(&disk).remove(&name)
    }

    fn exists(&self, path: &str) -> io::Result<bool> {
        let (disk, name) = find(path)?;
        Ok(locked(&disk).exists(&name))
    }

    fn temporary_name(&self) -> String {
        // On no disk: what the store does needs no temporary files.
        "temporary".to_owned()
    }

    // SQLite asks once in the life of a process: for the salts of its logs, which decide nothing.
    fn random(&self, buffer: &mut [i8]) {
        buffer.fill(7);
    }

    fn sleep(&self, duration: Duration) -> Duration {
        duration
    }
}

impl DatabaseHandle for Handle {
    type WalIndex = WalDisabled;

    fn size(&self) -> io::Result<u64> {
        locked(&self.disk).len(&self.name)
    }

    fn read_exact_at(&mut self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        locked(&self.disk).read(&self.name, offset, buf)
    }

    fn write_all_at(&mut self, buf: &[u8], offset: u64) -> io::Result<()> {
        locked(&self.disk).write(&self.name, offset, buf)
    }

    fn sync(&mut self, _data_only: bool) -> io::Result<()> {
        locked(&self.disk).sync(&self.name)
    }

    fn set_len(&mut self, size: u64) -> io::Result<()> {
        locked(&self.disk).set_len(&self.name, size)
    }

    // The folder has one owner, who holds its lock.
    fn lock(&mut self, lock: LockKind) -> io::Result<bool> {
        self.lock = lock;
        Ok(true)
    }

    fn reserved(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    fn current_lock(&self) -> io::Result<LockKind> {
        Ok(self.lock)
    }

    fn wal_index(&self, _readonly: bool) -> io::Result<WalDisabled> {
        Ok(WalDisabled)
    }
}
