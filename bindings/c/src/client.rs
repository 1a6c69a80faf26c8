//! Client.
//!
//! A client talks to a server as a user. It has a thread of its own, which connects, logs in, and
//! after a lost connection connects and logs in again, for as long as the client lives. What was
//! asked and not answered is sent again on the next connection, and done once. Messages come as
//! events, each once to a client, and again to the next client of this user until
//! obrolan_client_ack.
//!
//! Its thread never calls the program: events are taken with obrolan_client_next, and
//! obrolan_client_fd tells the event loops of others when there are some.
//!
//! Threads: any number may use one client at once, each waiting for its own answers. When a client
//! is closed or freed, those that wait in it are answered OBROLAN_ERR_CLOSED.
//!
//! Processes: the child of a fork does not have the client's thread. There, every call with a client
//! of the parent is answered OBROLAN_ERR_FORKED, and to free one does nothing to the parent's. Nor
//! can the child open a client or a server, unless none was used before the fork. A program that is
//! started after a fork can, and does not see the client's descriptors.
//!
//! Errors of all functions on a client, besides those they name: OBROLAN_ERR_HANDLE,
//! OBROLAN_ERR_ARGUMENT, OBROLAN_ERR_UTF8, OBROLAN_ERR_FORKED.

pub(crate) mod files;
pub(crate) mod options;
pub(crate) mod parts;
pub(crate) mod requests;

use std::{
    ffi::{c_char, c_int},
    ptr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use obrolan::{
    Password,
    client::{RequestError, Response},
    wire::NotEncodable,
};
use obrolan_server::client::{self, CallError, Client, Ended, FileError, OpenError, Url, UrlError};

use self::options::obrolan_client_options;
use crate::{
    arguments::{Out, optional_text, text},
    event::obrolan_event,
    handle,
    process::{OfProcess, may_have_threads},
    result::{
        Error, Last, ffi, ffi_of, last, last_error,
        obrolan_result::{self, *},
    },
};

/// How long a client that is closed waits for what was asked to be answered, if it is connected.
const LEAVING: Duration = Duration::from_secs(1);

/// A client.
pub struct obrolan_client(OfProcess<Held>);

struct Held {
    client: Client,
    /// How long requests wait for their answers, in milliseconds.
    timeout: AtomicU64,
}

/// A call on a client, which is told how long requests wait.
fn enter(
    client: *const obrolan_client,
    call: impl FnOnce(&Client, Duration) -> Result<(), Error>,
) -> obrolan_result {
    ffi_of(client.addr(), || {
        handle::with(client, |client| {
            let Held { client, timeout } = client.0.get()?;
            call(client, Duration::from_millis(timeout.load(Ordering::Relaxed)))
        })
    })
}

/// Where a client connects to, and as whom. What is given apart goes before what the URL says.
///
/// # Safety
/// As for [`text`].
unsafe fn target(url: *const c_char, user: *const c_char, password: *const c_char) -> Result<Url, Error> {
    // SAFETY: the caller's promise.
    let (url, user, password) =
        unsafe { (text(url, "url")?, optional_text(user, "user")?, optional_text(password, "password")?) };
    let mut url = Url::parse(url)?;
    if let Some(user) = user {
        url.user = Some(user.to_owned());
    }
    if let Some(password) = password {
        let why = "the password is none: it is empty, or holds a character that no password may hold";
        let password = Password::new(password).ok_or_else(|| Error::new(OBROLAN_ERR_ARGUMENT, why))?;
        url.password = Some(password);
    }
    Ok(url)
}

/// Connects to a server and logs in, with the options that obrolan_client_options_default sets.
///
/// url is "obrolan://USER:PASSWORD@HOST:PORT". The port may be left out (8889), and user and
/// password may be given apart, or be NULL if the URL has them.
///
/// Waits until the client is logged in, 30 seconds at most.
///
/// Errors: OBROLAN_ERR_UNREACHABLE, OBROLAN_ERR_PROTOCOL if that is no obrolan server,
/// OBROLAN_ERR_AUTH (obrolan_last_code tells why), OBROLAN_ERR_TIMEOUT, OBROLAN_ERR_IO if the system
/// has no thread or descriptor to give, OBROLAN_ERR_FORKED. OBROLAN_ERR_ARGUMENT, OBROLAN_ERR_UTF8.
/// There is no client then. Ownership: the program frees the client with obrolan_client_free.
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_open(
    url: *const c_char,
    user: *const c_char,
    password: *const c_char,
    out: *mut *mut obrolan_client,
) -> obrolan_result {
    // SAFETY: the caller vouches for its pointers; the options may be left out.
    unsafe { obrolan_client_open_with(url, user, password, ptr::null(), out) }
}

/// The same with other options. NULL for options is those of obrolan_client_open.
///
/// Errors: those of obrolan_client_open. OBROLAN_ERR_ARGUMENT if the options are of a newer version
/// than the library, or one has a value that is none. Ownership, threads: the same. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_open_with(
    url: *const c_char,
    user: *const c_char,
    password: *const c_char,
    options: *const obrolan_client_options,
    out: *mut *mut obrolan_client,
) -> obrolan_result {
    ffi(|| {
        // SAFETY: the caller vouches for its pointers.
        let (url, options, out) =
            unsafe { (target(url, user, password)?, options::read(options)?, Out::new(out, "out")?) };
        may_have_threads()?;
        let client = if options.waits {
            Client::open(&url, &options.client, Duration::from_millis(options.timeout_ms))
        } else {
            Client::start(&url, &options.client)
        }?;
        let held = Held { client, timeout: AtomicU64::new(options.timeout_ms) };
        out.set(handle::give(obrolan_client(OfProcess::new(held)))?);
        Ok(())
    })
}

/// Makes an account, over a connection of its own that ends with it. It needs no client; to log in
/// is obrolan_client_open.
///
/// url, user and password are as for obrolan_client_open. country is a text of the user's choice, of
/// one word, "ID" say; name is the name to be shown, which may have spaces. Waits 30 seconds at
/// most.
///
/// Errors: OBROLAN_ERR_REQUEST if the server refuses: the name is taken, the password too short
/// (obrolan_last_code). Otherwise those of obrolan_client_open. Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_register(
    url: *const c_char,
    user: *const c_char,
    password: *const c_char,
    country: *const c_char,
    name: *const c_char,
) -> obrolan_result {
    ffi(|| {
        // SAFETY: the caller vouches for its pointers.
        let (url, country, name) =
            unsafe { (target(url, user, password)?, text(country, "country")?, text(name, "name")?) };
        may_have_threads()?;
        answered(client::register(&url, country, name, options::PATIENCE)?)?;
        Ok(())
    })
}

/// Sets how long the requests of all threads wait for their answers from now on, in milliseconds;
/// OBROLAN_NEVER for without end. At first it is what the options said.
///
/// While there is no connection, requests wait for one. One that has waited too long is answered
/// OBROLAN_ERR_TIMEOUT; it may have been done, or be done yet.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_client_set_timeout(client: *mut obrolan_client, ms: u64) -> obrolan_result {
    ffi_of(client.addr(), || {
        handle::with(client, |client| {
            client.0.get()?.timeout.store(ms, Ordering::Relaxed);
            Ok(())
        })
    })
}

/// Takes the next event, waiting for it timeout_ms at most: 0 does not wait, OBROLAN_NEVER waits
/// without end. *out is NULL if none came.
///
/// Each event is given to one thread. The messages that wait here are bounded: others stay in the
/// mailbox on the server until events were taken.
///
/// Errors: OBROLAN_ERR_CLOSED when the client is closed and all events are taken; OBROLAN_ERR_AUTH
/// when the server has refused the login for good, because the password has changed, say. Nothing
/// more comes then. Ownership: the program frees the event with obrolan_event_free. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_next(
    client: *mut obrolan_client,
    timeout_ms: u64,
    out: *mut *mut obrolan_event,
) -> obrolan_result {
    enter(client, |client, _| {
        // SAFETY: the caller vouches for its pointers.
        let out = unsafe { Out::new(out, "out") }?;
        out.set(match client.next_event(Duration::from_millis(timeout_ms))? {
            Some(event) => handle::give(obrolan_event::new(event)?)?,
            None => ptr::null_mut(),
        });
        Ok(())
    })
}

/// A descriptor that is readable exactly while obrolan_client_next would not wait, for poll, select,
/// epoll and the event loops built on them. -1 if the handle is none.
///
/// Ownership: the client's, until it is freed: to be polled, and not to be read, written or closed.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_client_fd(client: *const obrolan_client) -> c_int {
    handle::see(client, -1, |client| client.0.get().map_or(-1, |held| held.client.fd()))
}

/// Whether the client is logged in right now. False if the handle is none.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_client_is_connected(client: *const obrolan_client) -> bool {
    handle::see(client, false, |client| client.0.get().is_ok_and(|held| held.client.is_connected()))
}

/// Closes the client: it waits a second at most for what was asked and confirmed to be answered, if
/// there is a connection, then ends it. Threads that wait in the client are answered
/// OBROLAN_ERR_CLOSED. The session stays on the server until it has not been used for long;
/// obrolan_client_logout ends it. A client that is closed already is let be.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_client_close(client: *mut obrolan_client) -> obrolan_result {
    enter(client, |client, _| {
        client.close(LEAVING);
        Ok(())
    })
}

/// Closes a client, as obrolan_client_close does, and frees it. NULL and a client that was freed are
/// let be.
///
/// Threads: any, also while others wait in the client. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_client_free(client: *mut obrolan_client) {
    handle::free_after(client, |client| {
        if let Ok(held) = client.0.get() {
            held.client.close(LEAVING);
        }
    });
}

/// Why the last call of this thread that failed did so, as obrolan_last_error tells it, if it was
/// one with this client; empty if not. For a handle that is none, the words for that. Never NULL.
///
/// Ownership: the text is good until the next call of this thread fails, or the thread ends.
/// Threads: each has its own. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_client_last_error(client: *const obrolan_client) -> *const c_char {
    last_error(|| {
        handle::with(client, |_| {
            let of_this = |last: &Last| if last.client == client.addr() { &last.text } else { c"" }.as_ptr();
            Ok(last(of_this))
        })
    })
}

/// What a request was answered, if that is OK.
fn answered(answer: Response) -> Result<Response, Error> {
    if answer.is_ok() {
        Ok(answer)
    } else {
        Err(Error::refused(OBROLAN_ERR_REQUEST, answer.reason(), &answer))
    }
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Error {
        Error::new(OBROLAN_ERR_ARGUMENT, error.to_string())
    }
}

impl From<NotEncodable> for Error {
    fn from(error: NotEncodable) -> Error {
        Error::new(OBROLAN_ERR_ARGUMENT, error.to_string())
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Error {
        let text = error.to_string();
        match error {
            OpenError::Incomplete(_) | OpenError::Login(_) => Error::new(OBROLAN_ERR_ARGUMENT, text),
            OpenError::Unreachable(_) => Error::new(OBROLAN_ERR_UNREACHABLE, text),
            OpenError::Protocol(_) => Error::new(OBROLAN_ERR_PROTOCOL, text),
            OpenError::NotNow(answer) => Error::refused(OBROLAN_ERR_AUTH, text, &answer),
            OpenError::Timeout => Error::new(OBROLAN_ERR_TIMEOUT, text),
            OpenError::Ended(ended) => ended.into(),
            OpenError::System(_) => Error::new(OBROLAN_ERR_IO, text),
            unknown => unreachable!("{unknown:?} has no form in C"),
        }
    }
}

impl From<Ended> for Error {
    fn from(ended: Ended) -> Error {
        let text = ended.to_string();
        match ended {
            Ended::Refused(answer) => Error::refused(OBROLAN_ERR_AUTH, text, &answer),
            Ended::Quit | Ended::Closed => Error::new(OBROLAN_ERR_CLOSED, text),
            unknown => unreachable!("{unknown:?} has no form in C"),
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Error {
        let text = error.to_string();
        let code = match error {
            CallError::Request(RequestError::NotEncodable(_) | RequestError::NotALine) => {
                OBROLAN_ERR_ARGUMENT
            }
            CallError::Request(RequestError::Full) => OBROLAN_ERR_LIMIT,
            CallError::Request(RequestError::Finished) => OBROLAN_ERR_CLOSED,
            CallError::Timeout => OBROLAN_ERR_TIMEOUT,
            CallError::Ended(ended) => return ended.into(),
            unknown => unreachable!("{unknown:?} has no form in C"),
        };
        Error::new(code, text)
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Error {
        let text = error.to_string();
        let code = match error {
            FileError::Name(_) | FileError::Empty => OBROLAN_ERR_ARGUMENT,
            FileError::Io(_) => OBROLAN_ERR_IO,
            FileError::Refused(answer) => return Error::refused(OBROLAN_ERR_REQUEST, text, &answer),
            FileError::Call(error) => return error.into(),
            FileError::Damaged => OBROLAN_ERR_DAMAGED,
            FileError::Stopped => OBROLAN_ERR_STOPPED,
            unknown => unreachable!("{unknown:?} has no form in C"),
        };
        Error::new(code, text)
    }
}
