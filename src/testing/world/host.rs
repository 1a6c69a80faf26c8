//! What the host does: its store, its work for the engine, its clock.

use super::World;
use crate::{Answer, Ask, Seq, testing::store::Work};

impl World {
    /// The next `count` records become durable, as far as there are so many.
    pub fn persist(&mut self, count: usize) {
        let (given, durable) = self.journal();
        let up_to = Seq(given.0.min(durable.0.saturating_add(count as u64)));
        if up_to > durable && !self.failed {
            self.disk.durable = up_to;
            self.engine.persisted(self.now, up_to).expect("these are on their way");
            self.pump();
        }
    }

    /// Some of the asked work is done: the one at `at`, or what has to be done before it.
    pub fn answer(&mut self, at: usize, work: Work) {
        // What is asked about one upload is done in order.
        let first = |upload| self.asked.iter().position(|(_, ask)| upload_of(ask) == Some(upload));
        let at = upload_of(&self.asked[at].1).and_then(first).unwrap_or(at);
        let (ticket, ask) = self.asked.remove(at);
        let (answer, before) = (self.work(&ask, work), self.asked.len());
        self.read_failed |= matches!((&ask, &answer), (Ask::ReadMessages { .. }, Answer::Failed));
        self.engine.answer(self.now, ticket, answer.clone()).expect("it was asked, and it fits");
        self.drain();
        let asks = self.asked[before..].to_vec();
        self.referee(&asks, |referee, call| referee.answered(ticket, &answer, call));
        self.pump();
    }

    fn work(&mut self, ask: &Ask, work: Work) -> Answer {
        match (ask, work) {
            (&Ask::AppendUpload { upload, offset, .. }, Work::Failed) => {
                // What was behind the offset is gone all the same.
                self.files.work(Ask::AppendUpload { upload, offset, bytes: Vec::new() });
                Answer::Failed
            }
            (
                Ask::AppendUpload { .. }
                | Ask::FinishUpload { .. }
                | Ask::DropUpload { .. }
                | Ask::ReadFile { .. },
                Work::Done | Work::Least,
            ) => self.files.work(ask.clone()),
            _ => self.disk.work(ask, work),
        }
    }

    /// Time passes.
    pub fn wait(&mut self, ms: u64) {
        self.now = self.now.after(ms);
        self.engine.handle_timeout(self.now);
        self.drain();
        self.referee(&[], |referee, call| referee.waited(call));
        assert!(self.engine.poll_timeout().is_none_or(|next| next > self.now), "a timer that does not stop");
        self.pump();
    }

    /// A snapshot is taken, unless the store has failed.
    pub fn snapshot(&mut self) {
        let taken = self.engine.snapshot();
        assert_eq!(taken.is_ok(), !self.failed);
        self.snapshots.extend(taken);
    }

    /// Everybody is asked to leave.
    pub fn shutdown(&mut self) {
        self.engine.shutdown(self.now);
        self.referee(&[], |referee, _| referee.stopping());
        self.pump();
    }

    /// The store loses the last `count` of the records that are not durable. Nothing, if there is none.
    pub fn fail(&mut self, count: usize) {
        let (given, durable) = self.journal();
        let last = self.whole_call(Seq(given.0.saturating_sub(count as u64).max(durable.0)));
        if last < given && !self.failed {
            (self.failed, self.failed_once) = (true, true);
            self.disk.durable = last;
            self.engine.persist_failed(self.now, Seq(last.0 + 1)).expect("it is on its way");
            self.referee(&[], |referee, _| referee.failed(last));
            self.pump();
        }
    }

    /// The store is back after a failure, with `found` records that it had called lost, if there are so many.
    pub fn restore(&mut self, found: usize) {
        if self.failed {
            let (given, durable) = self.journal();
            let last = self.whole_call(Seq(given.0.min(durable.0.saturating_add(found as u64)))).0;
            self.disk.truncate(Seq(last));
            let recovered = self.recover(Seq(last), None).expect("what an engine wrote, it reads");
            self.snapshots.retain(|snapshot| snapshot.seq.0 <= last);
            self.engine.restore(self.now, recovered).expect("the store had failed, and all is there");
            self.failed = false;
            self.referee(&[], |referee, _| referee.restored(Seq(last)));
            self.pump();
        }
    }

    /// Does all that is left to do: restores, answers, persists and reads until nothing moves.
    pub fn settle(&mut self) {
        self.pump();
        // A referee wants all that there is, and what could not be read is read again after a while.
        if self.referee.is_some() && std::mem::take(&mut self.read_failed) {
            self.wait(A_WHILE);
        }
        loop {
            self.restore(0);
            while !self.asked.is_empty() {
                self.answer(0, Work::Done);
            }
            self.persist(usize::MAX);
            let read: usize = (0..self.remotes.len()).map(|conn| self.read(conn, usize::MAX)).sum();
            let (given, durable) = self.journal();
            if read == 0 && self.asked.is_empty() && (given == durable || !self.config.persistence) {
                for remote in self.remotes.iter().filter(|remote| remote.open()) {
                    assert!(remote.input.is_empty() && !remote.finished, "a connection that is stuck");
                    assert!(self.engine.wants_read(remote.id), "a connection that takes nothing");
                }
                let remotes = &self.remotes;
                self.referee.iter().for_each(|referee| referee.at_rest(|conn| remotes[conn].open()));
                return;
            }
        }
    }
}

/// Longer than the engine waits before it reads again, in milliseconds.
const A_WHILE: u64 = 60_000;

/// The upload that some work is about.
fn upload_of(ask: &Ask) -> Option<u64> {
    match *ask {
        Ask::AppendUpload { upload, .. } | Ask::FinishUpload { upload } | Ask::DropUpload { upload } => {
            Some(upload)
        }
        _ => None,
    }
}
