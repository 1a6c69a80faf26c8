//! Random calls: every function of the header, in any order, with good, freed, foreign and made-up handles, and NULL for any pointer.
//!
//! A model says what must come back: the same calls made to engines in Rust, and what the header's head promises of handles.

#[path = "calls/engine.rs"]
mod engine;
#[path = "calls/recovery.rs"]
mod recovery;

use std::{
    collections::BTreeSet,
    env,
    ffi::c_int,
    mem::{MaybeUninit, size_of},
    ptr,
};

use obrolan::{ApiError, Ask, Config, ConnId, Limits, Service, Snapshot, Ticket, Time};
use obrolan_c::{obrolan_result::*, *};

use crate::{
    engine::{Failure, c_text, checked},
    engine_door::{Bodies, Files},
    header,
    random::Random,
};

/// Runs, and calls of each.
const RUNS: u64 = 150;
const CALLS: usize = 2000;

/// What makes a chat.
const CHAT: [&str; 9] = [
    "obrolan_engine_connect",
    "obrolan_engine_receive",
    "obrolan_engine_receive",
    "obrolan_engine_receive",
    "obrolan_engine_next_output",
    "obrolan_engine_answer",
    "obrolan_engine_answer",
    "obrolan_engine_sent",
    "obrolan_engine_persisted",
];

#[test]
fn come_back_as_in_rust() {
    let mut functions = header::functions();
    functions.retain(|name| !has_threads(name));
    let functions: Vec<&str> = functions.iter().map(String::as_str).collect();
    let seeds = seeds(RUNS);
    let mut seen = BTreeSet::new();
    for seed in &seeds {
        println!("OBROLAN_TEST_SEED={seed}");
        let mut run = Run::new(*seed);
        run.call("obrolan_engine_new");
        for _ in 0..CALLS {
            // Often what makes a chat, so that there is something to be kept, to be lost and to be recovered.
            let function = if run.one_in(3) { run.any(&functions) } else { run.any(&CHAT) };
            run.call(function);
        }
        run.end();
        seen.append(&mut run.seen);
    }
    if seeds.len() > 1 {
        let both = functions.iter().filter(|name| has_both(name));
        let outcomes = both.flat_map(|name| [(name.to_string(), true), (name.to_string(), false)]);
        let outcomes =
            outcomes.chain(header::names_like("OBROLAN_OUTPUT_").into_iter().map(|name| (name, true)));
        let outcomes =
            outcomes.chain(header::names_like("OBROLAN_ASK_").into_iter().map(|name| (name, true)));
        let never: Vec<_> = outcomes.filter(|outcome| !seen.contains(outcome)).collect();
        assert!(never.is_empty(), "these never succeeded (true) or never failed (false): {never:?}");
    }
}

/// One seed for each run; with OBROLAN_TEST_SEED, there is one run, of that seed.
pub(crate) fn seeds(runs: u64) -> Vec<u64> {
    match env::var("OBROLAN_TEST_SEED") {
        Ok(seed) => vec![seed.parse().expect("OBROLAN_TEST_SEED is a number")],
        Err(_) => (1..=runs).collect(),
    }
}

/// Whether a function is of what has threads of its own: tests/c/client/calls.rs has those.
pub(crate) fn has_threads(function: &str) -> bool {
    let of = ["client", "server", "event", "response", "last_code"];
    of.iter().any(|of| function.strip_prefix("obrolan_").is_some_and(|name| name.starts_with(of)))
}

/// Whether a run sees a function both succeed and fail.
fn has_both(function: &str) -> bool {
    let one = [
        "obrolan_version",
        "obrolan_has",
        "obrolan_strerror",
        "obrolan_password_hash",
        "obrolan_password_verify",
    ];
    !(one.contains(&function) || function.ends_with("_free") || function.ends_with("last_error"))
}

/// Handles that were given out, and what is known of them.
struct Run {
    random: Random,
    /// One in how many passwords is wrong.
    wrong: u64,
    now: Time,
    handles: Vec<(usize, Object)>,
    /// Functions that were called, and whether they succeeded.
    seen: BTreeSet<(String, bool)>,
}

enum Object {
    Engine(Box<Twin>),
    Recovery(Box<Recovering>),
    Snapshot(Box<(Snapshot, Disk)>),
    /// An engine with which a call panicked.
    Panicked,
    Freed,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Engine,
    Recovery,
    Snapshot,
}

impl Object {
    fn is(&self, kind: Kind) -> bool {
        match self {
            Object::Engine(_) | Object::Panicked => kind == Kind::Engine,
            Object::Recovery(_) => kind == Kind::Recovery,
            Object::Snapshot(_) => kind == Kind::Snapshot,
            Object::Freed => false,
        }
    }
}

/// The engine in Rust that is told the same, and what its host knows.
struct Twin {
    engine: obrolan::Engine,
    error: String,
    conns: Vec<ConnId>,
    asked: Vec<(Ticket, Ask)>,
    disk: Disk,
}

struct Recovering {
    recovery: Option<obrolan::Recovery>,
    error: String,
    disk: Disk,
    /// How many of the disk's records it was given.
    fed: usize,
}

/// What a host keeps, and its configuration.
#[derive(Clone)]
struct Disk {
    config: Config,
    records: Vec<Vec<u8>>,
    bodies: Bodies,
    files: Files,
}

impl Twin {
    fn new(engine: obrolan::Engine, disk: Disk) -> Box<Twin> {
        Box::new(Twin { engine, error: String::new(), conns: Vec::new(), asked: Vec::new(), disk })
    }
}

/// The number of a handle that was never given out.
pub(crate) fn made_up(random: &mut Random) -> usize {
    let numbers = [0, 1, 0x7fff_1234_5678, usize::MAX, (1 << 63) | random.next() as usize];
    numbers[random.below(5) as usize]
}

fn failure(code: obrolan_result, error: impl ToString) -> Failure {
    Failure { code, text: error.to_string() }
}

fn misuse(error: ApiError) -> Failure {
    failure(OBROLAN_ERR_MISUSE, error)
}

/// The error of a code of which nothing particular is said.
fn plain(code: obrolan_result) -> Failure {
    failure(code, c_text(obrolan_strerror(code as c_int)))
}

fn is_null(name: &str) -> Failure {
    failure(OBROLAN_ERR_ARGUMENT, format!("{name} is NULL"))
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut random = Random::seeded(seed);
        let wrong = 1 + random.below(8);
        Run { random, wrong, now: Time(1_795_424_400_000), handles: Vec::new(), seen: BTreeSet::new() }
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.random.below(count) == 0
    }

    fn any<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.below(from.len() as u64) as usize]
    }

    /// One of a function's pointers that is to be NULL, now and then.
    fn null(&mut self, names: &[&'static str]) -> Option<&'static str> {
        self.one_in(12).then(|| self.any(names))
    }

    /// A handle for a parameter, and where it is known as one of the kind.
    fn handle<T>(&mut self, kind: Kind) -> (*mut T, Option<usize>) {
        let fits = |(at, (_, object)): (usize, &(usize, Object))| object.is(kind).then_some(at);
        let fitting: Vec<usize> = self.handles.iter().enumerate().filter_map(fits).collect();
        let at = match self.random.below(20) {
            0 => None,
            1 if !self.handles.is_empty() => Some(self.random.below(self.handles.len() as u64) as usize),
            2..6 if !fitting.is_empty() => Some(self.any(&fitting)),
            // Mostly the same one, so that much happens to it.
            _ => fitting.into_iter().find(|at| !matches!(self.handles[*at].1, Object::Panicked)),
        };
        let number = match at {
            Some(at) => self.handles[at].0,
            None => made_up(&mut self.random),
        };
        (ptr::without_provenance_mut(number), at.filter(|at| self.handles[*at].1.is(kind)))
    }

    /// Holds what a function returned that gives a handle against what the model says, and keeps both.
    fn made<T>(&mut self, function: &str, came: Result<*mut T, Failure>, model: Result<Object, Failure>) {
        match (came, model) {
            (Ok(handle), Ok(object)) => {
                let number = handle.addr();
                assert!(self.handles.iter().all(|(held, _)| *held != number), "a number came again");
                self.handles.push((number, object));
                self.saw(function, Ok(()), Ok(()));
            }
            (came, model) => self.saw(function, came.map(drop), model.map(drop)),
        }
    }

    /// Holds what a function returned against what the model says.
    fn saw<R: std::fmt::Debug + PartialEq>(
        &mut self,
        function: &str,
        came: Result<R, Failure>,
        model: Result<R, Failure>,
    ) {
        assert_eq!(came, model, "{function}");
        self.seen.insert((function.to_owned(), came.is_ok()));
    }

    /// What the model says of a call with an engine.
    fn engine<R>(
        &mut self,
        at: Option<usize>,
        null: Option<&'static str>,
        model: impl FnOnce(&mut Twin) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        match at.map(|at| &mut self.handles[at].1) {
            Some(Object::Engine(twin)) => {
                let done = null.map_or_else(|| model(twin), |name| Err(is_null(name)));
                done.inspect_err(|failure| twin.error.clone_from(&failure.text))
            }
            Some(Object::Panicked) => Err(plain(OBROLAN_ERR_PANIC)),
            _ => Err(plain(OBROLAN_ERR_HANDLE)),
        }
    }

    fn recovery<R>(
        &mut self,
        at: Option<usize>,
        null: Option<&'static str>,
        model: impl FnOnce(&mut Recovering) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let Some(Object::Recovery(recovering)) = at.map(|at| &mut self.handles[at].1) else {
            return Err(plain(OBROLAN_ERR_HANDLE));
        };
        let done = null.map_or_else(|| model(recovering), |name| Err(is_null(name)));
        done.inspect_err(|failure| recovering.error.clone_from(&failure.text))
    }

    fn twin(&self, at: Option<usize>) -> Option<&Twin> {
        match at.map(|at| &self.handles[at].1) {
            Some(Object::Engine(twin)) => Some(twin),
            _ => None,
        }
    }

    fn conn(&mut self, at: Option<usize>) -> u64 {
        let conns = self.twin(at).map(|twin| twin.conns.clone()).unwrap_or_default();
        if conns.is_empty() || self.one_in(12) {
            return self.any(&[0, 1, 2, 1 << 32, u64::MAX]);
        }
        let at = if self.one_in(2) { 0 } else { self.random.below(conns.len() as u64) as usize };
        conns[at].get()
    }

    /// One of three ways to keep things, with limits that are reached.
    fn config(&mut self) -> Config {
        let host = self.any(&[Service::Inside, Service::Host]);
        let limits = Limits {
            connections: 4,
            line: 200,
            output_buffer: 400,
            mailbox_messages: 6,
            session_idle: 30_000,
            idle_before_session: 5000,
            ..Limits::default()
        };
        let persistence = host == Service::Host || self.one_in(2);
        let passwords = Service::Host;
        let mut config =
            Config { limits, persistence, passwords, messages: host, files: host, ..Config::default() };
        config.accounts.throttle_loopback = self.one_in(2);
        config
    }

    fn line(&mut self) -> Vec<u8> {
        let name = self.any(&["ann", "bob"]);
        let other = self.any(&["ann", "bob", "eve"]);
        // Whoever never knows the password is to try it until there were too many attempts.
        let guesses = self.wrong == 1 && self.one_in(2);
        let line = match if guesses { 3 } else { self.random.below(20) } {
            0..=2 => format!("REGISTER {name} secret99 ID {name}"),
            3..=6 => format!("AUTH {name} {}", if self.one_in(self.wrong) { "wrong" } else { "secret99" }),
            7..=9 => format!("SEND {other} halo {}", self.random.below(100)),
            10..=11 => format!("SEND_FILE {other} f.txt aGFsbw=="),
            12 => self.any(&["ADD_GROUP g", "JOIN_GROUP g", "SEND_GROUP g semua"]).to_owned(),
            13 => self.any(&["SUBSCRIBE", "UPLOAD f.txt aGFsbw==", "ACK 3"]).to_owned(),
            14 => "INBOX".to_owned(),
            15..=16 => format!("HISTORY {other}"),
            17 => format!("GET_FILE {}", 1 + self.random.below(3)),
            18 => self.any(&["PING", "LIST_USERS", "PASSWD secret99 secret99", "sendfile x"]).to_owned(),
            _ => self.any(&["QUIT", "LOGOUT", "\u{e4}", "{\"request\":\"PING\",\"tag\":1}"]).to_owned(),
        };
        let mut line = line.into_bytes();
        line.push(b'\n');
        if self.one_in(10) {
            let keep = self.random.below(line.len() as u64) as usize;
            line.truncate(keep);
        }
        if self.one_in(20) {
            line[..].reverse();
        }
        line
    }

    fn call(&mut self, function: &str) {
        // Now and then it stands still, or goes back.
        self.now = Time((self.now.0 + self.random.below(60)).saturating_sub(10));
        if function.starts_with("obrolan_recovery") || function.starts_with("obrolan_snapshot") {
            self.call_recovery(function);
        } else if function.starts_with("obrolan_engine") {
            self.call_engine(function);
        } else {
            self.call_other(function);
        }
    }

    fn call_other(&mut self, function: &str) {
        match function {
            "obrolan_version" => {
                self.saw(function, Ok(c_text(obrolan_version())), Ok(env!("CARGO_PKG_VERSION").to_owned()));
            }
            "obrolan_has" => {
                // SAFETY: these are texts, or NULL.
                let has = |name| unsafe { obrolan_has(name) };
                let came = [c"engine".as_ptr(), c"engines".as_ptr(), c"".as_ptr(), ptr::null()].map(has);
                self.saw(function, Ok(came), Ok([true, false, false, false]));
            }
            "obrolan_strerror" => {
                let known = c_text(obrolan_strerror(OBROLAN_ERR_BUSY as c_int));
                let unknown = [-1, 10_000].map(|code| c_text(obrolan_strerror(code)));
                self.saw(function, Ok(known == unknown[0] || unknown[0] != unknown[1]), Ok(false));
            }
            // Looked at after every call that fails.
            "obrolan_last_error" => self.saw(function, Ok(c_text(obrolan_last_error()).is_ascii()), Ok(true)),
            "obrolan_config_default" => {
                let null = self.null(&["config"]);
                let mut config = MaybeUninit::<obrolan_config>::uninit();
                let place = or_null(null, "config", config.as_mut_ptr());
                // SAFETY: as much is there as the size says.
                let came = checked(unsafe { obrolan_config_default(place, size_of::<obrolan_config>()) });
                self.saw(function, came, null.map_or(Ok(()), |name| Err(is_null(name))));
            }
            "obrolan_answer_init" => {
                let null = self.null(&["answer"]);
                let mut answer = MaybeUninit::<obrolan_answer>::uninit();
                let place = or_null(null, "answer", answer.as_mut_ptr());
                // SAFETY: as much is there as the size says.
                let came = checked(unsafe { obrolan_answer_init(place, size_of::<obrolan_answer>(), 1) });
                self.saw(function, came, null.map_or(Ok(()), |name| Err(is_null(name))));
            }
            // Each takes as long as a hundred other calls; they have a test of their own.
            "obrolan_password_hash" => {
                let mut hash = [0; OBROLAN_PASSWORD_HASH_SIZE];
                // SAFETY: so much is there.
                let came = checked(unsafe {
                    obrolan_password_hash(ptr::null(), [0; 16].as_ptr(), hash.as_mut_ptr())
                });
                self.saw(function, came, Err(is_null("password")));
            }
            "obrolan_password_verify" => {
                // SAFETY: these are texts, or NULL.
                let came = out(false, false, |out| unsafe {
                    obrolan_password_verify(c"secret99".as_ptr(), ptr::null(), out)
                });
                self.saw(function, came, Err(is_null("hash")));
            }
            _ => panic!("{function} is not called yet: tell the model what must come back"),
        }
    }

    /// Looks at all engines once more, and frees everything.
    fn end(&mut self) {
        for at in 0..self.handles.len() {
            let handle = ptr::without_provenance_mut(self.handles[at].0);
            if let Object::Engine(twin) = &self.handles[at].1 {
                assert_eq!(digest(handle), Ok(twin.engine.digest()));
            }
        }
        for (number, object) in self.handles.drain(..) {
            match object {
                Object::Engine(_) | Object::Panicked => {
                    obrolan_engine_free(ptr::without_provenance_mut(number))
                }
                Object::Recovery(_) => obrolan_recovery_free(ptr::without_provenance_mut(number)),
                Object::Snapshot(_) => obrolan_snapshot_free(ptr::without_provenance_mut(number)),
                Object::Freed => {}
            }
        }
    }
}

/// The parameter `name`, which is NULL if that is the one that is to be.
fn or_null<T>(null: Option<&str>, name: &str, pointer: *mut T) -> *mut T {
    if null == Some(name) { ptr::null_mut() } else { pointer }
}

/// What a call writes to an out-parameter, if that is not to be NULL. A call that fails must leave it as it is.
fn out<T: Copy + PartialEq>(
    untouched: T,
    null: bool,
    call: impl FnOnce(*mut T) -> obrolan_result,
) -> Result<T, Failure> {
    let mut value = untouched;
    let came = checked(call(if null { ptr::null_mut() } else { &raw mut value }));
    if came.is_err() {
        assert!(value == untouched, "a call that failed has written to an out-parameter");
    }
    came.map(|()| value)
}

fn digest(engine: *const obrolan_engine) -> Result<[u8; 32], Failure> {
    // SAFETY: there is room for 32 bytes.
    out([0; 32], false, |out| unsafe { obrolan_engine_digest(engine, out.cast()) })
}
