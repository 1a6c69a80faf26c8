//! Files: against a script, and against the server.

use std::{fs, path::Path};

use super::*;
use crate::{config::ServerConfig, server::Server};

const PART: usize = 512 << 10;
const SUBSCRIBE: Step = Hear("SUBSCRIBE 0");
const TO_BOB: Step = Type("/to bob");
/// How large a file may be. Where the answer does not tell, it is tried.
const HELP: Step = Hear("HELP UPLOAD");
const FIRST: Step = HearObject(r#"{"request":"UPLOAD","filename":"foto.bin","offset":0}"#);
const SECOND: Step = HearObject(r#"{"request":"UPLOAD","filename":"foto.bin","offset":524288}"#);
const SEND: Step = HearObject(r#"{"request":"SEND_FILE","to":"bob","filename":"foto.bin","dedupe":"*"}"#);
const LOST: Step = Say(r#"{"status":"ERROR","data":"file tidak terkirim","code":"bad_parameters"}"#);
const NONE: Step = Say(r#"{"status":"ERROR","data":"file tidak terkirim","code":"no_such_file"}"#);
/// "halo", of which the first three bytes come first.
const FILE: Step = Say(
    r#"{"event":"message","id":7,"from":"bob","to":"ann","time":"2026-11-23T09:00:00.000Z","file":{"id":"7","name":"salam.txt","size":4,"sha256":"a4e63bcacf6c172ad84f9f4523c8f1acaf33676fa76d3258c67b7e7bbf16d777"}}"#,
);
const HAL: Step = Say(r#"{"status":"OK","data":"aGFs","offset":0,"size":4,"next":3}"#);
const O: Step = Say(r#"{"status":"OK","data":"bw==","offset":3,"size":4}"#);
const GET: Step = HearObject(r#"{"request":"GET_FILE","id":"7","offset":0}"#);
const GET_REST: Step = HearObject(r#"{"request":"GET_FILE","id":"7","offset":3}"#);

fn typed(line: String) -> Step {
    Type(Box::leak(line.into_boxed_str()))
}

/// A file of so many bytes, and the line that sends it.
fn file(folder: &Path, bytes: usize) -> Step {
    let path = folder.join("foto.bin");
    fs::write(&path, vec![b'x'; bytes]).unwrap();
    typed(format!("/send {}", path.display()))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_goes_on_over_the_next_connection() {
    let folder = tempfile::tempdir().unwrap();
    let send = file(folder.path(), PART + 10);
    let seen = chat(
        PIPES,
        None,
        &[
            &[AUTH, TOKEN, SUBSCRIBE, OK, TO_BOB, send, HELP, OK, FIRST, OK, SECOND],
            &[RESUME, OK, SUBSCRIBE, OK, HearAgain, OK, SEND],
            &[RESUME, OK, SUBSCRIBE, OK, HearAgain, OK],
        ],
    );
    assert_eq!(seen.result, Ok(true));
    assert!(seen.printed.starts_with("sent foto.bin to bob (512 KiB, "), "{}", seen.printed);
}

#[test]
fn an_upload_that_the_server_has_lost_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let send = file(folder.path(), PART + 10);
    let seen = chat(
        PIPES,
        None,
        &[&[
            AUTH, TOKEN, SUBSCRIBE, OK, TO_BOB, send, HELP, OK, FIRST, OK, SECOND, LOST, FIRST, OK, SECOND,
            OK, SEND, NONE, FIRST, OK, SECOND, OK, SEND, OK,
        ]],
    );
    assert_eq!(seen.result, Ok(true));
    assert!(seen.printed.starts_with("sent foto.bin to bob ("), "{}", seen.printed);
}

#[test]
fn a_file_that_is_too_large_is_not_uploaded() {
    let folder = tempfile::tempdir().unwrap();
    let large = Say(r#"{"status":"OK","requests":[{"request":"UPLOAD","limit":524289}]}"#);
    let script = |bytes| [AUTH, TOKEN, SUBSCRIBE, OK, TO_BOB, file(folder.path(), bytes), HELP, large];
    let seen = chat(PIPES, None, &[&script(PART + 2)]);
    assert_eq!(seen.result, Ok(false));
    assert_eq!(
        seen.notices,
        "cannot send foto.bin to bob: it has 524290 bytes, and the server takes 524289 (512 KiB) at most\n"
    );
    let script = [&script(PART + 1)[..], &[FIRST, OK, SECOND, OK, SEND, OK]].concat();
    assert_eq!(chat(PIPES, None, &[&script]).result, Ok(true));
}

#[test]
fn an_upload_does_not_begin_anew_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let mut script = vec![AUTH, TOKEN, SUBSCRIBE, OK, TO_BOB, file(folder.path(), 10)];
    for _ in 0..4 {
        script.extend([FIRST, OK, SEND, NONE]);
    }
    let seen = chat(PIPES, None, &[&script]);
    assert_eq!(seen.result, Ok(false));
    assert!(
        seen.notices.starts_with("cannot send foto.bin to bob: there is no such file"),
        "{}",
        seen.notices
    );
}

#[test]
fn a_busy_server_is_asked_again_and_the_next_file_waits() {
    let folder = tempfile::tempdir().unwrap();
    let send = file(folder.path(), 10);
    let seen = chat(
        PIPES,
        None,
        &[&[
            AUTH,
            TOKEN,
            SUBSCRIBE,
            OK,
            Type("/to #g"),
            send,
            send,
            FIRST,
            Say(r#"{"status":"ERROR","data":"file tidak terkirim","code":"busy"}"#),
            FIRST,
            OK,
            HearObject(r#"{"request":"SEND_GROUP_FILE","group":"g","filename":"foto.bin","dedupe":"*"}"#),
            Say(r#"{"status":"ERROR","data":"file tidak terkirim","code":"quota_exceeded"}"#),
            FIRST,
            OK,
            HearObject(r#"{"request":"SEND_GROUP_FILE","group":"g"}"#),
            OK,
        ]],
    );
    assert_eq!(seen.result, Ok(false));
    assert!(
        seen.notices.starts_with("cannot send foto.bin to #g: it is larger than the server takes"),
        "{}",
        seen.notices
    );
    assert!(seen.printed.starts_with("sent foto.bin to #g (10 bytes, "), "{}", seen.printed);
}

#[test]
fn what_cannot_be_sent_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let empty = file(folder.path(), 0);
    let folder = folder.path().display();
    let script = [
        AUTH,
        TOKEN,
        SUBSCRIBE,
        OK,
        empty,
        TO_BOB,
        empty,
        typed(format!("/send {folder}")),
        typed(format!("/send {folder}/none")),
        Type("/get ../7"),
        Type("/get x"),
        Type("/whoami"),
        Hear("WHOAMI"),
        OK,
    ];
    let seen = chat(PIPES, None, &[&script]);
    let notices: Vec<&str> = seen.notices.lines().collect();
    assert_eq!(notices[0], "nobody to send it to yet; write /to NAME or /to #GROUP");
    assert_eq!(notices[1], format!("{folder}/foto.bin is empty; there is nothing to send"));
    assert_eq!(notices[2], format!("{folder} is no file; only files can be sent"));
    assert!(notices[3].starts_with(&format!("cannot read {folder}/none (No such file")), "{}", notices[3]);
    for (notice, id) in notices[4..].iter().zip(["../7", "x"]) {
        assert_eq!(
            *notice,
            format!("{id} is no file's id; write the number that it came with, as in /get 17")
        );
    }
    assert_eq!(notices.len(), 6);
}

#[test]
fn a_file_is_saved_beside_what_is_there_over_two_connections() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("salam.txt"), "mine").unwrap();
    let get = typed(format!("/get 7 {}", folder.path().display()));
    let seen = chat(
        PEOPLE,
        None,
        &[
            &[AUTH, TOKEN, SUBSCRIBE, OK, FILE, Hear("ACK 7"), OK, get, GET, HAL, GET_REST],
            &[RESUME, OK, Hear("SUBSCRIBE 7"), OK, HearAgain, O],
        ],
    );
    assert_eq!(seen.result, Ok(true));
    let saved = folder.path().join("salam (1).txt");
    let printed =
        format!("09:00 bob sends salam.txt (4 bytes): /get 7\nsaved {} (4 bytes, ", saved.display());
    assert!(seen.printed.starts_with(&printed), "{}", seen.printed);
    assert_eq!(fs::read(saved).unwrap(), b"halo");
    assert_eq!(fs::read(folder.path().join("salam.txt")).unwrap(), b"mine");
    assert_eq!(names(folder.path()), ["salam (1).txt", "salam.txt"]);
}

#[test]
fn a_file_of_an_earlier_chat_has_its_name_from_the_history() {
    const PAST: Step = Say(
        r#"{"status":"OK","messages":[{"id":7,"from":"bob","to":"ann","time":"2026-11-23T09:00:00.000Z","file":{"id":"7","name":"salam.txt","size":4,"sha256":"a4e63bcacf6c172ad84f9f4523c8f1acaf33676fa76d3258c67b7e7bbf16d777"}}],"more":false}"#,
    );
    // When the message is confirmed, the answer before it is taken.
    let look = Hear(r#"{"request":"HISTORY","with":"bob"}"#);
    let looked = [Type("/history"), look, PAST, MESSAGE, Hear("ACK 17"), OK];
    let looks = [Hear(r#"{"request":"HISTORY","with":"bob","limit":100}"#), PAST];
    for (before, after) in [(&looked[..], &[][..]), (&[], &looks)] {
        let folder = tempfile::tempdir().unwrap();
        let get = typed(format!("/get 7 {}", folder.path().display()));
        let script = [&[AUTH, TOKEN, SUBSCRIBE, OK, TO_BOB], before, &[get], after, &[GET, HAL, GET_REST, O]];
        assert_eq!(chat(PIPES, None, &[&script.concat()]).result, Ok(true));
        assert_eq!(names(folder.path()), ["salam.txt"]);
    }
}

#[test]
fn a_file_whose_name_nobody_tells_has_its_number() {
    let nobody = Say(r#"{"status":"ERROR","data":"pesan tidak terkirim","code":"no_such_user"}"#);
    let none = Say(r#"{"status":"OK","messages":[],"more":false}"#);
    let look = Hear(r#"{"request":"HISTORY","with":"bob","limit":100}"#);
    for looks in [&[][..], &[TO_BOB, look, nobody], &[TO_BOB, look, none]] {
        let folder = tempfile::tempdir().unwrap();
        let get = typed(format!("/get 7 {}", folder.path().display()));
        let (to, looks) = looks.split_at(looks.len().min(1));
        let script = [&[AUTH, TOKEN, SUBSCRIBE, OK], to, &[get], looks, &[GET, HAL, GET_REST, O]];
        assert_eq!(chat(PIPES, None, &[&script.concat()]).result, Ok(true));
        assert_eq!(names(folder.path()), ["file-7"]);
    }
}

#[test]
fn a_file_that_is_not_whole_is_not_kept() {
    let other = Say(r#"{"status":"OK","data":"eA==","offset":3,"size":4}"#);
    let elsewhere = Say(r#"{"status":"OK","data":"bw==","offset":4,"size":5}"#);
    let no_base64 = Say(r#"{"status":"OK","data":"?","offset":3,"size":4}"#);
    let grown = Say(r#"{"status":"OK","data":"bw==","offset":3,"size":5,"next":4}"#);
    let nothing = Say(r#"{"status":"OK","data":"","offset":3,"size":4,"next":3}"#);
    for (answer, why) in [
        (NONE, "there is no such file, or it is not for you"),
        (other, "it is not what its sender sent"),
        (elsewhere, "the server answered with something else"),
        (grown, "the server answered with something else"),
        (no_base64, "the server answered with something else"),
        (nothing, "the server answered with something else"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let get = typed(format!("/get 7 {}/x", folder.path().display()));
        let script = [AUTH, TOKEN, SUBSCRIBE, OK, FILE, Hear("ACK 7"), OK, get, GET, HAL, GET_REST, answer];
        let seen = chat(PIPES, None, &[&script]);
        assert_eq!(seen.result, Ok(false));
        assert!(seen.notices.starts_with(&format!("cannot fetch salam.txt: {why}")), "{}", seen.notices);
        assert_eq!(names(folder.path()), [""; 0]);
    }
}

/// Chats as `user`, where `hear` sees what is printed and types.
fn visit(
    server: &Address,
    user: &str,
    register: bool,
    mut hear: impl FnMut(&str, &mut Option<Sender<Result<String, String>>>) + 'static,
) -> Result<bool, String> {
    let args = ChatArgs {
        server: server.clone(),
        user: Some(user.to_owned()),
        password: Password::new("correct-horse"),
        register,
        name: None,
        country: None,
        conversation: None,
        color: false,
    };
    let (typing, lines) = bounded(100);
    let mut typing = Some(typing);
    hear("", &mut typing);
    let screen = Screen::new(move |_, lines| {
        hear(lines, &mut typing);
        Ok(())
    });
    smol::block_on(async {
        let Entered { client, connection, .. } = enter(&args, false).await?;
        let backoff = Backoff::new(1, 10);
        let start =
            Start { server, client, connection, backoff, conversation: None, look: PEOPLE, bars: None };
        Chat::new(start, screen, Input::of(lines)).run().await
    })
}

#[test]
fn a_file_goes_from_one_to_the_other() {
    let config = ServerConfig::from_toml("listen = '127.0.0.1:0'\nstorage = 'memory'", "a test").unwrap();
    let server = Server::bind(&config).unwrap().spawn().unwrap();
    let address = Address::parse(&server.local_addr().to_string()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..2_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sent = folder.path().join("foto kucing.jpg");
    fs::write(&sent, &content).unwrap();

    let leave_at_once = |_: &str, typing: &mut Option<_>| drop(typing.take());
    assert_eq!(visit(&address, "bob", true, leave_at_once), Ok(true));

    let send = format!("/send {}", sent.display());
    let through = visit(&address, "ann", true, move |lines, typing| match typing {
        Some(open) if lines.is_empty() => {
            for line in ["/to bob", &send] {
                open.try_send(Ok(line.to_owned())).unwrap();
            }
        }
        _ => {
            assert!(lines.starts_with("sent foto kucing.jpg to bob (2.0 MiB, "), "{lines}");
            typing.take();
        }
    });
    assert_eq!(through, Ok(true));

    let get = format!("/get 1 {}", folder.path().display());
    let through = visit(&address, "bob", false, move |lines, typing| match typing {
        _ if lines.is_empty() => {}
        Some(open) if lines.ends_with("ann sends foto kucing.jpg (2.0 MiB): /get 1\n") => {
            open.try_send(Ok(get.clone())).unwrap();
        }
        _ => {
            assert!(lines.starts_with("saved "), "{lines}");
            typing.take();
        }
    });
    assert_eq!(through, Ok(true));
    assert!(fs::read(folder.path().join("foto kucing (1).jpg")).unwrap() == content);
    server.stop().unwrap();
}
