//! A place for servers that come and go.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

/// An address that was free a moment ago, and a folder for the data, so that a server can come back.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    pub(crate) at: SocketAddr,
}

impl Home {
    pub(crate) fn new() -> Home {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Home { folder: tempfile::tempdir().unwrap(), at: free.local_addr().unwrap() }
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
