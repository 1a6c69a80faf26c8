//! The program as the person who runs a server meets it.

#[path = "support/server.rs"]
mod server;

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output},
};

use server::{Process, clean};

fn obrolan(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_obrolan"));
    clean(&mut command);
    command.current_dir(folder).args(args).output().unwrap()
}

/// The exit code, standard output and standard error.
fn told(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("what people read is UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn it_says_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let version = concat!("obrolan ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(told(obrolan(folder.path(), &["--version"])), (Some(0), version.into(), String::new()));
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = told(obrolan(folder.path(), &[]));
    assert_eq!((code, &*out), (Some(2), ""));
    assert!(err.contains("obrolan serve") && err.contains("obrolan demo"), "{err}");
    let (code, out, err) = told(obrolan(folder.path(), &["serve", "--lisen", "127.0.0.1:0"]));
    assert_eq!((code, &*out), (Some(2), ""));
    assert!(err.contains("--lisen") && err.contains("'--listen'"), "{err}");
    for args in [&["chat", "--nmae", "x"][..], &["chat", "ann@127.0.0.1:99999"], &["chat", "--name", "Ann"]] {
        let (code, out, err) = told(obrolan(folder.path(), args));
        assert_eq!((code, &*out), (Some(2), ""));
        assert!(err.contains("\nUsage: obrolan chat "), "{err}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_wrong_configuration_ends_with_78_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    for (content, place, said) in [
        ("lisen = '127.0.0.1:0'\n", "bad.toml:1:1", "listen"),
        ("listen = '127.0.0.1:0'\n\n[limits]\nline = 0\n", "bad.toml:4:8", "limits.line"),
        ("storage = 'memory\n", "bad.toml:1:", ""),
    ] {
        fs::write(folder.path().join("bad.toml"), content).unwrap();
        for check in [&["--check"][..], &[]] {
            let args = [&["serve", "--config", "bad.toml"], check].concat();
            let (code, out, err) = told(obrolan(folder.path(), &args));
            assert_eq!((code, &*out), (Some(78), ""), "{err}");
            assert!(err.contains(place) && err.contains(said), "{err}");
        }
    }
    let (code, _, err) = told(obrolan(folder.path(), &["serve", "--config", "none.toml"]));
    assert_eq!(code, Some(78));
    assert!(err.contains("none.toml"), "{err}");
    let (code, _, err) = told(obrolan(folder.path(), &["serve", "--limits-connections", "many"]));
    assert_eq!(code, Some(78));
    assert!(err.contains("--limits-connections") && err.contains("many"), "{err}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing was made");
}

#[test]
fn a_printed_configuration_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let print = ["serve", "--limits-connections", "7", "--print-config"];
    let (code, printed, err) = told(obrolan(folder.path(), &print));
    assert_eq!((code, &*err), (Some(0), ""));
    fs::write(folder.path().join("obrolan.toml"), &printed).unwrap();
    let again = ["serve", "--config", "obrolan.toml", "--print-config"];
    assert_eq!(told(obrolan(folder.path(), &again)), (Some(0), printed, String::new()));
}

#[test]
fn a_port_in_use_ends_with_1_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let ready = folder.path().join("ready");
    fs::write(&ready, "of the server that is running").unwrap();
    let args = ["serve", "--listen", &address, "--ready-file", "ready"];
    let (code, out, err) = told(obrolan(folder.path(), &args));
    assert_eq!((code, &*out), (Some(1), ""));
    assert!(err.starts_with(&format!("obrolan: cannot listen on {address} (")), "{err}");
    let advice = "another program listens there: stop it, or choose another port with --listen\n";
    assert!(err.ends_with(advice), "{err}");
    assert_eq!(fs::read_to_string(&ready).unwrap(), "of the server that is running");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no data folder was made");
}

#[test]
fn a_folder_that_cannot_be_made_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let (code, out, err) =
        told(obrolan(folder.path(), &["serve", "--listen", "127.0.0.1:0", "--data", "file/data"]));
    assert_eq!((code, &*out), (Some(1), ""));
    assert!(err.starts_with("obrolan: cannot ") && err.contains("file/data"), "{err}");
}

#[test]
fn a_server_says_where_it_is_and_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new").join("data");
    let mut server = Process::start_on(&data, &["--log", "warn", "--limits-connections", "1000"]);
    let address = server.address();
    server.connect().register("ani");
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
    let first = format!(
        "\
obrolan {}
listening {address}
reach     this machine alone; to let others in: --listen 0.0.0.0:{}
storage   {}, created now
accounts  none yet; the first to register becomes the admin
next      obrolan chat --register NAME@{address}   (in another terminal)
stop      Ctrl-C
",
        env!("CARGO_PKG_VERSION"),
        address.port(),
        data.display()
    );
    assert_eq!(server.log(), first, "and nothing else");
    assert_eq!(fs::read_dir(server.scratch()).unwrap().count(), 1, "the ready file is gone with the server");

    let server = Process::start_on(&data, &[]);
    let log = server.log();
    assert!(log.contains(", opened\naccounts  1\n"), "{log}");
    assert!(log.contains(&format!("obrolan chat NAME@{}", server.address())), "{log}");
}

#[test]
fn a_log_holds_neither_passwords_nor_sessions() {
    let server = Process::start(&["--memory", "--log", "trace"]);
    let mut client = server.connect();
    client.ok("REGISTER ani rahasia-sekali Indonesia Ani");
    let session = client.ok("AUTH ani rahasia-sekali")["tokenid"].as_str().unwrap().to_owned();
    client.code("AUTH ani keliru-sekali");
    client.code("AUTH \x1b[2J\x07 keliru-sekali");
    client.ok("PASSWD rahasia-sekali lebih-rahasia");
    client.ok(&format!("RESUME {session}"));
    client.ok(&format!("SEND {session} ani halo"));
    client.code("REGISTER b\x1b[31m rahasia-sekali x y");
    client.ok("QUIT");
    let log = server.log();
    assert!(log.contains("user=ani"), "who came is logged: {log}");
    for secret in ["rahasia", "keliru", &session[4..], "argon2id"] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[test]
fn a_log_tells_where_failed_logins_come_from() {
    let server = Process::start(&["--memory", "--accounts-throttle-loopback", "true"]);
    let mut client = server.connect();
    while client.code("AUTH ani keliru-sekali") != "throttled" {}
    (0..20).for_each(|_| assert_eq!(client.code("AUTH ani keliru-sekali"), "throttled"));
    let log = server.log();
    let peer = format!(" peer={}", client.stream().local_addr().unwrap());
    for what in ["failed to log in", "too many attempts to log in"] {
        let line = log.lines().find(|line| line.contains(what)).unwrap();
        assert!(line.contains("WARN") && line.ends_with(&peer), "{line}");
    }
    let throttled = log.matches("too many attempts to log in").count();
    assert!(throttled < 20, "it is told once a second, and was {throttled} times");
}

#[test]
#[cfg(target_os = "linux")]
fn a_log_that_cannot_be_written_ends_nothing() {
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec "$0" "$@" 2>/dev/full"#, env!("CARGO_BIN_EXE_obrolan")]);
    let server = Process::start_by(command, &["--memory", "--log", "debug"]);
    server.connect().register("ani");
    server.connect().ping();
}

#[test]
fn the_demo_shows_a_conversation() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = told(obrolan(folder.path(), &["demo"]));
    assert_eq!((code, &*err), (Some(0), ""));
    for line in [
        "ann asks  SEND bob halo Bob, apa kabar?",
        r#"ann gets  {"status":"OK","data":"pesan terkirim","id":1}"#,
        r#"bob sees  {"event":"message","id":1,"from":"ann","to":"bob","#,
        "bob asks  JOIN_GROUP keluarga",
        r#""group":"keluarga""#,
        r#""text":"makan malam jam tujuh""#,
        r#"ann gets  {"status":"ERROR","data":"pesan tidak terkirim","code":"no_such_user"}"#,
        r#"bob gets  {"status":"OK","data":"sampai jumpa"}"#,
    ] {
        assert!(out.contains(line), "{line} is missing:\n{out}");
    }
    assert!(!out.contains('\x1b'), "no colours where nobody sees them");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "it leaves nothing behind");
}
