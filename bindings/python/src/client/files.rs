//! Files, on a thread of their own while Python watches.

use std::{
    io::Cursor,
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use obrolan_server::client::{Client, FileError, Progress, To};
use pyo3::{
    exceptions::PyOSError,
    intern,
    prelude::*,
    types::{PyBytes, PyInt},
};

use super::{GLANCE, convert, not_answered};
use crate::{
    errors::{ApiMisuse, ServerError},
    shared::caught,
};

/// What is sent.
#[derive(FromPyObject)]
pub(super) enum Source {
    Bytes(Vec<u8>),
    Path(PathBuf),
}

/// What Python is called for while a file is under way; an exception there stops it.
pub(super) struct Hooks<'a, 'py> {
    /// With the number of bytes since the last time.
    pub(super) progress: Option<&'a Bound<'py, PyAny>>,
    /// Now and then.
    pub(super) glance: Option<&'a Bound<'py, PyAny>>,
}

enum Told<T> {
    Progress(u64),
    Done(PyResult<T>),
}

pub(super) fn send<'py>(
    py: Python<'py>,
    client: Arc<Client>,
    (to, group, key): (String, bool, Option<String>),
    source: Source,
    name: Option<String>,
    timeout: Duration,
    hooks: &Hooks<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let sent = watched(py, client, hooks, move |client, progress| {
        let key = key.as_deref();
        let to = if group { To::Group(&to) } else { To::User(&to) };
        match (source, name) {
            (Source::Bytes(bytes), name) => client.send_file(
                to,
                key,
                &name.unwrap_or_default(),
                &mut Cursor::new(bytes),
                timeout,
                progress,
            ),
            (Source::Path(path), None) => client.send_file_at(to, key, &path, timeout, progress),
            (Source::Path(path), Some(name)) => {
                client.send_file(to, key, &name, &mut std::fs::File::open(path)?, timeout, progress)
            }
        }
    })?;
    convert::response(py, &sent)
}

pub(super) fn get<'py>(
    py: Python<'py>,
    client: Arc<Client>,
    id: String,
    sha256: Option<String>,
    path: Option<PathBuf>,
    timeout: Duration,
    hooks: &Hooks<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    match path {
        Some(path) => {
            let size = watched(py, client, hooks, move |client, progress| {
                client.get_file_to(&id, sha256.as_deref(), &path, timeout, progress)
            })?;
            Ok(PyInt::new(py, size).into_any())
        }
        None => {
            let bytes = watched(py, client, hooks, move |client, progress| {
                let mut bytes = Vec::new();
                client.get_file(&id, sha256.as_deref(), &mut bytes, timeout, progress).map(|_| bytes)
            })?;
            Ok(PyBytes::new(py, &bytes).into_any())
        }
    }
}

/// Does it on a thread of its own, and waits. An exception, Ctrl-C among them, ends the waiting at once and the work soon after.
fn watched<T: Send + 'static>(
    py: Python<'_>,
    client: Arc<Client>,
    hooks: &Hooks<'_, '_>,
    work: impl FnOnce(&Client, &mut Progress<'_>) -> Result<T, FileError> + Send + 'static,
) -> PyResult<T> {
    let (tell, mut told) = mpsc::channel();
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = stopped.clone();
    let run = move || {
        let mut progress = |done, _| {
            // Nobody may be waiting any more.
            let _ = tell.send(Told::Progress(done));
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let result = caught(|| work(&client, &mut progress).map_err(|error| failed(&client, error)));
        let _ = tell.send(Told::Done(result.and_then(|result| result)));
    };
    thread::Builder::new().name("obrolan-file".to_owned()).spawn(run).map_err(|error| {
        PyOSError::new_err(format!("the system has no thread to give ({error}); see its limits"))
    })?;
    let watch = || {
        let mut passed = 0;
        loop {
            let got;
            (told, got) = py.detach(|| {
                let got = told.recv_timeout(GLANCE);
                (told, got)
            });
            match got {
                Ok(Told::Done(result)) => return result,
                Ok(Told::Progress(done)) => {
                    if let Some(progress) = hooks.progress.filter(|_| done > passed) {
                        progress.call1((done - passed,))?;
                    }
                    passed = passed.max(done);
                }
                Err(RecvTimeoutError::Timeout) => {
                    py.check_signals()?;
                    if let Some(glance) = hooks.glance {
                        glance.call0()?;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => unreachable!("the thread tells how it ends"),
            }
        }
    };
    let result = watch();
    stopped.store(true, Ordering::Relaxed);
    result
}

fn failed(client: &Client, error: FileError) -> PyErr {
    match error {
        FileError::Io(error) => error.into(),
        FileError::Call(error) => not_answered(client, error),
        FileError::Refused(response) => Python::attach(|py| {
            // As obrolan.requests raises for any other request.
            let raised = convert::response(py, &response)
                .and_then(|response| response.call_method0(intern!(py, "checked")));
            raised.map_or_else(|error| error, |_| unreachable!("what was refused is no OK"))
        }),
        FileError::Damaged => ServerError::new_err(error.to_string()),
        error => ApiMisuse::new_err(error.to_string()),
    }
}
