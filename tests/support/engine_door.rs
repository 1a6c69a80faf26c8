//! The engine in memory, as different hosts run it.
//!
//! The test says at its root which engine that is: the one in Rust, or one behind the functions of a library that has its face.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
};

use obrolan::{
    Answer, Ask, Closed, Config, ConnId, MessageId, Output, Password, Peer, Seq, Service, Ticket, Time,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    Engine, Recovery, restore,
    support::{
        play::{Came, Door, Frames},
        transcript::{Happening, Need, Setting, milliseconds},
    },
};

/// How an engine is hosted. All hosts play the same transcripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// All inside the engine, nothing kept.
    Memory,
    /// A journal that tells late that it is written; passwords and messages are the host's.
    Journal,
    /// A journal with snapshots; bytes come and go one by one. Passwords are the host's, messages the engine's.
    Bytes,
    /// As [`Journal`](Host::Journal), on connections that have spoken the classic dialect before.
    Classic,
}

impl Host {
    pub(crate) fn lacks(self) -> &'static [Need] {
        match self {
            Host::Memory => &[Need::Restart, Need::FailingStore, Need::SlowPasswords],
            Host::Journal => &[Need::BodiesInside],
            Host::Bytes => &[],
            Host::Classic => &[Need::BodiesInside, Need::FirstWord],
        }
    }

    /// The most bytes that are read or written at once.
    fn piece(self) -> usize {
        if self == Host::Bytes { 1 } else { usize::MAX }
    }
}

pub(crate) struct EngineDoor {
    host: Host,
    config: Config,
    engine: Engine,
    now: Time,
    /// How many engines there were.
    starts: u8,
    conns: BTreeMap<String, Conn>,
    store: Store,
    asked: VecDeque<(Ticket, Ask)>,
    files: Files,
    passwords_wait: bool,
}

struct Conn {
    /// `None` once the engine does not know it any more.
    id: Option<ConnId>,
    /// Bytes the engine has not taken yet.
    input: VecDeque<u8>,
    wants_read: bool,
    half_closed: bool,
    reads: bool,
    frames: Frames,
    came: VecDeque<Came>,
}

/// What a host keeps.
#[derive(Default)]
struct Store {
    snapshot: Option<(Seq, Vec<u8>)>,
    /// The records after the snapshot.
    journal: Vec<(Seq, Vec<u8>)>,
    /// Where in the journal the records begin that the engine was not told of as durable.
    on_their_way: usize,
    bodies: Bodies,
    fails: bool,
    failed: bool,
}

/// The bodies of messages, with the record that brought each, and the message before it.
pub(crate) type Bodies = BTreeMap<MessageId, (Seq, MessageId, Vec<u8>)>;

/// The files a host keeps.
#[derive(Clone, Default)]
pub(crate) struct Files {
    uploads: BTreeMap<u64, Vec<u8>>,
    pub(crate) contents: BTreeMap<[u8; 32], Vec<u8>>,
}

/// Does the work that a host is asked for.
pub(crate) fn work(ask: Ask, bodies: &Bodies, files: &mut Files) -> Answer {
    match ask {
        Ask::HashPassword { password, .. } => Answer::PasswordHash(hash(&password)),
        Ask::VerifyPassword { password, hash: right } => Answer::PasswordMatches(hash(&password) == right),
        Ask::ReadMessages { ids, budget } => {
            let mut bytes = 0;
            let mut messages = Vec::new();
            for id in ids {
                if bytes > budget {
                    break;
                }
                let (_, _, body) = &bodies[&id];
                bytes += body.len();
                messages.push(body.clone());
            }
            Answer::Messages(messages)
        }
        Ask::ReadHistory { newest, before, floor, limit, budget } => {
            let anchor = before.map(|before| &bodies[&before]);
            let mut next = anchor.map_or(newest, |(_, prev, _)| *prev);
            let (mut bytes, mut messages) = (0, Vec::new());
            while next > floor && messages.len() < limit && bytes <= budget {
                let (_, prev, body) = &bodies[&next];
                bytes += body.len();
                messages.push(body.clone());
                next = *prev;
            }
            let before = anchor.map(|(_, _, body)| body.clone());
            Answer::History { before, messages, more: next > floor }
        }
        ask => files.work(ask),
    }
}

impl Files {
    fn work(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::AppendUpload { upload, offset, bytes } => {
                let held = self.uploads.entry(upload).or_default();
                assert!(offset <= held.len() as u64, "a part that leaves a hole");
                held.truncate(offset as usize);
                held.extend(bytes);
                Answer::Done
            }
            Ask::FinishUpload { upload } => {
                let bytes = self.uploads.remove(&upload).expect("an upload that was begun");
                let (sha256, size) = (Sha256::digest(&bytes).into(), bytes.len() as u64);
                self.contents.insert(sha256, bytes);
                Answer::FileStored { sha256, size }
            }
            Ask::DropUpload { upload } => {
                self.uploads.remove(&upload);
                Answer::Done
            }
            Ask::ReadFile { sha256, offset, length } => {
                let start = offset as usize;
                Answer::FileBytes(self.contents[&sha256][start..start + length].to_vec())
            }
            ask => panic!("the host does not know {ask:?}"),
        }
    }
}

/// Records after which a host with snapshots makes one.
const SNAPSHOT_EVERY: usize = 5;

/// What a host says to a connection that the engine does not take, before it closes it.
const REFUSED: &[u8] = br#"{"status":"ERROR","data":"request tidak dikenali","code":"busy"}"#;

/// What a connection of the classic dialect is answered to `ping`.
const CLASSIC_PONG: &[u8] = br#"{"status":"OK","data":"pong","message":"pong"}"#;

/// 2026-11-23T09:00:00.000Z.
const START: Time = Time(1_795_424_400_000);

impl EngineDoor {
    pub(crate) fn open(host: Host, settings: &[Setting]) -> EngineDoor {
        let mut config = configured(settings);
        config.persistence = host != Host::Memory;
        config.passwords = if host == Host::Memory { Service::Inside } else { Service::Host };
        let has_bodies = matches!(host, Host::Journal | Host::Classic);
        config.messages = if has_bodies { Service::Host } else { Service::Inside };
        config.files = config.messages;
        EngineDoor {
            host,
            engine: Engine::new(config.clone(), [0; 32], START).expect("the settings can be kept"),
            config,
            now: START,
            starts: 1,
            conns: BTreeMap::new(),
            store: Store::default(),
            asked: VecDeque::new(),
            files: Files::default(),
            passwords_wait: false,
        }
    }

    fn conn(&mut self, name: &str) -> &mut Conn {
        self.conns.get_mut(name).expect("a connection that was opened")
    }

    /// Gives the engine what it waits for until it waits for nothing: what is durable last of all.
    fn settle(&mut self) {
        loop {
            self.drain();
            if !(self.offer_input() || self.answer() || self.persist()) {
                break;
            }
        }
        if self.host == Host::Bytes && self.store.journal.len() >= SNAPSHOT_EVERY && !self.store.failed {
            let snapshot = self.engine.snapshot().expect("the store works");
            self.store.snapshot = Some((snapshot.seq, snapshot.bytes));
            self.store.journal.clear();
            self.store.on_their_way = 0;
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Persist { seq, record, message } => {
                    let mut record = record.to_vec();
                    if let Some(message) = message.filter(|_| self.config.messages == Service::Host) {
                        let body = record.split_off(message.body_at);
                        self.store.bodies.insert(message.id, (seq, message.prev, body));
                    }
                    self.store.journal.push((seq, record));
                }
                Output::Writable { conn } => self.take(conn),
                Output::Readable { conn } => self.by_id(conn).wants_read = true,
                Output::Close { conn, .. } => {
                    let conn = self.by_id(conn);
                    conn.id = None;
                    conn.came.push_back(Came::Closed);
                }
                Output::Ask { ticket, ask } => self.asked.push_back((ticket, ask)),
                _ => {}
            }
        }
    }

    fn by_id(&mut self, id: ConnId) -> &mut Conn {
        let conn = self.conns.values_mut().find(|conn| conn.id == Some(id));
        conn.expect("the engine speaks of connections it was told of")
    }

    /// Takes what may leave on a connection.
    fn take(&mut self, id: ConnId) {
        let records_on_their_way = self.store.on_their_way < self.store.journal.len();
        while self.by_id(id).reads {
            let at_most = self.host.piece();
            let bytes: Vec<u8> = self.engine.outgoing(id).flatten().copied().take(at_most).collect();
            if bytes.is_empty() {
                break;
            }
            self.engine.sent(self.now, id, bytes.len()).expect("that much was to be sent");
            let conn = self.by_id(id);
            conn.frames.push(&bytes);
            while let Some(frame) = conn.frames.next() {
                assert!(
                    !records_on_their_way || reveals_nothing(&frame),
                    "this left before the records it could reveal were durable: {}",
                    frame.escape_ascii()
                );
                conn.came.push_back(Came::Frame(frame));
            }
        }
    }

    /// Offers the input that waits; true if there was some.
    fn offer_input(&mut self) -> bool {
        let at_most = self.host.piece();
        let mut offered = false;
        let names: Vec<_> = self.conns.keys().cloned().collect();
        for name in names {
            loop {
                let now = self.now;
                let Some(conn) = self.conns.get_mut(&name) else { break };
                let Some(id) = conn.id.filter(|_| conn.wants_read && !conn.input.is_empty()) else { break };
                let piece_len = conn.input.len().min(at_most);
                let piece = &conn.input.make_contiguous()[..piece_len];
                let received = self.engine.receive(now, id, piece).expect("the connection is open");
                assert!(received.consumed > 0 || !received.wants_read, "it wants to read, and takes nothing");
                conn.input.drain(..received.consumed);
                conn.wants_read = received.wants_read;
                offered = true;
                self.drain();
            }
            let Some(conn) = self.conns.get_mut(&name).filter(|conn| conn.half_closed) else { continue };
            if let Some(id) = conn.id.filter(|_| conn.input.is_empty() && conn.wants_read) {
                conn.wants_read = false;
                self.engine.peer_closed(self.now, id, Closed::Eof).expect("the connection is open");
                self.drain();
                offered = true;
            }
        }
        offered
    }

    /// Does the oldest work that is asked for and may be done now; false if there is none.
    fn answer(&mut self) -> bool {
        let may_be_done = |(_, ask): &(Ticket, Ask)| {
            !self.passwords_wait || !matches!(ask, Ask::HashPassword { .. } | Ask::VerifyPassword { .. })
        };
        let Some(at) = self.asked.iter().position(may_be_done) else { return false };
        let (ticket, ask) = self.asked.remove(at).expect("it is there");
        let answer = work(ask, &self.store.bodies, &mut self.files);
        self.engine.answer(self.now, ticket, answer).expect("the answer fits");
        true
    }

    /// Tells that all records are durable, or that they will not be; false if there are none on their way.
    fn persist(&mut self) -> bool {
        let Store { journal, on_their_way, bodies, fails, failed, .. } = &mut self.store;
        let (Some(&(first, _)), Some(&(last, _))) = (journal.get(*on_their_way), journal.last()) else {
            return false;
        };
        if *fails {
            journal.truncate(*on_their_way);
            bodies.retain(|_, (seq, ..)| *seq < first);
            *failed = true;
            self.engine.persist_failed(self.now, first).expect("the records are on their way");
        } else {
            *on_their_way = journal.len();
            self.engine.persisted(self.now, last).expect("the records are on their way");
        }
        true
    }

    /// What is durable, on its way to an engine.
    fn recovery(&mut self) -> Recovery {
        self.starts += 1;
        let mut recovery = Engine::recover(self.config.clone(), [self.starts; 32]).expect("as it was kept");
        if let Some((_, bytes)) = &self.store.snapshot {
            recovery.snapshot(bytes).expect("the snapshot is whole");
        }
        for (seq, record) in &self.store.journal {
            recovery.record(*seq, record).expect("the record is whole");
        }
        recovery
    }

    fn restart(&mut self) {
        let before = self.engine.snapshot();
        self.engine = self.recovery().start(self.now).expect("every message has its body");
        assert!(self.engine.snapshot() == before, "the records made another engine than the requests");
        self.conns.clear();
        self.asked.clear();
        self.files.uploads.clear();
    }

    fn wait(&mut self, ms: u64) {
        let until = self.now.after(ms);
        while let Some(time) = self.engine.poll_timeout().filter(|time| *time <= until) {
            self.now = self.now.max(time);
            self.engine.handle_timeout(self.now);
            self.settle();
            let again = self.engine.poll_timeout().is_some_and(|time| time <= self.now);
            assert!(!again, "after a timeout, the engine wants another one at once");
        }
        self.now = until;
    }
}

impl Door for EngineDoor {
    fn connect(&mut self, name: &str, from: Option<IpAddr>) {
        let peer = from.map_or(Peer::Local, Peer::Address);
        let (id, came) = match self.engine.connect(self.now, peer) {
            Ok(id) => (Some(id), VecDeque::new()),
            Err(_) => (None, VecDeque::from([Came::Frame(REFUSED.to_vec()), Came::Closed])),
        };
        let conn = Conn {
            id,
            input: VecDeque::new(),
            wants_read: true,
            half_closed: false,
            reads: true,
            frames: Frames::default(),
            came,
        };
        self.conns.insert(name.to_owned(), conn);
        if self.host == Host::Classic && id.is_some() {
            self.send(name, b"ping\n");
            assert_eq!(self.receive(name), Some(Came::Frame(CLASSIC_PONG.to_vec())));
        }
    }

    fn send(&mut self, name: &str, bytes: &[u8]) {
        self.now = self.now.after(1);
        self.conn(name).input.extend(bytes);
        self.settle();
    }

    fn half_close(&mut self, name: &str) {
        self.conn(name).half_closed = true;
        self.settle();
    }

    fn close(&mut self, name: &str) {
        if let Some(id) = self.conns.remove(name).and_then(|conn| conn.id) {
            self.engine.peer_closed(self.now, id, Closed::Gone).expect("the connection is open");
        }
        self.settle();
    }

    fn set_reading(&mut self, name: &str, reading: bool) {
        let conn = self.conn(name);
        conn.reads = reading;
        if let Some(id) = conn.id.filter(|_| reading) {
            self.take(id);
        }
        self.settle();
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wait(ms) => self.wait(ms),
            Happening::Restart => self.restart(),
            Happening::Stop => self.engine.shutdown(self.now),
            Happening::StoreFails => self.store.fails = true,
            Happening::StoreWorks => {
                self.store.fails = false;
                if std::mem::take(&mut self.store.failed) {
                    let recovery = self.recovery();
                    restore(&mut self.engine, self.now, recovery);
                }
            }
            Happening::PasswordsWait => self.passwords_wait = true,
            Happening::PasswordsGoOn => self.passwords_wait = false,
        }
        self.settle();
    }

    fn receive(&mut self, name: &str) -> Option<Came> {
        let came = self.conn(name).came.pop_front();
        came.or_else(|| self.left_over(name))
    }

    fn left_over(&mut self, name: &str) -> Option<Came> {
        let conn = self.conn(name);
        conn.came.front().cloned().or_else(|| conn.frames.unended())
    }

    fn is_instant(&self) -> bool {
        true
    }

    fn finish(&mut self) {
        assert!(!self.store.failed, "the store does not work at the end: the store works");
        if self.config.persistence {
            self.restart();
        }
    }
}

/// Stands for argon2id, which takes its time.
fn hash(password: &Password) -> String {
    format!("hashed {}", password.expose())
}

/// Whether a frame may leave whatever the journal does: it is the same whatever was changed.
fn reveals_nothing(frame: &[u8]) -> bool {
    let frame: Value = serde_json::from_slice(frame).expect("a frame is JSON");
    let field = |name: &str| frame.get(name).and_then(Value::as_str);
    match field("code") {
        Some(code) => {
            ["unknown_request", "bad_parameters", "too_long", "invalid_utf8", "busy", "unavailable"]
                .contains(&code)
        }
        None => matches!(field("data"), Some("pong" | "sampai jumpa")) || frame.get("requests").is_some(),
    }
}

/// The engine's configuration with the settings of a transcript.
fn configured(settings: &[Setting]) -> Config {
    let mut config = Config::default();
    for Setting { key, value } in settings {
        set(&mut config, key, value).unwrap_or_else(|| panic!("no such setting: {key} = {value}"));
    }
    config
}

fn set(config: &mut Config, key: &str, value: &str) -> Option<()> {
    let value: Value = serde_json::from_str(value).ok()?;
    let (text, number) = (|| value.as_str(), || usize::try_from(value.as_u64()?).ok());
    let time = || milliseconds(value.as_str()?);
    let (accounts, limits) = (&mut config.accounts, &mut config.limits);
    match key {
        "realm" => config.realm = text()?.to_owned(),
        "accounts.registration" => accounts.registration_open = text()? == "open",
        "accounts.min_password_length" => accounts.min_password_length = number()?,
        "accounts.admins" => {
            let names = value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
            accounts.admins = names.collect::<Option<_>>()?;
        }
        "accounts.list_users" => accounts.list_users_needs_session = text()? == "sessions",
        "accounts.throttle_loopback" => accounts.throttle_loopback = value.as_bool()?,
        "limits.connections" => limits.connections = number()?,
        "limits.line_before_session" => limits.line_before_session = number()?,
        "limits.line" => limits.line = number()?,
        "limits.input_buffer" => limits.input_buffer = number()?,
        "limits.output_buffer" => limits.output_buffer = number()?,
        "limits.mailbox_messages" => limits.mailbox_messages = number()?,
        "limits.sessions_per_user" => limits.sessions_per_user = number()?,
        "limits.session_idle" => limits.session_idle = time()?,
        "limits.idle_before_session" => limits.idle_before_session = time()?,
        "limits.group_members" => limits.group_members = number()?,
        "limits.output_total" => limits.output_total = number()?,
        "limits.groups_per_user" => limits.groups_per_user = number()?,
        "limits.dedupe_keys" => limits.dedupe_keys = number()?,
        "limits.users" => limits.users = number()?,
        "limits.realms" => limits.realms = number()?,
        "limits.password_queue" => limits.password_queue = number()?,
        "limits.memory_messages" => limits.memory_messages = number()?,
        "limits.file_size" => limits.file_size = value.as_u64()?,
        "limits.user_files" => limits.user_files = value.as_u64()?,
        "limits.uploads_per_user" => limits.uploads_per_user = number()?,
        "limits.memory_files" => limits.memory_files = number()?,
        _ => return None,
    }
    Some(())
}
