//! What logs may show of inputs and outputs: sizes in place of contents, and no secrets.

use std::fmt;

use super::{Answer, Ask, Output};

/// So many bytes, which are not shown.
struct Bytes(usize);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Persist { seq, record, message } => f
                .debug_struct("Persist")
                .field("seq", seq)
                .field("record", &Bytes(record.len()))
                .field("message", message)
                .finish(),
            Output::Writable { conn } => f.debug_struct("Writable").field("conn", conn).finish(),
            Output::Readable { conn } => f.debug_struct("Readable").field("conn", conn).finish(),
            Output::Close { conn, reason } => {
                f.debug_struct("Close").field("conn", conn).field("reason", reason).finish()
            }
            Output::Ask { ticket, ask } => {
                f.debug_struct("Ask").field("ticket", ticket).field("ask", ask).finish()
            }
            Output::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::HashPassword { .. } => f.debug_struct("HashPassword").finish_non_exhaustive(),
            Ask::VerifyPassword { .. } => f.debug_struct("VerifyPassword").finish_non_exhaustive(),
            Ask::ReadMessages { ids, budget } => {
                f.debug_struct("ReadMessages").field("ids", ids).field("budget", budget).finish()
            }
            Ask::ReadHistory { newest, before, floor, limit, budget } => f
                .debug_struct("ReadHistory")
                .field("newest", newest)
                .field("before", before)
                .field("floor", floor)
                .field("limit", limit)
                .field("budget", budget)
                .finish(),
            Ask::AppendUpload { upload, offset, bytes } => f
                .debug_struct("AppendUpload")
                .field("upload", upload)
                .field("offset", offset)
                .field("bytes", &Bytes(bytes.len()))
                .finish(),
            Ask::FinishUpload { upload } => f.debug_struct("FinishUpload").field("upload", upload).finish(),
            Ask::DropUpload { upload } => f.debug_struct("DropUpload").field("upload", upload).finish(),
            Ask::ReadFile { sha256, offset, length } => f
                .debug_struct("ReadFile")
                .field("sha256", sha256)
                .field("offset", offset)
                .field("length", length)
                .finish(),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = |bodies: &[Vec<u8>]| bodies.iter().map(|body| Bytes(body.len())).collect::<Vec<_>>();
        match self {
            Answer::PasswordHash(_) => f.debug_struct("PasswordHash").finish_non_exhaustive(),
            Answer::PasswordMatches(matches) => f.debug_tuple("PasswordMatches").field(matches).finish(),
            Answer::Messages(bodies) => f.debug_tuple("Messages").field(&sizes(bodies)).finish(),
            Answer::History { before, messages, more } => f
                .debug_struct("History")
                .field("before", &before.as_ref().map(|body| Bytes(body.len())))
                .field("messages", &sizes(messages))
                .field("more", more)
                .finish(),
            Answer::Done => f.write_str("Done"),
            Answer::FileStored { sha256, size } => {
                f.debug_struct("FileStored").field("sha256", sha256).field("size", size).finish()
            }
            Answer::FileBytes(bytes) => f.debug_tuple("FileBytes").field(&Bytes(bytes.len())).finish(),
            Answer::Failed => f.write_str("Failed"),
        }
    }
}
