//! The table of requests: the one place that knows their names, parameters, texts and help lines.
//!
//! Parsing, encoding, HELP, the texts of responses and the reference in docs/protocol.md all come from here.

use super::Code::{self, *};

/// The `data` of the ERROR to a line that is no known request.
pub const UNKNOWN: &str = "request tidak dikenali";

/// The text where a session is missing and the original document has no other.
const NO_SESSION: &str = "Session Tidak Ditemukan";

/// One request of the protocol.
#[derive(Debug)]
pub struct Spec {
    /// Which one.
    pub kind: Kind,
    /// Its name on the wire; matched without regard to ASCII case.
    pub name: &'static str,
    /// How it may name a session.
    pub session: SessionParam,
    /// Its parameters after the session id.
    pub params: &'static [Param],
    /// The `data` of its OK; `None` where the answer is in other fields alone.
    pub ok: Option<&'static str>,
    /// The `data` of its ERRORs with their codes. The last text also serves codes that any request may meet.
    pub errors: &'static [(&'static str, &'static [Code])],
    /// What it is for, in one line.
    pub help: &'static str,
}

/// How a request may name the session to act for (protocol, sections 2 and 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionParam {
    /// It acts for none; a first parameter of the session-id form is taken and not used.
    Unused,
    /// The connection's session, or the one named by a first parameter of the session-id form.
    ByForm,
    /// The same, but one parameter too many makes the first a session id, whatever its form.
    ByCount,
    /// The session id is the request's own parameter.
    Own,
}

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name in help and in structured requests.
    pub name: &'static str,
    /// How it is read off the line.
    pub shape: Shape,
    /// Whether it may be left out.
    pub optional: bool,
}

/// How a parameter is read off the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Up to the next space; spaces before it count as one.
    Word,
    /// A [`Word`](Shape::Word) of decimal digits.
    Number,
    /// The rest of the line after one space, verbatim, trailing spaces trimmed.
    Text,
}

const fn word(name: &'static str) -> Param {
    Param { name, shape: Shape::Word, optional: false }
}

const fn number(name: &'static str) -> Param {
    Param { name, shape: Shape::Number, optional: false }
}

const fn text(name: &'static str) -> Param {
    Param { name, shape: Shape::Text, optional: false }
}

const fn optional(param: Param) -> Param {
    Param { optional: true, ..param }
}

macro_rules! requests {
    ($($kind:ident $name:literal $session:ident $params:expr, $ok:expr, $errors:expr, $help:literal;)*) => {
        /// Which request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`: ", $help)] $kind,)*
        }

        /// Every request, those of the original document first.
        pub const REQUESTS: &[Spec] = &[$(Spec {
            kind: Kind::$kind,
            name: $name,
            session: SessionParam::$session,
            params: const { &$params },
            ok: $ok,
            errors: &$errors,
            help: $help,
        },)*];
    };
}

requests! {
    Auth "AUTH" Unused [word("user"), word("password")],
        Some("autentikasi berhasil"),
        [("autentikasi gagal", &[BadCredentials, Throttled, Busy, Unavailable, BadParameters])],
        "Log in: opens a session, binds it to this connection and answers its id under tokenid.";
    Logout "LOGOUT" ByCount [],
        Some("logout berhasil"),
        [("logout gagal", &[NoSession, Unavailable, BadParameters])],
        "End the session.";
    Register "REGISTER" ByForm [word("user"), word("password"), word("country"), text("name")],
        Some("registrasi berhasil"),
        [("registrasi gagal", &[UserExists, InvalidName, WeakPassword, Forbidden, Throttled, Busy, Unavailable, BadParameters])],
        "Create an account; log in with AUTH afterwards.";
    Send "SEND" ByForm [word("to"), text("text")],
        Some("pesan terkirim"),
        [("pesan tidak terkirim", &[NoSession, NoSuchUser, NoSuchRealm, RealmUnreachable, MailboxFull, Busy, Unavailable, BadParameters])],
        "Send a message to a user, present or not; answers the message's id.";
    SendGroup "SEND_GROUP" ByForm [word("group"), text("text")],
        Some("pesan terkirim"),
        [("pesan tidak terkirim", &[NoSession, NoSuchGroup, NotMember, NoSuchRealm, RealmUnreachable, Busy, Unavailable, BadParameters])],
        "Send a message to every other member of a group; answers the message's id.";
    SendFile "SEND_FILE" ByForm [word("to"), word("filename"), optional(word("base64"))],
        Some("file terkirim"),
        [("file tidak terkirim", &[NoSession, NoSuchUser, NoSuchRealm, RealmUnreachable, MailboxFull, NoSuchFile, BadBase64, QuotaExceeded, Busy, Unavailable, BadParameters])],
        "Send a file to a user: what base64 holds, or else the upload of that name; answers the message's id and the file.";
    SendGroupFile "SEND_GROUP_FILE" ByForm [word("group"), word("filename"), optional(word("base64"))],
        Some("file terkirim"),
        [("file tidak terkirim", &[NoSession, NoSuchGroup, NotMember, NoSuchRealm, RealmUnreachable, NoSuchFile, BadBase64, QuotaExceeded, Busy, Unavailable, BadParameters])],
        "Send a file to every other member of a group, as SEND_FILE does to a user.";
    AddRealm "ADD_REALM" ByForm [word("name"), word("ip"), number("port"), optional(word("fingerprint"))],
        Some("Realm berhasil ditambahkan"),
        [("~", &[NoSession, Forbidden, RealmExists, InvalidName, Busy, Unavailable, BadParameters])],
        "Tell this server of another one (admins).";
    AddGroup "ADD_GROUP" ByCount [word("group")],
        Some("Add group successful"),
        [(NO_SESSION, &[NoSession]), ("Group tidak ditemukan!", &[GroupExists, InvalidName, Busy, Unavailable, BadParameters])],
        "Create a group; you are its owner and first member.";
    JoinGroup "JOIN_GROUP" ByCount [word("group")],
        Some("Berhasil join grup"),
        [(NO_SESSION, &[NoSession]), ("User sudah dalam group", &[AlreadyMember]),
         ("Group tidak ditemukan", &[NoSuchGroup, NoSuchRealm, RealmUnreachable, Busy, Unavailable, BadParameters])],
        "Join a group.";
    LeaveGroup "LEAVE_GROUP" ByCount [word("group")],
        Some("Berhasil leave dari grup"),
        [(NO_SESSION, &[NoSession]), ("Bukan anggota grup", &[NotMember]),
         ("Group tidak ditemukan", &[NoSuchGroup, NoSuchRealm, RealmUnreachable, Unavailable, BadParameters])],
        "Leave a group; the last member to leave ends it.";
    ListUsers "LIST_USERS" ByForm [optional(word("after"))],
        None,
        [(UNKNOWN, &[Unavailable, BadParameters])],
        "All users' names, sorted; the first 10,000 after a given name, with next to go on from.";
    ListMyGroups "LIST_MY_GROUPS" ByCount [],
        None,
        [(NO_SESSION, &[NoSession, Unavailable, BadParameters])],
        "The names of the groups you are in, sorted.";
    ListGroup "LIST_GROUP" ByCount [optional(word("group"))],
        None,
        [("Bukan anggota grup", &[NotMember, NoSession]),
         ("Group tidak ditemukan", &[NoSuchGroup, NoSuchRealm, RealmUnreachable, Unavailable, BadParameters])],
        "The members of a group you are in, sorted; without a name, of your session's current group.";
    Inbox "INBOX" ByForm [optional(number("after"))],
        None,
        [(NO_SESSION, &[NoSession]), (UNKNOWN, &[Unavailable, BadParameters])],
        "The oldest unconfirmed messages, up to 100, with ids beyond after; more tells whether there are others.";
    Ack "ACK" ByForm [number("id")],
        Some("pesan dikonfirmasi"),
        [(NO_SESSION, &[NoSession]), (UNKNOWN, &[Unavailable, BadParameters])],
        "Confirm all messages up to an id; they leave the mailbox.";
    Subscribe "SUBSCRIBE" ByForm [optional(number("after"))],
        Some("langganan aktif"),
        [(NO_SESSION, &[NoSession]), (UNKNOWN, &[Unavailable, BadParameters])],
        "Be sent messages on this connection as they come, unconfirmed ones beyond after first.";
    History "HISTORY" ByForm [word("with"), optional(number("before")), optional(number("limit"))],
        None,
        [(NO_SESSION, &[NoSession]), ("Bukan anggota grup", &[NotMember]),
         ("Group tidak ditemukan", &[NoSuchUser, NoSuchRealm, RealmUnreachable, Unavailable, BadParameters])],
        "The last messages with a user or of a group you are in, newest last: those before a given one, 50 or up to 100; more tells whether there are older ones.";
    Upload "UPLOAD" ByForm [word("filename"), word("base64"), optional(number("offset"))],
        Some("bagian diterima"),
        [(NO_SESSION, &[NoSession]), ("file tidak terkirim", &[BadBase64, QuotaExceeded, Unavailable, BadParameters])],
        "Add a part to your upload of that name, at its end or at offset; answers its size.";
    GetFile "GET_FILE" ByForm [word("id"), optional(number("offset")), optional(number("length"))],
        None,
        [(NO_SESSION, &[NoSession]), ("file tidak terkirim", &[NoSuchFile, Unavailable, BadParameters])],
        "A part of a file you sent or were sent, as base64 under data; with next to go on from, unless it is the last.";
    Ping "PING" Unused [],
        Some("pong"),
        [(UNKNOWN, &[BadParameters])],
        "See whether the server is there.";
    Help "HELP" Unused [optional(word("name"))],
        None,
        [(UNKNOWN, &[UnknownRequest, BadParameters])],
        "This list, or one request of it.";
    Resume "RESUME" Own [word("sid")],
        Some("sesi dilanjutkan"),
        [(NO_SESSION, &[NoSession]), (UNKNOWN, &[Unavailable, BadParameters])],
        "Bind an existing session to this connection.";
    Passwd "PASSWD" ByForm [word("old"), word("new")],
        Some("password diganti"),
        [(NO_SESSION, &[NoSession]), ("autentikasi gagal", &[BadCredentials, Throttled, WeakPassword, Busy, Unavailable, BadParameters])],
        "Change your password; your other sessions end.";
    Whoami "WHOAMI" ByForm [],
        None,
        [(NO_SESSION, &[NoSession]), (UNKNOWN, &[Unavailable, BadParameters])],
        "Who you are: user, name, country, and whether you are an admin.";
    ListRealms "LIST_REALMS" ByForm [],
        None,
        [(NO_SESSION, &[NoSession]), (UNKNOWN, &[Unavailable, BadParameters])],
        "The realms this server was told of.";
    Quit "QUIT" Unused [],
        Some("sampai jumpa"),
        [(UNKNOWN, &[BadParameters])],
        "Say goodbye; the server closes the connection.";
}

impl Kind {
    /// Its row of the table.
    #[must_use]
    pub fn spec(self) -> &'static Spec {
        &REQUESTS[self as usize]
    }

    /// The request of that name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Kind> {
        // Comparing lengths first leaves one or two candidates: no slower than hashing, and there is no second table.
        REQUESTS.iter().find(|spec| spec.name.eq_ignore_ascii_case(name)).map(|spec| spec.kind)
    }

    /// Whether it may have a dedupe key: it makes one change, and a repetition would make it again.
    #[must_use]
    pub fn takes_key(self) -> bool {
        matches!(
            self,
            Kind::Send
                | Kind::SendGroup
                | Kind::SendFile
                | Kind::SendGroupFile
                | Kind::AddGroup
                | Kind::JoinGroup
                | Kind::LeaveGroup
                | Kind::Ack
                | Kind::AddRealm
        )
    }
}

impl Spec {
    /// The `data` of this request's ERROR of that code.
    #[must_use]
    pub fn error_text(&self, code: Code) -> &'static str {
        let row = self.errors.iter().find(|(_, codes)| codes.contains(&code));
        row.or(self.errors.last()).expect("every request has a text for its errors").0
    }

    /// How the request is written: `SEND [sid] to text…`.
    #[must_use]
    pub fn usage(&self) -> String {
        let mut usage = self.name.to_owned();
        if matches!(self.session, SessionParam::ByForm | SessionParam::ByCount) {
            usage.push_str(" [sid]");
        }
        for param in self.params {
            let dots = if param.shape == Shape::Text { "…" } else { "" };
            let (open, close) = if param.optional { ("[", "]") } else { ("", "") };
            usage.push_str(&format!(" {open}{}{dots}{close}", param.name));
        }
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_where_their_kind_says() {
        for (at, spec) in REQUESTS.iter().enumerate() {
            assert_eq!(spec.kind as usize, at, "{}", spec.name);
            assert_eq!(Kind::from_name(&spec.name.to_lowercase()), Some(spec.kind));
            let texts = spec.params.iter().filter(|p| p.shape == Shape::Text).count();
            assert!(texts == 0 || spec.params.last().is_some_and(|p| p.shape == Shape::Text) && texts == 1);
            assert!(texts == 0 || spec.session != SessionParam::ByCount, "counts need words");
        }
    }

    #[test]
    fn texts_are_chosen_by_code() {
        let join = Kind::JoinGroup.spec();
        assert_eq!(join.error_text(AlreadyMember), "User sudah dalam group");
        assert_eq!(join.error_text(NoSession), "Session Tidak Ditemukan");
        assert_eq!(join.error_text(Unavailable), "Group tidak ditemukan");
        assert_eq!(join.usage(), "JOIN_GROUP [sid] group");
        assert_eq!(Kind::Send.spec().usage(), "SEND [sid] to text…");
        assert_eq!(Kind::Subscribe.spec().usage(), "SUBSCRIBE [sid] [after]");
    }
}
