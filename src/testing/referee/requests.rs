//! What peers ask, and what it leads to.

use serde_json::Value;

use super::{Exchange, Referee, Subscription};
use crate::{
    Answer, Ask, Seq, Ticket, Time,
    testing::{
        model::{From, Reply},
        rules::error,
    },
    wire::{Code, Kind, Line, Request, Structured},
};

impl Referee {
    /// The engine took bytes, at most to the end of a line, and asked for this.
    pub(in crate::testing) fn took(
        &mut self,
        conn: usize,
        bytes: &[u8],
        asks: &[(Ticket, Ask)],
        now: Time,
        seq: Seq,
    ) {
        self.conns[conn].partial.extend(bytes);
        if bytes.last() == Some(&b'\n') {
            self.line(conn, asks, now, seq);
        }
    }

    /// The engine took the end of a stream.
    pub(in crate::testing) fn took_end(&mut self, conn: usize, asks: &[(Ticket, Ask)], now: Time, seq: Seq) {
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
            Request::Resume { sid } if done => self.conns[conn].bound = self.given.get(sid).copied(),
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

    fn expect(&mut self, conn: usize, kind: Option<Kind>, gate: Seq, expected: Option<Value>) {
        let exchange = Exchange { kind, gate, expected, opens: None, subscribes: None };
        self.conns[conn].exchanges.push_back(exchange);
    }

    /// Work was done, and more was asked for because of it.
    pub(in crate::testing) fn answered(
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
        let held = &mut self.conns[conn];
        let exchange = held.exchanges.back_mut().expect("it waits");
        if kind == Kind::Auth && response["status"] == "OK" {
            held.bound = Some(self.model.last_number);
            exchange.opens = held.bound;
        }
        exchange.expected = Some(response);
        exchange.gate = seq;
        self.called(seq);
    }
}
