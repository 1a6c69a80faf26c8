//! Requests of somebody who means harm: each is answered with a code, changes nothing, and says no more of others than that they might
//! as well not be there.

#[path = "intruders/scene.rs"]
mod scene;

use obrolan::{
    Service,
    wire::{Kind, REQUESTS, SessionParam, Shape},
};
use scene::{FILES, Scene, file_object, is_word, line, members, object};
use serde_json::json;

/// A session id of the right form that was never given out.
const NOBODY: &str = "sid_00000000000000000000000000000000";

#[test]
fn names_of_files_that_are_paths() {
    let long = "a".repeat(256);
    for mut scene in Scene::both() {
        // Of the group, so that nothing else is wrong.
        scene.ok(scene.eve, "JOIN_GROUP klub");
        for name in [
            "",
            ".",
            "..",
            "/",
            "\\",
            "/etc/passwd",
            "../surat.txt",
            "..\\surat.txt",
            "./surat.txt",
            "a/../../b",
            "a/b",
            "a/",
            "a\\b",
            "C:\\a",
            "\\\\host\\share",
            "//host/share",
            "a\u{7}",
            "a\u{7f}",
            "a\u{85}",
            "a\0.txt",
            "a\n",
            "a\r\n../b",
            "\t",
            &long,
        ] {
            for request in FILES {
                scene.refused(scene.eve, file_object(request, name, "eA=="), "bad_parameters");
                if is_word(name) {
                    scene.refused_twice(&format!("{request} {name} eA=="), "bad_parameters");
                }
            }
        }
        scene.untouched();
    }
}

#[test]
fn base64_in_every_wrong_way() {
    for mut scene in Scene::both() {
        scene.ok(scene.eve, "JOIN_GROUP klub");
        for content in [
            // Padding that lacks, is too much, stands alone, in front or in between.
            "e",
            "eA",
            "eA=",
            "eA===",
            "eAA",
            "eAAA=",
            "eAAA====",
            "=",
            "==",
            "====",
            "=eA=",
            "eA=A",
            "eA==eA==",
            // Bits to spare.
            "eB==",
            "eAB=",
            // Other alphabets, and no base64 at all.
            "_-__",
            "eA~~",
            "!!!!",
            "é===",
            "ｅＡ==",
            "eA%3D%3D",
            "data:;base64,eA==",
            // Wrapped, indented, broken.
            "'eA=='",
            "\"eA==\"",
            " eA==",
            "eA== ",
            "eA==\n",
            "eA==\r\n",
            "aGFs\nbw==",
            "aGFs bw==",
            "aGFs\tbw==",
            "eA\u{7}=",
        ] {
            for request in FILES {
                scene.refused(scene.eve, file_object(request, "a.txt", content), "bad_base64");
                if is_word(content) {
                    scene.refused_twice(&format!("{request} a.txt {content}"), "bad_base64");
                }
            }
        }
        for request in FILES {
            // The wrapping is of the classic dialect alone.
            scene.refused(scene.eve, format!("{request} a.txt b'eA=='"), "bad_base64");
            scene.refused(scene.eve, file_object(request, "a.txt", ""), "bad_parameters");
            scene.refused(scene.eve, file_object(request, "a.txt", "eA==\0"), "bad_parameters");
            scene.refused(scene.eve, format!("{request} a.txt eA== 0 0"), "bad_parameters");
        }
        scene.untouched();
    }
}

#[test]
fn files_of_strangers() {
    for mut scene in Scene::both() {
        for id in ["3", "4", "1", "7", "03", "+3", "3.0", "3/../6", "-3", "0"] {
            for part in ["", " 0", " 0 1", " 8 1", " 18446744073709551615 18446744073709551615"] {
                scene.alike(
                    scene.eve,
                    &format!("GET_FILE {id}{part}"),
                    &format!("GET_FILE 99{part}"),
                    "no_such_file",
                );
            }
            scene.refused_twice(&format!("GET_FILE {id}"), "no_such_file");
        }
        scene.alike(scene.stranger, "GET_FILE 3", "GET_FILE 99", "no_session");
        // Their uploads, under their names.
        for request in ["SEND_FILE bob", "SEND_FILE eve", "SEND_GROUP_FILE klub"] {
            let code = if request.contains("klub") { "not_member" } else { "no_such_file" };
            scene.alike(
                scene.eve,
                &format!("{request} konsep.txt"),
                &format!("{request} tidak-ada.txt"),
                code,
            );
        }
        // Who joins later was no member when it was sent.
        scene.ok(scene.eve, "JOIN_GROUP klub");
        scene.alike(scene.eve, "GET_FILE 4", "GET_FILE 99", "no_such_file");
        // What she was sent, or sent herself, she gets.
        assert_eq!(scene.ok(scene.eve, "GET_FILE 6")["data"], "eA==");
        scene.untouched();
    }
}

#[test]
fn conversations_of_strangers() {
    for mut scene in Scene::both() {
        // Hers with bob are 5, 6 and 8.
        for id in [0, 1, 2, 3, 4, 7, u64::MAX] {
            for with in ["bob", "ann", "eve"] {
                for limit in ["", " 1", " 100"] {
                    scene.alike(
                        scene.eve,
                        &format!("HISTORY {with} {id}{limit}"),
                        &format!("HISTORY {with} 99{limit}"),
                        "bad_parameters",
                    );
                }
                scene.refused_twice(&format!("HISTORY {with} {id}"), "bad_parameters");
            }
        }
        assert_eq!(scene.ok(scene.eve, "HISTORY ann")["messages"], json!([]));
        scene.alike(scene.eve, "HISTORY klub", "HISTORY klub 2", "not_member");
        scene.alike(scene.eve, "HISTORY klub 4 1", "HISTORY klub 99 1", "not_member");
        scene.alike(scene.stranger, "HISTORY bob", "HISTORY nobody", "no_session");
        // What was sent before she joined is not hers to read.
        scene.ok(scene.eve, "JOIN_GROUP klub");
        assert_eq!(scene.ok(scene.eve, "HISTORY klub")["messages"], json!([]));
        for id in [1, 2, 4] {
            scene.alike(scene.eve, &format!("HISTORY klub {id}"), "HISTORY klub 99", "bad_parameters");
        }
        scene.ok(scene.eve, "SEND_GROUP klub halo");
        for id in [1, 2, 4] {
            scene.alike(scene.eve, &format!("HISTORY klub {id}"), "HISTORY klub 99", "bad_parameters");
        }
        scene.untouched();
    }
}

#[test]
fn objects_that_are_deep() {
    const DEPTH: usize = 10_000;
    let open = ["[", r#"{"a":"#].map(|open| open.repeat(DEPTH));
    let whole = [("[", "]"), (r#"{"a":"#, "}")]
        .map(|(open, close)| format!("{}1{}", open.repeat(DEPTH), close.repeat(DEPTH)));
    let mut scene = Scene::new(Service::Host);
    for spec in REQUESTS {
        for name in members(spec) {
            for value in &open {
                scene.refused(scene.eve, object(spec, name, value, ""), "bad_json");
            }
            for value in &whole {
                scene.refused(scene.eve, object(spec, name, value, ""), "bad_parameters");
            }
        }
    }
    for value in open.iter().chain(&whole) {
        scene.refused(scene.eve, format!(r#"{{"request":{value}}}"#), "bad_json");
        scene.refused(scene.eve, format!(r#"{{"request":"PING","lain":{value}}}"#), "bad_json");
    }
    scene.refused(scene.eve, "{".repeat(DEPTH), "bad_json");
    scene.refused(scene.eve, "[".repeat(DEPTH), "unknown_request");
    scene.untouched();
}

#[test]
fn members_that_are_repeated_or_unknown() {
    let mut scene = Scene::new(Service::Host);
    for spec in REQUESTS {
        for name in members(spec) {
            for value in [r#""x""#, "1", "null", "[]"] {
                let line = object(spec, name, value, &format!(r#","{name}":{value}"#));
                scene.refused(scene.eve, line, "bad_json");
            }
        }
        let name = spec.name;
        scene.refused(scene.eve, object(spec, "", "", r#","lain":1"#), "bad_json");
        scene.refused(scene.eve, object(spec, "", "", &format!(r#","request":"{name}""#)), "bad_json");
    }
    scene.untouched();
}

#[test]
fn numbers_out_of_range() {
    let mut scene = Scene::new(Service::Host);
    let mut count = 0;
    for spec in REQUESTS {
        for param in spec.params.iter().filter(|param| param.shape == Shape::Number) {
            let name = param.name;
            count += 1;
            for number in
                "18446744073709551616 99999999999999999999 -1 -0 +1 1.5 1e3 0x10 ١ 1_0 NaN".split(' ')
            {
                let line = line(spec, name, number);
                // `inbox` has no number: what stands there is taken for a token.
                match spec.kind {
                    Kind::Inbox => drop(scene.refused(scene.eve, line, "bad_parameters")),
                    _ => scene.refused_twice(&line, "bad_parameters"),
                }
            }
            for number in r#"18446744073709551616 -1 1.5 1e3 -0.0 "1" true [1] {"a":1}"#.split(' ') {
                scene.refused(scene.eve, object(spec, name, number, ""), "bad_parameters");
            }
            for number in "1e400 - 01 +1 .5 0x10 NaN Infinity".split(' ') {
                scene.refused(scene.eve, object(spec, name, number, ""), "bad_json");
            }
        }
    }
    assert_eq!(count, 9, "parameters that are numbers");
    // The largest number there is, where it is too large.
    let most = u64::MAX;
    scene.refused_twice(&format!("HISTORY bob {most}"), "bad_parameters");
    scene.refused_twice(&format!("HISTORY bob 6 {most}"), "bad_parameters");
    scene.refused_twice(&format!("UPLOAD catatan.txt eA== {most}"), "bad_parameters");
    scene.refused_twice(&format!("GET_FILE 6 {most}"), "bad_parameters");
    for port in [0, 65_536, most] {
        scene.refused(scene.ann, format!("ADD_REALM jauh 192.0.2.1 {port}"), "bad_parameters");
    }
    scene.untouched();
}

#[test]
fn texts_that_are_no_text() {
    let mut scene = Scene::new(Service::Host);
    for spec in REQUESTS {
        for name in members(spec) {
            for text in r"\ud800 \udfff \ud800x \udc00\ud800 \ud800\ud800 \ud8 \uzzzz \x41".split(' ') {
                scene.refused(scene.eve, object(spec, name, &format!("\"{text}\""), ""), "bad_json");
            }
        }
        for bytes in [&b"\xed\xa0\x80"[..], b"\xff", b"\xc0\xaf", b"\xe4\xbd"] {
            let line = [spec.name.as_bytes(), b" ", bytes].concat();
            scene.refused(scene.eve, &line, "invalid_utf8");
            scene.refused(scene.eve, [b"{\"request\":\"", &line[..], b"\"}"].concat(), "invalid_utf8");
        }
    }
    scene.untouched();
}

#[test]
fn session_ids_that_are_not_hers() {
    let mut scene = Scene::new(Service::Host);
    // One that is over, one with a digit changed, and one that never was.
    let over = scene.ok(scene.stranger, "AUTH ann rahasia")["tokenid"].as_str().unwrap().to_owned();
    scene.ok(scene.stranger, "LOGOUT");
    let (last, digit) = (scene.ann_sid.len() - 1, &scene.ann_sid[scene.ann_sid.len() - 1..]);
    let near = format!("{}{}", &scene.ann_sid[..last], if digit == "0" { "1" } else { "0" });
    let mut count = 0;
    for spec in REQUESTS {
        let acts = matches!(spec.session, SessionParam::ByForm | SessionParam::ByCount);
        if !acts || matches!(spec.kind, Kind::Register | Kind::ListUsers) {
            continue;
        }
        count += 1;
        let params = line(spec, "", "");
        let params = params.split_once(' ').map_or("", |(_, params)| params);
        for conn in [scene.eve, scene.stranger] {
            let with = |sid: &str| format!("{} {sid} {params}", spec.name);
            let nobodys = scene.refused(conn, with(NOBODY), "no_session");
            for sid in [&over, &near] {
                assert_eq!(scene.refused(conn, with(sid), "no_session"), nobodys);
                let object = object(spec, "", "", &format!(r#","sid":"{sid}""#));
                assert_eq!(scene.refused(conn, object, "no_session"), nobodys);
            }
        }
    }
    assert_eq!(count, 20, "requests that act for a session");
    for sid in [&over, &near] {
        scene.alike(scene.eve, &format!("RESUME {sid}"), &format!("RESUME {NOBODY}"), "no_session");
    }

    // Ann's own, which lives, as a name: what is answered does not tell that it does.
    for (request, param, code) in [
        (Kind::Send, "to", "no_such_user"),
        (Kind::SendFile, "to", "no_such_user"),
        (Kind::SendGroup, "group", "no_such_group"),
        (Kind::SendGroupFile, "group", "no_such_group"),
        (Kind::AddGroup, "group", "invalid_name"),
        (Kind::JoinGroup, "group", "no_such_group"),
        (Kind::LeaveGroup, "group", "no_such_group"),
        (Kind::ListGroup, "group", "no_such_group"),
        (Kind::ListUsers, "after", "bad_parameters"),
        (Kind::History, "with", "no_such_user"),
        (Kind::GetFile, "id", "no_such_file"),
        (Kind::Register, "user", "invalid_name"),
    ] {
        let with = |sid: &str| object(request.spec(), param, &format!(r#""{sid}""#), "");
        let (theirs, nobodys) = (with(&scene.ann_sid), with(NOBODY));
        scene.alike(scene.eve, &theirs, &nobodys, code);
    }
    // Ill put, it is a session id all the same, and does nothing.
    let theirs = scene.ann_sid.clone();
    for line in [
        format!("LOGOUT {theirs} x"),
        format!("SEND {theirs}"),
        format!("ACK {theirs}"),
        format!("PASSWD {theirs} rahasia"),
    ] {
        scene.refused(scene.eve, line, "bad_parameters");
    }
    // Whoever has it is Ann for that request, and for no other.
    assert_eq!(scene.ok(scene.eve, &format!("WHOAMI {theirs}"))["user"], "ann");
    scene.untouched();
}
