//! The client and the server in this process, as C programs see them.

mod bad;
mod calls;
mod ends;
mod errors;
mod events;
mod files;
mod requests;
mod server;

use std::{
    ffi::{CString, c_char},
    mem::size_of,
    net::TcpListener,
    ptr,
};

use obrolan_c::{obrolan_code::*, obrolan_event_kind::*, obrolan_messages::*, obrolan_result::*, *};

use crate::{
    engine::{Failure, c_text, checked, out},
    home::Home,
};

/// How long anything may take before the test says that something is wrong, in milliseconds. Generous: the machine may be busy.
const PATIENCE: u64 = 30_000;

const IN_MEMORY: &str = "listen = '127.0.0.1:0'\nstorage = 'memory'";

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// A copy of a text that the library lends, if it does.
fn lent(text: *const c_char) -> Option<String> {
    (!text.is_null()).then(|| c_text(text))
}

fn nothing() -> Result<(), Failure> {
    Ok(())
}

fn failure(code: obrolan_result, text: &str) -> Failure {
    Failure { code, text: text.to_owned() }
}

struct Server(*mut obrolan_server);

impl Server {
    fn open(toml: &str) -> Result<Server, Failure> {
        // SAFETY: both are there.
        out(|out| unsafe { obrolan_server_open(c(toml).as_ptr(), out) }).map(Server)
    }

    /// The server of a home, which may have been there before.
    fn of(home: &Home) -> Server {
        Server::open(&home.toml()).unwrap()
    }

    fn in_memory() -> Server {
        Server::open(IN_MEMORY).unwrap()
    }

    fn url(&self) -> String {
        c_text(obrolan_server_url(self.0))
    }

    /// The URL with a user, whose password follows from the name.
    fn url_of(&self, user: &str) -> String {
        self.url().replace("://", &format!("://{user}:rahasia-{user}@"))
    }

    /// A client of a new account.
    fn client(&self, user: &str) -> Client {
        let url = self.url_of(user);
        assert_eq!(register(&url), nothing());
        Client::open(&url).unwrap()
    }

    fn stop(&self) -> Result<(), Failure> {
        checked(obrolan_server_stop(self.0))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        obrolan_server_free(self.0);
    }
}

fn register(url: &str) -> Result<(), Failure> {
    // SAFETY: they are there, or may be left out.
    checked(unsafe {
        obrolan_client_register(
            c(url).as_ptr(),
            ptr::null(),
            ptr::null(),
            c"ID".as_ptr(),
            c"Ann Wijaya".as_ptr(),
        )
    })
}

struct Client(*mut obrolan_client);

// SAFETY: the header says that any number of threads may use a client.
unsafe impl Send for Client {}
// SAFETY: the same.
unsafe impl Sync for Client {}

impl Client {
    fn open(url: &str) -> Result<Client, Failure> {
        // SAFETY: they are there, or may be left out.
        out(|out| unsafe { obrolan_client_open(c(url).as_ptr(), ptr::null(), ptr::null(), out) }).map(Client)
    }

    fn open_with(url: &str, change: impl FnOnce(&mut obrolan_client_options)) -> Result<Client, Failure> {
        let size = size_of::<obrolan_client_options>();
        // SAFETY: it is as large as its size says.
        let mut options = out(|out| unsafe { obrolan_client_options_default(out, size) })?;
        change(&mut options);
        // SAFETY: they are there, or may be left out.
        out(|out| unsafe {
            obrolan_client_open_with(c(url).as_ptr(), ptr::null(), ptr::null(), &raw const options, out)
        })
        .map(Client)
    }

    fn next_within(&self, timeout_ms: u64) -> Result<Event, Failure> {
        // SAFETY: it is there.
        out(|out| unsafe { obrolan_client_next(self.0, timeout_ms, out) }).map(Event)
    }

    fn next(&self) -> Event {
        let event = self.next_within(PATIENCE).unwrap();
        assert!(!event.0.is_null(), "no event came");
        event
    }

    fn send(&self, to: &str, message: &str) -> Result<u64, Failure> {
        // SAFETY: they are there.
        out(|id| unsafe { obrolan_client_send(self.0, c(to).as_ptr(), c(message).as_ptr(), id) })
    }

    fn request(&self, line: &str) -> Result<Response, Failure> {
        // SAFETY: they are there.
        out(|out| unsafe { obrolan_client_request(self.0, c(line).as_ptr(), out) }).map(Response)
    }

    fn set_timeout(&self, ms: u64) {
        assert_eq!(checked(obrolan_client_set_timeout(self.0, ms)), nothing());
    }

    fn last_error(&self) -> String {
        c_text(obrolan_client_last_error(self.0))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        obrolan_client_free(self.0);
    }
}

/// An event, or NULL.
struct Event(*mut obrolan_event);

impl Event {
    fn kind(&self) -> obrolan_event_kind {
        obrolan_event_type(self.0)
    }

    fn id(&self) -> u64 {
        obrolan_event_id(self.0)
    }

    fn text(&self) -> Option<String> {
        lent(obrolan_event_text(self.0))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        obrolan_event_free(self.0);
    }
}

struct Response(*mut obrolan_response);

impl Response {
    fn is_ok(&self) -> bool {
        obrolan_response_is_ok(self.0)
    }

    fn data(&self) -> String {
        c_text(obrolan_response_data(self.0))
    }

    fn text(&self, field: &str) -> Option<String> {
        // SAFETY: it is there.
        lent(unsafe { obrolan_response_text(self.0, c(field).as_ptr()) })
    }

    fn number(&self, field: &str) -> u64 {
        // SAFETY: it is there.
        unsafe { obrolan_response_number(self.0, c(field).as_ptr()) }
    }

    fn bool(&self, field: &str) -> bool {
        // SAFETY: it is there.
        unsafe { obrolan_response_bool(self.0, c(field).as_ptr()) }
    }

    fn count(&self, field: &str) -> usize {
        // SAFETY: it is there.
        unsafe { obrolan_response_count(self.0, c(field).as_ptr()) }
    }

    fn names(&self, field: &str) -> Vec<String> {
        // SAFETY: it is there.
        let name = |at| lent(unsafe { obrolan_response_name(self.0, c(field).as_ptr(), at) });
        let names: Vec<_> = (0..self.count(field)).map(|at| name(at).unwrap()).collect();
        assert_eq!(name(names.len()), None);
        names
    }

    fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let (mut bytes, mut len) = (ptr::null(), 0);
        // SAFETY: they are there.
        checked(unsafe { obrolan_response_bytes(self.0, &raw mut bytes, &raw mut len) })?;
        // SAFETY: so many are lent.
        Ok(unsafe { std::slice::from_raw_parts(bytes, len) }.to_vec())
    }

    /// The texts of its messages.
    fn messages(&self) -> Vec<String> {
        let message = |at| lent(obrolan_event_text(obrolan_response_message(self.0, at)));
        (0..self.count("messages")).map(|at| message(at).unwrap()).collect()
    }
}

impl Drop for Response {
    fn drop(&mut self) {
        obrolan_response_free(self.0);
    }
}
