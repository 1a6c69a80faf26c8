//! A file descriptor that tells foreign event loops when there is something to take.

use std::{
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

/// Readable exactly while it is [set](Self::set).
pub(super) struct Readiness {
    /// What is polled: it holds one byte while set.
    reader: UnixStream,
    writer: UnixStream,
    set: bool,
}

impl Readiness {
    pub(super) fn new() -> io::Result<Readiness> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Readiness { reader, writer, set: false })
    }

    pub(super) fn set(&mut self, set: bool) {
        if set == self.set {
            return;
        }
        let done = if set { self.writer.write(&[0]) } else { self.reader.read(&mut [0]) };
        // A socket of this process that holds one byte at most: anything else is somebody else's hand on the descriptor, and what
        // they then read of it is theirs.
        if done.is_ok() {
            self.set = set;
        }
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
