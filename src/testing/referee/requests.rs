//! What peers ask, and what it leads to.

use serde_json::Value;

use super::{Call, Exchange, Referee, Subscription, Waiting};
use crate::{
    Answer, Seq, Ticket,
    testing::{
        classic::{self, Block, Doing, Next, Taken},
        json,
        model::{From, Reply},
        rules::error,
    },
    wire::{Code, Kind, Line, Request, Structured},
};

/// How long the content of a file is waited for, in milliseconds.
const CONTENT: u64 = 10_000;

impl Referee {
    /// The engine took bytes, at most to the end of a line.
    pub(in crate::testing) fn took(&mut self, conn: usize, bytes: &[u8], call: Call<'_>) {
        self.conns[conn].partial.extend(bytes);
        if bytes.last() == Some(&b'\n') {
            self.line(conn, call);
        } else {
            let limit = self.line_limit(conn);
            let held = &mut self.conns[conn];
            let maybe_line_end = held.partial.len() == limit + 1 && held.partial.last() == Some(&b'\r');
            if held.partial.len() > limit
                && !maybe_line_end
                && !std::mem::replace(&mut held.told_too_long, true)
            {
                self.too_long(conn, call);
            }
        }
    }

    /// The engine took the end of a stream.
    pub(in crate::testing) fn took_end(&mut self, conn: usize, call: Call<'_>) {
        if !self.stopping {
            self.line(conn, call);
            self.no_content_follows(conn, call.seq);
        }
    }

    fn line(&mut self, conn: usize, call: Call<'_>) {
        let limit = self.line_limit(conn);
        let held = &mut self.conns[conn];
        let line = std::mem::take(&mut held.partial);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if std::mem::take(&mut held.told_too_long) {
            // It is answered.
        } else if line.len() > limit {
            self.too_long(conn, call);
        } else if !line.is_empty() {
            let is_classic = *held.is_classic.get_or_insert_with(|| classic::is_classic(line));
            if is_classic {
                self.classic_line(conn, line, call);
            } else {
                self.handle(conn, Doing::AsItIs, Next::Line(line.to_vec()), call);
            }
        }
        self.called(call.seq);
    }

    fn line_limit(&self, conn: usize) -> usize {
        let limits = &self.config.limits;
        if self.conns[conn].bound.is_some() { limits.line } else { limits.line_before_session }
    }

    fn too_long(&mut self, conn: usize, call: Call<'_>) {
        let held = &mut self.conns[conn];
        let classic = held.is_classic == Some(true);
        let mut kind = None;
        if let Block::Due(..) = held.block {
            // What was too long is the content that is waited for.
            held.block = Block::None;
            kind = Some(Kind::SendFile);
        }
        let answer = error(kind, Code::TooLong);
        let answer = if classic { classic::with_classic_fields(kind, answer) } else { answer };
        self.expect(
            conn,
            Exchange { classic, ..Exchange::answered(kind, self.gate(kind, call.seq), answer) },
        );
    }

    fn classic_line(&mut self, conn: usize, line: &[u8], call: Call<'_>) {
        match self.conns[conn].block.take(line) {
            Taken::Nothing => {}
            Taken::Whole(line) => self.handle(conn, Doing::Plain, Next::Line(line), call),
            Taken::Line(due) => {
                if let Some(answer) = due {
                    self.without_content(conn, answer, self.made);
                }
                let (doing, next) = match classic::is_classic(line) {
                    true => classic::begin(line),
                    false => (Doing::AsItIs, Next::Line(line.to_vec())),
                };
                self.handle(conn, doing, next, call);
            }
        }
    }

    /// No further line comes.
    pub(super) fn no_content_follows(&mut self, conn: usize, made: Seq) {
        if let Block::Due(_, answer, _) = std::mem::take(&mut self.conns[conn].block) {
            self.without_content(conn, answer, made);
        }
    }

    /// A classic request that waited for its content is answered.
    fn without_content(&mut self, conn: usize, answer: Value, made: Seq) {
        let kind = Some(Kind::SendFile);
        let exchange = Exchange::answered(kind, self.gate(kind, made), answer);
        self.expect(conn, Exchange { classic: true, ..exchange });
    }

    /// Time has passed: a content that has not begun to come is not waited for any longer.
    pub(super) fn give_up_contents(&mut self, call: Call<'_>) {
        for conn in 0..self.conns.len() {
            let held = &mut self.conns[conn];
            match &mut held.block {
                Block::Due(.., until) if *until <= call.now && !held.partial.is_empty() => {
                    *until = call.now.after(CONTENT);
                }
                Block::Due(.., until) if *until <= call.now => {
                    self.no_content_follows(conn, call.seq);
                    self.conns[conn].block = Block::Late;
                }
                _ => {}
            }
        }
    }

    /// Asks the model what a line asks the engine, and so on, until it is answered or has to wait.
    fn handle(&mut self, conn: usize, doing: Doing, next: Next, call: Call<'_>) {
        let kind = matches!(doing, Doing::Inbox(_)).then_some(Kind::Inbox);
        let exchange = Exchange { kind, classic: doing.is_classic(), ..Exchange::default() };
        self.go_on(conn, exchange, doing, next, call);
    }

    fn go_on(
        &mut self,
        conn: usize,
        mut exchange: Exchange,
        mut doing: Doing,
        mut next: Next,
        call: Call<'_>,
    ) {
        loop {
            match next {
                Next::Line(line) => {
                    let (kind, reply) = self.ask(conn, &mut exchange, &line, call);
                    exchange.kind = exchange.kind.or(kind);
                    next = match reply {
                        Reply::Now(response) | Reply::Again(response) => doing.answered(kind, response),
                        Reply::Later(pending) => {
                            let kind = kind.expect("only a request has to wait");
                            self.wait(Waiting { conn, kind, pending, doing }, call);
                            return self.expect(conn, exchange);
                        }
                    };
                }
                Next::Answer(kind, answer) => {
                    exchange.kind = kind;
                    let not_read = !exchange.classic && !exchange.is_request;
                    exchange.gate = if not_read { Seq(0) } else { self.gate(kind, call.seq) };
                    exchange.expected = Some(exchange.with_tag(answer));
                    return self.expect(conn, exchange);
                }
                Next::Refused(answer) => {
                    self.conns[conn].block = Block::Late;
                    next = Next::Answer(exchange.kind, answer);
                }
                Next::Due(line, answer) => {
                    self.conns[conn].block = Block::Due(line, answer, call.now.after(CONTENT));
                    return;
                }
            }
        }
    }

    /// What must be durable before a request is answered.
    fn gate(&self, kind: Option<Kind>, made: Seq) -> Seq {
        let reveals = kind.is_some_and(|kind| !is_open(kind));
        if reveals && !self.failed { made } else { Seq(0) }
    }

    fn wait(&mut self, waiting: Waiting, call: Call<'_>) {
        let (ticket, ask) = &call.asks[0];
        assert!(waiting.pending.is_asked_by(ask), "{:?} asks {ask:?}", waiting.kind);
        self.waiting.insert(*ticket, waiting);
    }

    /// Asks the model.
    fn ask(
        &mut self,
        conn: usize,
        exchange: &mut Exchange,
        line: &[u8],
        call: Call<'_>,
    ) -> (Option<Kind>, Reply) {
        let taken = if line.starts_with(b"{") {
            exchange.tag = json::tag(line);
            Structured::parse(line).and_then(|object| {
                let line = object.line()?;
                Ok((line.request.kind(), self.request(conn, exchange, &line, object.dedupe.as_deref(), call)))
            })
        } else {
            Line::parse(line)
                .map(|line| (line.request.kind(), self.request(conn, exchange, &line, None, call)))
        };
        match taken {
            Ok((kind, reply)) => {
                exchange.is_request = true;
                (Some(kind), reply)
            }
            Err(wrong) => (wrong.kind, Reply::Now(error(wrong.kind, wrong.code))),
        }
    }

    fn request(
        &mut self,
        conn: usize,
        exchange: &mut Exchange,
        line: &Line<'_>,
        dedupe: Option<&str>,
        call: Call<'_>,
    ) -> Reply {
        let kind = line.request.kind();
        if self.failed && !is_open(kind) {
            return Reply::Now(error(Some(kind), Code::Unavailable));
        }
        let passwords = self.waiting.values().filter(|waiting| waiting.pending.is_about_password()).count();
        let queue_full = passwords >= self.config.limits.password_queue;
        let bound = self.conns[conn].bound;
        let acts = line.session.map_or(bound, |text| self.given.get(text).copied());
        let subscribed = &self.subscribed();
        let from = From { now: call.now, bound, given: &self.given, subscribed, queue_full };
        let reply = self.model.request(&self.config, from, line, dedupe);
        if !matches!(&reply, Reply::Now(response) if response["status"] == "OK") {
            return reply;
        }
        match line.request {
            Request::Ack { id } => {
                let user = self.model.sessions[&acts.expect("it was answered OK")].user;
                let held = self.confirmed.entry(user).or_default();
                *held = id.max(*held);
            }
            Request::Resume { sid } => exchange.unsubscribes = self.bind(conn, self.given[sid], call.seq),
            Request::Subscribe { after } => {
                let session = acts.expect("it was answered OK");
                let (user, last) = (self.model.sessions[&session].user, self.model.last_message);
                let after = after.unwrap_or(0).min(last);
                self.conns[conn].subscribe_with(Some(session), call.seq);
                exchange.subscribes = Some(Subscription { user, after, seen: vec![] });
            }
            _ => {}
        }
        reply
    }

    /// Whether that ends a subscription: it is for the user who is logged in.
    fn bind(&mut self, conn: usize, session: u64, gate: Seq) -> bool {
        let user = |session: &u64| self.model.sessions.get(session).map(|held| held.user);
        let held = &mut self.conns[conn];
        held.bound = Some(session);
        let Some(other) = held.subscribed_with else { return false };
        let passes = user(&other) == user(&session);
        held.subscribe_with(passes.then_some(session), gate);
        !passes
    }

    fn expect(&mut self, conn: usize, exchange: Exchange) {
        self.conns[conn].exchanges.push_back(exchange);
    }

    /// Work was done.
    pub(in crate::testing) fn answered(&mut self, ticket: Ticket, answer: &Answer, call: Call<'_>) {
        let Some(Waiting { conn, kind, pending, mut doing }) = self.waiting.remove(&ticket) else { return };
        let gone = self.conns[conn].gone;
        if gone && !pending.outlives_connection() {
            return;
        }
        let read = match answer {
            Answer::Messages(messages) | Answer::History { messages, .. } => messages.len(),
            _ => 0,
        };
        let response = match answer {
            Answer::Failed => {
                self.model.give_up(pending);
                error(Some(kind), Code::Unavailable)
            }
            _ => match self.model.go_on(&self.config, call.now, kind, pending, read) {
                Reply::Now(response) | Reply::Again(response) => response,
                Reply::Later(pending) => return self.wait(Waiting { conn, kind, pending, doing }, call),
            },
        };
        if !gone {
            let mut exchange = self.conns[conn].exchanges.pop_back().expect("it waits");
            if kind == Kind::Auth && response["status"] == "OK" {
                exchange.opens = Some(self.model.last_number);
                exchange.unsubscribes = self.bind(conn, self.model.last_number, call.seq);
            }
            let next = doing.answered(Some(kind), response);
            self.go_on(conn, exchange, doing, next, call);
        }
        self.called(call.seq);
    }
}

/// Whether the answer to a request reveals nothing that could be lost.
fn is_open(kind: Kind) -> bool {
    matches!(kind, Kind::Ping | Kind::Help | Kind::Quit)
}
