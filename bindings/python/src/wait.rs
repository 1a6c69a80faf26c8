//! Waiting that Ctrl-C ends.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use pyo3::{exceptions::PyOSError, prelude::*};

use crate::shared::caught;

/// How long a signal may go unnoticed. A result is noticed at once.
pub(crate) const GLANCE: Duration = Duration::from_millis(50);

/// Does work that takes its time on a thread of its own, and waits for it. A signal whose handler raises ends the waiting, not the work: its
/// result is dropped when it is there.
pub(crate) fn interruptible<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> T + Send + 'static,
) -> PyResult<T> {
    let (done, mut result) = mpsc::channel();
    let work = move || {
        // Nobody may be waiting any more.
        let _ = done.send(caught(work));
    };
    thread::Builder::new().name("obrolan-wait".to_owned()).spawn(work).map_err(|error| {
        PyOSError::new_err(format!("the system has no thread to give ({error}); see its limits"))
    })?;
    loop {
        let got;
        (result, got) = py.detach(move || {
            let got = result.recv_timeout(GLANCE);
            (result, got)
        });
        match got {
            Ok(done) => return done,
            Err(RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(RecvTimeoutError::Disconnected) => unreachable!("the thread sends before it ends"),
        }
    }
}

/// Waits for something that can be waited for piece by piece, on this thread: `wait` does so for as long as it is told, and is called again
/// if nothing came. `None` if nothing came in time.
pub(crate) fn in_slices<T: Send>(
    py: Python<'_>,
    until: Option<Instant>,
    mut wait: impl FnMut(Duration) -> Option<T> + Send,
) -> PyResult<Option<T>> {
    loop {
        let left = until.map_or(GLANCE, |until| until.saturating_duration_since(Instant::now()));
        let found = py.detach(|| caught(|| wait(left.min(GLANCE))))?;
        if found.is_some() {
            return Ok(found);
        }
        py.check_signals()?;
        if left.is_zero() {
            return Ok(None);
        }
    }
}
