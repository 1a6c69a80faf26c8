//! Waiting that Ctrl-C ends.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use pyo3::{exceptions::PyOSError, prelude::*};

use crate::shared::caught;

/// How long a signal may go unnoticed. A result is noticed at once.
const GLANCE: Duration = Duration::from_millis(50);

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
