//! One bit of the server's files flips, ten thousand times: the server finds it, or it makes no difference. No answer is another.

#[path = "support/random.rs"]
mod random;
#[path = "support/server.rs"]
mod server;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use obrolan_server::{
    config::ServerConfig,
    server::{Server, StartError},
    store::StoreError,
};
use random::Random;
use serde_json::Value;
use server::{Client, Process, id};
use tempfile::TempDir;

const FLIPS: u64 = 10_000;
const NAMES: [&str; 2] = ["ani", "budi"];
const DATABASE: &str = "obrolan.sqlite3";
/// Damage to its last transaction looks like one that a crash cut short.
const LOG: &str = "obrolan.sqlite3-wal";

/// What a data folder holds, by the names of its files.
type Files = BTreeMap<PathBuf, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// A data folder.
struct Example {
    /// As a kill leaves it: with a snapshot, records after it, messages, contents of files, and a log.
    killed: Files,
    /// As a stop leaves it: without a log.
    stopped: Files,
    /// All that can be asked about it.
    questions: String,
    /// What was answered before the last commit.
    earlier: Vec<Value>,
}

fn example() -> Example {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start_on(folder.path(), &[]);
    let mut client = server.connect();
    let sessions = NAMES.map(|name| client.register(name));
    let say = |client: &mut Client, round: u64| {
        let mut ids = Vec::new();
        for n in 0..6 {
            client.ok(&format!("SEND {} pesan {round}/{n} {}", NAMES[n % 2], "x".repeat(n * 300)));
            client.ok(&format!("SEND_GROUP warga pesan {round}/{n}"));
            ids.push(id(&client.ok(&format!("SEND_FILE ani {round}-{n}.txt {}", "aGFsbyEh".repeat(20 + n)))));
        }
        ids
    };
    client.ok("ADD_GROUP warga");
    client.ok(&format!("JOIN_GROUP {} warga", sessions[0]));
    let mut ids = say(&mut client, 0);
    server.signal("TERM");
    server.wait();
    let server = Process::start_on(folder.path(), &[]);
    let mut client = server.resume(&sessions[1]);
    ids.extend(say(&mut client, 1));

    let mut questions = String::from("LIST_USERS\n");
    for session in &sessions {
        questions.push_str(&format!("RESUME {session}\nWHOAMI\nINBOX\nLIST_MY_GROUPS\nLIST_GROUP warga\n"));
        questions.push_str("HISTORY ani\nHISTORY budi\nHISTORY warga\n");
        ids.iter().for_each(|id| questions.push_str(&format!("GET_FILE {id}\n")));
    }
    let earlier = questions.lines().map(|question| client.ok(question)).collect();
    client.ok("ADD_GROUP kerja");
    server.kill();
    let killed = files(folder.path());
    let mut server = Process::start_on(folder.path(), &[]);
    server.signal("TERM");
    server.wait();
    Example { killed, stopped: files(folder.path()), questions, earlier }
}

/// A place to run servers in.
struct Scratch(TempDir);

impl Scratch {
    /// In memory where there is room, for nothing in it has to last.
    fn new() -> Scratch {
        let memory = Path::new("/dev/shm");
        Scratch(if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap())
    }

    /// What a server answers on these files, or why it does not start.
    fn ask(&self, files: &Files, questions: &str) -> Result<Vec<Value>, StartError> {
        let data = self.0.path().join("data");
        let _ = fs::remove_dir_all(&data);
        for (name, content) in files {
            let path = data.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let config = format!("listen = '127.0.0.1:0'\ndata = '{}'", data.display());
        let server = Server::bind(&ServerConfig::from_toml(&config, "test").unwrap())?.spawn().unwrap();
        let mut client = Client::connect(server.local_addr()).unwrap();
        client.write(questions.as_bytes()).unwrap();
        let answers = questions.lines().map(|_| client.response()).collect();
        server.stop().unwrap();
        Ok(answers)
    }
}

/// How a flipped bit shows.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Refused,
    /// Some answers are `unavailable`, and no other is another.
    Unavailable,
    Harmless,
    /// The last commit in the log is gone.
    Earlier,
}

fn outcome(
    name: &Path,
    asked: Result<Vec<Value>, StartError>,
    right: &[Value],
    earlier: &[Value],
) -> Outcome {
    let answers = match asked {
        Ok(answers) => answers,
        Err(StartError::Store(StoreError::Damaged { .. } | StoreError::TooNew { .. })) => {
            return Outcome::Refused;
        }
        Err(error) => panic!("damage to {} is taken for something else: {error}", name.display()),
    };
    let others: Vec<_> = answers.iter().zip(right).filter(|(answer, right)| answer != right).collect();
    if others.is_empty() {
        Outcome::Harmless
    } else if others.iter().all(|(answer, _)| answer["code"] == "unavailable") {
        Outcome::Unavailable
    } else if name == Path::new(LOG) && answers == earlier {
        Outcome::Earlier
    } else {
        panic!("damage to {} changes an answer: {:?}", name.display(), others[0]);
    }
}

#[test]
fn a_flipped_bit_is_found_or_harmless_and_changes_no_answer() {
    let Example { killed, stopped, questions, earlier } = example();
    let right = Scratch::new().ask(&killed, &questions).unwrap();
    assert!(right.iter().all(|answer| answer["status"] == "OK") && right != earlier, "{right:?}");
    assert!(Scratch::new().ask(&stopped, &questions).unwrap() == right);
    let mut random = Random::printed();
    let mut flips: Vec<(&Files, &PathBuf, u64)> = Vec::new();
    for files in [&killed, &stopped] {
        // The database and the log have the most to lose.
        let share = |name: &Path| match name.to_str() {
            Some(DATABASE | LOG) => FLIPS / 4,
            _ => FLIPS / 10 / files.len() as u64,
        };
        for (name, content) in files {
            flips.extend((0..share(name)).map(|_| (files, name, random.below(content.len() as u64 * 8))));
        }
    }
    flips.extend((flips.len() as u64..FLIPS).map(|_| {
        let name = stopped.keys().find(|name| name.to_str() == Some(DATABASE)).expect("it is there");
        (&stopped, name, random.below(stopped[name].len() as u64 * 8))
    }));

    let next = AtomicUsize::new(0);
    let run = || {
        let scratch = Scratch::new();
        let mut outcomes: BTreeMap<(PathBuf, Outcome), u64> = BTreeMap::new();
        while let Some((files, name, bit)) = flips.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut files = (*files).clone();
            let content = files.get_mut(*name).expect("it is one of them");
            content[(bit / 8) as usize] ^= 1 << (bit % 8);
            let outcome = outcome(name, scratch.ask(&files, &questions), &right, &earlier);
            *outcomes.entry(((*name).clone(), outcome)).or_default() += 1;
        }
        outcomes
    };
    let outcomes: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it has said why")).collect()
    });
    let mut all: BTreeMap<(PathBuf, Outcome), u64> = BTreeMap::new();
    outcomes.into_iter().flatten().for_each(|(key, count)| *all.entry(key).or_default() += count);
    for ((name, outcome), count) in &all {
        println!("{count:6} {outcome:?} in {} of {} bytes", name.display(), killed[name].len());
    }
}
