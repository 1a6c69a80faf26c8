//! The server of a world: the engine with its store, doing what the real one does, step by step.

use std::collections::{BTreeMap, VecDeque};

use obrolan::{Answer, Ask, ConnId, Engine, Output, Seq, Service, Ticket, Time, testing::fake_hash};
use obrolan_server::store::{
    Batch, Command, Contents, Done, Executor, History, MessageRef, Start, StoreError,
};

use crate::{
    faults::Fault,
    network::{LinkId, Way},
    storage::{Moody, recover},
    world::{Event, World},
};

/// How long the server waits before it tries its store again.
const RETRY: u64 = 1000;

/// How long connections have to take what is still to be sent when the server stops.
const GRACE: u64 = 5000;

/// A server that runs.
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) links: BTreeMap<ConnId, LinkId>,
    store: Executor,
    commands: VecDeque<Command>,
    reports: VecDeque<Done>,
    gathering: Batch,
    in_flight: usize,
    since_snapshot: usize,
    snapshotting: bool,
    failed: bool,
    stopping: bool,
    /// Work on passwords and files that is done, and not told yet.
    worked: BTreeMap<u64, Answer>,
    /// When the engine wants to be told the time.
    timer: Option<Time>,
}

impl Server {
    /// Whether it has nothing on its way to its store or back.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.commands.is_empty()
            && self.reports.is_empty()
            && self.gathering.is_empty()
            && self.worked.is_empty()
            && !self.failed
            && self.links.keys().all(|conn| self.engine.outgoing(*conn).next().is_none())
    }
}

impl World {
    /// The server starts, unless its disk does not let it.
    pub(crate) fn start(&mut self) {
        if self.server.is_some() {
            return;
        }
        if self.strikes(Fault::PowerCutInStore, 3) {
            let changes = self.random.below(40);
            self.folder.disk().cut_power_after(changes);
        }
        let contents = self.folder.open_store().and_then(|store| {
            let store = Moody::new(store, self.plan.moods, self.calm.clone(), self.random.fork());
            let mut store = Executor::new(Box::new(store));
            match store.execute(Command::Reload) {
                Done::Reloaded(contents) => contents.map(|contents| (store, contents)),
                _ => unreachable!("a reload reports that it has reloaded"),
            }
        });
        if self.folder.disk().is_off() {
            drop(contents);
            return self.crash(true);
        }
        let (store, contents) = match contents {
            Ok(opened) => opened,
            Err(error) => {
                self.excuse(&error);
                self.note(format_args!("the server does not start"));
                return self.schedule(RETRY, Event::Start);
            }
        };
        let engine = self.recovered(&contents, true);
        self.starts += 1;
        self.note(format_args!("the server starts with {} records", contents.records.len()));
        if self.plan.config().files == Service::Host {
            self.files.restarted(&engine.file_digests().collect());
        }
        self.server = Some(Server {
            engine,
            links: BTreeMap::new(),
            store,
            commands: VecDeque::new(),
            reports: VecDeque::new(),
            gathering: Batch::new(),
            in_flight: 0,
            since_snapshot: contents.records.len(),
            snapshotting: false,
            failed: false,
            stopping: false,
            worked: BTreeMap::new(),
            timer: None,
        });
        self.drain();
    }

    /// The engine that a store's contents lead to, which is the one that the journal leads to.
    fn recovered(&mut self, contents: &Contents, restarted: bool) -> Engine {
        if self.journal.read(contents, restarted) {
            self.ledger.undead();
        }
        let (config, now) = (self.plan.config(), self.clock());
        let snapshot = contents.snapshot.as_ref().map(|(_, bytes)| &bytes[..]);
        let records = contents.records.iter().map(|entry| (entry.seq, entry.record));
        let engine = recover(config.clone(), &mut self.random, now, snapshot, records);
        let expected = self.journal.digest(config, &mut self.random, now);
        assert!(engine.digest() == expected, "the state is another than the journal leads to");
        engine
    }

    /// Whether an error of the store is no wonder; damage always is.
    fn excuse(&self, error: &StoreError) {
        let trouble =
            matches!(error, StoreError::Io { .. } | StoreError::Sqlite { .. } | StoreError::Halted { .. });
        assert!(trouble, "what the disk did to the store is no excuse for this: {error}");
    }

    /// The server is gone from one moment to the next; if the power is, so is some of what was not synced.
    pub(crate) fn crash(&mut self, power: bool) {
        self.note(format_args!("crash, power {power}"));
        self.folder.disk().cut_power_after(0);
        let server = self.server.take();
        let links: Vec<LinkId> = server.iter().flat_map(|server| server.links.values().copied()).collect();
        drop(server);
        self.folder.disk().power_on(power);
        self.crash_after = None;
        links.into_iter().for_each(|link| self.server_is_gone(link));
        let down = self.random.pick(&[100, 3000, 60_000]);
        self.schedule(down, Event::Start);
    }

    /// Lets connections go as a server does that is told to stop.
    pub(crate) fn stop(&mut self) {
        let now = self.clock();
        let Some(server) = &mut self.server else { return };
        if !server.stopping {
            server.stopping = true;
            server.engine.shutdown(now);
            self.schedule(GRACE, Event::Stopped(self.starts));
            self.drain();
        }
    }

    /// The server has waited long enough: it stores what is left, and is gone.
    pub(crate) fn stopped(&mut self) {
        if self.strikes(Fault::PowerCutInStore, 2) {
            let changes = self.random.below(40);
            self.folder.disk().cut_power_after(changes);
        }
        let Some(mut server) = self.server.take() else { return };
        if !server.gathering.is_empty() {
            server.commands.push_back(Command::Commit(std::mem::take(&mut server.gathering)));
        }
        if let Ok(snapshot) = server.engine.snapshot() {
            server.commands.push_back(Command::Snapshot { seq: snapshot.seq.0, bytes: snapshot.bytes });
        }
        for command in std::mem::take(&mut server.commands) {
            let done = server.store.execute(command);
            self.learn(&done);
        }
        let links: Vec<LinkId> = server.links.values().copied().collect();
        drop(server);
        let off = self.folder.disk().is_off();
        if off {
            self.folder.disk().power_on(true);
        }
        self.note(format_args!("the server has stopped, the power went: {off}"));
        links.into_iter().for_each(|link| self.server_is_gone(link));
        self.schedule(1000, Event::Start);
    }

    /// Does all that the engine wants done now.
    pub(crate) fn drain(&mut self) {
        self.ledger.clock(self.clock());
        loop {
            if let Some((outputs, power)) = &mut self.crash_after {
                if *outputs == 0 {
                    let power = *power;
                    return self.crash(power);
                }
                *outputs -= 1;
            }
            let Some(server) = &mut self.server else { return };
            let Some(output) = server.engine.poll_output() else { break };
            match output {
                Output::Persist { seq, record, message } => {
                    self.trace.note(self.now, format_args!("record {} of {}", seq.0, record.len()));
                    self.journal.given(seq, record);
                    let message = message.map(|message| MessageRef {
                        id: message.id.0,
                        prev: message.prev.0,
                        at: message.body_at,
                    });
                    server.gathering.push(seq.0, record, message);
                    if let Some(message) = message {
                        self.ledger.accepted(message.id, &record[message.at..]);
                    }
                }
                Output::Writable { conn } => {
                    if let Some(link) = server.links.get(&conn).copied() {
                        self.server_writes(link);
                    }
                }
                Output::Readable { conn } => {
                    if let Some(link) = server.links.get(&conn).copied() {
                        self.release(link, Way::Up);
                    }
                }
                Output::Close { conn, reason } => {
                    self.trace.note(self.now, format_args!("close {conn:?} {reason:?}"));
                    let link = server.links.remove(&conn).expect("it was open");
                    self.server_closes(link);
                }
                Output::Ask { ticket, ask } => self.asked(ticket, ask),
                Output::Event(_) => {}
                other => unreachable!("an output that hosts do not know: {other:?}"),
            }
        }
        self.after_drain();
    }

    /// What the hub of the real server does when the engine wants nothing more.
    fn after_drain(&mut self) {
        let (now, snapshot) = (self.clock(), self.plan.snapshot);
        let Some(server) = &mut self.server else { return };
        if server.in_flight == 0 && !server.failed {
            server.commit_now();
        }
        let due = server.since_snapshot >= snapshot && !server.snapshotting && server.gathering.is_empty();
        if due && let Ok(taken) = server.engine.snapshot() {
            let seq = taken.seq.0;
            server.commands.push_back(Command::Snapshot { seq, bytes: taken.bytes.clone() });
            server.since_snapshot = 0;
            server.snapshotting = true;
            self.journal.snapshot(taken);
        }
        let timeout = server.engine.poll_timeout();
        if timeout.is_some() && (server.timer.is_none() || timeout < server.timer) {
            server.timer = timeout;
            let after = timeout.map_or(0, |timeout| timeout.since(now));
            self.schedule(after, Event::Timer(self.starts));
        }
        self.work_on_store();
    }

    /// The store's next command, if it has any, will be done.
    fn work_on_store(&mut self) {
        let Some(server) = &self.server else { return };
        if !server.commands.is_empty() && !self.storing {
            self.storing = true;
            let after = self.random.below(self.plan.disk + 1);
            self.schedule(after, Event::Store);
        }
    }

    /// The engine wants to know the time.
    pub(crate) fn timer(&mut self) {
        let now = self.clock();
        let Some(server) = &mut self.server else { return };
        server.timer = None;
        if server.engine.poll_timeout().is_some_and(|timeout| timeout <= now) {
            server.engine.handle_timeout(now);
        }
        self.drain();
    }

    fn asked(&mut self, ticket: Ticket, ask: Ask) {
        let Some(server) = &mut self.server else { return };
        let answer = match ask {
            Ask::ReadMessages { ids, budget } => {
                server.commit_now();
                let ids = ids.into_iter().map(|id| id.0).collect();
                return server.commands.push_back(Command::Read { ticket: ticket.0, ids, budget });
            }
            Ask::ReadHistory { newest, before, floor, limit, budget } => {
                let start = before.map_or(Start::At(newest.0), |before| Start::Before(before.0));
                server.commit_now();
                let (ticket, floor) = (ticket.0, floor.0);
                return server.commands.push_back(Command::History { ticket, start, floor, limit, budget });
            }
            Ask::HashPassword { password, .. } => Answer::PasswordHash(fake_hash(&password)),
            Ask::VerifyPassword { password, hash } => Answer::PasswordMatches(fake_hash(&password) == hash),
            files => {
                let fails = self.plan.moods.no_read.is_some_and(|n| !self.healed && self.random.once_in(n));
                self.files.work(files, fails)
            }
        };
        server.worked.insert(ticket.0, answer);
        let after = self.random.pick(&[1, 20, 200]);
        self.schedule(after, Event::Worked(self.starts, ticket.0));
    }

    /// Work on a password or a file comes back.
    pub(crate) fn worked(&mut self, ticket: u64) {
        if let Some(server) = &mut self.server
            && let Some(answer) = server.worked.remove(&ticket)
        {
            self.answer(ticket, answer);
        }
    }

    fn answer(&mut self, ticket: u64, answer: Answer) {
        let now = self.clock();
        let Some(server) = &mut self.server else { return };
        server.engine.answer(now, Ticket(ticket), answer).expect("it was asked, and it fits");
        self.drain();
    }

    /// The store does its next command.
    pub(crate) fn store(&mut self) {
        self.storing = false;
        if self.strikes(Fault::PowerCutInStore, 100) {
            let changes = self.random.below(12);
            self.folder.disk().cut_power_after(changes);
        }
        let Some(server) = &mut self.server else { return };
        let Some(command) = server.commands.pop_front() else { return };
        let done = server.store.execute(command);
        self.learn(&done);
        if self.folder.disk().is_off() {
            return self.crash(true);
        }
        if let Some(server) = &mut self.server {
            server.reports.push_back(done);
            let after = self.random.pick(&[0, 0, 5]);
            self.schedule(after, Event::Stored(self.starts));
        }
        self.work_on_store();
    }

    /// What the store has said, whether the server lives to hear it or not.
    fn learn(&mut self, done: &Done) {
        match done {
            Done::Committed { batch } => {
                self.journal.stored(batch.last_seq().expect("no batch is empty"));
            }
            Done::CommitFailed { batch, error } if !matches!(error, StoreError::Halted { .. }) => {
                self.journal.refused(batch.first_seq().expect("no batch is empty"));
            }
            _ => {}
        }
    }

    /// The server hears what the store did.
    pub(crate) fn stored(&mut self) {
        let now = self.clock();
        let Some(server) = &mut self.server else { return };
        let Some(done) = server.reports.pop_front() else { return };
        match done {
            Done::Committed { batch } => {
                server.in_flight -= 1;
                let up_to = Seq(batch.last_seq().expect("no batch is empty"));
                server.engine.persisted(now, up_to).expect("these were on their way");
                self.trace.note(self.now, format_args!("stored {}", up_to.0));
            }
            Done::CommitFailed { batch, error } => {
                server.in_flight -= 1;
                if !matches!(error, StoreError::Halted { .. }) {
                    server.gathering.clear();
                    server.since_snapshot = 0;
                    server.failed = true;
                    let from = Seq(batch.first_seq().expect("no batch is empty"));
                    server.engine.persist_failed(now, from).expect("these were on their way");
                    self.excuse(&error);
                    self.note(format_args!("the store failed from {} on", from.0));
                    self.schedule(RETRY, Event::Reload(self.starts));
                }
            }
            Done::Read { ticket, result } => {
                let answer = self.read(result.map(Answer::Messages));
                return self.answer(ticket, answer);
            }
            Done::History { ticket, result } => {
                let answer = |History { before, messages, more }| Answer::History { before, messages, more };
                let answer = self.read(result.map(answer));
                return self.answer(ticket, answer);
            }
            Done::Snapshotted { seq, result } => {
                server.snapshotting = false;
                self.note(format_args!("snapshot {seq}: {}", result.is_ok()));
                result.unwrap_or_else(|error| self.excuse(&error));
            }
            Done::Reloaded(Err(error)) => {
                self.excuse(&error);
                self.schedule(RETRY, Event::Reload(self.starts));
            }
            Done::Reloaded(Ok(contents)) => self.restore(&contents),
        }
        self.drain();
    }

    fn read(&self, result: Result<Answer, StoreError>) -> Answer {
        result.unwrap_or_else(|error| {
            self.excuse(&error);
            Answer::Failed
        })
    }

    /// The server tries its store again.
    pub(crate) fn reload(&mut self) {
        if let Some(server) = &mut self.server {
            server.commands.push_back(Command::Reload);
            self.work_on_store();
        }
    }

    fn restore(&mut self, contents: &Contents) {
        let recovered = self.recovered(contents, false);
        let now = self.clock();
        let Some(server) = &mut self.server else { return };
        server.engine.restore(now, recovered).expect("the store had failed, and all is there");
        server.since_snapshot = contents.records.len();
        server.failed = false;
        self.note(format_args!("restored"));
    }
}

impl Server {
    fn commit_now(&mut self) {
        if !self.gathering.is_empty() {
            self.in_flight += 1;
            self.since_snapshot += self.gathering.len();
            self.commands.push_back(Command::Commit(std::mem::take(&mut self.gathering)));
        }
    }
}
