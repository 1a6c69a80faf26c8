//! The engine, for Python hosts.

use obrolan::{ConnId, Peer, Seq, Ticket, Time};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyList},
};

use crate::{
    answers,
    buffer::Content,
    config::Config,
    errors::{self, ApiMisuse, misuse},
    outputs::Outputs,
    recovery::{Recovery, Snapshot},
    shared::{Shared, caught},
    value::value,
    words::Closed,
};

value! {
    /// What Engine.receive did.
    Received {
        /// How many of the bytes were taken. The host offers the others again after Readable.
        consumed: usize,
        /// Whether the connection takes more now. If not, Readable tells when it does.
        wants_read: bool,
    }
}

/// The engine: accounts, sessions, private and group messages for any number of connections.
///
/// It has no socket, no file, no clock and no thread. The host brings those and keeps to one rule: after every input, do what outputs()
/// yields, in that order, until it ends. Several inputs may be given before.
///
/// Times are milliseconds since 1970, the same in all inputs; time that goes backwards counts as standing still. The same seed and the
/// same inputs give the same outputs, whatever pieces the bytes come in. Threads may share an engine: it does one thing at a time.
///
/// Raises obrolan.ConfigError if the configuration cannot be kept. seed is 32 random bytes, new at every start: os.urandom(32). Session
/// ids and the keys of hashes come from it.
#[pyclass(frozen, module = "obrolan.engine")]
pub(crate) struct Engine {
    pub(crate) shared: Shared<obrolan::Engine>,
}

impl Engine {
    pub(crate) fn wrap(engine: obrolan::Engine) -> Engine {
        Engine { shared: Shared::new(engine) }
    }

    /// Short work that fails by a mistake of the host.
    fn short<R>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut obrolan::Engine) -> Result<R, obrolan::ApiError>,
    ) -> PyResult<R> {
        self.shared.attached(py, work)?.map_err(misuse)
    }

    /// The same for work that may take long.
    fn long<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut obrolan::Engine) -> Result<R, obrolan::ApiError> + Send,
    ) -> PyResult<R> {
        self.shared.detached(py, work)?.map_err(misuse)
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (config = None, *, seed, now))]
    fn new(py: Python<'_>, config: Option<Config>, seed: Content, now: u64) -> PyResult<Engine> {
        let (config, seed) = given(py, config, &seed)?;
        let engine = caught(|| obrolan::Engine::new(config, seed, Time(now)))?;
        engine.map(Engine::wrap).map_err(errors::config)
    }

    /// Begin to rebuild an engine from what its host has stored.
    ///
    /// Raises obrolan.ConfigError if the configuration cannot be kept.
    #[staticmethod]
    #[pyo3(signature = (config = None, *, seed))]
    fn recover(py: Python<'_>, config: Option<Config>, seed: Content) -> PyResult<Recovery> {
        let (config, seed) = given(py, config, &seed)?;
        let recovery = caught(|| obrolan::Engine::recover(config, seed))?;
        recovery.map(Recovery::new).map_err(errors::config)
    }

    /// A connection was made, by a peer at this IP address, or by None in this process or on this machine. Returns its number, which is
    /// not used again.
    ///
    /// Raises obrolan.Refused if it is not taken: close it.
    #[pyo3(signature = (now, peer = None))]
    fn connect(&self, py: Python<'_>, now: u64, peer: Option<&str>) -> PyResult<u64> {
        let peer = match peer {
            None => Peer::Local,
            Some(text) => {
                // The zone that a socket shows after a % tells nothing to others.
                let ip = text.split('%').next().unwrap_or_default().parse();
                Peer::Address(ip.map_err(|_| {
                    ApiMisuse::new_err(format!(
                        "{text:?} is no IP address; give one, or None for a peer without"
                    ))
                })?)
            }
        };
        let conn = self.shared.attached(py, |engine| engine.connect(Time(now), peer))?;
        conn.map(ConnId::get).map_err(errors::refused)
    }

    /// Bytes came in. Takes as many as it can now; the host offers the others again after Readable.
    ///
    /// The bytes of a bytes object are read where they are; those of any other buffer are copied first.
    ///
    /// Raises obrolan.ApiMisuse if there is no such connection or its stream has ended, and then has changed nothing.
    fn receive(&self, py: Python<'_>, now: u64, conn: u64, data: Content) -> PyResult<Received> {
        let (conn, data) = (known(conn)?, data.get(py));
        let received = self.long(py, |engine| engine.receive(Time(now), conn, data))?;
        Ok(Received { consumed: received.consumed, wants_read: received.wants_read })
    }

    /// The peer ended the connection: "eof" if it sends nothing more and may still read, "gone" if the connection is gone.
    ///
    /// Raises obrolan.ApiMisuse if there is no such connection.
    fn peer_closed(&self, py: Python<'_>, now: u64, conn: u64, how: Closed) -> PyResult<()> {
        let conn = known(conn)?;
        self.long(py, |engine| engine.peer_closed(Time(now), conn, how.into()))
    }

    /// What is to be done, until there is nothing more.
    fn outputs(this: Bound<'_, Self>) -> Outputs {
        Outputs::new(this.unbind())
    }

    /// The bytes to be sent on a connection now, at most limit of them; empty if there are none or no such connection. Say with sent how
    /// many went.
    ///
    /// One bytes object, copied once out of the engine: a view of the engine's memory would hold up its next input.
    #[pyo3(signature = (conn, limit = None))]
    fn outgoing<'py>(
        &self,
        py: Python<'py>,
        conn: u64,
        limit: Option<usize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let conn = known(conn)?;
        self.shared.attached(py, |engine| {
            let outgoing = engine.outgoing(conn);
            let mut slices = outgoing.clone();
            let len = outgoing.map(<[u8]>::len).sum::<usize>().min(limit.unwrap_or(usize::MAX));
            PyBytes::new_with(py, len, |mut out| {
                while let Some(slice) = slices.next().filter(|_| !out.is_empty()) {
                    let (room, rest) = out.split_at_mut(slice.len().min(out.len()));
                    room.copy_from_slice(&slice[..room.len()]);
                    out = rest;
                }
                Ok(())
            })
        })?
    }

    /// This many bytes of outgoing were sent.
    ///
    /// Raises obrolan.ApiMisuse if there is no such connection, or there were not so many bytes.
    fn sent(&self, py: Python<'_>, now: u64, conn: u64, n: usize) -> PyResult<()> {
        let conn = known(conn)?;
        self.short(py, |engine| engine.sent(Time(now), conn, n))
    }

    /// Whether the connection takes bytes now. If not, Readable tells when it does.
    fn wants_read(&self, py: Python<'_>, conn: u64) -> PyResult<bool> {
        let conn = known(conn)?;
        self.shared.attached(py, |engine| engine.wants_read(conn))
    }

    /// All records up to this one are durable. What was held behind them may leave.
    ///
    /// Raises obrolan.ApiMisuse if not all of these are on their way to the journal.
    fn persisted(&self, py: Python<'_>, now: u64, up_to: u64) -> PyResult<()> {
        self.short(py, |engine| engine.persisted(Time(now), Seq(up_to)))
    }

    /// This record and all after it could not be made durable, and will not be. What was answered in reliance on them becomes
    /// "unavailable", and so does every request until restore.
    ///
    /// Raises obrolan.ApiMisuse if the record is not on its way to the journal.
    fn persist_failed(&self, py: Python<'_>, now: u64, first: u64) -> PyResult<()> {
        self.long(py, |engine| engine.persist_failed(Time(now), Seq(first)))
    }

    /// The store works again, and this was recovered from it: the engine goes on from there, with its connections. The recovery is over
    /// then.
    ///
    /// Raises obrolan.ApiMisuse if the store has not failed or too little was recovered, obrolan.RecoveryError as Recovery.start.
    fn restore(&self, py: Python<'_>, now: u64, recovery: &Bound<'_, Recovery>) -> PyResult<()> {
        let recovered = recovery.get().finish(py, now)?;
        self.long(py, |engine| engine.restore(Time(now), recovered))
    }

    /// The work of an ask was done. Its connection may be gone by now; then nothing happens.
    ///
    /// Raises obrolan.ApiMisuse if no such work is asked, or the answer is of another kind.
    fn answer(&self, py: Python<'_>, now: u64, ticket: u64, answer: &Bound<'_, PyAny>) -> PyResult<()> {
        let answer = answers::to_engine(answer)?;
        self.long(py, |engine| engine.answer(Time(now), Ticket(ticket), answer))
    }

    /// When to call handle_timeout if nothing comes in before; None if there is nothing to wait for.
    fn next_timeout(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        self.shared.attached(py, |engine| engine.poll_timeout().map(|time| time.0))
    }

    /// Do what is due by now: close idle connections, end unused sessions, drop unused uploads.
    fn handle_timeout(&self, py: Python<'_>, now: u64) -> PyResult<()> {
        self.shared.detached(py, |engine| engine.handle_timeout(Time(now)))
    }

    /// Take no further connection and no further request. Subscribers are told; what was asked is answered and sent, and every
    /// connection comes out as Close when it is.
    fn shutdown(&self, py: Python<'_>, now: u64) -> PyResult<()> {
        self.shared.detached(py, |engine| engine.shutdown(Time(now)))
    }

    /// The whole state, bodies of messages and contents of files included if the engine keeps them. Takes time and memory in proportion
    /// to it; other Python threads run meanwhile.
    ///
    /// Raises obrolan.ApiMisuse if the store failed and the engine was not restored.
    fn snapshot(&self, py: Python<'_>) -> PyResult<Snapshot> {
        let snapshot = self.long(py, |engine| engine.snapshot())?;
        Ok(Snapshot { seq: snapshot.seq.0, content: Content::new(py, &snapshot.bytes) })
    }

    /// SHA-256 of the state: equal states have equal digests.
    fn digest<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let digest = self.shared.detached(py, |engine| engine.digest())?;
        Ok(PyBytes::new(py, &digest))
    }

    /// The SHA-256 of every content that a message names, some of them more than once. What a host has besides is of no use.
    fn file_digests<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let digests: Vec<[u8; 32]> = self.shared.detached(py, |engine| engine.file_digests().collect())?;
        PyList::new(py, digests.iter().map(|digest| PyBytes::new(py, digest)))
    }

    /// How many connections are open.
    #[getter]
    fn connections(&self, py: Python<'_>) -> PyResult<usize> {
        self.shared.attached(py, |engine| engine.connections())
    }

    /// How many accounts there are.
    #[getter]
    fn accounts(&self, py: Python<'_>) -> PyResult<usize> {
        self.shared.attached(py, |engine| engine.accounts())
    }

    /// Panics, for the tests of what happens then.
    fn _panic(&self, py: Python<'_>) -> PyResult<()> {
        self.shared.attached(py, |_| panic!("somebody called _panic"))
    }
}

/// The configuration and the seed, as an engine takes them.
fn given(py: Python<'_>, config: Option<Config>, seed: &Content) -> PyResult<(obrolan::Config, [u8; 32])> {
    let seed = seed.get(py);
    let seed = seed.try_into().map_err(|_| {
        ApiMisuse::new_err(format!("the seed has {} bytes; give 32 random ones: os.urandom(32)", seed.len()))
    })?;
    Ok((config.map_or_else(obrolan::Config::default, |config| (&config).into()), seed))
}

/// A connection by its number.
fn known(conn: u64) -> PyResult<ConnId> {
    ConnId::from_number(conn).ok_or_else(|| misuse(obrolan::ApiError::UnknownConnection))
}
