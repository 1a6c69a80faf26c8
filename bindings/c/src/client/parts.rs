//! Files in parts.
//!
//! The requests of which obrolan_client_send_file and obrolan_client_get_file make whole files, for
//! programs that have the content elsewhere than in a file. All that is said of requests is true of
//! them.

use std::ffi::c_char;

use base64::{Engine, prelude::BASE64_STANDARD};
use obrolan::wire::Request;

use super::{
    enter, obrolan_client,
    requests::{ask, give, give_id},
};
use crate::{
    arguments::{Out, array, text},
    response::obrolan_response,
    result::obrolan_result,
};

/// Sends to a user the upload of that name (obrolan_client_upload). id is the message's.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_send_upload(
    client: *mut obrolan_client,
    to: *const c_char,
    filename: *const c_char,
    id: *mut u64,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let (to, filename) = unsafe { (text(to, "to")?, text(filename, "filename")?) };
        let answer = ask(client, timeout, Request::SendFile { to, filename, base64: None })?;
        // SAFETY: the same.
        unsafe { give_id(&answer, id) };
        Ok(())
    })
}

/// Sends to every other member of a group the upload of that name. id is the message's.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_send_group_upload(
    client: *mut obrolan_client,
    group: *const c_char,
    filename: *const c_char,
    id: *mut u64,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let (group, filename) = unsafe { (text(group, "group")?, text(filename, "filename")?) };
        let answer = ask(client, timeout, Request::SendGroupFile { group, filename, base64: None })?;
        // SAFETY: the same.
        unsafe { give_id(&answer, id) };
        Ok(())
    })
}

/// Adds len bytes to the user's upload of that name, from offset on: 0, or the size so far. A name
/// of a file has no separator. size is that of the upload, with this part.
///
/// A part may have some 700000 bytes, as a line has 1 MiB at most. obrolan_client_send_file does all
/// of this for a file.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_upload(
    client: *mut obrolan_client,
    filename: *const c_char,
    offset: u64,
    bytes: *const u8,
    len: usize,
    size: *mut u64,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let (filename, bytes, size) =
            unsafe { (text(filename, "filename")?, array(bytes, len, "bytes")?, Out::optional(size)) };
        let base64 = &BASE64_STANDARD.encode(bytes);
        let answer = ask(client, timeout, Request::Upload { filename, base64, offset: Some(offset) })?;
        if let Some(size) = size {
            size.set(answer.number("size").unwrap_or_default());
        }
        Ok(())
    })
}

/// Fetches a part of a file that the user sent or was sent: length bytes from offset on, or as many
/// as the server gives at once if length is 0. obrolan_response_bytes has them; the field "size" is
/// that of the file, "next" where the next part begins, unless this is the last.
/// obrolan_client_get_file does all of this for a file.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_get_file_part(
    client: *mut obrolan_client,
    file_id: *const c_char,
    offset: u64,
    length: u64,
    response: *mut *mut obrolan_response,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let file_id = unsafe { text(file_id, "file_id") }?;
        let answer = ask(
            client,
            timeout,
            Request::GetFile {
                id: file_id,
                offset: Some(offset),
                length: Some(length).filter(|length| *length > 0),
            },
        )?;
        // SAFETY: the same.
        unsafe { give(answer, response) }
    })
}
