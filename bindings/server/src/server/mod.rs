//! The server: one engine, its connections, its store.
//!
//! One thread owns the engine and runs every task of the server; handing the engine a connection's bytes is a function call. Readers
//! feed it, and when all that are ready have done so, the hub does what the engine wants done: that gathers the
//! writes of each connection into one system call, and the records of all into one commit. Only the store, files and the
//! hashing of passwords have threads of their own. Nothing here knows the protocol.

mod clock;
mod connections;
mod files;
mod hub;
mod passwords;
mod seldom;
mod signal;

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    path::PathBuf,
    rc::Rc,
    thread,
    time::Duration,
};

use obrolan::{Engine, RecoveryError, Seq};
use smol::{Async, LocalExecutor, channel, future};

use crate::{
    config::{Address, ServerConfig, Storage},
    store::{FILES, FileStore, Found, Loaded, SqliteStore, Store, StoreError, UNNAMED, Worker},
    threads,
};
use clock::system_time;
use hub::Hub;

/// A server that is bound to its address and has read its store; [`run`](Self::run) makes it serve.
///
/// ```
/// use obrolan_server::{config::ServerConfig, server::Server};
/// let config = ServerConfig::from_toml("listen = '127.0.0.1:0'\nstorage = 'memory'", "example").unwrap();
/// let server = Server::bind(&config).unwrap().spawn().unwrap();
/// println!("clients on this machine reach it at {}", server.url());
/// server.stop().unwrap();
/// ```
pub struct Server {
    config: ServerConfig,
    engine: Engine,
    store: Option<Box<dyn Store>>,
    files: Option<FileStore>,
    listener: TcpListener,
    local_addr: SocketAddr,
    created: bool,
    /// How many records of the store are in no snapshot.
    journal: usize,
    forward: (channel::Sender<Forward>, channel::Receiver<Forward>),
}

/// Has the server's clock put forward.
struct Forward {
    by: Duration,
    /// Told when that is done.
    done: channel::Sender<()>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address could not be bound.
    #[error("cannot listen on {address} ({source}); {}", advice(.source))]
    Listen {
        /// The address as it was configured.
        address: Address,
        /// The system's reason.
        source: io::Error,
    },
    /// The store does not open or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is whole, but the engine cannot go on from it.
    #[error("the data in {} cannot be used: {source}", folder.display())]
    Recovery {
        /// The data folder.
        folder: PathBuf,
        /// The engine's reason.
        source: RecoveryError,
    },
    /// The engine refuses the configuration.
    #[error("the configuration cannot be used: {0}")]
    Config(#[from] obrolan::ConfigError),
    /// The system has no random numbers, threads or file descriptors to give.
    #[error("the system cannot give what a server needs ({0}); see its limits")]
    System(#[from] io::Error),
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there: stop it, or choose another port with --listen"
        }
        io::ErrorKind::PermissionDenied => "ports below 1024 need privileges: choose another with --listen",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address: choose another with --listen",
        _ => "choose another address with --listen",
    }
}

/// Why a running server ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A thread of the server could not be started, or its sockets failed.
    #[error("the system failed the server ({0}); see its limits, then start the server again")]
    System(#[from] io::Error),
    /// The store's thread died.
    #[error(
        "the store's thread died, so nothing can be kept any more; see the log, then start the server again"
    )]
    StoreDied,
}

impl Server {
    /// Binds the address, opens the store and rebuilds the engine from it. From here on the system takes connections;
    /// they are served by [`run`](Self::run).
    ///
    /// # Errors
    /// Anything that keeps it from serving, in words for the person who started it.
    pub fn bind(config: &ServerConfig) -> Result<Server, StartError> {
        Claimed::claim(config)?.load()
    }

    /// The address it is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Whether the data folder was made now.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
    }

    /// How many accounts there are.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.engine.accounts()
    }

    /// Serves until `stop` is ready, then stops gracefully: subscribers are told, what was asked is answered, all is stored.
    ///
    /// # Errors
    /// The server cannot go on. What was answered OK is stored.
    ///
    /// # Panics
    /// If an invariant is broken: that is a fault in obrolan.
    pub fn run(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let executor = Rc::new(LocalExecutor::new());
        let (store_done, stored) = channel::unbounded();
        let worker = self.store.map(|store| Worker::spawn(store, store_done)).transpose()?;
        let (passwords, hashed) = passwords::Pool::start()?;
        let (files, filed) = self.files.map(files::Keeper::start).transpose()?.unzip();
        let hub = Rc::new(Hub::new(
            self.config,
            self.engine,
            worker,
            self.journal,
            passwords,
            files,
            Rc::downgrade(&executor),
        ));
        let listener = Async::new(self.listener)?;
        let served = smol::block_on(executor.run(async {
            hub.spawn(hub::pump(hub.clone()));
            hub.spawn(hub::timeouts(hub.clone()));
            for answers in [Some(hashed), filed].into_iter().flatten() {
                hub.spawn(hub::answers(hub.clone(), answers));
            }
            hub.spawn(hub::stored(hub.clone(), stored));
            hub.spawn(hub::clock(hub.clone(), self.forward.1));
            let accepting = executor.spawn(hub.clone().guard(connections::accept(hub.clone(), listener)));
            let stopped = future::or(
                async {
                    stop.await;
                    Ok(())
                },
                hub.failure(),
            )
            .await;
            accepting.cancel().await;
            let shut_down = async {
                hub.shut_down().await;
                Ok(())
            };
            stopped.and(future::or(shut_down, hub.failure()).await)
        }));
        hub.close();
        served
    }

    /// Serves on threads of its own, in this process, whose signals they leave to others.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn spawn(self) -> io::Result<RunningServer> {
        let local_addr = self.local_addr;
        let (stop, stopped) = channel::bounded::<()>(1);
        let forward = self.forward.0.clone();
        let until = async move {
            // Being told and being let go are the same.
            let _ = stopped.recv().await;
        };
        let thread = threads::spawn("obrolan", || self.run(until))?;
        Ok(RunningServer { local_addr, forward, stop: Some(stop), thread: Some(thread) })
    }
}

/// An address and a data folder that are this server's from now on. Nothing is read yet.
pub(crate) struct Claimed {
    config: ServerConfig,
    listener: TcpListener,
    local_addr: SocketAddr,
    store: Option<Box<dyn Store>>,
    created: bool,
}

impl Claimed {
    /// Binds the address and opens the store.
    pub(crate) fn claim(config: &ServerConfig) -> Result<Claimed, StartError> {
        // First, so that a server that cannot listen makes no data folder.
        let listen = |source| StartError::Listen { address: config.listen.clone(), source };
        let listener = TcpListener::bind(&config.listen).map_err(listen)?;
        let local_addr = listener.local_addr().map_err(listen)?;
        let (store, created): (Option<Box<dyn Store>>, bool) = match config.storage {
            Storage::Memory => (None, false),
            Storage::Disk => {
                let (store, created) = SqliteStore::open(&config.data)?;
                (Some(Box::new(store)), created)
            }
        };
        Ok(Claimed { config: config.clone(), listener, local_addr, store, created })
    }

    /// Rebuilds the engine from the store.
    pub(crate) fn load(self) -> Result<Server, StartError> {
        let Claimed { mut config, listener, local_addr, mut store, created } = self;
        limit_connections(&mut config);
        let (engine, journal) = match &mut store {
            None => (Engine::new(config.engine(), seed()?, system_time())?, 0),
            Some(store) => recover(&config, &mut **store)?,
        };
        let files = match config.storage {
            Storage::Memory => None,
            Storage::Disk => {
                let (files, found) = FileStore::open(&config.data, &engine.file_digests().collect())?;
                let folder = config.data.join(FILES);
                let Found { missing, unnamed } = found;
                if missing > 0 {
                    tracing::error!(
                        "{missing} files that were sent are not in {}; restore that folder from a backup",
                        folder.display()
                    );
                }
                if unnamed > 0 {
                    tracing::warn!(
                        "{unnamed} files that no message names were moved to {}; delete that folder when nothing is missed",
                        folder.join(UNNAMED).display()
                    );
                }
                Some(files)
            }
        };
        Ok(Server {
            config,
            engine,
            store,
            files,
            listener,
            local_addr,
            created,
            journal,
            forward: channel::unbounded(),
        })
    }
}

/// A server in this process. Dropping it stops it.
pub struct RunningServer {
    local_addr: SocketAddr,
    forward: channel::Sender<Forward>,
    stop: Option<channel::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<(), RunError>>>,
}

impl RunningServer {
    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where clients on this machine reach it: `obrolan://127.0.0.1:8889`, say.
    #[must_use]
    pub fn url(&self) -> String {
        format!("obrolan://{}", reachable(self.local_addr))
    }

    /// Puts its clock forward, and waits until all that is due by then is done. For tests of what takes days.
    #[doc(hidden)]
    pub fn put_forward(&self, by: Duration) {
        let (done, is_done) = channel::bounded(1);
        // A server that has ended has nothing that is due.
        if self.forward.try_send(Forward { by, done }).is_ok() {
            let _ = is_done.recv_blocking();
        }
    }

    /// Stops it gracefully and waits until it has.
    ///
    /// # Errors
    /// It could not go on, now or earlier.
    ///
    /// # Panics
    /// If its thread did, with the same panic.
    pub fn stop(mut self) -> Result<(), RunError> {
        self.stop = None;
        let thread = self.thread.take().expect("it is stopped once");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // Whoever wants to know how it went calls stop.
            let _ = thread.join();
        }
    }
}

/// Descriptors that connections leave to the database, to files and to the process itself.
const RESERVED_DESCRIPTORS: u64 = 64;

/// Has the system let this process have as many descriptors as it may, and takes no more connections than that allows: each
/// takes one, and without any left no file could be opened.
fn limit_connections(config: &mut ServerConfig) {
    let descriptors = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(descriptors) => descriptors,
        Err(error) => return tracing::warn!("the limit of open files stays as it is: {error}"),
    };
    let most = descriptors.saturating_sub(RESERVED_DESCRIPTORS).max(1).try_into().unwrap_or(usize::MAX);
    let connections = &mut config.limits.connections;
    if *connections > most {
        tracing::warn!(
            "limits.connections is {connections}, but this process may have {descriptors} files open, so it takes {most} connections; raise the system's limit (LimitNOFILE=, ulimit -n) or lower that one"
        );
        *connections = most;
    }
}

/// The address by which clients on this machine reach a server that listens there.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

/// The engine from what the store holds, and how many records that took.
fn recover(config: &ServerConfig, store: &mut dyn Store) -> Result<(Engine, usize), StartError> {
    let mut recovery = Engine::recover(config.engine(), seed()?)?;
    let (mut failed, mut journal) = (None, 0);
    let loaded = store.load(&mut |loaded| {
        let taken = match loaded {
            Loaded::Snapshot { bytes, .. } => recovery.snapshot(bytes),
            Loaded::Record { seq, record } => {
                journal += 1;
                recovery.record(Seq(seq), record)
            }
        };
        taken.map_err(|error| {
            let text = error.to_string();
            failed = Some(error);
            text
        })
    });
    let recovered = match failed {
        Some(error) => Err(error),
        None => {
            loaded?;
            recovery.start(system_time())
        }
    };
    match recovered {
        Ok(engine) => Ok((engine, journal)),
        Err(source) => Err(StartError::Recovery { folder: config.data.clone(), source }),
    }
}

fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::from)?;
    Ok(seed)
}
