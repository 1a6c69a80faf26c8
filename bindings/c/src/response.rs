//! Responses.
//!
//! What a server answered to a request. docs/protocol.md tells which fields the answer to a request
//! has.
//!
//! A field is named by its name, or, where it is inside of others, by a JSON Pointer (RFC 6901):
//! "users" is a list, "/users/0" the first name on it.
//!
//! A response does not change, so any number of threads may use it at once. Of a handle that is
//! none, the functions see nothing: NULL, 0 or false.

use std::{
    collections::BTreeMap,
    ffi::{CString, c_char},
    ptr,
    sync::{Mutex, OnceLock, PoisonError},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use obrolan::client::Response;
use serde_json::Value;

use crate::{
    arguments::{Out, text},
    code::obrolan_code,
    event::obrolan_event,
    handle::{self, Lent},
    result::{
        Error, ffi,
        obrolan_result::{self, OBROLAN_ERR_ARGUMENT},
        to_c,
    },
};

/// What a server answered.
pub struct obrolan_response {
    pub(crate) answer: Response,
    /// What has been lent, by the field.
    texts: Mutex<BTreeMap<String, CString>>,
    json: OnceLock<CString>,
    reason: OnceLock<CString>,
    /// The content of the data of GET_FILE.
    bytes: OnceLock<Option<Vec<u8>>>,
    messages: OnceLock<Vec<Lent<obrolan_event>>>,
}

impl obrolan_response {
    pub(crate) fn new(answer: Response) -> obrolan_response {
        obrolan_response {
            answer,
            texts: Mutex::default(),
            json: OnceLock::new(),
            reason: OnceLock::new(),
            bytes: OnceLock::new(),
            messages: OnceLock::new(),
        }
    }

    fn find(&self, field: &str) -> Option<&Value> {
        let Some(pointer) = field.strip_prefix('/') else { return self.answer.body().get(field) };
        let (first, rest) = pointer.find('/').map_or((pointer, ""), |end| pointer.split_at(end));
        self.answer.body().get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
    }

    /// The messages of INBOX and HISTORY.
    pub(crate) fn messages(&self) -> &[Lent<obrolan_event>] {
        self.messages.get_or_init(|| {
            let messages = self.answer.messages().unwrap_or_default().into_iter();
            messages.map_while(|message| Lent::new(obrolan_event::from(message)).ok()).collect()
        })
    }
}

/// A field's name, as a part of a pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Looks at a field.
///
/// # Safety
/// As for [`text`].
unsafe fn see<R: Copy>(
    response: *const obrolan_response,
    field: *const c_char,
    nothing: R,
    look: impl FnOnce(&obrolan_response, &str, &Value) -> Option<R>,
) -> R {
    // SAFETY: the caller's promise.
    let Ok(field) = (unsafe { text(field, "field") }) else { return nothing };
    handle::see(response, nothing, |response| {
        response.find(field).and_then(|value| look(response, field, value)).unwrap_or(nothing)
    })
}

/// Whether the server answered OK.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_response_is_ok(response: *const obrolan_response) -> bool {
    handle::see(response, false, |response| response.answer.is_ok())
}

/// Why the server did not answer OK; OBROLAN_CODE_NONE if it did. The field "code" has the word.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_response_code(response: *const obrolan_response) -> obrolan_code {
    handle::see(response, obrolan_code::OBROLAN_CODE_NONE, |response| obrolan_code::of(&response.answer))
}

/// Why the server did not answer OK and what to do about it, in words. Empty if it did. With a code
/// that the library does not know, they are the server's own: escape them where you show them.
///
/// Ownership: lent until the response is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_response_reason(response: *const obrolan_response) -> *const c_char {
    handle::see(response, ptr::null(), |response| {
        let reason = || {
            let answer = &response.answer;
            to_c(if answer.is_ok() { String::new() } else { answer.reason() })
        };
        response.reason.get_or_init(reason).as_ptr()
    })
}

/// The protocol's text for the outcome, the field "data". Empty where the answer is in other fields
/// alone.
///
/// Ownership: lent until the response is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_response_data(response: *const obrolan_response) -> *const c_char {
    handle::see(response, ptr::null(), |response| response.lend("data", response.answer.data()))
}

/// Whether there is such a field.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_response_has(
    response: *const obrolan_response,
    field: *const c_char,
) -> bool {
    // SAFETY: the caller vouches for its pointers.
    unsafe { see(response, field, false, |_, _, _| Some(true)) }
}

/// A text. NULL if there is no such field, or it is no text.
///
/// Ownership: lent until the response is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_response_text(
    response: *const obrolan_response,
    field: *const c_char,
) -> *const c_char {
    let look = |response: &obrolan_response, field: &str, value: &Value| {
        value.as_str().map(|text| response.lend(field, text))
    };
    // SAFETY: the caller vouches for its pointers.
    unsafe { see(response, field, ptr::null(), look) }
}

/// A number. 0 if there is no such field, or it is no number from 0 on.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_response_number(
    response: *const obrolan_response,
    field: *const c_char,
) -> u64 {
    // SAFETY: the caller vouches for its pointers.
    unsafe { see(response, field, 0, |_, _, value| value.as_u64()) }
}

/// Whether a field is true. False if there is no such field.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_response_bool(
    response: *const obrolan_response,
    field: *const c_char,
) -> bool {
    // SAFETY: the caller vouches for its pointers.
    unsafe { see(response, field, false, |_, _, value| value.as_bool()) }
}

/// How many entries a list has. 0 if there is no such field, or it is no list.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_response_count(
    response: *const obrolan_response,
    field: *const c_char,
) -> usize {
    // SAFETY: the caller vouches for its pointers.
    unsafe { see(response, field, 0, |_, _, value| value.as_array().map(Vec::len)) }
}

/// The entry of a list of names at a place, from 0 on. NULL if there is none.
///
/// Ownership: lent until the response is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_response_name(
    response: *const obrolan_response,
    field: *const c_char,
    index: usize,
) -> *const c_char {
    let look = |response: &obrolan_response, field: &str, value: &Value| {
        let name = value.get(index)?.as_str()?;
        let list = if field.starts_with('/') { field } else { &format!("/{}", escaped(field)) };
        Some(response.lend(&format!("{list}/{index}"), name))
    };
    // SAFETY: the caller vouches for its pointers.
    unsafe { see(response, field, ptr::null(), look) }
}

/// The part of a file that obrolan_client_get_file_part fetched.
///
/// Errors: OBROLAN_ERR_ARGUMENT if the response has none. OBROLAN_ERR_HANDLE. Ownership: the bytes
/// are lent until the response is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_response_bytes(
    response: *const obrolan_response,
    bytes: *mut *const u8,
    len: *mut usize,
) -> obrolan_result {
    ffi(|| {
        // SAFETY: the caller vouches for its pointers.
        let (bytes, len) = unsafe { (Out::new(bytes, "bytes")?, Out::new(len, "len")?) };
        handle::with(response, |response| {
            let answer = &response.answer;
            // Other answers have a text there, which may look like base64.
            let is_part = answer.is_ok() && answer.number("offset").is_some();
            let decode = || BASE64_STANDARD.decode(answer.data()).ok().filter(|_| is_part);
            let why = "the response holds no bytes; only that of obrolan_client_get_file_part does";
            let part = response.bytes.get_or_init(decode).as_ref();
            let part = part.ok_or_else(|| Error::new(OBROLAN_ERR_ARGUMENT, why))?;
            bytes.set(part.as_ptr());
            len.set(part.len());
            Ok(())
        })
    })
}

/// All of the response, as a JSON object. The order of its fields means nothing.
///
/// Ownership: lent until the response is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_response_json(response: *const obrolan_response) -> *const c_char {
    handle::see(response, ptr::null(), |response| {
        let json = || to_c(serde_json::to_string(response.answer.body()).expect("it was JSON before"));
        response.json.get_or_init(json).as_ptr()
    })
}

/// Frees a response. NULL and a response that was freed are let be.
///
/// Threads: any; see the head of this file. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_response_free(response: *mut obrolan_response) {
    handle::free(response);
}

impl obrolan_response {
    fn lend(&self, field: &str, text: &str) -> *const c_char {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lent) = texts.get(field) {
            return lent.as_ptr();
        }
        texts.entry(field.to_owned()).or_insert_with(|| to_c(text.to_owned())).as_ptr()
    }
}
