//! Watches a world and compares every byte its peers read with the [model](super::model).

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::{
    model::{From, Message, Model, Pending, Reply, User},
    rules::error,
};
use crate::{
    Answer, Ask, Config, Seq, SessionId, Ticket, Time,
    wire::{Code, Kind, Line, Request, Structured},
};

/// Knows what should happen. Every method panics when something else does.
pub(super) struct Referee {
    config: Config,
    model: Model,
    /// The model after each call of the engine, by the last record made.
    history: BTreeMap<Seq, Model>,
    conns: Vec<Conn>,
    /// The session ids that peers have read.
    given: BTreeMap<String, u64>,
    waiting: BTreeMap<Ticket, (usize, Kind, Pending)>,
    /// The record that brought each message.
    brought_by: BTreeMap<u64, Seq>,
    /// What each user said to have, even if the store then lost it.
    confirmed: BTreeMap<usize, u64>,
    failed: bool,
    stopping: bool,
}

/// A connection.
#[derive(Default)]
struct Conn {
    bound: Option<u64>,
    /// What it asked, and has not read the answer to.
    exchanges: VecDeque<Exchange>,
    partial: Vec<u8>,
    /// Answers to lines that were too long before they ended.
    early: usize,
    /// By the answers it read.
    subscription: Option<Subscription>,
    /// The session whose subscription is on, by the requests it made.
    subscribed_with: Option<u64>,
    /// Its last SUBSCRIBE was lost with the store; it may be pushed messages all the same.
    refused: bool,
    gone: bool,
    /// The store failed: what was pushed may be pushed from further back.
    replayed: bool,
}

/// A request and its answer to come.
struct Exchange {
    kind: Option<Kind>,
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

    pub(super) fn stopping(&mut self) {
        self.stopping = true;
    }

    pub(super) fn brought(&mut self, message: u64, seq: Seq) {
        self.brought_by.insert(message, seq);
    }

    /// The end of the first call after which the records up to `seq` were made.
    pub(super) fn end_of_call(&self, seq: Seq) -> Seq {
        *self.history.range(seq..).next().expect("every record is made by a call").0
    }

    /// The engine took bytes, at most to the end of a line, and asked for this.
    pub(super) fn took(&mut self, conn: usize, bytes: &[u8], asks: &[(Ticket, Ask)], now: Time, seq: Seq) {
        self.conns[conn].partial.extend(bytes);
        if bytes.last() == Some(&b'\n') {
            self.line(conn, asks, now, seq);
        }
    }

    /// The engine took the end of a stream.
    pub(super) fn took_end(&mut self, conn: usize, asks: &[(Ticket, Ask)], now: Time, seq: Seq) {
        if !self.stopping {
            self.line(conn, asks, now, seq);
        }
    }

    fn line(&mut self, conn: usize, asks: &[(Ticket, Ask)], now: Time, seq: Seq) {
        let held = &mut self.conns[conn];
        let line = std::mem::take(&mut held.partial);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let limits = &self.config.limits;
        let limit = if held.bound.is_some() { limits.line } else { limits.line_before_session };
        if line.len() > limit {
            if held.early > 0 {
                held.early -= 1;
            } else {
                self.expect(conn, None, Seq(0), Some(error(None, Code::TooLong)));
            }
        } else if !line.is_empty() {
            // Scenarios give no tags and no keys: those have transcripts.
            let taken = if line.starts_with(b"{") {
                Structured::parse(line).and_then(|object| {
                    self.request(conn, &object.line()?, asks, now, seq);
                    Ok(())
                })
            } else {
                Line::parse(line).map(|line| self.request(conn, &line, asks, now, seq))
            };
            if let Err(wrong) = taken {
                self.expect(conn, wrong.kind, Seq(0), Some(error(wrong.kind, wrong.code)));
            }
        }
        self.called(seq);
    }

    fn request(&mut self, conn: usize, line: &Line<'_>, asks: &[(Ticket, Ask)], now: Time, seq: Seq) {
        let kind = line.request.kind();
        let open = matches!(kind, Kind::Ping | Kind::Help | Kind::Quit);
        if self.failed && !open {
            self.expect(conn, Some(kind), Seq(0), Some(error(Some(kind), Code::Unavailable)));
            return;
        }
        let passwords = self.waiting.values().filter(|(_, kind, _)| *kind != Kind::Inbox).count();
        let queue_full = passwords >= self.config.limits.password_queue;
        let named = |text: &str| self.given.get(text).copied();
        let acts = line.session.map_or(self.conns[conn].bound, named);
        let from = From { now, bound: self.conns[conn].bound, given: &self.given, queue_full };
        let reply = self.model.request(&self.config, from, line);
        let gate = if open { Seq(0) } else { seq };
        let response = match reply {
            Reply::Now(response) => response,
            Reply::Later(pending) => {
                self.expect(conn, Some(kind), gate, None);
                self.waiting.insert(asks[0].0, (conn, kind, pending));
                return;
            }
        };
        let done = response["status"] == "OK";
        self.expect(conn, Some(kind), gate, Some(response));
        match line.request {
            Request::Ack { id } if done => {
                let user = self.model.sessions[&acts.expect("it was answered OK")].user;
                let held = self.confirmed.entry(user).or_default();
                *held = id.max(*held);
            }
            Request::Resume { sid } if done => self.bind(conn, self.given[sid]),
            Request::Subscribe { after } if done => {
                let session = acts.expect("it was answered OK");
                let (user, last) = (self.model.sessions[&session].user, self.model.last_message);
                let after = after.unwrap_or(0).min(last);
                let held = &mut self.conns[conn];
                held.subscribed_with = Some(session);
                held.exchanges.back_mut().expect("it was put there").subscribes =
                    Some(Subscription { user, after, seen: vec![] });
            }
            _ => {}
        }
    }

    /// A subscription is for the user who is logged in: with another one it ends.
    fn bind(&mut self, conn: usize, session: u64) {
        let user = |session: &u64| self.model.sessions.get(session).map(|held| held.user);
        let held = &mut self.conns[conn];
        held.bound = Some(session);
        if let Some(other) = held.subscribed_with {
            let passes = user(&other) == user(&session);
            held.subscribed_with = passes.then_some(session);
            held.exchanges.back_mut().expect("it binds").unsubscribes = !passes;
        }
    }

    fn expect(&mut self, conn: usize, kind: Option<Kind>, gate: Seq, expected: Option<Value>) {
        let exchange = Exchange { kind, gate, expected, opens: None, subscribes: None, unsubscribes: false };
        self.conns[conn].exchanges.push_back(exchange);
    }

    /// Work was done, and more was asked for because of it.
    pub(super) fn answered(
        &mut self,
        ticket: Ticket,
        answer: &Answer,
        asks: &[(Ticket, Ask)],
        now: Time,
        seq: Seq,
    ) {
        let Some((conn, kind, pending)) = self.waiting.remove(&ticket) else { return };
        if self.conns[conn].gone {
            return;
        }
        let bodies = if let Answer::Messages(bodies) = answer { bodies.len() } else { 0 };
        let response = match answer {
            Answer::Failed => error(Some(kind), Code::Unavailable),
            _ => match self.model.go_on(&self.config, now, kind, pending, bodies) {
                Reply::Now(response) => response,
                Reply::Later(pending) => {
                    self.waiting.insert(asks[0].0, (conn, kind, pending));
                    return;
                }
            },
        };
        let opens = (kind == Kind::Auth && response["status"] == "OK").then_some(self.model.last_number);
        opens.into_iter().for_each(|session| self.bind(conn, session));
        let exchange = self.conns[conn].exchanges.back_mut().expect("it waits");
        exchange.opens = opens;
        exchange.expected = Some(response);
        exchange.gate = seq;
        self.called(seq);
    }

    /// Time passed.
    pub(super) fn waited(&mut self, now: Time, seq: Seq) {
        if !self.failed {
            self.model.end_unused(&self.config, now);
        }
        self.called(seq);
    }

    fn called(&mut self, seq: Seq) {
        if !self.failed {
            self.history.entry(seq).or_insert_with(|| self.model.clone());
            self.unsubscribe_ended();
        }
    }

    /// The store lost all records after `durable`.
    pub(super) fn failed(&mut self, durable: Seq) {
        self.failed = true;
        self.waiting.clear();
        for conn in &mut self.conns {
            conn.replayed = true;
            for exchange in &mut conn.exchanges {
                if exchange.expected.is_some() && exchange.gate > durable {
                    // What was answered is taken back with the answer.
                    match exchange.kind {
                        Some(Kind::Auth | Kind::Resume) => conn.bound = None,
                        Some(Kind::Subscribe) => conn.subscribed_with = None,
                        _ => {}
                    }
                }
                if exchange.expected.is_none() || exchange.gate > durable {
                    exchange.expected = Some(error(exchange.kind, Code::Unavailable));
                    exchange.gate = Seq(0);
                    exchange.opens = None;
                }
            }
        }
    }

    /// The store is back with the records up to `seq`.
    pub(super) fn restored(&mut self, seq: Seq) {
        self.failed = false;
        let last_number = self.model.last_number;
        self.model = self.history[&seq].clone();
        self.model.last_number = last_number;
        self.history.retain(|at, _| *at <= seq);
        self.brought_by.retain(|_, at| *at <= seq);
        for conn in &mut self.conns {
            conn.bound = conn.bound.filter(|session| self.model.sessions.contains_key(session));
        }
        self.unsubscribe_ended();
    }

    /// A subscription ends with its session, and stays so even if the store then loses that end.
    fn unsubscribe_ended(&mut self) {
        for conn in &mut self.conns {
            conn.subscribed_with =
                conn.subscribed_with.filter(|session| self.model.sessions.contains_key(session));
        }
    }

    /// A peer read a whole frame, whose first byte it got when the records up to `durable` were that.
    pub(super) fn read(&mut self, conn: usize, frame: &[u8], durable: Seq) {
        let text = String::from_utf8_lossy(frame);
        assert!(frame.is_ascii() && !frame.contains(&b'\n'), "a frame of one line of ASCII: {text}");
        let value: Value = serde_json::from_slice(frame).expect("a frame is JSON");
        if text.starts_with("{\"event\":") {
            self.read_event(conn, value, durable);
        } else {
            assert!(text.starts_with("{\"status\":"), "neither response nor event: {text}");
            self.read_response(conn, value, durable);
        }
    }

    fn read_response(&mut self, conn: usize, mut value: Value, durable: Seq) {
        let held = &mut self.conns[conn];
        let Some(exchange) = held.exchanges.pop_front() else {
            assert_eq!(
                value,
                error(None, Code::TooLong),
                "connection {conn} is answered what it did not ask"
            );
            held.early += 1;
            return;
        };
        if let Some(session) = exchange.opens {
            let Some(Value::String(id)) = value.as_object_mut().and_then(|all| all.remove("tokenid")) else {
                panic!("no tokenid in {value}");
            };
            assert!(SessionId::is_form(&id), "no session id: {id}");
            assert!(self.given.insert(id, session).is_none(), "a session id given twice");
        }
        let expected = exchange.expected.expect("no answer comes before its work is done");
        assert_eq!(value, expected, "the answer to {:?} on connection {conn}", exchange.kind);
        assert!(exchange.gate <= durable, "{value} left before record {:?} was durable", exchange.gate);
        if exchange.unsubscribes {
            held.subscription = None;
        }
        if exchange.subscribes.is_some() {
            held.subscription = exchange.subscribes;
            held.refused = value["status"] != "OK";
        }
    }

    fn read_event(&mut self, conn: usize, mut value: Value, durable: Seq) {
        let held = &mut self.conns[conn];
        let subscription = held.subscription.as_mut().expect("an event that nobody asked for");
        let event = value.as_object_mut().and_then(|all| all.remove("event"));
        match event.as_ref().and_then(Value::as_str) {
            Some("message") => {
                let id = value["id"].as_u64().expect("a message has an id");
                let Message { json, to } = &self.model.messages[&id];
                assert_eq!(&value, json, "what was pushed on connection {conn}");
                assert!(to.contains(&subscription.user), "{value} is for somebody else");
                let last = subscription.seen.last().copied();
                let after = if held.replayed { 0 } else { subscription.after };
                assert!(id > last.unwrap_or(after), "{id} after {last:?} on connection {conn}");
                assert!(
                    !self.config.persistence || self.brought_by[&id] <= durable,
                    "{value} left too early"
                );
                subscription.seen.push(id);
            }
            Some("gap") => assert!(value["count"].as_u64() > Some(0), "a gap of nothing: {value}"),
            Some("closing") => assert!(self.stopping, "nobody closes"),
            _ => panic!("an unknown event: {value}"),
        }
    }

    /// The world is at rest: everything was answered and delivered. `open` tells which connections are.
    pub(super) fn at_rest(&self, open: impl Fn(usize) -> bool) {
        for (at, conn) in self.conns.iter().enumerate().filter(|(_, conn)| !conn.gone) {
            assert!(conn.exchanges.is_empty(), "connection {at} waits for {}", conn.exchanges.len());
            let on = conn.subscribed_with.is_some() && open(at) && !self.stopping && !conn.refused;
            if let (Some(subscription), true) = (&conn.subscription, on) {
                let confirmed = self.confirmed.get(&subscription.user).copied().unwrap_or(0);
                let mailbox = self.model.users[subscription.user].mailbox.iter();
                let mut due = mailbox.filter(|id| **id > subscription.after.max(confirmed));
                let missed = due.find(|id| !subscription.seen.contains(id));
                assert_eq!(
                    missed, None,
                    "connection {at} was not pushed a message; it saw {:?}",
                    subscription.seen
                );
            }
        }
    }

    /// What a server that knows the records up to `seq` shows of itself; `None` in the middle of a call.
    pub(super) fn shows(&self, seq: Seq, now: Time, session_ids: &[String]) -> Option<Value> {
        let mut model = self.history.get(&seq)?.clone();
        model.end_unused(&self.config, now);
        let holder = |id: &String| {
            let session = self.given.get(id).and_then(|session| model.sessions.get(session));
            session.map(|session| model.users[session.user].name.clone())
        };
        let mut users: Vec<(usize, &User)> = model.users.iter().enumerate().collect();
        users.sort_by_key(|(_, user)| json!(user.name).to_string());
        let users = users.into_iter().map(|(at, user)| {
            json!({
                "name": user.name,
                "password": user.password,
                "groups": model.groups_of(at),
                "inbox": user.mailbox.iter().map(|id| &model.messages[id].json).collect::<Vec<_>>(),
                "gap": user.gap,
            })
        });
        Some(json!({
            "sessions": session_ids.iter().map(holder).collect::<Vec<_>>(),
            "users": users.collect::<Vec<_>>(),
            "realms": if model.users.is_empty() { vec![] } else { model.realms() },
        }))
    }
}
