//! Files in parts, one request at a time: what comes next, and what an answer means. Without files, sockets and clocks.

use std::{ops::Range, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use obrolan::{client::Response, wire::Code};
use sha2::{Digest, Sha256};

use crate::store::hex;

/// Bytes of a part: with base64 and the rest of the line below the limit of a line.
const PART: u64 = 512 << 10;
/// How long a busy server is left alone,
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
/// and so many times in a row.
pub(crate) const PAUSES: u32 = 30;
/// So many times an upload begins anew because the server has lost it.
const ANEW: u32 = 3;

/// What to do after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make the next request.
    Next,
    /// Make the same one after a [`PAUSE`].
    Pause,
    /// Nothing: that was the last.
    Whole,
}

/// Why it does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The server refused.
    Refused,
    /// What came is not the file's next part.
    NotNext,
    /// What came is, in all, not the file.
    NotSame,
}

/// A file on its way to the server.
pub(crate) struct Upload {
    done: u64,
    size: u64,
    pauses: u32,
    anew: u32,
}

impl Upload {
    pub(crate) fn new(size: u64) -> Upload {
        Upload { done: 0, size, pauses: 0, anew: 0 }
    }

    /// How many bytes the server has.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// How many there are.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The bytes to upload next; `None` when the server has all, and the file is to be sent.
    pub(crate) fn part(&self) -> Option<Range<u64>> {
        let end = self.size.min(self.done + PART);
        (self.done < end).then_some(self.done..end)
    }

    /// Takes the answer to the request of the last [`part`](Self::part).
    pub(crate) fn answered(&mut self, response: &Response) -> Result<Step, Wrong> {
        if response.is_ok() {
            self.pauses = 0;
            let Some(part) = self.part() else { return Ok(Step::Whole) };
            self.done = part.end;
            return Ok(Step::Next);
        }
        // An upload does not outlive the server, and another of the user's clients may send one of the same name.
        let lost = self.done > 0 && matches!(response.code(), Some(Code::BadParameters | Code::NoSuchFile));
        if lost && self.anew < ANEW {
            self.anew += 1;
            self.done = 0;
            return Ok(Step::Next);
        }
        pause(&mut self.pauses, response)
    }
}

/// A file on its way from the server.
pub(crate) struct Download {
    done: u64,
    size: Option<u64>,
    pauses: u32,
    digest: Sha256,
    /// What it should be, in hex.
    sha256: Option<String>,
}

impl Download {
    /// With the SHA-256 that its message tells, it is compared in the end.
    pub(crate) fn new(sha256: Option<String>) -> Download {
        Download { done: 0, size: None, pauses: 0, digest: Sha256::new(), sha256 }
    }

    /// How many bytes have come: where the next part begins.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// How many there are, once the server has told.
    pub(crate) fn size(&self) -> Option<u64> {
        self.size
    }

    /// Takes the answer to GET_FILE from [`done`](Self::done) on, and returns the part that came with it.
    pub(crate) fn answered(&mut self, response: &Response) -> Result<(Step, Vec<u8>), Wrong> {
        if !response.is_ok() {
            return pause(&mut self.pauses, response).map(|step| (step, Vec::new()));
        }
        self.pauses = 0;
        let part = BASE64_STANDARD.decode(response.data()).map_err(|_| Wrong::NotNext)?;
        let size = response.number("size").ok_or(Wrong::NotNext)?;
        let end = self.done + part.len() as u64;
        let next = (end < size).then_some(end);
        let follows =
            response.number("offset") == Some(self.done) && self.size.is_none_or(|same| same == size);
        if !follows || end > size || response.number("next") != next || part.is_empty() && next.is_some() {
            return Err(Wrong::NotNext);
        }
        (self.done, self.size) = (end, Some(size));
        self.digest.update(&part);
        if next.is_some() {
            return Ok((Step::Next, part));
        }
        let digest = hex(&std::mem::take(&mut self.digest).finalize().into());
        if self.sha256.as_ref().is_some_and(|sha256| *sha256 != digest) {
            return Err(Wrong::NotSame);
        }
        Ok((Step::Whole, part))
    }
}

fn pause(pauses: &mut u32, response: &Response) -> Result<Step, Wrong> {
    if !response.is_temporary() || *pauses == PAUSES {
        return Err(Wrong::Refused);
    }
    *pauses += 1;
    Ok(Step::Pause)
}
