//! Values that must not be seen: passwords and session ids.

use std::fmt;

use precis_profiles::{OpaqueString, precis_core::profile::PrecisFastInvocation};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A password after PRECIS OpaqueString (protocol, section 2).
///
/// Wiped from memory when dropped; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Prepares what a person typed.
    ///
    /// `None` if it is empty or holds characters no password may hold (control characters, unassigned code points).
    #[must_use]
    pub fn new(typed: &str) -> Option<Password> {
        let prepared = OpaqueString::enforce(typed).ok()?;
        Some(Password(Zeroizing::new(prepared.into_owned())))
    }

    /// Stands in for what is no password, so that refusing it takes as long as refusing a wrong one.
    pub(crate) fn placeholder() -> Password {
        Password(Zeroizing::new("placeholder".to_owned()))
    }

    /// The prepared text, for a hash function alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The id of a session: `sid_` and 32 lower-case hex digits, 128 random bits (protocol, section 2).
///
/// Whoever holds it is the user, so `Debug` shows nothing of it and the engine keeps only its [digest](Self::digest).
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId(Zeroizing<String>);

/// SHA-256 of a session id's text: what the journal and the state know of it.
pub type SessionDigest = [u8; 32];

impl SessionId {
    /// The id made of 128 random bits.
    pub(crate) fn from_random(bits: [u8; 16]) -> SessionId {
        let mut text = String::with_capacity(36);
        text.push_str("sid_");
        for byte in bits {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
            }
        }
        SessionId(Zeroizing::new(text))
    }

    /// The id that a server gave out or a person kept; `None` if `text` is not of the form.
    #[must_use]
    pub fn parse(text: &str) -> Option<SessionId> {
        Self::is_form(text).then(|| SessionId(Zeroizing::new(text.to_owned())))
    }

    /// The text that a client holds.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `text` is of the form of a session id, alive or not.
    #[must_use]
    pub fn is_form(text: &str) -> bool {
        text.len() == 36
            && text.starts_with("sid_")
            && text.bytes().skip(4).all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }

    /// What stands for a session id wherever it is stored.
    #[must_use]
    pub fn digest(text: &str) -> SessionDigest {
        Sha256::digest(text.as_bytes()).into()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug() {
        let sid = SessionId::from_random([0xa5; 16]);
        assert!(SessionId::is_form(sid.expose()));
        assert!(!format!("{sid:?}").contains("a5"));
        assert!(!format!("{:?}", Password::new("hunter2")).contains("hunter"));
    }

    #[test]
    fn passwords_are_compared_as_precis_says() {
        assert_eq!(Password::new("caf\u{65}\u{301}"), Password::new("caf\u{e9}"), "composed and decomposed");
        assert_ne!(Password::new("Secret"), Password::new("secret"), "case matters");
        assert_eq!(Password::new(""), None);
        assert_eq!(Password::new("a\u{7}b"), None);
    }

    #[test]
    fn the_form_of_a_session_id() {
        assert!(SessionId::is_form("sid_0123456789abcdef0123456789abcdef"));
        for not in
            ["", "sid_", "sid_0123456789abcdef0123456789abcdeF", "SID_0123456789abcdef0123456789abcdef"]
        {
            assert!(!SessionId::is_form(not), "{not}");
        }
    }
}
