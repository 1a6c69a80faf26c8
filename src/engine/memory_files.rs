//! Files kept by the engine itself, for hosts without a store.

use std::{collections::BTreeMap, sync::Arc};

use sha2::{Digest, Sha256};

use super::{Answer, Ask};

/// Contents of files by their SHA-256, and uploads by their numbers.
#[derive(Clone)]
pub(crate) struct MemoryFiles {
    contents: BTreeMap<[u8; 32], Arc<[u8]>>,
    uploads: BTreeMap<u64, Vec<u8>>,
    limit: usize,
}

impl MemoryFiles {
    pub(crate) fn new(limit: usize) -> MemoryFiles {
        MemoryFiles { contents: BTreeMap::new(), uploads: BTreeMap::new(), limit }
    }

    /// Whether there is room for so many bytes more, in place of some that are there.
    pub(super) fn has_room(&self, more: u64, instead_of: u64) -> bool {
        let contents: usize = self.contents.values().map(|bytes| bytes.len()).sum();
        let uploads: usize = self.uploads.values().map(Vec::len).sum();
        (contents + uploads) as u64 - instead_of + more <= self.limit as u64
    }

    pub(super) fn get(&self, sha256: &[u8; 32]) -> Option<&Arc<[u8]>> {
        self.contents.get(sha256)
    }

    /// Keeps a content that comes from the journal.
    pub(super) fn insert(&mut self, sha256: [u8; 32], bytes: &[u8]) {
        self.contents.insert(sha256, bytes.into());
    }

    /// Forgets the contents that are not `named`.
    pub(super) fn retain(&mut self, named: impl Fn(&[u8; 32]) -> bool) {
        self.contents.retain(|sha256, _| named(sha256));
    }

    /// All contents by their SHA-256.
    pub(super) fn sorted(&self) -> Vec<([u8; 32], &[u8])> {
        self.contents.iter().map(|(sha256, bytes)| (*sha256, &**bytes)).collect()
    }

    /// Does the work of an [`Ask`] about files.
    pub(crate) fn work(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::AppendUpload { upload, offset, bytes } => {
                let held = self.uploads.entry(upload).or_default();
                held.truncate(offset as usize);
                held.extend_from_slice(&bytes);
                Answer::Done
            }
            Ask::FinishUpload { upload } => {
                let bytes = self.uploads.remove(&upload).expect("what is finished was begun");
                let (sha256, size) = (Sha256::digest(&bytes).into(), bytes.len() as u64);
                self.contents.entry(sha256).or_insert_with(|| bytes.into());
                Answer::FileStored { sha256, size }
            }
            Ask::DropUpload { upload } => {
                self.uploads.remove(&upload);
                Answer::Done
            }
            Ask::ReadFile { sha256, offset, length } => {
                let read = self.contents.get(&sha256).and_then(|bytes| {
                    let start = usize::try_from(offset).ok()?;
                    bytes.get(start..start.checked_add(length)?)
                });
                read.map_or(Answer::Failed, |bytes| Answer::FileBytes(bytes.to_vec()))
            }
            _ => unreachable!("that is not about a file"),
        }
    }
}
