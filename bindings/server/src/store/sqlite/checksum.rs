//! The checksums: what each covers, and in which order.

use crc32c::{crc32c, crc32c_append};

use super::file::LAYOUT;

/// The end of the journal: the last record's number, 0 before the first, and its checksum.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) chain: u32,
}

impl Head {
    pub(super) fn crc(self) -> u32 {
        let crc = crc32c(&LAYOUT.to_le_bytes());
        let crc = crc32c_append(crc, &self.seq.to_le_bytes());
        crc32c_append(crc, &self.chain.to_le_bytes())
    }
}

pub(super) fn snapshot(at: Head, bytes: &[u8]) -> u32 {
    crc32c_append(at.crc(), bytes)
}

pub(super) fn message(id: u64, prev: u64, body: &[u8]) -> u32 {
    let crc = crc32c(&id.to_le_bytes());
    crc32c_append(crc32c_append(crc, &prev.to_le_bytes()), body)
}

/// A record's link in the chain; `carried` is its message's number and checksum. The record's length is part of it, so that no byte
/// can pass from the record to what follows it.
pub(super) fn record(before: u32, seq: u64, head: &[u8], carried: Option<(u64, u32)>) -> u32 {
    let crc = crc32c(&before.to_le_bytes());
    let crc = crc32c_append(crc, &seq.to_le_bytes());
    let crc = crc32c_append(crc, &(head.len() as u64).to_le_bytes());
    let crc = crc32c_append(crc, head);
    carried.map_or(crc, |(id, message)| {
        crc32c_append(crc32c_append(crc, &id.to_le_bytes()), &message.to_le_bytes())
    })
}
