//! Canonical responses, and what classic ones have beside.

use std::borrow::Cow;

use serde::Deserialize;

use super::{
    super::{Object, append_field},
    Code, Kind,
};

#[derive(Deserialize)]
struct Failed<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    code: Cow<'a, str>,
}

fn is_ok(response: &[u8]) -> bool {
    response.starts_with(b"{\"status\":\"OK\"")
}

/// Fields of a response, if it has them.
pub(super) fn read<'a, T: Deserialize<'a>>(response: &'a [u8]) -> Option<T> {
    serde_json::from_slice(response.trim_ascii_end()).ok()
}

/// The fields of a response of this protocol, which has them.
pub(super) fn parsed<'a, T: Deserialize<'a>>(response: &'a [u8]) -> T {
    read(response).expect("a response has the fields of its request")
}

/// The code of an ERROR; `None` for OK.
pub(super) fn code(response: &[u8]) -> Option<Code> {
    if is_ok(response) {
        return None;
    }
    let failed: Failed<'_> = parsed(response);
    Some(Code::from_word(&failed.code).expect("an ERROR has one of the protocol's codes"))
}

/// Writes the ERROR of a classic request.
pub(crate) fn error(out: &mut Vec<u8>, kind: Option<Kind>, code: Code) {
    let text = kind.map_or(super::super::UNKNOWN, |kind| kind.spec().error_text(code));
    Object::error(out, kind, code).text("message", text).end_frame();
}

/// Adds the fields that classic clients expect to the response to a request.
pub(super) fn add_classic_fields(response: &mut Vec<u8>, kind: Option<Kind>) {
    #[derive(Deserialize)]
    struct Members {
        groups: Vec<String>,
    }

    if !is_ok(response) {
        let text = parsed::<Failed<'_>>(response).data.into_owned();
        append_field(response, "message", &text);
    } else if kind == Some(Kind::ListGroup) {
        let members = parsed::<Members>(response).groups;
        append_field(response, "message", &members);
    } else if let Some(text) = kind.and_then(|kind| kind.spec().ok) {
        if kind == Some(Kind::Auth) {
            let session = session(response);
            append_field(response, "token_id", &session);
            append_field(response, "token", &session);
        }
        append_field(response, "message", &text);
    }
}

/// Adds the session of a response to AUTH under all the names it goes by.
pub(super) fn add_session(response: &mut Vec<u8>, auth: &[u8]) {
    let session = session(auth);
    for name in ["tokenid", "token_id", "token"] {
        append_field(response, name, &session);
    }
}

fn session(auth: &[u8]) -> String {
    #[derive(Deserialize)]
    struct LoggedIn {
        tokenid: String,
    }
    parsed::<LoggedIn>(auth).tokenid
}
