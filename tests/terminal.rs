//! A person at a terminal: `obrolan chat` on one, and the server at the other end of the line, which says what it likes.
#![cfg(unix)]

#[path = "support/server.rs"]
mod server;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    num::NonZeroU16,
    process::{self, Child},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use pty_process::{
    Size,
    blocking::{self, Command, Pty},
};
use server::{PATIENCE, clean};
use tempfile::TempDir;

const OK: &str = r#"{"status":"OK"}"#;
const TOKEN: &str = r#"{"status":"OK","tokenid":"sid_0123456789abcdef0123456789abcdef"}"#;

const HELP: &str = "HELP UPLOAD";
const UPLOAD: &str = r#""request":"UPLOAD"}"#;

/// `obrolan chat` on a terminal of 80 columns.
struct Person {
    child: Child,
    pty: Arc<Pty>,
    seen: Arc<Mutex<Seen>>,
    /// Where it runs, with foto.bin in it.
    _folder: TempDir,
}

struct Seen {
    terminal: vt100::Parser,
    bytes: Vec<u8>,
}

/// A connection of the person to the server.
struct Connection {
    lines: BufReader<TcpStream>,
}

impl Person {
    /// Ann, who talks to Bob and has a file of 2 MiB at hand.
    fn start(listener: &TcpListener, environment: &[(&str, &str)]) -> Person {
        let who = format!("ann@{}", listener.local_addr().unwrap());
        Person::begin(&["--to", "bob", "--password-file", "password", &who], environment)
    }

    fn begin(args: &[&str], environment: &[(&str, &str)]) -> Person {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), "hunter2").unwrap();
        fs::write(folder.path().join("foto.bin"), vec![b'x'; 2 << 20]).unwrap();
        let (pty, pts) = blocking::open().unwrap();
        pty.resize(Size::new(24, 80)).unwrap();
        let mut command = process::Command::new(env!("CARGO_BIN_EXE_obrolan"));
        clean(&mut command);
        let child = Command::from(command)
            .arg("chat")
            .args(args)
            .current_dir(folder.path())
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .envs(environment.iter().copied())
            .spawn(pts)
            .unwrap();
        let pty = Arc::new(pty);
        let terminal = vt100::Parser::new(NonZeroU16::new(24).unwrap(), NonZeroU16::new(80).unwrap(), 0);
        let seen = Arc::new(Mutex::new(Seen { terminal, bytes: Vec::new() }));
        let (from, to) = (Arc::clone(&pty), Arc::clone(&seen));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error is the end of the terminal's last user.
            while let Ok(n @ 1..) = (&*from).read(&mut bytes) {
                let mut seen = to.lock().unwrap();
                seen.terminal.process(&bytes[..n]);
                seen.bytes.extend_from_slice(&bytes[..n]);
            }
        });
        Person { child, pty, seen, _folder: folder }
    }

    fn types(&self, text: &str) {
        (&*self.pty).write_all(text.as_bytes()).unwrap();
    }

    fn resizes(&self, columns: u16) {
        let wide = NonZeroU16::new(columns).unwrap();
        self.seen.lock().unwrap().terminal.screen_mut().set_size(NonZeroU16::new(24).unwrap(), wide);
        self.pty.resize(Size::new(24, columns)).unwrap();
    }

    /// Waits until the screen shows these rows below the greeting, and no others. A `*` at the end of one stands for any text.
    #[track_caller]
    fn sees(&self, rows: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.rows();
            let same = shown.len() == rows.len()
                && shown.iter().zip(rows).all(|(shown, row)| match row.strip_suffix('*') {
                    Some(start) => shown.starts_with(start),
                    None => shown == row.trim_end(),
                });
            if same {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "it shows\n{}\nand not\n{}",
                shown.join("\n"),
                rows.join("\n")
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the last row of the screen is this question, below this row.
    #[track_caller]
    fn is_asked(&self, above: &str, question: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.seen.lock().unwrap().terminal.screen().contents();
            let rows: Vec<&str> = shown.lines().map(str::trim_end).filter(|row| !row.is_empty()).collect();
            if rows.ends_with(&[above, question]) || above.is_empty() && rows.ends_with(&[question]) {
                return;
            }
            assert!(Instant::now() < deadline, "it shows\n{shown}\nand does not ask {question}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The rows of the screen below the greeting, up to the last that is not empty.
    fn rows(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let screen = seen.terminal.screen();
        let rows = screen.rows(0, screen.size().1.get()).map(|row| row.trim_end().to_owned());
        let mut rows: Vec<String> = rows.skip_while(|row| !row.starts_with("You are ann")).skip(1).collect();
        let filled = rows.iter().rposition(|row| !row.is_empty()).map_or(0, |last| last + 1);
        rows.truncate(filled);
        rows
    }

    /// Everything that was written to the terminal.
    fn seen(&self) -> String {
        String::from_utf8(self.seen.lock().unwrap().bytes.clone()).unwrap()
    }

    /// Waits for the end; the exit code.
    #[track_caller]
    fn leaves(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Connection {
    #[track_caller]
    fn accept(listener: &TcpListener, login: &str, answer: &str, after: u32) -> Connection {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut connection = Connection { lines: BufReader::new(stream) };
        connection.hears(login);
        connection.says(answer);
        connection.hears(&format!("SUBSCRIBE {after}"));
        connection.says(OK);
        connection
    }

    #[track_caller]
    fn login(listener: &TcpListener) -> Connection {
        Connection::accept(listener, "AUTH ann hunter2", TOKEN, 0)
    }

    /// The same person comes again, who has seen the messages up to this.
    #[track_caller]
    fn resume(listener: &TcpListener, after: u32) -> Connection {
        Connection::accept(listener, "RESUME sid_0123456789abcdef0123456789abcdef", OK, after)
    }

    /// The next request has this in it.
    #[track_caller]
    fn hears(&mut self, what: &str) {
        let line = self.line();
        assert!(line.contains(what), "it asks {:?} and not {what}", &line[..line.len().min(100)]);
    }

    /// Says OK to every request up to the first that has this in it.
    #[track_caller]
    fn grants(&mut self, last: &str) {
        let mut line = String::new();
        while !line.contains(last) {
            line = self.line();
            self.says(OK);
        }
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "it has gone");
        line
    }

    fn says(&mut self, json: &str) {
        write!(self.lines.get_mut(), "{json}\r\n\r\n").unwrap();
    }

    fn tells(&mut self, id: u32, text: &str) {
        let event = format!(
            r#"{{"event":"message","id":{id},"from":"bob","to":"ann","time":"2026-11-23T09:00:00.000Z","text":"{text}"}}"#
        );
        self.says(&event);
    }
}

/// A person who talks to bob, in this environment, and the server's end.
#[track_caller]
fn logged_in(environment: &[(&str, &str)]) -> (TcpListener, Person, Connection) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let person = Person::start(&listener, environment);
    let server = Connection::login(&listener);
    person.sees(&["to bob>"]);
    (listener, person, server)
}

#[test]
fn a_bar_stays_above_the_prompt_whatever_comes_and_over_the_next_connection() {
    let (listener, mut person, mut server) = logged_in(&[]);
    person.types("/send foto.bin\r");
    server.grants(HELP);
    server.hears(UPLOAD);
    let send = "to bob> /send foto.bin";
    person.sees(&[send, "[--------------] 0 bytes of 2.0 MiB foto.bin to bob", "to bob>"]);
    server.says(OK);
    server.hears(UPLOAD);
    let bar = "[###>----------] 512 KiB of 2.0 MiB, *";
    person.sees(&[send, bar, "to bob>"]);

    person.types("hal");
    server.tells(17, "halo");
    server.hears("ACK 17");
    person.sees(&[send, "09:00 bob: halo", bar, "to bob> hal"]);
    person.types("o\r");
    server.hears("SEND bob halo");
    person.sees(&[send, "09:00 bob: halo", "to bob> halo", bar, "to bob>"]);
    let long = "long ".repeat(20);
    server.tells(18, &long);
    let long = format!("09:00 bob: {long}");
    let shown = [send, "09:00 bob: halo", "to bob> halo", &long[..80], &long[80..]];
    person.sees(&[&shown[..], &[bar, "to bob>"]].concat());
    // A line of two rows, with the cursor in the first.
    let typed = "typed ".repeat(15);
    person.types(&format!("{typed}\x01"));
    let typed = format!("to bob> {typed}");
    let typed = [&typed[..80], &typed[80..]];
    person.sees(&[&shown[..], &[bar], &typed].concat());

    drop(server);
    let lost = "connection lost (the server closed it); trying again in 1 s";
    let waits = "[###>----------] 512 KiB of 2.0 MiB, no connection foto.bin to bob";
    let shown = [&shown[..], &[lost]].concat();
    person.sees(&[&shown[..], &[waits], &typed].concat());
    let mut server = Connection::resume(&listener, 18);
    server.hears(UPLOAD);
    let shown = [&shown[..], &["connected again"]].concat();
    let goes_on = "[###>----------] 512 KiB of 2.0 MiB foto.bin to bob";
    person.sees(&[&shown[..], &[goes_on], &typed].concat());
    server.says(OK);
    server.grants("ACK 18");
    let bar = "[#######>------] 1.0 MiB of 2.0 MiB, *";
    person.sees(&[&shown[..], &[bar], &typed].concat());
    server.grants("SEND_FILE");
    person.sees(&[&shown[..], &["sent foto.bin to bob (2.0 MiB, *"], &typed].concat());

    // The first key clears the line.
    person.types("\x0b/quit\r");
    assert_eq!(person.leaves(), Some(0));
    person.sees(&[&shown[..], &["sent foto.bin to bob (2.0 MiB, *", "to bob> /quit"]].concat());
}

#[test]
fn what_cannot_be_an_answer_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let person = Person::begin(&["--register", &address], &[("LC_ALL", "C")]);
    let command = "Commands come after these questions, in the chat; Ctrl-C leaves.";
    person.is_asked("", "User name:");
    person.types("/help\r");
    person.is_asked(command, "User name:");
    person.types("ann b\r");
    person.is_asked("That is no name: names have 1 to 64 bytes, without spaces and \"@\".", "User name:");
    person.types("ann\r");
    person.is_asked("User name: ann", "New password for ann:");
    person.types("hunter2\r");
    person.is_asked("New password for ann:", "The same again:");
    person.types("hunter2\r");
    person.is_asked("The same again:", "Name to show [ann]:");
    person.types(&format!("{}\r", "x".repeat(257)));
    let long = "That is too long, or has control characters: it has 256 bytes at most.";
    person.is_asked(long, "Name to show [ann]:");
    person.types("\r");
    person.is_asked("Name to show [ann]:", "Country [-]:");
    person.types("/users\r");
    person.is_asked(command, "Country [-]:");
    person.types(&format!("{}\r", "x".repeat(65)));
    let long = "That is too long, or has control characters: it has 64 bytes at most.";
    person.is_asked(long, "Country [-]:");
    person.types("New Zealand\r");

    // Before it asked, it looked whether there is a server.
    drop(listener.accept().unwrap());
    let mut server = Connection { lines: BufReader::new(listener.accept().unwrap().0) };
    server.hears("REGISTER ann hunter2 New-Zealand ann");
    server.says(OK);
    server.hears("AUTH ann hunter2");
    server.says(r#"{"status":"ERROR","data":"autentikasi gagal","code":"bad_credentials"}"#);
    let refused = "The server knows no ann with this password.";
    let question = "Press Enter to try another password, or type r to make an account:";
    person.is_asked(refused, question);
    person.types("/help\r");
    person.is_asked(command, question);
}

#[test]
fn the_prompt_names_whom_the_next_line_is_for() {
    let (_listener, mut person, mut server) = logged_in(&[]);
    person.types("/join g\r");
    server.hears("JOIN_GROUP g");
    person.sees(&["to bob> /join g"]);
    server.says(OK);
    let joined = ["to bob> /join g", "you are in #g"];
    person.sees(&[&joined[..], &["to #g>"]].concat());
    person.types("/msg nobody hi\r");
    server.hears("SEND nobody hi");
    let shown = [&joined[..], &["to #g> /msg nobody hi"]].concat();
    // An answer that does not come keeps nobody from typing.
    person.sees(&[&shown[..], &[">"]].concat());
    person.types("all");
    person.sees(&[&shown[..], &["> all"]].concat());
    server.says(r#"{"status":"ERROR","data":"pesan tidak terkirim","code":"no_such_user"}"#);
    let refused = "not sent to nobody: there is no such user; /users lists everyone";
    person.sees(&[&shown[..], &[refused, "> all"]].concat());
    person.types("\r");
    server.hears("SEND_GROUP g all");
    server.says(OK);
    person.sees(&[&shown[..], &[refused, "> all", "to #g>"]].concat());
    person.types("/quit\r");
    assert_eq!(person.leaves(), Some(0));
}

#[test]
fn a_bar_follows_the_terminal_and_goes_with_the_person() {
    let (_listener, mut person, mut server) = logged_in(&[]);
    person.types("/send foto.bin\r");
    server.grants(HELP);
    for (columns, bar) in [
        (80, "[--------------] 0 bytes of 2.0 MiB foto.bin to bob"),
        (79, "[###>----------] 512 KiB of 2.0 MiB, *"),
        (50, "[#######>------] 50% foto.bin to bob"),
    ] {
        person.resizes(columns);
        server.hears(UPLOAD);
        person.sees(&["to bob> /send foto.bin", bar, "to bob>"]);
        server.says(OK);
    }
    person.resizes(30);
    server.hears(UPLOAD);
    person.sees(&["to bob> /send foto.bin", "to bob>"]);
    person.resizes(80);
    server.says(OK);
    server.hears("SEND_FILE");
    person.sees(&["to bob> /send foto.bin", "[##############] 2.0 MiB of 2.0 MiB, *", "to bob>"]);
    person.types("/quit\r");
    assert_eq!(person.leaves(), Some(1));
    let left = "obrolan: left before all files were through; send or fetch the last again";
    person.sees(&["to bob> /send foto.bin", "to bob> /quit", "to bob>", left]);
}

#[test]
fn ctrl_c_stops_the_files_on_their_way_and_then_leaves() {
    let (_listener, mut person, mut server) = logged_in(&[]);
    person.types("/send foto.bin\r");
    server.grants(HELP);
    server.hears(UPLOAD);
    server.says(OK);
    server.hears(UPLOAD);
    person.types("/send foto.bin\r/send foto.bin\rhal");
    let asked = ["to bob> /send foto.bin"; 3];
    person.sees(&[&asked[..], &["[###>----------] 512 KiB of 2.0 MiB, *", "to bob> hal"]].concat());
    person.types("\x03");
    let told = "stopped foto.bin to bob at 512 KiB of 2.0 MiB, and 2 files that waited";
    person.sees(&[&asked[..], &[told, "to bob> hal"]].concat());

    // The answer that was on its way is not that of the next file.
    person.types("\x15/send foto.bin\r");
    let asked = [&asked[..], &[told, "to bob> /send foto.bin"]].concat();
    let bar = "[--------------] 0 bytes of 2.0 MiB foto.bin to bob";
    server.says(OK);
    server.grants(HELP);
    server.hears(r#""offset":0,"request":"UPLOAD"}"#);
    person.sees(&[&asked[..], &[bar, "to bob>"]].concat());
    person.types("\x03");
    let told = "stopped foto.bin to bob at 0 bytes of 2.0 MiB";
    person.sees(&[&asked[..], &[told, "to bob>"]].concat());
    server.says(OK);
    person.types("\x03");
    assert_eq!(person.leaves(), Some(0));
}

#[test]
fn a_fetched_file_has_a_bar_and_no_color_is_shown_where_none_is_wanted() {
    for (environment, color) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        let (_listener, person, mut server) = logged_in(environment);
        person.types("/get 7\r");
        server.hears(r#"{"request":"HISTORY","with":"bob","limit":100}"#);
        server.says(OK);
        server.hears(r#"{"id":"7","offset":0,"request":"GET_FILE"}"#);
        person.sees(&["to bob> /get 7", "[--------------] 0 bytes file-7", "to bob>"]);
        server.says(r#"{"status":"OK","data":"aGFs","offset":0,"size":4,"next":3}"#);
        server.hears(r#"{"id":"7","offset":3,"request":"GET_FILE"}"#);
        person.sees(&["to bob> /get 7", "[##########>---] 3 bytes of 4 bytes, *", "to bob>"]);
        server.says(r#"{"status":"OK","data":"bw==","offset":3,"size":4}"#);
        person.sees(&["to bob> /get 7", "saved file-7 (4 bytes, *", "to bob>"]);
        assert_eq!(person.seen().contains("\x1b[36m"), color);
    }
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_has_no_bar() {
    let (_listener, person, mut server) = logged_in(&[("TERM", "dumb")]);
    person.types("/send foto.bin\n");
    server.grants(HELP);
    server.hears(UPLOAD);
    person.sees(&["to bob> /send foto.bin", "to bob>"]);
    server.says(OK);
    server.grants("SEND_FILE");
    person.sees(&["to bob> /send foto.bin", "to bob> sent foto.bin to bob (2.0 MiB, *"]);
    assert!(!person.seen().contains('\x1b'), "{:?}", person.seen());
}
