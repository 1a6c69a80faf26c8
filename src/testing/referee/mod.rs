//! Watches a world and compares every byte its peers read with the [model](super::model).

mod reading;
mod requests;

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::{
    model::{Model, Pending, User},
    rules::error,
};
use crate::{
    Config, Seq, Ticket, Time,
    wire::{Code, Kind},
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
