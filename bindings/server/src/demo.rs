//! `obrolan demo`: a server in memory, and a conversation with it over real sockets.

use std::{
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use obrolan::wire::FrameDecoder;

use crate::{
    cli::{EXIT_FAILURE, EXIT_SUCCESS},
    config::ServerConfig,
    server::Server,
};

/// How long a response may take before the demo says that something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who says what. `None` waits for an event.
const CONVERSATION: &[(&str, Option<&str>, &str)] = &[
    ("ann", Some("REGISTER ann secret99 Indonesia Ann Wijaya"), "Two people make accounts"),
    ("bob", Some("REGISTER bob hunter22 Indonesia Bob Santoso"), ""),
    ("ann", Some("AUTH ann secret99"), "and log in."),
    ("bob", Some("AUTH bob hunter22"), ""),
    ("bob", Some("SUBSCRIBE"), "Bob wants to be told of messages as they come."),
    ("ann", Some("SEND bob halo Bob, apa kabar?"), "Ann writes to him,"),
    ("bob", None, "he sees it at once,"),
    ("bob", Some("ACK 1"), "confirms it,"),
    ("bob", Some("SEND ann baik, terima kasih!"), "and answers."),
    ("ann", Some("INBOX"), "Ann looks into her mailbox when she likes."),
    ("ann", Some("ADD_GROUP keluarga"), "They share a group."),
    ("bob", Some("JOIN_GROUP keluarga"), ""),
    ("ann", Some("SEND_GROUP keluarga makan malam jam tujuh"), "What one says there,"),
    ("bob", None, "the others hear."),
    ("ann", Some("LIST_GROUP"), "Who is in it?"),
    ("ann", Some("SEND charlie halo?"), "A mistake is told as one."),
    ("ann", Some("QUIT"), "Goodbye."),
    ("bob", Some("QUIT"), ""),
];

/// Starts the server, plays the conversation and prints it. Returns the exit code.
#[must_use]
pub fn run() -> u8 {
    match play() {
        Ok(()) => EXIT_SUCCESS,
        Err(error) => {
            eprintln!("obrolan: the demo stopped: {error}");
            EXIT_FAILURE
        }
    }
}

fn play() -> Result<(), Box<dyn Error>> {
    let config = ServerConfig::from_toml("listen = '127.0.0.1:0'\nstorage = 'memory'", "the demo")?;
    let server = Server::bind(&config)?.spawn()?;
    let mut out = anstream::stdout();
    writeln!(out, "A server in memory, on {}. Everything below went over its sockets.", server.local_addr())?;
    let mut ann = Person::connect(server.local_addr())?;
    let mut bob = Person::connect(server.local_addr())?;
    for (name, line, remark) in CONVERSATION {
        let (person, colour) = match *name {
            "ann" => (&mut ann, AnsiColor::Cyan),
            _ => (&mut bob, AnsiColor::Magenta),
        };
        if !remark.is_empty() {
            let dim = Style::new().dimmed();
            writeln!(out, "\n{dim}{remark}{dim:#}")?;
        }
        let style = Style::new().fg_color(Some(colour.into())).bold();
        if let Some(line) = line {
            person.stream.write_all(format!("{line}\r\n").as_bytes())?;
            writeln!(out, "{style}{name} asks{style:#}  {line}")?;
        }
        let sign = if line.is_some() { "gets" } else { "sees" };
        writeln!(out, "{style}{name} {sign}{style:#}  {}", person.next_frame()?)?;
    }
    writeln!(out, "\nStart a server of your own with `obrolan serve`, and talk to it with `obrolan chat`.")?;
    server.stop()?;
    Ok(())
}

struct Person {
    stream: TcpStream,
    frames: FrameDecoder,
}

impl Person {
    fn connect(address: SocketAddr) -> Result<Person, Box<dyn Error>> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Person { stream, frames: FrameDecoder::new(1 << 20) })
    }

    fn next_frame(&mut self) -> Result<String, Box<dyn Error>> {
        loop {
            if let Some(frame) = self.frames.next()? {
                return Ok(String::from_utf8(frame.to_vec())?);
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer)? {
                0 => return Err("the server closed the connection".into()),
                n => self.frames.push(&buffer[..n]),
            }
        }
    }
}
