use proptest::prelude::*;

use super::{
    super::{END, Line, REQUESTS, Shape},
    *,
};

const SID: &str = "sid_0123456789abcdef0123456789abcdef";

fn classic() -> Dialect {
    let mut dialect = Dialect::default();
    assert!(dialect.reads(b"ping"));
    dialect
}

/// The first canonical request that a classic line stands for.
fn first(line: &str) -> String {
    let mut dialect = classic();
    assert!(dialect.start(line.as_bytes()), "{line}");
    let line = dialect.next_line().expect("it stands for a request");
    String::from_utf8(line.to_vec()).unwrap()
}

/// Plays a request: what is asked of the server, with its response, and the answer.
fn play(dialect: &mut Dialect, line: &str, server: &[(&str, &str)]) -> Option<String> {
    assert!(dialect.reads(line.as_bytes()) && dialect.start(line.as_bytes()));
    for (asked, response) in server {
        let line = dialect.next_line().expect("there is more to ask");
        let line = String::from_utf8(line.to_vec()).unwrap();
        assert_eq!(line.trim_end(), *asked);
        assert!(dialect.captures());
        let kind =
            Line::parse(line.as_bytes()).map_or_else(|error| error.kind, |line| Some(line.request.kind()));
        dialect.answered(kind, format!("{response}\r\n\r\n").into_bytes());
    }
    assert_eq!(dialect.next_line(), None);
    let answer = dialect.next_answer()?;
    assert_eq!(dialect.next_answer(), None);
    Some(String::from_utf8(answer.frame).unwrap().strip_suffix("\r\n\r\n").unwrap().to_owned())
}

#[test]
fn the_first_name_decides() {
    for (line, speaks_classic) in [
        ("auth a b", true),
        ("  ping ", true),
        ("halo", true),
        ("AUTH a b", false),
        ("Ping", false),
        ("{\"request\":\"ping\"}", false),
        (" ", false),
    ] {
        let mut dialect = Dialect::default();
        assert_eq!(dialect.reads(line.as_bytes()), speaks_classic, "{line}");
        assert_eq!(dialect.reads(b"ping"), speaks_classic, "{line}");
        assert_eq!(dialect.reads(b"PING"), speaks_classic, "{line}");
    }
    let mut dialect = classic();
    for line in ["PING", "Ping", "{\"request\":\"ping\"}"] {
        assert!(!dialect.start(line.as_bytes()), "{line} means what it always means");
        assert!(!dialect.captures());
    }
}

#[test]
fn aliases_and_surplus() {
    let sid = SID;
    for (classic, canonical) in [
        ("login ann secret99".to_owned(), "AUTH ann secret99".to_owned()),
        (format!("send {sid} bob  two  spaces "), format!("SEND {sid} bob  two  spaces ")),
        ("send x y text".to_owned(), "SEND x y text".to_owned()),
        (format!("sendprivate {sid} bob halo"), format!("SEND {sid} bob halo")),
        (format!("sendgroup {sid} g halo"), format!("SEND_GROUP {sid} g halo")),
        (format!("addgroup {sid} g secret"), format!("ADD_GROUP {sid} g")),
        (format!("creategroup {sid} g a b c d e"), format!("ADD_GROUP {sid} g")),
        ("create_group x g y".to_owned(), "ADD_GROUP x g".to_owned()),
        (format!("joingroup {sid} g secret"), format!("JOIN_GROUP {sid} g")),
        (format!("join_group {sid} g"), format!("JOIN_GROUP {sid} g")),
        ("joingroup g".to_owned(), "JOIN_GROUP g".to_owned()),
        (format!("leavegroup {sid} g"), format!("LEAVE_GROUP {sid} g")),
        (format!("leave_group {sid} g"), format!("LEAVE_GROUP {sid} g")),
        (format!("exitgroup {sid} g"), format!("LEAVE_GROUP {sid} g")),
        (format!("getgroup {sid} g"), format!("LIST_GROUP {sid} g")),
        (format!("listgroup {sid} g"), format!("LIST_GROUP {sid} g")),
        (format!("listgroups {sid}"), format!("LIST_MY_GROUPS {sid}")),
        (format!("listusers {sid}"), format!("LIST_USERS {sid}")),
        ("addrealm r 192.0.2.1 8889 192.0.2.2 8890".to_owned(), "ADD_REALM r 192.0.2.1 8889".to_owned()),
        (
            format!("addrealm {sid} r 192.0.2.1 8889 SHA256:abc x"),
            format!("ADD_REALM {sid} r 192.0.2.1 8889 SHA256:abc"),
        ),
        (format!("sendfile {sid} bob a.txt aGFsbw=="), format!("SEND_FILE {sid} bob a.txt aGFsbw==")),
        (
            format!("sendprivatefile {sid} bob a.txt b'aGFsbw=='"),
            format!("SEND_FILE {sid} bob a.txt aGFsbw=="),
        ),
        (
            format!("sendgroupfile {sid} g a.txt b'aGFsbw=='"),
            format!("SEND_GROUP_FILE {sid} g a.txt aGFsbw=="),
        ),
        (
            format!("sendfilegroup {sid} g a.txt b\"aGFsbw==\""),
            format!("SEND_GROUP_FILE {sid} g a.txt aGFsbw=="),
        ),
        (format!("upload {sid} a.txt b'aGFsbw=='"), format!("UPLOAD {sid} a.txt aGFsbw==")),
        (format!("upload {sid} a.txt b'aGFsbw==' 4"), format!("UPLOAD {sid} a.txt aGFsbw== 4")),
        (
            format!("register {sid} bob secret99 ID Bob  S "),
            format!("REGISTER {sid} bob secret99 ID Bob  S "),
        ),
        ("register bob secret99".to_owned(), "REGISTER bob secret99 - bob".to_owned()),
        ("register bob secret99 ID ".to_owned(), "REGISTER bob secret99 ID bob".to_owned()),
        ("register bob".to_owned(), "REGISTER bob".to_owned()),
    ] {
        assert_eq!(first(&classic), canonical);
    }
}

#[test]
fn who_registers_is_logged_in() {
    let registered = r#"{"status":"OK","data":"registrasi berhasil"}"#;
    let logged_in = format!(r#"{{"status":"OK","data":"autentikasi berhasil","tokenid":"{SID}"}}"#);
    let (register, auth) = ("REGISTER bob secret99 ID Bob S", "AUTH bob secret99");
    let line = "register bob secret99 ID Bob S";
    let mut dialect = classic();
    let mut said = |server: &[(&str, &str)]| play(&mut dialect, line, server).unwrap();
    assert_eq!(
        said(&[(register, registered), (auth, &logged_in)]),
        format!(
            r#"{{"status":"OK","data":"registrasi berhasil","tokenid":"{SID}","token_id":"{SID}","token":"{SID}","message":"registrasi berhasil"}}"#
        )
    );
    let taken = r#"{"status":"ERROR","data":"registrasi gagal","code":"user_exists"}"#;
    assert_eq!(
        said(&[(register, taken)]),
        r#"{"status":"ERROR","data":"registrasi gagal","code":"user_exists","message":"registrasi gagal"}"#
    );
    let busy = r#"{"status":"ERROR","data":"autentikasi gagal","code":"busy"}"#;
    assert_eq!(
        said(&[(register, registered), (auth, busy)]),
        r#"{"status":"OK","data":"registrasi berhasil","message":"registrasi berhasil"}"#,
        "the account is there; who is not logged in may log in later"
    );
    let failed = r#"{"status":"ERROR","data":"autentikasi gagal","code":"unavailable"}"#;
    assert_eq!(
        said(&[(register, registered), (auth, failed)]),
        r#"{"status":"ERROR","data":"registrasi gagal","code":"unavailable","message":"registrasi gagal"}"#
    );
}

const ME: &str = r#"{"status":"OK","user":"bob","name":"Bob","country":"ID","admin":false}"#;
const CONFIRMED: &str = r#"{"status":"OK","data":"pesan dikonfirmasi"}"#;

fn messages(messages: &[String], more: bool) -> String {
    format!(r#"{{"status":"OK","messages":[{}],"more":{more}}}"#, messages.join(","))
}

fn message(id: u64, from: &str, group: Option<&str>) -> String {
    let (to, group) = group.map_or(("bob", String::new()), |name| (name, format!(r#","group":"{name}""#)));
    format!(r#"{{"id":{id},"from":"{from}","to":"{to}"{group},"time":"x","text":"m{id}"}}"#)
}

fn file(id: u64, size: u64) -> String {
    format!(
        r#"{{"id":{id},"from":"ann","to":"bob","time":"x","file":{{"id":"f{id}","name":"a.txt","size":{size},"sha256":"x"}}}}"#
    )
}

#[test]
fn the_inbox_is_grouped_by_sender_and_confirmed() {
    let page =
        messages(&[message(3, "ann", None), message(5, "cay", Some("g")), message(8, "ann", None)], true);
    let with = |name: &str| format!("{name} {SID}");
    let server = [(with("WHOAMI"), ME), (with("INBOX"), &page), (with("ACK") + " 8", CONFIRMED)];
    let server: Vec<(&str, &str)> = server.iter().map(|(asked, said)| (asked.as_str(), *said)).collect();
    assert_eq!(
        play(&mut classic(), &with("inbox"), &server).unwrap(),
        r#"{"status":"OK","messages":{"bob":[{"msg_from":"ann","msg_to":"bob","msg":"m3"},{"msg_from":"ann","msg_to":"bob","msg":"m8"},{"msg_from":"cay","msg_to":"g","msg":"m5"}]}}"#
    );
    assert_eq!(
        play(&mut classic(), "inbox", &[("WHOAMI", ME), ("INBOX", &messages(&[], false))]).unwrap(),
        r#"{"status":"OK","messages":{"bob":[]}}"#
    );
    let no_session = r#"{"status":"ERROR","data":"Session Tidak Ditemukan","code":"no_session"}"#;
    let answer = r#"{"status":"ERROR","data":"Session Tidak Ditemukan","code":"no_session","message":"Session Tidak Ditemukan"}"#;
    assert_eq!(play(&mut classic(), "inbox", &[("WHOAMI", no_session)]).unwrap(), answer);
    assert_eq!(play(&mut classic(), "inbox nonsense", &[]).unwrap(), answer);
    let lost = [("WHOAMI", ME), ("INBOX", &*page), ("ACK 8", no_session)];
    assert_eq!(
        play(&mut classic(), "inbox", &lost).unwrap(),
        answer,
        "what is not confirmed is not answered"
    );
}

#[test]
fn a_message_that_is_damaged_is_not_confirmed() {
    let page = messages(&[message(3, "ann", None), "{\"id\":4".to_owned()], false);
    let answer = play(&mut classic(), "inbox", &[("WHOAMI", ME), ("INBOX", &page)]).unwrap();
    assert!(answer.contains("unavailable"), "{answer}");
}

#[test]
fn the_inbox_of_a_group_confirms_no_other_message() {
    let first = messages(&[message(1, "ann", Some("g")), message(2, "ann", Some("h"))], true);
    let second = messages(&[message(4, "cay", Some("G"))], false);
    assert_eq!(
        play(
            &mut classic(),
            "inboxgroup g",
            &[("WHOAMI", ME), ("INBOX", &first), ("INBOX 2", &second), ("ACK 1", CONFIRMED)]
        )
        .unwrap(),
        r#"{"status":"OK","messages":{"bob":[{"msg_from":"ann","msg_to":"g","msg":"m1"},{"msg_from":"cay","msg_to":"G","msg":"m4"}]}}"#
    );
    let mixed = messages(&[message(1, "ann", None), message(2, "ann", Some("h"))], false);
    assert_eq!(
        play(&mut classic(), "groupinbox", &[("WHOAMI", ME), ("INBOX", &mixed)]).unwrap(),
        r#"{"status":"OK","messages":{"bob":[{"msg_from":"ann","msg_to":"h","msg":"m2"}]}}"#
    );
}

#[test]
fn files_come_with_their_content() {
    let part =
        |data: &str, next: &str| format!(r#"{{"status":"OK","data":"{data}","offset":0,"size":5{next}}}"#);
    let page = messages(&[file(1, 5), message(2, "ann", None)], false);
    assert_eq!(
        play(
            &mut classic(),
            "inbox",
            &[
                ("WHOAMI", ME),
                ("INBOX", &page),
                ("GET_FILE f1 0 49152", &part("aGFs", r#","next":3"#)),
                ("GET_FILE f1 3 49152", &part("bG8=", "")),
                ("ACK 2", CONFIRMED)
            ]
        )
        .unwrap(),
        r#"{"status":"OK","messages":{"bob":[{"msg_from":"ann","msg_to":"bob","msg":"a.txt","filename":"a.txt","filecontent":"aGFsbG8=","fileid":"f1"},{"msg_from":"ann","msg_to":"bob","msg":"m2"}]}}"#
    );
    // One that cannot be read, or is too large for an answer, is told of.
    let gone = r#"{"status":"ERROR","data":"file tidak terkirim","code":"no_such_file"}"#;
    let page = messages(&[file(1, 5), file(2, 1 << 30)], false);
    let server = [("WHOAMI", ME), ("INBOX", &*page), ("GET_FILE f1 0 49152", gone), ("ACK 2", CONFIRMED)];
    let answer = play(&mut classic(), "inbox", &server).unwrap();
    assert_eq!(answer.matches(r#""filecontent":null"#).count(), 2, "{answer}");
    // Those that are too large together come one after the other.
    let page = messages(&[file(1, 1 << 20), file(2, 1)], false);
    let server = [("WHOAMI", ME), ("INBOX", &*page), ("GET_FILE f1 0 49152", gone), ("ACK 1", CONFIRMED)];
    assert!(!play(&mut classic(), "inbox", &server).unwrap().contains("f2"));
}

#[test]
fn a_file_that_is_answered_wrongly_is_told_of_without_its_content() {
    let page = messages(&[file(1, 5)], false);
    let first = |data: &str, next: u64| format!(r#"{{"status":"OK","data":"{data}","next":{next}}}"#);
    // A next part that is the first again, at the end, beyond it, or not where this one ends.
    for said in [first("", 0), first("aGFsbG8=", 5), first("aGFs", 6), first("aGFs", 2)] {
        let server =
            [("WHOAMI", ME), ("INBOX", &*page), ("GET_FILE f1 0 49152", &*said), ("ACK 1", CONFIRMED)];
        let answer = play(&mut classic(), "inbox", &server).unwrap();
        let whole = said.contains("aGFsbG8=");
        assert_eq!(answer.contains(r#""filecontent":null"#), !whole, "{said}: {answer}");
    }
    // A server that cannot read for now has all asked for again later.
    for code in ["unavailable", "busy"] {
        let failed = format!(r#"{{"status":"ERROR","data":"file tidak terkirim","code":"{code}"}}"#);
        let server = [("WHOAMI", ME), ("INBOX", &*page), ("GET_FILE f1 0 49152", &*failed)];
        let answer = play(&mut classic(), "inbox", &server).unwrap();
        assert!(answer.contains(&format!(r#""code":"{code}""#)), "{answer}");
    }
}

#[test]
fn an_inbox_has_as_much_as_an_answer_holds() {
    let asked = |page: &str, confirmed: &str| {
        let server = [("WHOAMI", ME), ("INBOX", page), (confirmed, CONFIRMED)];
        play(&mut classic(), "inbox", &server).unwrap()
    };
    let many: Vec<String> = (1..=101).map(|id| message(id, "ann", None)).collect();
    let answer = asked(&messages(&many, false), "ACK 100");
    assert!(answer.contains("m100") && !answer.contains("m101"));
    // Texts go on until there is more than a mebibyte of them.
    let long = |id: u64, len: usize| message(id, "ann", None).replace(&format!("m{id}"), &"x".repeat(len));
    let half = 1 << 19;
    let pages = [
        ([long(1, half), long(2, half), long(3, 1), long(4, 1)], "ACK 3"),
        ([long(1, half), long(2, half + 1), long(3, 1), long(4, 1)], "ACK 2"),
    ];
    for (page, confirmed) in pages {
        asked(&messages(&page, false), confirmed);
    }
    // Contents of files may have a mebibyte together; a larger one takes no room, for it does not come along.
    let gone = r#"{"status":"ERROR","data":"file tidak terkirim","code":"no_such_file"}"#;
    let mib = 1 << 20;
    let page = messages(&[file(1, mib - 1), file(2, mib + 1), file(3, 1), file(4, 0), file(5, 1)], false);
    let server = [
        ("WHOAMI", ME),
        ("INBOX", &*page),
        ("GET_FILE f1 0 49152", gone),
        ("GET_FILE f3 0 49152", gone),
        ("ACK 4", CONFIRMED),
    ];
    assert!(!play(&mut classic(), "inbox", &server).unwrap().contains("f5"));
}

#[test]
fn a_nul_is_in_no_request() {
    let bad = r#"{"status":"ERROR","data":"request tidak dikenali","code":"bad_parameters","message":"request tidak dikenali"}"#;
    assert_eq!(play(&mut classic(), "inboxgroup g\0", &[]).unwrap(), bad);
}

#[test]
fn content_may_follow_in_a_block() {
    let none = r#"{"status":"ERROR","data":"file tidak terkirim","code":"no_such_file"}"#;
    let sent = r#"{"status":"OK","data":"file terkirim","id":1,"file":"f1"}"#;
    let answered = |mut json: String| {
        json.pop();
        json + r#","message":"file tidak terkirim"}"#
    };
    for content in ["aGFsbw==", "b'aGFsbw=='", "  aGFsbw== "] {
        let mut dialect = classic();
        assert_eq!(play(&mut dialect, "sendfile bob a.txt", &[("SEND_FILE bob a.txt", none)]), None);
        let answer = play(&mut dialect, content, &[("SEND_FILE bob a.txt aGFsbw==", sent)]).unwrap();
        assert!(answer.starts_with(&sent[..sent.len() - 1]), "{answer}");
    }
    // One that is no base64 is refused, and answered once.
    for content in ["aGF sbw==", "!", "_-__", "=", "b'aGFsbw=="] {
        let mut dialect = classic();
        assert_eq!(play(&mut dialect, "sendfile bob a.txt", &[("SEND_FILE bob a.txt", none)]), None);
        let bad = r#"{"status":"ERROR","data":"file tidak terkirim","code":"bad_base64"}"#;
        let asked = format!("SEND_FILE bob a.txt {content}");
        assert_eq!(play(&mut dialect, content, &[(&asked, bad)]), Some(answered(bad.to_owned())));
    }
    // No block came: the request is answered before the next one, after some time, or at the end.
    let mut dialect = classic();
    assert_eq!(play(&mut dialect, "sendfile bob a.txt", &[("SEND_FILE bob a.txt", none)]), None);
    assert!(!dialect.start(b"PING"));
    let frame = dialect.next_answer().unwrap().frame;
    assert!(frame.starts_with(answered(none.to_owned()).as_bytes()));
    assert!(!dialect.captures());
    assert_eq!(play(&mut dialect, "sendfile bob a.txt", &[("SEND_FILE bob a.txt", none)]), None);
    assert!(dialect.waits());
    dialect.give_up();
    assert!(!dialect.waits());
    assert_eq!(dialect.next_answer().unwrap().frame, frame);
    // If it comes all the same, it is no request.
    assert_eq!(play(&mut dialect, "aGFsbw==", &[]), None);
    // What was uploaded before is sent at once, and no block is expected.
    assert!(play(&mut dialect, "sendfile bob a.txt", &[("SEND_FILE bob a.txt", sent)]).is_some());
    let unknown = r#"{"status":"ERROR","data":"request tidak dikenali","code":"unknown_request"}"#;
    assert!(play(&mut dialect, "halo", &[("HALO", unknown)]).is_some());
    // What was refused is answered; a block that comes all the same is no request.
    let refused = r#"{"status":"ERROR","data":"file tidak terkirim","code":"no_such_user"}"#;
    assert!(play(&mut dialect, "sendfile bob a.txt", &[("SEND_FILE bob a.txt", refused)]).is_some());
    assert_eq!(play(&mut dialect, "aGFsbw==", &[]), None);
    assert!(play(&mut dialect, "halo", &[("HALO", unknown)]).is_some());
    // A block that is too long is answered once, for its request.
    assert_eq!(play(&mut dialect, "sendfile bob a.txt", &[("SEND_FILE bob a.txt", none)]), None);
    assert!(dialect.captures());
    dialect.answered(None, response(None, Some(Code::TooLong)));
    assert!(dialect.next_answer().is_some() && dialect.next_answer().is_none());
    assert!(play(&mut dialect, "halo", &[("HALO", unknown)]).is_some());
}

#[test]
fn an_answer_that_is_held_back_may_be_taken_back() {
    let mut dialect = classic();
    let none = r#"{"status":"ERROR","data":"file tidak terkirim","code":"no_such_file"}"#;
    assert_eq!(play(&mut dialect, "sendfile bob a.txt", &[("SEND_FILE bob a.txt", none)]), None);
    dialect.take_back();
    dialect.give_up();
    let answer = String::from_utf8(dialect.next_answer().unwrap().frame).unwrap();
    assert!(answer.contains(r#""code":"unavailable""#), "{answer}");
    assert_eq!(dialect.next_answer(), None);
}

/// A response as a server gives it.
fn response(kind: Option<Kind>, code: Option<Code>) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(code) = code else {
        let object = Object::ok(&mut out, kind.and_then(|kind| kind.spec().ok));
        match kind {
            Some(Kind::Auth) => object.text("tokenid", SID).end_frame(),
            Some(Kind::Whoami) => object.text("user", "bob").end_frame(),
            Some(Kind::ListGroup) => object.field("groups", &["ann"]).field("members", &["ann"]).end_frame(),
            Some(Kind::Inbox) => {
                let all = [message(1, "a\u{e9}", None), file(2, 5), message(3, "cay", Some("g"))];
                object
                    .objects("messages", all.iter().map(String::as_bytes))
                    .field("more", &false)
                    .end_frame();
            }
            Some(Kind::GetFile) => object.text("data", "YQ==").end_frame(),
            _ => object.end_frame(),
        }
        return out;
    };
    Object::error(&mut out, kind, code).end_frame();
    out
}

proptest! {
    #[test]
    fn a_request_in_lower_case_is_the_same_request(
        row in 0..REQUESTS.len(),
        words in prop::collection::vec("[a-zé]{1,8}", 4),
        number: u64,
        named: bool,
    ) {
        let spec = &REQUESTS[row];
        prop_assume!(spec.kind != Kind::Inbox);
        let mut params = if named && spec.kind != Kind::Resume { format!(" {SID}") } else { String::new() };
        for (param, word) in spec.params.iter().zip(&words) {
            match (param.shape, param.name) {
                (Shape::Number, _) => params.push_str(&format!(" {number}")),
                (_, "fingerprint") => params.push_str(&format!(" SHA256:{word}")),
                _ => params.push_str(&format!(" {word}")),
            }
        }
        let classic = first(&(spec.name.to_lowercase() + &params));
        let canonical = spec.name.to_owned() + &params;
        prop_assert!(Line::parse(classic.as_bytes()).unwrap() == Line::parse(canonical.as_bytes()).unwrap());
    }

    #[test]
    fn each_request_is_answered_once_with_an_object(
        lines in prop::collection::vec(
            prop_oneof![
                "(send|sendfile|inbox|inboxgroup|register|auth|listgroup|addgroup|joingroup|addrealm|upload|ping)( [a-z=']{0,4}){0,5}",
                "[a-zA-Z{ =_\0é]{0,12}",
            ],
            1..8,
        ),
        codes in prop::collection::vec(prop::option::of(0..Code::ALL.len()), 40),
    ) {
        let mut dialect = classic();
        let mut codes = codes.into_iter().cycle();
        let (mut answers, mut canonical, mut blocks) = (0, 0, 0);
        let check = |dialect: &mut Dialect| -> Result<usize, TestCaseError> {
            let mut count = 0;
            while let Some(answer) = dialect.next_answer() {
                let json = answer.frame.strip_suffix(END).unwrap();
                let json: serde_json::Value = serde_json::from_slice(json).unwrap();
                prop_assert!(json["status"] == "OK" || json["message"] == json["data"]);
                count += 1;
            }
            Ok(count)
        };
        for line in &lines {
            blocks += usize::from(request::content(line.as_bytes()).is_some());
            if !dialect.start(line.as_bytes()) {
                canonical += 1;
                answers += check(&mut dialect)?;
                prop_assert!(!dialect.captures());
                continue;
            }
            answers += check(&mut dialect)?;
            while let Some(line) = dialect.next_line() {
                prop_assert!(dialect.captures());
                let (kind, code) = match Line::parse(&line) {
                    Err(error) => (error.kind, Some(error.code)),
                    Ok(line) => (Some(line.request.kind()), codes.next().flatten().map(|at| Code::ALL[at])),
                };
                dialect.answered(kind, response(kind, code));
                answers += check(&mut dialect)?;
            }
        }
        dialect.give_up();
        answers += check(&mut dialect)?;
        // A block belongs to the request before it, or is one itself.
        let all = lines.len() - canonical;
        prop_assert!(answers <= all && answers + blocks >= all, "{answers} answers to {lines:?}");
    }
}
