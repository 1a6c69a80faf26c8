//! Outputs.
//!
//! What an engine wants done. After every input, take outputs by obrolan_engine_next_output until
//! there is none, and do what they say, in that order.

use std::{
    ffi::{CString, c_char},
    ptr,
};

use obrolan::{Ask, CloseReason, ConnId, Event, MessageId, MessageRef, Output};
use zeroize::Zeroizing;

/// A connection of an engine. 0 is none. Numbers are not used again.
pub type obrolan_conn = u64;

/// Bytes. On POSIX, an array of these has the layout of an array of struct iovec, which sendmsg and
/// writev take.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct obrolan_slice {
    /// The first of them.
    pub data: *const u8,
    /// How many they are.
    pub len: usize,
}

/// What an output is about. Others may be added: leave them, but answer those that have a ticket
/// with OBROLAN_ANSWER_FAILED.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum obrolan_output_type {
    /// Write record to the journal as number seq. When it is durable, say so with
    /// obrolan_engine_persisted. The first record is 1, and no number is left out.
    ///
    /// If message is not 0, the record brings the message of that number, and prev is the one
    /// before it in its conversation, or 0. The message's body begins at body_at and goes to the
    /// end. A program that keeps messages (OBROLAN_SERVICE_HOST) may store the record up to there
    /// in the journal, and the body with prev under the message's number.
    OBROLAN_OUTPUT_PERSIST = 1,
    /// obrolan_engine_outgoing has bytes for conn. Told once until all of them are sent.
    OBROLAN_OUTPUT_WRITABLE = 2,
    /// conn takes bytes again.
    OBROLAN_OUTPUT_READABLE = 3,
    /// Close conn, for the given reason: all that was to be sent is sent, or was not read for too
    /// long. The engine does not know its number any more.
    OBROLAN_OUTPUT_CLOSE = 4,
    /// For a log: an account named user was made over conn. The name was chosen by a peer: escape
    /// it where you show it.
    OBROLAN_OUTPUT_REGISTERED = 5,
    /// For a log: user logged in over conn.
    OBROLAN_OUTPUT_LOGGED_IN = 6,
    /// For a log: an attempt to log in over conn failed.
    OBROLAN_OUTPUT_LOGIN_FAILED = 7,
    /// For a log: an attempt to log in over conn was refused because there were too many.
    OBROLAN_OUTPUT_THROTTLED = 8,
    /// Hash password with salt, by obrolan_password_hash. Answer: OBROLAN_ANSWER_PASSWORD_HASH.
    OBROLAN_ASK_HASH_PASSWORD = 16,
    /// Verify password against hash, by obrolan_password_verify. Answer:
    /// OBROLAN_ANSWER_PASSWORD_MATCHES.
    OBROLAN_ASK_VERIFY_PASSWORD = 17,
    /// Read the bodies of the ids_count messages ids, in this order. After budget bytes, no further
    /// one is wanted. The reader must see every record that came out of the engine before. Answer:
    /// OBROLAN_ANSWER_MESSAGES.
    OBROLAN_ASK_READ_MESSAGES = 18,
    /// Read at most limit messages of one conversation backwards, each leading to the next by the
    /// prev it was stored with, until one is not beyond floor. If before is 0, begin at newest. If
    /// not, read the message before itself, which may be of any conversation, and begin at the one
    /// before it. After budget bytes, no further one is wanted. Answer: OBROLAN_ANSWER_HISTORY.
    OBROLAN_ASK_READ_HISTORY = 19,
    /// Keep bytes as a part of an upload, from offset on: its end, the beginning of its last part,
    /// or 0. What is there from offset on is replaced. If this fails, the upload ends here. What is
    /// asked about one upload is done in order. The engine numbers uploads from 1, anew at every
    /// start: they need not outlive the program. Answer: OBROLAN_ANSWER_DONE.
    OBROLAN_ASK_APPEND_UPLOAD = 20,
    /// Keep an upload for good, under the SHA-256 of its content; equal contents are kept once. The
    /// upload is over then. Answer: OBROLAN_ANSWER_FILE_STORED, when it is durable.
    OBROLAN_ASK_FINISH_UPLOAD = 21,
    /// Forget an upload, if it is there. Answer: OBROLAN_ANSWER_DONE.
    OBROLAN_ASK_DROP_UPLOAD = 22,
    /// Read length bytes of the content sha256, from offset on; all of them are there. Answer:
    /// OBROLAN_ANSWER_FILE_BYTES.
    OBROLAN_ASK_READ_FILE = 23,
}

use obrolan_output_type::*;

/// Why the engine closes a connection. Others may be added.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum obrolan_close_reason {
    /// The peer said QUIT.
    OBROLAN_CLOSE_QUIT = 0,
    /// The peer closed its side, and everything was answered.
    OBROLAN_CLOSE_PEER_CLOSED = 1,
    /// There was no session and no request for idle_before_session.
    OBROLAN_CLOSE_IDLE = 2,
    /// The engine is shutting down.
    OBROLAN_CLOSE_STOPPING = 3,
}

use obrolan_close_reason::*;

/// One thing to do. Its type tells which fields mean something; the others are 0. What its pointers
/// lead to is lent, as it is itself.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct obrolan_output {
    /// What it is about.
    pub r#type: obrolan_output_type,
    /// CLOSE: why.
    pub reason: obrolan_close_reason,
    /// WRITABLE, READABLE, CLOSE, REGISTERED, LOGGED_IN, LOGIN_FAILED, THROTTLED: the connection.
    pub conn: obrolan_conn,
    /// REGISTERED, LOGGED_IN: the user's name.
    pub user: *const c_char,
    /// PERSIST: the record's number.
    pub seq: u64,
    /// PERSIST: the record.
    pub record: obrolan_slice,
    /// PERSIST: the message that the record brings, or 0.
    pub message: u64,
    /// PERSIST: the message before that one, or 0.
    pub prev: u64,
    /// PERSIST: where the message's body begins in the record.
    pub body_at: usize,
    /// All that begin with ASK: to be given back with the answer. Never 0; in all other outputs, it
    /// is.
    pub ticket: u64,
    /// HASH_PASSWORD, VERIFY_PASSWORD: the password. It is wiped from memory by the next call of
    /// obrolan_engine_next_output.
    pub password: *const c_char,
    /// VERIFY_PASSWORD: what to verify against.
    pub hash: *const c_char,
    /// HASH_PASSWORD: the salt.
    pub salt: [u8; 16],
    /// READ_MESSAGES: the messages, at least one.
    pub ids: *const u64,
    /// READ_MESSAGES: how many they are.
    pub ids_count: usize,
    /// READ_HISTORY: the conversation's last message.
    pub newest: u64,
    /// READ_HISTORY: the message to begin before, or 0.
    pub before: u64,
    /// READ_HISTORY: messages up to this one are not to be read.
    pub floor: u64,
    /// READ_HISTORY: how many are wanted at most; 1 or more.
    pub limit: usize,
    /// READ_MESSAGES, READ_HISTORY: bytes of bodies after which no further one is wanted.
    pub budget: usize,
    /// APPEND_UPLOAD, FINISH_UPLOAD, DROP_UPLOAD: the upload.
    pub upload: u64,
    /// APPEND_UPLOAD, READ_FILE: where the part begins.
    pub offset: u64,
    /// APPEND_UPLOAD: the part.
    pub bytes: obrolan_slice,
    /// READ_FILE: how many bytes to read.
    pub length: usize,
    /// READ_FILE: which content.
    pub sha256: [u8; 32],
}

impl obrolan_slice {
    pub(crate) const NONE: obrolan_slice = obrolan_slice { data: ptr::null(), len: 0 };

    pub(crate) fn of(bytes: &[u8]) -> obrolan_slice {
        obrolan_slice { data: bytes.as_ptr(), len: bytes.len() }
    }
}

/// The output that a program was given last, and what it points to that is not the engine's.
pub(crate) struct Lent {
    output: obrolan_output,
    /// A name or a password.
    text: Option<Zeroizing<CString>>,
    hash: CString,
    ids: Vec<u64>,
    bytes: Vec<u8>,
}

// SAFETY: the pointers in `output` are for the program alone.
unsafe impl Send for Lent {}

impl Lent {
    pub(crate) fn nothing() -> Lent {
        Lent { output: Lent::EMPTY, text: None, hash: CString::default(), ids: Vec::new(), bytes: Vec::new() }
    }

    const EMPTY: obrolan_output = obrolan_output {
        r#type: OBROLAN_OUTPUT_PERSIST,
        reason: OBROLAN_CLOSE_QUIT,
        conn: 0,
        user: ptr::null(),
        seq: 0,
        record: obrolan_slice::NONE,
        message: 0,
        prev: 0,
        body_at: 0,
        ticket: 0,
        password: ptr::null(),
        hash: ptr::null(),
        salt: [0; 16],
        ids: ptr::null(),
        ids_count: 0,
        newest: 0,
        before: 0,
        floor: 0,
        limit: 0,
        budget: 0,
        upload: 0,
        offset: 0,
        bytes: obrolan_slice::NONE,
        length: 0,
        sha256: [0; 32],
    };

    /// Keeps an output for the program, in the place of the one before.
    pub(crate) fn lend(&mut self, output: Output<'_>) -> *const obrolan_output {
        let empty = Lent::EMPTY;
        let of_conn = |r#type, conn: ConnId| obrolan_output { r#type, conn: conn.get(), ..empty };
        self.output = match output {
            Output::Persist { seq, record, message } => {
                let none = MessageRef { id: MessageId(0), prev: MessageId(0), body_at: 0 };
                let MessageRef { id, prev, body_at } = message.unwrap_or(none);
                let record = obrolan_slice::of(record);
                obrolan_output { seq: seq.0, record, message: id.0, prev: prev.0, body_at, ..empty }
            }
            Output::Writable { conn } => of_conn(OBROLAN_OUTPUT_WRITABLE, conn),
            Output::Readable { conn } => of_conn(OBROLAN_OUTPUT_READABLE, conn),
            Output::Close { conn, reason } => {
                obrolan_output { reason: why(reason), ..of_conn(OBROLAN_OUTPUT_CLOSE, conn) }
            }
            Output::Ask { ticket, ask } => obrolan_output { ticket: ticket.0, ..self.asked(ask) },
            Output::Event(Event::Registered { conn, user }) => {
                obrolan_output { user: self.text(user), ..of_conn(OBROLAN_OUTPUT_REGISTERED, conn) }
            }
            Output::Event(Event::LoggedIn { conn, user }) => {
                obrolan_output { user: self.text(user), ..of_conn(OBROLAN_OUTPUT_LOGGED_IN, conn) }
            }
            Output::Event(Event::LoginFailed { conn }) => of_conn(OBROLAN_OUTPUT_LOGIN_FAILED, conn),
            Output::Event(Event::Throttled { conn }) => of_conn(OBROLAN_OUTPUT_THROTTLED, conn),
            unknown => unreachable!("{unknown:?} has no form in C"),
        };
        &raw const self.output
    }

    fn asked(&mut self, ask: Ask) -> obrolan_output {
        let empty = Lent::EMPTY;
        match ask {
            Ask::HashPassword { password, salt } => {
                let r#type = OBROLAN_ASK_HASH_PASSWORD;
                obrolan_output { r#type, password: self.text(password.expose()), salt, ..empty }
            }
            Ask::VerifyPassword { password, hash } => {
                self.hash = c_text(&hash);
                obrolan_output {
                    r#type: OBROLAN_ASK_VERIFY_PASSWORD,
                    password: self.text(password.expose()),
                    hash: self.hash.as_ptr(),
                    ..empty
                }
            }
            Ask::ReadMessages { ids, budget } => {
                self.ids = ids.into_iter().map(|id| id.0).collect();
                obrolan_output {
                    r#type: OBROLAN_ASK_READ_MESSAGES,
                    ids: self.ids.as_ptr(),
                    ids_count: self.ids.len(),
                    budget,
                    ..empty
                }
            }
            Ask::ReadHistory { newest, before, floor, limit, budget } => obrolan_output {
                r#type: OBROLAN_ASK_READ_HISTORY,
                newest: newest.0,
                before: before.map_or(0, |id| id.0),
                floor: floor.0,
                limit,
                budget,
                ..empty
            },
            Ask::AppendUpload { upload, offset, bytes } => {
                self.bytes = bytes;
                let bytes = obrolan_slice::of(&self.bytes);
                obrolan_output { r#type: OBROLAN_ASK_APPEND_UPLOAD, upload, offset, bytes, ..empty }
            }
            Ask::FinishUpload { upload } => {
                obrolan_output { r#type: OBROLAN_ASK_FINISH_UPLOAD, upload, ..empty }
            }
            Ask::DropUpload { upload } => obrolan_output { r#type: OBROLAN_ASK_DROP_UPLOAD, upload, ..empty },
            Ask::ReadFile { sha256, offset, length } => {
                obrolan_output { r#type: OBROLAN_ASK_READ_FILE, sha256, offset, length, ..empty }
            }
            unknown => unreachable!("{unknown:?} has no form in C"),
        }
    }

    fn text(&mut self, text: &str) -> *const c_char {
        self.text.insert(Zeroizing::new(c_text(text))).as_ptr()
    }

    /// Forgets what was lent, a password before all.
    pub(crate) fn take_back(&mut self) {
        self.text = None;
        self.bytes = Vec::new();
    }
}

fn c_text(text: &str) -> CString {
    CString::new(text).expect("a line with a NUL is refused, so no text of a request has one")
}

fn why(reason: CloseReason) -> obrolan_close_reason {
    match reason {
        CloseReason::Quit => OBROLAN_CLOSE_QUIT,
        CloseReason::PeerClosed => OBROLAN_CLOSE_PEER_CLOSED,
        CloseReason::Idle => OBROLAN_CLOSE_IDLE,
        CloseReason::Stopping => OBROLAN_CLOSE_STOPPING,
        unknown => unreachable!("{unknown:?} has no form in C"),
    }
}
