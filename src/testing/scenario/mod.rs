//! Bytes as scenarios: what a generator, a fuzzer or a kept file says becomes what happens in a [`World`].

mod lines;
mod source;
mod words;

use source::{NEVER, Source};
pub(super) use words::{GROUPS, KEYS};

use super::{
    store::Work,
    terms::{Escaped, Feed},
    world::World,
};
use crate::{Closed, Config, Limits, Peer, Time};

/// The formats that [`Scenario::decode`] reads, by their first byte. Kept scenarios go on to mean what they meant: whoever changes the
/// meaning of bytes adds a format.
///
/// In format 1, peers know accounts, groups and texts; in format 2 also files, history, structured requests and the classic dialect. In
/// format 3, they say what stands there: it is for fuzzers that know how lines look.
pub const FORMATS: [u8; 3] = [1, 2, 3];

/// A configuration and what happens under it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Small limits, so that they are reached.
    pub config: Config,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One thing that happens. Numbers of connections and of asked work are taken modulo how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The methods of the world that they are named after say what they mean.
pub enum Step {
    Connect,
    /// In the bytes, `$0` to `$9` stand for the session ids that peers have read, in order.
    Say {
        conn: usize,
        bytes: Escaped,
    },
    End {
        conn: usize,
        how: Closed,
    },
    Read {
        conn: usize,
        most: usize,
    },
    Persist {
        count: usize,
    },
    Answer {
        at: usize,
        work: Work,
    },
    Wait {
        ms: u64,
    },
    Snapshot,
    Fail {
        count: usize,
    },
    Restore {
        found: usize,
    },
    Shutdown,
}

impl Scenario {
    /// Reads a scenario. All bytes are one; in an unknown format nothing happens.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Scenario {
        let mut source = match bytes {
            [format, rest @ ..] if FORMATS.contains(format) => Source::new(*format, rest),
            _ => Source::new(FORMATS[0], &[]),
        };
        let config = source.config();
        let mut steps = source.crowd();
        while !source.bytes.is_empty() {
            steps.push(if source.format < 3 { source.step() } else { source.raw_step() });
        }
        Scenario { config, steps }
    }

    /// Plays it from the start, with what peers say cut in this way. What is left to do at the end is left.
    #[must_use]
    pub fn play(&self, seed: [u8; 32], feed: Feed) -> World {
        let mut world = World::new(self.config.clone(), seed, START);
        world.set_feed(feed);
        self.steps.iter().for_each(|step| world.step(step));
        world
    }

    /// The start of it, under the eyes of a referee. It knows of no connection that is closed for being idle, so none is.
    #[must_use]
    pub fn refereed(&self, seed: [u8; 32]) -> World {
        let limits = Limits { idle_before_session: NEVER, ..self.config.limits.clone() };
        World::refereed(Config { limits, ..self.config.clone() }, seed, START)
    }

    /// Plays it under the eyes of a referee, and sees that a restart from all records shows what it should.
    ///
    /// # Panics
    /// If the engine breaks its contract, or does anything else than the protocol says.
    pub fn judge(&self, seed: [u8; 32]) {
        let mut world = self.refereed(seed);
        self.steps.iter().for_each(|step| world.step(step));
        world.settle();
        if self.config.persistence {
            let (last, _) = world.journal();
            assert_eq!(Some(world.shows(last, None)), world.should_show(last), "what a restart shows");
        }
    }
}

/// A session id that nobody has.
const NO_SESSION: &str = "sid_00000000000000000000000000000000";

/// When every scenario starts.
pub const START: Time = Time(1_795_424_400_000);

impl World {
    /// Does one step of a scenario, if it can be done.
    pub fn step(&mut self, step: &Step) {
        let (conns, asked) = (self.connections(), self.asked().len());
        match *step {
            Step::Connect => drop(self.connect(Peer::Local)),
            Step::Say { conn, ref bytes } if conns > 0 => {
                let bytes = self.with_session_ids(&bytes.0);
                self.say(conn % conns, &bytes);
            }
            Step::End { conn, how } if conns > 0 => self.end(conn % conns, how),
            Step::Read { conn, most } if conns > 0 => drop(self.read(conn % conns, most)),
            Step::Persist { count } => self.persist(count),
            Step::Answer { at, work } if asked > 0 => self.answer(at % asked, work),
            Step::Wait { ms } => self.wait(ms),
            Step::Snapshot => self.snapshot(),
            Step::Fail { count } => self.fail(count),
            Step::Restore { found } => self.restore(found),
            Step::Shutdown => self.shutdown(),
            _ => {}
        }
    }

    pub(super) fn with_session_ids(&self, bytes: &[u8]) -> Vec<u8> {
        let mut written = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let [byte, tail @ ..] = rest {
            match (byte, tail) {
                (b'$', [digit @ b'0'..=b'9', tail @ ..]) => {
                    let known = self.session_ids().get(usize::from(digit - b'0'));
                    written.extend(known.map_or(NO_SESSION, String::as_str).as_bytes());
                    rest = tail;
                }
                _ => {
                    written.push(*byte);
                    rest = tail;
                }
            }
        }
        written
    }
}
