//! The socket of a client.

use std::{
    future::Future,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use obrolan::client::{Client, ProtocolError, Response};
use smol::{Async, Timer, future, net};

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
pub(crate) struct Connection {
    stream: Arc<Async<TcpStream>>,
    buffer: Box<[u8]>,
    heard: Instant,
    /// It was asked for a sign of life.
    asked: bool,
}

/// A connection's end, and why. In words, it is for the person in front of the screen or for a log.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Lost {
    /// It was not made, or it broke off.
    #[error("{0}")]
    Gone(String),
    /// The server does not speak the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The server refused the login for now.
    #[error("the server did not let it in: {}", .0.reason())]
    Refused(Response),
}

impl Lost {
    /// How long the server said to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Lost::Refused(response) => response.retry_after(),
            Lost::Gone(_) | Lost::Protocol(_) => None,
        }
    }
}

impl Connection {
    /// Connects to a server. The error is for the person in front of the screen.
    pub(crate) async fn open(server: &Address) -> Result<Connection, String> {
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

    /// Waits until some bytes can pass in either direction, and lets them: [`ready`](Self::ready), then [`exchange`](Self::exchange).
    pub(crate) async fn pass(&mut self, client: &mut Client) -> Result<(), Lost> {
        self.ready(!client.outgoing().is_empty()).await;
        self.exchange(client)
    }

    /// Waits until there is something to be read or, if that is wanted, room to write.
    pub(crate) async fn ready(&self, to_write: bool) {
        // What is wrong with the socket, reading and writing will tell.
        let readable = async { drop(self.stream.readable().await) };
        let writable = async { drop(self.stream.writable().await) };
        if to_write { future::race(readable, writable).await } else { readable.await }
    }

    /// Lets pass what can without waiting, in both directions. What is left to be read or written is left to the next call, so that
    /// nobody waits for a long answer to somebody else.
    pub(crate) fn exchange(&mut self, client: &mut Client) -> Result<(), Lost> {
        // Reading comes first: what a server said before it closed is there to be read, writing to it is an error.
        match self.stream.get_ref().read(&mut self.buffer) {
            Ok(0) => return Err(Lost::Gone(CLOSED.to_owned())),
            Ok(n) => {
                self.heard = Instant::now();
                self.asked = false;
                client.receive(&self.buffer[..n])?;
            }
            Err(error) => later(error)?,
        }
        while !client.outgoing().is_empty() {
            match self.stream.get_ref().write(client.outgoing()) {
                Ok(n) => {
                    // What the system takes and the other side does not is little: this is a sign of life too, and with a
                    // large request on a slow line for long the only one.
                    self.heard = Instant::now();
                    client.sent(n);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => later(error)?,
            }
        }
        Ok(())
    }

    /// When it has been quiet for too long.
    pub(crate) fn deadline(&self) -> Instant {
        self.heard + if self.asked { QUIET + PATIENCE } else { QUIET }
    }

    /// The deadline has passed: true if the server is to be asked for a sign of life.
    pub(crate) fn is_quiet(&mut self) -> Result<bool, Lost> {
        if Instant::now() < self.deadline() {
            return Ok(false);
        }
        if self.asked {
            return Err(Lost::Gone("no sign of life from the server".to_owned()));
        }
        self.asked = true;
        Ok(true)
    }
}

/// Whether an error of a socket only means to try again later.
fn later(error: io::Error) -> Result<(), Lost> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Err(Lost::Gone(CLOSED.to_owned())),
        _ => Err(Lost::Gone(error.to_string())),
    }
}

/// An attempt to connect under way.
pub(crate) type Attempt<'a> = Pin<Box<dyn Future<Output = Result<Connection, String>> + 'a>>;

/// Connects after `delay`.
pub(crate) fn attempt(server: &Address, delay: Duration) -> Attempt<'_> {
    Box::pin(async move {
        Timer::after(delay).await;
        Connection::open(server).await
    })
}
