//! A host for one engine, all in memory: its peers, its journal, its bodies of messages, its files and its work on passwords.

use std::collections::{BTreeMap, VecDeque};

use memchr::memmem;

use super::{
    referee::Referee,
    store::{Disk, Work},
    terms::{Escaped, Feed, Happened},
};
use crate::{
    Answer, Ask, CloseReason, Closed, Config, ConnId, Engine, Output, Peer, Refused, Seq, Service, Snapshot,
    Ticket, Time, engine::MemoryFiles, wire::END,
};

/// The other end of a connection.
struct Remote {
    id: ConnId,
    /// Said, and not taken by the engine yet.
    input: VecDeque<u8>,
    /// Taken by the engine.
    taken: Vec<u8>,
    received: Vec<u8>,
    /// Up to where whole frames were taken off `received`.
    framed: usize,
    /// What was durable when the first byte after that was read.
    begun: Seq,
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

/// An engine with a host whose every move the caller decides.
///
/// Passwords are "hashed" by writing `fake$` before them, so that a world runs thousands of requests a second; its configuration has
/// to say [`Service::Host`] for that.
///
/// # Panics
/// All methods panic where the engine breaks its contract with the host; that is what a world is for.
pub struct World {
    pub(super) config: Config,
    pub(super) engine: Engine,
    pub(super) now: Time,
    feed: Feed,
    fed: usize,
    remotes: Vec<Remote>,
    numbers: BTreeMap<ConnId, usize>,
    pub(super) disk: Disk,
    pub(super) asked: Vec<(Ticket, Ask)>,
    files: MemoryFiles,
    /// Connections that take bytes again.
    ready: VecDeque<usize>,
    failed: bool,
    failed_once: bool,
    snapshots: Vec<Snapshot>,
    session_ids: Vec<String>,
    happened: Vec<Happened>,
    pub(super) referee: Option<Referee>,
}

impl World {
    /// A new engine at a time, with nobody connected.
    ///
    /// # Panics
    /// If no engine can keep to the configuration.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32], now: Time) -> World {
        let engine = Engine::new(config.clone(), seed, now).expect("a configuration for a world can be kept");
        World::around(engine, config, Disk::default(), now)
    }

    /// The same with a referee: whatever peers read, and whatever is lost and found again, is compared with a plain model of the
    /// protocol. Lines are given to the engine one by one, so that it is known which of them does what.
    ///
    /// # Panics
    /// If no engine can keep to the configuration.
    #[must_use]
    pub fn refereed(config: Config, seed: [u8; 32], now: Time) -> World {
        let mut world = World::new(config.clone(), seed, now);
        world.feed = Feed::Lines;
        world.referee = Some(Referee::new(config));
        world
    }

    pub(super) fn around(engine: Engine, config: Config, disk: Disk, now: Time) -> World {
        World {
            config,
            engine,
            now,
            feed: Feed::Whole,
            fed: 0,
            remotes: Vec::new(),
            numbers: BTreeMap::new(),
            disk,
            asked: Vec::new(),
            files: MemoryFiles::new(usize::MAX),
            ready: VecDeque::new(),
            failed: false,
            failed_once: false,
            snapshots: Vec::new(),
            session_ids: Vec::new(),
            happened: Vec::new(),
            referee: None,
        }
    }

    /// Cuts what is said from now on in this way.
    ///
    /// # Panics
    /// If there is a referee.
    pub fn set_feed(&mut self, feed: Feed) {
        assert!(self.referee.is_none(), "a referee needs line after line");
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
        (self.disk.last(), self.disk.durable)
    }

    /// Whether the store has ever failed.
    #[must_use]
    pub fn failed_once(&self) -> bool {
        self.failed_once
    }

    /// The work that is asked for and not done.
    #[must_use]
    pub fn asked(&self) -> &[(Ticket, Ask)] {
        &self.asked
    }

    /// The session ids that peers have read, in order.
    #[must_use]
    pub fn session_ids(&self) -> &[String] {
        &self.session_ids
    }

    /// The snapshots taken, without those that the store lost records of.
    #[must_use]
    pub fn snapshots(&self) -> &[Snapshot] {
        &self.snapshots
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
            framed: 0,
            finished: false,
            eof_told: false,
            stopped: false,
            closed: None,
            gone: false,
            begun: Seq(0),
        });
        self.referee(|referee, _, _| referee.connected());
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
                self.referee.iter_mut().for_each(|referee| referee.gone(conn));
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
        let id = remote.id;
        let bytes: Vec<u8> = self.engine.outgoing(id).flatten().copied().take(most).collect();
        if bytes.is_empty() {
            return 0;
        }
        if remote.framed == remote.received.len() {
            remote.begun = self.disk.durable;
        }
        remote.received.extend(&bytes);
        let n = bytes.len();
        self.take_frames(conn);
        self.happened.push(Happened::Read(conn, Escaped(bytes)));
        self.engine.sent(self.now, id, n).expect("it was outgoing");
        self.pump();
        n
    }

    fn take_frames(&mut self, conn: usize) {
        let remote = &mut self.remotes[conn];
        while let Some(end) = memmem::find(&remote.received[remote.framed..], END) {
            let frame = &remote.received[remote.framed..remote.framed + end];
            if let Some(at) = memmem::find(frame, b"\"tokenid\":\"") {
                let id = &frame[at + 11..at + 11 + 36];
                self.session_ids.push(String::from_utf8(id.to_vec()).expect("responses are ASCII"));
            }
            self.referee.iter_mut().for_each(|referee| referee.read(conn, frame, remote.begun));
            remote.begun = self.disk.durable;
            remote.framed += end + END.len();
        }
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
        let (answer, before) = (self.work(&ask, work), self.asked.len());
        self.engine.answer(self.now, ticket, answer.clone()).expect("it was asked, and it fits");
        self.drain();
        let asks = self.asked[before..].to_vec();
        self.referee(|referee, now, seq| referee.answered(ticket, &answer, &asks, now, seq));
        self.pump();
    }

    fn work(&mut self, ask: &Ask, work: Work) -> Answer {
        match (ask, work) {
            (&Ask::AppendUpload { upload, offset, .. }, Work::Failed) => {
                // What was behind the offset is gone all the same.
                self.files.work(Ask::AppendUpload { upload, offset, bytes: Vec::new() });
                Answer::Failed
            }
            (
                Ask::AppendUpload { .. }
                | Ask::FinishUpload { .. }
                | Ask::DropUpload { .. }
                | Ask::ReadFile { .. },
                Work::Done | Work::Least,
            ) => self.files.work(ask.clone()),
            _ => self.disk.work(ask, work),
        }
    }

    /// Time passes.
    pub fn wait(&mut self, ms: u64) {
        self.now = self.now.after(ms);
        self.engine.handle_timeout(self.now);
        self.drain();
        self.referee(|referee, now, seq| referee.waited(now, seq));
        assert!(self.engine.poll_timeout().is_none_or(|next| next > self.now), "a timer that does not stop");
        self.pump();
    }

    /// A snapshot is taken, unless the store has failed.
    pub fn snapshot(&mut self) {
        let taken = self.engine.snapshot();
        assert_eq!(taken.is_ok(), !self.failed);
        self.snapshots.extend(taken);
    }

    /// Everybody is asked to leave.
    pub fn shutdown(&mut self) {
        self.engine.shutdown(self.now);
        self.referee(|referee, _, _| referee.stopping());
        self.pump();
    }

    /// The store loses the last `count` of the records that are not durable. Nothing, if there is none.
    pub fn fail(&mut self, count: usize) {
        let (given, durable) = self.journal();
        let last = self.whole_call(Seq(given.0.saturating_sub(count as u64).max(durable.0)));
        if last < given && !self.failed {
            (self.failed, self.failed_once) = (true, true);
            self.disk.durable = last;
            self.engine.persist_failed(self.now, Seq(last.0 + 1)).expect("it is on its way");
            self.referee(|referee, _, _| referee.failed(last));
            self.pump();
        }
    }

    /// The store is back after a failure, with `found` records that it had called lost, if there are so many.
    pub fn restore(&mut self, found: usize) {
        if self.failed {
            let (given, durable) = self.journal();
            let last = self.whole_call(Seq(given.0.min(durable.0.saturating_add(found as u64)))).0;
            self.disk.truncate(Seq(last));
            let recovered = self.recover(Seq(last), None).expect("what an engine wrote, it reads");
            self.snapshots.retain(|snapshot| snapshot.seq.0 <= last);
            self.engine.restore(self.now, recovered).expect("the store had failed, and all is there");
            self.failed = false;
            self.referee(|referee, _, _| referee.restored(Seq(last)));
            self.pump();
        }
    }

    /// Does all that is left to do: restores, answers, persists and reads until nothing moves.
    pub fn settle(&mut self) {
        self.pump();
        loop {
            self.restore(0);
            while !self.asked.is_empty() {
                self.answer(0, Work::Done);
            }
            self.persist(usize::MAX);
            let read: usize = (0..self.remotes.len()).map(|conn| self.read(conn, usize::MAX)).sum();
            let (given, durable) = self.journal();
            if read == 0 && self.asked.is_empty() && (given == durable || !self.config.persistence) {
                for remote in self.remotes.iter().filter(|remote| remote.open()) {
                    assert!(remote.input.is_empty() && !remote.finished, "a connection that is stuck");
                    assert!(self.engine.wants_read(remote.id), "a connection that takes nothing");
                }
                let remotes = &self.remotes;
                self.referee.iter().for_each(|referee| referee.at_rest(|conn| remotes[conn].open()));
                return;
            }
        }
    }

    fn referee(&mut self, tell: impl FnOnce(&mut Referee, Time, Seq)) {
        let last = self.journal().0;
        if let Some(referee) = &mut self.referee {
            tell(referee, self.now, last);
        }
    }

    /// A referee knows the state between two calls of the engine, and not in the middle of one.
    fn whole_call(&self, seq: Seq) -> Seq {
        self.referee.as_ref().map_or(seq, |referee| referee.end_of_call(seq))
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
                    let (told, before) =
                        (self.engine.peer_closed(self.now, remote.id, Closed::Eof), self.asked.len());
                    told.expect("the connection is open");
                    self.drain();
                    let asks = self.asked[before..].to_vec();
                    self.referee(|referee, now, seq| referee.took_end(conn, &asks, now, seq));
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
            let before = self.asked.len();
            self.drain();
            let (asks, taken) = (self.asked[before..].to_vec(), &piece[..received.consumed]);
            self.referee(|referee, now, seq| referee.took(conn, taken, &asks, now, seq));
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
                    assert_eq!(seq.0, self.disk.last().0 + 1, "records come in order");
                    let mut journalled = record;
                    if let (Service::Host, Some(message)) = (self.config.messages, message) {
                        let (record, body) = record.split_at(message.body_at);
                        self.disk.bodies.insert(message.id, (seq, message.prev, body.to_vec()));
                        journalled = record;
                    }
                    if let (Some(referee), Some(message)) = (&mut self.referee, message) {
                        referee.brought(message.id.0, seq);
                    }
                    self.disk.records.push(journalled.to_vec());
                    Happened::Record(seq, Escaped(record.to_vec()), message)
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
