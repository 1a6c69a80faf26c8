//! Answers.
//!
//! The work of an output that begins with OBROLAN_ASK, done.

use std::{
    ffi::{c_char, c_int},
    mem::size_of,
    ptr,
};

use obrolan::Answer;

use crate::{
    arguments::{Versioned, array, init, text, versioned},
    output::obrolan_slice,
    result::{
        Error, ffi,
        obrolan_result::{self, OBROLAN_ERR_ARGUMENT},
    },
};

/// What an answer is.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum obrolan_answer_type {
    /// The work could not be done. The peer is answered unavailable.
    OBROLAN_ANSWER_FAILED = 0,
    /// It is done.
    OBROLAN_ANSWER_DONE = 1,
    /// hash is the password's hash, a PHC string.
    OBROLAN_ANSWER_PASSWORD_HASH = 2,
    /// matches tells whether the password was right.
    OBROLAN_ANSWER_PASSWORD_MATCHES = 3,
    /// messages are bodies: at least the first one asked for, and more of them in order as long as
    /// the ones before stay within the budget.
    OBROLAN_ANSWER_MESSAGES = 4,
    /// messages are bodies, the newest first; at least one, if there is one. They end where no
    /// message is left above the floor, or where the program keeps no older ones. before is the
    /// body of the message of that name, if one was given and is kept. more tells whether a next
    /// one could be read too.
    OBROLAN_ANSWER_HISTORY = 5,
    /// A content of file_size bytes, as many as were appended, is durable as sha256.
    OBROLAN_ANSWER_FILE_STORED = 6,
    /// bytes are those of the content, as many as were asked for.
    OBROLAN_ANSWER_FILE_BYTES = 7,
}

use obrolan_answer_type::*;

impl obrolan_answer_type {
    fn from_number(number: c_int) -> Result<obrolan_answer_type, Error> {
        let all = [
            OBROLAN_ANSWER_FAILED,
            OBROLAN_ANSWER_DONE,
            OBROLAN_ANSWER_PASSWORD_HASH,
            OBROLAN_ANSWER_PASSWORD_MATCHES,
            OBROLAN_ANSWER_MESSAGES,
            OBROLAN_ANSWER_HISTORY,
            OBROLAN_ANSWER_FILE_STORED,
            OBROLAN_ANSWER_FILE_BYTES,
        ];
        all.into_iter()
            .find(|known| *known as c_int == number)
            .ok_or_else(|| Error::new(OBROLAN_ERR_ARGUMENT, format!("{number} is no obrolan_answer_type")))
    }
}

/// An answer. Have it set by obrolan_answer_init, then set the fields of its type.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct obrolan_answer {
    /// The size of this struct, as the program knows it.
    pub size: usize,
    /// An obrolan_answer_type.
    pub r#type: c_int,
    /// PASSWORD_MATCHES: 0 if the password was wrong.
    pub matches: c_int,
    /// HISTORY: 0 if there is no next one.
    pub more: c_int,
    /// PASSWORD_HASH: the hash.
    pub hash: *const c_char,
    /// MESSAGES, HISTORY: the bodies.
    pub messages: *const obrolan_slice,
    /// MESSAGES, HISTORY: how many they are.
    pub messages_count: usize,
    /// HISTORY: the body of before; its data is NULL if there is none.
    pub before: obrolan_slice,
    /// FILE_BYTES: the bytes.
    pub bytes: obrolan_slice,
    /// FILE_STORED: how many bytes the content has.
    pub file_size: u64,
    /// FILE_STORED: the SHA-256 of the content.
    pub sha256: [u8; 32],
}

// SAFETY: numbers and pointers that are followed after they were checked.
unsafe impl Versioned for obrolan_answer {
    const NAME: &str = "obrolan_answer";
    const REFUSED: obrolan_result = OBROLAN_ERR_ARGUMENT;
    const FIRST_SIZE: usize = size_of::<obrolan_answer>();

    fn preset() -> obrolan_answer {
        obrolan_answer {
            size: size_of::<obrolan_answer>(),
            r#type: OBROLAN_ANSWER_FAILED as c_int,
            matches: 0,
            more: 0,
            hash: ptr::null(),
            messages: ptr::null(),
            messages_count: 0,
            before: obrolan_slice::NONE,
            bytes: obrolan_slice::NONE,
            file_size: 0,
            sha256: [0; 32],
        }
    }
}

/// Sets the type of an answer, an obrolan_answer_type, and all other fields to 0. size is
/// sizeof(obrolan_answer).
///
/// Errors: OBROLAN_ERR_ARGUMENT if answer is NULL, if there is no such type, or if the library is
/// older than the header that the program was built with. Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_answer_init(
    answer: *mut obrolan_answer,
    size: usize,
    r#type: c_int,
) -> obrolan_result {
    ffi(|| {
        obrolan_answer_type::from_number(r#type)?;
        let preset = obrolan_answer { size, r#type, ..obrolan_answer::preset() };
        // SAFETY: the caller vouches for the size.
        unsafe { init(answer, size, &preset, "answer") }
    })
}

/// The answer that a program gives.
///
/// # Safety
/// Unless it is NULL, it begins with its size, has as many bytes, and its pointers are good.
pub(crate) unsafe fn read(answer: *const obrolan_answer) -> Result<Answer, Error> {
    // SAFETY: the caller's promise.
    let answer = unsafe { versioned(answer, "answer") }?;
    // SAFETY: the caller's promise, for the pointers of the answer's type.
    let text = |value, name| unsafe { text(value, name) }.map(str::to_owned);
    // SAFETY: the same.
    let bytes =
        |value: obrolan_slice, name| unsafe { array(value.data, value.len, name) }.map(<[u8]>::to_vec);
    let messages = || {
        // SAFETY: the same.
        let bodies = unsafe { array(answer.messages, answer.messages_count, "answer.messages") }?;
        bodies.iter().map(|body| bytes(*body, "one of answer.messages")).collect::<Result<_, _>>()
    };
    Ok(match obrolan_answer_type::from_number(answer.r#type)? {
        OBROLAN_ANSWER_FAILED => Answer::Failed,
        OBROLAN_ANSWER_DONE => Answer::Done,
        OBROLAN_ANSWER_PASSWORD_HASH => Answer::PasswordHash(text(answer.hash, "answer.hash")?),
        OBROLAN_ANSWER_PASSWORD_MATCHES => Answer::PasswordMatches(answer.matches != 0),
        OBROLAN_ANSWER_MESSAGES => Answer::Messages(messages()?),
        OBROLAN_ANSWER_HISTORY => {
            let before = (!answer.before.data.is_null()).then(|| bytes(answer.before, "answer.before"));
            Answer::History { before: before.transpose()?, messages: messages()?, more: answer.more != 0 }
        }
        OBROLAN_ANSWER_FILE_STORED => Answer::FileStored { sha256: answer.sha256, size: answer.file_size },
        OBROLAN_ANSWER_FILE_BYTES => Answer::FileBytes(bytes(answer.bytes, "answer.bytes")?),
    })
}
