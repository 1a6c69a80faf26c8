//! Codes.
//!
//! Why a server refused something: the codes of the protocol as numbers. Servers send them as words.

use std::{ffi::c_char, ptr};

use obrolan::{client::Response, wire::Code};

use crate::result::last;

/// Why a server refused something. Codes keep their meaning, and others may be added.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum obrolan_code {
    /// There is no code: nothing was refused.
    OBROLAN_CODE_NONE = 0,
    /// A code that this version of the library does not know; its word tells.
    OBROLAN_CODE_OTHER = 1,
    /// The request name is not one of the protocol's.
    OBROLAN_CODE_UNKNOWN_REQUEST = 2,
    /// Parameters are missing, surplus or not of their form.
    OBROLAN_CODE_BAD_PARAMETERS = 3,
    /// A structured request that is no JSON object of the expected form.
    OBROLAN_CODE_BAD_JSON = 4,
    /// The line is longer than the limit.
    OBROLAN_CODE_TOO_LONG = 5,
    /// The line is not UTF-8.
    OBROLAN_CODE_INVALID_UTF8 = 6,
    /// There is no live session to act for.
    OBROLAN_CODE_NO_SESSION = 7,
    /// Unknown user or wrong password.
    OBROLAN_CODE_BAD_CREDENTIALS = 8,
    /// Too many attempts; retry_after gives the seconds to wait.
    OBROLAN_CODE_THROTTLED = 9,
    /// The password is shorter than the server accepts, or holds characters no password may hold.
    OBROLAN_CODE_WEAK_PASSWORD = 10,
    /// The user name is taken.
    OBROLAN_CODE_USER_EXISTS = 11,
    /// No user has that name.
    OBROLAN_CODE_NO_SUCH_USER = 12,
    /// The name is no name.
    OBROLAN_CODE_INVALID_NAME = 13,
    /// No group has that name.
    OBROLAN_CODE_NO_SUCH_GROUP = 14,
    /// The group name is taken.
    OBROLAN_CODE_GROUP_EXISTS = 15,
    /// The user is in the group already.
    OBROLAN_CODE_ALREADY_MEMBER = 16,
    /// The user is not in the group.
    OBROLAN_CODE_NOT_MEMBER = 17,
    /// The user may not do this.
    OBROLAN_CODE_FORBIDDEN = 18,
    /// The recipient's mailbox is full.
    OBROLAN_CODE_MAILBOX_FULL = 19,
    /// No such file, or not for this user.
    OBROLAN_CODE_NO_SUCH_FILE = 20,
    /// The file's content is not base64.
    OBROLAN_CODE_BAD_BASE64 = 21,
    /// The file or the user's files are over their quota.
    OBROLAN_CODE_QUOTA_EXCEEDED = 22,
    /// No realm of that name was added.
    OBROLAN_CODE_NO_SUCH_REALM = 23,
    /// The realm was added before.
    OBROLAN_CODE_REALM_EXISTS = 24,
    /// The other realm cannot be reached.
    OBROLAN_CODE_REALM_UNREACHABLE = 25,
    /// A limit of the server is reached; the same request may succeed later.
    OBROLAN_CODE_BUSY = 26,
    /// The store failed; nothing was changed.
    OBROLAN_CODE_UNAVAILABLE = 27,
}

use obrolan_code::*;

impl obrolan_code {
    /// The code of an answer.
    pub(crate) fn of(answer: &Response) -> obrolan_code {
        match (answer.code(), answer.code_word()) {
            (Some(code), _) => code.into(),
            (None, Some(_)) => OBROLAN_CODE_OTHER,
            (None, None) => OBROLAN_CODE_NONE,
        }
    }
}

impl From<Code> for obrolan_code {
    fn from(code: Code) -> obrolan_code {
        match code {
            Code::UnknownRequest => OBROLAN_CODE_UNKNOWN_REQUEST,
            Code::BadParameters => OBROLAN_CODE_BAD_PARAMETERS,
            Code::BadJson => OBROLAN_CODE_BAD_JSON,
            Code::TooLong => OBROLAN_CODE_TOO_LONG,
            Code::InvalidUtf8 => OBROLAN_CODE_INVALID_UTF8,
            Code::NoSession => OBROLAN_CODE_NO_SESSION,
            Code::BadCredentials => OBROLAN_CODE_BAD_CREDENTIALS,
            Code::Throttled => OBROLAN_CODE_THROTTLED,
            Code::WeakPassword => OBROLAN_CODE_WEAK_PASSWORD,
            Code::UserExists => OBROLAN_CODE_USER_EXISTS,
            Code::NoSuchUser => OBROLAN_CODE_NO_SUCH_USER,
            Code::InvalidName => OBROLAN_CODE_INVALID_NAME,
            Code::NoSuchGroup => OBROLAN_CODE_NO_SUCH_GROUP,
            Code::GroupExists => OBROLAN_CODE_GROUP_EXISTS,
            Code::AlreadyMember => OBROLAN_CODE_ALREADY_MEMBER,
            Code::NotMember => OBROLAN_CODE_NOT_MEMBER,
            Code::Forbidden => OBROLAN_CODE_FORBIDDEN,
            Code::MailboxFull => OBROLAN_CODE_MAILBOX_FULL,
            Code::NoSuchFile => OBROLAN_CODE_NO_SUCH_FILE,
            Code::BadBase64 => OBROLAN_CODE_BAD_BASE64,
            Code::QuotaExceeded => OBROLAN_CODE_QUOTA_EXCEEDED,
            Code::NoSuchRealm => OBROLAN_CODE_NO_SUCH_REALM,
            Code::RealmExists => OBROLAN_CODE_REALM_EXISTS,
            Code::RealmUnreachable => OBROLAN_CODE_REALM_UNREACHABLE,
            Code::Busy => OBROLAN_CODE_BUSY,
            Code::Unavailable => OBROLAN_CODE_UNAVAILABLE,
            _ => OBROLAN_CODE_OTHER,
        }
    }
}

/// Why a server refused what the last call of this thread that failed was about, if that was the
/// reason: OBROLAN_CODE_NONE otherwise.
///
/// Threads: each has its own. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_last_code() -> obrolan_code {
    last(|last| last.refused.as_ref().map_or(OBROLAN_CODE_NONE, |refusal| refusal.code))
}

/// The same in the word that the server sent, or NULL.
///
/// Ownership: the text is good until the next call of this thread fails, or the thread ends.
/// Threads: each has its own. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_last_code_word() -> *const c_char {
    last(|last| last.refused.as_ref().map_or(ptr::null(), |refusal| refusal.word.as_ptr()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_number_of_its_name() {
        for code in Code::ALL {
            let name = format!("{:?}", obrolan_code::from(*code));
            assert_eq!(name, format!("OBROLAN_CODE_{}", code.as_str().to_uppercase()));
        }
    }
}
