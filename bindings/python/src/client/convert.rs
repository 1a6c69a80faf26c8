//! Requests as Rust takes them, answers and events as Python does.

use obrolan::client::{Content, File, Message, Response};
use obrolan_server::client::Event;
use pyo3::{
    IntoPyObjectExt,
    exceptions::PyTypeError,
    intern,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyList, PyString, PyType},
};
use serde_json::{Map, Value};

use super::{Call, Code, ParseError, Structured};
use crate::errors::ApiMisuse;

/// A request as Python gives it.
pub(super) enum Given {
    Line(String),
    /// In the structured form: that names parameters as Python does, and what a request looks like is told in one place.
    Named(String),
}

impl Given {
    pub(super) fn new(request: &Bound<'_, PyAny>) -> PyResult<Given> {
        if let Ok(line) = request.cast::<PyString>() {
            return Ok(Given::Line(line.extract()?));
        }
        let mut fields = Map::new();
        for (name, value) in request.cast::<PyDict>()? {
            let value = if value.is_none() {
                Value::Null
            } else if let Ok(text) = value.cast::<PyString>() {
                text.extract::<String>()?.into()
            } else if let Ok(number) = value.extract::<u64>() {
                number.into()
            } else {
                return Err(PyTypeError::new_err(format!(
                    "{name} is a str or an int from 0 on; not {}",
                    value.repr()?
                )));
            };
            fields.insert(name.extract()?, value);
        }
        Ok(Given::Named(Value::Object(fields).to_string()))
    }

    /// Does something with the request; the error is that it is none.
    pub(super) fn with_call<T>(&self, key: Option<&str>, make: impl FnOnce(Call<'_>) -> T) -> PyResult<T> {
        match self {
            Given::Line(line) => Ok(make(Call::Line(line))),
            Given::Named(json) => {
                let structured = Structured::parse(json.as_bytes()).map_err(no_request)?;
                let request = structured.line().map_err(no_request)?.request;
                Ok(make(key.map_or(Call::Request(request), |key| Call::Keyed(request, key))))
            }
        }
    }
}

fn no_request(error: ParseError) -> PyErr {
    let usage = error.kind.map(|kind| format!(" of {}", kind.spec().usage())).unwrap_or_default();
    ApiMisuse::new_err(match error.code {
        Code::BadParameters => format!("a parameter{usage} is empty or has a NUL in it; give it some text"),
        code => format!("this is no request: {}", code.advice()),
    })
}

/// Makes an instance of a class of obrolan.events.
macro_rules! make {
    ($py:expr, $class:literal, $($argument:expr),*) => {{
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        CLASS.import($py, "obrolan.events", $class)?.call1(($($argument,)*))
    }};
}

/// An obrolan.Response.
pub(super) fn response<'py>(py: Python<'py>, response: &Response) -> PyResult<Bound<'py, PyAny>> {
    let body = object(py, response.body())?;
    if let Some(messages) = response.messages() {
        let messages = messages.into_iter().map(|each| message(py, each)).collect::<PyResult<Vec<_>>>()?;
        body.set_item("messages", messages)?;
    }
    make!(py, "Response", response.is_ok(), response.data(), response.code_word(), response.reason(), body)
}

/// One of obrolan.Event, or a tuple of a request's number and its response.
pub(super) fn event<'py>(py: Python<'py>, event: Event) -> PyResult<Bound<'py, PyAny>> {
    match event {
        Event::Connected { resumed: false } => make!(py, "Connected",),
        Event::Connected { resumed: true } => make!(py, "Resumed",),
        Event::Lost { why, retry_after } => {
            make!(py, "Lost", why, retry_after.map(|wait| wait.as_secs_f64()))
        }
        Event::Message(told) => message(py, told),
        Event::Gap { count } => make!(py, "Gap", count),
        Event::Response { id, response: answer } => (id.0, response(py, &answer)?).into_bound_py_any(py),
        Event::Closing => make!(py, "Closing",),
        Event::NoMessages { why } => make!(py, "NoMessages", why),
        event => unreachable!("Python has no class for {event:?}"),
    }
}

fn message<'py>(py: Python<'py>, message: Message) -> PyResult<Bound<'py, PyAny>> {
    static TIME: PyOnceLock<(Py<PyAny>, Py<PyAny>)> = PyOnceLock::new();
    let (from_timestamp, utc) = TIME.get_or_try_init(py, || -> PyResult<_> {
        let datetime = py.import("datetime")?;
        let from_timestamp = datetime.getattr("datetime")?.getattr("fromtimestamp")?;
        Ok((from_timestamp.unbind(), datetime.getattr("timezone")?.getattr("utc")?.unbind()))
    })?;
    let time = from_timestamp.bind(py).call1((message.time.0 as f64 / 1000.0, utc))?;
    let Message { id, from, to, group, content, .. } = message;
    match content {
        Content::Text(text) => make!(py, "Message", id, from, to, group, time, text),
        Content::File(File { id: file, name, size, sha256, .. }) => {
            let file = make!(py, "File", file, name, size, sha256)?;
            make!(py, "Message", id, from, to, group, time, intern!(py, ""), file)
        }
        content => unreachable!("Python has no place for {content:?}"),
    }
}

fn object<'py>(py: Python<'py>, fields: &Map<String, Value>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, field) in fields {
        dict.set_item(name, value(py, field)?)?;
    }
    Ok(dict)
}

fn value<'py>(py: Python<'py>, value_: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value_ {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(truth) => truth.into_bound_py_any(py),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into_bound_py_any(py),
            None => match number.as_u64() {
                Some(whole) => whole.into_bound_py_any(py),
                None => number.as_f64().into_bound_py_any(py),
            },
        },
        Value::String(text) => text.into_bound_py_any(py),
        Value::Array(items) => {
            let items = items.iter().map(|item| value(py, item)).collect::<PyResult<Vec<_>>>()?;
            Ok(PyList::new(py, items)?.into_any())
        }
        Value::Object(fields) => Ok(object(py, fields)?.into_any()),
    }
}
