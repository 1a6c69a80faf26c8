//! Classic lines, and the canonical ones they stand for.

use super::{super::request::Words, CanonicalLine, Code, Kind};
use crate::secret::SessionId;

/// Names that classic clients use beside the canonical ones.
const ALIASES: &[(&str, &str)] = &[
    ("login", "AUTH"),
    ("sendprivate", "SEND"),
    ("sendgroup", "SEND_GROUP"),
    ("sendfile", "SEND_FILE"),
    ("sendprivatefile", "SEND_FILE"),
    ("sendgroupfile", "SEND_GROUP_FILE"),
    ("sendfilegroup", "SEND_GROUP_FILE"),
    ("addgroup", "ADD_GROUP"),
    ("creategroup", "ADD_GROUP"),
    ("create_group", "ADD_GROUP"),
    ("joingroup", "JOIN_GROUP"),
    ("leavegroup", "LEAVE_GROUP"),
    ("exitgroup", "LEAVE_GROUP"),
    ("getgroup", "LIST_GROUP"),
    ("listgroup", "LIST_GROUP"),
    ("listgroups", "LIST_MY_GROUPS"),
    ("listusers", "LIST_USERS"),
    ("addrealm", "ADD_REALM"),
    ("inboxgroup", INBOX_GROUP),
    ("groupinbox", INBOX_GROUP),
];

/// INBOX, of which only the messages to groups are wanted. No canonical name, and none that a client can write.
const INBOX_GROUP: &str = "INBOX GROUP";

/// What the country of those is who register without one.
const NO_COUNTRY: &str = "-";

/// A classic line taken apart.
pub(super) enum Reading {
    /// It stands for one request.
    Plain(CanonicalLine),
    /// It stands for REGISTER, then AUTH.
    Register { line: CanonicalLine, auth: CanonicalLine },
    /// It stands for one request, whose content may follow as a line.
    FileWithoutContent(CanonicalLine),
    /// It stands for INBOX and ACK, with what comes between. `of_group` holds messages to groups alone: to that one or to all.
    Inbox { session: Option<String>, of_group: Option<Option<String>> },
    /// It is answered at once.
    Wrong(Kind, Code),
}

/// Whether a request is written the classic way: its name in lower case. No name has a digit, so a session id is none.
pub(super) fn is_classic(line: &[u8]) -> bool {
    let start = line.iter().take_while(|b| **b == b' ').count();
    let name = line[start..].split(|b| *b == b' ').next().unwrap_or_default();
    name.first().is_some_and(u8::is_ascii_lowercase)
        && name.iter().all(|b| b.is_ascii_lowercase() || *b == b'_')
}

/// The content of a file that comes as a line of its own: whatever is no request, to judge by its name.
pub(super) fn content(line: &[u8]) -> Option<&[u8]> {
    let Ok(text) = std::str::from_utf8(line) else { return Some(line) };
    let name = Words(text).next().unwrap_or_default();
    let is_request = text.starts_with('{')
        || ALIASES.iter().any(|(alias, _)| *alias == name)
        || Kind::from_name(name).is_some();
    (!is_request).then(|| unwrapped(text.trim_matches(' ')).as_bytes())
}

/// Whether a content that nobody waits for is one all the same: one word of base64.
pub(super) fn is_base64(content: &[u8]) -> bool {
    let is_base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    !content.is_empty() && content.iter().all(is_base64)
}

/// Base64 without the `b'…'` that Python writes around it.
fn unwrapped(word: &str) -> &str {
    let inside = |quote: char| word.strip_prefix('b')?.strip_prefix(quote)?.strip_suffix(quote);
    inside('\'').or_else(|| inside('"')).unwrap_or(word)
}

impl Reading {
    pub(super) fn of(line: &[u8]) -> Reading {
        let Ok(text) = std::str::from_utf8(line) else { return Reading::Plain(line.to_vec().into()) };
        let mut words = Words(text);
        let name = words.next().unwrap_or_default();
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        let canonical =
            alias.map_or_else(|| name.to_ascii_uppercase(), |(_, canonical)| (*canonical).to_owned());
        let verbatim = |words: &Words<'_>| [canonical.as_bytes(), words.0.as_bytes()].concat().into();
        // Whatever it is, it is no request, and none is to be made of what stands around a NUL.
        if text.contains('\0') {
            return match canonical.as_str() {
                INBOX_GROUP => Reading::Wrong(Kind::Inbox, Code::BadParameters),
                _ => Reading::Plain(verbatim(&words)),
            };
        }
        // The session, then the parameters after it.
        let mut after = words.clone();
        let session = after.next().filter(|word| SessionId::is_form(word));
        let params = if session.is_some() { after } else { words.clone() };
        let cut = |params: &[&str]| {
            let words = [canonical.as_str()].into_iter().chain(session).chain(params.iter().copied());
            CanonicalLine::from(words.collect::<Vec<_>>().join(" ").into_bytes())
        };
        // More than any of these requests has: texts are not cut into words.
        let parts = || params.clone().take(5).collect::<Vec<&str>>();
        match canonical.as_str() {
            "REGISTER" => match parts()[..] {
                [user, password, ref rest @ ..] => Reading::Register {
                    auth: format!("AUTH {user} {password}").into_bytes().into(),
                    line: match *rest {
                        [] => cut(&[user, password, NO_COUNTRY, user]),
                        [country] => cut(&[user, password, country, user]),
                        _ => verbatim(&words),
                    },
                },
                _ => Reading::Plain(verbatim(&words)),
            },
            "ADD_GROUP" | "JOIN_GROUP" => Reading::Plain(match (session, &parts()[..]) {
                (Some(_), [group, ..]) => cut(&[group]),
                (None, [first, group, ..]) => cut(&[first, group]),
                _ => verbatim(&words),
            }),
            "ADD_REALM" => Reading::Plain(match parts()[..] {
                [name, ip, port, key, ..] if key.starts_with("SHA256:") => cut(&[name, ip, port, key]),
                [name, ip, port, ..] => cut(&[name, ip, port]),
                _ => verbatim(&words),
            }),
            "SEND_FILE" => match parts()[..] {
                [to, file] => Reading::FileWithoutContent(cut(&[to, file])),
                [to, file, content] => Reading::Plain(cut(&[to, file, unwrapped(content)])),
                _ => Reading::Plain(verbatim(&words)),
            },
            "SEND_GROUP_FILE" => Reading::Plain(match parts()[..] {
                [group, file, content] => cut(&[group, file, unwrapped(content)]),
                _ => verbatim(&words),
            }),
            "UPLOAD" => Reading::Plain(match parts()[..] {
                [file, content] => cut(&[file, unwrapped(content)]),
                [file, content, offset] => cut(&[file, unwrapped(content), offset]),
                _ => verbatim(&words),
            }),
            // Who names a message to go on from, as INBOX lets them, would have those before it confirmed unread.
            "INBOX" => match (session, &parts()[..]) {
                (_, []) => Reading::Inbox { session: session.map(str::to_owned), of_group: None },
                (None, [_]) => Reading::Wrong(Kind::Inbox, Code::NoSession),
                _ => Reading::Wrong(Kind::Inbox, Code::BadParameters),
            },
            INBOX_GROUP => match (session, &parts()[..]) {
                (_, [] | [_]) => Reading::Inbox {
                    session: session.map(str::to_owned),
                    of_group: Some(parts().first().map(|group| (*group).to_owned())),
                },
                (None, [_, _]) => Reading::Wrong(Kind::Inbox, Code::NoSession),
                _ => Reading::Wrong(Kind::Inbox, Code::BadParameters),
            },
            _ => Reading::Plain(verbatim(&words)),
        }
    }
}
