//! Requests.
//!
//! Every request of the protocol, one function each, those of files in a section of their own;
//! docs/protocol.md says all about them. Each waits for its answer, as long as
//! obrolan_client_set_timeout says, while other threads go on using the client. To have many
//! requests on their way at once is obrolan_client_post.
//!
//! What was sent again because its answer was lost with the connection is done once.
//!
//! Errors of all of them, besides those they name: OBROLAN_ERR_REQUEST if the server answers ERROR
//! (obrolan_last_code tells why, and nothing was changed), OBROLAN_ERR_TIMEOUT, OBROLAN_ERR_CLOSED,
//! OBROLAN_ERR_AUTH if the server has refused the login for good, OBROLAN_ERR_LIMIT if too many
//! requests wait, and those of all functions on a client. OBROLAN_ERR_ARGUMENT is also a name or a
//! text that is empty.
//!
//! Ids and responses may be left out: NULL where they would go. A response is the program's, which
//! frees it with obrolan_response_free.
//!
//! AUTH, RESUME and SUBSCRIBE are not here, because the client makes them itself; QUIT, because
//! obrolan_client_close is enough; REGISTER is obrolan_client_register.

use std::{ffi::c_char, time::Duration};

use obrolan::{
    client::Response,
    wire::{Line, Request},
};
use obrolan_server::client::{Call, Client};

use super::{LEAVING, answered, enter, obrolan_client};
use crate::{
    arguments::{Out, optional_text, text},
    event::request_number,
    handle,
    response::obrolan_response,
    result::{Error, obrolan_result},
};

/// Makes a request of which the program wants to know only whether it was done.
pub(super) fn ask(client: &Client, timeout: Duration, request: Request<'_>) -> Result<Response, Error> {
    answered(client.call(request, timeout)?)
}

/// Makes a request, and gives what it was answered.
///
/// # Safety
/// As for [`Out::new`].
unsafe fn fetch(
    client: *mut obrolan_client,
    request: Request<'_>,
    out: *mut *mut obrolan_response,
) -> obrolan_result {
    // SAFETY: the caller's promise.
    enter(client, |client, timeout| unsafe { give(ask(client, timeout, request)?, out) })
}

/// # Safety
/// As for [`Out::new`].
pub(super) unsafe fn give(answer: Response, out: *mut *mut obrolan_response) -> Result<(), Error> {
    // SAFETY: the caller's promise.
    if let Some(out) = unsafe { Out::optional(out) } {
        out.set(handle::give(obrolan_response::new(answer))?);
    }
    Ok(())
}

/// A line as a request that is done once, if it is one that can be.
fn once(line: &str) -> Call<'_> {
    match Line::parse(line.as_bytes()) {
        Ok(Line { session: None, request }) if !line.contains(['\n', '\r']) => Call::Request(request),
        _ => Call::Line(line),
    }
}

/// # Safety
/// As for [`Out::new`].
pub(super) unsafe fn give_id(answer: &Response, id: *mut u64) {
    // SAFETY: the caller's promise.
    if let Some(id) = unsafe { Out::optional(id) } {
        id.set(answer.number("id").unwrap_or_default());
    }
}

/// Sends a message to a user, present or not. id is the message's.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_send(
    client: *mut obrolan_client,
    to: *const c_char,
    message: *const c_char,
    id: *mut u64,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let (to, message) = unsafe { (text(to, "to")?, text(message, "message")?) };
        let answer = ask(client, timeout, Request::Send { to, text: message })?;
        // SAFETY: the same.
        unsafe { give_id(&answer, id) };
        Ok(())
    })
}

/// Sends a message to every other member of a group. id is the message's.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_send_group(
    client: *mut obrolan_client,
    group: *const c_char,
    message: *const c_char,
    id: *mut u64,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let (group, message) = unsafe { (text(group, "group")?, text(message, "message")?) };
        let answer = ask(client, timeout, Request::SendGroup { group, text: message })?;
        // SAFETY: the same.
        unsafe { give_id(&answer, id) };
        Ok(())
    })
}

/// Makes a group. The user owns it, and is its first member.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_add_group(
    client: *mut obrolan_client,
    group: *const c_char,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let group = unsafe { text(group, "group") }?;
        ask(client, timeout, Request::AddGroup { group })?;
        Ok(())
    })
}

/// Joins a group.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_join_group(
    client: *mut obrolan_client,
    group: *const c_char,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let group = unsafe { text(group, "group") }?;
        ask(client, timeout, Request::JoinGroup { group })?;
        Ok(())
    })
}

/// Leaves a group. The last member to leave ends it.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_leave_group(
    client: *mut obrolan_client,
    group: *const c_char,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let group = unsafe { text(group, "group") }?;
        ask(client, timeout, Request::LeaveGroup { group })?;
        Ok(())
    })
}

/// Tells the server of another one, for admins. fingerprint may be NULL.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_add_realm(
    client: *mut obrolan_client,
    name: *const c_char,
    ip: *const c_char,
    port: u16,
    fingerprint: *const c_char,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let (name, ip, fingerprint) =
            unsafe { (text(name, "name")?, text(ip, "ip")?, optional_text(fingerprint, "fingerprint")?) };
        ask(client, timeout, Request::AddRealm { name, ip, port: port.into(), fingerprint })?;
        Ok(())
    })
}

/// Lists users: "users" has the names, sorted. The first 10000, or those after a name; if there are
/// more, "next" is the name to go on after. after may be NULL.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_list_users(
    client: *mut obrolan_client,
    after: *const c_char,
    response: *mut *mut obrolan_response,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let after = unsafe { optional_text(after, "after") }?;
        let answer = ask(client, timeout, Request::ListUsers { after })?;
        // SAFETY: the same.
        unsafe { give(answer, response) }
    })
}

/// Lists the groups that the user is in: "groups" has the names, sorted.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_list_my_groups(
    client: *mut obrolan_client,
    response: *mut *mut obrolan_response,
) -> obrolan_result {
    // SAFETY: the caller vouches for its pointers.
    unsafe { fetch(client, Request::ListMyGroups, response) }
}

/// Lists the members of a group that the user is in: "members" has the names, sorted. NULL for group
/// is the one that the session last added, joined or sent to.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_list_group(
    client: *mut obrolan_client,
    group: *const c_char,
    response: *mut *mut obrolan_response,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let group = unsafe { optional_text(group, "group") }?;
        let answer = ask(client, timeout, Request::ListGroup { group })?;
        // SAFETY: the same.
        unsafe { give(answer, response) }
    })
}

/// Fetches the oldest messages that are not confirmed, up to 100 with ids beyond after:
/// obrolan_response_message has them, "more" tells whether there are others.
///
/// The messages that come as events are the same ones. This is for clients that open with
/// OBROLAN_MESSAGES_NONE.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_inbox(
    client: *mut obrolan_client,
    after: u64,
    response: *mut *mut obrolan_response,
) -> obrolan_result {
    // SAFETY: the caller vouches for its pointers.
    unsafe { fetch(client, Request::Inbox { after: Some(after) }, response) }
}

/// Confirms all messages up to an id: they leave the mailbox, and do not come again.
///
/// Does not wait. If the connection is lost before the server has heard of it, it is told on the
/// next one; if the client ends before, the messages come again. To confirm every message as it is
/// dealt with costs little: many at once are one request.
///
/// Errors: those of all functions on a client. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_client_ack(client: *mut obrolan_client, id: u64) -> obrolan_result {
    enter(client, |client, _| {
        client.confirm(id);
        Ok(())
    })
}

/// Fetches messages with a user or of a group that the user is in, confirmed or not, newest last:
/// those before the message of an id, or the last ones if before is 0; at most limit, from 1 to 100,
/// or 50 if it is 0. obrolan_response_message has them, "more" tells whether there are older ones.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_history(
    client: *mut obrolan_client,
    with: *const c_char,
    before: u64,
    limit: u64,
    response: *mut *mut obrolan_response,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let with = unsafe { text(with, "with") }?;
        let answer = ask(
            client,
            timeout,
            Request::History {
                with,
                before: Some(before).filter(|before| *before > 0),
                limit: Some(limit).filter(|limit| *limit > 0),
            },
        )?;
        // SAFETY: the same.
        unsafe { give(answer, response) }
    })
}

/// Sees whether the server is there, and answers.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_client_ping(client: *mut obrolan_client) -> obrolan_result {
    enter(client, |client, timeout| {
        ask(client, timeout, Request::Ping)?;
        Ok(())
    })
}

/// Lists the requests that the server knows: "requests" has an object for each. NULL for name is
/// all.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_help(
    client: *mut obrolan_client,
    name: *const c_char,
    response: *mut *mut obrolan_response,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let name = unsafe { optional_text(name, "name") }?;
        let answer = ask(client, timeout, Request::Help { request: name })?;
        // SAFETY: the same.
        unsafe { give(answer, response) }
    })
}

/// Changes the user's password. Other sessions of the user end, and this client logs in with the new
/// one from now on.
///
/// It may have been changed also if the answer did not come in time (OBROLAN_ERR_TIMEOUT), or if the
/// connection was lost meanwhile and the old password was refused after that. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_passwd(
    client: *mut obrolan_client,
    old_password: *const c_char,
    new_password: *const c_char,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let (old_password, new_password) =
            unsafe { (text(old_password, "old_password")?, text(new_password, "new_password")?) };
        ask(client, timeout, Request::Passwd { old: old_password, new: new_password })?;
        Ok(())
    })
}

/// Tells who the user is: "user", "name", "country", and "admin", which is true or false.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_whoami(
    client: *mut obrolan_client,
    response: *mut *mut obrolan_response,
) -> obrolan_result {
    // SAFETY: the caller vouches for its pointers.
    unsafe { fetch(client, Request::Whoami, response) }
}

/// Lists the realms that the server was told of: "realms" has an object for each, with its "name",
/// so "/realms/0/name" is that of the first.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_list_realms(
    client: *mut obrolan_client,
    response: *mut *mut obrolan_response,
) -> obrolan_result {
    // SAFETY: the caller vouches for its pointers.
    unsafe { fetch(client, Request::ListRealms, response) }
}

/// Ends the session on the server, then closes the client, as obrolan_client_close does.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_client_logout(client: *mut obrolan_client) -> obrolan_result {
    enter(client, |client, timeout| {
        ask(client, timeout, Request::Logout)?;
        client.close(LEAVING);
        Ok(())
    })
}

/// Makes any request, as a line of the protocol without its end, and waits for the answer, OK or
/// ERROR: both are OBROLAN_OK here, and obrolan_response_is_ok tells them apart.
///
/// A request that the library knows, written as a line of words for the client's own session, is
/// done once whatever happens to the connection. Others go out as they are, and if the connection is
/// lost before the answer comes, they are sent again: write those as JSON objects, with a "dedupe"
/// key.
///
/// Errors: OBROLAN_ERR_ARGUMENT if it is not one line. Otherwise as above, without
/// OBROLAN_ERR_REQUEST. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_request(
    client: *mut obrolan_client,
    line: *const c_char,
    response: *mut *mut obrolan_response,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let line = unsafe { text(line, "line") }?;
        let answer = client.call(once(line), timeout)?;
        // SAFETY: the same.
        unsafe { give(answer, response) }
    })
}

/// Makes any request, as obrolan_client_request does, and does not wait. The answer comes as an
/// event of type OBROLAN_EVENT_RESPONSE, in the order of the requests. request is the number that
/// the event will have, from 1 on; it may be left out.
///
/// Errors: OBROLAN_ERR_LIMIT also if 10000 events wait to be taken. Otherwise those of
/// obrolan_client_request, without OBROLAN_ERR_TIMEOUT. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_post(
    client: *mut obrolan_client,
    line: *const c_char,
    request: *mut u64,
) -> obrolan_result {
    enter(client, |client, _| {
        // SAFETY: the caller vouches for its pointers.
        let (line, request) = unsafe { (text(line, "line")?, Out::optional(request)) };
        let number = request_number(client.post(once(line))?);
        if let Some(request) = request {
            request.set(number);
        }
        Ok(())
    })
}
