//! Names of users, groups and realms: what is allowed and when two are the same (protocol, section 2).

use std::borrow::Cow;

use precis_profiles::{UsernameCaseMapped, precis_core::profile::PrecisFastInvocation};

use crate::secret::SessionId;

/// The longest name, in bytes of UTF-8.
pub const MAX_NAME: usize = 64;

/// The form in which names are compared: PRECIS UsernameCaseMapped. Names with equal keys are the same name.
///
/// `None` if it is no name: empty, over 64 bytes, with a space, an `@`, a control character or anything else
/// UsernameCaseMapped refuses, or of the form of a session id.
///
/// ```
/// use obrolan::names::key;
/// assert_eq!(key("Messi"), key("messi"));
/// assert_eq!(key("ann@home"), None);
/// ```
#[must_use]
pub fn key(name: &str) -> Option<Cow<'_, str>> {
    if name.is_empty() || name.len() > MAX_NAME {
        return None;
    }
    let key = if name.bytes().all(|b| b.is_ascii_graphic()) {
        // All of UsernameCaseMapped that concerns printable ASCII; most names never reach the tables.
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        }
    } else {
        UsernameCaseMapped::enforce(name).ok()?
    };
    (key.len() <= MAX_NAME && !key.contains('@') && !SessionId::is_form(&key)).then_some(key)
}

/// A user or group as written in a request: `name`, or `name@realm` (protocol, sections 2 and 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// What stands before the first `@`.
    pub name: &'a str,
    /// What follows it, if there is one.
    pub realm: Option<&'a str>,
}

impl<'a> Address<'a> {
    /// Takes an address apart. Any text is one; whether its parts are names is for [`key`] to say.
    #[must_use]
    pub fn parse(text: &'a str) -> Address<'a> {
        match text.split_once('@') {
            Some((name, realm)) => Address { name, realm: Some(realm) },
            None => Address { name: text, realm: None },
        }
    }
}

/// The longest country of a user, in bytes of UTF-8.
pub const MAX_COUNTRY: usize = 64;

/// Whether REGISTER takes this as a user's country: 64 bytes at most, and no control character.
#[must_use]
pub fn is_country(text: &str) -> bool {
    text.len() <= MAX_COUNTRY && !text.contains(char::is_control)
}

/// The longest full name of a user, in bytes of UTF-8.
pub const MAX_FULL_NAME: usize = 256;

/// Whether REGISTER takes this as a user's full name: 256 bytes at most, and no control character.
#[must_use]
pub fn is_full_name(text: &str) -> bool {
    text.len() <= MAX_FULL_NAME && !text.contains(char::is_control)
}

/// The longest name of a file, in bytes of UTF-8.
pub const MAX_FILENAME: usize = 255;

/// Whether a name is a file's plain name (protocol, section 4): 1 to 255 bytes without a separator or a control character, and neither
/// `.` nor `..`.
///
/// What passes still names whatever its sender chose, and may hold marks that turn the direction of what is shown: look before you
/// write to a path made of it or show it.
///
/// ```
/// use obrolan::names::is_filename;
/// assert!(is_filename("foto kucing.jpg"));
/// assert!(!is_filename("../foto.jpg"));
/// ```
#[must_use]
pub fn is_filename(name: &str) -> bool {
    (1..=MAX_FILENAME).contains(&name.len())
        && !name.contains(|c: char| matches!(c, '/' | '\\') || c.is_control())
        && !matches!(name, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name() {
        for not in
            ["", "a b", "a\tb", "a\0b", "a@b", "sid_0123456789abcdef0123456789abcdef", "\u{200b}", "a\u{7f}"]
        {
            assert_eq!(key(not), None, "{not:?}");
        }
        assert_eq!(key("SID_0123456789ABCDEF0123456789ABCDEF"), None, "a session id in another case");
        assert_eq!(key(&"a".repeat(65)), None);
        assert_eq!(key(&"é".repeat(33)), None, "66 bytes");
        assert!(key(&"a".repeat(64)).is_some());
    }

    #[test]
    fn ascii_takes_the_same_way_as_the_tables() {
        for byte in 0x21..0x7f_u8 {
            let name = format!("x{}Y", char::from(byte));
            let tables = UsernameCaseMapped::enforce(name.as_str()).ok().filter(|_| byte != b'@');
            assert_eq!(key(&name), tables, "{name}");
        }
    }

    #[test]
    fn countries_and_full_names_are_any_text_of_one_line_and_bounded() {
        for (is, most) in [(is_country as fn(&str) -> bool, MAX_COUNTRY), (is_full_name, MAX_FULL_NAME)] {
            assert!(is("") && is("a b/é") && is(&"é".repeat(most / 2)));
            assert!(!is(&"é".repeat(most / 2 + 1)) && !is("a\nb") && !is("\u{85}"));
        }
    }

    #[test]
    fn what_is_no_filename() {
        for not in ["", ".", "..", "/", "a/b", "../a", "a\\b", "a\nb", "a\u{7f}", "a\u{85}b", "C:\\a"] {
            assert!(!is_filename(not), "{not:?}");
        }
        for name in ["a", "...", "a..b", ".profile", "foto kucing.jpg", &"é".repeat(127)] {
            assert!(is_filename(name), "{name:?}");
        }
        assert!(!is_filename(&"é".repeat(128)));
    }

    #[test]
    fn case_width_and_composition_are_mapped() {
        assert_eq!(key("ÉMILE"), key("e\u{301}mile"));
        assert_eq!(key("ＡＢＣ"), key("abc"), "fullwidth letters");
        assert_ne!(key("ann"), key("anne"));
    }
}
