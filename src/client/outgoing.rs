//! Bytes on their way out, among them passwords.

use zeroize::{Zeroize, Zeroizing};

/// Bytes to be sent. They are wiped once they are gone, and no copy is left behind when the buffer grows.
#[derive(Default)]
pub(super) struct Outgoing {
    bytes: Zeroizing<Vec<u8>>,
    sent: usize,
}

impl Outgoing {
    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    pub(super) fn push(&mut self, line: &[u8]) {
        let length = self.unsent().len() + line.len();
        if self.bytes.len() + line.len() > self.bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
            larger.extend_from_slice(self.unsent());
            (self.bytes, self.sent) = (larger, 0);
        }
        self.bytes.extend_from_slice(line);
    }

    pub(super) fn sent(&mut self, n: usize) {
        self.sent += n.min(self.unsent().len());
        if self.unsent().is_empty() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.as_mut_slice().zeroize();
        self.bytes.clear();
        self.sent = 0;
    }
}
