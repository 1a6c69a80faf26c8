//! The server's side of the protocol as one state machine for all connections.

mod accounts;
mod asks;
mod classic;
mod connections;
mod delivery;
mod dispatch;
mod files;
mod groups;
mod history;
mod info;
mod io;
mod journal;
mod memory;
mod memory_files;
mod messages;
mod once;
mod outbox;
mod realms;
mod recovery;
mod sessions;
mod shown;
mod throttle;
mod uploads;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};

pub use io::{
    Answer, ApiError, Ask, CloseReason, Closed, ConnId, Event, MessageRef, Output, Peer, Received, Refused,
    Seq, Ticket,
};
pub use outbox::Outgoing;
pub use recovery::{Recovery, RecoveryError, Snapshot};

use crate::{
    limits::{Config, ConfigError},
    state::{HashKey, State, UserNo},
    time::Time,
    wire::Object,
};
use asks::Pending;
use connections::{Connection, Connections};
use journal::Journal;
use memory::MemoryMessages;
pub(crate) use memory_files::MemoryFiles;
use once::Once;
use throttle::Throttle;
use uploads::Uploads;

/// The engine: accounts, sessions, private and group messages for any number of connections.
///
/// It has no socket, no file, no clock and no thread. The host brings those and keeps to one rule: **after every
/// input, call [`poll_output`](Self::poll_output) until it returns `None` and do what it says, in that order.**
///
/// - Inputs are [`connect`](Self::connect), [`receive`](Self::receive), [`peer_closed`](Self::peer_closed), [`sent`](Self::sent),
///   [`persisted`](Self::persisted), [`persist_failed`](Self::persist_failed), [`answer`](Self::answer),
///   [`handle_timeout`](Self::handle_timeout) and [`shutdown`](Self::shutdown). Each takes the time; time that goes
///   backwards counts as standing still.
/// - What is to be sent is not copied out: [`outgoing`](Self::outgoing) lends it, [`sent`](Self::sent) tells how much of it went.
/// - When nothing comes in, call [`handle_timeout`](Self::handle_timeout) at the time that
///   [`poll_timeout`](Self::poll_timeout) tells.
///
/// Several inputs may be given before the outputs are drained, which lets a host write in batches; nothing is lost by it.
///
/// The same seed and the same inputs give the same outputs, whatever pieces the bytes come in. The crate's first page
/// has a whole chat as an example.
pub struct Engine {
    config: Config,
    /// The keys under which the configuration's names are compared.
    realm: Box<str>,
    admins: BTreeSet<Box<str>>,
    hash_key: HashKey,
    random: ChaCha20Rng,
    now: Time,
    state: State,
    memory: MemoryMessages,
    memory_files: MemoryFiles,
    journal: Journal,
    connections: Connections,
    /// When to look at which connection.
    checks: BTreeSet<(Time, ConnId)>,
    /// The connections that each user is subscribed on, by user number.
    subscribers: Vec<Vec<ConnId>>,
    /// Bytes of unfinished lines on all connections.
    unfinished: usize,
    throttle: Throttle,
    asked: BTreeMap<Ticket, Pending>,
    next_ticket: Ticket,
    /// How many of the asked are about passwords.
    passwords_asked: usize,
    uploads: Uploads,
    /// Bytes of parts of files that are with the host.
    parts_asked: usize,
    outputs: VecDeque<Due>,
    /// The request that is being handled, if it has a dedupe key and has not made its change.
    once: Option<Once>,
    stopping: bool,
}

/// An output that is due, as it waits to be polled.
enum Due {
    Persist { seq: Seq, len: usize, message: Option<MessageRef> },
    Writable(ConnId),
    Readable(ConnId),
    Close(ConnId, CloseReason),
    Ask(Ticket, Ask),
    Registered(ConnId, UserNo),
    LoggedIn(ConnId, UserNo),
    LoginFailed(ConnId),
    Throttled(ConnId),
}

impl Engine {
    /// An engine that knows nobody.
    ///
    /// `seed` is 32 random bytes from the operating system, new at every start: session ids and the keys of hashes
    /// come from it.
    ///
    /// # Errors
    /// The configuration cannot be kept.
    pub fn new(config: Config, seed: [u8; 32], now: Time) -> Result<Engine, ConfigError> {
        config.check()?;
        let mut random = ChaCha20Rng::from_seed(seed);
        let hash_key = HashKey(random.next_u64(), random.next_u64());
        let key = |name: &str| crate::names::key(name).expect("checked to be a name").into();
        Ok(Engine {
            realm: key(&config.realm),
            admins: config.accounts.admins.iter().map(|name| key(name)).collect(),
            hash_key,
            random,
            now,
            state: State::new(hash_key),
            memory: MemoryMessages::new(config.limits.memory_messages),
            memory_files: MemoryFiles::new(config.limits.memory_files),
            journal: Journal::default(),
            connections: Connections::default(),
            checks: BTreeSet::new(),
            subscribers: Vec::new(),
            unfinished: 0,
            throttle: Throttle::new(hash_key),
            asked: BTreeMap::new(),
            next_ticket: Ticket(1),
            passwords_asked: 0,
            uploads: Uploads::default(),
            parts_asked: 0,
            outputs: VecDeque::new(),
            once: None,
            stopping: false,
            config,
        })
    }

    /// A connection was made.
    ///
    /// # Errors
    /// It is not taken: close it.
    pub fn connect(&mut self, now: Time, peer: Peer) -> Result<ConnId, Refused> {
        self.advance(now);
        if self.stopping {
            return Err(Refused::Stopping);
        }
        if self.connections.len() >= self.config.limits.connections {
            return Err(Refused::TooMany);
        }
        let check_at = self.now.after(self.config.limits.idle_before_session);
        let conn = self.connections.insert(peer, self.now, check_at);
        self.checks.insert((check_at, conn));
        Ok(conn)
    }

    /// The peer ended the connection.
    ///
    /// After [`Closed::Eof`], an unfinished last line is taken as a request (protocol, section 1); all is answered
    /// and sent, then comes [`Output::Close`]. After [`Closed::Gone`], the engine forgets the connection at once.
    ///
    /// # Errors
    /// There is no such connection.
    pub fn peer_closed(&mut self, now: Time, conn: ConnId, how: Closed) -> Result<(), ApiError> {
        self.advance(now);
        self.connections.get(conn).ok_or(ApiError::UnknownConnection)?;
        match how {
            Closed::Gone => self.forget(conn),
            Closed::Eof => self.end_of_stream(conn),
        }
        Ok(())
    }

    /// `n` bytes of [`outgoing`](Self::outgoing) were sent.
    ///
    /// # Errors
    /// There is no such connection, or there were not so many bytes.
    pub fn sent(&mut self, now: Time, conn: ConnId, n: usize) -> Result<(), ApiError> {
        self.advance(now);
        let durable = self.journal.durable;
        let connection = self.connections.get_mut(conn).ok_or(ApiError::UnknownConnection)?;
        let outgoing = connection.outbox().outgoing(durable).map(<[u8]>::len).sum();
        if n > outgoing {
            return Err(ApiError::SentTooMuch { sent: n, outgoing });
        }
        connection.announced = n < outgoing;
        if connection.ending.is_some() && n > 0 {
            connection.last_active = self.now;
        }
        self.connections.with_outbox(conn, |outbox| outbox.sent(n));
        self.after_room(conn);
        Ok(())
    }

    /// What is to be sent on a connection now: slices in order, empty if there is nothing or no such connection.
    #[must_use]
    pub fn outgoing(&self, conn: ConnId) -> Outgoing<'_> {
        self.connections.get(conn).map_or(Outgoing::NONE, |held| held.outbox().outgoing(self.journal.durable))
    }

    /// Whether the connection takes bytes now. If not, [`Output::Readable`] tells when it does.
    #[must_use]
    pub fn wants_read(&self, conn: ConnId) -> bool {
        let limit = self.config.limits.output_buffer;
        self.connections.get(conn).is_some_and(|held| held.takes_requests(limit))
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<Output<'_>> {
        Some(match self.outputs.pop_front()? {
            Due::Persist { seq, len, message } => {
                Output::Persist { seq, record: self.journal.take(seq, len), message }
            }
            Due::Writable(conn) => Output::Writable { conn },
            Due::Readable(conn) => Output::Readable { conn },
            Due::Close(conn, reason) => Output::Close { conn, reason },
            Due::Ask(ticket, ask) => Output::Ask { ticket, ask },
            Due::Registered(conn, user) => {
                Output::Event(Event::Registered { conn, user: &self.state.user(user).name })
            }
            Due::LoggedIn(conn, user) => {
                Output::Event(Event::LoggedIn { conn, user: &self.state.user(user).name })
            }
            Due::LoginFailed(conn) => Output::Event(Event::LoginFailed { conn }),
            Due::Throttled(conn) => Output::Event(Event::Throttled { conn }),
        })
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) if nothing comes in before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let check = self.checks.first().map(|(time, _)| *time);
        let session = self.next_session_end().filter(|_| !self.journal.failed);
        [check, session, self.uploads.next_unused()].into_iter().flatten().min()
    }

    /// Does what is due by `now`: closes idle connections, ends unused sessions, drops unused uploads, answers classic requests whose content
    /// has not come.
    pub fn handle_timeout(&mut self, now: Time) {
        self.advance(now);
        self.end_unused_sessions();
        self.drop_unused_uploads();
        while let Some(&(time, conn)) = self.checks.first().filter(|(time, _)| *time <= self.now) {
            self.checks.remove(&(time, conn));
            self.check_connection(conn);
        }
    }

    /// Takes no further connection and no further request. Subscribers are told with `{"event":"closing"}`; what was
    /// asked is answered and sent, and every connection comes out as [`Output::Close`] when it is.
    pub fn shutdown(&mut self, now: Time) {
        self.advance(now);
        self.stopping = true;
        for conn in self.connections.ids() {
            // Nothing follows the last answer of a connection that ends.
            let told = |held: &Connection| held.subscription.is_some() && held.ending.is_none();
            if self.connections.get(conn).is_some_and(told) {
                self.push_event(conn, |out| Object::begin(out).text("event", "closing").end_frame());
            }
            self.end(conn, CloseReason::Stopping);
        }
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// How many accounts there are.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.state.user_count()
    }

    /// Time only goes forward, and not so far that what is due some time after now would be due now.
    fn advance(&mut self, now: Time) {
        self.now = self.now.max(now.min(Time::LAST));
    }

    fn random_bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.random.fill_bytes(&mut bytes);
        bytes
    }

    /// After bytes were sent or answers came: more requests, more events, or the end.
    fn after_room(&mut self, conn: ConnId) {
        self.replay(conn);
        let limit = self.config.limits.output_buffer;
        let Some(held) = self.connections.get_mut(conn) else { return };
        // Half of the limit, so that a reader of one byte at a time is not stopped and started for each.
        if held.stopped && held.takes_requests(limit / 2) {
            held.stopped = false;
            self.outputs.push_back(Due::Readable(conn));
        }
        if let Some(reason) = held.ending.filter(|_| !held.waiting && held.outbox().len() == 0) {
            self.forget(conn);
            self.outputs.push_back(Due::Close(conn, reason));
        }
    }

    /// Lets the connection go once all is answered and sent.
    fn end(&mut self, conn: ConnId, reason: CloseReason) {
        self.finish_classic(conn);
        if let Some(held) = self.connections.get_mut(conn) {
            if held.ending.is_none() {
                held.ending = Some(reason);
                held.last_active = self.now;
            }
            self.after_room(conn);
        }
    }

    fn forget(&mut self, conn: ConnId) {
        self.unsubscribe(conn);
        if let Some(connection) = self.connections.remove(conn) {
            self.unfinished -= connection.lines.held();
            self.checks.remove(&(connection.check_at, conn));
        }
    }

    /// Looks at a connection by this time, if not before.
    fn look_at(&mut self, conn: ConnId, time: Time) {
        if let Some(held) = self.connections.get_mut(conn)
            && time < held.check_at
        {
            self.checks.remove(&(held.check_at, conn));
            held.check_at = time;
            self.checks.insert((time, conn));
        }
    }

    /// Reads for the connection's subscription if that failed. Answers a request that was held back for too long. Ends the connection if it
    /// had no session, no subscription and no request for long, and lets it go if that, or another end, is not read to the last byte
    /// for as long again.
    fn check_connection(&mut self, conn: ConnId) {
        self.replay(conn);
        let classic = self.check_classic(conn);
        let idle = self.config.limits.idle_before_session;
        let Some(held) = self.connections.get_mut(conn) else { return };
        let has_session = held.session.is_some_and(|session| self.state.session(session).is_some());
        let in_use = held.waiting || held.ending.is_none() && (has_session || held.subscription.is_some());
        let since = if in_use { self.now } else { held.last_active };
        if since.after(idle) > self.now {
            held.check_at = since.after(idle);
            self.checks.insert((held.check_at, conn));
        } else if let Some(reason) = held.ending {
            self.forget(conn);
            self.outputs.push_back(Due::Close(conn, reason));
        } else {
            held.check_at = self.now.after(idle);
            self.checks.insert((held.check_at, conn));
            self.end(conn, CloseReason::Idle);
        }
        if let Some(time) = classic {
            self.look_at(conn, time);
        }
    }
}
