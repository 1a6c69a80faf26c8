//! A host for one engine, all in memory: its peers, its journal, its bodies of messages, its files and its work on passwords.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    Answer, Ask, CloseReason, Closed, Config, ConnId, Engine, MessageId, MessageRef, Output, Password, Peer,
    RecoveryError, Refused, Seq, Service, Snapshot, Ticket, Time, engine::MemoryFiles,
};

/// How a world cuts what its peers send before the engine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// As it was said.
    Whole,
    /// After every line end.
    Lines,
    /// Into pieces of these sizes, over and over; none may be 0.
    Pieces(Vec<usize>),
}

/// What came out of the engine, in order. Connections are numbered as they were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A record for the journal.
    Record(Seq, Vec<u8>, Option<MessageRef>),
    /// Told of bytes to send.
    Writable(usize),
    /// Told that a connection takes bytes again.
    Readable(usize),
    /// A connection was closed.
    Closed(usize, CloseReason),
    /// Work was asked for.
    Asked(Ticket, Ask),
    /// What a log would tell.
    Event(String),
    /// A peer read these bytes.
    Read(usize, Vec<u8>),
}

/// How well the world does some work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// All of it.
    Done,
    /// As little as an answer may hold.
    Least,
    /// It fails.
    Failed,
}

/// The other end of a connection.
struct Remote {
    id: ConnId,
    /// Said, and not taken by the engine yet.
    input: VecDeque<u8>,
    /// Taken by the engine.
    taken: Vec<u8>,
    received: Vec<u8>,
    /// It says nothing more once `input` is taken.
    finished: bool,
    /// The engine was told so.
    eof_told: bool,
    /// The engine takes nothing until it says so.
    stopped: bool,
    closed: Option<CloseReason>,
    gone: bool,
}

impl Remote {
    fn open(&self) -> bool {
        self.closed.is_none() && !self.gone
    }
}

/// What is on its way to the disk, and on it.
#[derive(Default)]
struct Disk {
    /// Every record given out; the first is number 1.
    records: Vec<Vec<u8>>,
    durable: Seq,
    /// With the record that brought each.
    bodies: BTreeMap<MessageId, (Seq, Vec<u8>)>,
}

/// An engine with a host whose every move the caller decides.
///
/// Passwords are "hashed" by writing `fake$` before them, so that a world runs thousands of requests a second; its configuration has
/// to say [`Service::Host`] for that.
///
/// # Panics
/// All methods panic where the engine breaks its contract with the host; that is what a world is for.
pub struct World {
    config: Config,
    engine: Engine,
    now: Time,
    feed: Feed,
    fed: usize,
    remotes: Vec<Remote>,
    numbers: BTreeMap<ConnId, usize>,
    disk: Disk,
    asked: Vec<(Ticket, Ask)>,
    files: MemoryFiles,
    /// Connections that take bytes again.
    ready: VecDeque<usize>,
    failed: bool,
    happened: Vec<Happened>,
}

impl World {
    /// A new engine at a time, with nobody connected.
    ///
    /// # Panics
    /// If no engine can keep to the configuration.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32], now: Time) -> World {
        let engine = Engine::new(config.clone(), seed, now).expect("a configuration for a world can be kept");
        World {
            config,
            engine,
            now,
            feed: Feed::Whole,
            fed: 0,
            remotes: Vec::new(),
            numbers: BTreeMap::new(),
            disk: Disk::default(),
            asked: Vec::new(),
            files: MemoryFiles::new(usize::MAX),
            ready: VecDeque::new(),
            failed: false,
            happened: Vec::new(),
        }
    }

    /// Cuts what is said from now on in this way.
    pub fn set_feed(&mut self, feed: Feed) {
        self.feed = feed;
    }

    /// The engine, to ask it or to misuse it. Outputs of inputs given here are drained with the world's next input.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// All that came out of the engine so far.
    #[must_use]
    pub fn happened(&self) -> &[Happened] {
        &self.happened
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.remotes.len()
    }

    /// The engine's number of a connection.
    #[must_use]
    pub fn id(&self, conn: usize) -> ConnId {
        self.remotes[conn].id
    }

    /// Whether neither side has closed the connection.
    #[must_use]
    pub fn is_open(&self, conn: usize) -> bool {
        self.remotes[conn].open()
    }

    /// What the engine has taken from a peer.
    #[must_use]
    pub fn taken(&self, conn: usize) -> &[u8] {
        &self.remotes[conn].taken
    }

    /// What a peer has read.
    #[must_use]
    pub fn received(&self, conn: usize) -> &[u8] {
        &self.remotes[conn].received
    }

    /// The whole responses and events a peer has read, without their ends.
    #[must_use]
    pub fn frames(&self, conn: usize) -> Vec<String> {
        let text = String::from_utf8_lossy(self.received(conn));
        let mut frames: Vec<String> = text.split("\r\n\r\n").map(str::to_owned).collect();
        frames.pop();
        frames
    }

    /// The last record given out and the last one durable.
    #[must_use]
    pub fn journal(&self) -> (Seq, Seq) {
        (Seq(self.disk.records.len() as u64), self.disk.durable)
    }

    /// The work that is asked for and not done.
    #[must_use]
    pub fn asked(&self) -> &[(Ticket, Ask)] {
        &self.asked
    }

    /// A connection is made; its number.
    ///
    /// # Errors
    /// The engine refuses it.
    pub fn connect(&mut self, peer: Peer) -> Result<usize, Refused> {
        let id = self.engine.connect(self.now, peer)?;
        let conn = self.remotes.len();
        assert!(self.numbers.insert(id, conn).is_none(), "{id:?} is used again");
        self.remotes.push(Remote {
            id,
            input: VecDeque::new(),
            taken: Vec::new(),
            received: Vec::new(),
            finished: false,
            eof_told: false,
            stopped: false,
            closed: None,
            gone: false,
        });
        self.pump();
        Ok(conn)
    }

    /// A peer says something. What the engine does not take now, it is offered as soon as it does.
    pub fn say(&mut self, conn: usize, bytes: &[u8]) {
        let remote = &mut self.remotes[conn];
        if !remote.finished && remote.open() {
            remote.input.extend(bytes);
            self.ready.push_back(conn);
            self.pump();
        }
    }

    /// A peer ends its side, after all it said, or is gone at once.
    pub fn end(&mut self, conn: usize, how: Closed) {
        let remote = &mut self.remotes[conn];
        if !remote.open() {
            return;
        }
        match how {
            Closed::Eof => {
                remote.finished = true;
                self.ready.push_back(conn);
            }
            Closed::Gone => {
                remote.gone = true;
                let told = self.engine.peer_closed(self.now, remote.id, Closed::Gone);
                told.expect("the connection is open");
            }
        }
        self.pump();
    }

    /// A peer reads at most `most` bytes; how many it got.
    pub fn read(&mut self, conn: usize, most: usize) -> usize {
        let remote = &mut self.remotes[conn];
        if !remote.open() {
            return 0;
        }
        let bytes: Vec<u8> = self.engine.outgoing(remote.id).flatten().copied().take(most).collect();
        if bytes.is_empty() {
            return 0;
        }
        remote.received.extend(&bytes);
        let n = bytes.len();
        self.happened.push(Happened::Read(conn, bytes));
        self.engine.sent(self.now, remote.id, n).expect("it was outgoing");
        self.pump();
        n
    }

    /// The next `count` records become durable, as far as there are so many.
    pub fn persist(&mut self, count: usize) {
        let (given, durable) = self.journal();
        let up_to = Seq(given.0.min(durable.0.saturating_add(count as u64)));
        if up_to > durable && !self.failed {
            self.disk.durable = up_to;
            self.engine.persisted(self.now, up_to).expect("these are on their way");
            self.pump();
        }
    }

    /// Some of the asked work is done: the one at `at`.
    pub fn answer(&mut self, at: usize, work: Work) {
        let (ticket, ask) = self.asked.remove(at);
        let answer = self.work(&ask, work);
        self.engine.answer(self.now, ticket, answer).expect("it was asked, and it fits");
        self.pump();
    }

    fn work(&mut self, ask: &Ask, work: Work) -> Answer {
        match (ask, work) {
            (&Ask::AppendUpload { upload, offset, .. }, Work::Failed) => {
                // What was behind the offset is gone all the same.
                self.files.work(Ask::AppendUpload { upload, offset, bytes: Vec::new() });
                Answer::Failed
            }
            (_, Work::Failed) => Answer::Failed,
            (Ask::HashPassword { password, .. }, _) => Answer::PasswordHash(fake_hash(password)),
            (Ask::VerifyPassword { password, hash }, _) => {
                Answer::PasswordMatches(*hash == fake_hash(password))
            }
            (Ask::ReadMessages { ids, budget }, _) => {
                let (mut bodies, mut bytes) = (Vec::new(), 0);
                for id in ids {
                    if !bodies.is_empty() && (bytes > *budget || work == Work::Least) {
                        break;
                    }
                    // A message that was lost with its record is not there to be read.
                    let Some((_, body)) = self.disk.bodies.get(id) else { break };
                    bytes += body.len();
                    bodies.push(body.clone());
                }
                if bodies.is_empty() { Answer::Failed } else { Answer::Messages(bodies) }
            }
            (ask, _) => self.files.work(ask.clone()),
        }
    }

    /// Time passes.
    pub fn wait(&mut self, ms: u64) {
        self.now = self.now.after(ms);
        self.engine.handle_timeout(self.now);
        assert!(self.engine.poll_timeout().is_none_or(|next| next > self.now), "a timer that does not stop");
        self.pump();
    }

    /// Everybody is asked to leave.
    pub fn shutdown(&mut self) {
        self.engine.shutdown(self.now);
        self.pump();
    }

    /// The store loses the last `count` of the records that are not durable. Nothing, if there is none.
    pub fn fail(&mut self, count: usize) {
        let (given, durable) = self.journal();
        let lost = (count as u64).min(given.0 - durable.0);
        if lost > 0 && !self.failed {
            self.failed = true;
            self.disk.durable = Seq(given.0 - lost);
            self.engine.persist_failed(self.now, Seq(given.0 - lost + 1)).expect("it is on its way");
            self.pump();
        }
    }

    /// The store is back after a failure, with `found` records that it had called lost, if there are so many.
    pub fn restore(&mut self, found: usize) {
        if self.failed {
            let (given, durable) = self.journal();
            let last = given.0.min(durable.0.saturating_add(found as u64));
            self.disk.records.truncate(last as usize);
            self.disk.durable = Seq(last);
            let recovered = self.recover(Seq(last), None).expect("what an engine wrote, it reads");
            self.disk.bodies.retain(|_, (seq, _)| seq.0 <= last);
            self.engine.restore(self.now, recovered).expect("the store had failed, and all is there");
            self.failed = false;
            self.pump();
        }
    }

    /// Does all that is left to do: restores, answers, persists and reads until nothing moves.
    pub fn settle(&mut self) {
        loop {
            self.restore(0);
            while !self.asked.is_empty() {
                self.answer(0, Work::Done);
            }
            self.persist(usize::MAX);
            let read: usize = (0..self.remotes.len()).map(|conn| self.read(conn, usize::MAX)).sum();
            let (given, durable) = self.journal();
            if read == 0 && self.asked.is_empty() && (given == durable || !self.config.persistence) {
                return;
            }
        }
    }

    /// An engine made of the records up to one of them, on top of a snapshot if there is one.
    ///
    /// # Errors
    /// Those of [`Recovery`](crate::Recovery).
    pub fn recover(&self, up_to: Seq, snapshot: Option<&Snapshot>) -> Result<Engine, RecoveryError> {
        let mut recovery = Engine::recover(self.config.clone(), [0x5a; 32]).expect("it was kept before");
        if let Some(snapshot) = snapshot {
            recovery.snapshot(&snapshot.bytes)?;
        }
        let first = snapshot.map_or(0, |snapshot| snapshot.seq.0);
        for seq in first + 1..=up_to.0 {
            recovery.record(Seq(seq), &self.disk.records[seq as usize - 1])?;
        }
        recovery.start(self.now)
    }

    /// A record's bytes, as the journal has them.
    #[must_use]
    pub fn record(&self, seq: Seq) -> &[u8] {
        &self.disk.records[seq.0 as usize - 1]
    }

    /// Does what the engine says until it has no more to say.
    fn pump(&mut self) {
        loop {
            self.drain();
            let Some(conn) = self.ready.pop_front() else { return };
            self.offer(conn);
        }
    }

    /// Offers the engine what a peer has said, until it takes no more.
    fn offer(&mut self, conn: usize) {
        loop {
            let cut = self.cut(conn);
            let remote = &mut self.remotes[conn];
            if !remote.open() {
                return;
            }
            if remote.input.is_empty() {
                if remote.finished && !remote.eof_told {
                    remote.eof_told = true;
                    let told = self.engine.peer_closed(self.now, remote.id, Closed::Eof);
                    told.expect("the connection is open");
                }
                return;
            }
            if remote.stopped {
                return;
            }
            let piece: Vec<u8> = remote.input.iter().copied().take(cut).collect();
            let received = self.engine.receive(self.now, remote.id, &piece).expect("the connection is open");
            assert!(received.consumed <= piece.len());
            assert!(received.consumed == piece.len() || !received.wants_read, "bytes left, yet more wanted");
            remote.taken.extend(remote.input.drain(..received.consumed));
            remote.stopped = !received.wants_read;
            self.drain();
        }
    }

    /// How many bytes the engine is offered at once.
    fn cut(&mut self, conn: usize) -> usize {
        let input = &self.remotes[conn].input;
        match &self.feed {
            Feed::Whole => input.len(),
            Feed::Lines => input.iter().position(|b| *b == b'\n').map_or(input.len(), |end| end + 1),
            Feed::Pieces(sizes) => {
                self.fed += 1;
                sizes[self.fed % sizes.len()]
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            let number = |conn| self.numbers[&conn];
            let happened = match output {
                Output::Persist { seq, record, message } => {
                    assert_eq!(seq.0, self.disk.records.len() as u64 + 1, "records come in order");
                    let mut journalled = record;
                    if let (Service::Host, Some(message)) = (self.config.messages, message) {
                        let (record, body) = record.split_at(message.body_at);
                        self.disk.bodies.insert(message.id, (seq, body.to_vec()));
                        journalled = record;
                    }
                    self.disk.records.push(journalled.to_vec());
                    Happened::Record(seq, record.to_vec(), message)
                }
                Output::Writable { conn } => Happened::Writable(number(conn)),
                Output::Readable { conn } => {
                    let conn = number(conn);
                    self.remotes[conn].stopped = false;
                    self.ready.push_back(conn);
                    Happened::Readable(conn)
                }
                Output::Close { conn, reason } => {
                    let conn = number(conn);
                    assert!(self.remotes[conn].closed.replace(reason).is_none(), "closed twice");
                    Happened::Closed(conn, reason)
                }
                Output::Ask { ticket, ask } => {
                    self.asked.push((ticket, ask.clone()));
                    Happened::Asked(ticket, ask)
                }
                Output::Event(event) => Happened::Event(format!("{event:?}")),
            };
            self.happened.push(happened);
        }
    }
}

/// What stands for a password's hash in a world.
#[must_use]
pub fn fake_hash(password: &Password) -> String {
    format!("fake${}", password.expose())
}
