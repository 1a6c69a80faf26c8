//! What peers write and how often: small sets, so that what they write fits together.

use crate::wire::Kind;

/// The first three are there from the start, mostly.
pub(super) const USERS: &[&str] = &["ann", "bob", "Cia", "d\u{e9}d\u{e9}", "ghost"];
/// How users are written, the same ones more than once, for they are written more often.
pub(super) const ADDRESSES: &[&str] = &[
    "ann",
    "bob",
    "Cia",
    "ann",
    "bob",
    "cia",
    "ann",
    "bob",
    "d\u{e9}d\u{e9}",
    "ANN",
    "bob@localhost",
    "ghost",
    "eve@other",
    "ann@",
    "$0",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];
/// Whom messages go to in format 2: mostly to somebody.
pub(super) const RECIPIENTS: &[&str] =
    &["ann", "bob", "Cia", "ann", "bob", "cia", "ann", "bob", "ann@localhost", "ghost", "eve@other", "$0"];
pub(super) const PASSWORDS: &[&str] = &["secret", "secret", "secret", "other", "x", "\u{7}"];
pub(in crate::testing) const GROUPS: &[&str] =
    &["club", "club", "club", "Team", "team@localhost", "third", "a@other", "$1"];
pub(super) const REALMS: &[&str] = &["other", "third", "Other", "localhost", "a@b"];
pub(super) const TEXTS: &[&str] =
    &["hello", "halo, apa kabar?", "  two  spaces  ", "\u{e9}\u{1f600}", "{\"a\":\"\\\"}", "\t"];
pub(super) const IPS: &[&str] = &["192.0.2.1", "::1", "nowhere"];
pub(super) const FINGERPRINTS: &[&str] = &["SHA256:AAAA", "MD5:AAAA"];
pub(super) const NUMBERS: &[&str] = &["18446744073709551615", "-1", "007", "8889", "0"];
pub(super) const COUNTRIES: &[&str] = &["ID", "Indonesia"];
/// Whom a conversation is with: users, and groups, one of which may have a user's name.
pub(super) const PARTNERS: &[&str] =
    &["ann", "bob", "cia", "club", "club", "Team", "ann@localhost", "ghost", "a@other", "third"];
pub(super) const FILENAMES: &[&str] =
    &["a.txt", "a.txt", "a.txt", "b.txt", "b.txt", "c", "../c", "d\u{e9}", "."];
/// Contents of 1, 3, 4, 11, 20 and 33 bytes, and what is none.
pub(super) const BASE64: &[&str] = &[
    "aGFsbw==",
    "aGFsbw==",
    "eA==",
    "eHl6",
    "aGFsbw==",
    "eA==",
    "eHl6",
    "aGFsbywgZHVuaWE=",
    "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=",
    "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
    "AAA/+w==",
    "eA=",
    "eB==",
    "eHl6.",
];
pub(super) const TAGS: &[&str] =
    &["1", "\"t\"", "18446744073709551615", "\"\\u00e9\\\"\"", "\"\"", "-1", "null", "[]"];
pub(in crate::testing) const KEYS: &[&str] =
    &["\"k1\"", "\"k1\"", "\"k1\"", "\"k2\"", "\"k2\"", "\"k3\"", "\"k\\u00e9\"", "\"\"", "7"];
/// What only a structured request can say, or no request.
pub(super) const VALUES: &[&str] = &[
    "\"two\\nlines\"",
    "\"a b\"",
    "null",
    "7",
    "\"7\"",
    "[{}]",
    "\"\"",
    "\"x\\u0000\"",
    "true",
    "\"\\ud800\"",
];

pub(super) const JUNK: &[&[u8]] = &[
    b"",
    b" ",
    b"\r",
    b"NONSENSE a b",
    b"PING \xff\xfe",
    b"\0",
    b"{\"request\":\"PING\"}",
    b"SEND",
    b"Ping pong",
    b"  PING",
    b"SEND  bob",
    b"sid_00000000000000000000000000000000 PING",
];
/// Junk of format 2.
pub(super) const MORE_JUNK: &[&[u8]] = &[
    b"halo",
    b"aGFsbw==",
    b"b'eHl6'",
    b"  ping ",
    b"_ping",
    b"inbox \0",
    b"joingroup club \0",
    b"register eve",
    b"ping \xff",
    b"{\"request\":\"PING\",\"tag\":7",
    b"{\"request\":\"DANCE\",\"tag\":7}",
    b"{\"request\":\"PING\",\"tag\":7,\"colour\":\"red\"}",
    b"{\"request\":\"PING\",\"tag\":7,\"tag\":8}",
    b"{\"tag\":\"x\"}",
    b"{}",
    b"[]",
];

/// What peers ask, as often as it stands here.
pub(super) const KINDS: &[(Kind, u8)] = &[
    (Kind::Send, 40),
    (Kind::SendGroup, 20),
    (Kind::Ack, 12),
    (Kind::Inbox, 12),
    (Kind::Subscribe, 12),
    (Kind::Auth, 10),
    (Kind::Register, 8),
    (Kind::AddGroup, 6),
    (Kind::JoinGroup, 8),
    (Kind::LeaveGroup, 5),
    (Kind::ListGroup, 6),
    (Kind::ListMyGroups, 3),
    (Kind::ListUsers, 3),
    (Kind::Resume, 10),
    (Kind::Logout, 3),
    (Kind::Passwd, 6),
    (Kind::Whoami, 3),
    (Kind::AddRealm, 5),
    (Kind::ListRealms, 2),
    (Kind::Ping, 3),
    (Kind::Help, 1),
    (Kind::Quit, 1),
];
/// The same in format 2.
pub(super) const ALL_KINDS: &[(Kind, u8)] = &[
    (Kind::Send, 28),
    (Kind::SendGroup, 16),
    (Kind::SendFile, 20),
    (Kind::SendGroupFile, 10),
    (Kind::Upload, 18),
    (Kind::GetFile, 16),
    (Kind::History, 18),
    (Kind::Ack, 12),
    (Kind::Inbox, 12),
    (Kind::Subscribe, 10),
    (Kind::Auth, 10),
    (Kind::Register, 6),
    (Kind::AddGroup, 6),
    (Kind::JoinGroup, 8),
    (Kind::LeaveGroup, 5),
    (Kind::ListGroup, 4),
    (Kind::ListMyGroups, 2),
    (Kind::ListUsers, 2),
    (Kind::Resume, 8),
    (Kind::Logout, 2),
    (Kind::Passwd, 4),
    (Kind::Whoami, 2),
    (Kind::AddRealm, 4),
    (Kind::ListRealms, 1),
    (Kind::Ping, 2),
    (Kind::Help, 1),
    (Kind::Quit, 1),
];
/// What classic clients ask, and what can follow it.
pub(super) const CLASSIC: &[(&str, Kind)] = &[
    ("send", Kind::Send),
    ("send", Kind::Send),
    ("sendprivate", Kind::Send),
    ("sendgroup", Kind::SendGroup),
    ("sendgroup", Kind::SendGroup),
    ("sendfile", Kind::SendFile),
    ("sendfile", Kind::SendFile),
    ("sendfile", Kind::SendFile),
    ("sendprivatefile", Kind::SendFile),
    ("sendgroupfile", Kind::SendGroupFile),
    ("sendfilegroup", Kind::SendGroupFile),
    ("inbox", Kind::Inbox),
    ("inbox", Kind::Inbox),
    ("inbox", Kind::Inbox),
    ("inboxgroup", Kind::ListGroup),
    ("groupinbox", Kind::ListGroup),
    ("register", Kind::Register),
    ("auth", Kind::Auth),
    ("login", Kind::Auth),
    ("addgroup", Kind::AddGroup),
    ("creategroup", Kind::AddGroup),
    ("create_group", Kind::AddGroup),
    ("joingroup", Kind::JoinGroup),
    ("join_group", Kind::JoinGroup),
    ("leavegroup", Kind::LeaveGroup),
    ("leave_group", Kind::LeaveGroup),
    ("exitgroup", Kind::LeaveGroup),
    ("listgroup", Kind::ListGroup),
    ("getgroup", Kind::ListGroup),
    ("listgroups", Kind::ListMyGroups),
    ("listusers", Kind::ListUsers),
    ("addrealm", Kind::AddRealm),
    ("upload", Kind::Upload),
    ("get_file", Kind::GetFile),
    ("history", Kind::History),
    ("subscribe", Kind::Subscribe),
    ("ack", Kind::Ack),
    ("logout", Kind::Logout),
    ("resume", Kind::Resume),
    ("passwd", Kind::Passwd),
    ("whoami", Kind::Whoami),
    ("ping", Kind::Ping),
    ("quit", Kind::Quit),
];

/// Who acts: mostly those who are there from the start.
pub(super) const CONNS: &[usize] = &[0, 1, 2, 0, 1, 2, 3, 7];

/// Milliseconds: around the limits, and once in a while beyond all of them.
pub(super) const WAITS: &[u64] = &[1, 1, 1000, 1000, 1000, 61_000, 500_000, 3_000_000, 3_000_000, 4_100_000];
/// The same in format 2: a dedupe key is remembered for a day.
pub(super) const LONGER_WAITS: &[u64] =
    &[1, 1, 1000, 1000, 1000, 61_000, 500_000, 3_000_000, 3_000_000, 4_100_000, 50_000_000, 90_000_000];
