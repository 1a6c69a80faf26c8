//! Connections that speak the classic dialect: what a classic request stands for is handled, and answered in the dialect.

use super::{ConnId, Engine};
use crate::wire::Kind;

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

    /// No further request comes: what the last one waited for does not either.
    pub(super) fn finish_classic(&mut self, conn: ConnId) {
        if let Some(held) = self.connections.get_mut(conn) {
            held.dialect.finish();
            self.answer_classic(conn);
        }
    }

    /// Takes an answer that is not for the client, but for the dialect.
    pub(super) fn capture(&mut self, conn: ConnId, kind: Option<Kind>, write: impl FnOnce(&mut Vec<u8>)) {
        let mut response = Vec::new();
        write(&mut response);
        if let Some(held) = self.connections.get_mut(conn) {
            held.dialect.answered(kind, response);
        }
        self.answer_classic(conn);
    }

    fn answer_classic(&mut self, conn: ConnId) {
        while let Some(answer) = self.connections.get_mut(conn).and_then(|held| held.dialect.next_answer()) {
            self.write_classic(conn, answer);
        }
    }
}
