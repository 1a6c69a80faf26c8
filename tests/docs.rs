//! docs/protocol.md against the program: its examples are played, its lists are those of the tables.
//!
//! `UPDATE_DOCS=1 cargo test --test docs` writes the reference of requests anew.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    env,
    fmt::Write,
    fs,
};

use obrolan::{
    Config, ConnId, Engine, Output, Peer, Time,
    wire::{Code, Dialect, Line, REQUESTS, Spec, Structured},
};

const PROTOCOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/protocol.md");

fn protocol() -> String {
    fs::read_to_string(PROTOCOL).expect("docs/protocol.md can be read")
}

#[test]
fn the_reference_is_of_the_table_of_requests() {
    const BEGIN: &str = "<!-- requests: begin -->\n";
    const END: &str = "<!-- requests: end -->\n";
    let text = protocol();
    let (before, rest) = text.split_once(BEGIN).expect("the reference has a beginning");
    let (reference, after) = rest.split_once(END).expect("the reference has an end");
    let table: String = REQUESTS.iter().map(described).collect();
    if reference != table && env::var_os("UPDATE_DOCS").is_some() {
        fs::write(PROTOCOL, [before, BEGIN, &table, END, after].concat()).unwrap();
    } else {
        assert!(reference == table, "the reference is behind; run UPDATE_DOCS=1 cargo test --test docs");
    }
}

fn described(spec: &Spec) -> String {
    let codes = |codes: &[Code]| codes.iter().map(|code| format!("`{code}`")).collect::<Vec<_>>().join(", ");
    let mut out = format!("\n### {}\n\n`{}`\n\n{}\n\n", spec.name, spec.usage(), spec.help);
    out.push_str("| status | `data` | `code` |\n|---|---|---|\n");
    let ok = spec.ok.map_or("none; other fields answer".to_owned(), |text| format!("`{text}`"));
    writeln!(out, "| OK | {ok} | |").unwrap();
    for (text, of) in spec.errors {
        writeln!(out, "| ERROR | `{text}` | {} |", codes(of)).unwrap();
    }
    out
}

#[test]
fn every_code_is_explained_and_no_other() {
    let text = protocol();
    let (_, section) = text.split_once("\n## 6. Codes\n").expect("there is a section of codes");
    let section = section.split("\n## ").next().unwrap_or_default();
    let explained = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let explained: Vec<&str> = explained.map(|(code, _)| code).collect();
    assert_eq!(explained, Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
}

/// Plays every block marked `chat`, from the top of the page to its end, with one engine. The page says how they are read. Every request
/// has an example that is answered OK.
#[test]
fn the_examples_are_what_happens_and_leave_no_request_out() {
    let mut stage = Stage::new();
    let (mut playing, mut played) = (false, 0);
    for (at, line) in protocol().lines().enumerate() {
        let at = at + 1;
        match (playing, line) {
            (false, "```chat") => playing = true,
            (true, "```") => {
                playing = false;
                for (name, person) in &stage.people {
                    assert!(
                        person.unread.is_empty(),
                        "before line {at}, {name} is also sent {:?}",
                        person.unread
                    );
                }
            }
            (true, line) if !line.is_empty() => {
                stage.play(at, line);
                played += 1;
            }
            _ => {}
        }
    }
    assert!(played > 50, "only {played} lines were found to play");
    let without: Vec<&str> =
        REQUESTS.iter().map(|spec| spec.name).filter(|name| !stage.shown.contains(name)).collect();
    assert!(without.is_empty(), "docs/protocol.md has no example of {}", without.join(", "));
}

struct Stage {
    engine: Engine,
    people: BTreeMap<String, Person>,
    /// The session id given out last.
    sid: String,
    /// The requests that were answered OK.
    shown: BTreeSet<&'static str>,
}

struct Person {
    conn: ConnId,
    /// What they asked, by name, and the answer is not shown yet.
    asked: VecDeque<&'static str>,
    /// What was sent to them, and not shown yet.
    unread: VecDeque<String>,
}

impl Stage {
    const NOW: Time = Time(1_795_424_400_000);

    fn new() -> Stage {
        let engine = Engine::new(Config::default(), [7; 32], Stage::NOW).unwrap();
        Stage { engine, people: BTreeMap::new(), sid: String::new(), shown: BTreeSet::new() }
    }

    /// `name> request` or `name< response`.
    fn play(&mut self, at: usize, line: &str) {
        let sign = line.find(['<', '>']).unwrap_or_else(|| panic!("line {at} is neither sent nor received"));
        let (name, said) = (&line[..sign], line[sign + 1..].trim_start());
        if line[sign..].starts_with('>') {
            self.say(name, said);
        } else {
            let person = self.people.get_mut(name).unwrap_or_else(|| panic!("line {at}: who is {name}?"));
            let unread = person.unread.pop_front();
            let unread = unread.unwrap_or_else(|| panic!("line {at}: {name} is sent nothing"));
            assert!(is_like(said, &unread), "line {at}: {name} is sent\n{unread}");
            if unread.starts_with("{\"status\"") {
                let asked = person.asked.pop_front().expect("what is answered was asked");
                self.shown.extend(unread.starts_with("{\"status\":\"OK\"").then_some(asked));
            }
        }
    }

    fn say(&mut self, name: &str, request: &str) {
        if !self.people.contains_key(name) {
            let conn = self.engine.connect(Stage::NOW, Peer::Local).unwrap();
            let person = Person { conn, asked: VecDeque::new(), unread: VecDeque::new() };
            self.people.insert(name.to_owned(), person);
        }
        let line = request.replace("sid_…", &self.sid);
        self.people.get_mut(name).expect("who is connected").asked.push_back(named(&line));
        let line = line + "\r\n";
        self.engine.receive(Stage::NOW, self.people[name].conn, line.as_bytes()).unwrap();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Writable { conn } => {
                    let bytes: Vec<u8> = self.engine.outgoing(conn).flatten().copied().collect();
                    self.engine.sent(Stage::NOW, conn, bytes.len()).unwrap();
                    let text = String::from_utf8(bytes).unwrap();
                    self.read(conn, text.split_terminator("\r\n\r\n"));
                }
                Output::Close { conn, .. } => self.read(conn, ["(closed)"].into_iter()),
                Output::Event(_) => {}
                other => panic!("there is nobody to do this: {other:?}"),
            }
        }
    }

    fn read<'a>(&mut self, conn: ConnId, frames: impl Iterator<Item = &'a str>) {
        let person = self.people.values_mut().find(|person| person.conn == conn).expect("who is connected");
        for frame in frames {
            if let Some((_, rest)) = frame.split_once("\"tokenid\":\"") {
                self.sid = rest.split('"').next().unwrap_or_default().to_owned();
            }
            person.unread.push_back(frame.to_owned());
        }
    }
}

/// The name of a request. One in lower case, which may be of the classic dialect, is no example.
fn named(line: &str) -> &'static str {
    let line = line.as_bytes();
    let kind = match line {
        [b'{', ..] => Structured::parse(line).map(|request| request.kind()),
        _ => Line::parse(line).map(|line| line.request.kind()),
    };
    let kind = kind.ok().filter(|_| !Dialect::default().reads(line));
    kind.map_or("", |kind| kind.spec().name)
}

/// Whether what is shown is what was sent, `…` standing for the rest of any JSON text.
fn is_like(shown: &str, sent: &str) -> bool {
    match shown.split_once('…') {
        None => shown == sent,
        Some((before, after)) => sent.strip_prefix(before).is_some_and(|rest| {
            let end = rest.find('"').unwrap_or(rest.len());
            is_like(after, &rest[end..])
        }),
    }
}
