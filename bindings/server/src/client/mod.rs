//! A client with a socket and a thread of its own, for programs that would rather not carry bytes themselves.
//!
//! [`Client`] logs in, and after a lost connection connects and logs in again, by itself, for as long as it lives. Requests
//! are made from any thread and wait for their answers; events are taken from a queue, which has a file descriptor for the event
//! loops of others. What was asked and not answered is sent again on the next connection, and done once.
//!
//! ```
//! use std::time::Duration;
//! use obrolan::wire::Request;
//! use obrolan_server::{client::{Client, Event, Options, Url, register}, config::ServerConfig, server::Server};
//!
//! let config = ServerConfig::from_toml("listen = '127.0.0.1:0'\nstorage = 'memory'", "example").unwrap();
//! let server = Server::bind(&config).unwrap().spawn().unwrap();
//! let url = Url::parse(&format!("obrolan://ann:secret99@{}", server.local_addr())).unwrap();
//!
//! let patience = Duration::from_secs(10);
//! register(&url, "ID", "Ann Wijaya", patience).unwrap();
//! let ann = Client::open(&url, &Options::default(), patience).unwrap();
//! ann.call(Request::Send { to: "ann", text: "halo" }, patience).unwrap();
//! let Ok(Some(Event::Message(message))) = ann.next_event(patience) else { panic!("a message") };
//! assert_eq!(message.from, "ann");
//! ann.confirm(message.id);
//! ```

mod connection;
mod files;
mod link;
pub(crate) mod parts;
mod queue;
mod readiness;
mod shared;
#[cfg(test)]
mod tests;
mod url;

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

pub use self::{
    files::{FileError, Progress, To},
    url::{Url, UrlError},
};
pub use obrolan::client::{Content, File, Message, RequestId, Response};
use obrolan::{
    client::{Client as Machine, Login, ProtocolError, RequestError},
    wire::{NotEncodable, Request},
};
use smol::channel;

use self::shared::{Link, Shared};
pub(crate) use self::{
    connection::{Attempt, Connection, Lost, attempt},
    files::part_file,
};
use crate::threads;

/// How long a client that is dropped waits for what was asked to be answered, if it is connected.
const LEAVING: Duration = Duration::from_secs(1);

/// A client that keeps itself connected. It can be used from any number of threads.
///
/// Dropping it ends it, after a second at the most: what was asked and confirmed is given that long to reach the server.
pub struct Client {
    shared: Arc<Shared>,
    fd: RawFd,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How a client begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which messages come as events: those with ids beyond this one. 0 for all that are not confirmed, [`u64::MAX`] for those to come
    /// alone, `None` for none. Whatever it is, a lost connection loses none of them.
    pub messages: Option<u64>,
}

impl Default for Options {
    /// All messages that are not confirmed.
    fn default() -> Options {
        Options { messages: Some(0) }
    }
}

/// A request, as it is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// A request. One that a repetition would do twice goes out under a key of the client's own, so that it is done once even if
    /// the connection is lost before its answer comes.
    Request(Request<'a>),
    /// A request under a key of the caller's, which outlives the client: 1 to 64 bytes, not used by this user for another request
    /// within 24 hours.
    Keyed(Request<'a>, &'a str),
    /// A request line as it is, whether this version knows it or not.
    Line(&'a str),
}

impl<'a> From<Request<'a>> for Call<'a> {
    fn from(request: Request<'a>) -> Call<'a> {
        Call::Request(request)
    }
}

/// What happened, from [`Client::next_event`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The client is logged in.
    Connected {
        /// It went on with the session it had.
        resumed: bool,
    },
    /// The connection is lost, or could not be made. The client goes on trying, and tells when it is [`Connected`](Event::Connected).
    Lost {
        /// Why, in words for a log.
        why: String,
        /// How long the server said to wait, which the client does, if it refused the login because there were too many attempts.
        retry_after: Option<Duration>,
    },
    /// A message came in. It comes again to the next client of this user until [`Client::confirm`].
    Message(Message),
    /// Messages were lost because the mailbox was full.
    Gap {
        /// How many.
        count: u64,
    },
    /// The answer to a request made with [`Client::post`].
    Response {
        /// Which request.
        id: RequestId,
        /// The answer.
        response: Response,
    },
    /// The server stops and is about to close the connection.
    Closing,
    /// The server refused to send messages.
    NoMessages {
        /// Why, in words for a log.
        why: String,
    },
}

/// Why a client has come to its end. Nothing more comes of it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// The server refused the login, for good: the password is wrong by now, say.
    #[error("the server refused the login: {}", .0.reason())]
    Refused(Response),
    /// QUIT was requested.
    #[error("the client has quit; open a new one")]
    Quit,
    /// [`Client::close`] was called.
    #[error("the client is closed; open a new one")]
    Closed,
}

/// Why a client did not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL does not say as whom to log in.
    #[error("the URL has no {0}; write obrolan://USER:PASSWORD@HOST:PORT, or give it apart")]
    Incomplete(&'static str),
    /// The user or the password cannot be one.
    #[error(transparent)]
    Login(#[from] NotEncodable),
    /// The server was not reached.
    #[error("{0}")]
    Unreachable(String),
    /// What was reached does not speak the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The server refused the login for now: there were too many attempts, or it is busy.
    #[error("the server did not let it in: {}", .0.reason())]
    NotNow(Response),
    /// The server did not answer in time.
    #[error("the server did not answer in time; check that it is an obrolan server, and the network between")]
    Timeout,
    /// The server refused the login.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// The system has no thread or no descriptor to give.
    #[error("the system cannot give what a client needs ({0}); see its limits")]
    System(#[from] io::Error),
}

/// Why there is no answer to a request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It was not made.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The answer did not come in time. The request may have been done, or be done yet.
    #[error("no answer came in time; the request may have been done, or be done when the server is back")]
    Timeout,
    /// The client has ended.
    #[error(transparent)]
    Ended(#[from] Ended),
}

impl Client {
    /// Begins to connect, and goes on trying until it is logged in or the server refuses the login for good; events tell how it goes.
    ///
    /// # Errors
    /// The URL lacks a user or a password, or the system has no thread to give.
    pub fn start(url: &Url, options: &Options) -> Result<Client, OpenError> {
        let user = url.user.as_deref().ok_or(OpenError::Incomplete("user"))?;
        let password = url.password.as_ref().ok_or(OpenError::Incomplete("password"))?;
        Client::spawn(url, Login::password(user, password.expose())?, options)
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// It is not logged in within `timeout`, or before, the first attempt has failed. There is no client then.
    pub fn open(url: &Url, options: &Options, timeout: Duration) -> Result<Client, OpenError> {
        let client = Client::start(url, options)?;
        client.wait_for_login(timeout)?;
        Ok(client)
    }

    fn spawn(url: &Url, login: Login, options: &Options) -> Result<Client, OpenError> {
        // These spread the attempts of many clients, and tell their keys apart. Nobody gains by guessing one.
        let (seed, key) =
            (getrandom::u64().map_err(io::Error::from)?, getrandom::u64().map_err(io::Error::from)?);
        let (wake, woken) = channel::bounded(1);
        let anonymous = login.is_nothing();
        let mut machine = Machine::new(login);
        if let Some(after) = options.messages {
            machine.subscribe(after);
        }
        let shared = Arc::new(Shared::new(machine, wake, key)?);
        let fd = shared.lock().queue.as_fd().as_raw_fd();
        let (server, held) = (url.server.clone(), shared.clone());
        let run = move || smol::block_on(link::run(&held, &server, &woken, seed, anonymous));
        let thread = threads::spawn("obrolan-client", run)?;
        Ok(Client { shared, fd, thread: Mutex::new(Some(thread)) })
    }

    /// Waits until it is logged in. That is told here, and not by an event.
    ///
    /// # Errors
    /// [`OpenError::Timeout`] if it is not logged in within `timeout`: this can be called again then. Otherwise why it will not be, or
    /// not soon: the client goes on trying unless it has [ended](OpenError::Ended).
    pub fn wait_for_login(&self, timeout: Duration) -> Result<(), OpenError> {
        let logged_in = self.shared.wait(deadline(timeout), |state| match (&state.ended, &state.link) {
            (Some(ended), _) => Some(Err(OpenError::Ended(ended.clone()))),
            (None, Link::Up) => {
                state.queue.drop_first_login();
                Some(Ok(()))
            }
            (None, Link::Down(lost)) => Some(Err(lost.clone().into())),
            (None, Link::Begins) => None,
        });
        logged_in.unwrap_or(Err(OpenError::Timeout))
    }

    /// Makes a request and waits for its answer, whether that is OK or ERROR. While there is no connection, it waits for one.
    ///
    /// # Errors
    /// There is no answer.
    pub fn call<'a>(&self, call: impl Into<Call<'a>>, timeout: Duration) -> Result<Response, CallError> {
        self.ask(call)?.wait(timeout)?.ok_or(CallError::Timeout)
    }

    /// Makes a request; the answer is waited for apart.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn ask<'a>(&self, call: impl Into<Call<'a>>) -> Result<Asked<'_>, CallError> {
        let id = self.make(|state| state.ask(&call.into()))?;
        Ok(Asked { shared: &self.shared, id })
    }

    /// Makes a request whose answer comes as an [`Event::Response`].
    ///
    /// # Errors
    /// It cannot be made: too many wait for their answers, or 10,000 events wait to be taken.
    pub fn post<'a>(&self, call: impl Into<Call<'a>>) -> Result<RequestId, CallError> {
        self.make(|state| state.post(&call.into()))
    }

    fn make(
        &self,
        make: impl FnOnce(&mut shared::State) -> Result<RequestId, RequestError>,
    ) -> Result<RequestId, CallError> {
        let mut state = self.shared.lock();
        if let Some(ended) = &state.ended {
            return Err(ended.clone().into());
        }
        let id = make(&mut state)?;
        drop(state);
        self.shared.wake();
        Ok(id)
    }

    /// The next event; `None` if none comes within `timeout`.
    ///
    /// # Errors
    /// The client has ended, and all its events are taken.
    pub fn next_event(&self, timeout: Duration) -> Result<Option<Event>, Ended> {
        let taken = self.shared.wait(deadline(timeout), |state| match state.queue.pop() {
            Some(event) => {
                let after = state.queue.subscribe_after();
                if let Some(after) = after {
                    state.machine.subscribe(after);
                }
                Some(Ok((event, after.is_some())))
            }
            None => state.ended.clone().map(Err),
        });
        let Some((event, to_send)) = taken.transpose()? else { return Ok(None) };
        if to_send {
            self.shared.wake();
        }
        Ok(Some(event))
    }

    /// Has messages wait where they are, or lets them come again: while they are held, [`next_event`](Self::next_event) and
    /// [`fd`](Self::fd) tell of other events alone. For programs that are behind with messages, and still wait for answers.
    pub fn hold_messages(&self, held: bool) {
        self.shared.lock().queue.hold_messages(held);
        self.shared.changed();
    }

    /// Confirms all messages up to an id: they do not come again. Returns at once; if the connection is lost before the server has
    /// heard of it, it is told on the next one.
    pub fn confirm(&self, id: u64) {
        self.shared.lock().confirm(id);
        self.shared.wake();
    }

    /// A descriptor that is readable exactly while [`next_event`](Self::next_event) would not wait. It is for polling alone, and the
    /// client's: not to be read, written or closed.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.fd
    }

    /// Whether it is logged in right now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let state = self.shared.lock();
        state.ended.is_none() && state.link == Link::Up
    }

    /// Ends the client, after waiting for what was asked and confirmed to be answered, `patience` at the most and only while there is a
    /// connection. Whoever waits for an event or an answer in another thread is told.
    pub fn close(&self, patience: Duration) {
        self.shared.wait(deadline(patience), |state| {
            (state.ended.is_some() || state.link != Link::Up || state.is_idle()).then_some(())
        });
        self.shared.lock().end(Ended::Closed);
        self.shared.changed();
        self.shared.wake();
        let thread = self.thread.lock().expect("joining a thread cannot panic").take();
        if let Some(thread) = thread {
            // A panic has poisoned the state's lock, and so is not passed over in silence.
            let _ = thread.join();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close(LEAVING);
    }
}

/// A request whose answer can be waited for. To drop it is to forget the answer; the request is made all the same.
pub struct Asked<'a> {
    shared: &'a Shared,
    id: RequestId,
}

impl Asked<'_> {
    /// Waits for the answer; `None` if it does not come within `timeout`, and then it can be waited for again. It is given once.
    ///
    /// # Errors
    /// The client has ended without it.
    pub fn wait(&mut self, timeout: Duration) -> Result<Option<Response>, Ended> {
        let answered = self.shared.wait(deadline(timeout), |state| match state.answer(self.id) {
            Some(response) => Some(Ok(response)),
            None => state.ended.clone().map(Err),
        });
        answered.transpose()
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.shared.lock().forget(self.id);
    }
}

/// Makes an account for the user of a URL, whatever connection it takes.
///
/// # Errors
/// The URL lacks user or password, the server is not reached, or there is no answer within `timeout`. What the server answers, OK
/// or ERROR, is no error here.
pub fn register(url: &Url, country: &str, name: &str, timeout: Duration) -> Result<Response, OpenError> {
    let user = url.user.as_deref().ok_or(OpenError::Incomplete("user"))?;
    let password = url.password.as_ref().ok_or(OpenError::Incomplete("password"))?.expose();
    let client = Client::spawn(url, Login::nothing(), &Options { messages: None })?;
    client.wait_for_login(timeout)?;
    match client.call(Request::Register { user, password, country, name }, timeout) {
        Ok(response) => Ok(response),
        Err(CallError::Ended(ended)) => Err(ended.into()),
        Err(CallError::Timeout) => Err(OpenError::Timeout),
        Err(CallError::Request(RequestError::NotEncodable(error))) => Err(error.into()),
        Err(CallError::Request(error)) => unreachable!("the first request of a client has room: {error}"),
    }
}

impl From<Lost> for OpenError {
    fn from(lost: Lost) -> OpenError {
        match lost {
            Lost::Gone(why) => OpenError::Unreachable(why),
            Lost::Protocol(error) => OpenError::Protocol(error),
            Lost::Refused(response) => OpenError::NotNow(response),
        }
    }
}

/// When a timeout is over; `None` for one that is longer than any clock runs.
fn deadline(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}
