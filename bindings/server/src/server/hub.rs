//! Doing what the engine wants done.

mod storing;

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

use obrolan::{Answer, Ask, CloseReason, Closed, ConnId, Engine, Event, Output, Peer, Refused, Ticket, Time};
use smol::{
    LocalExecutor, Timer,
    channel::Receiver,
    future::{self, FutureExt},
};

pub(super) use storing::stored;

use storing::Storing;

use super::{
    Forward, RunError,
    clock::Clock,
    connections::{Socket, Written},
    files::Keeper,
    passwords::Pool,
    seldom::Seldom,
    signal::{Queue, Signal},
};
use crate::{
    config::ServerConfig,
    log::escaped,
    store::{MessageRef, Start, Worker},
};

/// Bytes read from a socket at once.
const READ: usize = 64 << 10;

/// Bytes of records waiting for the store beyond which nothing is read from sockets.
const STORE_BACKLOG: usize = 32 << 20;

/// How long connections have to take what is still to be sent when the server stops.
const GRACE: Duration = Duration::from_secs(5);

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
    clock: Clock,
    /// Readers that wait until the store has room.
    store_room: Queue,
    /// A connection is gone, or records are stored.
    progress: Signal,
    failed: Signal,
    throttled: Seldom,
    unreadable: Seldom,
    /// What the task that has failed panicked with.
    panic: Cell<Option<Box<dyn Any + Send>>>,
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
        Hub {
            config,
            engine: RefCell::new(engine),
            sockets: RefCell::default(),
            store: RefCell::new(worker.map(|worker| Storing::new(worker, journal))),
            passwords,
            files,
            executor,
            buffer: RefCell::new(vec![0; READ].into()),
            outputs: Signal::default(),
            earlier: Signal::default(),
            waited_for: Cell::new(None),
            clock: Clock::new(),
            store_room: Queue::default(),
            progress: Signal::default(),
            failed: Signal::default(),
            throttled: Seldom::default(),
            unreadable: Seldom::default(),
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
        let has_room = || self.store.borrow().as_ref().is_none_or(|store| store.waiting() <= STORE_BACKLOG);
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
        if let Some(store) = self.store.take() {
            store.close(&self.engine.borrow());
        }
    }

    fn is_stored(&self) -> bool {
        let store = self.store.borrow();
        store.as_ref().is_none_or(Storing::is_idle)
    }

    fn input<T>(&self, input: impl FnOnce(&mut Engine, Time) -> T) -> T {
        let result = input(&mut self.engine.borrow_mut(), self.clock.now());
        self.outputs.raise();
        result
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
                        store.commit_for(ids.iter().max().map_or(0, |newest| newest.0));
                        store.worker.read(ticket.0, ids.into_iter().map(|id| id.0).collect(), budget);
                    }
                }
                Output::Ask { ticket, ask: Ask::ReadHistory { newest, before, floor, limit, budget } } => {
                    if let Some(store) = &mut *self.store.borrow_mut() {
                        let start = before.map_or(Start::At(newest.0), |before| Start::Before(before.0));
                        store.commit_for(before.unwrap_or(newest).0);
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
            // This costs whoever tries nothing.
            Event::Throttled { conn } => self.throttled.tell(|others| {
                tracing::warn!(?conn, others, peer = peer(conn), "too many attempts to log in");
            }),
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
                Written::Bytes(n) => engine.sent(self.clock.now(), conn, n).expect("it was outgoing"),
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
                    let _ = engine.peer_closed(self.clock.now(), conn, Closed::Gone);
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
                    Timer::at(Instant::now() + Duration::from_millis(time.since(hub.clock.now()))).await;
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
        hub.clock.forward(by);
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
