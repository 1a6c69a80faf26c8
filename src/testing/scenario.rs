//! Bytes as scenarios: what a generator, a fuzzer or a kept file says becomes what happens in a [`World`].

use super::{
    store::Work,
    terms::{Escaped, Feed},
    world::World,
};
use crate::{
    Accounts, Closed, Config, Limits, Peer, Service, Time,
    wire::{Kind, Param, SessionParam, Shape},
};

/// The format that [`Scenario::decode`] reads, its first byte. Kept scenarios go on to mean what they meant: whoever changes the
/// meaning of bytes adds a format.
pub const FORMAT: u8 = 1;

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
            [FORMAT, rest @ ..] => Source(rest),
            _ => Source(&[]),
        };
        let config = source.config();
        let mut steps = source.crowd();
        while !source.0.is_empty() {
            steps.push(source.step());
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
            assert_eq!(Some(world.shows(last)), world.should_show(last), "what a restart shows");
        }
    }
}

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

    fn with_session_ids(&self, bytes: &[u8]) -> Vec<u8> {
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

/// Longer than any scenario.
const NEVER: u64 = 1 << 40;

/// A session id that nobody has.
const NO_SESSION: &str = "sid_00000000000000000000000000000000";

/// The first three are there from the start, mostly.
const USERS: &[&str] = &["ann", "bob", "Cia", "d\u{e9}d\u{e9}", "ghost"];
/// How users are written, the same ones more than once, for they are written more often.
const ADDRESSES: &[&str] = &[
    "ann",
    "bob",
    "Cia",
    "ann",
    "bob",
    "cia",
    "ann",
    "bob",
    "d\u{e9}d\u{e9}",
    "ANN",
    "bob@localhost",
    "ghost",
    "eve@other",
    "ann@",
    "$0",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];
const PASSWORDS: &[&str] = &["secret", "secret", "secret", "other", "x", "\u{7}"];
const GROUPS: &[&str] = &["club", "club", "club", "Team", "team@localhost", "third", "a@other", "$1"];
const REALMS: &[&str] = &["other", "third", "Other", "localhost", "a@b"];
const TEXTS: &[&str] =
    &["hello", "halo, apa kabar?", "  two  spaces  ", "\u{e9}\u{1f600}", "{\"a\":\"\\\"}", "\t"];
const IPS: &[&str] = &["192.0.2.1", "::1", "nowhere"];
const FINGERPRINTS: &[&str] = &["SHA256:AAAA", "MD5:AAAA"];
const NUMBERS: &[&str] = &["18446744073709551615", "-1", "007", "8889", "0"];
const JUNK: &[&[u8]] = &[
    b"",
    b" ",
    b"\r",
    b"NONSENSE a b",
    b"PING \xff\xfe",
    b"\0",
    b"{\"request\":\"PING\"}",
    b"SEND",
    b"Ping pong",
    b"  PING",
    b"SEND  bob",
    b"sid_00000000000000000000000000000000 PING",
];

/// What peers ask, as often as it stands here.
const KINDS: &[(Kind, u8)] = &[
    (Kind::Send, 40),
    (Kind::SendGroup, 20),
    (Kind::Ack, 12),
    (Kind::Inbox, 12),
    (Kind::Subscribe, 12),
    (Kind::Auth, 10),
    (Kind::Register, 8),
    (Kind::AddGroup, 6),
    (Kind::JoinGroup, 8),
    (Kind::LeaveGroup, 5),
    (Kind::ListGroup, 6),
    (Kind::ListMyGroups, 3),
    (Kind::ListUsers, 3),
    (Kind::Resume, 10),
    (Kind::Logout, 3),
    (Kind::Passwd, 6),
    (Kind::Whoami, 3),
    (Kind::AddRealm, 5),
    (Kind::ListRealms, 2),
    (Kind::Ping, 3),
    (Kind::Help, 1),
    (Kind::Quit, 1),
];

/// Who acts: mostly those who are there from the start.
const CONNS: &[usize] = &[0, 1, 2, 0, 1, 2, 3, 7];

/// Milliseconds: around the limits, and once in a while beyond all of them.
const WAITS: &[u64] = &[1, 1, 1000, 1000, 1000, 61_000, 500_000, 3_000_000, 3_000_000, 4_100_000];

/// The bytes not used yet; 0 for ever after.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> usize {
        usize::from(self.byte())
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.number() % from.len()]
    }

    fn kind(&mut self) -> Kind {
        let all: usize = KINDS.iter().map(|(_, often)| usize::from(*often)).sum();
        let mut at = self.number() % all;
        for (kind, often) in KINDS {
            match at.checked_sub(usize::from(*often)) {
                Some(rest) => at = rest,
                None => return *kind,
            }
        }
        unreachable!("it is below the sum of all")
    }

    fn config(&mut self) -> Config {
        let (shape, rules) = (self.byte(), self.byte());
        let bit = |byte: u8, at: u8| byte >> at & 1 == 1;
        let service = |host| if host { Service::Host } else { Service::Inside };
        let either = |first, a, b| if first { a } else { b };
        Config {
            realm: "localhost".to_owned(),
            accounts: Accounts {
                registration_open: !bit(rules, 0) || !bit(rules, 1),
                min_password_length: either(bit(rules, 2), 4, 1),
                admins: if bit(rules, 3) { vec!["bob".to_owned()] } else { vec![] },
                list_users_needs_session: bit(rules, 4),
                throttle_loopback: false,
            },
            limits: Limits {
                connections: 8,
                line_before_session: 120,
                line: 300,
                input_buffer: 1 << 20,
                output_buffer: either(bit(shape, 2), 4096, 300),
                output_total: 1 << 20,
                mailbox_messages: either(bit(shape, 3), 50, 3),
                sessions_per_user: 2,
                session_idle: 3_600_000,
                idle_before_session: if bit(rules, 5) { 60_000 } else { NEVER },
                group_members: 3,
                groups_per_user: 2,
                dedupe_keys: 3,
                users: 5,
                realms: 2,
                password_queue: either(bit(rules, 6), 1, 8),
                memory_messages: 1 << 20,
                file_size: 1 << 20,
                user_files: 1 << 20,
                uploads_per_user: 2,
                memory_files: 1 << 20,
            },
            persistence: !bit(shape, 0),
            passwords: Service::Host,
            files: Service::Inside,
            messages: service(!bit(shape, 0) && !bit(shape, 1)),
        }
    }

    /// The first users, logged in, so that a few bytes are enough for something to happen.
    fn crowd(&mut self) -> Vec<Step> {
        let shape = self.byte();
        let mut steps = Vec::new();
        let users = if shape < 16 { shape & 1 } else { 2 + (shape & 1) };
        for (conn, user) in USERS.iter().take(usize::from(users)).enumerate() {
            let group = if conn == 0 { "ADD_GROUP" } else { "JOIN_GROUP" };
            let mut lines = format!("REGISTER {user} secret ID {user}\nAUTH {user} secret\n");
            if shape & 4 != 0 {
                lines += &format!("{group} club\n");
            }
            if shape >> (5 + conn) & 1 == 1 {
                lines += "SUBSCRIBE\n";
            }
            let say = Step::Say { conn, bytes: Escaped(lines.into_bytes()) };
            let done = Step::Answer { at: 0, work: Work::Done };
            steps.extend([Step::Connect, say, done.clone(), done]);
            steps.extend([Step::Persist { count: 10 }, Step::Read { conn, most: 10_000 }]);
        }
        steps
    }

    fn step(&mut self) -> Step {
        match self.byte() {
            0..=139 => {
                let (conn, lines) = (self.pick(CONNS), 1 + self.number() % 3);
                let mut bytes = Vec::new();
                (0..lines).for_each(|_| self.line(&mut bytes));
                Step::Say { conn, bytes: Escaped(bytes) }
            }
            140..=174 => Step::Read { conn: self.pick(CONNS), most: self.pick(&[1, 7, 60, 61, 500, 10_000]) },
            175..=199 => Step::Persist { count: self.pick(&[1, 2, 100]) },
            200..=224 => {
                let work = self.pick(&[Work::Done, Work::Done, Work::Done, Work::Least, Work::Failed]);
                Step::Answer { at: self.number(), work }
            }
            225..=228 => Step::Connect,
            229..=231 => Step::Answer { at: 0, work: Work::Done },
            232..=235 => {
                let how = self.pick(&[Closed::Eof, Closed::Gone]);
                Step::End { conn: self.number(), how }
            }
            236..=243 => Step::Wait { ms: self.pick(WAITS) },
            244..=246 => Step::Snapshot,
            247..=250 => Step::Fail { count: self.pick(&[1, 2, 100]) },
            251..=254 => Step::Restore { found: self.pick(&[0, 0, 1, 100]) },
            255 => {
                // Once in a while: it ends all.
                if self.byte() == 255 { Step::Shutdown } else { Step::Connect }
            }
        }
    }

    /// A line as a peer may write it: mostly a request, now and then nearly one.
    fn line(&mut self, out: &mut Vec<u8>) {
        let style = self.byte();
        let end: &[u8] = match style {
            0..=7 => {
                out.extend(self.pick(JUNK));
                b"\n"
            }
            8..=11 => {
                let byte = self.byte();
                out.extend(std::iter::repeat_n(byte, 100 + 2 * usize::from(byte)));
                b"\n"
            }
            12..=15 => {
                let rest = self.0;
                let junk = &rest[..rest.len().min(usize::from(style))];
                self.0 = &rest[junk.len()..];
                out.extend(junk);
                b"\n"
            }
            _ => {
                self.request(style, out);
                match style {
                    16..=25 => b"",
                    26..=35 => b" x\n",
                    36..=45 => b"  \r\n",
                    46..=65 => b"\r\n\r\n",
                    _ => b"\n",
                }
            }
        };
        out.extend(end);
    }

    fn request(&mut self, style: u8, out: &mut Vec<u8>) {
        let spec = self.kind().spec();
        let space = if style % 16 == 1 { "  " } else { " " };
        // Not all in lower case: on a new connection that is the classic dialect, which the model does not speak.
        let mut line = spec.name.to_owned();
        if style % 16 == 2 {
            line[1..].make_ascii_lowercase();
        }
        if style % 8 == 3 && matches!(spec.session, SessionParam::ByForm | SessionParam::ByCount) {
            line += &format!("{space}${}", self.byte() % 4);
        }
        for param in spec.params {
            if param.optional && style & 64 != 0 || style % 64 == 63 {
                break;
            }
            line += space;
            line += &self.value(param);
        }
        out.extend(line.bytes());
    }

    fn value(&mut self, param: &Param) -> String {
        let from: &[&str] = match (param.name, param.shape) {
            ("user" | "to", _) | ("after", Shape::Word) => ADDRESSES,
            ("password" | "old" | "new", _) => PASSWORDS,
            ("group", _) => GROUPS,
            ("name", Shape::Word) => REALMS,
            ("ip", _) => IPS,
            ("fingerprint", _) => FINGERPRINTS,
            ("sid", _) => return format!("${}", self.byte() % 5),
            ("request", _) => return self.kind().spec().name.to_owned(),
            ("country", _) => &["ID", "Indonesia"],
            (_, Shape::Number) => {
                let byte = self.byte();
                return if byte < 230 { (byte % 16).to_string() } else { self.pick(NUMBERS).to_owned() };
            }
            _ => TEXTS,
        };
        self.pick(from).to_owned()
    }
}
