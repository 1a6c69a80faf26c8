//! The client, as obrolan.Client and obrolan.AsyncClient use it.

mod convert;
mod files;

use std::{
    process,
    sync::Arc,
    time::{Duration, Instant},
};

use obrolan::{
    client::RequestError,
    wire::{Code, ParseError, Structured},
};
use obrolan_server::client::{self, Call, CallError, Client, Ended, OpenError, Options, Url};
use pyo3::{prelude::*, types::PyList};

use self::convert::Given;
use crate::{
    errors::{ApiMisuse, AuthError, ConnectionLost, RateLimited, Timeout},
    shared::caught,
    wait::{GLANCE, in_slices, interruptible},
};

/// What is done at once does not wait at all.
const AT_ONCE: Duration = Duration::ZERO;

/// A connection to a server that keeps itself up. Threads may share it. Timeouts are seconds, or None for no end.
///
/// It begins to connect when it is made, and goes on trying until it is logged in or the server refuses the login for good. `after` says
/// which messages come as events: those with numbers beyond it, or None for none.
#[pyclass(frozen, module = "obrolan._obrolan")]
pub(crate) struct RawClient {
    /// There until it is dropped.
    client: Option<Arc<Client>>,
    /// Threads are of one process, and not of those that fork from it.
    process: u32,
}

#[pymethods]
impl RawClient {
    #[new]
    #[pyo3(signature = (url, after))]
    fn new(url: &str, after: Option<u64>) -> PyResult<RawClient> {
        let started =
            caught(|| Client::start(&parsed(url)?, &Options { messages: after }).map_err(not_open))?;
        Ok(RawClient { client: Some(Arc::new(started?)), process: process::id() })
    }

    /// Wait until it is logged in, which no event tells then.
    ///
    /// Raises AuthError if the server refuses the login, RateLimited if it does so for now, ConnectionLost if the first attempt fails,
    /// Timeout.
    fn wait_for_login(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let client = self.client()?;
        let wait = |slice| match client.wait_for_login(slice) {
            Err(OpenError::Timeout) => None,
            result => Some(result),
        };
        match in_slices(py, deadline(timeout)?, wait)? {
            Some(result) => result.map_err(not_open),
            None => Err(not_open(OpenError::Timeout)),
        }
    }

    /// Make a request and wait for its answer: a dict of the request's name and its parameters, or a line as it is.
    ///
    /// Raises Timeout, ConnectionLost if there is no connection when the time is over or the client has ended, ApiMisuse if it is no
    /// request.
    #[pyo3(signature = (request, timeout, key = None))]
    fn ask<'py>(
        &self,
        py: Python<'py>,
        request: &Bound<'py, PyAny>,
        timeout: Option<f64>,
        key: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let client = self.client()?;
        let (given, until) = (Given::new(request)?, deadline(timeout)?);
        let made = in_slices(py, until, |slice| {
            match given.with_call(key, |call| client.ask(call)) {
                // Others' answers make room.
                Ok(Err(CallError::Request(RequestError::Full))) => {
                    std::thread::sleep(slice);
                    None
                }
                made => Some(made),
            }
        })?;
        let Some(made) = made else { return Err(not_answered(client, CallError::Timeout)) };
        let mut asked = made?.map_err(|error| not_answered(client, error))?;
        match in_slices(py, until, |slice| asked.wait(slice).transpose())? {
            Some(answered) => convert::response(py, &answered.map_err(ended)?),
            None => Err(not_answered(client, CallError::Timeout)),
        }
    }

    /// Make a request whose answer comes out of take_events under the number that this returns; None if there is no room for it now.
    #[pyo3(signature = (request, key = None))]
    fn post(&self, request: &Bound<'_, PyAny>, key: Option<&str>) -> PyResult<Option<u64>> {
        let client = self.client()?;
        let given = Given::new(request)?;
        match caught(|| given.with_call(key, |call| client.post(call)))?? {
            Ok(id) => Ok(Some(id.0)),
            Err(CallError::Request(RequestError::Full)) => Ok(None),
            Err(error) => Err(not_answered(client, error)),
        }
    }

    /// The next event; None if none comes in time.
    ///
    /// Raises AuthError or ConnectionLost when the client has ended, and all its events are taken.
    fn next_event<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let client = self.client()?;
        let event = in_slices(py, deadline(timeout)?, |slice| client.next_event(slice).transpose())?;
        event.map(|event| convert::event(py, event.map_err(ended)?)).transpose()
    }

    /// Events that are there already, at most so many of them, each as it is or, the answer to a request that was posted, as a tuple of
    /// the request's number and its response.
    ///
    /// Raises as next_event.
    fn take_events<'py>(&self, py: Python<'py>, most: usize) -> PyResult<Bound<'py, PyList>> {
        let client = self.client()?;
        let events = PyList::empty(py);
        while events.len() < most {
            match caught(|| client.next_event(AT_ONCE))? {
                Ok(Some(event)) => events.append(convert::event(py, event)?)?,
                Ok(None) => break,
                // Told when it is the only thing there is to tell.
                Err(why) if events.is_empty() => return Err(ended(why)),
                Err(_) => break,
            }
        }
        Ok(events)
    }

    /// Have messages wait where they are, or let them come again: while they are held, other events pass.
    fn hold_messages(&self, held: bool) -> PyResult<()> {
        let client = self.client()?;
        caught(|| client.hold_messages(held))
    }

    /// Confirm all messages up to a number: they do not come again. Returns at once.
    fn confirm(&self, id: u64) -> PyResult<()> {
        let client = self.client()?;
        caught(|| client.confirm(id))
    }

    /// A descriptor that is readable while there are events to take, or the client has ended. For polling alone.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.client()?.fd())
    }

    /// Whether it is logged in right now.
    #[getter]
    fn connected(&self) -> PyResult<bool> {
        let client = self.client()?;
        caught(|| client.is_connected())
    }

    /// End it, after waiting so many seconds at most for what was asked and confirmed to be answered.
    fn close(&self, py: Python<'_>, patience: f64) -> PyResult<()> {
        let client = self.client()?.clone();
        let patience = seconds(patience)?;
        interruptible(py, move || client.close(patience))
    }

    /// Send bytes, or the file at a path, to a user or a group; returns the response, or raises as obrolan.Client.send_file.
    #[pyo3(signature = (to, group, key, content, name, timeout, progress, glance))]
    #[allow(clippy::too_many_arguments, reason = "obrolan.Client has defaults for them")]
    fn send_file<'py>(
        &self,
        py: Python<'py>,
        to: &str,
        group: bool,
        key: Option<String>,
        content: files::Source,
        name: Option<String>,
        timeout: f64,
        progress: Option<&Bound<'py, PyAny>>,
        glance: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let hooks = files::Hooks { progress, glance };
        files::send(
            py,
            self.client()?.clone(),
            (to.to_owned(), group, key),
            content,
            name,
            seconds(timeout)?,
            &hooks,
        )
    }

    /// Fetch a file to a path, and return its size; or, without a path, return its bytes.
    #[pyo3(signature = (id, sha256, path, timeout, progress, glance))]
    #[allow(clippy::too_many_arguments, reason = "obrolan.Client has defaults for them")]
    fn get_file<'py>(
        &self,
        py: Python<'py>,
        id: String,
        sha256: Option<String>,
        path: Option<std::path::PathBuf>,
        timeout: f64,
        progress: Option<&Bound<'py, PyAny>>,
        glance: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let hooks = files::Hooks { progress, glance };
        files::get(py, self.client()?.clone(), id, sha256, path, seconds(timeout)?, &hooks)
    }
}

impl RawClient {
    fn client(&self) -> PyResult<&Arc<Client>> {
        if self.process != process::id() {
            return Err(ApiMisuse::new_err(
                "this client is of the process that this one was forked from; make one after the fork",
            ));
        }
        Ok(self.client.as_ref().expect("it is there until it is dropped"))
    }
}

impl Drop for RawClient {
    fn drop(&mut self) {
        let client = self.client.take();
        if self.process != process::id() {
            // Its thread is not here, and could be waited for forever.
            std::mem::forget(client);
            return;
        }
        // It waits for its thread; other Python threads run meanwhile.
        Python::attach(|py| py.detach(|| drop(client)));
    }
}

/// Make an account for the user of a URL; returns the response.
#[pyfunction]
pub(crate) fn register<'py>(
    py: Python<'py>,
    url: &str,
    country: String,
    name: String,
    timeout: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let (url, timeout) = (parsed(url)?, seconds(timeout)?);
    let registered = interruptible(py, move || client::register(&url, &country, &name, timeout))?;
    convert::response(py, &registered.map_err(not_open)?)
}

/// A URL's host, port and user, who may be missing.
///
/// Raises obrolan.ApiMisuse if it is none.
#[pyfunction]
pub(crate) fn parse_url(url: &str) -> PyResult<(String, u16, Option<String>)> {
    let url = parsed(url)?;
    Ok((url.server.host().to_owned(), url.server.port(), url.user))
}

fn parsed(url: &str) -> PyResult<Url> {
    Url::parse(url).map_err(|error| ApiMisuse::new_err(error.to_string()))
}

fn seconds(timeout: f64) -> PyResult<Duration> {
    if timeout.is_nan() || timeout < 0.0 {
        return Err(ApiMisuse::new_err(format!(
            "{timeout} is no timeout; give seconds from 0 on, or None where a call may wait forever"
        )));
    }
    Ok(Duration::try_from_secs_f64(timeout).unwrap_or(Duration::MAX))
}

/// When a timeout is over, if ever.
fn deadline(timeout: Option<f64>) -> PyResult<Option<Instant>> {
    Ok(timeout.map(seconds).transpose()?.and_then(|timeout| Instant::now().checked_add(timeout)))
}

fn not_open(error: OpenError) -> PyErr {
    match error {
        OpenError::Incomplete(_) | OpenError::Login(_) => ApiMisuse::new_err(error.to_string()),
        OpenError::Timeout => Timeout::new_err(error.to_string()),
        OpenError::Ended(why) => ended(why),
        OpenError::System(error) => error.into(),
        OpenError::NotNow(ref response) => match response.retry_after() {
            Some(wait) => RateLimited::new_err(wait.as_secs_f64()),
            None => ConnectionLost::new_err(error.to_string()),
        },
        error => ConnectionLost::new_err(error.to_string()),
    }
}

fn ended(why: Ended) -> PyErr {
    match why {
        Ended::Refused(_) => AuthError::new_err(why.to_string()),
        why => ConnectionLost::new_err(why.to_string()),
    }
}

fn not_answered(client: &Client, error: CallError) -> PyErr {
    match error {
        CallError::Ended(why) => ended(why),
        CallError::Request(error) => ApiMisuse::new_err(error.to_string()),
        CallError::Timeout if !client.is_connected() => ConnectionLost::new_err(
            "there is no connection to the server; the request is made when there is one again, unless the client is closed before",
        ),
        error => Timeout::new_err(error.to_string()),
    }
}
