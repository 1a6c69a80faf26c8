//! Results.
//!
//! A function that can fail returns an obrolan_result.

use std::{
    any::Any,
    borrow::Cow,
    cell::RefCell,
    ffi::{CStr, CString, c_char, c_int},
    panic::{AssertUnwindSafe, catch_unwind},
};

use obrolan::{ApiError, ConfigError, RecoveryError, Refused, client::Response};

use crate::code::obrolan_code;

/// What became of a call. Codes keep their meaning, and others may be added.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum obrolan_result {
    /// It is done.
    OBROLAN_OK = 0,
    /// The handle is NULL, was freed, is of another type, or never was one.
    OBROLAN_ERR_HANDLE = 1,
    /// A parameter is NULL where it must not be, or has a value that the function does not know.
    OBROLAN_ERR_ARGUMENT = 2,
    /// A text is not UTF-8.
    OBROLAN_ERR_UTF8 = 3,
    /// Another thread is in a call with the same handle.
    OBROLAN_ERR_BUSY = 4,
    /// A bug in the library, in this call or in an earlier one with the same handle. Nothing but to
    /// free it is left.
    OBROLAN_ERR_PANIC = 5,
    /// The call does not fit what came before it: a mistake of the program, never of a peer.
    OBROLAN_ERR_MISUSE = 6,
    /// The configuration cannot be kept, or is of a newer version than the library.
    OBROLAN_ERR_CONFIG = 7,
    /// What was stored or fetched is damaged, or does not belong together.
    OBROLAN_ERR_DAMAGED = 8,
    /// The engine does not take the connection: there are too many, or it is shutting down.
    OBROLAN_ERR_REFUSED = 9,
    /// The server was not reached: it does not run, or the network does not lead there.
    OBROLAN_ERR_UNREACHABLE = 10,
    /// The server refused the login, for good or for now: obrolan_last_code tells why.
    OBROLAN_ERR_AUTH = 11,
    /// The answer did not come in time.
    OBROLAN_ERR_TIMEOUT = 12,
    /// The client was closed, or has quit. Nothing more comes of it.
    OBROLAN_ERR_CLOSED = 13,
    /// The server answered ERROR: obrolan_last_code tells why. Nothing was changed there.
    OBROLAN_ERR_REQUEST = 14,
    /// What was reached does not speak the protocol.
    OBROLAN_ERR_PROTOCOL = 15,
    /// The operating system failed: a file, an address, a thread.
    OBROLAN_ERR_IO = 16,
    /// Too much waits already: requests for their answers, or events to be taken.
    OBROLAN_ERR_LIMIT = 17,
    /// The program's own progress function stopped the file.
    OBROLAN_ERR_STOPPED = 18,
    /// This process was forked from one that has used clients or servers. Their threads are not here.
    OBROLAN_ERR_FORKED = 19,
}

use obrolan_result::*;

impl obrolan_result {
    const ALL: [obrolan_result; 20] = [
        OBROLAN_OK,
        OBROLAN_ERR_HANDLE,
        OBROLAN_ERR_ARGUMENT,
        OBROLAN_ERR_UTF8,
        OBROLAN_ERR_BUSY,
        OBROLAN_ERR_PANIC,
        OBROLAN_ERR_MISUSE,
        OBROLAN_ERR_CONFIG,
        OBROLAN_ERR_DAMAGED,
        OBROLAN_ERR_REFUSED,
        OBROLAN_ERR_UNREACHABLE,
        OBROLAN_ERR_AUTH,
        OBROLAN_ERR_TIMEOUT,
        OBROLAN_ERR_CLOSED,
        OBROLAN_ERR_REQUEST,
        OBROLAN_ERR_PROTOCOL,
        OBROLAN_ERR_IO,
        OBROLAN_ERR_LIMIT,
        OBROLAN_ERR_STOPPED,
        OBROLAN_ERR_FORKED,
    ];

    fn text(self) -> &'static CStr {
        match self {
            OBROLAN_OK => c"done",
            OBROLAN_ERR_HANDLE => c"this is no handle of the type: it is NULL, was freed, or never was one",
            OBROLAN_ERR_ARGUMENT => {
                c"a parameter is NULL where it must not be, or has a value that is not known"
            }
            OBROLAN_ERR_UTF8 => c"a text is not UTF-8",
            OBROLAN_ERR_BUSY => c"another thread is in a call with this handle: use it from one at a time",
            OBROLAN_ERR_PANIC => {
                c"a bug in obrolan made the handle unusable: free it, and report what is on standard error"
            }
            OBROLAN_ERR_MISUSE => c"the call does not fit what came before it",
            OBROLAN_ERR_CONFIG => c"the configuration cannot be kept",
            OBROLAN_ERR_DAMAGED => c"what was stored or fetched is damaged, or does not belong together",
            OBROLAN_ERR_REFUSED => c"the engine does not take the connection",
            OBROLAN_ERR_UNREACHABLE => c"the server was not reached",
            OBROLAN_ERR_AUTH => c"the server refused the login",
            OBROLAN_ERR_TIMEOUT => c"the answer did not come in time",
            OBROLAN_ERR_CLOSED => c"the client is closed: open a new one",
            OBROLAN_ERR_REQUEST => c"the server refused the request",
            OBROLAN_ERR_PROTOCOL => c"what was reached does not speak the chat protocol",
            OBROLAN_ERR_IO => c"the operating system failed",
            OBROLAN_ERR_LIMIT => c"too much waits already: take events, or wait for answers",
            OBROLAN_ERR_STOPPED => c"the program stopped the file",
            OBROLAN_ERR_FORKED => {
                c"the handle is of the process that this one was forked from, and so are its threads: use it there"
            }
        }
    }
}

/// A code in words, without what is particular to a call. Any number may be given.
///
/// Ownership: the text is static. Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_strerror(code: c_int) -> *const c_char {
    let known = obrolan_result::ALL.into_iter().find(|known| *known as c_int == code);
    known.map_or(c"this code is of a newer version of obrolan", obrolan_result::text).as_ptr()
}

/// Why the last call of this thread that failed did so: what happened, why, and what to do next.
/// Empty if none has failed.
///
/// It tells of every function, also of those that have no handle yet, and of calls with a bad one.
/// Names and words of others may be in it: escape it where you show it.
///
/// Ownership: the text is good until the next call of this thread fails, or the thread ends.
/// Threads: each has its own. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_last_error() -> *const c_char {
    last(|last| last.text.as_ptr())
}

thread_local! {
    static LAST: RefCell<Last> = RefCell::default();
}

/// The last call of a thread that failed.
#[derive(Default)]
pub(crate) struct Last {
    pub(crate) text: CString,
    /// The number of the client it was made with, or 0.
    pub(crate) client: usize,
    pub(crate) refused: Option<Refusal>,
}

/// Why a server refused, in its own word and as the number of that.
#[derive(Clone)]
pub(crate) struct Refusal {
    pub(crate) code: obrolan_code,
    pub(crate) word: CString,
}

/// Looks at what is known of this thread's last call that failed. For a thread that is ending, that is nothing.
pub(crate) fn last<R>(look: impl Fn(&Last) -> R) -> R {
    LAST.try_with(|last| look(&last.borrow())).unwrap_or_else(|_| look(&Last::default()))
}

/// Why a call failed.
pub(crate) struct Error {
    pub(crate) code: obrolan_result,
    text: Cow<'static, str>,
    refused: Option<Refusal>,
}

impl Error {
    pub(crate) fn new(code: obrolan_result, text: impl Into<Cow<'static, str>>) -> Error {
        Error { code, text: text.into(), refused: None }
    }

    /// What a server refused.
    pub(crate) fn refused(
        code: obrolan_result,
        text: impl Into<Cow<'static, str>>,
        answer: &Response,
    ) -> Error {
        let word = to_c(answer.code_word().unwrap_or_default().to_owned());
        Error { refused: Some(Refusal { code: obrolan_code::of(answer), word }), ..Error::new(code, text) }
    }

    /// The text, as C reads it.
    pub(crate) fn to_c(&self) -> CString {
        to_c(self.text.clone().into_owned())
    }

    fn of_panic(panic: &(dyn Any + Send)) -> Error {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref().copied());
        let text = text.unwrap_or("without a text");
        Error::new(OBROLAN_ERR_PANIC, format!("a bug in obrolan, please report it: {text}"))
    }
}

/// A text, as C reads it. The server refuses a NUL in what it passes on; another's shows as a replacement character.
pub(crate) fn to_c(text: String) -> CString {
    CString::new(text).unwrap_or_else(|error| {
        let text = String::from_utf8_lossy(&error.into_vec()).replace('\0', "\u{fffd}");
        CString::new(text).expect("there is no NUL any more")
    })
}

/// An error of which nothing particular is known.
impl From<obrolan_result> for Error {
    fn from(code: obrolan_result) -> Error {
        Error::new(code, code.text().to_string_lossy())
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Error {
        Error::new(OBROLAN_ERR_MISUSE, error.to_string())
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Error {
        Error::new(OBROLAN_ERR_CONFIG, error.to_string())
    }
}

impl From<RecoveryError> for Error {
    fn from(error: RecoveryError) -> Error {
        Error::new(OBROLAN_ERR_DAMAGED, error.to_string())
    }
}

impl From<Refused> for Error {
    fn from(error: Refused) -> Error {
        Error::new(OBROLAN_ERR_REFUSED, error.to_string())
    }
}

/// Does the work of an exported function: no panic leaves it, and the thread's last error is kept.
pub(crate) fn ffi(work: impl FnOnce() -> Result<(), Error>) -> obrolan_result {
    ffi_of(0, work)
}

/// The same, for a function on the client of that number.
pub(crate) fn ffi_of(client: usize, work: impl FnOnce() -> Result<(), Error>) -> obrolan_result {
    let Err(error) = without_panic(work) else { return OBROLAN_OK };
    let (text, code) = (error.to_c(), error.code);
    // A thread that is ending has no place for it any more.
    let _ = LAST.try_with(|last| last.replace(Last { text, client, refused: error.refused }));
    code
}

/// The text of a handle's last error, or why there is none.
pub(crate) fn last_error(error: impl FnOnce() -> Result<*const c_char, Error>) -> *const c_char {
    without_panic(error).unwrap_or_else(|error| error.code.text().as_ptr())
}

fn without_panic<R>(work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    // Whatever a panic left half done is behind a handle that takes no further call.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Error::of_panic(&*panic)))
}
