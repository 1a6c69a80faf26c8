//! The work that was asked for, done, as Python gives it.

use pyo3::{exceptions::PyTypeError, prelude::*};

use crate::{
    buffer::{Content, Contents},
    errors::ApiMisuse,
    secret::Phc,
    value::value,
};

value! {
    /// The PHC string of a password.
    PasswordHash {
        /// What hash_password returned.
        hash: Phc,
    }
}

value! {
    /// Whether a password was right.
    PasswordMatches {
        /// What verify_password returned.
        matches: bool,
    }
}

value! {
    /// Bodies of messages: at least the first one asked for, and more of them in order as long as the ones before stay within the budget.
    Messages {
        /// The bodies.
        bodies: Contents,
    }
}

value! {
    /// A part of a conversation. It ends where no message is left above the floor, or where the host keeps no older ones.
    History {
        /// The body of the message before, if one was given and is kept.
        before: Option<Content>,
        /// Bodies, the newest first; at least one, if there is one.
        messages: Contents,
        /// Whether the next one could be read too.
        more: bool,
    }
}

value! {
    /// It is done.
    Done {}
}

value! {
    /// A content is durable.
    FileStored {
        /// Its SHA-256: 32 bytes.
        sha256: Content,
        /// Its bytes, as many as were appended.
        size: u64,
    }
}

value! {
    /// Bytes of a content, as many as were asked for.
    FileBytes {
        /// The bytes.
        content: Content,
    }
}

value! {
    /// The work could not be done. The peer is answered "unavailable".
    Failed {}
}

/// An answer as the engine takes it. What it has to keep is copied.
pub(crate) fn to_engine(answer: &Bound<'_, PyAny>) -> PyResult<obrolan::Answer> {
    let py = answer.py();
    Ok(if let Ok(answer) = answer.cast::<PasswordHash>() {
        obrolan::Answer::PasswordHash(answer.get().hash.0.clone())
    } else if let Ok(answer) = answer.cast::<PasswordMatches>() {
        obrolan::Answer::PasswordMatches(answer.get().matches)
    } else if let Ok(answer) = answer.cast::<Messages>() {
        obrolan::Answer::Messages(answer.get().bodies.to_vecs(py)?)
    } else if let Ok(answer) = answer.cast::<History>() {
        let History { before, messages, more } = answer.get();
        obrolan::Answer::History {
            before: before.as_ref().map(|body| body.get(py).to_vec()),
            messages: messages.to_vecs(py)?,
            more: *more,
        }
    } else if answer.is_instance_of::<Done>() {
        obrolan::Answer::Done
    } else if let Ok(answer) = answer.cast::<FileStored>() {
        let FileStored { sha256, size } = answer.get();
        let sha256 = sha256.get(py).try_into().map_err(|_| {
            ApiMisuse::new_err("a SHA-256 has 32 bytes; give hashlib.sha256(content).digest()")
        })?;
        obrolan::Answer::FileStored { sha256, size: *size }
    } else if let Ok(answer) = answer.cast::<FileBytes>() {
        obrolan::Answer::FileBytes(answer.get().content.get(py).to_vec())
    } else if answer.is_instance_of::<Failed>() {
        obrolan::Answer::Failed
    } else {
        return Err(PyTypeError::new_err(format!(
            "an answer is a PasswordHash, PasswordMatches, Messages, History, Done, FileStored, FileBytes or Failed; not {}",
            answer.get_type().name()?
        )));
    })
}
