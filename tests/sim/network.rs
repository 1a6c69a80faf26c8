//! Connections: bytes that take their time, come in pieces, get stuck, or never come.

use std::collections::BTreeMap;

use obrolan::{Closed, ConnId, Peer};

use crate::world::{Event, World};

/// A connection, one number for its whole life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkId(u64);

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// To the server.
    Up,
    /// To the client.
    Down,
}

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    User(usize),
    Stranger(usize),
}

/// How a client lets a connection go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HangUp {
    /// It says so, and what it sent arrives.
    Politely,
    /// It says so, and what is on its way may be gone.
    AtOnce,
    /// It says nothing: the server finds out much later, and what is on its way may arrive.
    Silently,
}

#[derive(Default)]
pub(crate) struct Network {
    links: BTreeMap<LinkId, Link>,
    last: u64,
}

struct Link {
    who: Who,
    /// The server's side, until it is closed there.
    conn: Option<ConnId>,
    /// Whether the client's side is open.
    here: bool,
    up: Pipe,
    down: Pipe,
}

#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    /// What comes after the bytes.
    end: Option<Closed>,
    /// A delivery is due.
    moving: bool,
    /// The receiver takes nothing until it says so.
    held: bool,
    stalled_until: u64,
}

impl Link {
    fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

impl Network {
    /// The connections that are open at the client's side.
    pub(crate) fn open(&self) -> Vec<LinkId> {
        self.links.iter().filter(|(_, link)| link.here).map(|(id, _)| *id).collect()
    }

    /// Whether a connection is open at both sides.
    pub(crate) fn is_whole(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.here && link.conn.is_some() && link.up.end.is_none())
    }

    /// Whether nothing is on its way, except to or from those who are gone.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.links.values().all(|link| {
            let (up, down) = (link.conn.is_some(), link.here);
            (!up || link.up.bytes.is_empty())
                && (!down || link.down.bytes.is_empty() && link.down.end.is_none())
        })
    }

    /// A connection carries nothing until then.
    pub(crate) fn stall(&mut self, id: LinkId, ways: &[Way], until: u64) {
        if let Some(link) = self.links.get_mut(&id) {
            ways.iter().for_each(|way| link.pipe(*way).stalled_until = until);
        }
    }

    /// All connections carry again.
    pub(crate) fn heal(&mut self) {
        for link in self.links.values_mut() {
            (link.up.stalled_until, link.down.stalled_until) = (0, 0);
        }
    }
}

impl World {
    /// Opens a connection, if the server takes it.
    pub(crate) fn open(&mut self, who: Who, peer: Peer) -> Option<LinkId> {
        let now = self.clock();
        let server = self.server.as_mut()?;
        let conn = server.engine.connect(now, peer).ok()?;
        self.network.last += 1;
        let id = LinkId(self.network.last);
        server.links.insert(conn, id);
        let link = Link { who, conn: Some(conn), here: true, up: Pipe::default(), down: Pipe::default() };
        self.network.links.insert(id, link);
        self.note(format_args!("{id:?} is opened by {who:?}"));
        self.drain();
        Some(id)
    }

    /// The client's side writes, as much as there is room for; how much that was.
    pub(crate) fn client_writes(&mut self, id: LinkId, bytes: &[u8]) -> usize {
        let window = self.plan.window;
        let Some(link) = self.network.links.get_mut(&id).filter(|link| link.here) else { return 0 };
        if link.up.end.is_some() {
            // It is broken, and that is not known here yet.
            return bytes.len();
        }
        let n = bytes.len().min(window.saturating_sub(link.up.bytes.len()));
        link.up.bytes.extend_from_slice(&bytes[..n]);
        self.move_on(id, Way::Up);
        n
    }

    /// The server's side writes, as much as there is room for.
    pub(crate) fn server_writes(&mut self, id: LinkId) {
        let (now, window) = (self.clock(), self.plan.window);
        let Some(server) = &mut self.server else { return };
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let Some(conn) = link.conn else { return };
        let room = window.saturating_sub(link.down.bytes.len());
        let before = link.down.bytes.len();
        for slice in server.engine.outgoing(conn) {
            let room = room - (link.down.bytes.len() - before);
            link.down.bytes.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        let n = link.down.bytes.len() - before;
        if link.down.end.is_some() {
            link.down.bytes.truncate(before);
        }
        if n > 0 {
            server.engine.sent(now, conn, n).expect("it was outgoing");
            self.move_on(id, Way::Down);
        }
    }

    /// The client's side is closed.
    pub(crate) fn hang_up(&mut self, id: LinkId, how: HangUp) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        link.here = false;
        link.down.bytes.clear();
        let len = link.up.bytes.len() as u64;
        // However it ends, the server does not keep it for ever.
        let late = match how {
            HangUp::Politely => {
                // Only after whole lines: the end of a stream makes a request of half a line.
                link.up.end = Some(self.random.pick(&[Closed::Eof, Closed::Gone]));
                10_000
            }
            HangUp::AtOnce => {
                link.up.bytes.truncate(self.random.below(len + 1) as usize);
                link.up.end = Some(Closed::Gone);
                10_000
            }
            HangUp::Silently => {
                link.up.bytes.truncate(self.random.below(len + 1) as usize);
                link.down.held = true;
                60_000 + self.random.below(600_000)
            }
        };
        self.note(format_args!("{id:?} is hung up {how:?}"));
        self.schedule(late, Event::End(id));
        self.move_on(id, Way::Up);
        self.bury(id);
    }

    /// A connection breaks. Both sides find out, and what is on its way may be gone.
    pub(crate) fn cut(&mut self, id: LinkId) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        for pipe in [&mut link.up, &mut link.down] {
            pipe.bytes.truncate(self.random.below(pipe.bytes.len() as u64 + 1) as usize);
            pipe.end = Some(Closed::Gone);
        }
        self.note(format_args!("{id:?} is cut"));
        self.move_on(id, Way::Up);
        self.move_on(id, Way::Down);
    }

    /// The server finds out that a client is gone, whatever was on its way.
    pub(crate) fn end(&mut self, id: LinkId) {
        if let Some(link) = self.network.links.get_mut(&id) {
            link.up.bytes.clear();
            link.up.end = Some(Closed::Gone);
            self.move_on(id, Way::Up);
        }
    }

    /// The server has closed its side.
    pub(crate) fn server_closes(&mut self, id: LinkId) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        link.conn = None;
        link.up.bytes.clear();
        link.down.end = Some(Closed::Eof);
        self.move_on(id, Way::Down);
        self.bury(id);
    }

    /// The server died. The client finds out soon, or never.
    pub(crate) fn server_is_gone(&mut self, id: LinkId) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        link.conn = None;
        link.up.bytes.clear();
        let arrives = self.random.below(link.down.bytes.len() as u64 + 1);
        link.down.bytes.truncate(arrives as usize);
        if !self.random.once_in(4) {
            link.down.end = Some(Closed::Gone);
        }
        self.move_on(id, Way::Down);
        self.bury(id);
    }

    /// The receiver takes bytes again.
    pub(crate) fn release(&mut self, id: LinkId, way: Way) {
        if let Some(link) = self.network.links.get_mut(&id) {
            link.pipe(way).held = false;
            self.move_on(id, way);
        }
    }

    /// Some of what is on its way arrives.
    pub(crate) fn deliver(&mut self, id: LinkId, way: Way) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let (pipe, now) = (link.pipe(way), self.now);
        pipe.moving = false;
        if pipe.stalled_until > now {
            return self.move_on(id, way);
        }
        let (len, slow) = (pipe.bytes.len(), way == Way::Down && is_slow(link.who, self.plan.slow));
        let n = match len {
            0 => 0,
            _ if slow && !self.healed => 1 + self.random.below(len.min(len / 8 + 64) as u64) as usize,
            _ if self.random.once_in(self.plan.cuts) => {
                1 + self.random.below(len.min(len / 4 + 9) as u64) as usize
            }
            _ => len,
        };
        match way {
            Way::Up => self.deliver_up(id, n),
            Way::Down => self.deliver_down(id, n),
        }
        self.move_on(id, way);
        self.bury(id);
    }

    fn deliver_up(&mut self, id: LinkId, n: usize) {
        let now = self.clock();
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let (Some(server), Some(conn)) = (&mut self.server, link.conn) else {
            link.up = Pipe::default();
            return;
        };
        if n > 0 {
            let piece = link.up.bytes[..n].to_vec();
            let received = server.engine.receive(now, conn, &piece).expect("the connection is open");
            link.up.bytes.drain(..received.consumed);
            link.up.held = !received.wants_read;
            self.trace.bytes(self.now, &piece[..received.consumed]);
        }
        if link.up.bytes.is_empty()
            && let Some(end) = link.up.end.take()
        {
            server.engine.peer_closed(now, conn, end).expect("the connection is open");
            if end == Closed::Gone {
                link.conn = None;
                server.links.remove(&conn);
            }
            self.trace.note(self.now, format_args!("{id:?} ended by {end:?}"));
        }
        let (who, here) = (link.who, link.here);
        self.drain();
        if here {
            self.writes(who, id);
        }
    }

    fn deliver_down(&mut self, id: LinkId, n: usize) {
        let Some(link) = self.network.links.get_mut(&id) else { return };
        if !link.here {
            link.down = Pipe::default();
            self.server_writes(id);
            return self.drain();
        }
        let (who, piece) = (link.who, link.down.bytes[..n].to_vec());
        link.down.bytes.drain(..n);
        let ended = link.down.bytes.is_empty() && link.down.end.take().is_some();
        self.trace.bytes(self.now, &piece);
        if n > 0 {
            self.server_writes(id);
            self.drain();
            self.hears(who, id, &piece);
        }
        if ended {
            if let Some(link) = self.network.links.get_mut(&id) {
                link.here = false;
            }
            self.is_hung_up(who, id);
        }
    }

    /// Makes the next delivery due, if there is something to deliver.
    fn move_on(&mut self, id: LinkId, way: Way) {
        let latency = if self.healed { 1 } else { self.plan.latency };
        let Some(link) = self.network.links.get_mut(&id) else { return };
        let slow = way == Way::Down && is_slow(link.who, self.plan.slow) && !self.healed;
        let pipe = link.pipe(way);
        if pipe.moving || pipe.held && !pipe.bytes.is_empty() || pipe.bytes.is_empty() && pipe.end.is_none() {
            return;
        }
        pipe.moving = true;
        let stalled = pipe.stalled_until.saturating_sub(self.now);
        let after = 1 + self.random.below(latency) + if slow { 500 } else { 0 };
        self.schedule(after.max(stalled), Event::Deliver(id, way));
    }

    /// Forgets a connection that can carry nothing to the server any more. The client's side may not know it yet.
    fn bury(&mut self, id: LinkId) {
        let Some(link) = self.network.links.get(&id) else { return };
        let carries_up = link.conn.is_some() && (link.here || !link.up.bytes.is_empty());
        if !carries_up {
            self.ledger.link_is_dead(id);
        }
        if link.conn.is_none() && !link.here {
            self.network.links.remove(&id);
        }
    }
}

fn is_slow(who: Who, slow: usize) -> bool {
    matches!(who, Who::User(user) if user < slow)
}
