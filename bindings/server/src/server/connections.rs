//! Sockets: accepting, reading, writing.

use std::{
    cell::Cell,
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    rc::Rc,
    time::Duration,
};

use obrolan::{ConnId, Outgoing, wire};
use rustix::net::sockopt;
use smol::{Async, Timer, future};

use super::{hub::Hub, seldom::Seldom, signal::Signal};

/// A connection's socket and what its tasks tell each other.
pub(super) struct Socket {
    stream: Async<TcpStream>,
    /// Who is at the other end.
    pub(super) peer: SocketAddr,
    /// The engine takes bytes again.
    pub(super) readable: Signal,
    /// A task waits until the socket takes more.
    pub(super) blocked: Cell<bool>,
}

/// What one attempt to write did.
pub(super) enum Written {
    /// This many bytes went.
    Bytes(usize),
    /// The socket takes no more now.
    Blocked,
    /// The connection is gone.
    Gone,
}

impl Socket {
    /// Writes as much of these as one system call takes.
    pub(super) fn write(&self, outgoing: Outgoing<'_>) -> Written {
        const MOST: usize = 64;
        let mut slices = [IoSlice::new(&[]); MOST];
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(outgoing) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        if count == 0 {
            return Written::Bytes(0);
        }
        loop {
            match self.stream.get_ref().write_vectored(&slices[..count]) {
                Ok(n) => return Written::Bytes(n),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Written::Blocked,
                Err(_) => return Written::Gone,
            }
        }
    }

    /// Waits until the socket takes more bytes.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.stream.writable().await
    }

    /// Ends both directions: the peer is told, and the reading task wakes up.
    pub(super) fn shut_down(&self) {
        // It fails only if the peer was first.
        let _ = self.stream.get_ref().shutdown(Shutdown::Both);
    }

    /// Tells the peer that nothing more comes, and waits a while until it has read the last and says the same. To close at
    /// once, with bytes of the peer's unread, would be a reset, which may overtake the last response.
    pub(super) async fn linger(&self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
        self.readable.raise();
        Timer::after(LINGER).await;
        self.shut_down();
    }

    /// Reads what the peer still sends, for nobody.
    async fn discard(&self, hub: &Hub) {
        while self.stream.readable().await.is_ok() {
            let read = hub.with_buffer(|buffer| self.stream.get_ref().read(buffer));
            match read {
                Ok(0) => return,
                Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    return;
                }
                _ => {}
            }
        }
    }
}

/// How long a peer has to read the last response after the connection is closed from this side.
const LINGER: Duration = Duration::from_secs(1);

/// How long a connection is silent before the system asks whether its peer is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(120);

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A peer may vanish without a word: switched off, or forgotten by the router between. Who has a session may be
    // silent for as long as they like, so the engine would hold such a connection for good.
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE)?;
    Ok(())
}

/// Takes connections as they come, forever.
pub(super) async fn accept(hub: Rc<Hub>, listener: Async<TcpListener>) {
    let (refusals, failures) = (Seldom::default(), Seldom::default());
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = prepare(stream.get_ref()) {
                    tracing::debug!(%peer, "the connection was over before it began: {error}");
                    continue;
                }
                match hub.connect(peer.ip()) {
                    Ok(conn) => {
                        tracing::debug!(%peer, ?conn, "connected");
                        let socket = Rc::new(Socket {
                            stream,
                            peer,
                            readable: Signal::default(),
                            blocked: Cell::new(false),
                        });
                        hub.opened(conn, socket.clone());
                        hub.spawn(read(hub.clone(), conn, socket));
                    }
                    Err(refused) => {
                        refusals.tell(|others| tracing::warn!(others, "refused a connection: {refused}"));
                        refuse(stream.get_ref());
                    }
                }
                // The next may be there already, but those who are connected have their turn first.
                future::yield_now().await;
            }
            Err(error) => {
                // Mostly there are no descriptors left; until one is free, asking again would only turn in circles.
                failures.tell(|others| {
                    tracing::warn!(others, "cannot take a connection ({error}); trying again every 100 ms");
                });
                Timer::after(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Tells why the connection is not taken, if its socket takes that much.
fn refuse(mut stream: &TcpStream) {
    let mut response = Vec::new();
    wire::Object::error(&mut response, None, wire::Code::Busy).end_frame();
    let _ = stream.write(&response);
}

/// Reads a connection to its end.
async fn read(hub: Rc<Hub>, conn: ConnId, socket: Rc<Socket>) {
    let mut kept = Vec::new();
    loop {
        hub.wait_for_store().await;
        let filled = hub.with_buffer(|buffer| match socket.stream.get_ref().read(buffer) {
            Ok(0) => Taken::Eof,
            Ok(n) => match hub.received(conn, &buffer[..n]) {
                None => Taken::Over,
                Some(consumed) if consumed == n => Taken::All { full: n == buffer.len() },
                Some(consumed) => {
                    kept.extend_from_slice(&buffer[consumed..n]);
                    Taken::Kept
                }
            },
            Err(error) if error.kind() == ErrorKind::WouldBlock => Taken::All { full: false },
            Err(error) if error.kind() == ErrorKind::Interrupted => Taken::All { full: true },
            Err(_) => Taken::Gone,
        });
        match filled {
            // There is likely more, but others have their turn first.
            Taken::All { full: true } => future::yield_now().await,
            Taken::All { full: false } => {
                if socket.stream.readable().await.is_err() {
                    return hub.gone(conn);
                }
            }
            Taken::Kept => {
                let mut start = 0;
                while start < kept.len() {
                    socket.readable.wait().await;
                    match hub.received(conn, &kept[start..]) {
                        Some(consumed) => start += consumed,
                        None => return socket.discard(&hub).await,
                    }
                }
                kept = Vec::new();
            }
            Taken::Eof => return hub.end_of_stream(conn),
            Taken::Gone => return hub.gone(conn),
            Taken::Over => return socket.discard(&hub).await,
        }
    }
}

/// What one attempt to read did.
enum Taken {
    /// The engine has all of it; `full` if there is likely more.
    All { full: bool },
    /// Some is kept until the engine takes it.
    Kept,
    /// The peer sends nothing more.
    Eof,
    /// The connection failed.
    Gone,
    /// The engine has closed the connection.
    Over,
}
