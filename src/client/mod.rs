//! The other side of the protocol: a client, as a state machine without sockets, clock or threads.
//!
//! [`Client`] encodes requests, takes responses and events apart, matches responses to requests, logs in, and after a
//! reconnect resumes its session and sends again what was not answered. Whoever has a socket carries the bytes.
//!
//! **The loop.** After [`connected`](Client::connected), and again whenever something happened: write
//! [`outgoing`](Client::outgoing) and report it with [`sent`](Client::sent); give what was read to
//! [`receive`](Client::receive), some 64 KiB at a time; then call [`poll_event`](Client::poll_event) until it returns
//! `None`. Never wait for a write alone: a server that nobody reads from stops reading. When the connection ends or
//! `receive` returns an error, close it, call [`disconnected`](Client::disconnected), and connect again after
//! [`Backoff::next_delay`] unless [`is_finished`](Client::is_finished).
//!
//! ```
//! use obrolan::{client::{Client, Event, Login}, wire::Request};
//! let mut client = Client::new(Login::password("ann", "correct-horse").unwrap());
//! let id = client.request(&Request::Send { to: "bob", text: "halo" }).unwrap();
//! client.connected();
//! assert_eq!(client.outgoing(), b"AUTH ann correct-horse\n");
//! client.sent(client.outgoing().len());
//! client.receive(b"{\"status\":\"OK\",\"tokenid\":\"sid_0123456789abcdef0123456789abcdef\"}\r\n\r\n").unwrap();
//! assert_eq!(client.outgoing(), b"SEND bob halo\n");
//! client.receive(b"{\"status\":\"OK\",\"data\":\"pesan terkirim\",\"id\":17}\r\n\r\n").unwrap();
//! assert!(matches!(client.poll_event(), Some(Event::LoggedIn { resumed: false })));
//! assert!(matches!(client.poll_event(), Some(Event::Response { id: of, .. }) if of == id));
//! ```

mod backoff;
mod error;
mod event;
mod login;
mod outgoing;
mod response;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, fmt};

use zeroize::Zeroizing;

pub use self::{
    backoff::Backoff,
    error::{ProtocolError, RequestError},
    event::Event,
    login::Login,
    response::{Content, File, Message, Response},
};
use self::{login::resume_line, outgoing::Outgoing, response::Frame};
use crate::{
    secret::SessionId,
    wire::{Code, END, FrameDecoder, Kind, Line, Request, Structured},
};

/// The longest response or event that is taken, in bytes.
pub const MAX_FRAME: usize = 16 << 20;
/// The most requests that wait for their answers.
pub const MAX_UNANSWERED: usize = 10_000;
/// The most bytes that they have together.
pub const MAX_UNANSWERED_BYTES: usize = 16 << 20;
/// The most bytes of responses and events that wait for [`Client::poll_event`].
pub const MAX_UNREAD_BYTES: usize = 2 * MAX_FRAME;

/// What is put into `outgoing` ahead of what the socket has taken, in bytes.
const WINDOW: usize = 64 << 10;
/// What is decoded at once, in bytes.
const PIECE: usize = 64 << 10;

/// A request's number, unique and growing within its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One user's side of a conversation with a server, over one connection after another.
///
/// **Sent again, done twice.** A request whose answer was lost with the connection is sent again on the next one. If it was
/// the answer that was lost and not the request, the server does it twice: a message may arrive twice, a REGISTER
/// find its own account (`user_exists`), a PASSWD its own new password (`bad_credentials`). A message sent with
/// [`request_once`](Client::request_once) arrives once.
///
/// **Requests about the login itself** take effect when they are answered with OK: AUTH and RESUME replace what the client
/// logs in with, PASSWD the password, LOGOUT forgets it, SUBSCRIBE is repeated after every login from where it got to.
/// QUIT is the last request; the end of the connection counts as its answer.
pub struct Client {
    login: Login,
    session: Option<SessionId>,
    /// The last message seen, once messages are asked for.
    seen: Option<u64>,
    /// How many of the expected answers are to SUBSCRIBE.
    subscribing: usize,
    link: Link,
    /// Oldest first. The first `asked` of them went out on this connection.
    unanswered: VecDeque<Unanswered>,
    asked: usize,
    unanswered_bytes: usize,
    expected: VecDeque<Expected>,
    out: Outgoing,
    frames: FrameDecoder,
    /// Bytes of an unfinished frame inside `frames`.
    unfinished: usize,
    failed: Option<ProtocolError>,
    events: VecDeque<Event>,
    unread_bytes: usize,
    next_id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Link {
    Down,
    LoggingIn,
    Refused,
    Ready,
    Finished,
}

struct Unanswered {
    id: RequestId,
    kind: Option<Kind>,
    line: Zeroizing<Vec<u8>>,
}

/// Whose answer comes next.
#[derive(Clone, Copy, PartialEq)]
enum Expected {
    Auth,
    Resume,
    Subscribe,
    /// Of a login in whose place came another, or asked for in its name.
    Superseded,
    /// Of the oldest unanswered request.
    Request,
}

impl Client {
    /// A client that is not connected yet.
    #[must_use]
    pub fn new(login: Login) -> Client {
        Client {
            login,
            session: None,
            seen: None,
            subscribing: 0,
            link: Link::Down,
            unanswered: VecDeque::new(),
            asked: 0,
            unanswered_bytes: 0,
            expected: VecDeque::new(),
            out: Outgoing::default(),
            frames: FrameDecoder::new(MAX_FRAME),
            unfinished: 0,
            failed: None,
            events: VecDeque::new(),
            unread_bytes: 0,
            next_id: 0,
        }
    }

    /// Logs in as someone, now if connected and after every connect from now on.
    pub fn login(&mut self, login: Login) {
        self.adopt(login);
        if matches!(self.link, Link::LoggingIn | Link::Refused | Link::Ready) {
            self.log_in();
            self.fill();
        }
    }

    /// Asks for messages, now if logged in and after every login from now on: those with ids beyond `after`, 0 for
    /// all unconfirmed ones, [`u64::MAX`] for those to come alone. None comes twice, whatever happens to connections.
    ///
    /// To be asked once more is to begin anew from there: what was sent since comes again.
    pub fn subscribe(&mut self, after: u64) {
        self.seen = Some(after);
        if self.link == Link::Ready && !self.login.is_nothing() {
            self.ask_for_messages();
        }
    }

    /// Makes a request. It goes out as soon as the client is connected and logged in, after those made before; as a line of words or,
    /// if that cannot hold a parameter, in the structured form.
    ///
    /// # Errors
    /// A parameter is empty or has a NUL in it, too many requests wait, or the client has quit.
    pub fn request(&mut self, request: &Request<'_>) -> Result<RequestId, RequestError> {
        let mut line = Zeroizing::new(Vec::with_capacity(256));
        if request.encode(&mut line).is_err() {
            request.encode_structured(None, &mut line)?;
        }
        self.enqueue(Some(request.kind()), line)
    }

    /// Makes a request under a key of 1 to 64 bytes that no other of this user has had within 24 hours: however often it is sent
    /// again, the server does it once. Only requests that change something can have one.
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn request_once(&mut self, request: &Request<'_>, key: &str) -> Result<RequestId, RequestError> {
        let mut line = Zeroizing::new(Vec::with_capacity(256));
        request.encode_structured(Some(key), &mut line)?;
        self.enqueue(Some(request.kind()), line)
    }

    /// Makes a request that is written out already, whether this version knows it or not.
    ///
    /// # Errors
    /// As [`request`](Self::request), or `line` is not one line.
    pub fn request_line(&mut self, line: &str) -> Result<RequestId, RequestError> {
        if line.contains(['\n', '\r']) || line.trim_matches(' ').is_empty() {
            return Err(RequestError::NotALine);
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(line.len() + 1));
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        self.enqueue(parsed(line.as_bytes(), |line| line.request.kind()), bytes)
    }

    /// A connection is made.
    pub fn connected(&mut self) {
        self.disconnected();
        if self.link != Link::Finished {
            self.log_in();
            self.fill();
        }
    }

    /// The connection is gone. What was not answered stays for the next one.
    pub fn disconnected(&mut self) {
        // Whether it was answered or not, what QUIT asked for has happened.
        if self.asked == 1 && self.unanswered.front().is_some_and(|request| request.kind == Some(Kind::Quit))
        {
            self.answered(Response::goodbye());
        }
        if self.link != Link::Finished {
            self.link = Link::Down;
        }
        self.asked = 0;
        self.expected.clear();
        self.subscribing = 0;
        self.out.clear();
        self.frames = FrameDecoder::new(MAX_FRAME);
        self.unfinished = 0;
        self.failed = None;
    }

    /// What is to be written to the connection now.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.out.unsent()
    }

    /// The first `n` bytes of [`outgoing`](Self::outgoing) are written.
    pub fn sent(&mut self, n: usize) {
        self.out.sent(n);
        self.fill();
    }

    /// Takes bytes read from the connection, cut anywhere. What they mean is said by
    /// [`poll_event`](Self::poll_event).
    ///
    /// # Errors
    /// The server broke the protocol. Events before that are still there to be read.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        if self.link == Link::Down {
            return Err(ProtocolError::NotConnected);
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = bytes.chunks(PIECE).try_for_each(|piece| self.decode(piece));
        self.failed = result.err();
        result
    }

    /// The next event, in the order they happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if self.events.is_empty() {
            self.unread_bytes = 0;
        }
        event
    }

    /// How many requests wait for their answers.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// Whether the client has quit and needs no connection any more.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.link == Link::Finished
    }

    /// The session that the next connection resumes: to be kept by a program that wants to go on with it after a
    /// restart ([`Login::session`]).
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    fn enqueue(&mut self, kind: Option<Kind>, line: Zeroizing<Vec<u8>>) -> Result<RequestId, RequestError> {
        let quit = self.unanswered.back().is_some_and(|last| last.kind == Some(Kind::Quit));
        if quit || self.link == Link::Finished {
            return Err(RequestError::Finished);
        }
        let bytes = self.unanswered_bytes + line.len();
        if self.unanswered.len() == MAX_UNANSWERED || bytes > MAX_UNANSWERED_BYTES {
            return Err(RequestError::Full);
        }
        let id = RequestId(self.next_id);
        self.next_id += 1;
        self.unanswered_bytes = bytes;
        self.unanswered.push_back(Unanswered { id, kind, line });
        self.fill();
        Ok(id)
    }

    /// Puts requests into `out`, as far as they may go and there is room.
    fn fill(&mut self) {
        while self.link == Link::Ready
            && self.asked < self.unanswered.len()
            && self.out.unsent().len() < WINDOW
        {
            self.out.push(&self.unanswered[self.asked].line);
            self.expected.push_back(Expected::Request);
            self.asked += 1;
        }
    }

    fn log_in(&mut self) {
        for expected in &mut self.expected {
            if matches!(expected, Expected::Auth | Expected::Resume | Expected::Subscribe) {
                *expected = Expected::Superseded;
            }
        }
        self.subscribing = 0;
        self.link = Link::LoggingIn;
        match (&self.session, &self.login.0) {
            (Some(sid), _) | (None, login::Kind::Session(sid)) => {
                self.out.push(&resume_line(sid));
                self.expected.push_back(Expected::Resume);
            }
            (None, login::Kind::Password { line, .. }) => {
                self.out.push(line);
                self.expected.push_back(Expected::Auth);
            }
            (None, login::Kind::Nothing) => self.link = Link::Ready,
        }
    }

    fn logged_in(&mut self, resumed: bool) {
        self.link = Link::Ready;
        self.events.push_back(Event::LoggedIn { resumed });
        if self.seen.is_some() {
            self.ask_for_messages();
        }
    }

    fn refused(&mut self, response: Response) {
        self.link = Link::Refused;
        self.events.push_back(Event::LoginFailed { response });
    }

    fn ask_for_messages(&mut self) {
        let mut line = Vec::new();
        Request::Subscribe { after: self.seen }.encode(&mut line).expect("a number can be written");
        self.out.push(&line);
        self.expected.push_back(Expected::Subscribe);
        self.subscribing += 1;
    }

    /// Another login than before, whose session is not known; another user's messages have other ids.
    fn adopt(&mut self, login: Login) {
        if login.user().is_none() || login.user() != self.login.user() {
            self.seen = self.seen.map(|_| 0);
        }
        self.login = login;
        self.session = None;
    }

    fn decode(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        self.frames.push(piece);
        self.unfinished += piece.len();
        while let Some(frame) = self.frames.next()? {
            let length = frame.len() + END.len();
            let frame = Frame::parse(frame).map_err(|why| ProtocolError::NotAResponse { why })?;
            self.unfinished -= length;
            self.unread_bytes += length;
            if self.unread_bytes > MAX_UNREAD_BYTES {
                return Err(ProtocolError::Unread);
            }
            self.take(frame)?;
        }
        // A server of another protocol greets with a line and waits: do not wait for the end of a frame with it.
        let begun = piece.len().checked_sub(self.unfinished).and_then(|at| piece.get(at));
        if begun.is_some_and(|&first| first != b'{') {
            return Err(ProtocolError::NotAResponse { why: response::NO_OBJECT });
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame) -> Result<(), ProtocolError> {
        let event = match frame {
            Frame::Response(response) => return self.take_response(response),
            Frame::Message(message) => {
                // Before the answer to a login, messages may be another user's; before that to SUBSCRIBE, they are of an earlier
                // subscription. They come again: the cursor is the new one's.
                let earlier = self.link != Link::Ready || self.subscribing > 0;
                if earlier || self.seen.is_some_and(|seen| message.id <= seen) {
                    return Ok(());
                }
                self.seen = self.seen.map(|_| message.id);
                Event::Message(message)
            }
            Frame::Gap(count) => Event::Gap { count },
            Frame::Closing => Event::Closing,
            Frame::Other(event, body) => Event::Other { event, body },
        };
        self.events.push_back(event);
        Ok(())
    }

    fn take_response(&mut self, response: Response) -> Result<(), ProtocolError> {
        match self.expected.pop_front().ok_or(ProtocolError::Unasked)? {
            Expected::Request => self.answered(response),
            Expected::Auth if response.is_ok() => {
                self.session = response.text("tokenid").and_then(SessionId::parse);
                self.logged_in(false);
            }
            Expected::Resume if response.is_ok() => {
                if let login::Kind::Session(sid) = &self.login.0 {
                    self.session = Some(sid.clone());
                }
                self.logged_in(true);
            }
            Expected::Resume if response.code() == Some(Code::NoSession) && self.login.user().is_some() => {
                self.session = None;
                self.log_in();
            }
            Expected::Auth | Expected::Resume => self.refused(response),
            Expected::Subscribe => {
                self.subscribing -= 1;
                // Where an earlier one begins says nothing about the one that took its place.
                if self.subscribing == 0 {
                    self.seen = self.seen.map(|seen| begins(seen, &response));
                }
                if !response.is_ok() {
                    self.events.push_back(Event::SubscribeFailed { response });
                }
            }
            Expected::Superseded => {}
        }
        self.fill();
        Ok(())
    }

    /// The oldest request is answered.
    fn answered(&mut self, response: Response) {
        let Unanswered { id, kind, line } = self.unanswered.pop_front().expect("expected, so there is one");
        self.asked -= 1;
        self.unanswered_bytes -= line.len();
        if let Some(Kind::Auth | Kind::Resume | Kind::Passwd | Kind::Logout | Kind::Subscribe | Kind::Quit) =
            kind.filter(|_| response.is_ok())
        {
            self.events.push_back(Event::Response { id, response: response.clone() });
            parsed(line.strip_suffix(b"\n").unwrap_or(&line), |line| self.take_effect(line, &response));
        } else {
            self.events.push_back(Event::Response { id, response });
        }
    }

    /// Follows what a request did to the login.
    fn take_effect(&mut self, Line { session, request }: Line<'_>, response: &Response) {
        let of_another =
            session.is_some_and(|named| self.session.as_ref().is_none_or(|own| own.expose() != named));
        match request {
            Request::Quit => self.link = Link::Finished,
            // It was asked in the name of an earlier login.
            _ if self.link == Link::LoggingIn => {}
            Request::Auth { user, password } => {
                if let Ok(login) = Login::password(user, password) {
                    self.adopt(login);
                    self.session = response.text("tokenid").and_then(SessionId::parse);
                    self.logged_in(false);
                }
            }
            Request::Resume { sid } => {
                if let Some(sid) = SessionId::parse(sid) {
                    self.adopt(Login::session(sid.clone()));
                    self.session = Some(sid);
                    self.logged_in(true);
                }
            }
            _ if of_another => {}
            Request::Passwd { new, .. } => {
                if let Some(Ok(login)) = self.login.user().map(|user| Login::password(user, new)) {
                    self.login = login;
                }
            }
            Request::Logout => self.adopt(Login::nothing()),
            Request::Subscribe { after } if self.subscribing == 0 => {
                self.seen = Some(begins(after.unwrap_or(0), response));
            }
            _ => {}
        }
    }
}

/// Looks at a request that is written out; `None` if it is none that this version knows.
fn parsed<T>(line: &[u8], look: impl FnOnce(Line<'_>) -> T) -> Option<T> {
    if line.first() == Some(&b'{') {
        let structured = Structured::parse(line).ok()?;
        structured.line().ok().map(look)
    } else {
        Line::parse(line).ok().map(look)
    }
}

/// Where a subscription beyond `after` begins: a server that has not got that far yet tells.
fn begins(after: u64, response: &Response) -> u64 {
    response.number("after").unwrap_or(after)
}

/// Shows nothing secret and nothing long.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("login", &self.login)
            .field("link", &self.link)
            .field("unanswered", &self.unanswered.len())
            .finish_non_exhaustive()
    }
}
