//! A host for one engine, all in memory: its peers, its journal, its bodies of messages, its files and its work on passwords.

mod host;
mod peers;

use std::collections::{BTreeMap, VecDeque};

use super::{
    referee::{Call, Referee},
    store::Disk,
    terms::{Escaped, Feed, Happened},
};
use crate::{
    Ask, CloseReason, Config, ConnId, Engine, Output, Seq, Service, Snapshot, Ticket, Time,
    engine::MemoryFiles,
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
    pub(super) files: MemoryFiles,
    /// Connections that take bytes again.
    ready: VecDeque<usize>,
    failed: bool,
    failed_once: bool,
    /// Messages could not be read for a subscription, and the engine may wait to try again.
    read_failed: bool,
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
            read_failed: false,
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

    /// The first thing that did not happen in the same way in another world, as `same` sees it.
    #[must_use]
    pub fn first_difference(
        &self,
        other: &World,
        same: impl Fn(&Happened, &Happened) -> bool,
    ) -> Option<String> {
        let (one, two) = (self.happened(), other.happened());
        let at = (0..one.len().max(two.len())).find(|at| match (one.get(*at), two.get(*at)) {
            (Some(one), Some(two)) => !same(one, two),
            _ => true,
        })?;
        Some(format!("{:?}\nwhere there was\n{:?}", one.get(at), two.get(at)))
    }

    fn referee(&mut self, asks: &[(Ticket, Ask)], tell: impl FnOnce(&mut Referee, Call<'_>)) {
        let (now, seq) = (self.now, self.journal().0);
        if let Some(referee) = &mut self.referee {
            tell(referee, Call { asks, now, seq });
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
                    self.referee.iter_mut().for_each(|referee| referee.closed(conn));
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
