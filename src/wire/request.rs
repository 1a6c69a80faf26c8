//! A line of text as a typed request, and back.

use std::fmt;

use super::{Code, Kind, Object, SessionParam, Shape};
use crate::secret::SessionId;

/// A request with its parameters, borrowed from the line.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)] // The table of requests says what they mean.
pub enum Request<'a> {
    Auth { user: &'a str, password: &'a str },
    Logout,
    Register { user: &'a str, password: &'a str, country: &'a str, name: &'a str },
    Send { to: &'a str, text: &'a str },
    SendGroup { group: &'a str, text: &'a str },
    SendFile { to: &'a str, filename: &'a str, base64: Option<&'a str> },
    SendGroupFile { group: &'a str, filename: &'a str, base64: Option<&'a str> },
    AddRealm { name: &'a str, ip: &'a str, port: u64, fingerprint: Option<&'a str> },
    AddGroup { group: &'a str },
    JoinGroup { group: &'a str },
    LeaveGroup { group: &'a str },
    ListUsers { after: Option<&'a str> },
    ListMyGroups,
    ListGroup { group: Option<&'a str> },
    Inbox { after: Option<u64> },
    Ack { id: u64 },
    Subscribe { after: Option<u64> },
    History { with: &'a str, before: Option<u64>, limit: Option<u64> },
    Upload { filename: &'a str, base64: &'a str, offset: Option<u64> },
    GetFile { id: &'a str, offset: Option<u64>, length: Option<u64> },
    Ping,
    Help { request: Option<&'a str> },
    Resume { sid: &'a str },
    Passwd { old: &'a str, new: &'a str },
    Whoami,
    ListRealms,
    Quit,
}

/// Names the request alone: its parameters may be secrets.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({})", self.kind().spec().name)
    }
}

/// A request line taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The session the line names; whether it lives is not looked at here.
    pub session: Option<&'a str>,
    /// The request.
    pub request: Request<'a>,
}

/// Without the session's id: who knows it is logged in.
impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = if self.session.is_some() { " with a session" } else { "" };
        write!(f, "Line({}{session})", self.request.kind().spec().name)
    }
}

/// A line that is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}{}", kind.map(|kind| format!(": {}", kind.spec().usage())).unwrap_or_default())]
pub struct ParseError {
    /// The request whose parameters are wrong, if the name was known.
    pub kind: Option<Kind>,
    /// `unknown_request`, `bad_parameters` or `invalid_utf8`.
    pub code: Code,
}

/// A parameter that cannot be written as a line: a word with a space or nothing in it, a text with a line break or an
/// outer space that would be lost, a first word of the session-id form where that would name the session, or one after
/// another that is left out. In the structured form: one that is empty or has a NUL in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parameter {param} of {request} cannot be written on a line: {why}")]
pub struct NotEncodable {
    /// The request's name.
    pub request: &'static str,
    /// The parameter's name.
    pub param: &'static str,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The most parameters a request has.
pub(super) const MOST: usize = 4;

/// A parameter's value.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Absent,
    Text(&'a str),
    Number(u64),
}

impl<'a> Value<'a> {
    fn text(self) -> &'a str {
        self.optional_text().expect("the table says it is there")
    }

    fn optional_text(self) -> Option<&'a str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Absent => None,
            Value::Number(_) => unreachable!("the table says it is text"),
        }
    }

    fn number(self) -> u64 {
        self.optional_number().expect("the table says it is there")
    }

    fn optional_number(self) -> Option<u64> {
        match self {
            Value::Number(number) => Some(number),
            Value::Absent => None,
            Value::Text(_) => unreachable!("the table says it is a number"),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text)
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Value::Number(number)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Absent, Into::into)
    }
}

impl<'a> Line<'a> {
    /// Reads a line, without its line end (protocol, sections 1 and 3).
    ///
    /// ```
    /// use obrolan::wire::{Line, Request};
    /// let line = Line::parse(b"send  messi halo, apa kabar?  ").unwrap();
    /// assert!(line.request == Request::Send { to: "messi", text: "halo, apa kabar?" });
    /// ```
    ///
    /// # Errors
    /// The line is not UTF-8, names no request, or has the wrong parameters for it. A NUL is a wrong parameter
    /// anywhere: where strings end at it, a reader would be shown another text than was sent.
    pub fn parse(line: &'a [u8]) -> Result<Line<'a>, ParseError> {
        let error = |kind, code| ParseError { kind, code };
        let line = std::str::from_utf8(line).map_err(|_| error(None, Code::InvalidUtf8))?;
        let mut words = Words(line);
        let kind = words.next().and_then(Kind::from_name).ok_or(error(None, Code::UnknownRequest))?;
        let bad = error(Some(kind), Code::BadParameters);
        if memchr::memchr(0, line.as_bytes()).is_some() {
            return Err(bad);
        }
        let spec = kind.spec();
        let named_by_form =
            spec.session != SessionParam::Own && words.clone().next().is_some_and(SessionId::is_form);
        let named_by_count =
            || spec.session == SessionParam::ByCount && words.clone().count() == spec.params.len() + 1;
        let session = if named_by_form || named_by_count() { words.next() } else { None };
        let mut values = [Value::Absent; MOST];
        for (param, value) in spec.params.iter().zip(&mut values) {
            let text = if param.shape == Shape::Text { words.rest() } else { words.next() };
            *value = match (text, param.shape) {
                (None, _) if param.optional => Value::Absent,
                (None, _) => return Err(bad),
                (Some(digits), Shape::Number) => Value::Number(number(digits).ok_or(bad)?),
                (Some(text), _) => Value::Text(text),
            };
        }
        if words.next().is_some() {
            return Err(bad);
        }
        Ok(Line { session, request: Request::new(kind, values) })
    }
}

/// Decimal digits and nothing else: no sign, no space.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// What is left of a line, taken off word by word.
#[derive(Clone)]
pub(super) struct Words<'a>(pub(super) &'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let spaces = self.0.bytes().take_while(|b| *b == b' ').count();
        let rest = &self.0[spaces..];
        let end = memchr::memchr(b' ', rest.as_bytes()).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

impl<'a> Words<'a> {
    /// All of it after one space, trailing spaces trimmed; nothing is no text.
    fn rest(&mut self) -> Option<&'a str> {
        let rest = std::mem::take(&mut self.0);
        let text = rest.strip_prefix(' ').unwrap_or(rest).trim_end_matches(' ');
        (!text.is_empty()).then_some(text)
    }
}

impl<'a> Request<'a> {
    pub(super) fn new(kind: Kind, [a, b, c, d]: [Value<'a>; MOST]) -> Request<'a> {
        match kind {
            Kind::Auth => Request::Auth { user: a.text(), password: b.text() },
            Kind::Logout => Request::Logout,
            Kind::Register => {
                Request::Register { user: a.text(), password: b.text(), country: c.text(), name: d.text() }
            }
            Kind::Send => Request::Send { to: a.text(), text: b.text() },
            Kind::SendGroup => Request::SendGroup { group: a.text(), text: b.text() },
            Kind::SendFile => {
                Request::SendFile { to: a.text(), filename: b.text(), base64: c.optional_text() }
            }
            Kind::SendGroupFile => {
                Request::SendGroupFile { group: a.text(), filename: b.text(), base64: c.optional_text() }
            }
            Kind::AddRealm => Request::AddRealm {
                name: a.text(),
                ip: b.text(),
                port: c.number(),
                fingerprint: d.optional_text(),
            },
            Kind::AddGroup => Request::AddGroup { group: a.text() },
            Kind::JoinGroup => Request::JoinGroup { group: a.text() },
            Kind::LeaveGroup => Request::LeaveGroup { group: a.text() },
            Kind::ListUsers => Request::ListUsers { after: a.optional_text() },
            Kind::ListMyGroups => Request::ListMyGroups,
            Kind::ListGroup => Request::ListGroup { group: a.optional_text() },
            Kind::Inbox => Request::Inbox { after: a.optional_number() },
            Kind::Ack => Request::Ack { id: a.number() },
            Kind::Subscribe => Request::Subscribe { after: a.optional_number() },
            Kind::History => {
                Request::History { with: a.text(), before: b.optional_number(), limit: c.optional_number() }
            }
            Kind::Upload => {
                Request::Upload { filename: a.text(), base64: b.text(), offset: c.optional_number() }
            }
            Kind::GetFile => {
                Request::GetFile { id: a.text(), offset: b.optional_number(), length: c.optional_number() }
            }
            Kind::Ping => Request::Ping,
            Kind::Help => Request::Help { request: a.optional_text() },
            Kind::Resume => Request::Resume { sid: a.text() },
            Kind::Passwd => Request::Passwd { old: a.text(), new: b.text() },
            Kind::Whoami => Request::Whoami,
            Kind::ListRealms => Request::ListRealms,
            Kind::Quit => Request::Quit,
        }
    }

    fn taken_apart(&self) -> (Kind, [Value<'a>; MOST]) {
        const NONE: Value<'_> = Value::Absent;
        match *self {
            Request::Auth { user, password } => (Kind::Auth, [user.into(), password.into(), NONE, NONE]),
            Request::Logout => (Kind::Logout, [NONE; MOST]),
            Request::Register { user, password, country, name } => {
                (Kind::Register, [user.into(), password.into(), country.into(), name.into()])
            }
            Request::Send { to, text } => (Kind::Send, [to.into(), text.into(), NONE, NONE]),
            Request::SendGroup { group, text } => (Kind::SendGroup, [group.into(), text.into(), NONE, NONE]),
            Request::SendFile { to, filename, base64 } => {
                (Kind::SendFile, [to.into(), filename.into(), base64.into(), NONE])
            }
            Request::SendGroupFile { group, filename, base64 } => {
                (Kind::SendGroupFile, [group.into(), filename.into(), base64.into(), NONE])
            }
            Request::AddRealm { name, ip, port, fingerprint } => {
                (Kind::AddRealm, [name.into(), ip.into(), port.into(), fingerprint.into()])
            }
            Request::AddGroup { group } => (Kind::AddGroup, [group.into(), NONE, NONE, NONE]),
            Request::JoinGroup { group } => (Kind::JoinGroup, [group.into(), NONE, NONE, NONE]),
            Request::LeaveGroup { group } => (Kind::LeaveGroup, [group.into(), NONE, NONE, NONE]),
            Request::ListUsers { after } => (Kind::ListUsers, [after.into(), NONE, NONE, NONE]),
            Request::ListMyGroups => (Kind::ListMyGroups, [NONE; MOST]),
            Request::ListGroup { group } => (Kind::ListGroup, [group.into(), NONE, NONE, NONE]),
            Request::Inbox { after } => (Kind::Inbox, [after.into(), NONE, NONE, NONE]),
            Request::Ack { id } => (Kind::Ack, [id.into(), NONE, NONE, NONE]),
            Request::Subscribe { after } => (Kind::Subscribe, [after.into(), NONE, NONE, NONE]),
            Request::History { with, before, limit } => {
                (Kind::History, [with.into(), before.into(), limit.into(), NONE])
            }
            Request::Upload { filename, base64, offset } => {
                (Kind::Upload, [filename.into(), base64.into(), offset.into(), NONE])
            }
            Request::GetFile { id, offset, length } => {
                (Kind::GetFile, [id.into(), offset.into(), length.into(), NONE])
            }
            Request::Ping => (Kind::Ping, [NONE; MOST]),
            Request::Help { request } => (Kind::Help, [request.into(), NONE, NONE, NONE]),
            Request::Resume { sid } => (Kind::Resume, [sid.into(), NONE, NONE, NONE]),
            Request::Passwd { old, new } => (Kind::Passwd, [old.into(), new.into(), NONE, NONE]),
            Request::Whoami => (Kind::Whoami, [NONE; MOST]),
            Request::ListRealms => (Kind::ListRealms, [NONE; MOST]),
            Request::Quit => (Kind::Quit, [NONE; MOST]),
        }
    }

    /// Which request it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.taken_apart().0
    }

    /// Writes the request as a JSON object on a line, LF included, at the end of `out`: what a line of words cannot hold, line breaks
    /// say, it can. [`Structured::parse`](super::Structured::parse) reads the same request back.
    ///
    /// `dedupe` names it for 24 hours: a repeat is answered as the first was, and does nothing.
    ///
    /// ```
    /// use obrolan::wire::Request;
    /// let mut line = Vec::new();
    /// Request::Send { to: "bob", text: "two\nlines" }.encode_structured(Some("k1"), &mut line).unwrap();
    /// assert_eq!(line, b"{\"request\":\"SEND\",\"to\":\"bob\",\"text\":\"two\\nlines\",\"dedupe\":\"k1\"}\n");
    /// ```
    ///
    /// # Errors
    /// A parameter that is empty or has a NUL in it; `out` is as it was.
    pub fn encode_structured(&self, dedupe: Option<&str>, out: &mut Vec<u8>) -> Result<(), NotEncodable> {
        let (kind, values) = self.taken_apart();
        let spec = kind.spec();
        for (param, value) in spec.params.iter().zip(values) {
            let Value::Text(text) = value else { continue };
            let no_value = [("it is empty", text.is_empty()), ("it has a NUL in it", text.contains('\0'))];
            if let Some((why, _)) = no_value.into_iter().find(|(_, is)| *is) {
                return Err(NotEncodable { request: spec.name, param: param.name, why });
            }
        }
        let mut object = Object::begin(out).text("request", spec.name);
        for (param, value) in spec.params.iter().zip(values) {
            object = match value {
                Value::Absent => object,
                Value::Number(number) => object.field(param.name, &number),
                Value::Text(text) => object.text(param.name, text),
            };
        }
        if let Some(key) = dedupe {
            object = object.text("dedupe", key);
        }
        object.end();
        out.push(b'\n');
        Ok(())
    }

    /// Writes the request as a line, LF included, at the end of `out`. [`Line::parse`] reads the same request back.
    ///
    /// # Errors
    /// A parameter that a line cannot hold; `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), NotEncodable> {
        let (kind, values) = self.taken_apart();
        let spec = kind.spec();
        let start = out.len();
        let mut gap = false;
        out.extend_from_slice(spec.name.as_bytes());
        for (at, (param, value)) in spec.params.iter().zip(values).enumerate() {
            let written = match value {
                Value::Absent => {
                    gap = true;
                    continue;
                }
                Value::Number(number) => &number.to_string(),
                Value::Text(text) => text,
            };
            let first_names_session = at == 0 && spec.session != SessionParam::Own;
            let misplaced = gap.then_some("one before it is left out");
            if let Some(why) = misplaced.or(unwritable(written, param.shape, first_names_session)) {
                out.truncate(start);
                return Err(NotEncodable { request: spec.name, param: param.name, why });
            }
            out.push(b' ');
            out.extend_from_slice(written.as_bytes());
        }
        out.push(b'\n');
        Ok(())
    }
}

/// Why `value` would not be read back as it is.
fn unwritable(value: &str, shape: Shape, first: bool) -> Option<&'static str> {
    if value.is_empty() {
        Some("it is empty")
    } else if value.contains(['\n', '\0']) || value.ends_with('\r') {
        Some("it has a line break or a NUL in it")
    } else if shape == Shape::Text && value.ends_with(' ') {
        Some("it ends in a space")
    } else if shape != Shape::Text && value.contains(' ') {
        Some("it has a space in it")
    } else if first && SessionId::is_form(value) {
        Some("it has the form of a session id")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
