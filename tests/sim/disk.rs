//! A disk in memory that keeps what was synced, and of the rest what chance lets it keep.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
};

use crate::random::Random;

/// What the disk writes in one piece, in bytes. A piece of it that a write does not cover stays as it was
/// (SQLite calls this powersafe overwrite, and relies on it).
const SECTOR: usize = 512;

/// How often the disk refuses: once in so many operations; `None` is never.
#[derive(Clone, Copy, Default)]
pub(crate) struct Trouble {
    pub(crate) reads: Option<u64>,
    pub(crate) writes: Option<u64>,
    pub(crate) syncs: Option<u64>,
    /// Every write is refused for want of room.
    pub(crate) full: bool,
}

/// The files of one folder.
pub(crate) struct Disk {
    files: BTreeMap<String, File>,
    /// Files whose end is not durable, as a power cut brings them back.
    removed: BTreeMap<String, Vec<u8>>,
    /// How many changes it makes before its power goes.
    power: Option<u64>,
    pub(crate) trouble: Trouble,
    random: Random,
    pub(crate) counts: Counts,
}

/// What it has done.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) syncs: u64,
    pub(crate) refused_syncs: u64,
    pub(crate) refused_others: u64,
    /// Sectors that a power cut took.
    pub(crate) lost_sectors: u64,
}

#[derive(Default)]
struct File {
    /// As programs see it.
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Whether it has its name after a power cut.
    named: bool,
    /// What was changed since it was synced, the oldest first.
    changes: Vec<Change>,
}

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Disk {
    /// A disk with one durable file.
    pub(crate) fn new(random: Random, name: &str, content: &[u8]) -> Disk {
        let file = File { seen: content.to_vec(), durable: content.to_vec(), named: true, changes: vec![] };
        Disk {
            files: BTreeMap::from([(name.to_owned(), file)]),
            removed: BTreeMap::new(),
            power: None,
            trouble: Trouble::default(),
            random,
            counts: Counts::default(),
        }
    }

    /// Its power goes after so many more changes.
    pub(crate) fn cut_power_after(&mut self, changes: u64) {
        self.power = Some(changes);
    }

    pub(crate) fn is_off(&self) -> bool {
        self.power == Some(0)
    }

    /// It has power again, and whoever had files open is gone. If the power was really cut, and not just a process killed, the changes
    /// that were not synced are there in part: each sector, each length and each name as chance has it.
    pub(crate) fn power_on(&mut self, was_cut: bool) {
        self.power = None;
        if !was_cut {
            return;
        }
        // In order up to some point, or any of them.
        let (kept, in_order) = (self.random.pick(&[0, 10, 50, 90, 100]), self.random.once_in(3));
        let mut left = in_order.then(|| self.random.below(64));
        let random = &mut self.random;
        let mut keeps = |_: &Change| match &mut left {
            None => random.below(100) < kept,
            Some(left) => {
                let keeps = *left > 0;
                *left = left.saturating_sub(1);
                keeps
            }
        };
        for file in self.files.values_mut() {
            self.counts.lost_sectors += file.lose_changes(&mut keeps);
            file.seen.clone_from(&file.durable);
        }
        for (name, old) in std::mem::take(&mut self.removed) {
            if self.random.once_in(2) {
                self.files
                    .insert(name, File { seen: old.clone(), durable: old, named: true, changes: vec![] });
            }
        }
        let random = &mut self.random;
        self.files.retain(|_, file| file.named || random.once_in(2));
        self.files.values_mut().for_each(|file| file.named = true);
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// What programs see of a file.
    pub(crate) fn content(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(|file| &file.seen[..])
    }

    /// All that programs see of a file was written again and synced.
    pub(crate) fn written_anew(&mut self, name: &str) {
        if let Some(file) = self.files.get_mut(name) {
            file.changes.clear();
            file.durable.clone_from(&file.seen);
            file.named = true;
            self.removed.remove(name);
        }
    }

    pub(crate) fn create(&mut self, name: &str) -> io::Result<()> {
        self.spend()?;
        self.files.entry(name.to_owned()).or_default();
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) -> io::Result<()> {
        self.spend()?;
        let file = self.files.remove(name).ok_or(ErrorKind::NotFound)?;
        if file.named {
            self.removed.insert(name.to_owned(), file.durable);
        }
        Ok(())
    }

    pub(crate) fn len(&self, name: &str) -> io::Result<u64> {
        self.files.get(name).map(|file| file.seen.len() as u64).ok_or(ErrorKind::NotFound.into())
    }

    /// Fills `buf`; what lies beyond the file's end is zeros, and an error.
    pub(crate) fn read(&mut self, name: &str, at: u64, buf: &mut [u8]) -> io::Result<()> {
        if self.is_off() || self.refuses(self.trouble.reads) {
            return Err(io::Error::other("the disk does not read"));
        }
        let seen = &self.files.get(name).ok_or(ErrorKind::NotFound)?.seen;
        let from = seen.get(at as usize..).unwrap_or_default();
        let n = from.len().min(buf.len());
        buf[..n].copy_from_slice(&from[..n]);
        buf[n..].fill(0);
        if n < buf.len() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    pub(crate) fn write(&mut self, name: &str, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.spend()?;
        let refused = self.refuses(self.trouble.writes);
        if self.trouble.full {
            self.counts.refused_others += 1;
            return Err(ErrorKind::WriteZero.into());
        }
        // A write that fails may have got somewhere, sector by sector.
        let sectors = bytes.len() / SECTOR;
        let done =
            if refused { self.random.below(sectors as u64 + 1) as usize * SECTOR } else { bytes.len() };
        let file = self.files.get_mut(name).ok_or(ErrorKind::NotFound)?;
        file.change(Change::Write { at: at as usize, bytes: bytes[..done].to_vec() });
        if refused { Err(io::Error::other("the disk does not write")) } else { Ok(()) }
    }

    pub(crate) fn set_len(&mut self, name: &str, len: u64) -> io::Result<()> {
        self.spend()?;
        let file = self.files.get_mut(name).ok_or(ErrorKind::NotFound)?;
        file.change(Change::SetLen(len as usize));
        Ok(())
    }

    /// Makes all changes of a file durable. If it refuses, it has kept some of them, and forgets that it has not kept the others: they
    /// are seen until the power goes, and no later sync makes them durable. So do Linux's file systems.
    pub(crate) fn sync(&mut self, name: &str) -> io::Result<()> {
        self.spend()?;
        let refused = self.refuses(self.trouble.syncs);
        let file = self.files.get_mut(name).ok_or(ErrorKind::NotFound)?;
        if refused {
            self.counts.refused_syncs += 1;
            let random = &mut self.random;
            file.lose_changes(&mut |_| random.once_in(2));
            return Err(io::Error::other("the disk does not sync"));
        }
        self.counts.syncs += 1;
        for change in std::mem::take(&mut file.changes) {
            change.apply(&mut file.durable);
        }
        file.named = true;
        self.removed.remove(name);
        Ok(())
    }

    fn spend(&mut self) -> io::Result<()> {
        match &mut self.power {
            Some(0) => return Err(io::Error::other("the disk is off")),
            Some(left) => *left -= 1,
            None => {}
        }
        if self.is_off() { Err(io::Error::other("the disk went off")) } else { Ok(()) }
    }

    fn refuses(&mut self, once_in: Option<u64>) -> bool {
        once_in.is_some_and(|n| self.random.once_in(n))
    }
}

impl File {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.changes.push(change);
    }

    /// Makes those changes durable that `keeps` says, sector by sector, and forgets the others. How many sectors those were.
    fn lose_changes(&mut self, keeps: &mut impl FnMut(&Change) -> bool) -> u64 {
        let mut lost = 0;
        for change in std::mem::take(&mut self.changes).into_iter().flat_map(Change::sectors) {
            if keeps(&change) {
                change.apply(&mut self.durable);
            } else {
                lost += 1;
            }
        }
        lost
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { at, bytes } => {
                if content.len() < *at {
                    content.resize(*at, 0);
                }
                let over = bytes.len().min(content.len() - at);
                content[*at..at + over].copy_from_slice(&bytes[..over]);
                content.extend_from_slice(&bytes[over..]);
            }
            Change::SetLen(len) => content.resize(*len, 0),
        }
    }

    fn sectors(self) -> Vec<Change> {
        let Change::Write { at, bytes } = self else { return vec![self] };
        let mut sectors = Vec::new();
        let mut done = 0;
        while done < bytes.len() {
            let end = (((at + done) / SECTOR + 1) * SECTOR - at).min(bytes.len());
            sectors.push(Change::Write { at: at + done, bytes: bytes[done..end].to_vec() });
            done = end;
        }
        sectors
    }
}

#[test]
fn a_power_cut_takes_what_was_not_synced_and_nothing_else() {
    for seed in 0..200 {
        let mut disk = Disk::new(Random::seeded(seed), "a", &[1; 2000]);
        disk.write("a", 100, &[2; 1000]).unwrap();
        disk.sync("a").unwrap();
        disk.write("a", 0, &[3; 1500]).unwrap();
        disk.create("b").unwrap();
        disk.power_on(true);
        let mut content = [0; 2000];
        disk.read("a", 0, &mut content).unwrap();
        for (at, byte) in content.iter().enumerate() {
            let before = if (100..1100).contains(&at) { 2 } else { 1 };
            assert!(*byte == before || (*byte == 3 && at < 1500), "byte {at} is {byte}");
        }
        let sectors = content[..1500].chunks(SECTOR);
        assert!(
            sectors
                .map(|sector| sector.iter().filter(|byte| **byte == 3).count())
                .all(|new| { [0, SECTOR, 1500 % SECTOR].contains(&new) })
        );
    }
}

#[test]
fn what_a_refused_sync_forgot_is_seen_until_the_power_goes() {
    let mut lost = 0;
    for seed in 0..100 {
        let mut disk = Disk::new(Random::seeded(seed), "a", &[1; 100]);
        disk.write("a", 0, &[2; 100]).unwrap();
        disk.trouble.syncs = Some(1);
        disk.sync("a").unwrap_err();
        disk.trouble.syncs = None;
        disk.sync("a").unwrap();
        let mut content = [0; 100];
        disk.read("a", 0, &mut content).unwrap();
        assert_eq!(content, [2; 100]);
        disk.power_on(true);
        disk.read("a", 0, &mut content).unwrap();
        lost += u64::from(content == [1; 100]);
    }
    assert!((20..80).contains(&lost), "{lost} of 100");
}
