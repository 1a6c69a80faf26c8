//! A world's disk, and the work it does for the engine.

use std::collections::BTreeMap;

use crate::{Answer, Ask, MessageId, Password, Seq, Snapshot};

/// How well the world does some work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// All of it.
    Done,
    /// As little as an answer may hold.
    Least,
    /// It fails.
    Failed,
}

/// What is on its way to the disk, and on it.
#[derive(Clone, Default)]
pub(super) struct Disk {
    /// What came before the first record.
    pub(super) base: Option<Snapshot>,
    /// Every record given out since.
    pub(super) records: Vec<Vec<u8>>,
    pub(super) durable: Seq,
    /// With the record that brought each, and the message before it.
    pub(super) bodies: BTreeMap<MessageId, (Seq, MessageId, Vec<u8>)>,
}

impl Disk {
    fn base(&self) -> u64 {
        self.base.as_ref().map_or(0, |base| base.seq.0)
    }

    pub(super) fn last(&self) -> Seq {
        Seq(self.base() + self.records.len() as u64)
    }

    pub(super) fn record(&self, seq: Seq) -> &[u8] {
        &self.records[(seq.0 - self.base() - 1) as usize]
    }

    /// Forgets all after a record; what is left is durable.
    pub(super) fn truncate(&mut self, last: Seq) {
        self.records.truncate((last.0 - self.base()) as usize);
        self.bodies.retain(|_, (seq, ..)| *seq <= last);
        self.durable = last;
    }

    /// Does some work.
    pub(super) fn work(&self, ask: &Ask, work: Work) -> Answer {
        match (ask, work) {
            (_, Work::Failed) => Answer::Failed,
            (Ask::HashPassword { password, .. }, _) => Answer::PasswordHash(fake_hash(password)),
            (Ask::VerifyPassword { password, hash }, _) => {
                Answer::PasswordMatches(*hash == fake_hash(password))
            }
            (Ask::ReadMessages { ids, budget }, _) => {
                let (mut bodies, mut bytes) = (Vec::new(), 0);
                for id in ids {
                    if !bodies.is_empty() && (bytes > *budget || work == Work::Least) {
                        break;
                    }
                    // A message that was lost with its record is not there to be read.
                    let Some((_, _, body)) = self.bodies.get(id) else { break };
                    bytes += body.len();
                    bodies.push(body.clone());
                }
                if bodies.is_empty() { Answer::Failed } else { Answer::Messages(bodies) }
            }
            (&Ask::ReadHistory { newest, before, floor, limit, budget }, _) => {
                let anchor = before.map(|before| self.bodies.get(&before));
                let mut next = match anchor {
                    None => newest,
                    Some(Some((_, prev, _))) => *prev,
                    Some(None) => return Answer::Failed,
                };
                let (mut messages, mut bytes) = (Vec::new(), 0);
                while next > floor && messages.len() < limit && (messages.is_empty() || bytes <= budget) {
                    let Some((_, prev, body)) = self.bodies.get(&next) else { return Answer::Failed };
                    bytes += body.len();
                    messages.push(body.clone());
                    next = *prev;
                    if work == Work::Least {
                        break;
                    }
                }
                let before = anchor.flatten().map(|(_, _, body)| body.clone());
                Answer::History { before, messages, more: next > floor }
            }
            (ask, _) => unreachable!("files are kept elsewhere: {ask:?}"),
        }
    }
}

/// What stands for a password's hash in a world.
#[must_use]
pub fn fake_hash(password: &Password) -> String {
    format!("fake${}", password.expose())
}
