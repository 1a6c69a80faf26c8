//! Every request of the protocol, by its function.

use std::io::{BufRead, BufReader, Write};

use obrolan::wire::{Kind, REQUESTS};

use super::*;
use crate::header;

/// The requests that have no function of their own, and why.
const WITHOUT: [(Kind, &str); 4] = [
    (Kind::Auth, "the client logs in by itself"),
    (Kind::Resume, "the client goes on with its session by itself"),
    (Kind::Subscribe, "the client asks for messages by itself, as its options say"),
    (Kind::Quit, "to close the client is enough"),
];

#[test]
fn every_request_has_a_function() {
    let functions = header::functions();
    for spec in REQUESTS {
        let name = format!("obrolan_client_{}", spec.name.to_lowercase());
        let without = WITHOUT.iter().any(|(kind, _)| *kind == spec.kind);
        assert_eq!(functions.contains(&name), !without, "{name}");
    }
}

/// A response of a function that gives one.
fn response(call: impl FnOnce(*mut *mut obrolan_response) -> obrolan_result) -> Response {
    Response(out(call).unwrap())
}

// SAFETY: all texts that these tests pass are there, and all places for results.
macro_rules! call {
    ($function:ident($($argument:expr),*)) => {
        unsafe { $function($($argument),*) }
    };
}

#[test]
fn messages_and_what_becomes_of_them() {
    let server = Server::in_memory();
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let first = ann.send("bob", "halo").unwrap();
    let event = bob.next();
    assert_eq!((event.kind(), event.id(), event.text()), (OBROLAN_EVENT_MESSAGE, first, Some("halo".into())));
    let second = ann.send("bob", "two\nlines").unwrap();
    assert!(second > first);
    assert_eq!(
        call!(obrolan_client_send(ann.0, c"bob".as_ptr(), c"third".as_ptr(), ptr::null_mut())),
        OBROLAN_OK
    );

    let inbox = |after| response(|out| call!(obrolan_client_inbox(bob.0, after, out))).messages();
    assert_eq!(inbox(0), ["halo", "two\nlines", "third"]);
    assert_eq!(inbox(second), ["third"]);
    assert_eq!(checked(obrolan_client_ack(bob.0, second)), nothing());
    assert_eq!(obrolan_client_ping(bob.0), OBROLAN_OK, "its answer comes after that to ACK");
    assert_eq!(inbox(0), ["third"]);

    let with_ann = |before, limit| {
        response(|out| call!(obrolan_client_history(bob.0, c"ann".as_ptr(), before, limit, out)))
    };
    assert_eq!(with_ann(0, 0).messages(), ["halo", "two\nlines", "third"]);
    let page = with_ann(0, 1);
    assert_eq!((page.messages(), page.bool("more")), (vec!["third".to_owned()], true));
    assert_eq!(with_ann(second, 10).messages(), ["halo"]);
    let message = obrolan_response_message(page.0, 0);
    assert_eq!(obrolan_event_type(message), OBROLAN_EVENT_MESSAGE);
    assert_eq!(lent(obrolan_event_from(message)), Some("ann".into()));
    assert_eq!(obrolan_response_message(page.0, 1), ptr::null());
}

#[test]
fn groups_and_lists() {
    let server = Server::in_memory();
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    let go = c"go".as_ptr();
    assert_eq!(call!(obrolan_client_add_group(ann.0, go)), OBROLAN_OK);
    assert_eq!(call!(obrolan_client_join_group(bob.0, go)), OBROLAN_OK);
    let id = out(|id| call!(obrolan_client_send_group(ann.0, go, c"halo".as_ptr(), id))).unwrap();
    let event = bob.next();
    assert_eq!((event.id(), lent(obrolan_event_group(event.0))), (id, Some("go".into())));
    let members =
        |group| response(|out| call!(obrolan_client_list_group(ann.0, group, out))).names("members");
    assert_eq!(members(go), ["ann", "bob"]);
    assert_eq!(members(ptr::null()), ["ann", "bob"], "the current group");
    assert_eq!(response(|out| call!(obrolan_client_list_my_groups(bob.0, out))).names("groups"), ["go"]);
    assert_eq!(call!(obrolan_client_leave_group(bob.0, go)), OBROLAN_OK);
    assert_eq!(members(go), ["ann"]);

    let users = |after| response(|out| call!(obrolan_client_list_users(ann.0, after, out))).names("users");
    assert_eq!(users(ptr::null()), ["ann", "bob"]);
    assert_eq!(users(c"ann".as_ptr()), ["bob"]);
}

#[test]
fn the_account_and_the_server() {
    let server = Server::in_memory();
    let (ann, other) = (server.client("ann"), Client::open(&server.url_of("ann")).unwrap());
    let me = response(|out| call!(obrolan_client_whoami(ann.0, out)));
    assert_eq!(
        (me.text("user"), me.text("name"), me.text("country"), me.bool("admin")),
        (Some("ann".into()), Some("Ann Wijaya".into()), Some("ID".into()), true)
    );
    let realm = |fingerprint| {
        call!(obrolan_client_add_realm(ann.0, c"barat".as_ptr(), c"10.0.0.2".as_ptr(), 8889, fingerprint))
    };
    assert_eq!(realm(ptr::null()), OBROLAN_OK);
    let realms = response(|out| call!(obrolan_client_list_realms(ann.0, out)));
    assert_eq!((realms.count("realms"), realms.text("/realms/0/name")), (1, Some("barat".into())));
    assert_eq!(realms.number("/realms/0/port"), 8889);
    assert_eq!((realms.text("/realms/1/name"), realms.text("realms"), realms.text("/")), (None, None, None));

    let help = |name| response(|out| call!(obrolan_client_help(ann.0, name, out)));
    assert_eq!(help(ptr::null()).count("requests"), REQUESTS.len());
    assert_eq!(help(c"PING".as_ptr()).count("requests"), 1);

    let change = |old: &str, new: &str| call!(obrolan_client_passwd(ann.0, c(old).as_ptr(), c(new).as_ptr()));
    assert_eq!(change("wrong", "better-99"), OBROLAN_ERR_REQUEST);
    assert_eq!(obrolan_last_code(), OBROLAN_CODE_BAD_CREDENTIALS);
    assert_eq!(change("rahasia-ann", "better-99"), OBROLAN_OK);
    assert_eq!(other.request("WHOAMI").unwrap().text("code"), Some("no_session".into()));
    let reopened = |password: &str| {
        let url = c(&server.url());
        out(|out| call!(obrolan_client_open(url.as_ptr(), c"ann".as_ptr(), c(password).as_ptr(), out)))
            .map(Client)
    };
    assert_eq!(reopened("rahasia-ann").err().unwrap().code, OBROLAN_ERR_AUTH);
    assert!(reopened("better-99").is_ok());
}

#[test]
fn logging_out_ends_the_session_and_the_client() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    assert_eq!(checked(obrolan_client_logout(ann.0)), nothing());
    let closed = failure(OBROLAN_ERR_CLOSED, "the client is closed; open a new one");
    assert_eq!(checked(obrolan_client_ping(ann.0)), Err(closed));
}

#[test]
fn any_request_as_a_line() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    let pong = ann.request("ping").unwrap();
    assert!(pong.is_ok());
    assert_eq!((pong.data(), obrolan_response_code(pong.0)), ("pong".into(), OBROLAN_CODE_NONE));
    assert_eq!(c_text(obrolan_response_reason(pong.0)), "");
    assert_eq!(c_text(obrolan_response_json(pong.0)), r#"{"data":"pong","status":"OK"}"#);
    let refused = ann.request("SEND nobody halo").unwrap();
    assert_eq!((refused.is_ok(), refused.data()), (false, "pesan tidak terkirim".into()));
    assert_eq!(obrolan_response_code(refused.0), OBROLAN_CODE_NO_SUCH_USER);
    assert_eq!(c_text(obrolan_response_reason(refused.0)), "there is no such user; check the name");
    let unknown = ann.request("FLY").unwrap();
    assert_eq!(obrolan_response_code(unknown.0), OBROLAN_CODE_UNKNOWN_REQUEST);
    let sent = |response: Response| (response.is_ok(), response.number("id"));
    let keyed = r#"{"request":"SEND","to":"ann","text":"once","dedupe":"k1"}"#;
    assert_eq!(sent(ann.request(keyed).unwrap()), sent(ann.request(keyed).unwrap()));
    assert_eq!(ann.next().text(), Some("once".into()));
    assert_eq!(ann.next_within(0).unwrap().kind(), OBROLAN_EVENT_NONE);
    for lines in ["PING\nPING", "SEND ann two\nlines", "PING\r", "", " "] {
        let refused = failure(OBROLAN_ERR_ARGUMENT, "a request is one line with at least a name on it");
        assert_eq!(ann.request(lines).err(), Some(refused), "{lines:?}");
    }
}

/// A server that answers all but SEND, on one connection. Returns what it was sent as that.
fn take_send(listener: &TcpListener) -> String {
    let (stream, _) = listener.accept().unwrap();
    let mut writer = &stream;
    for line in BufReader::new(&stream).lines() {
        let line = line.unwrap();
        if line.contains("SEND") {
            return line;
        }
        let tokenid = "sid_0123456789abcdef0123456789abcdef";
        write!(writer, "{{\"status\":\"OK\",\"tokenid\":\"{tokenid}\"}}\r\n\r\n").unwrap();
    }
    panic!("the client is gone")
}

#[test]
fn a_line_that_is_sent_again_has_the_same_key() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("obrolan://ann:secret99@{}", listener.local_addr().unwrap());
    let ann = Client::open_with(&url, |options| options.wait = 0).unwrap();
    // SAFETY: the number may be left out.
    assert_eq!(unsafe { obrolan_client_post(ann.0, c"send bob halo".as_ptr(), ptr::null_mut()) }, OBROLAN_OK);
    let sent = take_send(&listener);
    let begin = r#"{"request":"SEND","to":"bob","text":"halo","dedupe":"#;
    assert!(sent.starts_with(begin), "{sent}");
    assert_eq!(take_send(&listener), sent);
}

#[test]
fn fields_are_what_they_are() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    let me = ann.request("WHOAMI").unwrap();
    // SAFETY: it is there.
    let has = |field: &str| unsafe { obrolan_response_has(me.0, c(field).as_ptr()) };
    assert!(has("user") && has("/user") && has("admin") && !has("/users/0") && !has(""));
    assert_eq!((me.text("admin"), me.number("user"), me.bool("user"), me.count("user")), (None, 0, false, 0));
    // What is lent stays where it is.
    let (user, name) = (c"user", c"name");
    let lend = |field: &std::ffi::CStr| unsafe { obrolan_response_text(me.0, field.as_ptr()) };
    let before = (lend(user), lend(name));
    assert_eq!((lend(user), lend(name)), before);
    assert_eq!(me.bytes().unwrap_err().code, OBROLAN_ERR_ARGUMENT);
    assert_eq!(
        ann.request("PING").unwrap().bytes().unwrap_err().code,
        OBROLAN_ERR_ARGUMENT,
        "pong is base64"
    );
}
