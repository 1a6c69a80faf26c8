//! What the server asks of the system before it answers, watched by strace; and syncs that fail, by its hand.
#![cfg(target_os = "linux")]

#[path = "support/server.rs"]
mod server;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use server::{Process, error_code, id, skipped, text};

/// How long the server may take to see that its disk works again.
const RECOVERY: Duration = Duration::from_secs(35);

/// A server under strace.
struct Traced {
    strace: Process,
    data: PathBuf,
}

impl Traced {
    /// Starts one on a data folder; `None` where strace is missing or may not trace.
    fn start(data: &Path, options: &[&str]) -> Option<Traced> {
        match Command::new("strace").args(["-o", "/dev/null", "true"]).output() {
            Ok(Output { status, .. }) if status.success() => {}
            why => {
                skipped(&format!("strace is missing or may not trace here: {why:?}"));
                return None;
            }
        }
        let mut command = Command::new("strace");
        command.arg("--follow-forks").args(options).arg(env!("CARGO_BIN_EXE_obrolan"));
        let strace = Process::start_by(command, &["--data", data.to_str().unwrap()]);
        Some(Traced { strace, data: data.to_owned() })
    }
}

impl Drop for Traced {
    /// Kills the server, and with it ends the strace that has started it; the other way round, the server would go on.
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.data.join("lock")).unwrap();
        let killed = Command::new("sh").arg("-c").arg(format!("kill -KILL {}", pid.trim())).status().unwrap();
        assert!(killed.success() || thread::panicking(), "the server was gone before");
        self.strace.wait();
    }
}

#[test]
fn no_ok_leaves_before_what_it_promises_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let (data, trace) = (folder.path().join("data"), folder.path().join("trace"));
    let calls = "trace=read,recvfrom,write,writev,sendto,fsync,fdatasync";
    let options = ["--string-limit=100", "-e", calls, "--output", trace.to_str().unwrap()];
    let Some(server) = Traced::start(&data, &options) else { return };
    let mut client = server.strace.connect();
    let changes = [
        "REGISTER ani aniani Indonesia Ani",
        "AUTH ani aniani",
        "ADD_GROUP warga",
        "SEND ani halo",
        "SEND_GROUP warga halo semua",
        "SEND_FILE ani a.txt aGFsbyE=",
        "UPLOAD b.txt aGFsbyE=",
        "SEND_GROUP_FILE warga b.txt",
        r#"{"request":"SEND","to":"ani","text":"sekali","dedupe":"k"}"#,
        "ACK 1",
        "LEAVE_GROUP warga",
        "ADD_REALM lain 192.0.2.1 8889",
        "PASSWD aniani lainlain",
        "LOGOUT",
    ];
    changes.iter().for_each(|change| {
        client.ok(change);
    });
    drop(server);

    let trace = fs::read_to_string(trace).unwrap();
    let mut asked = 0;
    // Syncs that were begun and have ended since the request was read, and those that run.
    let (mut synced, mut running) = (0, BTreeSet::new());
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').expect("each line begins with a thread's number");
        let call = call.trim_start();
        let request = changes.get(asked).map(|request| request.replace('"', "\\\""));
        let (begins, goes_on) = (call.starts_with("fdatasync("), call.contains("fdatasync resumed"));
        if request.is_some_and(|request| call.contains(&request[..request.len().min(60)])) {
            (synced, asked) = (0, asked + 1);
            running.clear();
        } else if begins && call.contains("unfinished") {
            running.insert(thread);
        } else if (begins || goes_on && running.remove(thread)) && call.ends_with("= 0") {
            synced += 1;
        } else if call.contains(r#"{\"status\":\"OK\""#) {
            let change = changes[asked - 1];
            assert!(
                synced > 0 || change.starts_with("UPLOAD"),
                "{change} was answered before a sync:\n{line}"
            );
        }
    }
    assert_eq!(asked, changes.len(), "the trace does not show all requests");
}

#[test]
fn a_server_goes_on_after_syncs_have_failed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Process::start_on(&data, &[]);
    let session = server.connect().register("ani");
    server.signal("TERM");
    server.wait();
    let inject = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=20..21", "-o", "/dev/null"];
    let Some(server) = Traced::start(&data, &inject) else { return };
    let mut client = server.strace.resume(&session);
    client.ok("SUBSCRIBE");
    let (mut ok, mut refused) = (BTreeMap::new(), 0);
    let deadline = Instant::now() + RECOVERY;
    for n in 0.. {
        let said = format!("pesan {n}");
        let response = client.ask(&format!("SEND ani {said}"));
        if response["status"] == "OK" {
            ok.insert(id(&response), said);
            if refused > 0 && ok.len() > 60 {
                break;
            }
        } else {
            assert_eq!(error_code(&response), "unavailable");
            refused += 1;
            thread::sleep(Duration::from_millis(50));
        }
        assert!(Instant::now() < deadline, "{} OK and {refused} refused", ok.len());
    }
    for (sent, said) in &ok {
        let event = client.event();
        assert_eq!((id(&event), text(&event, "text")), (*sent, &**said));
    }
    drop(server);
    let server = Process::start_on(&data, &[]);
    let inbox = server.resume(&session).inbox(0);
    let there = inbox.iter().map(|message| (id(message), text(message, "text").to_owned()));
    assert!(there.eq(ok), "not all or not only what was answered OK is there");
}
