//! Chats with a server that follows a script.

mod files;

use std::{
    cell::RefCell,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    rc::Rc,
    thread,
};

use obrolan::{
    Password,
    client::{Backoff, Client, Event, Login, Response},
};
use smol::channel::{Sender, bounded};

use super::{
    enter::{Entered, enter},
    show::Look,
    talk::{Chat, Start},
    terminal::{Input, Kind, Screen},
};
use crate::{
    cli::{ChatArgs, Conversation},
    config::Address,
};

const PEOPLE: Look = Look { plain: false, color: false };
const PIPES: Look = Look { plain: true, color: false };

/// What the server does next.
#[derive(Clone, Copy)]
enum Step {
    /// The client must send this line,
    Hear(&'static str),
    /// an object with these members among its own, `*` being any text,
    HearObject(&'static str),
    /// the same line as the last.
    HearAgain,
    /// The server sends this.
    Say(&'static str),
    /// The person at the client types this.
    Type(&'static str),
}
use Step::{Hear, HearAgain, HearObject, Say, Type};

const OK: Step = Say(r#"{"status":"OK"}"#);
const TOKEN: Step = Say(r#"{"status":"OK","tokenid":"sid_0123456789abcdef0123456789abcdef"}"#);
const RESUME: Step = Hear("RESUME sid_0123456789abcdef0123456789abcdef");
const AUTH: Step = Hear("AUTH ann hunter2");
const MESSAGE: Step = Say(
    r#"{"event":"message","id":17,"from":"bob","to":"ann","time":"2026-11-23T09:00:00.000Z","text":"halo\u001b"}"#,
);

/// Plays one script a connection. Between two it closes; after the last the input ends, and
/// nothing more may be heard. An empty script closes at once.
fn serve(listener: &TcpListener, scripts: &[&[Step]], typing: Sender<Result<String, String>>) {
    let (mut typing, mut last) = (Some(typing), String::new());
    for (at, script) in scripts.iter().enumerate() {
        let (stream, _) = listener.accept().unwrap();
        let (mut lines, mut out) = (BufReader::new(&stream).lines(), &stream);
        for step in *script {
            match step {
                Hear(line) => assert_eq!(lines.next().unwrap().unwrap(), *line),
                HearObject(with) => {
                    last = lines.next().unwrap().unwrap();
                    let (heard, with) = (object(&last), object(with));
                    for (name, value) in with {
                        let any = value == "*" && heard.get(&name).is_some_and(|value| value.is_string());
                        assert!(any || heard.get(&name) == Some(&value), "{name}");
                    }
                }
                HearAgain => assert!(lines.next().unwrap().unwrap() == last),
                Say(json) => write!(out, "{json}\r\n\r\n").unwrap(),
                Type(line) => typing.as_ref().unwrap().send_blocking(Ok((*line).to_owned())).unwrap(),
            }
        }
        if at + 1 == scripts.len() {
            drop(typing.take());
            if script.is_empty() {
                return;
            }
            // A reset is an end too: the client need not read what nobody waits for.
            assert!(lines.next().is_none_or(|line| line.is_err()), "more was asked");
        }
    }
}

/// A response, as a client takes it from the wire.
pub(super) fn response(json: &str) -> Response {
    let mut client = Client::new(Login::nothing());
    client.connected();
    client.request_line("PING").unwrap();
    client.receive(format!("{json}\r\n\r\n").as_bytes()).unwrap();
    match client.poll_event() {
        Some(Event::Response { response, .. }) => response,
        other => panic!("{other:?}"),
    }
}

fn object(json: &str) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(json).unwrap()
}

struct Seen {
    result: Result<bool, String>,
    printed: String,
    notices: String,
}

fn chat(look: Look, conversation: Option<Conversation>, scripts: &[&[Step]]) -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Address::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    let args = ChatArgs {
        server: server.clone(),
        user: Some("ann".to_owned()),
        password: Password::new("hunter2"),
        register: matches!(scripts[0][0], Hear(line) if line.starts_with("REGISTER")),
        name: Some("Ann B.".to_owned()),
        country: Some("New Zealand".to_owned()),
        conversation: conversation.clone(),
        color: false,
    };
    let seen = Rc::new(RefCell::new((String::new(), String::new())));
    let write = Rc::clone(&seen);
    let screen = Screen::new(move |kind, lines| {
        let (printed, notices) = &mut *write.borrow_mut();
        match kind {
            Kind::Output => printed.push_str(lines),
            Kind::Notice => notices.push_str(lines),
        }
        Ok(())
    });
    let (typing, lines) = bounded(100);
    let result = thread::scope(|scope| {
        scope.spawn(|| serve(&listener, scripts, typing));
        smol::block_on(async {
            let Entered { client, connection, .. } = enter(&args, false).await?;
            let backoff = Backoff::new(1, 10);
            let start =
                Start { server: &server, client, connection, backoff, conversation, look, bars: None };
            Chat::new(start, screen, Input::of(lines)).run().await
        })
    });
    let (printed, notices) = seen.take();
    Seen { result, printed, notices }
}

fn to_bob() -> Option<Conversation> {
    Some(Conversation::User("bob".to_owned()))
}

#[test]
fn every_line_of_a_pipe_is_a_message() {
    let seen = chat(
        PIPES,
        to_bob(),
        &[&[
            AUTH,
            TOKEN,
            Hear("SUBSCRIBE 0"),
            OK,
            Type("hi "),
            Type(""),
            Type("/quit"),
            Hear("SEND bob hi"),
            Hear("SEND bob /quit"),
            OK,
            OK,
        ]],
    );
    assert_eq!((seen.result, &seen.printed[..], &seen.notices[..]), (Ok(true), "", ""));
}

#[test]
fn a_refused_line_of_a_pipe_is_told_and_the_others_go_on() {
    let seen = chat(
        PIPES,
        Some(Conversation::Group("g".to_owned())),
        &[&[
            AUTH,
            TOKEN,
            Hear("SUBSCRIBE 0"),
            OK,
            Type("one"),
            Type("two\0"),
            Type("three"),
            Hear("SEND_GROUP g one"),
            Hear("SEND_GROUP g three"),
            Say(r#"{"status":"ERROR","data":"pesan tidak terkirim","code":"not_member"}"#),
            OK,
        ]],
    );
    assert_eq!(seen.result, Ok(false));
    let mut notices: Vec<&str> = seen.notices.lines().collect();
    notices.sort_unstable();
    assert_eq!(
        notices,
        [
            "not sent to #g: you are not in that group; /join it first",
            "the parameter text of SEND_GROUP cannot be written on a line: it has a NUL in it",
        ]
    );
}

#[test]
fn messages_are_shown_and_confirmed() {
    let script: &[Step] = &[AUTH, TOKEN, Hear("SUBSCRIBE 0"), OK, MESSAGE, Hear("ACK 17"), OK];
    let seen = chat(PIPES, None, &[script]);
    assert_eq!(seen.printed, "2026-11-23T09:00:00.000Z bob ann halo\\u{1b}\n");
    let seen = chat(PEOPLE, None, &[script]);
    assert_eq!((seen.result, &seen.printed[..]), (Ok(true), "09:00 bob: halo\\u{1b}\n"));
}

#[test]
fn commands_and_the_conversation_they_switch() {
    let seen = chat(
        PEOPLE,
        None,
        &[&[
            AUTH,
            TOKEN,
            Hear("SUBSCRIBE 0"),
            OK,
            Type("hello?"),
            Type("/usres"),
            Type("/msg bob hi"),
            Type("there"),
            Hear("SEND bob hi"),
            OK,
            Hear("SEND bob there"),
            OK,
            Type("/join #g"),
            Type("all"),
            Hear("JOIN_GROUP g"),
            OK,
            Hear("SEND_GROUP g all"),
            OK,
            Type("/members"),
            Hear("LIST_GROUP g"),
            Say(r#"{"status":"OK","groups":["ann"],"members":["ann"]}"#),
            Type("/history 2"),
            Hear(r#"{"request":"HISTORY","with":"g","limit":2}"#),
            Say(
                r#"{"status":"OK","messages":[{"id":1,"from":"bob","to":"g","group":"g","time":"2026-11-23T09:00:00.000Z","text":"halo"}],"more":true}"#,
            ),
            Type("/leave"),
            Hear("LEAVE_GROUP g"),
            OK,
            Type("/raw PING"),
            Hear("PING"),
            Say(r#"{"status":"OK","data":"pong"}"#),
            Type("gone"),
            Type("/group h"),
            Hear("ADD_GROUP h"),
            Say(r#"{"status":"ERROR","data":"Group tidak ditemukan!","code":"group_exists"}"#),
            Type("/whoami"),
            Hear("WHOAMI"),
            Say(r#"{"status":"OK","user":"ann","name":"A","country":"ID","admin":false}"#),
            Type("/quit"),
        ]],
    );
    assert_eq!(seen.result, Ok(true), "a person has seen what was refused");
    assert_eq!(
        seen.printed,
        "you are in #g\n1 member: ann\n2026-11-23 09:00 #g bob: halo\nyou have left #g\n\
        {\"status\":\"OK\",\"data\":\"pong\"}\nann (A, ID)\n"
    );
    assert_eq!(
        seen.notices,
        "nobody to talk to yet; write /to NAME, /to #GROUP or /msg NAME TEXT\n\
        there is no /usres; did you mean /users?\n\
        nobody to talk to yet; write /to NAME, /to #GROUP or /msg NAME TEXT\n\
        cannot make #h: the name is taken; /join it or choose another\n"
    );
}

const NO_SUCH_GROUP: Step =
    Say(r#"{"status":"ERROR","data":"Group tidak ditemukan","code":"no_such_group"}"#);
const NO_SUCH_USER: Step = Say(r#"{"status":"ERROR","data":"pesan tidak terkirim","code":"no_such_user"}"#);

#[test]
fn who_is_not_there_is_not_talked_to() {
    let seen = chat(
        PEOPLE,
        to_bob(),
        &[&[
            AUTH,
            TOKEN,
            Hear("SUBSCRIBE 0"),
            OK,
            Type("/join nosuch"),
            Hear("JOIN_GROUP nosuch"),
            NO_SUCH_GROUP,
            // When this is confirmed, the answer before it is taken.
            MESSAGE,
            Hear("ACK 17"),
            OK,
            Type("/msg nobody hi"),
            Hear("SEND nobody hi"),
            NO_SUCH_USER,
            Say(
                r#"{"event":"message","id":18,"from":"bob","to":"ann","time":"2026-11-23T09:00:00.000Z","text":"hi"}"#,
            ),
            Hear("ACK 18"),
            OK,
            Type("there"),
            Hear("SEND bob there"),
            OK,
        ]],
    );
    assert_eq!(seen.result, Ok(true));
    assert_eq!(
        seen.notices,
        "cannot join #nosuch: there is no such group; /group NAME makes one\n\
        not sent to nobody: there is no such user; /users lists everyone\n"
    );
}

#[test]
fn what_was_typed_for_somebody_who_is_not_there_goes_to_nobody_else() {
    let script = [
        AUTH,
        TOKEN,
        Hear("SUBSCRIBE 0"),
        OK,
        Type("/msg bob hi"),
        Hear("SEND bob hi"),
        OK,
        Type("/msg bib a secret\nand another\n/users"),
        Hear("SEND bib a secret"),
        NO_SUCH_USER,
        Hear("LIST_USERS"),
        OK,
    ];
    for look in [PEOPLE, PIPES] {
        let seen = chat(look, None, &[&script]);
        assert_eq!(seen.result, Ok(look.is_for_people()));
        assert_eq!(
            seen.notices,
            "not sent to bib: there is no such user; /users lists everyone\n\
            nobody to talk to yet; write /to NAME, /to #GROUP or /msg NAME TEXT\n"
        );
    }
}

#[test]
fn what_needs_nobody_does_not_wait_to_know_who_is_talked_to() {
    let script = [
        AUTH,
        TOKEN,
        Hear("SUBSCRIBE 0"),
        OK,
        Type("/msg bob one\n/msg bib two\n/join g\n/users\nthree"),
        Hear("SEND bob one"),
        Hear("SEND bib two"),
        Hear("JOIN_GROUP g"),
        Hear("LIST_USERS"),
        OK,
        OK,
        NO_SUCH_GROUP,
        OK,
        Type("/to bob\nfour"),
        Hear("SEND bob four"),
        OK,
    ];
    let seen = chat(PIPES, None, &[&script]);
    assert_eq!(
        seen.notices,
        "cannot join #g: there is no such group; /group NAME makes one\n\
        nobody to talk to yet; write /to NAME, /to #GROUP or /msg NAME TEXT\n"
    );
}

#[test]
fn a_lost_connection_is_made_again_and_what_was_not_answered_sent_again() {
    let seen = chat(
        PEOPLE,
        to_bob(),
        &[
            &[
                AUTH,
                TOKEN,
                Hear("SUBSCRIBE 0"),
                OK,
                MESSAGE,
                Hear("ACK 17"),
                OK,
                Type("one"),
                Hear("SEND bob one"),
            ],
            // An attempt that fails is not told.
            &[],
            &[RESUME, OK, Hear("SUBSCRIBE 17"), OK, Hear("SEND bob one"), OK],
        ],
    );
    assert_eq!((seen.result, &seen.printed[..]), (Ok(true), "09:00 bob: halo\\u{1b}\n"));
    assert_eq!(
        seen.notices,
        "connection lost (the server closed it); trying again in 1 s\nconnected again\n"
    );
}

#[test]
fn a_pipe_gives_up_in_the_end() {
    let none: &[Step] = &[];
    let mut scripts = vec![&[AUTH, TOKEN, Hear("SUBSCRIBE 0"), OK, Type("one"), Hear("SEND bob one")][..]];
    scripts.extend([none; 5]);
    let seen = chat(PIPES, to_bob(), &scripts);
    assert_eq!(
        seen.result,
        Err("connection lost (the server closed it); gave up with 1 requests unanswered".to_owned())
    );
}

#[test]
fn an_account_is_made_first() {
    let seen = chat(
        PIPES,
        None,
        &[&[Hear("REGISTER ann hunter2 New-Zealand Ann B."), OK, AUTH, TOKEN, Hear("SUBSCRIBE 0"), OK]],
    );
    assert_eq!(seen.result, Ok(true));
    let seen = chat(
        PIPES,
        None,
        &[&[
            Hear("REGISTER ann hunter2 New-Zealand Ann B."),
            Say(r#"{"status":"ERROR","data":"registrasi gagal","code":"user_exists"}"#),
        ]],
    );
    assert_eq!(
        seen.result,
        Err("the user name is taken; choose another, or log in if it is yours".to_owned())
    );
}

#[test]
fn what_keeps_it_from_logging_in_is_said() {
    let refused = Say(r#"{"status":"ERROR","data":"autentikasi gagal","code":"bad_credentials"}"#);
    let why = |step| chat(PIPES, None, &[&[AUTH, step]]).result.unwrap_err();
    assert!(why(refused).starts_with("unknown user or wrong password"), "{}", why(refused));
    assert!(why(Say("HTTP/1.1 400 Bad Request")).contains("check its address and port"));

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut args = ChatArgs {
        server: Address::parse(&nobody).unwrap(),
        user: Some("ann".to_owned()),
        password: Password::new("hunter2"),
        register: false,
        name: None,
        country: None,
        conversation: None,
        color: false,
    };
    let why = |args: &ChatArgs| smol::block_on(enter(args, false)).err().unwrap();
    assert!(
        why(&args).ends_with("is the server running? Start one with \"obrolan serve\""),
        "{}",
        why(&args)
    );
    args.password = None;
    assert!(why(&args).contains("--password-file"));
    args.user = None;
    assert!(why(&args).contains("write obrolan chat NAME@127.0.0.1:"));
}
