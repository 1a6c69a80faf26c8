//! The `code` of an ERROR.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),* $(,)?) => {
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
        }
    };
}

codes! {
    /// The request name is not one of the protocol's.
    UnknownRequest = "unknown_request",
    /// Parameters are missing, surplus or not of their form.
    BadParameters = "bad_parameters",
    /// A structured request that is no JSON object of the expected form.
    BadJson = "bad_json",
    /// The line is longer than the limit.
    TooLong = "too_long",
    /// The line is not UTF-8.
    InvalidUtf8 = "invalid_utf8",
    /// There is no live session to act for.
    NoSession = "no_session",
    /// Unknown user or wrong password.
    BadCredentials = "bad_credentials",
    /// Too many attempts; `retry_after` gives the seconds to wait.
    Throttled = "throttled",
    /// The password is shorter than the server accepts, or holds characters no password may hold.
    WeakPassword = "weak_password",
    /// The user name is taken.
    UserExists = "user_exists",
    /// No user has that name.
    NoSuchUser = "no_such_user",
    /// The name is no name.
    InvalidName = "invalid_name",
    /// No group has that name.
    NoSuchGroup = "no_such_group",
    /// The group name is taken.
    GroupExists = "group_exists",
    /// The user is in the group already.
    AlreadyMember = "already_member",
    /// The user is not in the group.
    NotMember = "not_member",
    /// The user may not do this.
    Forbidden = "forbidden",
    /// The recipient's mailbox is full.
    MailboxFull = "mailbox_full",
    /// No such file, or not for this user.
    NoSuchFile = "no_such_file",
    /// The file's content is not base64.
    BadBase64 = "bad_base64",
    /// The file or the user's files are over their quota.
    QuotaExceeded = "quota_exceeded",
    /// No realm of that name was added.
    NoSuchRealm = "no_such_realm",
    /// The realm was added before.
    RealmExists = "realm_exists",
    /// The other realm cannot be reached.
    RealmUnreachable = "realm_unreachable",
    /// A limit of the server is reached; the same request may succeed later.
    Busy = "busy",
    /// The store failed; nothing was changed.
    Unavailable = "unavailable",
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
