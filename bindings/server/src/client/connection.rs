//! The socket of a chat.

use std::{
    future::Future,
    io,
    net::TcpStream,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use obrolan::client::Client;
use smol::{
    Async, Timer, future,
    io::{AsyncReadExt, AsyncWriteExt},
    net,
};

use crate::config::Address;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// After so long without a byte the server is asked whether it is there,
const QUIET: Duration = Duration::from_secs(60);
/// and given so long to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a connection ended that the other side closed, one way or the other.
const CLOSED: &str = "the server closed it";

/// A connection to a server.
pub(super) struct Connection {
    stream: Arc<Async<TcpStream>>,
    buffer: Box<[u8]>,
    heard: Instant,
    /// It was asked for a sign of life.
    asked: bool,
}

/// A connection's end, and why.
pub(super) struct Lost(pub(super) String);

enum Passed {
    In(io::Result<usize>),
    Out(io::Result<usize>),
}

impl Connection {
    /// Connects to a server. The error is for the person in front of the screen.
    pub(super) async fn open(server: &Address) -> Result<Connection, String> {
        let connect = async { net::TcpStream::connect((server.host(), server.port())).await };
        let late = async {
            Timer::after(CONNECT).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        let stream = future::or(connect, late).await.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!(
                    "nothing listens on {server}; is the server running? Start one with \"obrolan serve\""
                )
            }
            io::ErrorKind::TimedOut => {
                format!("{server} does not answer; check the address, and the network between")
            }
            _ => format!("cannot connect to {server} ({error}); check the address"),
        })?;
        // A chat is small packets with somebody waiting; if the system refuses, it is only slower.
        let _ = stream.set_nodelay(true);
        let buffer = vec![0; 64 << 10].into_boxed_slice();
        Ok(Connection { stream: stream.into(), buffer, heard: Instant::now(), asked: false })
    }

    /// Waits until some bytes have passed in either direction, and gives them to the client.
    pub(super) async fn pass(&mut self, client: &mut Client) -> Result<(), Lost> {
        let (mut reader, mut writer) = (&*self.stream, &*self.stream);
        let read = async { Passed::In(reader.read(&mut self.buffer).await) };
        let out = client.outgoing();
        let passed = if out.is_empty() {
            read.await
        } else {
            future::race(read, async { Passed::Out(writer.write(out).await) }).await
        };
        match passed {
            Passed::In(Ok(0)) => Err(Lost(CLOSED.to_owned())),
            Passed::In(Ok(n)) => {
                self.heard = Instant::now();
                self.asked = false;
                client.receive(&self.buffer[..n]).map_err(|error| Lost(error.to_string()))
            }
            Passed::Out(Ok(n)) => {
                // What the system takes and the other side does not is little: this is a sign of life too, and with a large
                // request on a slow line for long the only one.
                self.heard = Instant::now();
                client.sent(n);
                Ok(())
            }
            Passed::In(Err(error)) | Passed::Out(Err(error)) => Err(Lost(match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => CLOSED.to_owned(),
                _ => error.to_string(),
            })),
        }
    }

    /// When it has been quiet for too long.
    pub(super) fn deadline(&self) -> Instant {
        self.heard + if self.asked { QUIET + PATIENCE } else { QUIET }
    }

    /// The deadline has passed: true if the server is to be asked for a sign of life.
    pub(super) fn is_quiet(&mut self) -> Result<bool, Lost> {
        if Instant::now() < self.deadline() {
            return Ok(false);
        }
        if self.asked {
            return Err(Lost("no sign of life from the server".to_owned()));
        }
        self.asked = true;
        Ok(true)
    }
}

/// An attempt to connect under way.
pub(super) type Attempt<'a> = Pin<Box<dyn Future<Output = Result<Connection, String>> + 'a>>;

/// Connects in `delay` milliseconds.
pub(super) fn attempt(server: &Address, delay: u64) -> Attempt<'_> {
    Box::pin(async move {
        Timer::after(Duration::from_millis(delay)).await;
        Connection::open(server).await
    })
}
