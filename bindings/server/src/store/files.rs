//! Contents of files on a disk, beside the database: each once, under its SHA-256.
//!
//! `files/ab/cdef…` is a content, `files/tmp/7` the upload of that number, and `files/unnamed/abcdef…` a content that no message
//! named when the server started. A content gets its name only when it is whole and
//! synced, and the name is synced before anybody is told: whatever stands under a name is that content, whenever the power is cut.
//! No name given by a peer ever becomes a file's.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::StoreError;
use super::sqlite::folder::{io_error, make, private_file, sync};

/// The folder of the contents, in a data folder.
pub(crate) const FILES: &str = "files";

/// The folder, in that one, of what no message named.
pub(crate) const UNNAMED: &str = "unnamed";

/// SHA-256 of a content.
pub type Digest = [u8; 32];

/// The contents of files in a data folder that somebody else holds locked. It has one owner, who does one thing after another.
pub struct FileStore {
    folder: PathBuf,
    uploads: HashMap<u64, Upload>,
    /// Contents that are known to be what their names say.
    checked: HashSet<Digest>,
}

/// What [`FileStore::open`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// How many of the named contents are not there.
    pub missing: usize,
    /// How many contents were moved to `files/unnamed/`, for they are not named.
    pub unnamed: usize,
}

/// An upload is hashed as it comes, so that finishing does not read it again.
#[derive(Clone, Default)]
struct Upload {
    size: u64,
    hasher: Sha256,
    /// The same before the last part, which may come again.
    last: (u64, Sha256),
}

impl FileStore {
    /// Opens the contents in the folder `data`. Removes uploads that a crash has left there, and moves contents that are not `named`
    /// out of the way: of those too a crash leaves some, but the database may also be older than they are. What was
    /// moved at an earlier start and is named now comes back.
    ///
    /// # Errors
    /// [`StoreError::Io`] with what the system said.
    pub fn open(data: &Path, named: &HashSet<Digest>) -> Result<(FileStore, Found), StoreError> {
        let folder = std::path::absolute(data).map_err(|source| io_error("find", data, source))?.join(FILES);
        let (tmp, unnamed) = (folder.join("tmp"), folder.join(UNNAMED));
        for path in [&folder, &tmp, &unnamed] {
            make_if_missing(path)?;
        }
        for upload in entries(&tmp)? {
            fs::remove_file(&upload).map_err(|source| io_error("remove", &upload, source))?;
        }
        let store = FileStore { folder, uploads: HashMap::new(), checked: HashSet::new() };
        let is_named = |hex: &str| digest(hex).filter(|digest| named.contains(digest));
        let mut found = Found { missing: named.len(), unnamed: 0 };
        for (prefix, group) in hex_entries(&store.folder, 2)? {
            for (rest, path) in hex_entries(&group, 62)? {
                let name = prefix.clone() + &rest;
                if is_named(&name).is_some() {
                    found.missing -= 1;
                } else {
                    rename(&path, &unnamed.join(name))?;
                    found.unnamed += 1;
                }
            }
        }
        for (name, path) in hex_entries(&unnamed, 64)? {
            let Some(digest) = is_named(&name) else { continue };
            let content = store.content(&digest);
            if !content.exists() {
                make_if_missing(group(&content))?;
                rename(&path, &content)?;
                found.missing -= 1;
            }
        }
        Ok((store, found))
    }

    /// Whether the folder `data` has contents in `files/`, whoever names them.
    pub(super) fn any_in(data: &Path) -> Result<bool, StoreError> {
        let folder = data.join(FILES);
        if !folder.is_dir() {
            return Ok(false);
        }
        for (_, group) in hex_entries(&folder, 2)? {
            if !hex_entries(&group, 62)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes a part of an upload, at its end, where its last part began or at 0; what was there from `offset` on goes. After an
    /// error the upload ends there.
    ///
    /// # Errors
    /// What the system said.
    pub fn append(&mut self, upload: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let path = self.upload(upload);
        let held = self.uploads.entry(upload).or_default();
        let hasher = match offset {
            0 => Sha256::new(),
            at if at == held.size => held.hasher.clone(),
            at if at == held.last.0 => held.last.1.clone(),
            _ => return Err(io::Error::new(ErrorKind::InvalidInput, "the part leaves a hole")),
        };
        *held = Upload { size: offset, hasher: hasher.clone(), last: (offset, hasher) };
        let mut file = private_file().open(path)?;
        let written = file
            .set_len(offset)
            .and_then(|()| file.seek(SeekFrom::Start(offset)))
            .and_then(|_| file.write_all(bytes));
        if let Err(error) = written {
            // Whether this gives the room back or not: the next part is written in its place.
            let _ = file.set_len(offset);
            return Err(error);
        }
        held.hasher.update(bytes);
        held.size += bytes.len() as u64;
        Ok(())
    }

    /// Makes an upload a content, durable when this returns `Ok`; its SHA-256 and its size. After an error the upload is good for
    /// nothing but [`forget`](Self::forget): a disk that has refused to sync may forget that it did.
    ///
    /// # Errors
    /// What the system said.
    pub fn finish(&mut self, upload: u64) -> io::Result<(Digest, u64)> {
        let from = self.upload(upload);
        let held = self.uploads.remove(&upload).ok_or(ErrorKind::NotFound)?;
        File::options().write(true).open(&from)?.sync_all()?;
        let digest = held.hasher.finalize().into();
        let path = self.content(&digest);
        let group = group(&path);
        if !group.is_dir() {
            make(group)?;
        }
        // Over an equal one, if there is one: that may have been damaged since.
        fs::rename(from, &path)?;
        sync(group)?;
        self.checked.insert(digest);
        Ok((digest, held.size))
    }

    /// Removes an upload, if it is there.
    ///
    /// # Errors
    /// What the system said.
    pub fn forget(&mut self, upload: u64) -> io::Result<()> {
        self.uploads.remove(&upload);
        match fs::remove_file(self.upload(upload)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads `length` bytes of a content from `offset` on.
    ///
    /// The whole content is checked before it is first read, and not again: checking it for every part would read a large file
    /// hundreds of times, and what the disk damages later the next start finds.
    ///
    /// # Errors
    /// What the system said, or that the content is damaged.
    pub fn read(&mut self, digest: &Digest, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.content(digest))?;
        if !self.checked.contains(digest) {
            let mut hasher = Sha256::new();
            let mut buffer = vec![0; 64 << 10];
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    n => hasher.update(&buffer[..n]),
                }
            }
            if hasher.finalize()[..] != digest[..] {
                let path = self.content(digest);
                let why = format!("{} is damaged: restore it from a backup", path.display());
                return Err(io::Error::new(ErrorKind::InvalidData, why));
            }
            self.checked.insert(*digest);
        }
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn upload(&self, upload: u64) -> PathBuf {
        self.folder.join("tmp").join(upload.to_string())
    }

    fn content(&self, digest: &Digest) -> PathBuf {
        let hex = hex(digest);
        self.folder.join(&hex[..2]).join(&hex[2..])
    }
}

/// The folder that a content stands in.
fn group(content: &Path) -> &Path {
    content.parent().expect("a content stands in a folder")
}

fn make_if_missing(folder: &Path) -> Result<(), StoreError> {
    if !folder.is_dir() {
        make(folder).map_err(|source| io_error("create the folder", folder, source))?;
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    read().map_err(|source| io_error("look into", folder, source))
}

/// What in a folder has a name of so many hex digits; nothing else there is ours.
fn hex_entries(folder: &Path, digits: usize) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let hex = |name: &&str| name.len() == digits && name.bytes().all(|b| b"0123456789abcdef".contains(&b));
    let named = |path: PathBuf| {
        let name = path.file_name()?.to_str().filter(hex)?.to_owned();
        Some((name, path))
    };
    Ok(entries(folder)?.into_iter().filter_map(named).collect())
}

/// A SHA-256 as messages show it.
pub(crate) fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(hex: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(digest)
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|source| io_error("move", from, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(data: &Path, named: &[Digest]) -> (FileStore, Found) {
        FileStore::open(data, &named.iter().copied().collect()).unwrap()
    }

    fn count(folder: &Path) -> usize {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }

    #[test]
    fn parts_become_a_content_that_is_kept_once() {
        let data = tempfile::tempdir().unwrap();
        let (mut store, _) = open(data.path(), &[]);
        for upload in [1, 2] {
            store.append(upload, 0, b"halo ").unwrap();
            store.append(upload, 5, b"sunia").unwrap();
            store.append(upload, 5, b"dunia").unwrap();
            assert!(store.append(upload, 3, b"x").is_err());
            assert_eq!(store.finish(upload).unwrap(), (Sha256::digest(b"halo dunia").into(), 10));
        }
        assert_eq!(count(data.path()), 1);
        let digest = Sha256::digest(b"halo dunia").into();
        assert_eq!(store.read(&digest, 5, 4).unwrap(), b"duni");
        assert!(store.read(&digest, 5, 6).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&store.content(&digest)), 0o600);
            assert_eq!(mode(&store.folder), 0o700);
        }
    }

    #[test]
    fn an_upload_begun_anew_has_nothing_of_the_old_one() {
        let data = tempfile::tempdir().unwrap();
        let (mut store, _) = open(data.path(), &[]);
        store.append(1, 0, b"a longer one").unwrap();
        store.append(1, 0, b"short").unwrap();
        assert_eq!(store.finish(1).unwrap(), (Sha256::digest(b"short").into(), 5));
        store.append(2, 0, b"x").unwrap();
        store.forget(2).unwrap();
        store.forget(2).unwrap();
        assert_eq!(count(data.path()), 1);
    }

    #[test]
    fn uploads_are_swept_and_the_missing_are_counted() {
        let data = tempfile::tempdir().unwrap();
        let (mut store, _) = open(data.path(), &[]);
        store.append(1, 0, b"named").unwrap();
        let (named, _) = store.finish(1).unwrap();
        store.append(3, 0, b"unfinished").unwrap();
        fs::write(data.path().join("files").join("notes.txt"), "not ours").unwrap();
        let (mut store, found) = open(data.path(), &[named, [7; 32]]);
        assert_eq!((found, count(data.path())), (Found { missing: 1, unnamed: 0 }, 2));
        assert_eq!(store.read(&named, 0, 5).unwrap(), b"named");
    }

    #[test]
    fn what_is_not_named_is_kept_apart_and_comes_back_when_it_is() {
        let data = tempfile::tempdir().unwrap();
        let (mut store, _) = open(data.path(), &[]);
        let digests = [b"one", b"two"].map(|content| {
            store.append(1, 0, content).unwrap();
            store.finish(1).unwrap().0
        });
        let unnamed = data.path().join("files/unnamed");

        let (mut store, found) = open(data.path(), &digests[..1]);
        assert_eq!(found, Found { missing: 0, unnamed: 1 });
        assert_eq!(fs::read(unnamed.join(hex(&digests[1]))).unwrap(), b"two");
        assert!(store.read(&digests[1], 0, 3).is_err());

        let (mut store, found) = open(data.path(), &digests);
        assert_eq!((found, count(&unnamed)), (Found { missing: 0, unnamed: 0 }, 0));
        assert_eq!(store.read(&digests[1], 0, 3).unwrap(), b"two");
    }

    #[test]
    fn a_damaged_content_is_not_given_out() {
        let data = tempfile::tempdir().unwrap();
        let (mut store, _) = open(data.path(), &[]);
        store.append(1, 0, b"whole").unwrap();
        let (digest, _) = store.finish(1).unwrap();
        fs::write(store.content(&digest), "hwole").unwrap();
        let (mut store, _) = open(data.path(), &[digest]);
        assert!(store.read(&digest, 0, 2).unwrap_err().to_string().contains("is damaged"));
        // Whoever sends it again repairs it.
        store.append(1, 0, b"whole").unwrap();
        store.finish(1).unwrap();
        assert_eq!(store.read(&digest, 0, 2).unwrap(), b"wh");
    }
}
