//! Doing what the engine wants done.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::HashMap,
    future::Future,
    net::IpAddr,
    panic::{self, AssertUnwindSafe},
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use obrolan::{
    Answer, Ask, CloseReason, Closed, ConnId, Engine, Event, Output, Peer, Refused, Seq, Ticket, Time,
};
use smol::{
    LocalExecutor, Timer,
    channel::Receiver,
    future::{self, FutureExt},
};

use super::{
    Forward, RunError,
    connections::{Socket, Written},
    files::Keeper,
    now,
    passwords::Pool,
    seed,
    signal::{Queue, Signal},
};
use crate::{
    config::ServerConfig,
    log::escaped,
    store::{Batch, Contents, Done, History, MessageRef, Start, StoreError, Worker},
};

/// Bytes read from a socket at once.
const READ: usize = 64 << 10;

/// Bytes of records waiting for the store beyond which nothing is read from sockets.
const STORE_BACKLOG: usize = 32 << 20;

/// How many records after a snapshot the next is made, unless there are more accounts than that: then as many as those, so that a
/// record's share of a snapshot stays the same.
const SNAPSHOT_RECORDS: usize = 100_000;

/// How long connections have to take what is still to be sent when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait before the store is tried again after it failed, at first and at most.
const RETRY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// The engine with all that its outputs need.
pub(super) struct Hub {
    config: ServerConfig,
    engine: RefCell<Engine>,
    sockets: RefCell<HashMap<ConnId, Rc<Socket>>>,
    store: RefCell<Option<Storing>>,
    passwords: Pool,
    /// Unless the engine keeps them.
    files: Option<Keeper>,
    executor: Weak<LocalExecutor<'static>>,
    buffer: RefCell<Box<[u8]>>,
    /// The engine has outputs.
    outputs: Signal,
    /// The engine's timeout is earlier than the one waited for.
    earlier: Signal,
    waited_for: Cell<Option<Time>>,
    /// Milliseconds by which the server's clock was put forward.
    ahead: Cell<u64>,
    /// Readers that wait until the store has room.
    store_room: Queue,
    /// A connection is gone, or records are stored.
    progress: Signal,
    failed: Signal,
    /// What the task that has failed panicked with.
    panic: Cell<Option<Box<dyn Any + Send>>>,
}

/// The store's thread, and what is on its way to it.
struct Storing {
    worker: Worker,
    /// Records that gather while a commit is on its way to the disk.
    gathering: Batch,
    /// The memory of the batch that came back.
    spare: Batch,
    /// Commits that are on their way.
    in_flight: usize,
    /// How many records are not in the last snapshot.
    since_snapshot: usize,
    snapshotting: bool,
}

impl Hub {
    /// `journal` is how many records of the store are in no snapshot.
    pub(super) fn new(
        config: ServerConfig,
        engine: Engine,
        worker: Option<Worker>,
        journal: usize,
        passwords: Pool,
        files: Option<Keeper>,
        executor: Weak<LocalExecutor<'static>>,
    ) -> Hub {
        let storing = worker.map(|worker| Storing {
            worker,
            gathering: Batch::new(),
            spare: Batch::new(),
            in_flight: 0,
            since_snapshot: journal,
            snapshotting: false,
        });
        Hub {
            config,
            engine: RefCell::new(engine),
            sockets: RefCell::default(),
            store: RefCell::new(storing),
            passwords,
            files,
            executor,
            buffer: RefCell::new(vec![0; READ].into()),
            outputs: Signal::default(),
            earlier: Signal::default(),
            waited_for: Cell::new(None),
            ahead: Cell::new(0),
            store_room: Queue::default(),
            progress: Signal::default(),
            failed: Signal::default(),
            panic: Cell::default(),
        }
    }

    /// Runs a task beside the others until it ends, or the server does.
    pub(super) fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        if let Some(executor) = self.executor.upgrade() {
            executor.spawn(self.clone().guard(task)).detach();
        }
    }

    /// The task, with its panic made the server's: the executor would keep it to itself, and the others would go on with
    /// an engine that was left half way through a change.
    pub(super) async fn guard(self: Rc<Self>, task: impl Future<Output = ()>) {
        if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
            self.panic.set(Some(panic));
            self.failed.raise();
        }
    }

    pub(super) fn connect(&self, peer: IpAddr) -> Result<ConnId, Refused> {
        self.input(|engine, now| engine.connect(now, Peer::Address(peer)))
    }

    pub(super) fn opened(&self, conn: ConnId, socket: Rc<Socket>) {
        self.sockets.borrow_mut().insert(conn, socket);
    }

    /// Lends the buffer that all sockets are read into.
    pub(super) fn with_buffer<T>(&self, read: impl FnOnce(&mut [u8]) -> T) -> T {
        read(&mut self.buffer.borrow_mut())
    }

    /// Hands bytes to the engine; how many it took, or `None` if it knows the connection no more.
    pub(super) fn received(&self, conn: ConnId, bytes: &[u8]) -> Option<usize> {
        self.input(|engine, now| engine.receive(now, conn, bytes)).ok().map(|received| received.consumed)
    }

    pub(super) fn end_of_stream(&self, conn: ConnId) {
        // An unknown connection was closed from this side already.
        let _ = self.input(|engine, now| engine.peer_closed(now, conn, Closed::Eof));
    }

    pub(super) fn gone(&self, conn: ConnId) {
        let _ = self.input(|engine, now| engine.peer_closed(now, conn, Closed::Gone));
        self.closed(conn);
    }

    /// Waits while too much is on its way to the store.
    pub(super) async fn wait_for_store(&self) {
        let has_room =
            || self.store.borrow().as_ref().is_none_or(|store| store.gathering.bytes() <= STORE_BACKLOG);
        self.store_room.until(has_room).await;
    }

    /// Ready when the server cannot go on. Panics if a task has.
    pub(super) async fn failure(&self) -> Result<(), RunError> {
        self.failed.wait().await;
        match self.panic.take() {
            Some(panic) => panic::resume_unwind(panic),
            None => Err(RunError::StoreDied),
        }
    }

    /// Lets the connections go: told, answered, sent, for as long as [`GRACE`] allows.
    pub(super) async fn shut_down(&self) {
        self.input(Engine::shutdown);
        let drained = async {
            while self.engine.borrow().connections() > 0 || !self.is_stored() {
                self.progress.wait().await;
            }
        };
        let deadline = async {
            Timer::after(GRACE).await;
            tracing::warn!("some connections did not take what was sent to them; closing them");
        };
        future::or(drained, deadline).await;
        self.sockets.borrow().values().for_each(|socket| socket.shut_down());
    }

    /// Stores what is left, and closes the store.
    pub(super) fn close(&self) {
        let Some(mut store) = self.store.take() else { return };
        if !store.gathering.is_empty() {
            store.worker.commit(std::mem::take(&mut store.gathering));
        }
        if store.since_snapshot > 0
            && let Ok(snapshot) = self.engine.borrow().snapshot()
        {
            // So that the next start reads one snapshot and no journal.
            store.worker.snapshot(snapshot.seq.0, snapshot.bytes);
        }
        store.worker.close();
    }

    fn is_stored(&self) -> bool {
        let store = self.store.borrow();
        store.as_ref().is_none_or(|store| store.in_flight == 0 && store.gathering.is_empty())
    }

    fn input<T>(&self, input: impl FnOnce(&mut Engine, Time) -> T) -> T {
        let result = input(&mut self.engine.borrow_mut(), self.now());
        self.outputs.raise();
        result
    }

    fn now(&self) -> Time {
        now().after(self.ahead.get())
    }

    fn closed(&self, conn: ConnId) {
        if let Some(socket) = self.sockets.borrow_mut().remove(&conn) {
            socket.shut_down();
            socket.readable.raise();
        }
        self.progress.raise();
    }

    /// The same, for a peer that may still send, and shall read the last response first.
    fn let_go(self: &Rc<Self>, conn: ConnId) {
        let socket = self.sockets.borrow_mut().remove(&conn);
        if let Some(socket) = socket {
            self.spawn(async move { socket.linger().await });
        }
        self.progress.raise();
    }

    /// Does all that the engine wants done now.
    fn drain(self: &Rc<Self>) {
        let mut engine = self.engine.borrow_mut();
        while let Some(output) = engine.poll_output() {
            match output {
                Output::Persist { seq, record, message } => {
                    if let Some(store) = &mut *self.store.borrow_mut() {
                        let message = message.map(|message| MessageRef {
                            id: message.id.0,
                            prev: message.prev.0,
                            at: message.body_at,
                        });
                        store.gathering.push(seq.0, record, message);
                    }
                }
                Output::Writable { conn } => self.write(&mut engine, conn),
                Output::Readable { conn } => {
                    if let Some(socket) = self.sockets.borrow().get(&conn) {
                        socket.readable.raise();
                    }
                }
                Output::Close { conn, reason } => {
                    tracing::debug!(?conn, ?reason, "closed");
                    if reason == CloseReason::PeerClosed {
                        // All that the peer sent is read.
                        self.closed(conn);
                    } else {
                        self.let_go(conn);
                    }
                }
                Output::Ask { ticket, ask: Ask::ReadMessages { ids, budget } } => {
                    if let Some(store) = &mut *self.store.borrow_mut() {
                        // The bodies may be among the records that are gathering.
                        store.commit_now();
                        store.worker.read(ticket.0, ids.into_iter().map(|id| id.0).collect(), budget);
                    }
                }
                Output::Ask { ticket, ask: Ask::ReadHistory { newest, before, floor, limit, budget } } => {
                    if let Some(store) = &mut *self.store.borrow_mut() {
                        let start = before.map_or(Start::At(newest.0), |before| Start::Before(before.0));
                        store.commit_now();
                        store.worker.history(ticket.0, start, floor.0, limit, budget);
                    }
                }
                Output::Ask {
                    ticket,
                    ask: ask @ (Ask::HashPassword { .. } | Ask::VerifyPassword { .. }),
                } => self.passwords.ask(ticket, ask),
                Output::Ask { ticket, ask } => {
                    if let Some(files) = &self.files {
                        files.ask(ticket, ask);
                    }
                }
                Output::Event(event) => self.log(event),
                other => tracing::error!("the engine wants something this server does not know: {other:?}"),
            }
        }
        let timeout = engine.poll_timeout();
        if timeout.is_some() && self.waited_for.get().is_none_or(|waited_for| timeout < Some(waited_for)) {
            self.earlier.raise();
        }
        if let Some(store) = &mut *self.store.borrow_mut() {
            store.commit_when_idle();
            store.snapshot_when_due(&engine);
        }
    }

    fn log(&self, event: Event<'_>) {
        // Nobody, if the connection is gone since.
        let peer = |conn| self.sockets.borrow().get(&conn).map(|socket| tracing::field::display(socket.peer));
        match event {
            Event::Registered { conn, user } => tracing::info!(?conn, user = %escaped(user), "registered"),
            Event::LoggedIn { conn, user } => tracing::info!(?conn, user = %escaped(user), "logged in"),
            Event::LoginFailed { conn } => tracing::warn!(?conn, peer = peer(conn), "failed to log in"),
            Event::Throttled { conn } => {
                tracing::warn!(?conn, peer = peer(conn), "too many attempts to log in");
            }
            other => tracing::info!("{other:?}"),
        }
    }

    /// Writes what is to be sent on a connection, as far as its socket takes it.
    fn write(self: &Rc<Self>, engine: &mut Engine, conn: ConnId) {
        let Some(socket) = self.sockets.borrow().get(&conn).cloned() else { return };
        if socket.blocked.get() {
            return;
        }
        loop {
            match socket.write(engine.outgoing(conn)) {
                Written::Bytes(0) => return,
                Written::Bytes(n) => engine.sent(self.now(), conn, n).expect("it was outgoing"),
                Written::Blocked => {
                    socket.blocked.set(true);
                    let hub = self.clone();
                    return self.spawn(async move {
                        let waited = socket.writable().await;
                        socket.blocked.set(false);
                        match waited {
                            Ok(()) => hub.write(&mut hub.engine.borrow_mut(), conn),
                            Err(_) => hub.gone(conn),
                        }
                        hub.outputs.raise();
                    });
                }
                Written::Gone => {
                    // Known to the engine, or closed by it since: either way it is over.
                    let _ = engine.peer_closed(self.now(), conn, Closed::Gone);
                    return self.closed(conn);
                }
            }
        }
    }

    fn answer(&self, ticket: Ticket, answer: Answer) {
        if let Err(error) = self.input(|engine, now| engine.answer(now, ticket, answer)) {
            tracing::error!("an answer did not fit: {error}");
        }
    }

    /// The store has read what the engine asked for, or not.
    fn read(&self, ticket: u64, result: Result<Answer, StoreError>) {
        let answer = result.unwrap_or_else(|error| {
            tracing::error!("messages cannot be read: {error}");
            Answer::Failed
        });
        self.answer(Ticket(ticket), answer);
    }

    /// The store has failed: nothing of these records is stored.
    fn store_failed(self: &Rc<Self>, batch: &Batch, error: &StoreError) {
        tracing::error!("the store failed: {error}");
        tracing::error!("every request is answered `unavailable` until the store works again");
        if let Some(store) = &mut *self.store.borrow_mut() {
            store.gathering.clear();
            // The engine's state is not what is stored, until it is restored: nothing to make a snapshot of.
            store.since_snapshot = 0;
        }
        self.store_room.wake();
        self.progress.raise();
        let from = Seq(batch.first_seq().expect("no batch is empty"));
        if let Err(error) = self.input(|engine, now| engine.persist_failed(now, from)) {
            tracing::error!("the engine does not know the records that failed: {error}");
        }
        self.reload_after(RETRY[0]);
    }

    fn reload_after(self: &Rc<Self>, delay: Duration) {
        let hub = self.clone();
        self.spawn(async move {
            Timer::after(delay).await;
            if let Some(store) = &*hub.store.borrow() {
                store.worker.reload();
            }
        });
    }

    /// Goes on from what the store holds after it has failed.
    fn restore(&self, contents: Contents) -> Result<(), String> {
        let recovered = (|| {
            let mut recovery = Engine::recover(self.config.engine(), seed().map_err(|e| e.to_string())?)
                .map_err(|e| e.to_string())?;
            if let Some((_, bytes)) = contents.snapshot {
                recovery.snapshot(&bytes).map_err(|e| e.to_string())?;
            }
            for entry in contents.records.iter() {
                recovery.record(Seq(entry.seq), entry.record).map_err(|e| e.to_string())?;
            }
            recovery.start(self.now()).map_err(|e| e.to_string())
        })()?;
        self.input(|engine, now| engine.restore(now, recovered)).map_err(|error| error.to_string())?;
        if let Some(store) = &mut *self.store.borrow_mut() {
            store.since_snapshot = contents.records.len();
        }
        Ok(())
    }
}

impl Storing {
    fn commit_when_idle(&mut self) {
        if self.in_flight == 0 {
            self.commit_now();
        }
    }

    fn commit_now(&mut self) {
        if !self.gathering.is_empty() {
            self.in_flight += 1;
            self.since_snapshot += self.gathering.len();
            let batch = std::mem::replace(&mut self.gathering, std::mem::take(&mut self.spare));
            self.worker.commit(batch);
        }
    }

    fn snapshot_when_due(&mut self, engine: &Engine) {
        let due = self.since_snapshot >= SNAPSHOT_RECORDS.max(engine.accounts());
        // Every record must be handed over: the store takes a snapshot only of records it has.
        if due
            && !self.snapshotting
            && self.gathering.is_empty()
            && let Ok(snapshot) = engine.snapshot()
        {
            self.worker.snapshot(snapshot.seq.0, snapshot.bytes);
            self.since_snapshot = 0;
            self.snapshotting = true;
        }
    }
}

/// Drains the engine's outputs whenever there are some, after all tasks that are ready have given their input.
pub(super) async fn pump(hub: Rc<Hub>) {
    loop {
        hub.outputs.wait().await;
        hub.drain();
    }
}

/// Tells the engine when its time has come.
pub(super) async fn timeouts(hub: Rc<Hub>) {
    loop {
        let timeout = hub.engine.borrow().poll_timeout();
        hub.waited_for.set(timeout);
        let due = async {
            match timeout {
                Some(time) => {
                    Timer::at(Instant::now() + Duration::from_millis(time.since(hub.now()))).await;
                    hub.input(Engine::handle_timeout);
                }
                None => future::pending().await,
            }
        };
        future::or(due, hub.earlier.wait()).await;
    }
}

/// Puts the clock forward when it is told to, and says when that is done.
pub(super) async fn clock(hub: Rc<Hub>, forward: Receiver<Forward>) {
    while let Ok(Forward { by, done }) = forward.recv().await {
        hub.ahead.update(|ahead| ahead.saturating_add(by.as_millis() as u64));
        hub.input(Engine::handle_timeout);
        hub.earlier.raise();
        // Whoever asked may have stopped waiting.
        let _ = done.try_send(());
    }
}

/// Hands the engine the work of a thread.
pub(super) async fn answers(hub: Rc<Hub>, done: Receiver<(Ticket, Answer)>) {
    while let Ok((ticket, answer)) = done.recv().await {
        hub.answer(ticket, answer);
    }
}

/// Hands the engine what the store did.
pub(super) async fn stored(hub: Rc<Hub>, done: Receiver<Done>) {
    if hub.store.borrow().is_none() {
        return;
    }
    let mut retry = RETRY[0];
    while let Ok(done) = done.recv().await {
        match done {
            Done::Committed { mut batch } => {
                let up_to = Seq(batch.last_seq().expect("no batch is empty"));
                if let Some(store) = &mut *hub.store.borrow_mut() {
                    store.in_flight -= 1;
                    batch.clear();
                    store.spare = batch;
                    store.commit_when_idle();
                }
                if let Err(error) = hub.input(|engine, now| engine.persisted(now, up_to)) {
                    tracing::error!("the engine does not know the records that were stored: {error}");
                }
                hub.store_room.wake();
                hub.progress.raise();
            }
            Done::CommitFailed { batch, error } => {
                if let Some(store) = &mut *hub.store.borrow_mut() {
                    store.in_flight -= 1;
                }
                // The first failure is told to the engine; the batches behind it share its fate.
                if !matches!(error, StoreError::Halted { .. }) {
                    retry = RETRY[0];
                    hub.store_failed(&batch, &error);
                }
            }
            Done::Read { ticket, result } => hub.read(ticket, result.map(Answer::Messages)),
            Done::History { ticket, result } => {
                let answer = |History { before, messages, more }| Answer::History { before, messages, more };
                hub.read(ticket, result.map(answer));
            }
            Done::Snapshotted { seq, result } => {
                if let Some(store) = &mut *hub.store.borrow_mut() {
                    store.snapshotting = false;
                }
                match result {
                    Ok(()) => tracing::debug!(seq, "stored a snapshot"),
                    Err(error) => tracing::warn!("a snapshot was not stored; the journal grows: {error}"),
                }
            }
            Done::Reloaded(reloaded) => {
                match reloaded.map_err(|error| error.to_string()).and_then(|contents| hub.restore(contents)) {
                    Ok(()) => tracing::info!("the store works again"),
                    Err(error) => {
                        retry = (retry * 2).min(RETRY[1]);
                        tracing::error!("the store still fails: {error}; trying again in {retry:?}");
                        hub.reload_after(retry);
                    }
                }
            }
        }
    }
    hub.failed.raise();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "a broken invariant")]
    fn a_task_that_panics_ends_the_server() {
        let executor = Rc::new(LocalExecutor::new());
        let config = ServerConfig::default();
        let engine = Engine::new(config.engine(), [0; 32], Time(0)).unwrap();
        let (passwords, _) = Pool::start().unwrap();
        let hub = Rc::new(Hub::new(config, engine, None, 0, passwords, None, Rc::downgrade(&executor)));
        hub.spawn(async { panic!("a broken invariant") });
        smol::block_on(executor.run(hub.failure())).expect("it panics before it returns");
    }
}
