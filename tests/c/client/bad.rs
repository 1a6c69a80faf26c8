//! Bad handles and parameters, for every function.

use std::collections::BTreeSet;

use super::*;
use crate::header;

/// What a function says of a handle that is none.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
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

const X: *const c_char = c"x".as_ptr();

/// A function with a handle, called with good parameters and this handle.
pub(super) type OfHandle = fn(usize) -> Said;

/// Every function that looks at its handle, and says what it says of it.
pub(super) fn of_handles() -> Vec<(&'static str, OfHandle)> {
    macro_rules! codes {
        ($($function:ident($handle:ident $(, $argument:expr)*);)*) => {
            [$((stringify!($function), |handle| {
                let $handle = ptr::without_provenance_mut(handle);
                // SAFETY: everything but the handle is there.
                Said::from(#[allow(unused_unsafe)] unsafe { $function($handle $(, $argument)*) })
            })),*]
        };
    }
    macro_rules! looks {
        ($($function:ident($handle:ident $(, $argument:expr)*) is $nothing:expr;)*) => {
            [$((stringify!($function), |handle| {
                let $handle = ptr::without_provenance_mut(handle);
                // SAFETY: everything but the handle is there.
                seen(#[allow(unused_unsafe)] unsafe { $function($handle $(, $argument)*) }, $nothing)
            })),*]
        };
    }
    let codes: [(_, OfHandle); _] = codes! {
        obrolan_client_set_timeout(client, 1);
        obrolan_client_next(client, 0, &mut ptr::null_mut());
        obrolan_client_close(client);
        obrolan_client_send(client, X, X, &mut 0);
        obrolan_client_send_group(client, X, X, &mut 0);
        obrolan_client_send_file(client, X, X, None, ptr::null_mut(), &mut 0);
        obrolan_client_send_group_file(client, X, X, None, ptr::null_mut(), &mut 0);
        obrolan_client_send_upload(client, X, X, &mut 0);
        obrolan_client_send_group_upload(client, X, X, &mut 0);
        obrolan_client_upload(client, X, 0, X.cast(), 1, &mut 0);
        obrolan_client_get_file(client, X, X, X, None, ptr::null_mut());
        obrolan_client_get_file_part(client, X, 0, 0, &mut ptr::null_mut());
        obrolan_client_add_group(client, X);
        obrolan_client_join_group(client, X);
        obrolan_client_leave_group(client, X);
        obrolan_client_add_realm(client, X, X, 1, X);
        obrolan_client_list_users(client, X, &mut ptr::null_mut());
        obrolan_client_list_my_groups(client, &mut ptr::null_mut());
        obrolan_client_list_group(client, X, &mut ptr::null_mut());
        obrolan_client_inbox(client, 0, &mut ptr::null_mut());
        obrolan_client_ack(client, 1);
        obrolan_client_history(client, X, 0, 0, &mut ptr::null_mut());
        obrolan_client_ping(client);
        obrolan_client_help(client, X, &mut ptr::null_mut());
        obrolan_client_passwd(client, X, X);
        obrolan_client_whoami(client, &mut ptr::null_mut());
        obrolan_client_list_realms(client, &mut ptr::null_mut());
        obrolan_client_logout(client);
        obrolan_client_request(client, X, &mut ptr::null_mut());
        obrolan_client_post(client, X, &mut 0);
        obrolan_server_stop(server);
        obrolan_response_bytes(response, &mut ptr::null(), &mut 0);
    };
    let looks: [(_, OfHandle); _] = looks! {
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
        obrolan_response_has(response, X) is false;
        obrolan_response_text(response, X) is ptr::null();
        obrolan_response_number(response, X) is 0;
        obrolan_response_bool(response, X) is false;
        obrolan_response_count(response, X) is 0;
        obrolan_response_name(response, X, 0) is ptr::null();
        obrolan_response_json(response) is ptr::null();
        obrolan_client_free(client) is ();
        obrolan_server_free(server) is ();
        obrolan_event_free(event) is ();
        obrolan_response_free(response) is ();
    };
    codes.into_iter().chain(looks).collect()
}

/// The functions that need no handle, or have words for one that is none.
const OTHERS: [&str; 6] = [
    "obrolan_client_open",
    "obrolan_client_open_with",
    "obrolan_client_options_default",
    "obrolan_client_register",
    "obrolan_client_last_error",
    "obrolan_server_open",
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
        for (function, call) in of_handles() {
            let said = call(handle);
            let right = [Said::Code(OBROLAN_ERR_HANDLE), Said::Nothing].contains(&said);
            assert!(right, "{function} of {handle:#x}: {said:?}");
        }
        let words = c_text(obrolan_strerror(OBROLAN_ERR_HANDLE as i32));
        assert_eq!(c_text(obrolan_client_last_error(ptr::without_provenance(handle))), words);
    }
    assert_eq!(engine.connections(), 0, "it is still there");
    let called: BTreeSet<String> =
        of_handles().into_iter().map(|(name, _)| name).chain(OTHERS).map(str::to_owned).collect();
    let prefixes = ["obrolan_client_", "obrolan_server_", "obrolan_event_", "obrolan_response_"];
    let functions = header::functions().into_iter();
    let functions: BTreeSet<String> =
        functions.filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix))).collect();
    assert_eq!(called, functions);
}

/// A call with NULL for the parameter of that name, and everything else there.
pub(super) type WithNull = fn(usize) -> obrolan_result;

/// Every parameter that must not be NULL of a function with a client, or, with any number, of one without a handle.
pub(super) fn with_nulls() -> Vec<(&'static str, &'static str, WithNull)> {
    const URL: *const c_char = c"obrolan://ann:secret99@127.0.0.1:1".as_ptr();
    macro_rules! nulls {
        (|$client:pat_param| $($function:ident($($argument:expr),*): $name:literal;)*) => {
            [$((stringify!($function), $name, |handle| {
                let $client = ptr::without_provenance_mut::<obrolan_client>(handle);
                // SAFETY: NULL is seen, and everything else is there.
                unsafe { $function($($argument),*) }
            })),*]
        };
    }
    let nulls: [(_, _, WithNull); _] = nulls! {
        |client|
        obrolan_client_next(client, 0, ptr::null_mut()): "out";
        obrolan_client_send(client, ptr::null(), X, ptr::null_mut()): "to";
        obrolan_client_send(client, X, ptr::null(), ptr::null_mut()): "message";
        obrolan_client_send_group(client, ptr::null(), X, ptr::null_mut()): "group";
        obrolan_client_send_group(client, X, ptr::null(), ptr::null_mut()): "message";
        obrolan_client_send_file(client, ptr::null(), X, None, ptr::null_mut(), ptr::null_mut()): "to";
        obrolan_client_send_file(client, X, ptr::null(), None, ptr::null_mut(), ptr::null_mut()): "path";
        obrolan_client_send_group_file(client, ptr::null(), X, None, ptr::null_mut(), ptr::null_mut()): "group";
        obrolan_client_send_group_file(client, X, ptr::null(), None, ptr::null_mut(), ptr::null_mut()): "path";
        obrolan_client_send_upload(client, ptr::null(), X, ptr::null_mut()): "to";
        obrolan_client_send_upload(client, X, ptr::null(), ptr::null_mut()): "filename";
        obrolan_client_send_group_upload(client, ptr::null(), X, ptr::null_mut()): "group";
        obrolan_client_send_group_upload(client, X, ptr::null(), ptr::null_mut()): "filename";
        obrolan_client_upload(client, ptr::null(), 0, X.cast(), 1, ptr::null_mut()): "filename";
        obrolan_client_upload(client, X, 0, ptr::null(), 1, ptr::null_mut()): "bytes";
        obrolan_client_get_file(client, ptr::null(), ptr::null(), X, None, ptr::null_mut()): "file_id";
        obrolan_client_get_file(client, X, ptr::null(), ptr::null(), None, ptr::null_mut()): "path";
        obrolan_client_get_file_part(client, ptr::null(), 0, 0, ptr::null_mut()): "file_id";
        obrolan_client_add_group(client, ptr::null()): "group";
        obrolan_client_join_group(client, ptr::null()): "group";
        obrolan_client_leave_group(client, ptr::null()): "group";
        obrolan_client_add_realm(client, ptr::null(), X, 1, ptr::null()): "name";
        obrolan_client_add_realm(client, X, ptr::null(), 1, ptr::null()): "ip";
        obrolan_client_history(client, ptr::null(), 0, 0, ptr::null_mut()): "with";
        obrolan_client_passwd(client, ptr::null(), X): "old_password";
        obrolan_client_passwd(client, X, ptr::null()): "new_password";
        obrolan_client_request(client, ptr::null(), ptr::null_mut()): "line";
        obrolan_client_post(client, ptr::null(), ptr::null_mut()): "line";
    };
    let without_handle: [(_, _, WithNull); _] = nulls! {
        |_|
        obrolan_client_open(ptr::null(), ptr::null(), ptr::null(), ptr::null_mut()): "url";
        obrolan_client_open(URL, ptr::null(), ptr::null(), ptr::null_mut()): "out";
        obrolan_client_open_with(URL, ptr::null(), ptr::null(), ptr::null(), ptr::null_mut()): "out";
        obrolan_client_register(ptr::null(), ptr::null(), ptr::null(), X, X): "url";
        obrolan_client_register(URL, ptr::null(), ptr::null(), ptr::null(), X): "country";
        obrolan_client_register(URL, ptr::null(), ptr::null(), X, ptr::null()): "name";
        obrolan_server_open(ptr::null(), ptr::null_mut()): "toml";
        obrolan_server_open(X, ptr::null_mut()): "out";
    };
    nulls.into_iter().chain(without_handle).collect()
}

#[test]
fn what_must_not_be_null_is_told_by_its_name() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    for (function, name, call) in with_nulls() {
        let null = failure(OBROLAN_ERR_ARGUMENT, &format!("{name} is NULL"));
        assert_eq!(checked(call(ann.0.addr())), Err(null), "{function}");
    }
    let response = ann.request("PING").unwrap();
    let (mut bytes, mut len) = (ptr::null(), 0);
    // SAFETY: NULL is seen.
    let came = unsafe {
        [
            checked(obrolan_response_bytes(response.0, ptr::null_mut(), &raw mut len)),
            checked(obrolan_response_bytes(response.0, &raw mut bytes, ptr::null_mut())),
        ]
    };
    let is_null = |name: &str| Err(failure(OBROLAN_ERR_ARGUMENT, &format!("{name} is NULL")));
    assert_eq!(came, [is_null("bytes"), is_null("len")]);
    // SAFETY: NULL is seen.
    assert!(unsafe { obrolan_response_text(response.0, ptr::null()) }.is_null());
    let not_utf8 = c"caf\xe9".as_ptr();
    // SAFETY: they are there, or may be left out.
    let refused = checked(unsafe { obrolan_client_send(ann.0, X, not_utf8, ptr::null_mut()) }).unwrap_err();
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
