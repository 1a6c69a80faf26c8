//! What goes into the engine and comes out of it.

use std::{fmt, net::IpAddr, num::NonZeroU64};

use crate::{Password, state::MessageId};

/// A connection, from [`Engine::connect`](super::Engine::connect) on. Numbers are not used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub(super) NonZeroU64);

impl ConnId {
    /// The number, for hosts that keep numbers.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The connection of that number; whether there is one, the engine says.
    #[must_use]
    pub fn from_number(number: u64) -> Option<ConnId> {
        NonZeroU64::new(number).map(ConnId)
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnId({}/{})", self.0.get() as u32, self.0.get() >> 32)
    }
}

/// The position of a record in the journal. The first record is 1, and no number is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// Names an [`Ask`] until its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody at an address; attempts to log in are counted against it.
    Address(IpAddr),
    /// This process or this machine, by other ways than an address.
    Local,
}

/// How a connection ended at the peer's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer sends nothing more, and may still read: what it asked is answered, then the connection is closed.
    Eof,
    /// The connection is gone.
    Gone,
}

/// Why a connection is not taken. The host closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There are [`Limits::connections`](crate::Limits::connections) already.
    #[error("there are as many connections as the limit allows; raise limits.connections or wait")]
    TooMany,
    /// [`Engine::shutdown`](super::Engine::shutdown) was called.
    #[error("the server is stopping")]
    Stopping,
}

/// What [`Engine::receive`](super::Engine::receive) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many of the bytes were taken. The host offers the others again after [`Output::Readable`].
    pub consumed: usize,
    /// Whether the connection takes more now. If not, [`Output::Readable`] tells when it does.
    pub wants_read: bool,
}

/// What the host has to do. Drained with [`Engine::poll_output`](super::Engine::poll_output).
///
/// Its Debug form, that of an [`Ask`] and that of an [`Answer`] are for logs: they tell sizes where there are contents, and no secrets.
#[non_exhaustive]
pub enum Output<'a> {
    /// Write a record to the journal. When it is durable, say so with [`Engine::persisted`](super::Engine::persisted).
    Persist {
        /// The record's position.
        seq: Seq,
        /// The record. Borrowed until the next call.
        record: &'a [u8],
        /// If the record brings a message: where its body is. A host that keeps bodies on their own
        /// stores `record[..body_at]` in the journal and `record[body_at..]` under the message's number.
        message: Option<MessageRef>,
    },
    /// [`Engine::outgoing`](super::Engine::outgoing) has bytes for the connection. Told once until all of them are sent.
    Writable {
        /// The connection.
        conn: ConnId,
    },
    /// The connection takes bytes again.
    Readable {
        /// The connection.
        conn: ConnId,
    },
    /// Close the connection; all that was to be sent is sent, or was not read for too long. Its number is not known
    /// to the engine any more.
    Close {
        /// The connection.
        conn: ConnId,
        /// Why.
        reason: CloseReason,
    },
    /// Do some work and return it with [`Engine::answer`](super::Engine::answer).
    Ask {
        /// To be given back with the answer.
        ticket: Ticket,
        /// The work.
        ask: Ask,
    },
    /// Something a log would tell. Nothing needs to be done.
    Event(Event<'a>),
}

/// Where the body of a message is in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRef {
    /// The message's number.
    pub id: MessageId,
    /// The message before it in the same conversation; 0 if it is the first.
    pub prev: MessageId,
    /// Where the body begins in the record's bytes; it goes to their end.
    pub body_at: usize,
}

/// Why the engine closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer said QUIT.
    Quit,
    /// The peer closed its side, and everything was answered.
    PeerClosed,
    /// There was no session and no request for [`Limits::idle_before_session`](crate::Limits::idle_before_session).
    Idle,
    /// The engine is shutting down.
    Stopping,
}

/// Work that is slow or large.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask {
    /// Hash a password with [`passwords::hash`](crate::passwords::hash). Answered by [`Answer::PasswordHash`].
    HashPassword {
        /// The password.
        password: Password,
        /// The salt, random.
        salt: [u8; 16],
    },
    /// Verify a password with [`passwords::verify`](crate::passwords::verify). Answered by [`Answer::PasswordMatches`].
    VerifyPassword {
        /// The password.
        password: Password,
        /// The PHC string to verify against.
        hash: String,
    },
    /// Read the bodies of messages, in this order. Answered by [`Answer::Messages`]. The reader must see every record
    /// that came out of the engine before this.
    ReadMessages {
        /// The messages, at least one.
        ids: Vec<MessageId>,
        /// Bytes after which no further body is wanted.
        budget: usize,
    },
    /// Read messages of one conversation backwards, each leading to the next by the
    /// [`prev`](MessageRef::prev) it was stored with. Every message read has been given out with its record.
    ReadHistory {
        /// The conversation's last message: the first to be read, if there is no `before`.
        newest: MessageId,
        /// If given, this message itself, which may be of any conversation, is read too; the first after it is the one before it.
        before: Option<MessageId>,
        /// Messages up to this one are not to be read.
        floor: MessageId,
        /// How many are wanted at most; 1 or more.
        limit: usize,
        /// Bytes of bodies after which no further one is wanted.
        budget: usize,
    },
    /// Keep a part of an upload. Answered by [`Answer::Done`]. What is asked about one upload is done in order; it needs not
    /// outlive the host.
    AppendUpload {
        /// The upload's number. The engine counts them from 1, anew at every start.
        upload: u64,
        /// Where the part begins: at the upload's end, where its last part began, or at 0. What is there from here on is replaced. If
        /// this fails, the upload ends here.
        offset: u64,
        /// The part.
        bytes: Vec<u8>,
    },
    /// Keep an upload for good, under the SHA-256 of its content. Answered by [`Answer::FileStored`] when it is durable; the
    /// upload is over then. Equal contents are kept once.
    FinishUpload {
        /// The upload's number.
        upload: u64,
    },
    /// Forget an upload, if it is there. Answered by [`Answer::Done`].
    DropUpload {
        /// The upload's number.
        upload: u64,
    },
    /// Read a part of a content. Answered by [`Answer::FileBytes`].
    ReadFile {
        /// The content's SHA-256.
        sha256: [u8; 32],
        /// Where the part begins.
        offset: u64,
        /// Its bytes, all of which are there.
        length: usize,
    },
}

/// The work of an [`Ask`], done.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The PHC string of a password.
    PasswordHash(String),
    /// Whether the password was right.
    PasswordMatches(bool),
    /// Bodies of messages: at least the first one asked for, and more of them in order as long as the ones before stay within the budget.
    Messages(Vec<Vec<u8>>),
    /// A part of a conversation. It ends where no message is left above the floor, or where the host keeps no older ones.
    History {
        /// The body of the message `before`, if one was given and is kept.
        before: Option<Vec<u8>>,
        /// Bodies, the newest first; at least one, if there is one.
        messages: Vec<Vec<u8>>,
        /// Whether the next one could be read too.
        more: bool,
    },
    /// It is done.
    Done,
    /// A content is durable.
    FileStored {
        /// Its SHA-256.
        sha256: [u8; 32],
        /// Its bytes, as many as were appended.
        size: u64,
    },
    /// Bytes of a content, as many as were asked for.
    FileBytes(Vec<u8>),
    /// The work could not be done. The peer is answered `unavailable`.
    Failed,
}

/// Something a log would tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An account was made.
    Registered {
        /// Over which connection.
        conn: ConnId,
        /// The user's name: chosen by a peer, so to be escaped where it is shown.
        user: &'a str,
    },
    /// A user logged in.
    LoggedIn {
        /// Over which connection.
        conn: ConnId,
        /// The user's name: chosen by a peer, so to be escaped where it is shown.
        user: &'a str,
    },
    /// An attempt to log in failed.
    LoginFailed {
        /// Over which connection.
        conn: ConnId,
    },
    /// An attempt to log in was refused because there were too many.
    Throttled {
        /// Over which connection.
        conn: ConnId,
    },
}

/// A call that does not fit what came before it: a mistake of the host, never of a peer. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The engine does not know the connection: it was never opened, or is closed.
    #[error(
        "the engine has no such connection: it was closed by Output::Close or peer_closed, or never opened"
    )]
    UnknownConnection,
    /// The bytes were received after the peer's end of stream.
    #[error("bytes after the end of the stream: offer all bytes to receive before calling peer_closed")]
    AfterEof,
    /// More bytes were sent than `outgoing` had.
    #[error("{sent} bytes sent where outgoing had {outgoing}")]
    SentTooMuch {
        /// What the host said.
        sent: usize,
        /// What there was.
        outgoing: usize,
    },
    /// No work is asked under this ticket, or it was answered.
    #[error("no work is asked under this ticket; each is answered once")]
    UnknownTicket,
    /// The answer is not of the kind that was asked for.
    #[error("the answer is not of the kind that was asked for")]
    WrongAnswer,
    /// A record that was not given out yet, or whose fate was told already.
    #[error("the record {seq} is not on its way to the journal: those are {from} to {to}")]
    NotOnItsWay {
        /// What the host said.
        seq: u64,
        /// The first record not known to be durable.
        from: u64,
        /// The last record given out.
        to: u64,
    },
    /// The store failed, and the state has not been [restored](super::Engine::restore) since.
    #[error("the store failed; restore the engine from what is durable first")]
    StoreFailed,
    /// There is nothing to restore: the store has not failed.
    #[error("restore is for an engine whose store failed")]
    StoreNotFailed,
    /// What was recovered is not what this engine knows to be durable.
    #[error(
        "the recovery ends at record {found}, but record {durable} is durable: it read too little of the store"
    )]
    RecoveredTooLittle {
        /// Where the recovery ends.
        found: u64,
        /// What was told to be durable.
        durable: u64,
    },
    /// An engine to be restored from that was used, or keeps other things itself than this one.
    #[error(
        "restore is for an engine fresh from its recovery, with the same `messages` and `files`; recover it anew and do nothing else with it"
    )]
    NotRecovered,
}
