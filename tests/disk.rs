//! A disk that takes nothing more: requests are answered `unavailable`, nothing that was answered OK is lost, and the server
//! goes on by itself when there is room again.
#![cfg(target_os = "linux")]

#[path = "support/server.rs"]
mod server;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rlimit::Resource;
use serde_json::Value;
use server::{Client, Process, error_code, id, skipped, text};

/// How long the server may take to see that there is room again.
const RECOVERY: Duration = Duration::from_secs(35);

/// A way to fill a disk.
trait Disk {
    fn folder(&self) -> &Path;
    fn start(&self) -> Process;
    /// From now on it takes nothing more, or soon will.
    fn fill(&self, server: &Process);
    fn make_room(&self, server: &Process);
}

/// The limit of a file's size, which any user can set for a process: every write of the store fails.
struct FileSizes(tempfile::TempDir);

impl Disk for FileSizes {
    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn start(&self) -> Process {
        let mut command = Command::new("sh");
        // The signal would end the process; ignored, the write fails.
        command.args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#, env!("CARGO_BIN_EXE_obrolan")]);
        Process::start_by(command, &["--data", self.folder().to_str().unwrap()])
    }

    fn fill(&self, server: &Process) {
        limit_file_size(server, 1);
    }

    fn make_room(&self, server: &Process) {
        limit_file_size(server, rlimit::INFINITY);
    }
}

fn limit_file_size(server: &Process, bytes: u64) {
    let (mut soft, mut hard) = (0, 0);
    let pid = server.pid().try_into().unwrap();
    rlimit::prlimit(pid, Resource::FSIZE, None, Some((&mut soft, &mut hard))).unwrap();
    rlimit::prlimit(pid, Resource::FSIZE, Some((bytes.min(hard), hard)), None).unwrap();
}

/// A small file system in memory, which takes root to mount.
struct SmallFileSystem {
    mounted: PathBuf,
    _folder: tempfile::TempDir,
}

impl SmallFileSystem {
    fn mount() -> Option<SmallFileSystem> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = folder.path().join("disk");
        fs::create_dir(&mounted).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(&mounted).output();
        match mount {
            Ok(output) if output.status.success() => Some(SmallFileSystem { mounted, _folder: folder }),
            failed => {
                skipped(&format!("a file system cannot be mounted here: {failed:?}"));
                None
            }
        }
    }

    fn filler(&self) -> PathBuf {
        self.mounted.join("filler")
    }
}

impl Drop for SmallFileSystem {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.mounted).status();
    }
}

impl Disk for SmallFileSystem {
    fn folder(&self) -> &Path {
        &self.mounted
    }

    fn start(&self) -> Process {
        Process::start_on(&self.mounted.join("data"), &[])
    }

    fn fill(&self, _: &Process) {
        let mut file = File::create(self.filler()).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self, _: &Process) {
        fs::remove_file(self.filler()).unwrap();
    }
}

#[test]
fn a_server_goes_on_after_its_files_could_not_grow() {
    goes_on(&FileSizes(tempfile::tempdir().unwrap()));
}

#[test]
fn a_server_goes_on_after_its_disk_was_full() {
    if let Some(disk) = SmallFileSystem::mount() {
        goes_on(&disk);
    }
}

/// What was answered to a client's messages.
#[derive(Default)]
struct Answers {
    /// The texts of those answered OK, by id.
    ok: BTreeMap<u64, String>,
    /// The texts of those answered `unavailable`.
    unavailable: BTreeSet<String>,
}

impl Answers {
    fn add(&mut self, other: Answers) {
        for (id, text) in other.ok {
            assert!(self.ok.insert(id, text).is_none(), "the id {id} was given twice");
        }
        self.unavailable.extend(other.unavailable);
    }
}

/// Sends messages to budi, alone and in the group, until all in a row are answered OK or all `unavailable`.
fn send_until(client: &mut Client, name: &str, all: &str) -> Answers {
    let mut answers = Answers::default();
    let deadline = Instant::now() + RECOVERY;
    for round in 0.. {
        let texts = (0..16).map(|n| format!("{name} {round}/{n} {}", "x".repeat(2000)));
        let texts: Vec<String> = texts.collect();
        let requests: Vec<String> = texts
            .iter()
            .enumerate()
            .map(|(n, text)| match n % 2 {
                0 => format!("SEND budi {text}\n"),
                _ => format!("SEND_GROUP grup {text}\n"),
            })
            .collect();
        client.write(requests.concat().as_bytes()).unwrap();
        let mut same = true;
        for text in texts {
            let response = client.response();
            same &= response["status"] == all;
            if response["status"] == "OK" {
                answers.ok.insert(id(&response), text);
            } else {
                assert_eq!(error_code(&response), "unavailable");
                answers.unavailable.insert(text);
            }
        }
        if same {
            return answers;
        }
        assert!(Instant::now() < deadline, "for {RECOVERY:?} not all is answered {all}");
        thread::sleep(Duration::from_millis(20));
    }
    unreachable!("it goes round until it returns")
}

fn goes_on(disk: &dyn Disk) {
    let server = disk.start();
    let (mut ani, mut budi) = (server.connect(), server.connect());
    let session = ani.register("ani");
    budi.register("budi");
    ani.ok("ADD_GROUP grup");
    budi.ok("JOIN_GROUP grup");
    let mut reader = server.connect();
    reader.log_in("budi");
    reader.ok("SUBSCRIBE");
    let mut answers = send_until(&mut ani, "before", "OK");

    let senders: Vec<_> = (0..3).map(|_| server.resume(&session)).collect();
    disk.fill(&server);
    let load: Vec<_> = senders
        .into_iter()
        .enumerate()
        .map(|(n, mut client)| {
            thread::spawn(move || send_until(&mut client, &format!("during-{n}"), "ERROR"))
        })
        .collect();
    load.into_iter().for_each(|load| answers.add(load.join().unwrap()));

    // Nothing is changed and nothing is told that might not be so.
    let mut stranger = server.connect();
    for request in [
        "AUTH ani aniani",
        "REGISTER citra citracitra Indonesia Citra",
        "LIST_USERS",
        &format!("RESUME {session}"),
    ] {
        assert_eq!(stranger.code(request), "unavailable", "{request}");
    }
    for request in ["INBOX", "SUBSCRIBE", "ADD_GROUP lain", "LIST_MY_GROUPS", "LOGOUT", "WHOAMI"] {
        assert_eq!(ani.code(request), "unavailable", "{request}");
    }
    stranger.ping();
    ani.ping();

    disk.make_room(&server);
    let waiting = Instant::now();
    answers.add(send_until(&mut ani, "after", "OK"));
    println!("the server went on {:?} after there was room", waiting.elapsed());
    assert!(!answers.unavailable.is_empty());
    assert_eq!(ani.ok("WHOAMI")["user"], "ani");
    assert_eq!(stranger.code("WHOAMI"), "no_session");
    stranger.register("citra");

    // Who had subscribed is shown all that was answered OK, in order, and nothing else.
    for (sent, said) in &answers.ok {
        let event = reader.event();
        assert_eq!((id(&event), text(&event, "text")), (*sent, &**said));
    }
    reader.ping();
    let check = |inbox: &[Value]| {
        let there = inbox.iter().map(|message| (id(message), text(message, "text").to_owned()));
        assert!(there.eq(answers.ok.clone()), "not all or not only what was answered OK is there");
    };
    check(&budi.inbox(0));
    server.kill();
    let mut server = disk.start();
    let mut budi = server.connect();
    budi.log_in("budi");
    check(&budi.inbox(0));
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_login_that_was_not_stored_is_nobodys_afterwards() {
    let disk = FileSizes(tempfile::tempdir().unwrap());
    let server = disk.start();
    server.connect().register("ani");
    server.connect().register("budi");
    let (mut ani, mut budi) = (server.connect(), server.connect());
    disk.fill(&server);
    assert_eq!(ani.code("AUTH ani aniani"), "unavailable");
    disk.make_room(&server);

    let deadline = Instant::now() + RECOVERY;
    while budi.ask("AUTH budi budibudi")["status"] != "OK" {
        assert!(Instant::now() < deadline, "the server does not go on");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(budi.ok("WHOAMI")["user"], "budi");
    assert_eq!(ani.code("WHOAMI"), "no_session");
    assert_eq!(ani.code("SEND ani siapa aku?"), "no_session");
    ani.log_in("ani");
    assert_eq!(ani.ok("WHOAMI")["user"], "ani");
}

#[test]
fn a_stop_while_the_disk_is_full_is_graceful() {
    let disk = FileSizes(tempfile::tempdir().unwrap());
    let mut server = disk.start();
    let mut ani = server.connect();
    ani.register("ani");
    let sent = id(&ani.ok("SEND ani satu"));
    ani.ok("SUBSCRIBE");
    assert_eq!(id(&ani.event()), sent);
    disk.fill(&server);
    assert_eq!(ani.code("SEND ani dua"), "unavailable");
    let asked = Instant::now();
    server.signal("TERM");
    assert_eq!(ani.event()["event"], "closing");
    assert_eq!(server.wait().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(3), "it took {:?}", asked.elapsed());

    let server = disk.start();
    let mut ani = server.connect();
    ani.log_in("ani");
    let inbox = ani.inbox(0);
    assert_eq!(inbox.iter().map(id).collect::<Vec<_>>(), [sent]);
}
