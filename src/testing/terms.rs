//! What can be told to a world, and what it tells.

use std::fmt;

use crate::{Ask, CloseReason, MessageRef, Seq, Ticket};

/// How a world cuts what its peers send before the engine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// As it was said.
    Whole,
    /// After every line end.
    Lines,
    /// Into pieces of these sizes, over and over; none may be 0.
    Pieces(Vec<usize>),
}

/// Bytes that show as text.
#[derive(Clone, PartialEq, Eq)]
pub struct Escaped(pub Vec<u8>);

impl fmt::Debug for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// What came out of the engine, in order. Connections are numbered as they were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A record for the journal.
    Record(Seq, Escaped, Option<MessageRef>),
    /// Told of bytes to send.
    Writable(usize),
    /// Told that a connection takes bytes again.
    Readable(usize),
    /// A connection was closed.
    Closed(usize, CloseReason),
    /// Work was asked for.
    Asked(Ticket, Ask),
    /// What a log would tell.
    Event(String),
    /// A peer read these bytes.
    Read(usize, Escaped),
}
