//! A world: everything that a seed decides, and the order in which it happens.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fmt::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use obrolan::Time;
use sha2::{Digest, Sha256};

use crate::{
    disk::Trouble,
    faults::{Fault, Plan},
    ledger::Ledger,
    network::{LinkId, Network, Way},
    random::Random,
    server::Server,
    storage::{Files, Journal},
    strangers::Stranger,
    users::{User, names},
    vfs::Folder,
};

/// What the server's clock shows when a world begins.
const BEGIN: u64 = 1_795_424_400_000;

/// How long things may go wrong, at most, before everything heals.
const TROUBLED: u64 = 5 * 60_000;

/// How long everything may take to come to rest after that.
const HEALING: u64 = 60 * 60_000;

/// How long nothing may come of anything until it counts as rest: longer than the engine waits to try something again, and shorter than
/// users are silent.
const REST: u64 = 40_000;

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Start,
    /// Of a server's life, that it has waited long enough for its connections.
    Stopped(u64),
    Timer(u64),
    /// The store does something.
    Store,
    /// The server hears of it.
    Stored(u64),
    Reload(u64),
    Worked(u64, u64),
    Deliver(LinkId, Way),
    End(LinkId),
    User(usize),
    Stranger(usize),
    Mischief,
    /// The disk is as it should be.
    DiskHeals,
}

/// A digest of all that happened.
#[derive(Default)]
pub(crate) struct Trace {
    digest: Sha256,
    line: String,
    /// Whether it is printed too.
    shown: bool,
}

impl Trace {
    pub(crate) fn note(&mut self, now: u64, what: fmt::Arguments<'_>) {
        self.line.clear();
        writeln!(self.line, "{now} {what}").expect("a string takes everything");
        self.digest.update(&self.line);
        if self.shown {
            print!("{}", self.line);
        }
    }

    /// Shows what is in the digest already.
    pub(crate) fn show(&self, now: u64, what: fmt::Arguments<'_>) {
        if self.shown {
            println!("{now} {what}");
        }
    }

    pub(crate) fn bytes(&mut self, now: u64, bytes: &[u8]) {
        self.digest.update(now.to_le_bytes());
        self.digest.update(bytes);
    }
}

/// What a world has come to.
pub(crate) struct Outcome {
    pub(crate) digest: [u8; 32],
    /// How long it took in its own time, in milliseconds.
    pub(crate) lasted: u64,
    pub(crate) counts: Counts,
}

/// How much happened.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) events: u64,
    pub(crate) records: u64,
    pub(crate) starts: u64,
    pub(crate) faults: u64,
    pub(crate) disk: crate::disk::Counts,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    /// Milliseconds since the world began.
    pub(crate) now: u64,
    /// How far the server's clock is ahead.
    ahead: i64,
    due: BinaryHeap<Reverse<(u64, u64, Event)>>,
    /// How many events were ever scheduled, so that those of one moment keep their order.
    scheduled: u64,
    pub(crate) trace: Trace,
    pub(crate) folder: Folder,
    pub(crate) files: Files,
    pub(crate) journal: Journal,
    pub(crate) server: Option<Server>,
    /// How often the server has started.
    pub(crate) starts: u64,
    /// The store has no moods any more.
    pub(crate) calm: Arc<AtomicBool>,
    /// The store does something soon.
    pub(crate) storing: bool,
    /// The server dies after so many outputs of its engine, with its power or not.
    pub(crate) crash_after: Option<(u64, bool)>,
    pub(crate) network: Network,
    pub(crate) users: Vec<User>,
    pub(crate) names: Vec<String>,
    pub(crate) strangers: Vec<Stranger>,
    pub(crate) ledger: Ledger,
    /// When a user last heard anything else than that the server is there.
    pub(crate) progress: u64,
    /// Nothing goes wrong any more.
    pub(crate) healed: bool,
    counts: Counts,
}

impl World {
    pub(crate) fn new(seed: u64, shown: bool) -> World {
        let mut random = Random::seeded(seed);
        let plan = Plan::of(&mut random);
        let folder = Folder::new(random.fork());
        let users = (0..plan.users).map(|at| User::new(at, plan.requests, random.next())).collect();
        let strangers = (0..plan.strangers).map(|_| Stranger::default()).collect();
        let mut world = World {
            names: names(plan.users),
            plan,
            random,
            now: 0,
            ahead: 0,
            due: BinaryHeap::new(),
            scheduled: 0,
            trace: Trace { shown, ..Trace::default() },
            folder,
            files: Files::default(),
            journal: Journal::default(),
            server: None,
            starts: 0,
            calm: Arc::default(),
            storing: false,
            crash_after: None,
            network: Network::default(),
            users,
            strangers,
            ledger: Ledger::default(),
            progress: 0,
            healed: false,
            counts: Counts::default(),
        };
        world.trace.note(0, format_args!("{:?}", world.plan));
        world.schedule(0, Event::Start);
        (0..world.users.len()).for_each(|at| world.schedule(0, Event::User(at)));
        (0..world.strangers.len()).for_each(|at| world.schedule(0, Event::Stranger(at)));
        world.schedule(0, Event::Mischief);
        world
    }

    /// Lets everything happen: trouble, healing, rest, and the look at what has come of it.
    pub(crate) fn run(mut self) -> Outcome {
        self.run_until(TROUBLED, |world| world.users.iter().all(User::is_done));
        self.heal();
        self.come_to_rest();
        self.begin_inspection();
        self.come_to_rest();
        self.ledger.check(self.users.len(), self.plan.small_mailboxes());
        let disk = self.folder.disk().counts;
        Outcome {
            digest: self.trace.digest.finalize().into(),
            lasted: self.now,
            counts: Counts { starts: self.starts, records: self.journal.len(), disk, ..self.counts },
        }
    }

    fn come_to_rest(&mut self) {
        let until = self.now + HEALING;
        self.progress = self.now;
        let over = self.run_until(until, |world| world.is_at_rest() && world.now > world.progress + REST);
        assert!(
            over,
            "it does not come to rest: {:#?}",
            self.users.iter().map(User::state).collect::<Vec<_>>()
        );
    }

    fn is_at_rest(&self) -> bool {
        let connected = |user: &User| user.link.is_some_and(|link| self.network.is_whole(link));
        self.users.iter().all(|user| user.is_at_rest() && connected(user))
            && self.network.is_at_rest()
            && self.server.as_ref().is_some_and(Server::is_at_rest)
    }

    /// Lets things happen until then, or until it is `over`; whether it is.
    fn run_until(&mut self, until: u64, mut over: impl FnMut(&World) -> bool) -> bool {
        while self.now <= until {
            let Reverse((time, _, event)) = self.due.pop().expect("users always think again");
            self.now = time;
            self.ledger.step += 1;
            self.counts.events += 1;
            self.happen(event);
            if matches!(event, Event::User(_)) && over(self) {
                return true;
            }
        }
        false
    }

    fn happen(&mut self, event: Event) {
        let alive = |life| life == self.starts;
        match event {
            Event::Start => self.start(),
            Event::Stopped(life) if alive(life) => self.stopped(),
            Event::Timer(life) if alive(life) => self.timer(),
            Event::Store => self.store(),
            Event::Stored(life) if alive(life) => self.stored(),
            Event::Reload(life) if alive(life) => self.reload(),
            Event::Worked(life, ticket) if alive(life) => self.worked(ticket),
            Event::Deliver(link, way) => self.deliver(link, way),
            Event::End(link) => self.end(link),
            Event::User(at) => self.think(at),
            Event::Stranger(at) => self.bother(at),
            Event::Mischief => self.do_mischief(),
            Event::DiskHeals => self.folder.disk().trouble = Trouble::default(),
            // Of a server that is gone.
            Event::Stopped(_) | Event::Timer(_) | Event::Stored(_) | Event::Reload(_) | Event::Worked(..) => {
            }
        }
    }

    pub(crate) fn schedule(&mut self, after: u64, event: Event) {
        self.scheduled += 1;
        self.due.push(Reverse((self.now.saturating_add(after), self.scheduled, event)));
    }

    /// What the server's clock shows.
    pub(crate) fn clock(&self) -> Time {
        Time((BEGIN + self.now).saturating_add_signed(self.ahead))
    }

    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.note(self.now, what);
    }

    /// Whether a fault that this world has strikes now, once in `n` times.
    pub(crate) fn strikes(&mut self, fault: Fault, n: u64) -> bool {
        !self.healed && self.plan.faults.contains(&fault) && self.random.once_in(n)
    }

    fn do_mischief(&mut self) {
        if self.healed || self.plan.faults.is_empty() {
            return;
        }
        let fault = self.random.pick(&self.plan.faults);
        self.note(format_args!("{fault:?}"));
        self.counts.faults += 1;
        match fault {
            Fault::Kill | Fault::PowerCut => {
                let outputs = self.random.below(20);
                self.crash_after = Some((outputs, fault == Fault::PowerCut));
            }
            // It strikes when the store works.
            Fault::PowerCutInStore => {}
            Fault::Stop => self.stop(),
            Fault::DiskTrouble => {
                let mut maybe = |n: &[u64]| self.random.once_in(2).then(|| self.random.pick(n));
                let trouble = Trouble {
                    reads: maybe(&[3, 20]),
                    writes: maybe(&[3, 20]),
                    syncs: maybe(&[1, 3]),
                    full: false,
                };
                self.disk_trouble(trouble);
            }
            Fault::FullDisk => self.disk_trouble(Trouble { full: true, ..Trouble::default() }),
            Fault::Reset | Fault::Stall => self.trouble_a_link(fault),
            Fault::UserRestart => {
                let at = self.random.below(self.users.len() as u64) as usize;
                self.restart_user(at);
            }
            Fault::ClockForward => {
                self.ahead += self.random.pick(&[1000, 3_600_000, 20 * 3_600_000, 31 * 24 * 3_600_000]);
            }
            Fault::ClockBack => self.ahead -= self.random.pick(&[1000, 3_600_000, 20 * 3_600_000]),
        }
        // One after the other, and then a pause in which something comes of it.
        let most = if self.random.once_in(3) { 30_000 } else { self.plan.fault_every };
        let pause = self.random.below(most);
        self.schedule(pause, Event::Mischief);
    }

    fn disk_trouble(&mut self, trouble: Trouble) {
        self.folder.disk().trouble = trouble;
        let after = self.random.below(10_000);
        self.schedule(after, Event::DiskHeals);
    }

    fn trouble_a_link(&mut self, fault: Fault) {
        let open = self.network.open();
        if open.is_empty() {
            return;
        }
        let link = self.random.pick(&open);
        if fault == Fault::Reset {
            self.cut(link);
        } else {
            let until = self.now + self.random.pick(&[1000, 20_000, 120_000]);
            let ways: &[Way] = self.random.pick(&[&[Way::Up][..], &[Way::Down], &[Way::Up, Way::Down]]);
            self.network.stall(link, ways, until);
        }
    }

    /// From now on nothing goes wrong.
    fn heal(&mut self) {
        self.note(format_args!("everything heals"));
        self.healed = true;
        self.crash_after = None;
        self.network.heal();
        self.calm.store(true, Ordering::Relaxed);
        self.folder.disk().trouble = Trouble::default();
        self.users.iter_mut().for_each(User::stop_chatting);
    }
}
