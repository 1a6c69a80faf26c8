//! What a seed makes of a world: how many are in it, how they behave, and what goes wrong.

use obrolan::{Config, Limits, Service};

use crate::random::Random;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server is killed at some output of the engine.
    Kill,
    /// The power goes at some output of the engine.
    PowerCut,
    /// The power goes in the middle of what the store does.
    PowerCutInStore,
    /// The server is stopped as an operator stops it.
    Stop,
    /// The disk refuses for a while.
    DiskTrouble,
    /// The disk is full for a while.
    FullDisk,
    /// A connection is cut.
    Reset,
    /// A connection carries nothing for a while.
    Stall,
    /// A user's program is killed and started again.
    UserRestart,
    /// The server's clock is set forward.
    ClockForward,
    /// The server's clock is set back.
    ClockBack,
}

const FAULTS: [Fault; 11] = [
    Fault::Kill,
    Fault::PowerCut,
    Fault::PowerCutInStore,
    Fault::Stop,
    Fault::DiskTrouble,
    Fault::FullDisk,
    Fault::Reset,
    Fault::Stall,
    Fault::UserRestart,
    Fault::ClockForward,
    Fault::ClockBack,
];

/// How often the store does less than it could, or fails, within what it promises: once in so many times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moods {
    /// It reads as little as it may.
    pub(crate) least: Option<u64>,
    /// It does not read.
    pub(crate) no_read: Option<u64>,
    /// It takes no snapshot.
    pub(crate) no_snapshot: Option<u64>,
}

/// The world of a seed. Times are milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) users: usize,
    pub(crate) groups: usize,
    pub(crate) strangers: usize,
    /// How many requests each user makes, beside those that it has to.
    pub(crate) requests: u64,
    /// How many of them at once, at most.
    pub(crate) burst: u64,
    /// How long a user thinks, at most.
    pub(crate) think: u64,
    /// The longest text, in bytes.
    pub(crate) text: u64,
    /// Of a hundred requests, how many have a dedupe key.
    pub(crate) keyed: u64,
    /// Once in so many messages, everything so far is confirmed.
    pub(crate) confirms: u64,
    /// How long bytes are on their way, at most.
    pub(crate) latency: u64,
    /// How many bytes are on their way, at most.
    pub(crate) window: usize,
    /// Once in so many deliveries, it is only a few bytes.
    pub(crate) cuts: u64,
    /// How many users read slowly.
    pub(crate) slow: usize,
    /// How long the disk takes, at most.
    pub(crate) disk: u64,
    /// After how many records there is a snapshot.
    pub(crate) snapshot: usize,
    pub(crate) moods: Moods,
    /// What goes wrong; some of it more often.
    pub(crate) faults: Vec<Fault>,
    /// The longest time between two of them.
    pub(crate) fault_every: u64,
    mailbox: usize,
    output_buffer: usize,
    session_idle: u64,
    files: Service,
}

impl Plan {
    pub(crate) fn of(random: &mut Random) -> Plan {
        // Not everything happens in every world: what one fault hides, another world shows.
        let mut faults = Vec::new();
        for fault in FAULTS {
            if random.once_in(2) {
                faults.resize(faults.len() + random.pick(&[1, 1, 4]), fault);
            }
        }
        let mut maybe = |n: &[u64]| random.once_in(2).then(|| random.pick(n));
        let moods = Moods { least: maybe(&[2, 5]), no_read: maybe(&[5, 20]), no_snapshot: maybe(&[2, 4]) };
        let users = random.pick(&[2, 3, 4, 6]);
        let text = random.pick(&[1, 30, 300, 300, 9000]);
        Plan {
            users,
            groups: random.pick(&[1, 1, 2, 3]),
            strangers: random.pick(&[0, 1, 2]),
            requests: random.pick(&[5, 10, 20, 40]),
            burst: random.pick(&[1, 3, 10]),
            think: random.pick(&[100, 1000, 10_000]),
            text,
            keyed: random.pick(&[0, 50, 90]),
            confirms: random.pick(&[1, 3, 20]),
            latency: random.pick(&[1, 30, 300, 2000]),
            window: random.pick(&[100 + text as usize / 4, 2000, 64 << 10, 64 << 10]),
            cuts: random.pick(&[1, 5, 1000]),
            slow: random.pick(&[0, 0, 1]),
            disk: random.pick(&[1, 10, 500]),
            snapshot: random.pick(&[10, 50, 1_000_000]),
            moods,
            faults,
            fault_every: random.pick(&[300, 3000, 10_000, 30_000]),
            mailbox: random.pick(&[10_000, 10_000, 10_000, 12]),
            output_buffer: random.pick(&[200, 4000, 64 << 10]),
            session_idle: random.pick(&[30 * 24 * 3_600_000, 30 * 24 * 3_600_000, 120_000]),
            files: random.pick(&[Service::Inside, Service::Host]),
        }
    }

    /// Whether mailboxes hold fewer messages than are sent.
    pub(crate) fn small_mailboxes(&self) -> bool {
        self.mailbox < 1000
    }

    /// What the engine is told.
    pub(crate) fn config(&self) -> Config {
        Config {
            persistence: true,
            passwords: Service::Host,
            messages: Service::Host,
            files: self.files,
            limits: Limits {
                mailbox_messages: self.mailbox,
                output_buffer: self.output_buffer,
                session_idle: self.session_idle,
                ..Limits::default()
            },
            ..Config::default()
        }
    }
}
