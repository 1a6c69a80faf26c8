//! Strangers: connections without an account, that say anything and must be shown nothing.

use obrolan::Peer;

use crate::{
    network::{HangUp, LinkId, Who},
    world::{Event, World},
};

/// What strangers say; some of it is no request, and some has no end.
const SAYINGS: [&str; 16] = [
    "PING\n",
    "INBOX\n",
    "SUBSCRIBE\n",
    "HISTORY ani\n",
    "GET_FILE 1\n",
    "SEND ani halo\n",
    "SEND_GROUP warga halo\n",
    "JOIN_GROUP warga\n",
    "AUTH budi tebakan\n",
    "RESUME sid_00000000000000000000000000000000\n",
    "INBOX sid_00000000000000000000000000000000\n",
    "LIST_USERS\r\n\r\n",
    "{\"request\":\"INBOX\",\"tag\":\"x\"}\n",
    "inbox\r\n",
    "\u{1f44b}\0\x07 {{{\n",
    "a line without an end ",
];

#[derive(Default)]
pub(crate) struct Stranger {
    link: Option<LinkId>,
    /// Said, and not on its way yet.
    saying: Vec<u8>,
    /// All that came on this connection.
    heard: Vec<u8>,
}

impl World {
    /// A stranger comes, says something, or goes.
    pub(crate) fn bother(&mut self, at: usize) {
        if self.healed {
            return self.stranger_leaves(at);
        }
        match self.strangers[at].link {
            None => {
                let address = [10, 0, 0, at as u8];
                self.strangers[at].link = self.open(Who::Stranger(at), Peer::Address(address.into()));
            }
            Some(_) if self.random.once_in(8) => self.stranger_leaves(at),
            Some(link) => {
                let saying = match self.random.once_in(20) {
                    true => vec![b'x'; 10_000],
                    false => self.random.pick(&SAYINGS).as_bytes().to_vec(),
                };
                self.strangers[at].saying.extend(saying);
                self.stranger_writes(at, link);
            }
        }
        let pause = self.random.below(5000);
        self.schedule(pause, Event::Stranger(at));
    }

    fn stranger_leaves(&mut self, at: usize) {
        let stranger = std::mem::take(&mut self.strangers[at]);
        if let Some(link) = stranger.link {
            let how = self.random.pick(&[HangUp::Politely, HangUp::AtOnce, HangUp::Silently]);
            self.hang_up(link, how);
        }
    }

    pub(crate) fn stranger_writes(&mut self, at: usize, link: LinkId) {
        let saying = std::mem::take(&mut self.strangers[at].saying);
        let n = self.client_writes(link, &saying);
        self.strangers[at].saying = saying[n..].to_vec();
    }

    pub(crate) fn stranger_hears(&mut self, at: usize, bytes: &[u8]) {
        let heard = &mut self.strangers[at].heard;
        heard.extend(bytes);
        let text = String::from_utf8_lossy(heard);
        for secret in ["pesan-", "tokenid", "\"event\""] {
            assert!(!text.contains(secret), "a stranger hears {text}");
        }
        // What was looked at is not needed, but for its end, where a secret may begin.
        let old = heard.len().saturating_sub(20);
        heard.drain(..old);
    }
}
