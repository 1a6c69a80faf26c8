//! The programs of tests/c/examples: short, free of warnings, and doing what they say, also under a sanitizer and under valgrind.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    c::{Language, SANITIZED, build, ended, files, output, repository, said, scratch, terminate, valgrind},
    client::{Client, PATIENCE, id, text},
    random::Random,
};

fn examples() -> PathBuf {
    repository().join("tests/c/examples")
}

/// Has an example built, in a folder for a test.
pub(crate) fn built(name: &str, folder: &str, language: Language, flags: &[&str]) -> PathBuf {
    let program = scratch(&format!("{name}-{folder}")).join(name);
    build(language, &examples().join(name).with_extension("c"), &program, flags);
    program
}

#[test]
fn they_are_short_and_all_are_run() {
    let sources = files(&examples(), "c");
    let names: Vec<_> = sources.iter().map(|path| path.file_stem().unwrap()).collect();
    let run = ["echo_bot", "event_loop", "files", "send", "server"];
    assert_eq!(names, run, "an example is run by a test that is named after it, here or in clients.rs");
    for path in sources.iter().chain(&files(&examples(), "h")) {
        let lines = fs::read_to_string(path).unwrap().lines().count();
        assert!(lines < 100, "{} has {lines} lines", path.display());
    }
}

#[test]
fn they_tell_how_they_are_used() {
    for source in files(&examples(), "c") {
        let name = source.file_stem().unwrap().to_str().unwrap();
        let program = built(name, "usage", Language::C11, &[]);
        for args in [&[][..], &["x"; 9]] {
            let told = output(Command::new(&program).args(args));
            let text = said(&told);
            assert_eq!((told.status.code(), told.stdout.is_empty()), (Some(2), true), "{name}: {text}");
            assert!(text.starts_with(&format!("usage: {name} ")) && text.lines().count() == 1, "{text}");
        }
    }
}

/// The example server as a process. Dropped, it is killed.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    #[track_caller]
    fn start(mut command: Command, journal: &Path) -> Server {
        let mut child = command.arg("0").arg(journal).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("{command:?} says {line:?}, {:?}", child.wait()));
        Server { address: address.parse().unwrap(), child }
    }

    #[track_caller]
    fn client(&self) -> Client {
        Client::connect(self.address).unwrap()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it with SIGTERM.
    #[track_caller]
    fn stop(mut self) -> ExitStatus {
        terminate(&self.child);
        ended(&mut self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the server, chats, stops it, and runs it again on what it kept.
#[track_caller]
fn chat(command: impl Fn() -> Command, folder: &Path) {
    let journal = folder.join("journal");
    let server = Server::start(command(), &journal);
    let (mut ann, mut bob) = (server.client(), server.client());
    ann.register("ann");
    bob.register("bob");
    bob.ok("SUBSCRIBE");
    ann.ok("SEND bob halo");
    let pushed = bob.event();
    assert_eq!((text(&pushed, "from"), text(&pushed, "text")), ("ann", "halo"));
    ann.ok("ADD_GROUP g");
    bob.ok("JOIN_GROUP g");
    bob.ok("SEND_GROUP g semua");
    ann.ok("SEND_FILE bob salam.txt aGFsbyBkdW5pYQ==");
    let long = "x".repeat(200_000);
    ann.ok(&format!("SEND ann {long}"));
    // What is asked before the end of the stream is answered.
    ann.write(b"INBOX\nPING").unwrap();
    ann.end();
    assert_eq!(ann.response()["messages"].as_array().map(Vec::len), Some(2));
    assert_eq!(ann.response()["data"], "pong");
    assert!(ann.frame().is_none());
    assert!(server.stop().success());

    let server = Server::start(command(), &journal);
    let mut bob = server.client();
    bob.log_in("bob");
    let kept = bob.inbox(0);
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(bob.ok("GET_FILE 3")["data"], "aGFsbyBkdW5pYQ==");
    bob.ok("QUIT");
    assert!(bob.frame().is_none());
    assert!(server.stop().success());
}

#[test]
fn the_server_chats() {
    for language in [Language::C11, Language::Cpp17] {
        let program = built("server", &format!("{language:?}"), language, &[]);
        chat(|| Command::new(&program), program.parent().unwrap());
    }
}

#[test]
fn the_server_chats_under_the_sanitizers() {
    let program = built("server", "sanitized", Language::C11, SANITIZED);
    chat(|| Command::new(&program), program.parent().unwrap());
}

#[test]
fn the_server_chats_under_valgrind() {
    let program = built("server", "valgrind", Language::C11, &[]);
    chat(|| valgrind(&program), program.parent().unwrap());
}

/// Connections end in the middle of what is said and answered, many at a time.
#[test]
fn the_server_outlives_its_connections() {
    let program = built("server", "outlives", Language::C11, &["-O2"]);
    let server = Server::start(Command::new(&program), &program.with_file_name("journal"));
    let mut ann = server.client();
    let end = |last: &[u8]| {
        let mut client = server.client();
        client.write(b"PING\n").unwrap();
        client.stream().peek(&mut [0]).unwrap();
        // What is not read by now makes the system reset the connection, behind these last words or before them.
        let _ = client.write(last);
    };
    // So much that the engine still has it in hand when the reset comes.
    let much = "PING\n".repeat(10_000);
    thread::scope(|scope| {
        for last in [&much, "PING\nQUIT\n", "PI"] {
            scope.spawn(|| (0..300).for_each(|_| end(last.as_bytes())));
        }
    });
    ann.ping();
    assert!(server.stop().success());
}

/// Kills the server again and again while two people write to a third, tears the end of its journal, and looks whether all is there that
/// was answered OK.
#[test]
fn the_server_keeps_what_it_answered() {
    let program = built("server", "killed", Language::C11, &["-O2"]);
    let journal = program.with_file_name("journal");
    let mut random = Random::printed();
    let server = Server::start(Command::new(&program), &journal);
    for name in ["ann", "bob", "eve"] {
        server.client().register(name);
    }
    server.kill();
    let mut acked = 0;
    for round in 0..8 {
        let server = Server::start(Command::new(&program), &journal);
        let count = &AtomicUsize::new(0);
        let answered: BTreeMap<u64, String> = thread::scope(|scope| {
            let senders = ["ann", "bob"].map(|name| {
                let mut client = server.client();
                client.log_in(name);
                scope.spawn(move || send_until_killed(client, name, round, count))
            });
            let deadline = Instant::now() + PATIENCE;
            while count.load(Ordering::Relaxed) < 20 {
                assert!(Instant::now() < deadline, "the server does not answer");
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_millis(random.below(50)));
            server.kill();
            senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
        });

        // A crash may leave the beginning of a record, or room that was never written.
        let mut bytes = fs::read(&journal).unwrap();
        let whole = bytes.len();
        match random.below(3) {
            0 => bytes.extend_from_within(..random.below(40.min(whole as u64)) as usize),
            1 => bytes.resize(whole + random.below(5000) as usize, 0),
            _ => {}
        }
        fs::write(&journal, bytes).unwrap();

        let server = Server::start(Command::new(&program), &journal);
        let mut eve = server.client();
        eve.log_in("eve");
        let inbox = eve.inbox(acked);
        let kept: BTreeMap<u64, String> =
            inbox.iter().map(|message| (id(message), text(message, "text").to_owned())).collect();
        for (id, text) in &answered {
            assert_eq!(kept.get(id), Some(text), "in round {round}, message {id} was answered OK");
        }
        if let Some(last) = kept.keys().last() {
            eve.ok(&format!("ACK {last}"));
            acked = *last;
        }
        server.kill();
    }
}

/// Sends messages to eve as fast as they are answered, and counts them. Returns them by their number.
fn send_until_killed(
    mut client: Client,
    name: &'static str,
    round: u64,
    count: &AtomicUsize,
) -> Vec<(u64, String)> {
    let mut answered = Vec::new();
    for number in 0.. {
        let text = format!("{name} {round} {number}");
        // Whether the connection is still there, the response tells.
        let _ = client.write(format!("SEND eve {text}\n").as_bytes());
        let Some(response) = client.next_response() else { break };
        answered.push((id(&response), text));
        count.fetch_add(1, Ordering::Relaxed);
    }
    answered
}

/// Cut off anywhere, the journal gives what is before the cut.
#[test]
fn the_server_starts_from_any_part_of_its_journal() {
    let program = built("server", "cut", Language::C11, &[]);
    let journal = program.with_file_name("journal");
    let server = Server::start(Command::new(&program), &journal);
    let mut ann = server.client();
    ann.register("ann");
    let sent: Vec<String> = (0..20).map(|number| format!("pesan {number}")).collect();
    for text in &sent {
        ann.ok(&format!("SEND ann {text}"));
    }
    server.kill();
    let bytes = fs::read(&journal).unwrap();
    let registered = 600;
    assert!(bytes.len() > 2 * registered);
    let mut random = Random::printed();
    for _ in 0..10 {
        let cut = registered + random.below((bytes.len() - registered) as u64) as usize;
        fs::write(&journal, &bytes[..cut]).unwrap();
        let server = Server::start(Command::new(&program), &journal);
        let mut ann = server.client();
        ann.log_in("ann");
        let kept: Vec<String> = ann.inbox(0).iter().map(|message| text(message, "text").to_owned()).collect();
        assert!(kept.len() < sent.len() && kept == sent[..kept.len()], "cut at {cut}: {kept:?}");
        server.kill();
    }
}
