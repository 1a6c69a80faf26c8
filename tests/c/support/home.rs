//! A place for servers that come and go.

use std::{
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, setsockopt, socket, sockopt::ReuseAddr,
};

/// An address and a folder for the data, so that a server can come back. While there is none, the address refuses connections.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    pub(crate) at: SocketAddr,
    /// Keeps the address from others: it is bound and does not listen. A server that says the same of its socket may listen there.
    _reserved: OwnedFd,
}

impl Home {
    pub(crate) fn new() -> Home {
        let reserved = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
        setsockopt(&reserved, ReuseAddr, &true).unwrap();
        bind(reserved.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        let at: SockaddrIn = getsockname(reserved.as_raw_fd()).unwrap();
        let at = SocketAddr::V4(at.into());
        Home { folder: tempfile::tempdir().unwrap(), at, _reserved: reserved }
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The configuration of a server here.
    pub(crate) fn toml(&self) -> String {
        format!("listen = '{}'\ndata = '{}'", self.at, self.data().display())
    }
}
