//! The server in this process.

use std::{
    mem,
    net::SocketAddr,
    process,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use obrolan_server::{
    config::ServerConfig,
    log,
    server::{RunningServer, StartError},
};
use pyo3::{
    exceptions::PyTypeError,
    intern,
    prelude::*,
    types::{PyBool, PyDict, PyInt, PyList, PyString, PyTuple},
};
use toml::{Table, Value};

use crate::{
    errors::{ApiMisuse, ConfigError, ServerError},
    wait::interruptible,
};

/// The real server in this process, on a thread of its own, for tests and small deployments. It serves when this returns, until stop or
/// the end of its with block.
///
/// Settings are those of the configuration file, with its names and forms; those of a section come as a dict:
///
///     Server(accounts={"registration": "closed"}, limits={"connections": 100, "line": "64 KiB"})
///
/// Unless they say otherwise, the system chooses a port of this machine alone, nothing is kept, and nothing is logged. A log goes to
/// standard error; the first server that has one sets what is logged of all servers in the process.
///
/// Raises obrolan.ConfigError if a setting is wrong, and obrolan.ServerError if the server does not start.
#[pyclass(frozen, module = "obrolan")]
pub(crate) struct Server {
    address: SocketAddr,
    url: String,
    /// Gone when it was stopped.
    running: Mutex<Option<RunningServer>>,
    /// Threads are of one process, and not of those that fork from it.
    process: u32,
}

#[pymethods]
impl Server {
    #[new]
    #[pyo3(signature = (*, listen = "127.0.0.1:0", storage = "memory", log = "off", **settings))]
    fn new(
        py: Python<'_>,
        listen: &str,
        storage: &str,
        log: &str,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Server> {
        let mut table = settings.map(table).transpose()?.unwrap_or_default();
        for (name, value) in [("listen", listen), ("storage", storage), ("log", log)] {
            table.insert(name.to_owned(), Value::from(value));
        }
        // The place in this text says nothing to anybody.
        Server::start(py, &table.to_string(), "")
    }

    /// A server with the configuration that this text is, as a file for "obrolan serve" has it. It logs as the program does.
    ///
    /// Raises obrolan.ConfigError if the text is wrong, saying where, and obrolan.ServerError if the server does not start.
    #[staticmethod]
    fn from_toml(py: Python<'_>, text: &str) -> PyResult<Server> {
        Server::start(py, text, "<string>")
    }

    /// Where it listens, as an obrolan URL.
    #[getter]
    fn url(&self) -> String {
        self.url.clone()
    }

    /// Where it listens: the host's IP address and the port, as socket.create_connection takes them.
    #[getter]
    fn address(&self) -> (String, u16) {
        (self.address.ip().to_string(), self.address.port())
    }

    /// Stop it: subscribers are told, what was asked is answered, all is stored. Returns when it has stopped; does nothing if that was
    /// asked before.
    ///
    /// Raises obrolan.ServerError if it could not go on, now or earlier.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process()?;
        let Some(running) = self.taken() else { return Ok(()) };
        interruptible(py, || running.stop())?.map_err(|error| ServerError::new_err(error.to_string()))
    }

    /// Put its clock forward by so many seconds, for tests: what is due by then is done when this returns.
    fn _put_forward(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        self.check_process()?;
        let by = Duration::try_from_secs_f64(seconds)
            .map_err(|_| ApiMisuse::new_err(format!("no clock goes forward by {seconds} seconds")))?;
        py.detach(|| {
            if let Some(running) = &*self.running.lock().unwrap_or_else(PoisonError::into_inner) {
                running.put_forward(by);
            }
        });
        Ok(())
    }

    fn __enter__<'py>(this: &Bound<'py, Self>) -> Bound<'py, Self> {
        this.clone()
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.stop(py)
    }

    fn __repr__(&self) -> String {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let state = if running { "" } else { ", stopped" };
        format!("<Server {}{state}>", self.url())
    }
}

impl Server {
    fn start(py: Python<'_>, text: &str, name: &str) -> PyResult<Server> {
        let config =
            ServerConfig::from_toml(text, name).map_err(|error| ConfigError::new_err(error.to_string()))?;
        if config.ready_file.is_some() {
            return Err(ConfigError::new_err(
                "ready_file: only \"obrolan serve\" writes it; here, Server.address tells where clients connect to",
            ));
        }
        if config.log.as_str() != "off" {
            log::init(&config.log);
        }
        let started = interruptible(py, move || {
            let server = obrolan_server::server::Server::bind(&config)?;
            Ok::<_, StartError>(server.spawn()?)
        })?;
        let running = started.map_err(|error| ServerError::new_err(error.to_string()))?;
        let (address, url) = (running.local_addr(), running.url());
        Ok(Server { address, url, running: Mutex::new(Some(running)), process: process::id() })
    }

    fn taken(&self) -> Option<RunningServer> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn check_process(&self) -> PyResult<()> {
        if self.process == process::id() {
            return Ok(());
        }
        Err(ApiMisuse::new_err(
            "this server runs in the process that this one was forked from; start one after the fork",
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(running) = self.taken() else { return };
        if self.check_process().is_err() {
            // Its thread is not here, and could be waited for forever.
            mem::forget(running);
            return;
        }
        // It waits for its thread; other Python threads run meanwhile.
        Python::attach(|py| py.detach(|| drop(running)));
    }
}

/// Settings as TOML.
fn table(settings: &Bound<'_, PyDict>) -> PyResult<Table> {
    settings.iter().map(|(key, given)| Ok((key.extract()?, value(&given)?))).collect()
}

/// A setting's value as TOML.
fn value(given: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Ok(truth) = given.cast::<PyBool>() {
        Ok(Value::from(truth.is_true()))
    } else if given.is_instance_of::<PyInt>() {
        Ok(Value::from(given.extract::<i64>()?))
    } else if given.is_instance_of::<PyString>() {
        Ok(Value::from(given.extract::<String>()?))
    } else if given.is_instance_of::<PyList>() || given.is_instance_of::<PyTuple>() {
        given.try_iter()?.map(|item| value(&item?)).collect::<PyResult<Vec<_>>>().map(Value::from)
    } else if let Ok(section) = given.cast::<PyDict>() {
        table(section).map(Value::from)
    } else if let Ok(path) = given.call_method0(intern!(given.py(), "__fspath__")) {
        Ok(Value::from(path.extract::<String>()?))
    } else {
        Err(PyTypeError::new_err(format!(
            "a setting is a str, an int, a bool, a path, a list of str or, for a section, a dict; not {}",
            given.get_type().name()?
        )))
    }
}
