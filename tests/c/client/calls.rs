//! Random calls to clients, servers, events and responses, in any order, with good, freed, foreign and made-up handles, and NULL for
//! any pointer.
//!
//! A model of the servers says what must come back. Where a call does not wait for the server, as obrolan_client_ack, a PING that is
//! answered after it does: so what is left to chance is only whether an event is here yet.

// SAFETY: all texts that these calls pass are there, and all places for results may be left out.
macro_rules! call {
    ($function:ident($($argument:expr),*)) => {
        checked(#[allow(unused_unsafe)] unsafe { $function($($argument),*) })
    };
}

#[path = "calls/files.rs"]
mod files;
#[path = "calls/looks.rs"]
mod looks;
#[path = "calls/model.rs"]
mod model;
#[path = "calls/requests.rs"]
mod requests;
#[path = "calls/talkers.rs"]
mod talkers;

use std::{
    collections::{BTreeSet, VecDeque},
    fmt::Debug,
};

use serde_json::Value;
use tempfile::TempDir;

use self::{looks::Told, model::World};
use super::{
    bad::{OfHandle, Said, WithNull, of_handles, with_nulls},
    *,
};
use crate::{
    calls::{has_threads, made_up, seeds},
    header,
    random::Random,
};

/// Runs, and calls of each.
const RUNS: u64 = 10;
const CALLS: usize = 900;

/// What users do most.
const CHAT: [&str; 18] = [
    "obrolan_client_send",
    "obrolan_client_send",
    "obrolan_client_send_group",
    "obrolan_client_send_group",
    "obrolan_client_send_file",
    "obrolan_client_send_group_file",
    "obrolan_client_add_group",
    "obrolan_client_join_group",
    "obrolan_client_post",
    "obrolan_client_next",
    "obrolan_client_next",
    "obrolan_client_next",
    "obrolan_client_ack",
    "obrolan_client_request",
    "obrolan_client_upload",
    "obrolan_client_inbox",
    "obrolan_client_whoami",
    "obrolan_client_get_file_part",
];

/// What takes long because a password is hashed, or ends what others need.
const SELDOM: [&str; 10] = [
    "obrolan_client_close",
    "obrolan_client_free",
    "obrolan_client_logout",
    "obrolan_client_open",
    "obrolan_client_open_with",
    "obrolan_client_passwd",
    "obrolan_client_register",
    "obrolan_server_free",
    "obrolan_server_open",
    "obrolan_server_stop",
];

/// What is nothing in every event here, and which test sees it.
const NOTHING: [(&str, &str); 2] = [
    ("obrolan_event_count", "messages_that_were_lost_are_told"),
    ("obrolan_event_resumed", "nothing_is_lost_or_doubled_over_a_restart"),
];

#[test]
fn come_back_as_the_model_says() {
    let mut functions = header::functions();
    functions.retain(|name| has_threads(name));
    let functions: Vec<&str> = functions.iter().map(String::as_str).collect();
    let often: Vec<&str> = functions.iter().copied().filter(|name| !SELDOM.contains(name)).collect();
    let seeds = seeds(RUNS);
    let mut seen = BTreeSet::new();
    for seed in &seeds {
        println!("OBROLAN_TEST_SEED={seed}");
        let mut run = Run::new(*seed);
        for _ in 0..CALLS {
            if run.one_in(20) {
                run.revive();
            }
            let function = match run.random.below(30) {
                0 => run.any(&SELDOM),
                1..12 => run.any(&CHAT),
                _ => run.any(&often),
            };
            run.call(function);
        }
        run.end();
        seen.append(&mut run.seen);
    }
    if seeds.len() > 1 {
        let never: Vec<_> = functions
            .iter()
            .flat_map(|name| [(name.to_string(), true), (name.to_string(), false)])
            .filter(|(name, came)| *came || !(name.contains("last_") || name.ends_with("_free")))
            .filter(|(name, came)| !(*came && NOTHING.iter().any(|(nothing, _)| name == nothing)))
            .filter(|outcome| !seen.contains(outcome))
            .collect();
        assert!(never.is_empty(), "these never succeeded (true) or never failed (false): {never:?}");
    }
}

/// Handles that were given out, and what is known of them.
struct Run {
    random: Random,
    handles: Vec<(usize, Object)>,
    /// What servers know, by the places where they are held.
    worlds: Vec<World>,
    folder: TempDir,
    of_handles: Vec<(&'static str, OfHandle)>,
    with_nulls: Vec<(&'static str, &'static str, WithNull)>,
    /// An engine, for its handle.
    engine: crate::engine::Engine,
    /// Functions that were called, and whether they succeeded.
    seen: BTreeSet<(String, bool)>,
}

enum Object {
    /// Its place among the worlds.
    Server(usize),
    Client(Box<Talker>),
    Event(Told, Owner),
    Response(Box<Answer>, Owner),
    Freed,
}

/// Where the object is held that lends this one, if one does.
type Owner = Option<usize>;

struct Answer {
    json: Value,
    messages: Vec<Told>,
    /// The part of a file.
    bytes: Option<Vec<u8>>,
}

/// A client.
struct Talker {
    world: usize,
    user: &'static str,
    /// Whether its session lives.
    session: bool,
    /// Whether messages come as events.
    listens: bool,
    /// The number of the group that it last added, joined or sent to.
    current: Option<u64>,
    /// What comes of itself, in order.
    awaited: VecDeque<Awaited>,
    /// What answers its posts, in order, by the number and the fields. It may come before or after what comes of itself.
    answers: VecDeque<(u64, Fields)>,
    last_post: u64,
    /// How it has ended. What has not come until then may not come.
    ended: Option<Wrong>,
}

#[derive(Clone, Debug, PartialEq)]
enum Awaited {
    Message(u64),
    Connected,
    Closing,
    /// How its text begins.
    Lost(&'static str),
}

/// Fields of a response, and what they must hold.
type Fields = Vec<(&'static str, Value)>;

/// What a failed call must return, and obrolan_last_code after it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Wrong {
    code: obrolan_result,
    refused: obrolan_code,
}

impl From<obrolan_result> for Wrong {
    fn from(code: obrolan_result) -> Wrong {
        Wrong { code, refused: OBROLAN_CODE_NONE }
    }
}

impl From<obrolan_code> for Wrong {
    fn from(refused: obrolan_code) -> Wrong {
        Wrong { code: OBROLAN_ERR_REQUEST, refused }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Server,
    Client,
    Event,
    Response,
}

impl Object {
    fn is(&self, kind: Kind) -> bool {
        match self {
            Object::Server(_) => kind == Kind::Server,
            Object::Client(_) => kind == Kind::Client,
            Object::Event(..) => kind == Kind::Event,
            Object::Response(..) => kind == Kind::Response,
            Object::Freed => false,
        }
    }
}

impl Run {
    fn new(seed: u64) -> Run {
        let engine = crate::engine::Engine::new(obrolan::Config::default(), [7; 32], obrolan::Time(1));
        let mut run = Run {
            random: Random::seeded(seed),
            handles: Vec::new(),
            worlds: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
            of_handles: of_handles(),
            with_nulls: with_nulls(),
            engine: engine.unwrap(),
            seen: BTreeSet::new(),
        };
        run.start();
        run
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.random.below(count) == 0
    }

    fn any<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.below(from.len() as u64) as usize]
    }

    /// Where an object of a kind is held, if there is one.
    fn good(&mut self, kind: Kind) -> Option<usize> {
        let fits = |(at, (_, object)): (usize, &(usize, Object))| object.is(kind).then_some(at);
        let mut fitting: Vec<usize> = self.handles.iter().enumerate().filter_map(fits).collect();
        // Mostly what can do something.
        if !self.one_in(8) {
            let alive = |at: &usize| match &self.handles[*at].1 {
                Object::Client(talker) => talker.ended.is_none() && self.worlds[talker.world].running,
                _ => true,
            };
            let left: Vec<usize> = fitting.iter().copied().filter(alive).collect();
            if !left.is_empty() {
                fitting = left;
            }
        }
        if fitting.is_empty() {
            return None;
        }
        Some(self.any(&fitting))
    }

    /// The number of a handle that is none of a kind: freed, of another one, an engine's, or made up.
    fn bad(&mut self, kind: Kind) -> usize {
        let others = self.handles.iter().filter(|(_, object)| !object.is(kind));
        let others: Vec<usize> = others.map(|(number, _)| *number).collect();
        match self.random.below(4) {
            0..2 if !others.is_empty() => self.any(&others),
            2 => self.engine.handle().addr(),
            _ => made_up(&mut self.random),
        }
    }

    fn pointer<T>(&self, at: usize) -> *mut T {
        ptr::without_provenance_mut(self.handles[at].0)
    }

    /// Keeps a handle that a function gave.
    fn keep(&mut self, number: usize, object: Object) -> usize {
        assert!(self.handles.iter().all(|(held, _)| *held != number), "a number came again");
        self.handles.push((number, object));
        self.handles.len() - 1
    }

    /// Holds what a function returned against what the model says. Tells whether it succeeded.
    fn saw<R: Debug + PartialEq>(
        &mut self,
        function: &str,
        came: Result<R, Failure>,
        model: Result<R, Wrong>,
    ) -> bool {
        let text = came.as_ref().err().map(|failure| failure.text.clone());
        let came = came.map_err(|failure| Wrong { code: failure.code, refused: obrolan_last_code() });
        assert_eq!(came, model, "{function}: {text:?}");
        self.seen.insert((function.to_owned(), came.is_ok()));
        if let Err(wrong) = came {
            assert!(text.is_some_and(|text| !text.is_empty()));
            let word = format!("{:?}", wrong.refused).replace("OBROLAN_CODE_", "").to_lowercase();
            let word = (wrong.refused != OBROLAN_CODE_NONE).then_some(word);
            assert_eq!(lent(obrolan_last_code_word()), word, "{function}");
            self.seen.insert(("obrolan_last_code".to_owned(), true));
            self.seen.insert(("obrolan_last_code_word".to_owned(), true));
        }
        came.is_ok()
    }

    fn call(&mut self, function: &str) {
        let kind = match function.split('_').nth(1) {
            Some("server") => Kind::Server,
            Some("client") => Kind::Client,
            Some("event") => Kind::Event,
            _ => Kind::Response,
        };
        if self.one_in(6) && self.call_with_bad(function, kind)
            || self.one_in(8) && self.call_with_null(function)
        {
            return;
        }
        match (function, kind) {
            ("obrolan_server_open", _) => {
                // They are kept for some time, since each start takes long.
                if !self.worlds.iter().any(|world| world.running) {
                    self.start();
                }
            }
            ("obrolan_client_open" | "obrolan_client_open_with" | "obrolan_client_register", _) => {
                self.call_open(function);
            }
            ("obrolan_client_options_default", _) => self.options(),
            ("obrolan_last_code" | "obrolan_last_code_word", _) => {}
            (_, kind) => {
                let Some(at) = self.good(kind) else { return };
                if SELDOM.contains(&function) && kind == Kind::Server && !self.one_in(3) {
                    return;
                }
                match kind {
                    Kind::Server => self.call_server(function, at),
                    Kind::Client => self.call_client(function, at),
                    Kind::Event => self.call_event(function, at),
                    Kind::Response if function.ends_with("_free") => self.call_response(function, at),
                    // It costs little, and fields are many.
                    Kind::Response => (0..8).for_each(|_| self.call_response(function, at)),
                }
            }
        }
    }

    /// Calls a function with a handle that is none of its kind, if it has one.
    fn call_with_bad(&mut self, function: &str, kind: Kind) -> bool {
        let number = self.bad(kind);
        if function == "obrolan_client_last_error" {
            let words = c_text(obrolan_strerror(OBROLAN_ERR_HANDLE as i32));
            assert_eq!(c_text(obrolan_client_last_error(ptr::without_provenance(number))), words);
            return true;
        }
        let Some((_, call)) = self.of_handles.iter().find(|(name, _)| *name == function) else {
            return false;
        };
        match call(number) {
            Said::Code(code) => {
                let wrong = Err(OBROLAN_ERR_HANDLE.into());
                self.saw(function, checked(code), wrong);
            }
            said => {
                assert_eq!(said, Said::Nothing, "{function} of {number:#x}");
                self.seen.insert((function.to_owned(), false));
            }
        }
        true
    }

    /// Calls a function with NULL for a pointer that must not be, if it has one.
    fn call_with_null(&mut self, function: &str) -> bool {
        let of = self.with_nulls.iter().filter(|(name, ..)| *name == function);
        let of: Vec<_> = of.copied().collect();
        let Some(at) = self.good(Kind::Client).filter(|_| !of.is_empty()) else { return false };
        let (_, name, call) = self.any(&of);
        let came = checked(call(self.handles[at].0));
        assert_eq!(came, Err(failure(OBROLAN_ERR_ARGUMENT, &format!("{name} is NULL"))), "{function}");
        self.saw(function, came, Err(OBROLAN_ERR_ARGUMENT.into()));
        true
    }

    /// Forgets a handle that was freed, and those that the object has lent.
    fn freed(&mut self, at: usize) {
        self.handles[at].1 = Object::Freed;
        let lent = |owner: &Owner| *owner == Some(at);
        for lent_at in 0..self.handles.len() {
            if let Object::Event(_, owner) | Object::Response(_, owner) = &self.handles[lent_at].1
                && lent(owner)
            {
                self.freed(lent_at);
            }
        }
    }

    /// Takes all that is still to come, and frees everything.
    fn end(&mut self) {
        for at in 0..self.handles.len() {
            while matches!(&self.handles[at].1, Object::Client(talker) if talker.is_awaiting()) {
                self.next(at, PATIENCE);
            }
        }
        for at in 0..self.handles.len() {
            match &self.handles[at].1 {
                Object::Server(_) => obrolan_server_free(self.pointer(at)),
                Object::Client(_) => obrolan_client_free(self.pointer(at)),
                Object::Event(_, None) => obrolan_event_free(self.pointer(at)),
                Object::Response(_, None) => obrolan_response_free(self.pointer(at)),
                _ => {}
            }
        }
    }
}
