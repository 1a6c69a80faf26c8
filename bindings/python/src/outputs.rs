//! What the engine wants done, as Python sees it.

use std::sync::atomic::{AtomicBool, Ordering};

use obrolan::Event;
use pyo3::prelude::*;

use crate::{
    asks::Ask,
    buffer::Content,
    engine::Engine,
    value::{field_class, value},
    words::CloseReason,
};

value! {
    /// Where the body of a message is in its record.
    #[derive(Clone, Copy)]
    MessageRef {
        /// The message's number.
        id: u64,
        /// The number of the message before it in the same conversation; 0 if it is the first.
        prev: u64,
        /// Where the body begins in the record; it goes to the record's end.
        body_at: usize,
    }
}

field_class!(MessageRef);

value! {
    /// Write a record to the journal. When it is durable, say so with Engine.persisted.
    Persist {
        /// The record's position. The first is 1, and no number is left out.
        seq: u64,
        /// The record.
        record: Content,
        /// If the record brings a message: where its body is. A host that keeps bodies on their own stores record[:body_at] in the
        /// journal and record[body_at:] under the message's number.
        message: Option<MessageRef>,
    }
}

value! {
    /// Engine.outgoing has bytes for the connection. Told once until all of them are sent.
    Writable {
        /// The connection.
        conn: u64,
    }
}

value! {
    /// The connection takes bytes again.
    Readable {
        /// The connection.
        conn: u64,
    }
}

value! {
    /// Close the connection; all that was to be sent is sent, or was not read for too long. The engine does not know its number any
    /// more.
    Close {
        /// The connection.
        conn: u64,
        /// Why: "quit" (the peer said QUIT), "peer_closed" (the peer closed its side, and everything was answered), "idle" (no session
        /// and no request for Limits.idle_before_session) or "stopping" (the engine is shutting down).
        reason: CloseReason,
    }
}

value! {
    /// For a log: an account was made.
    Registered {
        /// Over which connection.
        conn: u64,
        /// The user's name: chosen by a peer, so to be escaped where it is shown.
        user: String,
    }
}

value! {
    /// For a log: a user logged in.
    LoggedIn {
        /// Over which connection.
        conn: u64,
        /// The user's name: chosen by a peer, so to be escaped where it is shown.
        user: String,
    }
}

value! {
    /// For a log: an attempt to log in failed.
    LoginFailed {
        /// Over which connection.
        conn: u64,
    }
}

value! {
    /// For a log: an attempt to log in was refused because there were too many.
    Throttled {
        /// Over which connection.
        conn: u64,
    }
}

/// An output, before it is a Python object.
#[derive(IntoPyObject)]
enum Output {
    Persist(Persist),
    Writable(Writable),
    Readable(Readable),
    Close(Close),
    Ask(Ask),
    Registered(Registered),
    LoggedIn(LoggedIn),
    LoginFailed(LoginFailed),
    Throttled(Throttled),
}

impl Output {
    /// Makes no Python object but bytes: the engine is held.
    fn new(py: Python<'_>, output: obrolan::Output<'_>) -> Output {
        match output {
            obrolan::Output::Persist { seq, record, message } => Output::Persist(Persist {
                seq: seq.0,
                record: Content::new(py, record),
                message: message.map(|message| MessageRef {
                    id: message.id.0,
                    prev: message.prev.0,
                    body_at: message.body_at,
                }),
            }),
            obrolan::Output::Writable { conn } => Output::Writable(Writable { conn: conn.get() }),
            obrolan::Output::Readable { conn } => Output::Readable(Readable { conn: conn.get() }),
            obrolan::Output::Close { conn, reason } => {
                Output::Close(Close { conn: conn.get(), reason: reason.into() })
            }
            obrolan::Output::Ask { ticket, ask } => Output::Ask(Ask::new(py, ticket.0, ask)),
            obrolan::Output::Event(Event::Registered { conn, user }) => {
                Output::Registered(Registered { conn: conn.get(), user: user.to_owned() })
            }
            obrolan::Output::Event(Event::LoggedIn { conn, user }) => {
                Output::LoggedIn(LoggedIn { conn: conn.get(), user: user.to_owned() })
            }
            obrolan::Output::Event(Event::LoginFailed { conn }) => {
                Output::LoginFailed(LoginFailed { conn: conn.get() })
            }
            obrolan::Output::Event(Event::Throttled { conn }) => {
                Output::Throttled(Throttled { conn: conn.get() })
            }
            output => unreachable!("Python has no class for the output {output:?}"),
        }
    }
}

/// The outputs of an engine: Engine.outputs makes it.
#[pyclass(frozen, module = "obrolan.engine")]
pub(crate) struct Outputs {
    engine: Py<Engine>,
    ended: AtomicBool,
}

impl Outputs {
    pub(crate) fn new(engine: Py<Engine>) -> Outputs {
        Outputs { engine, ended: AtomicBool::new(false) }
    }
}

#[pymethods]
impl Outputs {
    fn __iter__<'py>(this: &Bound<'py, Self>) -> Bound<'py, Self> {
        this.clone()
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        // An iterator that has ended stays so, though the engine may want more.
        if self.ended.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let output = self
            .engine
            .get()
            .shared
            .attached(py, |engine| engine.poll_output().map(|output| Output::new(py, output)))?;
        match output {
            Some(output) => output.into_pyobject(py).map(Some),
            None => {
                self.ended.store(true, Ordering::Relaxed);
                Ok(None)
            }
        }
    }
}
