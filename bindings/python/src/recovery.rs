//! From a snapshot and a journal back to an engine.

use obrolan::{Seq, Time};
use pyo3::prelude::*;

use crate::{
    buffer::Content,
    engine::Engine,
    errors::{self, ApiMisuse},
    shared::Shared,
    value::value,
};

value! {
    /// The whole state at a point of the journal.
    Snapshot {
        /// The last record in it. A host may drop the journal up to here once the snapshot is durable, and must not use the snapshot
        /// before this record is durable itself.
        seq: u64,
        /// What Recovery.snapshot takes.
        content: Content,
    }
}

/// Rebuilds an engine: the snapshot if there is one, then every record after it in order, then start. Engine.recover makes it.
///
/// After an obrolan.RecoveryError it is over.
#[pyclass(frozen, module = "obrolan.engine")]
pub(crate) struct Recovery {
    /// Gone when it has started an engine, or met an error.
    shared: Shared<Option<obrolan::Recovery>>,
}

impl Recovery {
    pub(crate) fn new(recovery: obrolan::Recovery) -> Recovery {
        Recovery { shared: Shared::new(Some(recovery)) }
    }

    /// The engine, as it was after the last record.
    pub(crate) fn finish(&self, py: Python<'_>, now: u64) -> PyResult<obrolan::Engine> {
        let finished =
            self.shared.detached(py, |held| held.take().map(|recovery| recovery.start(Time(now))))?;
        finished.ok_or_else(over)?.map_err(errors::recovery)
    }

    /// Takes something in; an error ends the recovery.
    fn take(
        &self,
        py: Python<'_>,
        take: impl FnOnce(&mut obrolan::Recovery) -> Result<(), obrolan::RecoveryError> + Send,
    ) -> PyResult<()> {
        let taken = self.shared.detached(py, |held| {
            let taken = held.as_mut().map(take);
            if !matches!(taken, Some(Ok(()))) {
                *held = None;
            }
            taken
        })?;
        taken.ok_or_else(over)?.map_err(errors::recovery)
    }
}

fn over() -> PyErr {
    ApiMisuse::new_err(
        "this recovery has started its engine, or met an error; begin a new one with Engine.recover",
    )
}

#[pymethods]
impl Recovery {
    /// Take a snapshot; first of all, and at most one.
    ///
    /// Raises obrolan.RecoveryError if it is damaged or came late.
    #[pyo3(signature = (content, /))]
    fn snapshot(&self, py: Python<'_>, content: Content) -> PyResult<()> {
        let content = content.get(py);
        self.take(py, |recovery| recovery.snapshot(content))
    }

    /// Take the next record.
    ///
    /// Raises obrolan.RecoveryError if it is damaged or not the next one.
    fn record(&self, py: Python<'_>, seq: u64, record: Content) -> PyResult<()> {
        let record = record.get(py);
        self.take(py, |recovery| recovery.record(Seq(seq), record))
    }

    /// The engine, as it was after the last record.
    ///
    /// Raises obrolan.RecoveryError if the engine is to keep the bodies of messages or the contents of files itself, and one did not come
    /// with the journal.
    fn start(&self, py: Python<'_>, now: u64) -> PyResult<Engine> {
        self.finish(py, now).map(Engine::wrap)
    }
}
