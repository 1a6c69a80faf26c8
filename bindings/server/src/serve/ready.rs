//! The file that tells a waiting script that the server accepts connections, and where.

use std::{
    ffi::OsString,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process,
};

/// The file, there for as long as this is.
pub(super) struct ReadyFile {
    path: PathBuf,
    content: String,
}

impl ReadyFile {
    /// Removes what an earlier server that was killed has left, which would send a waiting script there.
    pub(super) fn clear(path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes the address and a line end; whoever sees the file sees all of it.
    pub(super) fn write(path: &Path, address: SocketAddr) -> io::Result<ReadyFile> {
        let mut name = OsString::from(path);
        name.push(format!(".{}.tmp", process::id()));
        let unfinished = PathBuf::from(name);
        let content = format!("{address}\n");
        let written = fs::write(&unfinished, &content).and_then(|()| fs::rename(&unfinished, path));
        if let Err(error) = written {
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        Ok(ReadyFile { path: path.to_owned(), content })
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        // The server ends; whoever finds the file now finds nobody at its address. Unless another server has written its own over it.
        if fs::read_to_string(&self.path).is_ok_and(|content| content == self.content) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_alone_and_whole_as_long_as_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready");
        ReadyFile::clear(&path).unwrap();
        fs::write(&path, "127.0.0.1:1\n").unwrap();
        ReadyFile::clear(&path).unwrap();
        assert!(!path.exists());

        let ready = ReadyFile::write(&path, "[::1]:7000".parse().unwrap()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[::1]:7000\n");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing unfinished is left");
        drop(ready);
        assert!(!path.exists());
    }

    #[test]
    fn it_is_left_to_a_server_that_has_written_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ready");
        let first = ReadyFile::write(&path, "[::1]:7000".parse().unwrap()).unwrap();
        let second = ReadyFile::write(&path, "[::1]:7001".parse().unwrap()).unwrap();
        drop(first);
        assert_eq!(fs::read_to_string(&path).unwrap(), "[::1]:7001\n");
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn a_failure_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("ready");
        fs::create_dir(&taken).unwrap();
        assert!(ReadyFile::clear(&taken).is_err());
        assert!(ReadyFile::write(&taken, "[::1]:7000".parse().unwrap()).is_err());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}
