//! Servers as processes, and a plain blocking client, for the tests over real sockets.

// Every test file includes this module and uses a part of it.
#![allow(dead_code)]

#[path = "random.rs"]
mod random;

use std::{
    collections::VecDeque,
    env,
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use obrolan::wire::FrameDecoder;
#[allow(unused_imports)]
pub(crate) use random::Random;
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before the test says that something is wrong. Generous: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server in a process of its own. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    scratch: TempDir,
}

impl Process {
    /// Starts `obrolan serve` on a free port with these further arguments, and waits until it accepts connections.
    #[track_caller]
    pub(crate) fn start(args: &[&str]) -> Process {
        Process::start_by(Command::new(env!("CARGO_BIN_EXE_obrolan")), args)
    }

    /// The same on a data folder.
    #[track_caller]
    pub(crate) fn start_on(data: &Path, args: &[&str]) -> Process {
        let data = data.to_str().expect("scratch folders have plain names");
        Process::start(&[&["--data", data], args].concat())
    }

    /// The same with a command that runs the program.
    #[track_caller]
    pub(crate) fn start_by(command: Command, args: &[&str]) -> Process {
        let mut starting = Starting::new(command, args);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match fs::read_to_string(starting.ready_file()) {
                Ok(address) => {
                    let address = address.trim().parse().expect("the ready file holds the address");
                    return Process { child: starting.child, address, scratch: starting.scratch };
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
            }
            if let Some(status) = starting.child.try_wait().unwrap() {
                panic!("the server ended with {status}:\n{}", starting.log());
            }
            assert!(Instant::now() < deadline, "the server does not get ready:\n{}", starting.log());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection.
    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address).expect("the server accepts connections")
    }

    /// A new connection that resumes a session.
    #[track_caller]
    pub(crate) fn resume(&self, session: &str) -> Client {
        let mut client = self.connect();
        client.ok(&format!("RESUME {session}"));
        client
    }

    /// The process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGKILL, as a power cut would as far as the process can tell.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal, named without its SIG.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.pid())).status().unwrap();
        assert!(kill.success(), "the server was gone before SIG{name}");
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not end:\n{}", self.log());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// What it wrote to standard output and standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("log")).unwrap()
    }

    /// The folder it runs in, with its log and its ready file.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Bytes of memory it has in use (resident set), where the system tells.
    pub(crate) fn memory(&self) -> Option<usize> {
        self.status("VmRSS:")
    }

    /// The most it has ever had in use, where the system tells.
    pub(crate) fn peak_memory(&self) -> Option<usize> {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> Option<usize> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        let kib: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib << 10)
    }

    /// How many files and sockets it has open, where the system tells.
    pub(crate) fn descriptors(&self) -> Option<usize> {
        Some(fs::read_dir(format!("/proc/{}/fd", self.pid())).ok()?.count())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the server's log\n{}---", self.log());
        }
    }
}

/// A server that may not accept connections yet.
pub(crate) struct Starting {
    child: Child,
    scratch: TempDir,
}

impl Starting {
    /// Starts it.
    pub(crate) fn new(mut command: Command, args: &[&str]) -> Starting {
        let scratch = tempfile::tempdir().unwrap();
        let log = File::create(scratch.path().join("log")).unwrap();
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--ready-file"])
            .arg(scratch.path().join("ready"))
            .args(args)
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        clean(&mut command);
        Starting { child: command.spawn().unwrap(), scratch }
    }

    /// Ends it with SIGKILL, wherever it has got to.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn ready_file(&self) -> PathBuf {
        self.scratch.path().join("ready")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("log")).unwrap()
    }
}

/// Says why a test does not run here, past the test harness, which keeps what passing tests print to itself.
pub(crate) fn skipped(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    writeln!(io::stderr(), "skipped {test}: {why}").expect("standard error takes a line");
}

/// Takes out of a command's environment what would configure a server.
pub(crate) fn clean(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("OBROLAN_") {
            command.env_remove(name);
        }
    }
}

/// A blocking connection.
pub(crate) struct Client {
    stream: TcpStream,
    frames: FrameDecoder,
    /// Events that came before the response somebody waited for.
    events: VecDeque<Value>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Client> {
        Client::over(TcpStream::connect(address)?)
    }

    pub(crate) fn over(stream: TcpStream) -> io::Result<Client> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream, frames: FrameDecoder::new(16 << 20), events: VecDeque::new() })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Another handle to the same connection, to write while this one reads.
    pub(crate) fn writer(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    /// Writes bytes as they are.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that nothing more will be written.
    pub(crate) fn end(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next response or event; `None` at the end of the connection, however it came.
    #[track_caller]
    pub(crate) fn frame(&mut self) -> Option<Value> {
        let mut buffer = [0; 64 << 10];
        loop {
            if let Some(frame) = self.frames.next().expect("no frame is that long") {
                assert!(frame.is_ascii(), "responses are ASCII");
                return Some(serde_json::from_slice(frame).expect("a frame is JSON"));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(n) => self.frames.push(&buffer[..n]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("nothing came for {PATIENCE:?}")
                }
                Err(_) => return None,
            }
        }
    }

    /// The next response; events before it are kept. `None` at the end of the connection.
    #[track_caller]
    pub(crate) fn next_response(&mut self) -> Option<Value> {
        loop {
            let frame = self.frame()?;
            if frame.get("event").is_none() {
                return Some(frame);
            }
            self.events.push_back(frame);
        }
    }

    /// The next response.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Value {
        self.next_response().expect("the connection stays open")
    }

    /// The next event.
    #[track_caller]
    pub(crate) fn event(&mut self) -> Value {
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        let frame = self.frame().expect("the connection stays open");
        assert!(frame.get("event").is_some(), "{frame} is no event");
        frame
    }

    /// Makes a request and returns its response.
    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        self.write(format!("{line}\n").as_bytes()).expect("the connection stays open");
        self.response()
    }

    /// Makes a request that is answered OK.
    #[track_caller]
    pub(crate) fn ok(&mut self, line: &str) -> Value {
        let response = self.ask(line);
        assert_eq!(response["status"], "OK", "{line}: {response}");
        response
    }

    /// Makes a request that is answered ERROR, and returns the code.
    #[track_caller]
    pub(crate) fn code(&mut self, line: &str) -> String {
        let response = self.ask(line);
        error_code(&response).to_owned()
    }

    /// Makes an account, logs in, and returns the session's id. The password is the name, twice.
    #[track_caller]
    pub(crate) fn register(&mut self, user: &str) -> String {
        self.ok(&format!("REGISTER {user} {user}{user} Indonesia {user}"));
        self.log_in(user)
    }

    /// Logs in as [`register`](Self::register) made the account.
    #[track_caller]
    pub(crate) fn log_in(&mut self, user: &str) -> String {
        let response = self.ok(&format!("AUTH {user} {user}{user}"));
        response["tokenid"].as_str().expect("a session's id").to_owned()
    }

    /// Whether it is still answered.
    #[track_caller]
    pub(crate) fn ping(&mut self) {
        assert_eq!(self.ok("PING")["data"], "pong");
    }

    /// All messages of its user beyond `after`, oldest first, read page by page.
    #[track_caller]
    pub(crate) fn inbox(&mut self, after: u64) -> Vec<Value> {
        let mut messages: Vec<Value> = Vec::new();
        loop {
            let last = messages.last().map_or(after, id);
            let mut page = self.ok(&format!("INBOX {last}"));
            let more = page["more"].as_bool().expect("more is a boolean");
            let Value::Array(read) = page["messages"].take() else { panic!("messages are an array") };
            assert!(!more || !read.is_empty(), "there is more, but nothing came");
            messages.extend(read);
            if !more {
                return messages;
            }
        }
    }
}

/// The code of an ERROR.
#[track_caller]
pub(crate) fn error_code(response: &Value) -> &str {
    assert_eq!(response["status"], "ERROR", "{response}");
    response["code"].as_str().expect("an ERROR has a code")
}

/// The id of a message, or of the OK to one.
#[track_caller]
pub(crate) fn id(message: &Value) -> u64 {
    message["id"].as_u64().unwrap_or_else(|| panic!("{message} has an id"))
}

/// A text member.
#[track_caller]
pub(crate) fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object[member].as_str().unwrap_or_else(|| panic!("{object} has a text `{member}`"))
}

/// The names in an array member.
#[track_caller]
pub(crate) fn names(object: &Value, member: &str) -> Vec<String> {
    let Some(array) = object[member].as_array() else { panic!("{object} has an array `{member}`") };
    array.iter().map(|name| name.as_str().expect("names are texts").to_owned()).collect()
}
