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

use obrolan::{ApiError, ConfigError, RecoveryError, Refused};

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
    /// What was stored is damaged, or does not belong together.
    OBROLAN_ERR_DAMAGED = 8,
    /// The engine does not take the connection: there are too many, or it is shutting down.
    OBROLAN_ERR_REFUSED = 9,
}

use obrolan_result::*;

impl obrolan_result {
    const ALL: [obrolan_result; 10] = [
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
            OBROLAN_ERR_DAMAGED => c"what was stored is damaged, or does not belong together",
            OBROLAN_ERR_REFUSED => c"the engine does not take the connection",
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
///
/// Ownership: the text is good until the next call of this thread fails, or the thread ends.
/// Threads: each has its own. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Why a call failed.
pub(crate) struct Error {
    pub(crate) code: obrolan_result,
    text: Cow<'static, str>,
}

impl Error {
    pub(crate) fn new(code: obrolan_result, text: impl Into<Cow<'static, str>>) -> Error {
        Error { code, text: text.into() }
    }

    /// The text, as C reads it.
    pub(crate) fn to_c(&self) -> CString {
        CString::new(self.text.replace('\0', "\\0")).unwrap_or_default()
    }

    fn of_panic(panic: &(dyn Any + Send)) -> Error {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref().copied());
        let text = text.unwrap_or("without a text");
        Error::new(OBROLAN_ERR_PANIC, format!("a bug in obrolan, please report it: {text}"))
    }
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
    let Err(error) = without_panic(work) else { return OBROLAN_OK };
    // A thread that is ending has no place for it any more.
    let _ = LAST.try_with(|last| last.replace(error.to_c()));
    error.code
}

/// The text of a handle's last error, or why there is none.
pub(crate) fn last_error(error: impl FnOnce() -> Result<*const c_char, Error>) -> *const c_char {
    without_panic(error).unwrap_or_else(|error| error.code.text().as_ptr())
}

fn without_panic<R>(work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    // Whatever a panic left half done is behind a handle that takes no further call.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Error::of_panic(&*panic)))
}
