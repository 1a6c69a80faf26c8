//! Plays tests/transcripts against the server over loopback.

mod support;

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{IpAddr, Shutdown, TcpStream},
    path::Path,
    time::Duration,
};

use obrolan_server::{
    config::ServerConfig,
    server::{RunningServer, Server},
};
use support::{
    play::{Came, Door, Frames, play_all},
    transcript::{Happening, Need, Setting, Transcript},
};
use tempfile::TempDir;

/// What no server over sockets has: time that passes when it is told to, peers from elsewhere, hands inside.
const NO_SERVER_HAS: [Need; 5] =
    [Need::Time, Need::Addresses, Need::FailingStore, Need::SlowPasswords, Need::SlowReader];

fn transcripts() -> Vec<Transcript> {
    Transcript::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/transcripts"))
}

fn played(transcripts: &[Transcript], door: &str, lacks: Need, open: impl Fn(&[Setting]) -> Sockets) {
    let lacks: Vec<Need> = NO_SERVER_HAS.into_iter().chain([lacks]).collect();
    play_all(transcripts, door, &lacks, open);
}

#[test]
fn in_memory() {
    let open = |settings: &[Setting]| Sockets::open("memory", MOST, settings);
    played(&transcripts(), "a server in memory", Need::Restart, open);
}

#[test]
fn on_disk() {
    let open = |settings: &[Setting]| Sockets::open("disk", MOST, settings);
    played(&transcripts(), "a server on disk", Need::BodiesInside, open);
}

/// As clients of the classic dialect read, which decode each piece by itself.
#[test]
fn in_small_pieces() {
    let mut transcripts = transcripts();
    transcripts.retain(|transcript| transcript.name.starts_with("classic"));
    for piece in [32, 41, 64] {
        let open = |settings: &[Setting]| Sockets::open("memory", piece, settings);
        played(&transcripts, &format!("a server read {piece} bytes at a time"), Need::Restart, open);
    }
}

/// The most bytes that are read at once, where it does not matter.
const MOST: usize = 64 << 10;

/// How long something that must come may take. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long nothing has to come to be sure that nothing does, where the server cannot be asked.
const QUIET: Duration = Duration::from_millis(100);

const PONG: &[u8] = br#"{"status":"OK","data":"pong"}"#;

/// A server in this process, and connections to it.
struct Sockets {
    config: ServerConfig,
    /// The most bytes that are read at once.
    piece: usize,
    server: Option<RunningServer>,
    conns: BTreeMap<String, Conn>,
    _data: TempDir,
}

struct Conn {
    stream: TcpStream,
    piece: usize,
    frames: Frames,
    /// Whether a PING would be a line of its own.
    takes_ping: bool,
}

impl Sockets {
    fn open(storage: &str, piece: usize, settings: &[Setting]) -> Sockets {
        let data = tempfile::tempdir().expect("there is room for a data folder");
        let mut toml =
            format!("listen = '127.0.0.1:0'\nstorage = '{storage}'\ndata = '{}'\n", data.path().display());
        for Setting { key, value } in settings {
            toml += &format!("{key} = {value}\n");
        }
        let config = ServerConfig::from_toml(&toml, "the transcript's settings").expect("settings are TOML");
        let mut sockets = Sockets { config, piece, server: None, conns: BTreeMap::new(), _data: data };
        sockets.start();
        sockets
    }

    fn start(&mut self) {
        let server = Server::bind(&self.config).and_then(|server| Ok(server.spawn()?));
        self.server = Some(server.unwrap_or_else(|error| panic!("the server does not start: {error}")));
    }

    fn stop(&mut self) {
        let stopped = self.server.take().expect("it runs").stop();
        stopped.unwrap_or_else(|error| panic!("the server failed: {error}"));
    }

    fn conn(&mut self, name: &str) -> &mut Conn {
        self.conns.get_mut(name).expect("a connection that was opened")
    }
}

impl Conn {
    fn receive(&mut self, patience: Duration) -> Option<Came> {
        self.stream.set_read_timeout(Some(patience)).expect("that is no zero");
        let mut buffer = vec![0; self.piece];
        loop {
            if let Some(frame) = self.frames.next() {
                return Some(Came::Frame(frame));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return self.frames.unended().or(Some(Came::Closed)),
                Ok(n) => self.frames.push(&buffer[..n]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return self.frames.unended();
                }
                Err(_) => return Some(Came::Closed),
            }
        }
    }
}

impl Door for Sockets {
    fn connect(&mut self, name: &str, _from: Option<IpAddr>) {
        let address = self.server.as_ref().expect("it runs").local_addr();
        let stream = TcpStream::connect(address).expect("the server accepts connections");
        stream.set_nodelay(true).expect("the connection is open");
        let conn = Conn { stream, piece: self.piece, frames: Frames::default(), takes_ping: true };
        self.conns.insert(name.to_owned(), conn);
    }

    fn send(&mut self, name: &str, bytes: &[u8]) {
        let conn = self.conn(name);
        conn.takes_ping = bytes.ends_with(b"\n");
        // If the server has closed the connection, reading tells.
        let _ = conn.stream.write_all(bytes);
    }

    fn half_close(&mut self, name: &str) {
        let conn = self.conn(name);
        conn.takes_ping = false;
        // The same.
        let _ = conn.stream.shutdown(Shutdown::Write);
    }

    fn close(&mut self, name: &str) {
        self.conns.remove(name);
    }

    fn set_reading(&mut self, name: &str, _reading: bool) {
        panic!("{name} cannot stop reading: the system reads on");
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Restart => {
                self.conns.clear();
                self.stop();
                self.start();
            }
            Happening::Stop => self.stop(),
            other => panic!("a server cannot be told: {other:?}"),
        }
    }

    fn receive(&mut self, name: &str) -> Option<Came> {
        self.conn(name).receive(PATIENCE)
    }

    /// The server answers in order: what comes before the answer to a PING is all there was.
    fn left_over(&mut self, name: &str) -> Option<Came> {
        let conn = self.conn(name);
        if !conn.takes_ping {
            return conn.receive(QUIET);
        }
        let _ = conn.stream.write_all(b"PING\n");
        conn.receive(PATIENCE).filter(|came| *came != Came::Frame(PONG.to_vec()))
    }

    fn is_instant(&self) -> bool {
        false
    }

    fn finish(&mut self) {
        if self.server.is_some() {
            self.stop();
        }
    }
}
