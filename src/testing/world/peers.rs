//! What peers do: connect, speak, read, leave.

use std::collections::VecDeque;

use memchr::memmem;

use super::{Remote, World};
use crate::{
    Closed, Peer, Refused, Seq,
    testing::terms::{Escaped, Feed, Happened},
    wire::END,
};

impl World {
    /// A connection is made; its number.
    ///
    /// # Errors
    /// The engine refuses it.
    pub fn connect(&mut self, peer: Peer) -> Result<usize, Refused> {
        let id = self.engine.connect(self.now, peer)?;
        let conn = self.remotes.len();
        assert!(self.numbers.insert(id, conn).is_none(), "{id:?} is used again");
        self.remotes.push(Remote {
            id,
            input: VecDeque::new(),
            taken: Vec::new(),
            received: Vec::new(),
            framed: 0,
            finished: false,
            eof_told: false,
            stopped: false,
            closed: None,
            gone: false,
            begun: Seq(0),
        });
        self.referee(&[], |referee, _| referee.connected());
        self.pump();
        Ok(conn)
    }

    /// A peer says something. What the engine does not take now, it is offered as soon as it does.
    pub fn say(&mut self, conn: usize, bytes: &[u8]) {
        let remote = &mut self.remotes[conn];
        if !remote.finished && remote.open() {
            remote.input.extend(bytes);
            self.ready.push_back(conn);
            self.pump();
        }
    }

    /// A peer ends its side, after all it said, or is gone at once.
    pub fn end(&mut self, conn: usize, how: Closed) {
        let remote = &mut self.remotes[conn];
        if !remote.open() {
            return;
        }
        match how {
            Closed::Eof => {
                remote.finished = true;
                self.ready.push_back(conn);
            }
            Closed::Gone => {
                remote.gone = true;
                self.referee.iter_mut().for_each(|referee| referee.gone(conn));
                let told = self.engine.peer_closed(self.now, remote.id, Closed::Gone);
                told.expect("the connection is open");
            }
        }
        self.pump();
    }

    /// A peer reads at most `most` bytes; how many it got.
    pub fn read(&mut self, conn: usize, most: usize) -> usize {
        let remote = &mut self.remotes[conn];
        if !remote.open() {
            return 0;
        }
        let id = remote.id;
        let bytes: Vec<u8> = self.engine.outgoing(id).flatten().copied().take(most).collect();
        if bytes.is_empty() {
            return 0;
        }
        if remote.framed == remote.received.len() {
            remote.begun = self.disk.durable;
        }
        remote.received.extend(&bytes);
        let n = bytes.len();
        self.take_frames(conn);
        self.happened.push(Happened::Read(conn, Escaped(bytes)));
        self.engine.sent(self.now, id, n).expect("it was outgoing");
        self.pump();
        n
    }

    fn take_frames(&mut self, conn: usize) {
        let remote = &mut self.remotes[conn];
        while let Some(end) = memmem::find(&remote.received[remote.framed..], END) {
            let frame = &remote.received[remote.framed..remote.framed + end];
            if let Some(at) = memmem::find(frame, b"\"tokenid\":\"") {
                let id = &frame[at + 11..at + 11 + 36];
                self.session_ids.push(String::from_utf8(id.to_vec()).expect("responses are ASCII"));
            }
            self.referee.iter_mut().for_each(|referee| referee.read(conn, frame, remote.begun));
            remote.begun = self.disk.durable;
            remote.framed += end + END.len();
        }
    }

    /// Offers the engine what a peer has said, until it takes no more.
    pub(super) fn offer(&mut self, conn: usize) {
        loop {
            let cut = self.cut(conn);
            let remote = &mut self.remotes[conn];
            if !remote.open() {
                return;
            }
            if remote.input.is_empty() {
                if remote.finished && !remote.eof_told {
                    remote.eof_told = true;
                    let (told, before) =
                        (self.engine.peer_closed(self.now, remote.id, Closed::Eof), self.asked.len());
                    told.expect("the connection is open");
                    self.drain();
                    let asks = self.asked[before..].to_vec();
                    self.referee(&asks, |referee, call| referee.took_end(conn, call));
                }
                return;
            }
            if remote.stopped {
                return;
            }
            let piece: Vec<u8> = remote.input.iter().copied().take(cut).collect();
            let received = self.engine.receive(self.now, remote.id, &piece).expect("the connection is open");
            assert!(received.consumed <= piece.len());
            assert!(received.consumed == piece.len() || !received.wants_read, "bytes left, yet more wanted");
            remote.taken.extend(remote.input.drain(..received.consumed));
            remote.stopped = !received.wants_read;
            let before = self.asked.len();
            self.drain();
            let (asks, taken) = (self.asked[before..].to_vec(), &piece[..received.consumed]);
            self.referee(&asks, |referee, call| referee.took(conn, taken, call));
        }
    }

    /// How many bytes the engine is offered at once.
    fn cut(&mut self, conn: usize) -> usize {
        let input = &self.remotes[conn].input;
        match &self.feed {
            Feed::Whole => input.len(),
            Feed::Lines => input.iter().position(|b| *b == b'\n').map_or(input.len(), |end| end + 1),
            Feed::Pieces(sizes) => {
                self.fed += 1;
                sizes[self.fed % sizes.len()]
            }
        }
    }
}
