//! Servers as processes, for the tests over real sockets.

// Every test file includes this module and uses a part of it.
#![allow(dead_code)]

#[path = "client.rs"]
mod client;

use std::{
    env,
    fs::{self, File},
    io::{self, ErrorKind, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub(crate) use client::*;

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
