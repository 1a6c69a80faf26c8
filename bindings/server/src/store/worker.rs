//! The thread that waits for the disk.
//!
//! Whoever owns the engine gathers records while a batch is on its way and hands over all of them when it is durable: that is the
//! group commit, and this thread knows nothing of it. It does one thing after another in the order they were asked for, so
//! a read sees every batch handed over before it.

use std::io;
use std::panic;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use smol::channel::Sender;

use super::{Batch, History, Loaded, Start, Store, StoreError};

/// A handle to the store's thread. Every call returns at once; the outcomes come through the channel given to
/// [`Worker::spawn`], in the order of the calls. If that channel closes while the worker is held, its thread has panicked.
pub struct Worker {
    commands: mpsc::Sender<Command>,
    thread: JoinHandle<()>,
}

/// The outcome of something a [`Worker`] was asked to do.
pub enum Done {
    /// The batch is durable.
    Committed {
        /// The batch, whose memory can be used again.
        batch: Batch,
    },
    /// Nothing of the batch was stored, and nothing of a later one will be until a [`Worker::reload`] has succeeded: no
    /// record can land behind a hole.
    CommitFailed {
        /// The batch as it was handed over.
        batch: Batch,
        /// Why; [`StoreError::Halted`] if an earlier commit is to blame.
        error: StoreError,
    },
    /// What was read.
    Read {
        /// The number given to [`Worker::read`].
        ticket: u64,
        /// The bodies in the order they were asked for.
        result: Result<Vec<Vec<u8>>, StoreError>,
    },
    /// What was read of a conversation.
    History {
        /// The number given to [`Worker::history`].
        ticket: u64,
        /// What was asked for.
        result: Result<History, StoreError>,
    },
    /// A snapshot was stored or not.
    Snapshotted {
        /// The last record it contains.
        seq: u64,
        /// If this is an error, the former snapshot and its records are still there.
        result: Result<(), StoreError>,
    },
    /// Everything in the store, read again.
    Reloaded(Result<Contents, StoreError>),
}

/// All a store holds, messages without records excepted.
#[derive(Default)]
pub struct Contents {
    /// The snapshot: the last record it contains, and its bytes.
    pub snapshot: Option<(u64, Vec<u8>)>,
    /// The records after it.
    pub records: Batch,
}

/// What a store can be told to do.
pub enum Command {
    /// Append the batch.
    Commit(Batch),
    /// Read the bodies of messages.
    Read {
        /// Comes back with the outcome.
        ticket: u64,
        /// The messages.
        ids: Vec<u64>,
        /// As of [`Store::messages`].
        budget: usize,
    },
    /// Read a conversation backwards.
    History {
        /// Comes back with the outcome.
        ticket: u64,
        /// Where it begins.
        start: Start,
        /// As of [`Store::history`].
        floor: u64,
        /// As of [`Store::history`].
        limit: usize,
        /// As of [`Store::history`].
        budget: usize,
    },
    /// Store a snapshot.
    Snapshot {
        /// The last record in it.
        seq: u64,
        /// The snapshot.
        bytes: Vec<u8>,
    },
    /// Read everything, and let commits through again if that succeeds.
    Reload,
}

/// A store that does one command after another: the work of a [`Worker`], for whoever brings the thread.
pub struct Executor {
    store: Box<dyn Store>,
    /// Why nothing may be appended.
    halted: Option<String>,
}

impl Executor {
    /// Commands for `store`.
    #[must_use]
    pub fn new(store: Box<dyn Store>) -> Executor {
        Executor { store, halted: None }
    }

    /// Does as it is told. After a commit has failed, everything fails until a reload has succeeded: what is asked for may be what was
    /// lost.
    pub fn execute(&mut self, command: Command) -> Done {
        let store = &mut *self.store;
        let halted = match &self.halted {
            Some(cause) => Err(StoreError::Halted { cause: cause.clone() }),
            None => Ok(()),
        };
        match command {
            Command::Commit(batch) => match halted.and_then(|()| store.append(&batch)) {
                Ok(()) => Done::Committed { batch },
                Err(error) => {
                    self.halted.get_or_insert_with(|| error.to_string());
                    Done::CommitFailed { batch, error }
                }
            },
            Command::Read { ticket, ids, budget } => {
                Done::Read { ticket, result: halted.and_then(|()| store.messages(&ids, budget)) }
            }
            Command::History { ticket, start, floor, limit, budget } => Done::History {
                ticket,
                result: halted.and_then(|()| store.history(start, floor, limit, budget)),
            },
            Command::Snapshot { seq, bytes } => {
                Done::Snapshotted { seq, result: halted.and_then(|()| store.snapshot(seq, &bytes)) }
            }
            Command::Reload => {
                let result = contents(store);
                if result.is_ok() {
                    self.halted = None;
                }
                Done::Reloaded(result)
            }
        }
    }
}

impl Worker {
    /// Starts a thread that owns `store` and reports to `done`.
    ///
    /// # Errors
    /// If the system has no thread to give.
    ///
    /// # Panics
    /// If `done` is bounded: a full channel would stop the thread, and [`Worker::close`] with it.
    pub fn spawn(store: Box<dyn Store>, done: Sender<Done>) -> io::Result<Worker> {
        assert!(done.capacity().is_none(), "the store's reports need an unbounded channel");
        let (commands, queue) = mpsc::channel();
        let thread =
            thread::Builder::new().name("store".to_owned()).spawn(move || run(store, &queue, &done))?;
        Ok(Worker { commands, thread })
    }

    /// Appends `batch` to the store; reports [`Done::Committed`] or [`Done::CommitFailed`].
    pub fn commit(&self, batch: Batch) {
        self.send(Command::Commit(batch));
    }

    /// Reads the bodies of the messages `ids`; reports [`Done::Read`] with `ticket`, which means nothing to the store.
    pub fn read(&self, ticket: u64, ids: Vec<u64>, budget: usize) {
        self.send(Command::Read { ticket, ids, budget });
    }

    /// Reads a conversation [backwards](Store::history); reports [`Done::History`] with `ticket`, which means nothing to the store.
    pub fn history(&self, ticket: u64, start: Start, floor: u64, limit: usize, budget: usize) {
        self.send(Command::History { ticket, start, floor, limit, budget });
    }

    /// Stores a snapshot that contains the records up to `seq`; reports [`Done::Snapshotted`].
    pub fn snapshot(&self, seq: u64, bytes: Vec<u8>) {
        self.send(Command::Snapshot { seq, bytes });
    }

    /// Reads all that is durable and, if that succeeds, lets commits through again; reports [`Done::Reloaded`].
    pub fn reload(&self) {
        self.send(Command::Reload);
    }

    /// Waits until everything asked for is done and the store is closed.
    ///
    /// # Panics
    /// If the thread has panicked, with its panic.
    pub fn close(self) {
        drop(self.commands);
        if let Err(panic) = self.thread.join() {
            panic::resume_unwind(panic);
        }
    }

    fn send(&self, command: Command) {
        // The thread ends before its handle only by a panic, which the owner sees by the closed channel of reports.
        let _ = self.commands.send(command);
    }
}

fn run(store: Box<dyn Store>, queue: &mpsc::Receiver<Command>, done: &Sender<Done>) {
    let mut executor = Executor::new(store);
    for command in queue {
        // Unbounded, so it fails only when nobody listens any more; what was asked for is done all the same.
        let _ = done.try_send(executor.execute(command));
    }
}

fn contents(store: &mut dyn Store) -> Result<Contents, StoreError> {
    let mut contents = Contents::default();
    store.load(&mut |loaded| {
        match loaded {
            Loaded::Snapshot { seq, bytes } => contents.snapshot = Some((seq, bytes.to_vec())),
            Loaded::Record { seq, record } => contents.records.push(seq, record, None),
        }
        Ok(())
    })?;
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use smol::channel::{Receiver, unbounded};

    use super::super::{MessageRef, Place};
    use super::*;

    /// A store in memory whose disk can be made to fail.
    #[derive(Default)]
    struct Fake {
        records: Vec<Vec<u8>>,
        broken: Arc<AtomicBool>,
    }

    impl Fake {
        fn check(&self) -> Result<(), StoreError> {
            let error = StoreError::Io {
                action: "store",
                path: "disk".into(),
                source: io::ErrorKind::StorageFull.into(),
            };
            if self.broken.load(Ordering::SeqCst) { Err(error) } else { Ok(()) }
        }
    }

    impl Store for Fake {
        fn append(&mut self, batch: &Batch) -> Result<(), StoreError> {
            self.check()?;
            self.records.extend(batch.iter().map(|entry| entry.record.to_vec()));
            Ok(())
        }

        fn load(
            &mut self,
            visit: &mut dyn FnMut(Loaded<'_>) -> Result<(), String>,
        ) -> Result<(), StoreError> {
            self.check()?;
            visit(Loaded::Snapshot { seq: 0, bytes: b"empty" }).unwrap();
            for (seq, record) in (1..).zip(&self.records) {
                visit(Loaded::Record { seq, record }).unwrap();
            }
            Ok(())
        }

        fn snapshot(&mut self, _: u64, _: &[u8]) -> Result<(), StoreError> {
            self.check()
        }

        fn messages(&mut self, ids: &[u64], _budget: usize) -> Result<Vec<Vec<u8>>, StoreError> {
            let missing = |id| StoreError::Damaged {
                path: "disk".into(),
                place: Place::Message(id),
                why: "missing".into(),
            };
            ids.iter()
                .map(|&id| self.records.get(id as usize - 1).cloned().ok_or_else(|| missing(id)))
                .collect()
        }

        fn history(
            &mut self,
            start: Start,
            _floor: u64,
            _limit: usize,
            budget: usize,
        ) -> Result<History, StoreError> {
            let (Start::At(id) | Start::Before(id)) = start;
            Ok(History { before: None, messages: self.messages(&[id], budget)?, more: true })
        }
    }

    fn worker() -> (Worker, Receiver<Done>, Arc<AtomicBool>) {
        let broken = Arc::new(AtomicBool::new(false));
        let store = Fake { records: Vec::new(), broken: broken.clone() };
        let (done, reports) = unbounded();
        (Worker::spawn(Box::new(store), done).unwrap(), reports, broken)
    }

    fn one(seq: u64) -> Batch {
        let mut batch = Batch::new();
        let record = format!("record {seq}");
        batch.push(seq, record.as_bytes(), Some(MessageRef { id: seq, prev: 0, at: 0 }));
        batch
    }

    #[track_caller]
    fn committed(reports: &Receiver<Done>) -> Batch {
        match reports.recv_blocking().unwrap() {
            Done::Committed { batch } => batch,
            _ => panic!("not committed"),
        }
    }

    #[track_caller]
    fn failed(reports: &Receiver<Done>) -> (Batch, StoreError) {
        match reports.recv_blocking().unwrap() {
            Done::CommitFailed { batch, error } => (batch, error),
            _ => panic!("not a failed commit"),
        }
    }

    #[test]
    fn commands_are_done_in_order_and_batches_come_back() {
        let (worker, reports, _) = worker();
        worker.commit(one(1));
        worker.read(7, vec![1], usize::MAX);
        worker.read(8, vec![2], usize::MAX);
        worker.history(9, Start::At(1), 0, 1, usize::MAX);
        worker.commit(one(2));
        worker.snapshot(2, b"state".to_vec());

        assert_eq!(committed(&reports).first_seq(), Some(1));
        assert!(matches!(
            reports.recv_blocking().unwrap(),
            Done::Read { ticket: 7, result: Ok(bodies) } if bodies == [b"record 1"]
        ));
        assert!(matches!(
            reports.recv_blocking().unwrap(),
            Done::Read { ticket: 8, result: Err(StoreError::Damaged { place: Place::Message(2), .. }) }
        ));
        assert!(matches!(
            reports.recv_blocking().unwrap(),
            Done::History { ticket: 9, result: Ok(History { messages, .. }) } if messages == [b"record 1"]
        ));
        assert_eq!(committed(&reports).first_seq(), Some(2));
        assert!(matches!(reports.recv_blocking().unwrap(), Done::Snapshotted { seq: 2, result: Ok(()) }));
        worker.close();
        assert!(reports.recv_blocking().is_err(), "a closed worker reports nothing more");
    }

    #[test]
    fn after_a_failure_nothing_is_stored_before_a_reload_succeeds() {
        let (worker, reports, broken) = worker();
        worker.commit(one(1));
        committed(&reports);

        broken.store(true, Ordering::SeqCst);
        worker.commit(one(2));
        let (batch, error) = failed(&reports);
        assert_eq!(batch.first_seq(), Some(2));
        assert!(matches!(error, StoreError::Io { .. }));
        worker.reload();
        assert!(matches!(reports.recv_blocking().unwrap(), Done::Reloaded(Err(_))));

        broken.store(false, Ordering::SeqCst);
        worker.commit(one(3));
        let (_, error) = failed(&reports);
        assert!(matches!(error, StoreError::Halted { .. }));
        assert!(error.to_string().contains("Make room"), "{error}");
        // These may be about what was lost, which is no damage.
        worker.read(7, vec![2], usize::MAX);
        worker.history(8, Start::At(2), 0, 1, usize::MAX);
        worker.snapshot(3, b"state of three".to_vec());
        let errors = [(); 3].map(|()| match reports.recv_blocking().unwrap() {
            Done::Read { result, .. } => result.err(),
            Done::History { result, .. } => result.err(),
            Done::Snapshotted { result, .. } => result.err(),
            _ => None,
        });
        assert!(errors.iter().all(|error| matches!(error, Some(StoreError::Halted { .. }))), "{errors:?}");

        worker.reload();
        let Done::Reloaded(Ok(contents)) = reports.recv_blocking().unwrap() else { panic!("not reloaded") };
        assert_eq!(contents.snapshot, Some((0, b"empty".to_vec())));
        assert_eq!(contents.records.iter().map(|entry| entry.record).collect::<Vec<_>>(), [b"record 1"]);
        worker.commit(one(2));
        committed(&reports);
        worker.close();
    }

    #[test]
    fn closing_finishes_what_was_asked_for() {
        let (worker, reports, _) = worker();
        for seq in 1..=100 {
            worker.commit(one(seq));
        }
        worker.close();
        for seq in 1..=100 {
            assert_eq!(committed(&reports).first_seq(), Some(seq));
        }
    }

    #[test]
    fn commits_go_on_when_nobody_listens() {
        let data = tempfile::TempDir::new().unwrap();
        let (store, _) = super::super::SqliteStore::open(data.path()).unwrap();
        let (done, reports) = unbounded();
        let worker = Worker::spawn(Box::new(store), done).unwrap();
        drop(reports);
        worker.commit(one(1));
        worker.commit(one(2));
        worker.close();
        let (mut store, _) = super::super::SqliteStore::open(data.path()).unwrap();
        assert_eq!(store.messages(&[1, 2], usize::MAX).unwrap(), [b"record 1", b"record 2"]);
    }

    #[test]
    #[should_panic(expected = "unbounded")]
    fn a_bounded_channel_is_refused() {
        let (done, _reports) = smol::channel::bounded(1);
        let _ = Worker::spawn(Box::new(Fake::default()), done);
    }
}
