//! Work that the engine asks for, as Python sees it.

use pyo3::prelude::*;

use crate::{
    buffer::Content,
    secret::{Password, Phc},
    value::{Numbers, value},
};

value! {
    /// Hash a password with hash_password. Answered by PasswordHash.
    AskHashPassword {
        /// To be given back with the answer.
        ticket: u64,
        /// The password.
        password: Password,
        /// The salt: 16 random bytes.
        salt: Content,
    }
}

value! {
    /// Verify a password with verify_password. Answered by PasswordMatches.
    AskVerifyPassword {
        /// To be given back with the answer.
        ticket: u64,
        /// The password.
        password: Password,
        /// The PHC string to verify against.
        hash: Phc,
    }
}

value! {
    /// Read the bodies of messages, in this order. Answered by Messages. The reader must see every record that came out of the engine
    /// before this.
    AskReadMessages {
        /// To be given back with the answer.
        ticket: u64,
        /// The messages, at least one.
        ids: Numbers,
        /// Bytes after which no further body is wanted.
        budget: usize,
    }
}

value! {
    /// Read messages of one conversation backwards, each leading to the next by the MessageRef.prev it was stored with. Every message
    /// read has been given out with its record. Answered by History.
    AskReadHistory {
        /// To be given back with the answer.
        ticket: u64,
        /// The conversation's last message: the first to be read, if there is no before.
        newest: u64,
        /// If given, this message itself, which may be of any conversation, is read too; the first after it is the one before it.
        before: Option<u64>,
        /// Messages up to this one are not to be read.
        floor: u64,
        /// How many are wanted at most; 1 or more.
        limit: usize,
        /// Bytes of bodies after which no further one is wanted.
        budget: usize,
    }
}

value! {
    /// Keep a part of an upload. Answered by Done. What is asked about one upload is done in order; it needs not outlive the host.
    AskAppendUpload {
        /// To be given back with the answer.
        ticket: u64,
        /// The upload's number. The engine counts them from 1, anew at every start.
        upload: u64,
        /// Where the part begins: at the upload's end, where its last part began, or at 0. What is there from here on is replaced. If
        /// this fails, the upload ends here.
        offset: u64,
        /// The part.
        content: Content,
    }
}

value! {
    /// Keep an upload for good, under the SHA-256 of its content. Answered by FileStored when it is durable; the upload is over then.
    /// Equal contents are kept once.
    AskFinishUpload {
        /// To be given back with the answer.
        ticket: u64,
        /// The upload's number.
        upload: u64,
    }
}

value! {
    /// Forget an upload, if it is there. Answered by Done.
    AskDropUpload {
        /// To be given back with the answer.
        ticket: u64,
        /// The upload's number.
        upload: u64,
    }
}

value! {
    /// Read a part of a content. Answered by FileBytes.
    AskReadFile {
        /// To be given back with the answer.
        ticket: u64,
        /// The content's SHA-256: 32 bytes.
        sha256: Content,
        /// Where the part begins.
        offset: u64,
        /// Its bytes, all of which are there.
        length: usize,
    }
}

/// An ask, before it is a Python object.
#[derive(IntoPyObject)]
pub(crate) enum Ask {
    HashPassword(AskHashPassword),
    VerifyPassword(AskVerifyPassword),
    ReadMessages(AskReadMessages),
    ReadHistory(AskReadHistory),
    AppendUpload(AskAppendUpload),
    FinishUpload(AskFinishUpload),
    DropUpload(AskDropUpload),
    ReadFile(AskReadFile),
}

impl Ask {
    /// Makes no Python object but bytes: the engine is held.
    pub(crate) fn new(py: Python<'_>, ticket: u64, ask: obrolan::Ask) -> Ask {
        match ask {
            obrolan::Ask::HashPassword { password, salt } => Ask::HashPassword(AskHashPassword {
                ticket,
                password: Password(password),
                salt: Content::new(py, &salt),
            }),
            obrolan::Ask::VerifyPassword { password, hash } => Ask::VerifyPassword(AskVerifyPassword {
                ticket,
                password: Password(password),
                hash: Phc(hash),
            }),
            obrolan::Ask::ReadMessages { ids, budget } => Ask::ReadMessages(AskReadMessages {
                ticket,
                ids: Numbers(ids.into_iter().map(|id| id.0).collect()),
                budget,
            }),
            obrolan::Ask::ReadHistory { newest, before, floor, limit, budget } => {
                Ask::ReadHistory(AskReadHistory {
                    ticket,
                    newest: newest.0,
                    before: before.map(|before| before.0),
                    floor: floor.0,
                    limit,
                    budget,
                })
            }
            obrolan::Ask::AppendUpload { upload, offset, bytes } => Ask::AppendUpload(AskAppendUpload {
                ticket,
                upload,
                offset,
                content: Content::new(py, &bytes),
            }),
            obrolan::Ask::FinishUpload { upload } => Ask::FinishUpload(AskFinishUpload { ticket, upload }),
            obrolan::Ask::DropUpload { upload } => Ask::DropUpload(AskDropUpload { ticket, upload }),
            obrolan::Ask::ReadFile { sha256, offset, length } => {
                Ask::ReadFile(AskReadFile { ticket, sha256: Content::new(py, &sha256), offset, length })
            }
            ask => unreachable!("Python has no class for what the engine asks: {ask:?}"),
        }
    }
}
