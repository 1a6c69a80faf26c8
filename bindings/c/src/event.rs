//! Events.
//!
//! What happened, from obrolan_client_next. Its type tells which of the functions have something to
//! say of it; the others say NULL, 0 or false, and so do all of a handle that is none.
//!
//! What peers have chosen, names, texts and names of files, is to be escaped where it is shown. The
//! name of a file is not fit to be used as a path as it is.
//!
//! An event does not change, so any number of threads may use it at once.

use std::{
    ffi::{CString, c_char},
    ptr,
};

use obrolan_server::client::{Content, Event, Message};

use crate::{
    handle::{self, Lent},
    response::obrolan_response,
    result::{Error, to_c},
};

/// What happened.
pub struct obrolan_event {
    kind: obrolan_event_kind,
    id: u64,
    request: u64,
    time: u64,
    count: u64,
    resumed: bool,
    from: Option<CString>,
    to: Option<CString>,
    group: Option<CString>,
    text: Option<CString>,
    file: Option<File>,
    response: Option<Lent<obrolan_response>>,
}

struct File {
    id: CString,
    name: CString,
    size: u64,
    sha256: CString,
}

/// What an event is about. Others may be added: leave them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum obrolan_event_kind {
    /// The handle is none.
    OBROLAN_EVENT_NONE = 0,
    /// A message came in: _id, _from, _to or _group, _time, and either _text or _file_id,
    /// _file_name, _file_size and _file_sha256. It comes again to the next client of this user until
    /// obrolan_client_ack.
    OBROLAN_EVENT_MESSAGE = 1,
    /// The client is logged in; _resumed tells whether it went on with the session it had.
    OBROLAN_EVENT_CONNECTED = 2,
    /// The connection is lost, or could not be made; _text tells why. The client goes on trying, and
    /// OBROLAN_EVENT_CONNECTED tells when it is there again. Nothing is lost meanwhile.
    OBROLAN_EVENT_LOST = 3,
    /// _count messages were lost because the mailbox was full.
    OBROLAN_EVENT_GAP = 4,
    /// A request made with obrolan_client_post was answered: _request and _response.
    OBROLAN_EVENT_RESPONSE = 5,
    /// The server stops, and is about to close the connection.
    OBROLAN_EVENT_CLOSING = 6,
    /// The server refused to send messages; _text tells why.
    OBROLAN_EVENT_NO_MESSAGES = 7,
}

use obrolan_event_kind::*;

impl obrolan_event {
    fn of(kind: obrolan_event_kind) -> obrolan_event {
        obrolan_event {
            kind,
            id: 0,
            request: 0,
            time: 0,
            count: 0,
            resumed: false,
            from: None,
            to: None,
            group: None,
            text: None,
            file: None,
            response: None,
        }
    }

    pub(crate) fn new(event: Event) -> Result<obrolan_event, Error> {
        let of = obrolan_event::of;
        Ok(match event {
            Event::Message(message) => message.into(),
            Event::Connected { resumed } => obrolan_event { resumed, ..of(OBROLAN_EVENT_CONNECTED) },
            Event::Lost { why, .. } => obrolan_event { text: Some(to_c(why)), ..of(OBROLAN_EVENT_LOST) },
            Event::Gap { count } => obrolan_event { count, ..of(OBROLAN_EVENT_GAP) },
            Event::Response { id, response } => obrolan_event {
                request: request_number(id),
                response: Some(Lent::new(obrolan_response::new(response))?),
                ..of(OBROLAN_EVENT_RESPONSE)
            },
            Event::Closing => of(OBROLAN_EVENT_CLOSING),
            Event::NoMessages { why } => {
                obrolan_event { text: Some(to_c(why)), ..of(OBROLAN_EVENT_NO_MESSAGES) }
            }
            unknown => unreachable!("{unknown:?} has no form in C"),
        })
    }
}

/// A request's number, as C programs know it: 0 is none.
pub(crate) fn request_number(id: obrolan_server::client::RequestId) -> u64 {
    id.0 + 1
}

impl From<Message> for obrolan_event {
    fn from(message: Message) -> obrolan_event {
        let Message { id, from, to, group, time, content } = message;
        let (text, file) = match content {
            Content::Text(text) => (Some(to_c(text)), None),
            Content::File(file) => {
                let (id, name, sha256) = (to_c(file.id), to_c(file.name), to_c(file.sha256));
                (None, Some(File { id, name, size: file.size, sha256 }))
            }
            unknown => unreachable!("{unknown:?} has no form in C"),
        };
        obrolan_event {
            id,
            time: time.0,
            from: Some(to_c(from)),
            // Servers name the group there too.
            to: Some(to).filter(|to| group.is_none() && !to.is_empty()).map(to_c),
            group: group.map(to_c),
            text,
            file,
            ..obrolan_event::of(OBROLAN_EVENT_MESSAGE)
        }
    }
}

fn text(event: *const obrolan_event, look: impl FnOnce(&obrolan_event) -> Option<&CString>) -> *const c_char {
    handle::see(event, ptr::null(), |event| look(event).map_or(ptr::null(), |text| text.as_ptr()))
}

/// What the event is about.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_type(event: *const obrolan_event) -> obrolan_event_kind {
    handle::see(event, OBROLAN_EVENT_NONE, |event| event.kind)
}

/// The id of the message, which obrolan_client_ack takes. It grows from message to message.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_id(event: *const obrolan_event) -> u64 {
    handle::see(event, 0, |event| event.id)
}

/// Who sent the message: "name", or "name@realm".
///
/// Ownership: lent until the event is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_from(event: *const obrolan_event) -> *const c_char {
    text(event, |event| event.from.as_ref())
}

/// To whom the message was sent. NULL where it was sent to a group.
///
/// Ownership: lent until the event is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_to(event: *const obrolan_event) -> *const c_char {
    text(event, |event| event.to.as_ref())
}

/// The group to which the message was sent. NULL where it was sent to a user.
///
/// Ownership: lent until the event is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_group(event: *const obrolan_event) -> *const c_char {
    text(event, |event| event.group.as_ref())
}

/// The text of the message; NULL where it is a file. For LOST and NO_MESSAGES, why.
///
/// Ownership: lent until the event is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_text(event: *const obrolan_event) -> *const c_char {
    text(event, |event| event.text.as_ref())
}

/// When the server accepted the message, in milliseconds since 1970-01-01T00:00:00Z.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_time(event: *const obrolan_event) -> u64 {
    handle::see(event, 0, |event| event.time)
}

/// The id of the file on the server, which obrolan_client_get_file takes. NULL where the message is
/// no file.
///
/// Ownership: lent until the event is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_file_id(event: *const obrolan_event) -> *const c_char {
    text(event, |event| event.file.as_ref().map(|file| &file.id))
}

/// The name that the sender gave the file. NULL where the message is no file.
///
/// Ownership: lent until the event is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_file_name(event: *const obrolan_event) -> *const c_char {
    text(event, |event| event.file.as_ref().map(|file| &file.name))
}

/// How many bytes the file has.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_file_size(event: *const obrolan_event) -> u64 {
    handle::see(event, 0, |event| event.file.as_ref().map_or(0, |file| file.size))
}

/// The SHA-256 of the file's content, in hex. NULL where the message is no file.
///
/// Ownership: lent until the event is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_file_sha256(event: *const obrolan_event) -> *const c_char {
    text(event, |event| event.file.as_ref().map(|file| &file.sha256))
}

/// Whether the client went on with the session it had.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_resumed(event: *const obrolan_event) -> bool {
    handle::see(event, false, |event| event.resumed)
}

/// How many messages were lost.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_count(event: *const obrolan_event) -> u64 {
    handle::see(event, 0, |event| event.count)
}

/// Which request was answered: the number that obrolan_client_post gave.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_request(event: *const obrolan_event) -> u64 {
    handle::see(event, 0, |event| event.request)
}

/// What the request was answered. NULL where the event is no RESPONSE.
///
/// Ownership: lent until the event is freed, and not to be freed by itself. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_response(event: *const obrolan_event) -> *const obrolan_response {
    handle::see(event, ptr::null(), |event| event.response.as_ref().map_or(ptr::null(), Lent::handle))
}

/// Frees an event. NULL and an event that was freed are let be.
///
/// Threads: any; see the head of this file. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_event_free(event: *mut obrolan_event) {
    handle::free(event);
}

/// A message of the response to INBOX or HISTORY at a place, from 0 on, as an event of type
/// OBROLAN_EVENT_MESSAGE. NULL if there is none. obrolan_response_count of "messages" tells how many
/// there are.
///
/// Ownership: lent until the response is freed, and not to be freed by itself. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_response_message(
    response: *const obrolan_response,
    index: usize,
) -> *const obrolan_event {
    handle::see(response, ptr::null(), |response| {
        response.messages().get(index).map_or(ptr::null(), Lent::handle)
    })
}
