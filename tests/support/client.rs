//! A plain blocking client, for the tests over real sockets.

// Every test file includes this module and uses a part of it.
#![allow(dead_code)]

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use obrolan::wire::FrameDecoder;
use serde_json::Value;

/// How long anything may take before the test says that something is wrong. Generous: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A blocking connection.
pub(crate) struct Client {
    stream: TcpStream,
    frames: FrameDecoder,
    /// Events that came before the response somebody waited for.
    events: VecDeque<Value>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Client> {
        Client::over(TcpStream::connect(address)?)
    }

    pub(crate) fn over(stream: TcpStream) -> io::Result<Client> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream, frames: FrameDecoder::new(16 << 20), events: VecDeque::new() })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Another handle to the same connection, to write while this one reads.
    pub(crate) fn writer(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    /// Writes bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be written.
    pub(crate) fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next response or event; `None` at the end of the connection, however it came.
    #[track_caller]
    pub(crate) fn frame(&mut self) -> Option<Value> {
        let mut buffer = [0; 64 << 10];
        loop {
            if let Some(frame) = self.frames.next().expect("no frame is that long") {
                assert!(frame.is_ascii(), "responses are ASCII");
                return Some(serde_json::from_slice(frame).expect("a frame is JSON"));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(n) => self.frames.push(&buffer[..n]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("nothing came for {PATIENCE:?}")
                }
                // Where a read has a timeout, the system does not go on with it by itself after a signal.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// The next response; events before it are kept. `None` at the end of the connection.
    #[track_caller]
    pub(crate) fn next_response(&mut self) -> Option<Value> {
        loop {
            let frame = self.frame()?;
            if frame.get("event").is_none() {
                return Some(frame);
            }
            self.events.push_back(frame);
        }
    }

    /// The next response.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Value {
        self.next_response().expect("the connection stays open")
    }

    /// The next event.
    #[track_caller]
    pub(crate) fn event(&mut self) -> Value {
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        let frame = self.frame().expect("the connection stays open");
        assert!(frame.get("event").is_some(), "{frame} is no event");
        frame
    }

    /// Makes a request and returns its response.
    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        self.write(format!("{line}\n").as_bytes()).expect("the connection stays open");
        self.response()
    }

    /// Makes a request that is answered OK.
    #[track_caller]
    pub(crate) fn ok(&mut self, line: &str) -> Value {
        let response = self.ask(line);
        assert_eq!(response["status"], "OK", "{line}: {response}");
        response
    }

    /// Makes a request that is answered ERROR, and returns the code.
    #[track_caller]
    pub(crate) fn code(&mut self, line: &str) -> String {
        let response = self.ask(line);
        error_code(&response).to_owned()
    }

    /// Makes an account, logs in, and returns the session's id. The password is the name, twice.
    #[track_caller]
    pub(crate) fn register(&mut self, user: &str) -> String {
        self.ok(&format!("REGISTER {user} {user}{user} Indonesia {user}"));
        self.log_in(user)
    }

    /// Logs in as [`register`](Self::register) made the account.
    #[track_caller]
    pub(crate) fn log_in(&mut self, user: &str) -> String {
        let response = self.ok(&format!("AUTH {user} {user}{user}"));
        response["tokenid"].as_str().expect("a session's id").to_owned()
    }

    /// Whether it is still answered.
    #[track_caller]
    pub(crate) fn ping(&mut self) {
        assert_eq!(self.ok("PING")["data"], "pong");
    }

    /// All messages of its user beyond `after`, oldest first, read page by page.
    #[track_caller]
    pub(crate) fn inbox(&mut self, after: u64) -> Vec<Value> {
        let mut messages: Vec<Value> = Vec::new();
        loop {
            let last = messages.last().map_or(after, id);
            let mut page = self.ok(&format!("INBOX {last}"));
            let more = page["more"].as_bool().expect("more is a boolean");
            let Value::Array(read) = page["messages"].take() else { panic!("messages are an array") };
            assert!(!more || !read.is_empty(), "there is more, but nothing came");
            messages.extend(read);
            if !more {
                return messages;
            }
        }
    }
}

/// The code of an ERROR.
#[track_caller]
pub(crate) fn error_code(response: &Value) -> &str {
    assert_eq!(response["status"], "ERROR", "{response}");
    response["code"].as_str().expect("an ERROR has a code")
}

/// The id of a message, or of the OK to one.
#[track_caller]
pub(crate) fn id(message: &Value) -> u64 {
    message["id"].as_u64().unwrap_or_else(|| panic!("{message} has an id"))
}

/// A text member.
#[track_caller]
pub(crate) fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().unwrap_or_else(|| panic!("{object} has a text `{member}`"))
}

/// The names in an array member.
#[track_caller]
pub(crate) fn names(object: &Value, member: &str) -> Vec<String> {
    let Some(array) = object[member].as_array() else { panic!("{object} has an array `{member}`") };
    array.iter().map(|name| name.as_str().expect("names are texts").to_owned()).collect()
}
