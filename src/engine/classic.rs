//! Connections that speak the classic dialect: what a classic request stands for is handled, and answered in the dialect.

use super::{ConnId, Engine};
use crate::{time::Time, wire::Kind};

/// How long a request is held back for its content to begin, in milliseconds.
const CONTENT: u64 = 10_000;

impl Engine {
    pub(super) fn take_classic(&mut self, conn: ConnId, line: &[u8]) {
        let started = self.connections.get_mut(conn).is_some_and(|held| held.dialect.start(line));
        self.answer_classic(conn);
        if started {
            self.go_on_classic(conn);
        } else {
            self.take_canonical(conn, line);
        }
    }

    /// Handles the requests that a classic one stands for, until one of them has to wait or all are answered.
    pub(super) fn go_on_classic(&mut self, conn: ConnId) {
        while let Some(line) = self.connections.get_mut(conn).and_then(|held| held.dialect.next_line()) {
            self.take_canonical(conn, &line);
        }
    }

    /// What the last request is held back for does not come.
    pub(super) fn finish_classic(&mut self, conn: ConnId) {
        if let Some(held) = self.connections.get_mut(conn) {
            held.dialect.give_up();
            self.answer_classic(conn);
        }
    }

    /// Answers a request that was held back for too long. When to look again, if it goes on to be.
    pub(super) fn check_classic(&mut self, conn: ConnId) -> Option<Time> {
        let held = self.connections.get(conn).filter(|held| held.dialect.waits())?;
        // What has begun to come may take its time.
        let since = if held.lines.held() > 0 { self.now } else { held.last_active };
        let due = since.after(CONTENT);
        if due > self.now {
            return Some(due);
        }
        self.finish_classic(conn);
        None
    }

    /// Takes an answer that is not for the client, but for the dialect.
    pub(super) fn capture(&mut self, conn: ConnId, kind: Option<Kind>, write: impl FnOnce(&mut Vec<u8>)) {
        let mut response = Vec::new();
        write(&mut response);
        self.connections.answer_dialect(conn, kind, response);
        if self.connections.get(conn).is_some_and(|held| held.dialect.waits()) {
            self.look_at(conn, self.now.after(CONTENT));
        }
        self.answer_classic(conn);
    }

    fn answer_classic(&mut self, conn: ConnId) {
        while let Some(answer) = self.connections.get_mut(conn).and_then(|held| held.dialect.next_answer()) {
            self.write_classic(conn, answer);
        }
    }
}
