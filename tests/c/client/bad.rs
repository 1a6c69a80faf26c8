//! Bad handles and parameters, for every function.

use std::collections::BTreeSet;

use super::*;
use crate::header;

/// What a function says of a handle that is none.
#[derive(Debug, PartialEq)]
enum Said {
    Code(obrolan_result),
    /// Nothing is seen of it: NULL, 0, false.
    Nothing,
    Something,
}

impl From<obrolan_result> for Said {
    fn from(code: obrolan_result) -> Said {
        Said::Code(code)
    }
}

fn seen<T: PartialEq>(value: T, nothing: T) -> Said {
    if value == nothing { Said::Nothing } else { Said::Something }
}

/// Every function with a handle, called with good parameters and this handle.
fn all(handle: usize) -> Vec<(&'static str, Said)> {
    let client = ptr::without_provenance_mut::<obrolan_client>(handle);
    let server = ptr::without_provenance_mut::<obrolan_server>(handle);
    let event = ptr::without_provenance_mut::<obrolan_event>(handle);
    let response = ptr::without_provenance_mut::<obrolan_response>(handle);
    let (x, no) = (c"x".as_ptr(), ptr::null_mut());
    let (mut number, mut size, mut bytes) = (0, 0, ptr::null());
    let (mut events, mut responses) = (ptr::null_mut(), ptr::null_mut());
    let (number, size, bytes) = (&raw mut number, &raw mut size, &raw mut bytes);
    let (events, responses) = (&raw mut events, &raw mut responses);
    macro_rules! codes {
        ($($function:ident($($argument:expr),*);)*) => {
            // SAFETY: everything but the handle is there.
            [$((stringify!($function), Said::from(#[allow(unused_unsafe)] unsafe { $function($($argument),*) }))),*]
        };
    }
    macro_rules! looks {
        ($($function:ident($($argument:expr),*) is $nothing:expr;)*) => {
            // SAFETY: everything but the handle is there.
            [$((stringify!($function), seen(#[allow(unused_unsafe)] unsafe { $function($($argument),*) }, $nothing))),*]
        };
    }
    let codes = codes! {
        obrolan_client_set_timeout(client, 1);
        obrolan_client_next(client, 0, events);
        obrolan_client_close(client);
        obrolan_client_send(client, x, x, number);
        obrolan_client_send_group(client, x, x, number);
        obrolan_client_send_file(client, x, x, None, no, number);
        obrolan_client_send_group_file(client, x, x, None, no, number);
        obrolan_client_send_upload(client, x, x, number);
        obrolan_client_send_group_upload(client, x, x, number);
        obrolan_client_upload(client, x, 0, x.cast(), 1, number);
        obrolan_client_get_file(client, x, x, x, None, no);
        obrolan_client_get_file_part(client, x, 0, 0, responses);
        obrolan_client_add_group(client, x);
        obrolan_client_join_group(client, x);
        obrolan_client_leave_group(client, x);
        obrolan_client_add_realm(client, x, x, 1, x);
        obrolan_client_list_users(client, x, responses);
        obrolan_client_list_my_groups(client, responses);
        obrolan_client_list_group(client, x, responses);
        obrolan_client_inbox(client, 0, responses);
        obrolan_client_ack(client, 1);
        obrolan_client_history(client, x, 0, 0, responses);
        obrolan_client_ping(client);
        obrolan_client_help(client, x, responses);
        obrolan_client_passwd(client, x, x);
        obrolan_client_whoami(client, responses);
        obrolan_client_list_realms(client, responses);
        obrolan_client_logout(client);
        obrolan_client_request(client, x, responses);
        obrolan_client_post(client, x, number);
        obrolan_server_stop(server);
        obrolan_response_bytes(response, bytes, size);
    };
    let looks = looks! {
        obrolan_client_fd(client) is -1;
        obrolan_client_is_connected(client) is false;
        obrolan_server_url(server) is ptr::null();
        obrolan_event_type(event) is OBROLAN_EVENT_NONE;
        obrolan_event_id(event) is 0;
        obrolan_event_from(event) is ptr::null();
        obrolan_event_to(event) is ptr::null();
        obrolan_event_group(event) is ptr::null();
        obrolan_event_text(event) is ptr::null();
        obrolan_event_time(event) is 0;
        obrolan_event_file_id(event) is ptr::null();
        obrolan_event_file_name(event) is ptr::null();
        obrolan_event_file_size(event) is 0;
        obrolan_event_file_sha256(event) is ptr::null();
        obrolan_event_resumed(event) is false;
        obrolan_event_count(event) is 0;
        obrolan_event_request(event) is 0;
        obrolan_event_response(event) is ptr::null();
        obrolan_response_message(response, 0) is ptr::null();
        obrolan_response_is_ok(response) is false;
        obrolan_response_code(response) is OBROLAN_CODE_NONE;
        obrolan_response_reason(response) is ptr::null();
        obrolan_response_data(response) is ptr::null();
        obrolan_response_has(response, x) is false;
        obrolan_response_text(response, x) is ptr::null();
        obrolan_response_number(response, x) is 0;
        obrolan_response_bool(response, x) is false;
        obrolan_response_count(response, x) is 0;
        obrolan_response_name(response, x, 0) is ptr::null();
        obrolan_response_json(response) is ptr::null();
    };
    codes.into_iter().chain(looks).collect()
}

/// The functions that need no handle, or never fail.
const OTHERS: [&str; 10] = [
    "obrolan_client_open",
    "obrolan_client_open_with",
    "obrolan_client_options_default",
    "obrolan_client_register",
    "obrolan_client_last_error",
    "obrolan_client_free",
    "obrolan_event_free",
    "obrolan_response_free",
    "obrolan_server_open",
    "obrolan_server_free",
];

#[test]
fn no_function_takes_a_handle_that_is_none() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    let freed = [server.client("bob").0.addr(), ann.request("PING").unwrap().0.addr()];
    ann.send("ann", "halo").unwrap();
    let freed = freed.into_iter().chain([ann.next().0.addr()]);
    let engine = crate::engine::Engine::new(obrolan::Config::default(), [7; 32], obrolan::Time(1)).unwrap();
    for handle in [0, 1, usize::MAX, engine.handle().addr()].into_iter().chain(freed) {
        for (function, said) in all(handle) {
            let right = [Said::Code(OBROLAN_ERR_HANDLE), Said::Nothing].contains(&said);
            assert!(right, "{function} of {handle:#x}: {said:?}");
        }
        let words = c_text(obrolan_strerror(OBROLAN_ERR_HANDLE as i32));
        assert_eq!(c_text(obrolan_client_last_error(ptr::without_provenance(handle))), words);
        obrolan_client_free(ptr::without_provenance_mut(handle));
        obrolan_server_free(ptr::without_provenance_mut(handle));
        obrolan_event_free(ptr::without_provenance_mut(handle));
        obrolan_response_free(ptr::without_provenance_mut(handle));
    }
    assert_eq!(engine.connections(), 0, "it is still there");
    let called: BTreeSet<String> =
        all(0).into_iter().map(|(name, _)| name).chain(OTHERS).map(str::to_owned).collect();
    let prefixes = ["obrolan_client_", "obrolan_server_", "obrolan_event_", "obrolan_response_"];
    let functions = header::functions().into_iter();
    let functions: BTreeSet<String> =
        functions.filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))).collect();
    assert_eq!(called, functions);
}

#[test]
fn what_must_not_be_null_is_told_by_its_name() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    let (client, x, n) = (ann.0, c"x".as_ptr(), ptr::null());
    let no = ptr::null_mut();
    macro_rules! told {
        ($($function:ident($($argument:expr),*): $name:literal;)*) => {$(
            // SAFETY: NULL is seen, and everything else is there.
            let told = checked(unsafe { $function($($argument),*) });
            let null = failure(OBROLAN_ERR_ARGUMENT, concat!($name, " is NULL"));
            assert_eq!(told, Err(null), stringify!($function));
        )*};
    }
    let url = c(&server.url_of("ann"));
    told! {
        obrolan_client_open(n, n, n, ptr::null_mut()): "url";
        obrolan_client_open(url.as_ptr(), n, n, ptr::null_mut()): "out";
        obrolan_client_open_with(url.as_ptr(), n, n, ptr::null(), ptr::null_mut()): "out";
        obrolan_client_register(n, n, n, x, x): "url";
        obrolan_client_register(url.as_ptr(), n, n, n, x): "country";
        obrolan_client_register(url.as_ptr(), n, n, x, n): "name";
        obrolan_client_next(client, 0, ptr::null_mut()): "out";
        obrolan_client_send(client, n, x, ptr::null_mut()): "to";
        obrolan_client_send(client, x, n, ptr::null_mut()): "message";
        obrolan_client_send_group(client, n, x, ptr::null_mut()): "group";
        obrolan_client_send_group(client, x, n, ptr::null_mut()): "message";
        obrolan_client_send_file(client, n, x, None, no, ptr::null_mut()): "to";
        obrolan_client_send_file(client, x, n, None, no, ptr::null_mut()): "path";
        obrolan_client_send_group_file(client, n, x, None, no, ptr::null_mut()): "group";
        obrolan_client_send_group_file(client, x, n, None, no, ptr::null_mut()): "path";
        obrolan_client_send_upload(client, n, x, ptr::null_mut()): "to";
        obrolan_client_send_upload(client, x, n, ptr::null_mut()): "filename";
        obrolan_client_send_group_upload(client, n, x, ptr::null_mut()): "group";
        obrolan_client_send_group_upload(client, x, n, ptr::null_mut()): "filename";
        obrolan_client_upload(client, n, 0, x.cast(), 1, ptr::null_mut()): "filename";
        obrolan_client_upload(client, x, 0, ptr::null(), 1, ptr::null_mut()): "bytes";
        obrolan_client_get_file(client, n, n, x, None, no): "file_id";
        obrolan_client_get_file(client, x, n, n, None, no): "path";
        obrolan_client_get_file_part(client, n, 0, 0, ptr::null_mut()): "file_id";
        obrolan_client_add_group(client, n): "group";
        obrolan_client_join_group(client, n): "group";
        obrolan_client_leave_group(client, n): "group";
        obrolan_client_add_realm(client, n, x, 1, n): "name";
        obrolan_client_add_realm(client, x, n, 1, n): "ip";
        obrolan_client_history(client, n, 0, 0, ptr::null_mut()): "with";
        obrolan_client_passwd(client, n, x): "old_password";
        obrolan_client_passwd(client, x, n): "new_password";
        obrolan_client_request(client, n, ptr::null_mut()): "line";
        obrolan_client_post(client, n, ptr::null_mut()): "line";
        obrolan_server_open(n, ptr::null_mut()): "toml";
        obrolan_server_open(x, ptr::null_mut()): "out";
    }
    let response = ann.request("PING").unwrap();
    let (mut bytes, mut len) = (ptr::null(), 0);
    told! {
        obrolan_response_bytes(response.0, ptr::null_mut(), &raw mut len): "bytes";
        obrolan_response_bytes(response.0, &raw mut bytes, ptr::null_mut()): "len";
    }
    // SAFETY: NULL is seen.
    assert!(unsafe { obrolan_response_text(response.0, n) }.is_null());
    let not_utf8 = c"caf\xe9".as_ptr();
    // SAFETY: they are there, or may be left out.
    let refused = checked(unsafe { obrolan_client_send(client, x, not_utf8, ptr::null_mut()) }).unwrap_err();
    assert_eq!(refused.code, OBROLAN_ERR_UTF8);
}

#[test]
fn features_are_told() {
    // SAFETY: NULL is seen.
    let has = |feature: Option<&str>| match feature {
        None => unsafe { obrolan_has(ptr::null()) },
        Some(feature) => unsafe { obrolan_has(c(feature).as_ptr()) },
    };
    assert!(["engine", "client", "server"].iter().all(|feature| has(Some(feature))));
    assert!(!has(None) && !has(Some("")) && !has(Some("clients")));
}
