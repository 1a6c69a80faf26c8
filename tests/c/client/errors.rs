//! What goes wrong, by its code and in words.

use std::{io::Write, net::TcpListener, thread};

use super::*;

fn opened(url: &str, user: Option<&str>, password: Option<&str>) -> Result<Client, Failure> {
    let (url, user, password) = (c(url), user.map(c), password.map(c));
    let given = |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
    // SAFETY: they are there, or may be left out.
    out(|out| unsafe { obrolan_client_open(url.as_ptr(), given(&user), given(&password), out) }).map(Client)
}

fn refused(url: &str) -> Failure {
    Client::open(url).err().unwrap()
}

#[test]
fn what_is_given_apart_goes_before_the_url() {
    let server = Server::in_memory();
    let url = server.url_of("ann");
    assert_eq!(register(&url), nothing());
    let bare = server.url();
    assert!(opened(&bare, Some("ann"), Some("rahasia-ann")).is_ok());
    assert!(opened(&url, None, None).is_ok());
    assert!(opened(&server.url_of("bob"), Some("ann"), Some("rahasia-ann")).is_ok());
    let wrong = opened(&url, None, Some("wrong")).err().unwrap();
    assert_eq!((wrong.code, obrolan_last_code()), (OBROLAN_ERR_AUTH, OBROLAN_CODE_BAD_CREDENTIALS));
    let missing = |what: &str| {
        let why = format!("the URL has no {what}; write obrolan://USER:PASSWORD@HOST:PORT, or give it apart");
        failure(OBROLAN_ERR_ARGUMENT, &why)
    };
    assert_eq!(opened(&bare, None, None).err(), Some(missing("user")));
    assert_eq!(opened(&bare, Some("ann"), None).err(), Some(missing("password")));
    let no_password = opened(&bare, Some("ann"), Some("")).err().unwrap();
    assert_eq!(no_password.code, OBROLAN_ERR_ARGUMENT);
    assert!(no_password.text.starts_with("the password is none"), "{}", no_password.text);
    let no_url = refused("localhost:8889");
    assert_eq!(no_url.code, OBROLAN_ERR_ARGUMENT);
    assert!(no_url.text.contains("does not begin with obrolan://"), "{}", no_url.text);
}

#[test]
fn what_is_reached_or_not() {
    let listener = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("obrolan://ann:secret99@{}", listener.local_addr().unwrap());
        (listener, url)
    };
    let (_silent, url) = listener();
    let late = Client::open_with(&url, |options| options.timeout_ms = 50).err().unwrap();
    assert_eq!(late.code, OBROLAN_ERR_TIMEOUT);
    let (stranger, url) = listener();
    thread::scope(|scope| {
        scope.spawn(|| stranger.accept().unwrap().0.write_all(b"SSH-2.0-x\r\n").unwrap());
        let strange = refused(&url);
        assert_eq!(strange.code, OBROLAN_ERR_PROTOCOL);
        assert!(strange.text.contains("check its address and port"), "{}", strange.text);
    });
    let home = Home::new();
    let url = format!("obrolan://ann:secret99@{}", home.at);
    let gone = refused(&url);
    assert_eq!(gone.code, OBROLAN_ERR_UNREACHABLE);
    assert!(gone.text.contains("is the server running?"), "{}", gone.text);
    assert_eq!(register(&url).unwrap_err().code, OBROLAN_ERR_UNREACHABLE);
}

#[test]
fn too_many_attempts_are_refused_for_now() {
    let server = Server::open(&format!("{IN_MEMORY}\naccounts.throttle_loopback = true")).unwrap();
    let url = server.url_of("ann");
    let throttled = (0..100).find_map(|_| {
        let failure = refused(&url);
        assert_eq!(failure.code, OBROLAN_ERR_AUTH);
        (obrolan_last_code() == OBROLAN_CODE_THROTTLED).then_some(failure)
    });
    let text = throttled.expect("not so many attempts are let through").text;
    assert!(text.contains("too many attempts; try again in "), "{text}");
    assert_eq!(lent(obrolan_last_code_word()), Some("throttled".into()));
}

#[test]
fn what_a_server_refuses_has_its_code_and_words() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    let nobody = ann.send("nobody", "halo").unwrap_err();
    assert_eq!(nobody, failure(OBROLAN_ERR_REQUEST, "there is no such user; check the name"));
    assert_eq!(obrolan_last_code(), OBROLAN_CODE_NO_SUCH_USER);
    assert_eq!(lent(obrolan_last_code_word()), Some("no_such_user".into()));
    assert_eq!(ann.last_error(), nobody.text);
    let taken = register(&server.url_of("ann")).unwrap_err();
    assert_eq!((taken.code, obrolan_last_code()), (OBROLAN_ERR_REQUEST, OBROLAN_CODE_USER_EXISTS));
    assert_eq!(ann.last_error(), "", "that was not a call with this client");

    let empty = ann.send("", "halo").unwrap_err();
    assert_eq!(
        empty,
        failure(OBROLAN_ERR_ARGUMENT, "the parameter to of SEND cannot be written on a line: it is empty")
    );
    assert_eq!((obrolan_last_code(), lent(obrolan_last_code_word())), (OBROLAN_CODE_NONE, None));
    assert_eq!(ann.last_error(), empty.text);
    let elsewhere = thread::scope(|scope| scope.spawn(|| ann.last_error()).join().unwrap());
    assert_eq!(elsewhere, "", "each thread has its own");
}

#[test]
fn options_that_are_none() {
    let url = "obrolan://ann:secret99@127.0.0.1:1";
    let code = |change: fn(&mut obrolan_client_options)| Client::open_with(url, change).err().unwrap();
    assert_eq!(
        code(|options| options.messages = 4),
        failure(OBROLAN_ERR_ARGUMENT, "options.messages is 4, which is no obrolan_messages")
    );
    assert_eq!(code(|options| options.size = 8).code, OBROLAN_ERR_ARGUMENT);
    let newer = code(|options| options.size += 8);
    assert!(newer.text.contains("install the version of its header, or a newer one"), "{}", newer.text);
    // SAFETY: NULL is seen.
    let null = checked(unsafe { obrolan_client_options_default(ptr::null_mut(), 8) });
    assert_eq!(null, Err(failure(OBROLAN_ERR_ARGUMENT, "options is NULL")));
}

#[test]
fn passwords_do_not_show() {
    let server = Server::in_memory();
    let url = server.url_of("ann");
    let texts = [
        refused(&url).text,
        refused(&url.replace("rahasia", "rahasia rahasia")).text,
        refused(&url.replace("ann@", "ann@@")).text,
    ];
    assert!(texts.iter().all(|text| !text.contains("rahasia")), "{texts:?}");
}
