//! Watches a world and compares every byte its peers read with the [model](super::model).

mod reading;
mod requests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};

use super::{
    classic::{Block, Doing, with_classic_fields},
    model::{From, Model, Pending, Reply, User},
    restart::{questions, showing},
    rules::error,
};
use crate::{
    Ask, Config, Seq, Service, Ticket, Time,
    wire::{Code, Kind, Line, Structured},
};

/// Knows what should happen. Every method panics when something else does.
pub(super) struct Referee {
    config: Config,
    model: Model,
    /// The model after each call of the engine, by the last record made.
    history: BTreeMap<Seq, Model>,
    /// The last record made.
    made: Seq,
    conns: Vec<Conn>,
    /// The session ids that peers have read.
    given: BTreeMap<String, u64>,
    waiting: BTreeMap<Ticket, Waiting>,
    /// The record that brought each message.
    brought_by: BTreeMap<u64, Seq>,
    /// What each user said to have, even if the store then lost it.
    confirmed: BTreeMap<usize, u64>,
    failed: bool,
    stopping: bool,
}

/// A call of the engine: what it asked for, when it was, and the last record made by its end.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) asks: &'a [(Ticket, Ask)],
    pub(super) now: Time,
    pub(super) seq: Seq,
}

/// A request that waits for work to be done.
struct Waiting {
    conn: usize,
    kind: Kind,
    pending: Pending,
    doing: Doing,
}

/// A connection.
#[derive(Default)]
struct Conn {
    bound: Option<u64>,
    /// What it asked, and has not read the answer to.
    exchanges: VecDeque<Exchange>,
    partial: Vec<u8>,
    /// The line in `partial` was answered, for it is too long already.
    told_too_long: bool,
    /// Whether it speaks the classic dialect, once its first line has come.
    is_classic: Option<bool>,
    block: Block,
    /// By the answers it read.
    subscription: Option<Subscription>,
    /// The session whose subscription is on, by the requests it made.
    subscribed_with: Option<u64>,
    /// What that was before it was changed by what waits for these records.
    changes: Vec<(Seq, Option<u64>)>,
    gone: bool,
    closed: bool,
    /// The store failed: what was pushed may be pushed from further back.
    replayed: bool,
}

impl Conn {
    /// Changes the subscription by what waits for a record.
    fn subscribe_with(&mut self, session: Option<u64>, gate: Seq) {
        self.changes.push((gate, std::mem::replace(&mut self.subscribed_with, session)));
    }
}

/// A request and its answer to come.
#[derive(Default)]
struct Exchange {
    kind: Option<Kind>,
    /// In the classic dialect.
    classic: bool,
    /// Whether it could be read.
    is_request: bool,
    /// What its answer repeats.
    tag: Option<Value>,
    /// What must be durable before it is answered.
    gate: Seq,
    /// `None` while work is done for it.
    expected: Option<Value>,
    /// The session that it opens.
    opens: Option<u64>,
    subscribes: Option<Subscription>,
    /// It is by another user than the one who subscribed.
    unsubscribes: bool,
}

impl Exchange {
    fn answered(kind: Option<Kind>, gate: Seq, answer: Value) -> Exchange {
        Exchange { kind, gate, expected: Some(answer), ..Exchange::default() }
    }

    fn with_tag(&self, mut answer: Value) -> Value {
        if let Some(tag) = &self.tag {
            answer["tag"] = tag.clone();
        }
        answer
    }

    /// The store failed, and the answer cannot be known.
    fn take_back(&mut self) {
        let answer = error(self.kind, Code::Unavailable);
        let answer = if self.classic { with_classic_fields(self.kind, answer) } else { answer };
        self.expected = Some(self.with_tag(answer));
        self.gate = Seq(0);
        self.opens = None;
        self.subscribes = None;
        self.unsubscribes = false;
    }
}

#[derive(Clone)]
struct Subscription {
    user: usize,
    after: u64,
    seen: Vec<u64>,
}

impl Referee {
    pub(super) fn new(config: Config) -> Referee {
        Referee {
            config,
            model: Model::default(),
            history: BTreeMap::from([(Seq(0), Model::default())]),
            made: Seq(0),
            conns: Vec::new(),
            given: BTreeMap::new(),
            waiting: BTreeMap::new(),
            brought_by: BTreeMap::new(),
            confirmed: BTreeMap::new(),
            failed: false,
            stopping: false,
        }
    }

    pub(super) fn connected(&mut self) {
        self.conns.push(Conn::default());
    }

    pub(super) fn gone(&mut self, conn: usize) {
        self.conns[conn].gone = true;
    }

    pub(super) fn closed(&mut self, conn: usize) {
        self.conns[conn].closed = true;
    }

    pub(super) fn stopping(&mut self) {
        self.stopping = true;
        for conn in 0..self.conns.len() {
            self.no_content_follows(conn, self.made);
        }
    }

    pub(super) fn brought(&mut self, message: u64, seq: Seq) {
        self.brought_by.insert(message, seq);
    }

    /// The end of the first call after which the records up to `seq` were made.
    pub(super) fn end_of_call(&self, seq: Seq) -> Seq {
        *self.history.range(seq..).next().expect("every record is made by a call").0
    }

    /// Time passed.
    pub(super) fn waited(&mut self, call: Call<'_>) {
        if !self.failed {
            let subscribed = self.subscribed();
            self.model.end_unused(&self.config, call.now, &subscribed);
        }
        self.give_up_contents(call);
        self.called(call.seq);
    }

    /// The sessions that messages are pushed for.
    fn subscribed(&self) -> BTreeSet<u64> {
        let open = self.conns.iter().filter(|conn| !conn.gone && !conn.closed);
        open.filter_map(|conn| conn.subscribed_with).collect()
    }

    fn called(&mut self, seq: Seq) {
        if !self.failed {
            self.made = seq;
            self.history.entry(seq).or_insert_with(|| self.model.clone());
            self.unsubscribe_ended(seq);
        }
    }

    /// The store lost all records after `durable`.
    pub(super) fn failed(&mut self, durable: Seq) {
        self.failed = true;
        for waiting in std::mem::take(&mut self.waiting).into_values() {
            if matches!(waiting.doing, Doing::File(_)) {
                self.conns[waiting.conn].block = Block::Late;
            }
        }
        for conn in &mut self.conns {
            conn.replayed = true;
            // What is lost, and what was answered unavailable, has changed no subscription.
            if let Some((_, before)) =
                std::mem::take(&mut conn.changes).iter().find(|(gate, _)| *gate > durable)
            {
                conn.subscribed_with = *before;
            }
            if let Block::Due(_, answer, _) = &mut conn.block {
                let kind = Some(Kind::SendFile);
                *answer = with_classic_fields(kind, error(kind, Code::Unavailable));
            }
            for exchange in &mut conn.exchanges {
                if exchange.expected.is_some() && exchange.gate > durable {
                    // What was answered is taken back with the answer.
                    match exchange.kind {
                        Some(Kind::Auth | Kind::Resume) => conn.bound = None,
                        // A classic one logs in too.
                        Some(Kind::Register) if exchange.classic => conn.bound = None,
                        _ => {}
                    }
                }
                if exchange.expected.is_none() || exchange.gate > durable {
                    exchange.take_back();
                }
            }
        }
    }

    /// The store is back with the records up to `seq`.
    pub(super) fn restored(&mut self, seq: Seq) {
        self.failed = false;
        self.made = seq;
        let last_number = self.model.last_number;
        self.model = self.history[&seq].clone();
        self.model.last_number = last_number;
        self.model.restart(&self.config);
        self.history.retain(|at, _| *at <= seq);
        self.brought_by.retain(|_, at| *at <= seq);
        for conn in &mut self.conns {
            conn.bound = conn.bound.filter(|session| self.model.sessions.contains_key(session));
        }
        self.unsubscribe_ended(seq);
    }

    /// A subscription ends with its session.
    fn unsubscribe_ended(&mut self, seq: Seq) {
        for conn in &mut self.conns {
            let ended = |session: &u64| !self.model.sessions.contains_key(session);
            if conn.subscribed_with.as_ref().is_some_and(ended) {
                conn.subscribe_with(None, seq);
            }
        }
    }

    /// What a server that knows the records up to `seq` shows of itself; `None` in the middle of a call.
    pub(super) fn shows(&self, seq: Seq, now: Time, session_ids: &[String]) -> Option<Value> {
        let mut model = self.history.get(&seq)?.clone();
        let config = Config { messages: Service::Inside, files: Service::Inside, ..showing(&self.config) };
        model.restart(&config);
        let nobody = BTreeSet::new();
        model.end_unused(&config, now, &nobody);
        let holder = |id: &String| {
            let session = self.given.get(id).and_then(|session| model.sessions.get(session));
            session.map(|session| model.users[session.user].name.clone())
        };
        let sessions: Vec<_> = session_ids.iter().map(holder).collect();
        let realms = if model.users.is_empty() { json!([]) } else { json!(model.realms()) };
        let mut users: Vec<(String, usize)> =
            model.users.iter().enumerate().map(|(at, user)| (user.name.clone(), at)).collect();
        users.sort_unstable();
        let names: Vec<&str> = users.iter().map(|(name, _)| name.as_str()).collect();
        let users = users.iter().map(|(name, at)| {
            let User { password, gap, .. } = model.users[*at].clone();
            let session = model.open_session(*at, now);
            let (given, subscribed) = (&self.given, &nobody);
            let from = From { now, bound: Some(session), given, subscribed, queue_full: false };
            let answers =
                questions(&names).iter().map(|line| ask(&mut model, &config, from, line)).collect::<Vec<_>>();
            json!({"name": name, "password": password, "gap": gap.len(), "answers": answers})
        });
        let users: Vec<Value> = users.collect();
        Some(json!({"sessions": sessions, "users": users, "realms": realms}))
    }
}

/// What a line is answered at once.
fn ask(model: &mut Model, config: &Config, from: From<'_>, line: &str) -> Value {
    let reply = match line.starts_with('{') {
        true => Structured::parse(line.as_bytes())
            .and_then(|object| Ok(model.request(config, from, &object.line()?, object.dedupe.as_deref()))),
        false => Line::parse(line.as_bytes()).map(|line| model.request(config, from, &line, None)),
    };
    match reply {
        Ok(Reply::Now(response) | Reply::Again(response)) => response,
        Ok(Reply::Later(_)) => unreachable!("nothing is asked of the host"),
        Err(wrong) => error(wrong.kind, wrong.code),
    }
}
