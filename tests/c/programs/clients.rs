//! The examples of the client, with a server of this process.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use obrolan::wire::Request;
use obrolan_server::{
    client::{self, Client, Content, Event, Message, Options, Url},
    config::ServerConfig,
    server::{RunningServer, Server},
};

use crate::{
    c::{LANGUAGES, Language, SANITIZED, build, ended, output, run, said, scratch, terminate, valgrind},
    client::PATIENCE,
    docs,
    examples::built,
    home::Home,
};

const SCRIPT: Options = Options { messages: None };

fn start(home: &Home) -> RunningServer {
    let config = ServerConfig::from_toml(&home.toml(), "test").unwrap();
    Server::bind(&config).unwrap().spawn().unwrap()
}

fn url(home: &Home, user: &str) -> String {
    format!("obrolan://{user}:rahasia-{user}@{}", home.at)
}

fn account(home: &Home, user: &str) {
    let url = Url::parse(&url(home, user)).unwrap();
    assert!(client::register(&url, "ID", user, PATIENCE).unwrap().is_ok());
}

fn open(home: &Home, user: &str, options: &Options) -> Client {
    Client::open(&Url::parse(&url(home, user)).unwrap(), options, PATIENCE).unwrap()
}

/// A new user, logged in.
fn user(home: &Home, user: &str) -> Client {
    account(home, user);
    open(home, user, &Options::default())
}

#[track_caller]
fn ok(client: &Client, request: Request<'_>) {
    let answer = client.call(request, PATIENCE).unwrap();
    assert!(answer.is_ok(), "{answer:?}");
}

/// The next message, whatever else happens before.
#[track_caller]
fn message(client: &Client) -> Message {
    loop {
        match client.next_event(PATIENCE).unwrap().expect("a message") {
            Event::Message(message) => return message,
            Event::Closing | Event::Lost { .. } | Event::Connected { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn text(message: &Message) -> &str {
    match &message.content {
        Content::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

/// An example as a process. Dropped, it is killed.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Running {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(command.spawn().unwrap())
    }

    fn lines(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().unwrap())
    }

    /// Its end, and what it wrote to standard error.
    #[track_caller]
    fn end(mut self) -> String {
        let mut errors = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(ended(&mut self.0).success(), "{errors}");
        errors
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tries an example in both languages, under the sanitizers, and under valgrind.
fn in_every_way(name: &str, test: impl Fn(&dyn Fn() -> Command)) {
    for (folder, language, flags) in [
        ("C11", Language::C11, &[][..]),
        ("Cpp17", Language::Cpp17, &[]),
        ("sanitized", Language::C11, SANITIZED),
    ] {
        let program = built(name, folder, language, flags);
        test(&|| Command::new(&program));
    }
    let program = built(name, "valgrind", Language::C11, &[]);
    test(&|| valgrind(&program));
}

#[test]
fn the_echo_bot_answers_over_a_restart() {
    in_every_way("echo_bot", |command| {
        let home = Home::new();
        let server = start(&home);
        let ann = user(&home, "ann");
        account(&home, "echo");
        ok(&ann, Request::AddGroup { group: "go" });
        ok(&open(&home, "echo", &SCRIPT), Request::JoinGroup { group: "go" });
        let mut command = command();
        command.arg(url(&home, "echo"));
        let bot = Running::start(command);

        ok(&ann, Request::Send { to: "echo", text: "two\nlines" });
        let answer = message(&ann);
        assert_eq!((&answer.from[..], text(&answer)), ("echo", "two\nlines"));
        ok(&ann, Request::SendGroup { group: "go", text: "semua" });
        let answer = message(&ann);
        assert_eq!((answer.group.as_deref(), text(&answer)), (Some("go"), "semua"));

        server.stop().unwrap();
        let mut during = ann.ask(Request::Send { to: "echo", text: "during" }).unwrap();
        let server = start(&home);
        assert!(during.wait(PATIENCE).unwrap().unwrap().is_ok());
        assert_eq!(text(&message(&ann)), "during");

        // Each is confirmed.
        let mailbox = open(&home, "echo", &SCRIPT);
        let begun = Instant::now();
        while mailbox.call(Request::Inbox { after: None }, PATIENCE).unwrap().messages() != Some(Vec::new()) {
            assert!(begun.elapsed() < PATIENCE, "a message is not confirmed");
            thread::sleep(Duration::from_millis(5));
        }
        terminate(&bot.0);
        let said = bot.end();
        assert!(said.starts_with("connected\nlost: ") && said.ends_with("connected\n"), "{said}");
        ok(&ann, Request::Ping);
        assert_eq!(ann.next_event(Duration::ZERO), Ok(None), "each was answered once");
        server.stop().unwrap();
    });
}

#[test]
fn the_bot_of_the_documentation_runs() {
    let blocks = docs::blocks();
    let block = |has: &str| {
        let block = blocks.iter().find(|block| block.text.contains(has));
        &block.unwrap_or_else(|| panic!("no block has {has}")).text
    };
    let folder = scratch("bot");
    fs::write(folder.join("bot.c"), block("int main(int argc")).unwrap();
    for language in LANGUAGES {
        let program = folder.join(format!("{language:?}"));
        build(language, &folder.join("bot.c"), &program, &[]);
        let home = Home::new();
        let server = start(&home);
        let ann = user(&home, "ann");
        // As the page has it, but for the program's name and the server's address.
        let line = block("obrolan serve --memory").lines().find_map(|line| line.strip_prefix("./bot "));
        let url = line.unwrap().replace("127.0.0.1", &home.at.to_string());
        let mut command = Command::new(&program);
        command.arg(url);
        let bot = Running::start(command);
        let begun = Instant::now();
        // It makes its account itself.
        while !ann.call(Request::Send { to: "echo", text: "halo" }, PATIENCE).unwrap().is_ok() {
            assert!(begun.elapsed() < PATIENCE, "the bot does not register");
            thread::sleep(Duration::from_millis(5));
        }
        let answer = message(&ann);
        assert_eq!((&answer.from[..], text(&answer)), ("echo", "halo"));
        server.stop().unwrap();
        let mut during = ann.ask(Request::Send { to: "echo", text: "during" }).unwrap();
        let server = start(&home);
        assert!(during.wait(PATIENCE).unwrap().unwrap().is_ok());
        assert_eq!(text(&message(&ann)), "during");
        drop(bot);
        server.stop().unwrap();
    }
}

#[test]
fn a_message_is_sent_in_one_call() {
    in_every_way("send", |command| {
        let home = Home::new();
        let server = start(&home);
        let ann = user(&home, "ann");
        account(&home, "bob");
        ok(&ann, Request::AddGroup { group: "go" });
        ok(&open(&home, "bob", &SCRIPT), Request::JoinGroup { group: "go" });
        let send = |to: &str| output(command().args([&url(&home, "bob"), to, "halo dunia"]));
        for to in ["ann", "#go"] {
            let sent = send(to);
            let message = message(&ann);
            assert_eq!((said(&sent), text(&message)), (format!("{}\n", message.id), "halo dunia"));
            assert_eq!(message.group.as_deref(), to.strip_prefix('#'));
        }
        let code = |to| send(to).status.code();
        assert_eq!((code("nobody"), code("#none"), code("")), (Some(67), Some(1), Some(2)));
        assert_eq!(said(&send("nobody")), "send: there is no such user; check the name\n");
        server.stop().unwrap();
        assert_eq!(code("ann"), Some(69));
    });
}

#[test]
fn the_client_lives_in_a_foreign_event_loop() {
    in_every_way("event_loop", |command| {
        let home = Home::new();
        let server = start(&home);
        let ann = user(&home, "ann");
        account(&home, "bob");
        let talk = |to: &str| {
            let mut command = command();
            command.args([&*url(&home, "bob"), to]);
            Running::start(command)
        };
        let mut running = talk("ann");
        let mut shown = running.lines().lines();
        let mut typed = running.0.stdin.take().unwrap();
        typed.write_all(b"halo\ndua\n").unwrap();
        assert_eq!([message(&ann), message(&ann)].each_ref().map(text), ["halo", "dua"]);
        ok(&ann, Request::Send { to: "bob", text: "apa\tkabar" });
        assert_eq!(shown.next().unwrap().unwrap(), "ann: apa?kabar");
        // What was typed last is answered before it ends.
        typed.write_all(b"selesai\nthe end").unwrap();
        drop(typed);
        assert_eq!(running.end(), "");
        assert_eq!(text(&message(&ann)), "selesai");

        let mut running = talk("nobody");
        running.0.stdin.take().unwrap().write_all(b"halo\n").unwrap();
        assert_eq!(
            running.lines().lines().next().unwrap().unwrap(),
            "not sent: there is no such user; check the name"
        );
        running.end();
        server.stop().unwrap();
    });
}

#[test]
fn files_are_sent_and_fetched() {
    in_every_way("files", |command| {
        let home = Home::new();
        let server = start(&home);
        let (ann, bob) = (url(&home, "ann"), url(&home, "bob"));
        account(&home, "ann");
        account(&home, "bob");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.bin");
        let content: Vec<u8> = (0..1_200_000_u32).map(|at| (at % 253) as u8).collect();
        fs::write(&path, &content).unwrap();
        let sent = output(command().args([&ann, "send", "bob"]).arg(&path));
        assert_eq!(said(&sent).matches("100%").count(), 1, "{}", said(&sent));
        let id = fetched_id(&String::from_utf8_lossy(&sent.stdout));

        let inbox = folder.path().join("inbox");
        fs::create_dir(&inbox).unwrap();
        let fetched = run(command().args([&bob, "fetch"]).arg(&inbox));
        let copy = inbox.join(format!("{id}-data.bin"));
        assert_eq!(fetched, format!("{} from ann\n", copy.display()));
        assert!(fs::read(&copy).unwrap() == content);
        assert_eq!(run(command().args([&bob, "fetch"]).arg(&inbox)), "", "it was confirmed");

        let missing = output(command().args([&ann, "send", "bob", "no/such/file"]));
        assert_eq!(missing.status.code(), Some(1));
        assert!(said(&missing).starts_with("files: the file cannot be read or written here"));
        server.stop().unwrap();
    });
}

/// The message that a file was sent as.
fn fetched_id(said: &str) -> u64 {
    said.trim().strip_prefix("sent as message ").expect("it was sent").parse().unwrap()
}
