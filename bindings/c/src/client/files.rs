//! Files.
//!
//! Whole files, part by part: a broken connection costs a part, not the file. Each part waits as
//! long as obrolan_client_set_timeout says.
//!
//! Errors of all of them, besides those they name: OBROLAN_ERR_IO if the file cannot be read or
//! written here, OBROLAN_ERR_STOPPED if the progress function stopped it, and those of requests.

use std::{
    ffi::{c_char, c_void},
    ops::ControlFlow,
};

use obrolan_server::client::To;

use super::{enter, obrolan_client, requests::give_id};
use crate::{
    arguments::{self, optional_text, text},
    result::{Error, obrolan_result},
};

/// Told how many bytes of a file have passed, of how many in all. Returns whether to go on.
///
/// It is called by the thread that sends or gets the file, inside that call, with the user_data
/// given there. It must return: no exception and no longjmp may leave it.
pub type obrolan_progress =
    Option<unsafe extern "C" fn(user_data: *mut c_void, done: u64, total: u64) -> bool>;

/// The function of a program, as one of ours.
///
/// # Safety
/// Unless it is NULL, it can be called with `user_data`.
unsafe fn told(
    progress: obrolan_progress,
    user_data: *mut c_void,
) -> impl FnMut(u64, u64) -> ControlFlow<()> {
    move |done, total| {
        // SAFETY: the caller's promise.
        if progress.is_none_or(|progress| unsafe { progress(user_data, done, total) }) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

/// Sends the file at a path to a user, under the last part of the path. progress may be NULL. id is
/// the message's, and may be left out.
///
/// Errors: OBROLAN_ERR_ARGUMENT also if the file is empty, or its name is not UTF-8 or no name of a
/// file. If it fails, the server drops by and by what it has. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_send_file(
    client: *mut obrolan_client,
    to: *const c_char,
    path: *const c_char,
    progress: obrolan_progress,
    user_data: *mut c_void,
    id: *mut u64,
) -> obrolan_result {
    // SAFETY: the caller vouches for its pointers.
    unsafe { send(client, text(to, "to").map(To::User), path, progress, user_data, id) }
}

/// Sends the file at a path to every other member of a group, as obrolan_client_send_file does to a
/// user.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_send_group_file(
    client: *mut obrolan_client,
    group: *const c_char,
    path: *const c_char,
    progress: obrolan_progress,
    user_data: *mut c_void,
    id: *mut u64,
) -> obrolan_result {
    // SAFETY: the caller vouches for its pointers.
    unsafe { send(client, text(group, "group").map(To::Group), path, progress, user_data, id) }
}

/// # Safety
/// All pointers are good, or NULL.
unsafe fn send(
    client: *mut obrolan_client,
    to: Result<To<'_>, Error>,
    path: *const c_char,
    progress: obrolan_progress,
    user_data: *mut c_void,
    id: *mut u64,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller's promise.
        let (path, mut told) = unsafe { (arguments::path(path, "path")?, told(progress, user_data)) };
        let answer = client.send_file_at(to?, None, path, timeout, &mut told)?;
        // SAFETY: the same.
        unsafe { give_id(&answer, id) };
        Ok(())
    })
}

/// Fetches a file that the user sent or was sent, to a path: in place of what is there, and only
/// when all of it has come. file_id and sha256 are those of its message; sha256 may be NULL, and
/// then the content is not compared. progress may be NULL.
///
/// Errors: OBROLAN_ERR_DAMAGED if what came is not what was sent. What was at the path is as it was
/// then. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_client_get_file(
    client: *mut obrolan_client,
    file_id: *const c_char,
    sha256: *const c_char,
    path: *const c_char,
    progress: obrolan_progress,
    user_data: *mut c_void,
) -> obrolan_result {
    enter(client, |client, timeout| {
        // SAFETY: the caller vouches for its pointers.
        let (id, sha256, path, mut told) = unsafe {
            let (id, sha256) = (text(file_id, "file_id")?, optional_text(sha256, "sha256")?);
            (id, sha256, arguments::path(path, "path")?, told(progress, user_data))
        };
        client.get_file_to(id, sha256, path, timeout, &mut told)?;
        Ok(())
    })
}
