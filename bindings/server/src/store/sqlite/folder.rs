//! The data folder: made private, held by one process at a time, its entries synced.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::super::StoreError;

/// A data folder that this process alone has open, until it is dropped.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    // The system releases the lock with the file, also when the process is killed, so a stale lock cannot exist.
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be and locks it.
    pub(super) fn open(path: &Path) -> Result<Folder, StoreError> {
        // Absolute, so that a later change of the working directory moves nothing, and so that SQLite cannot take a
        // folder called `file:…` for a URI.
        let path = std::path::absolute(path).map_err(|source| io_error("find", path, source))?;
        if !path.is_dir() {
            make(&path).map_err(|source| io_error("create the data folder", &path, source))?;
        }
        let lock = lock(&path)?;
        Ok(Folder { path, _lock: lock })
    }

    /// Makes the folder's entries durable: a file's own sync does not cover its name.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        sync(&self.path).map_err(|source| io_error("sync the folder", &self.path, source))
    }
}

pub(in crate::store) fn io_error(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, path: path.to_owned(), source }
}

/// Options that open a file for reading and writing, and make it for this user's eyes only.
pub(in crate::store) fn private_file() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a folder for this user alone, durably.
pub(in crate::store) fn make(path: &Path) -> io::Result<()> {
    let parent = path.parent();
    if let Some(parent) = parent {
        fs::create_dir_all(parent)?;
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    sync(path)?;
    parent.map_or(Ok(()), sync)
}

fn lock(data: &Path) -> Result<File, StoreError> {
    let path = data.join("lock");
    let mut file = private_file().open(&path).map_err(|source| io_error("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::Locked { data: data.to_owned(), pid: holder(file) });
        }
        Err(TryLockError::Error(source)) => return Err(io_error("lock", &path, source)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|source| io_error("write", &path, source))?;
    Ok(file)
}

/// The process that holds the lock, if it has got as far as writing its number.
fn holder(lock: File) -> Option<u32> {
    let mut text = String::new();
    lock.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Makes a folder's entries durable.
#[cfg(unix)]
pub(in crate::store) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

// Elsewhere a folder cannot be opened as a file, and the file system keeps its entries in order by itself.
#[cfg(not(unix))]
pub(in crate::store) fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}
