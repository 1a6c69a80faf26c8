//! Options.
//!
//! How a client begins.

use std::{ffi::c_int, mem::size_of, time::Duration};

use obrolan_server::client;

use crate::{
    arguments::{Versioned, init, versioned},
    result::{
        Error, ffi,
        obrolan_result::{self, OBROLAN_ERR_ARGUMENT},
    },
};

/// How long what needs no options waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Which messages come as events. Whatever it is, a lost connection loses none of them.
#[repr(C)]
#[derive(Clone, Copy)]
pub enum obrolan_messages {
    /// All that are not confirmed, those that wait on the server first.
    OBROLAN_MESSAGES_UNCONFIRMED = 0,
    /// Those of them with ids beyond the field after.
    OBROLAN_MESSAGES_AFTER = 1,
    /// Those to come alone.
    OBROLAN_MESSAGES_TO_COME = 2,
    /// None.
    OBROLAN_MESSAGES_NONE = 3,
}

/// How a client begins. Have it set by obrolan_client_options_default before you change a field.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct obrolan_client_options {
    /// The size of this struct, as the program knows it.
    pub size: usize,
    /// Which messages come as events; an obrolan_messages. Default: OBROLAN_MESSAGES_UNCONFIRMED.
    pub messages: c_int,
    /// Whether to open waits until the client is logged in, and fails if the first attempt does. If
    /// 0, it returns at once, events tell how it goes, and a server that does not run yet is waited
    /// for. Default: 1.
    pub wait: c_int,
    /// OBROLAN_MESSAGES_AFTER: the last message that is not wanted. Default: 0.
    pub after: u64,
    /// How long to open waits, and every request after it, in milliseconds; OBROLAN_NEVER for
    /// without end. Default: 30000.
    pub timeout_ms: u64,
}

/// Options as they are used.
pub(crate) struct Read {
    pub(crate) client: client::Options,
    pub(crate) waits: bool,
    pub(crate) timeout_ms: u64,
}

// SAFETY: numbers.
unsafe impl Versioned for obrolan_client_options {
    const NAME: &str = "obrolan_client_options";
    const REFUSED: obrolan_result = OBROLAN_ERR_ARGUMENT;
    const FIRST_SIZE: usize = size_of::<obrolan_client_options>();

    fn preset() -> obrolan_client_options {
        obrolan_client_options {
            size: size_of::<obrolan_client_options>(),
            messages: obrolan_messages::OBROLAN_MESSAGES_UNCONFIRMED as c_int,
            wait: 1,
            after: 0,
            timeout_ms: PATIENCE.as_millis() as u64,
        }
    }
}

/// Sets all fields to their defaults. size is sizeof(obrolan_client_options).
///
/// Errors: OBROLAN_ERR_ARGUMENT if options is NULL, or if the library is older than the header that
/// the program was built with. Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_options_default(
    options: *mut obrolan_client_options,
    size: usize,
) -> obrolan_result {
    ffi(|| {
        let preset = obrolan_client_options { size, ..obrolan_client_options::preset() };
        // SAFETY: the caller vouches for the size.
        unsafe { init(options, size, &preset, "options") }
    })
}

/// The options that a program gives; the preset ones for NULL.
///
/// # Safety
/// Unless it is NULL, it begins with its size and has as many bytes.
pub(crate) unsafe fn read(options: *const obrolan_client_options) -> Result<Read, Error> {
    let options = if options.is_null() {
        obrolan_client_options::preset()
    } else {
        // SAFETY: the caller's promise.
        unsafe { versioned(options, "options") }?
    };
    use obrolan_messages::*;
    let messages = match options.messages {
        it if it == OBROLAN_MESSAGES_UNCONFIRMED as c_int => Some(0),
        it if it == OBROLAN_MESSAGES_AFTER as c_int => Some(options.after),
        it if it == OBROLAN_MESSAGES_TO_COME as c_int => Some(u64::MAX),
        it if it == OBROLAN_MESSAGES_NONE as c_int => None,
        it => {
            let text = format!("options.messages is {it}, which is no obrolan_messages");
            return Err(Error::new(OBROLAN_ERR_ARGUMENT, text));
        }
    };
    Ok(Read {
        client: client::Options { messages },
        waits: options.wait != 0,
        timeout_ms: options.timeout_ms,
    })
}
