//! What was answered OK is there after the server was killed, stopped or interrupted, at any moment.

#[path = "support/random.rs"]
mod random;
#[path = "support/server.rs"]
mod server;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use random::Random;
use serde_json::Value;
use server::{Client, Process, Starting, id, names, text};

const ROUNDS: u64 = 50;
const RESIDENTS: [&str; 4] = ["ani", "budi", "citra", "dewi"];
const GROUP: &str = "warga";
const OPEN_GROUP: &str = "tamu";

/// A message that was answered OK.
#[derive(Debug)]
struct Sent {
    id: u64,
    from: String,
    to: String,
    text: String,
}

/// What a server has answered OK.
#[derive(Default)]
struct Ledger {
    messages: BTreeMap<u64, Sent>,
    accounts: BTreeSet<String>,
    /// The user of each session.
    sessions: BTreeMap<String, String>,
    /// Who is in which group.
    members: BTreeSet<(String, String)>,
}

impl Ledger {
    fn add(&mut self, other: Ledger) {
        for (id, sent) in other.messages {
            if let Some(former) = self.messages.insert(id, sent) {
                panic!("the id {id} was given twice, first to {former:?}");
            }
        }
        self.accounts.extend(other.accounts);
        self.sessions.extend(other.sessions);
        self.members.extend(other.members);
    }
}

/// How a server ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Killed,
    /// Killed, and the next one killed while it starts.
    KilledTwice,
    Stopped,
    /// Asked to stop, and killed on the way.
    StoppedAndKilled,
}

#[test]
fn what_was_answered_ok_survives_kills_in_the_middle_of_a_load() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut random = Random::printed();
    let mut ledger = Ledger::default();
    let mut seen: BTreeMap<&str, BTreeMap<u64, Value>> = BTreeMap::new();

    let mut server = start(&data);
    let sessions = settle(&server, &mut ledger);
    for round in 0..ROUNDS {
        let load: Vec<_> = RESIDENTS
            .iter()
            .zip(&sessions)
            .map(|(name, session)| {
                let (address, session, mut random) = (server.address(), session.clone(), random.fork());
                thread::spawn(move || chat(address, name, &session, round, &mut random))
            })
            .collect();
        let address = server.address();
        let newcomers = thread::spawn(move || newcomers(address, round));

        thread::sleep(Duration::from_millis(20 + random.below(400)));
        let end = match random.below(8) {
            0 => End::KilledTwice,
            1 => End::Stopped,
            2 => End::StoppedAndKilled,
            _ => End::Killed,
        };
        finish(server, end, &data, &mut random);

        let mut answered = newcomers.join().unwrap();
        load.into_iter().for_each(|load| answered.add(load.join().unwrap()));
        println!(
            "round {round}: {end:?} after {} messages and {} accounts",
            answered.messages.len(),
            answered.accounts.len()
        );

        let started = Instant::now();
        server = start(&data);
        assert!(started.elapsed() < Duration::from_secs(10), "recovery takes {:?}", started.elapsed());
        for (name, session) in RESIDENTS.iter().zip(&sessions) {
            let seen = seen.entry(name).or_default();
            let after = seen.last_key_value().map_or(0, |(id, _)| *id);
            for message in server.resume(session).inbox(after) {
                let former = seen.insert(id(&message), message);
                assert!(former.is_none(), "{name} has two messages of one id: {former:?}");
            }
        }
        check_messages(&answered, &seen);
        check_sessions(&server, &answered);
        ledger.add(answered);
    }

    assert!(ledger.messages.len() > 100, "there was no load: {} messages", ledger.messages.len());
    for (name, session) in RESIDENTS.iter().zip(&sessions) {
        let inbox: BTreeMap<_, _> =
            server.resume(session).inbox(0).into_iter().map(|message| (id(&message), message)).collect();
        assert!(inbox == seen[name], "what {name} was shown before is not what is there at the end");
    }
    check_messages(&ledger, &seen);
    check_sessions(&server, &ledger);
    let mut client = server.connect();
    for name in &ledger.accounts {
        client.log_in(name);
    }
}

fn start(data: &Path) -> Process {
    Process::start_on(data, &["--limits-mailbox-messages", "1000000", "--log", "warn"])
}

/// Makes the residents, who share a group; their sessions, in order.
fn settle(server: &Process, ledger: &mut Ledger) -> Vec<String> {
    let mut sessions = Vec::new();
    for name in RESIDENTS {
        let mut client = server.connect();
        let session = client.register(name);
        for group in [GROUP, OPEN_GROUP] {
            client.ok(&format!("{} {group}", if sessions.is_empty() { "ADD_GROUP" } else { "JOIN_GROUP" }));
            ledger.members.insert((group.to_owned(), name.to_owned()));
        }
        ledger.accounts.insert(name.to_owned());
        ledger.sessions.insert(session.clone(), name.to_owned());
        sessions.push(session);
    }
    sessions
}

/// Sends private and group messages, many at a time, until the connection ends.
fn chat(address: SocketAddr, name: &str, session: &str, round: u64, random: &mut Random) -> Ledger {
    let mut ledger = Ledger::default();
    let Ok(mut client) = Client::connect(address) else { return ledger };
    if client.write(format!("RESUME {session}\n").as_bytes()).is_err() || client.next_response().is_none() {
        return ledger;
    }
    let (mut asked, mut count) = (VecDeque::new(), 0);
    loop {
        let mut lines = String::new();
        for _ in 0..=random.below(31) {
            count += 1;
            let (request, to) = match random.below(3) {
                0 => ("SEND_GROUP", GROUP),
                _ => ("SEND", RESIDENTS[random.below(4) as usize]),
            };
            // The text tells whose it is, and is never sent twice.
            let padding = "x".repeat(random.below(1500) as usize);
            let text = format!("{name} {to} {round}/{count} \"é\" 👋 {padding}.");
            lines.push_str(&format!("{request} {to} {text}\n"));
            asked.push_back((to, text));
        }
        let over = client.write(lines.as_bytes()).is_err();
        // Some stay under way, so that the connection never waits for all of its answers.
        while asked.len() > if over { 0 } else { 8 } {
            let Some(response) = client.next_response() else { return ledger };
            let (to, text) = asked.pop_front().expect("it is not empty");
            assert_eq!(response["status"], "OK", "{response}");
            let id = id(&response);
            let sent = Sent { id, from: name.to_owned(), to: to.to_owned(), text };
            assert!(ledger.messages.insert(id, sent).is_none(), "the id {id} was given twice");
        }
        if over {
            return ledger;
        }
    }
}

/// Registers, logs in, makes and joins groups until the connection ends.
fn newcomers(address: SocketAddr, round: u64) -> Ledger {
    let mut ledger = Ledger::default();
    let Ok(mut client) = Client::connect(address) else { return ledger };
    let mut ask = |line: String| {
        client.write(format!("{line}\n").as_bytes()).ok()?;
        let response = client.next_response()?;
        assert_eq!(response["status"], "OK", "{line}: {response}");
        Some(response)
    };
    for count in 0.. {
        let name = format!("baru-{round}-{count}");
        if ask(format!("REGISTER {name} {name}{name} Indonesia {name}")).is_none() {
            break;
        }
        ledger.accounts.insert(name.clone());
        let Some(response) = ask(format!("AUTH {name} {name}{name}")) else { break };
        ledger.sessions.insert(text(&response, "tokenid").to_owned(), name.clone());
        let own = format!("grup-{name}");
        if ask(format!("JOIN_GROUP {OPEN_GROUP}")).is_none() {
            break;
        }
        ledger.members.insert((OPEN_GROUP.to_owned(), name.clone()));
        if ask(format!("ADD_GROUP {own}")).is_none() {
            break;
        }
        ledger.members.insert((own, name));
    }
    ledger
}

fn finish(mut server: Process, end: End, data: &Path, random: &mut Random) {
    match end {
        End::Killed => server.kill(),
        End::KilledTwice => {
            server.kill();
            let next = Starting::new(
                Command::new(env!("CARGO_BIN_EXE_obrolan")),
                &["--data", data.to_str().expect("scratch folders have plain names")],
            );
            thread::sleep(Duration::from_millis(random.below(60)));
            next.kill();
        }
        End::Stopped => {
            server.signal("TERM");
            assert_eq!(server.wait().code(), Some(0), "{}", server.log());
        }
        End::StoppedAndKilled => {
            server.signal("TERM");
            thread::sleep(Duration::from_millis(random.below(40)));
            server.kill();
        }
    }
}

/// Every message of the ledger is with each of its recipients as it was sent, and what else is there was sent, and once.
fn check_messages(ledger: &Ledger, seen: &BTreeMap<&str, BTreeMap<u64, Value>>) {
    for sent in ledger.messages.values() {
        let to_group = sent.to == GROUP;
        let recipients = RESIDENTS.iter().filter(|name| match to_group {
            true => **name != sent.from,
            false => **name == sent.to,
        });
        for name in recipients {
            let message = seen[name].get(&sent.id);
            let message = message.unwrap_or_else(|| panic!("{name} lost {sent:?}"));
            assert_eq!((text(message, "text"), text(message, "from")), (&*sent.text, &*sent.from));
        }
    }
    for (name, messages) in seen {
        let mut texts = BTreeSet::new();
        for message in messages.values() {
            let (said, from, to) = (text(message, "text"), text(message, "from"), text(message, "to"));
            assert!(said.starts_with(&format!("{from} {to} ")) && said.ends_with('.'), "{message}");
            assert!(to == *name || (to == GROUP && from != *name), "{name} has {message}");
            assert!(texts.insert(said), "{name} has it twice: {message}");
        }
    }
}

/// Every session of the ledger is its user's, who is in the groups of the ledger.
fn check_sessions(server: &Process, ledger: &Ledger) {
    let mut client = server.connect();
    for (session, user) in &ledger.sessions {
        client.ok(&format!("RESUME {session}"));
        assert_eq!(client.ok("WHOAMI")["user"], **user);
        let groups = names(&client.ok("LIST_MY_GROUPS"), "groups");
        for (group, _) in ledger.members.iter().filter(|(_, member)| member == user) {
            assert!(groups.contains(group), "{user} is in {groups:?}, not in {group}");
        }
    }
}

#[test]
fn a_message_to_an_absent_user_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start_on(folder.path(), &[]);
    let mut client = server.connect();
    client.register("budi");
    client.register("ani");
    let sent = id(&client.ok("SEND budi sampai besok"));
    server.kill();

    let server = Process::start_on(folder.path(), &[]);
    let mut client = server.connect();
    client.log_in("budi");
    let inbox = client.inbox(0);
    assert_eq!(inbox.len(), 1);
    assert_eq!((id(&inbox[0]), text(&inbox[0], "text")), (sent, "sampai besok"));
}

/// The paths of all files under a folder.
fn files_under(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_under(&path) } else { vec![path] }).collect()
}

#[test]
fn a_file_that_was_sent_survives_a_kill_and_what_was_not_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    let server = Process::start_on(folder.path(), &[]);
    let mut client = server.connect();
    client.register("budi");
    client.register("ani");
    client.ok("UPLOAD puisi.txt aGFsbyA=");
    client.ok("UPLOAD puisi.txt ZHVuaWE=");
    let sent = id(&client.ok("SEND_FILE budi puisi.txt"));
    client.ok("SEND_FILE budi sama.txt aGFsbyBkdW5pYQ==");
    assert_eq!(files_under(&files).len(), 1, "equal contents are kept once");
    client.ok("UPLOAD setengah.txt aGFsbyA=");
    assert_eq!(files_under(&files).len(), 2);
    server.kill();
    // As a crash between the content and its record leaves it.
    let stray = files.join("ab");
    fs::create_dir(&stray).unwrap();
    let rest = "c".repeat(62);
    fs::write(stray.join(&rest), "nobody's").unwrap();

    let server = Process::start_on(folder.path(), &[]);
    let put_aside = files.join("unnamed").join(format!("ab{rest}"));
    assert_eq!(fs::read(&put_aside).unwrap(), b"nobody's");
    let log = server.log();
    let told =
        |line: &str| line.contains("1 files that no message names were moved to") && line.contains("WARN");
    assert!(log.lines().any(told), "{log}");
    fs::remove_file(put_aside).unwrap();
    assert_eq!(files_under(&files).len(), 1, "what was half sent is swept");
    let mut client = server.connect();
    client.log_in("budi");
    let read = client.ok(&format!("GET_FILE {sent}"));
    assert_eq!((text(&read, "data"), read["size"].as_u64()), ("aGFsbyBkdW5pYQ==", Some(10)));
    let message = &client.inbox(0)[0];
    assert_eq!((id(message), text(&message["file"], "name")), (sent, "puisi.txt"));
    client.log_in("ani");
    assert_eq!(client.code("SEND_FILE budi setengah.txt"), "no_such_file");

    // What the disk has damaged since is not given out.
    server.kill();
    fs::write(&files_under(&files)[0], "halo sunia").unwrap();
    let server = Process::start_on(folder.path(), &[]);
    let mut client = server.connect();
    client.log_in("budi");
    for _ in 0..3 {
        assert_eq!(client.code(&format!("GET_FILE {sent}")), "unavailable");
    }
    let log = server.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("is damaged")).collect();
    assert!(matches!(told[..], [line] if line.contains(HALO_DUNIA)), "once, and which: {log}");
    fs::remove_file(&files_under(&files)[0]).unwrap();
    assert_eq!(client.code(&format!("GET_FILE {sent}")), "unavailable");
    let log = server.log();
    assert!(log.lines().any(|line| line.contains("No such file") && line.contains(HALO_DUNIA)), "{log}");
}

/// What a server says that does not start.
fn start_in_vain(data: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_obrolan"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).output().unwrap()
}

#[test]
fn a_server_without_its_database_does_not_touch_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut server = Process::start_on(&data, &[]);
    let mut client = server.connect();
    client.register("ani");
    let sent = id(&client.ok("SEND_FILE ani a.txt aGFsbyBkdW5pYQ=="));
    server.signal("TERM");
    server.wait();
    let [content] = &files_under(&data.join("files"))[..] else { panic!("one file was sent") };

    // Its name is lost: the folder is not one to begin anew in.
    let (database, aside) = (data.join("obrolan.sqlite3"), folder.path().join("aside"));
    fs::rename(&database, &aside).unwrap();
    let refused = start_in_vain(&data);
    let why = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{why}");
    assert!(why.contains("it is missing, but there are files of users"), "{why}");
    assert_eq!(fs::read(content).unwrap(), b"halo dunia");

    fs::rename(aside, database).unwrap();
    let server = Process::start_on(&data, &[]);
    let mut client = server.connect();
    client.log_in("ani");
    assert_eq!(text(&client.ok(&format!("GET_FILE {sent}")), "data"), "aGFsbyBkdW5pYQ==");
}

/// The SHA-256 of "halo dunia".
const HALO_DUNIA: &str = "09b50b2f685e7a783eeee02d8070e670d48af118a4b00f7bfebe9f8f0e5d3d52";

#[test]
fn sigterm_in_the_middle_of_a_load_tells_subscribers_and_keeps_all_that_was_answered_ok() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start_on(folder.path(), &[]);
    let sessions = settle(&server, &mut Ledger::default());
    let mut subscriber = server.resume(&sessions[0]);
    subscriber.ok("SUBSCRIBE");
    let bystander = server.connect();
    let mut random = Random::printed();
    let load: Vec<_> = RESIDENTS[1..]
        .iter()
        .zip(&sessions[1..])
        .map(|(name, session)| {
            let (address, session, mut random) = (server.address(), session.clone(), random.fork());
            thread::spawn(move || chat(address, name, &session, 0, &mut random))
        })
        .collect();
    while id(&subscriber.event()) < 100 {}
    server.signal("TERM");

    let mut last = Value::Null;
    while let Some(frame) = subscriber.frame() {
        last = frame;
    }
    assert_eq!(last, serde_json::json!({ "event": "closing" }));
    let mut bystander = bystander;
    assert_eq!(bystander.frame(), None, "who has not subscribed is told nothing unasked for");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(Client::connect(server.address()).is_err(), "nobody listens any more");

    let mut answered = Ledger::default();
    load.into_iter().for_each(|load| answered.add(load.join().unwrap()));
    let server = Process::start_on(folder.path(), &[]);
    let seen = RESIDENTS.iter().zip(&sessions).map(|(name, session)| {
        let inbox = server.resume(session).inbox(0);
        (*name, inbox.into_iter().map(|message| (id(&message), message)).collect())
    });
    check_messages(&answered, &seen.collect());
}

/// A server that cannot stop yet: one client has not taken its answers.
fn stubborn() -> (Process, Client) {
    let server = Process::start(&["--memory"]);
    let mut client = server.connect();
    // Back-pressure ends this: the server reads no further when its answers are not taken.
    client.stream().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    while client.write("HELP\n".repeat(1000).as_bytes()).is_ok() {}
    (server, client)
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    for (first, second, code) in [("TERM", "TERM", 143), ("TERM", "INT", 130)] {
        let (mut server, _client) = stubborn();
        let mut subscriber = server.connect();
        subscriber.register("ani");
        subscriber.ok("SUBSCRIBE");
        server.signal(first);
        assert_eq!(subscriber.event()["event"], "closing");
        let asked = Instant::now();
        server.signal(second);
        assert_eq!(server.wait().code(), Some(code));
        assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
    }
}

#[test]
fn a_client_that_takes_nothing_holds_up_a_stop_only_so_long() {
    let (mut server, _client) = stubborn();
    let asked = Instant::now();
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(asked.elapsed() < Duration::from_secs(10), "it took {:?}", asked.elapsed());
}

#[test]
fn a_data_folder_has_one_server_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start_on(folder.path(), &[]);
    let second = start_in_vain(folder.path());
    assert_eq!((second.status.code(), second.status.signal()), (Some(1), None));
    assert!(second.stdout.is_empty(), "it says where it listens although it does not");
    assert_eq!(
        String::from_utf8(second.stderr).unwrap(),
        format!(
            "obrolan: the data folder {} is in use by another obrolan server (process {}). Stop that one, or choose another folder\n",
            folder.path().display(),
            first.pid()
        )
    );
    first.connect().ping();
    first.kill();
    Process::start_on(folder.path(), &[]).connect().ping();
}
