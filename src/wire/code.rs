//! The `code` of an ERROR.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal => $advice:literal),* $(,)?) => {
        /// Why a request failed: the stable word under `code` of an ERROR (protocol, section 6).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code, in the order of the protocol's section 6.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Code::$variant => $word,)*
                }
            }

            /// What happened and what to do about it, for the people who use a program or write one. It may be reworded.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self {
                    $(Code::$variant => $advice,)*
                }
            }
        }
    };
}

codes! {
    /// The request name is not one of the protocol's.
    UnknownRequest = "unknown_request" => "the server does not know this request; it may be older than this program",
    /// Parameters are missing, surplus or not of their form.
    BadParameters = "bad_parameters" => "a parameter is missing, surplus or not of its form; HELP tells what the request takes",
    /// A structured request that is no JSON object of the expected form.
    BadJson = "bad_json" => "it is no JSON object with the request and its parameters; HELP tells their names",
    /// The line is longer than the limit.
    TooLong = "too_long" => "it is longer than the server takes; split it",
    /// The line is not UTF-8.
    InvalidUtf8 = "invalid_utf8" => "it is not UTF-8; send it as that",
    /// There is no live session to act for.
    NoSession = "no_session" => "the session has ended, or there was none; log in",
    /// Unknown user or wrong password.
    BadCredentials = "bad_credentials" => "unknown user or wrong password; check both, or register first",
    /// Too many attempts; `retry_after` gives the seconds to wait.
    Throttled = "throttled" => "too many attempts; try again later",
    /// The password is shorter than the server accepts, or holds characters no password may hold.
    WeakPassword = "weak_password" => "the password is too short for this server, or has control characters; choose a longer one",
    /// The user name is taken.
    UserExists = "user_exists" => "the user name is taken; choose another, or log in if it is yours",
    /// No user has that name.
    NoSuchUser = "no_such_user" => "there is no such user; check the name",
    /// The name is no name.
    InvalidName = "invalid_name" => "that is no name; names have 1 to 64 bytes without spaces and \"@\"",
    /// No group has that name.
    NoSuchGroup = "no_such_group" => "there is no such group; check the name, or make it",
    /// The group name is taken.
    GroupExists = "group_exists" => "the name is taken; join the group or choose another",
    /// The user is in the group already.
    AlreadyMember = "already_member" => "the user is in the group already; there is nothing to do",
    /// The user is not in the group.
    NotMember = "not_member" => "the user is not in that group; join it first",
    /// The user may not do this.
    Forbidden = "forbidden" => "the server does not allow it; ask its admin",
    /// The recipient's mailbox is full.
    MailboxFull = "mailbox_full" => "the mailbox there is full; try again when it has been read",
    /// No such file, or not for this user.
    NoSuchFile = "no_such_file" => "there is no such file, or it is not for this user; check its id",
    /// The file's content is not base64.
    BadBase64 = "bad_base64" => "the content is not base64; send it again",
    /// The file or the user's files are over their quota.
    QuotaExceeded = "quota_exceeded" => "it is larger than the server takes, or the user's files have no more room there; ask its admin",
    /// No realm of that name was added.
    NoSuchRealm = "no_such_realm" => "the server knows no such realm; what follows \"@\" must be one it was told of",
    /// The realm was added before.
    RealmExists = "realm_exists" => "the server knows that realm already; there is nothing to do, or remove it first",
    /// The other realm cannot be reached.
    RealmUnreachable = "realm_unreachable" => "the other realm cannot be reached; try again later",
    /// A limit of the server is reached; the same request may succeed later.
    Busy = "busy" => "the server is busy; try again in a moment",
    /// The store failed; nothing was changed.
    Unavailable = "unavailable" => "the server could not store or read it; try again, and tell its admin if that does not help",
}

impl Code {
    /// The code of that word, if there is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_shown_as_the_word_it_is_read_from() {
        for code in Code::ALL {
            assert_eq!(
                (code.to_string(), Code::from_word(code.as_str())),
                (code.as_str().into(), Some(*code))
            );
        }
        assert_eq!(Code::from_word("nonsense"), None);
    }
}
