//! The store's part of the hub: what is on its way to it, what comes back, and what happens when it fails.

use std::{rc::Rc, time::Duration};

use obrolan::{Answer, Engine, Seq, Ticket};
use smol::{Timer, channel::Receiver};

use super::{super::seed, Hub};
use crate::store::{Batch, Contents, Done, History, StoreError, Worker};

/// How many records after a snapshot the next is made, unless there are more accounts than that: then as many as those, so that a
/// record's share of a snapshot stays the same.
const SNAPSHOT_RECORDS: usize = 100_000;

/// How long to wait before the store is tried again after it failed, at first and at most.
const RETRY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// The store's thread, and what is on its way to it.
pub(super) struct Storing {
    pub(super) worker: Worker,
    /// Records that gather while a commit is on its way to the disk.
    pub(super) gathering: Batch,
    /// The memory of the batch that came back.
    spare: Batch,
    /// Commits that are on their way, and the bytes of their records.
    in_flight: usize,
    in_flight_bytes: usize,
    /// How many records are not in the last snapshot.
    since_snapshot: usize,
    snapshotting: bool,
}

impl Storing {
    /// `since_snapshot` is how many records are not in the last snapshot.
    pub(super) fn new(worker: Worker, since_snapshot: usize) -> Storing {
        Storing {
            worker,
            gathering: Batch::new(),
            spare: Batch::new(),
            in_flight: 0,
            in_flight_bytes: 0,
            since_snapshot,
            snapshotting: false,
        }
    }

    /// Stores what is left, and closes the store.
    pub(super) fn close(self, engine: &Engine) {
        if !self.gathering.is_empty() {
            self.worker.commit(self.gathering);
        }
        if self.since_snapshot > 0
            && let Ok(snapshot) = engine.snapshot()
        {
            // So that the next start reads one snapshot and no journal.
            self.worker.snapshot(snapshot.seq.0, snapshot.bytes);
        }
        self.worker.close();
    }

    /// Whether all that was handed over is stored.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.gathering.is_empty()
    }

    /// Bytes of records that are not stored yet.
    pub(super) fn waiting(&self) -> usize {
        self.in_flight_bytes + self.gathering.bytes()
    }

    /// Hands over what gathers if the message `newest`, or one before it that the store is about to be asked for, is among it. Messages have growing numbers.
    pub(super) fn commit_for(&mut self, newest: u64) {
        if self.gathering.first_message().is_some_and(|first| first <= newest) {
            self.commit_now();
        }
    }

    pub(super) fn commit_when_idle(&mut self) {
        if self.in_flight == 0 {
            self.commit_now();
        }
    }

    fn commit_now(&mut self) {
        if !self.gathering.is_empty() {
            self.in_flight += 1;
            self.in_flight_bytes += self.gathering.bytes();
            self.since_snapshot += self.gathering.len();
            let batch = std::mem::replace(&mut self.gathering, std::mem::take(&mut self.spare));
            self.worker.commit(batch);
        }
    }

    /// A commit that was on its way is not any more.
    fn arrived(&mut self, batch: &Batch) {
        self.in_flight -= 1;
        self.in_flight_bytes -= batch.bytes();
    }

    pub(super) fn snapshot_when_due(&mut self, engine: &Engine) {
        let due = self.since_snapshot >= SNAPSHOT_RECORDS.max(engine.accounts());
        // Every record must be handed over: the store takes a snapshot only of records it has.
        if due
            && !self.snapshotting
            && self.gathering.is_empty()
            && let Ok(snapshot) = engine.snapshot()
        {
            self.worker.snapshot(snapshot.seq.0, snapshot.bytes);
            self.since_snapshot = 0;
            self.snapshotting = true;
        }
    }
}

impl Hub {
    /// The store has read what the engine asked for, or not.
    fn read(&self, ticket: u64, result: Result<Answer, StoreError>) {
        let answer = result.unwrap_or_else(|error| {
            // That the store has failed is told already.
            if !matches!(error, StoreError::Halted { .. }) {
                self.unreadable.tell(|others| tracing::error!(others, "messages cannot be read: {error}"));
            }
            Answer::Failed
        });
        self.answer(Ticket(ticket), answer);
    }

    /// The store has failed: nothing of these records is stored.
    fn store_failed(self: &Rc<Self>, batch: &Batch, error: &StoreError) {
        tracing::error!("the store failed: {error}");
        tracing::error!("every request is answered `unavailable` until the store works again");
        if let Some(store) = &mut *self.store.borrow_mut() {
            store.gathering.clear();
            // The engine's state is not what is stored, until it is restored: nothing to make a snapshot of.
            store.since_snapshot = 0;
        }
        let from = Seq(batch.first_seq().expect("no batch is empty"));
        if let Err(error) = self.input(|engine, now| engine.persist_failed(now, from)) {
            tracing::error!("the engine does not know the records that failed: {error}");
        }
        self.reload_after(RETRY[0]);
    }

    fn reload_after(self: &Rc<Self>, delay: Duration) {
        let hub = self.clone();
        self.spawn(async move {
            Timer::after(delay).await;
            if let Some(store) = &*hub.store.borrow() {
                store.worker.reload();
            }
        });
    }

    /// Goes on from what the store holds after it has failed.
    fn restore(&self, contents: Contents) -> Result<(), String> {
        let recovered = (|| {
            let mut recovery = Engine::recover(self.config.engine(), seed().map_err(|e| e.to_string())?)
                .map_err(|e| e.to_string())?;
            if let Some((_, bytes)) = contents.snapshot {
                recovery.snapshot(&bytes).map_err(|e| e.to_string())?;
            }
            for entry in contents.records.iter() {
                recovery.record(Seq(entry.seq), entry.record).map_err(|e| e.to_string())?;
            }
            recovery.start(self.clock.now()).map_err(|e| e.to_string())
        })()?;
        self.input(|engine, now| engine.restore(now, recovered)).map_err(|error| error.to_string())?;
        if let Some(store) = &mut *self.store.borrow_mut() {
            store.since_snapshot = contents.records.len();
        }
        Ok(())
    }
}

/// Hands the engine what the store did.
pub(in super::super) async fn stored(hub: Rc<Hub>, done: Receiver<Done>) {
    if hub.store.borrow().is_none() {
        return;
    }
    let mut retry = RETRY[0];
    while let Ok(done) = done.recv().await {
        match done {
            Done::Committed { mut batch } => {
                let up_to = Seq(batch.last_seq().expect("no batch is empty"));
                if let Some(store) = &mut *hub.store.borrow_mut() {
                    store.arrived(&batch);
                    batch.clear();
                    store.spare = batch;
                    store.commit_when_idle();
                }
                if let Err(error) = hub.input(|engine, now| engine.persisted(now, up_to)) {
                    tracing::error!("the engine does not know the records that were stored: {error}");
                }
                hub.store_room.wake();
                hub.progress.raise();
            }
            Done::CommitFailed { batch, error } => {
                if let Some(store) = &mut *hub.store.borrow_mut() {
                    store.arrived(&batch);
                }
                hub.store_room.wake();
                hub.progress.raise();
                // The first failure is told to the engine; the batches behind it share its fate.
                if !matches!(error, StoreError::Halted { .. }) {
                    retry = RETRY[0];
                    hub.store_failed(&batch, &error);
                }
            }
            Done::Read { ticket, result } => hub.read(ticket, result.map(Answer::Messages)),
            Done::History { ticket, result } => {
                let answer = |History { before, messages, more }| Answer::History { before, messages, more };
                hub.read(ticket, result.map(answer));
            }
            Done::Snapshotted { seq, result } => {
                if let Some(store) = &mut *hub.store.borrow_mut() {
                    store.snapshotting = false;
                }
                match result {
                    Ok(()) => tracing::debug!(seq, "stored a snapshot"),
                    Err(error) => tracing::warn!("a snapshot was not stored; the journal grows: {error}"),
                }
            }
            Done::Reloaded(reloaded) => {
                match reloaded.map_err(|error| error.to_string()).and_then(|contents| hub.restore(contents)) {
                    Ok(()) => tracing::info!("the store works again"),
                    Err(error) => {
                        retry = (retry * 2).min(RETRY[1]);
                        tracing::error!("the store still fails: {error}; trying again in {retry:?}");
                        hub.reload_after(retry);
                    }
                }
            }
        }
    }
    hub.failed.raise();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use smol::channel;

    use super::*;
    use crate::store::{Loaded, MessageRef, Start, Store};

    /// A store whose commits wait until they are let through.
    struct Slow(mpsc::Receiver<()>);

    impl Store for Slow {
        fn append(&mut self, _: &Batch) -> Result<(), StoreError> {
            self.0.recv().expect("every commit is let through");
            Ok(())
        }

        fn load(&mut self, _: &mut dyn FnMut(Loaded<'_>) -> Result<(), String>) -> Result<(), StoreError> {
            unreachable!("nothing is loaded")
        }

        fn snapshot(&mut self, _: u64, _: &[u8]) -> Result<(), StoreError> {
            unreachable!("no snapshot is made")
        }

        fn messages(&mut self, _: &[u64], _: usize) -> Result<Vec<Vec<u8>>, StoreError> {
            unreachable!("nothing is read")
        }

        fn history(&mut self, _: Start, _: u64, _: usize, _: usize) -> Result<History, StoreError> {
            unreachable!("nothing is read")
        }
    }

    fn push(store: &mut Storing, message: u64) {
        store.gathering.push(message, &[b'x'; 100], Some(MessageRef { id: message, prev: 0, at: 0 }));
    }

    #[test]
    fn what_is_on_its_way_counts_until_it_arrives_and_reads_of_older_messages_let_more_gather() {
        let (let_through, commits) = mpsc::channel();
        let (done, reports) = channel::unbounded();
        let mut store = Storing::new(Worker::spawn(Box::new(Slow(commits)), done).unwrap(), 0);
        push(&mut store, 1);
        store.commit_when_idle();
        for message in 2..=10 {
            push(&mut store, message);
            store.commit_when_idle();
            store.commit_for(1);
        }
        assert_eq!((store.in_flight, store.gathering.len(), store.waiting()), (1, 9, 1000));
        store.commit_for(2);
        assert_eq!((store.in_flight, store.gathering.len(), store.waiting()), (2, 0, 1000));

        for waiting in [900, 0] {
            let_through.send(()).unwrap();
            let Done::Committed { batch } = reports.recv_blocking().unwrap() else { panic!("not committed") };
            store.arrived(&batch);
            assert_eq!(store.waiting(), waiting);
        }
        assert!(store.is_idle());
        store.worker.close();
    }
}
