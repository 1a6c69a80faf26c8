//! The write-ahead log, as SQLite leaves it and before SQLite reads it (<https://www.sqlite.org/fileformat2.html#walformat>).
//!
//! SQLite ends the log at the first frame that does not match its checksum, for that is what a commit cut short by a crash looks
//! like. But each of our commits is synced before the next begins. So if whole frames of a later commit follow, nothing was
//! cut short: the log is damaged, and what SQLite would leave out was confirmed.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Running sums over pairs of words.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Checksum(u32, u32);

impl Checksum {
    fn at(bytes: &[u8], at: usize) -> Checksum {
        Checksum(word(bytes, at), word(bytes, at + 4))
    }

    /// The sums go on over `bytes`, whose words are big-endian or not.
    fn over(self, bytes: &[u8], big: bool) -> Checksum {
        let Checksum(mut a, mut b) = self;
        for pair in bytes.chunks_exact(8) {
            let (mut x, mut y) = (word(pair, 0), word(pair, 4));
            if !big {
                (x, y) = (x.swap_bytes(), y.swap_bytes());
            }
            a = a.wrapping_add(x).wrapping_add(b);
            b = b.wrapping_add(y).wrapping_add(a);
        }
        Checksum(a, b)
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Says what is wrong with a log, if it is there and damaged. Of damage to the last commit nothing can be told.
pub(super) fn damage(log: &Path) -> io::Result<Option<String>> {
    let mut file = match File::open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => BufReader::new(opened?),
    };
    let mut header = [0; HEADER];
    if !fill(&mut file, &mut header)? {
        return Ok(None);
    }
    let (magic, sum) = (word(&header, 0), Checksum::at(&header, 24));
    let whole = magic | 1 == 0x377f_0683 && Checksum(0, 0).over(&header[..24], magic & 1 == 1) == sum;
    // What a header that is not whole should say: this version makes no other logs.
    let (page, big) = match whole {
        true => (word(&header, 8) as usize, magic & 1 == 1),
        false => (4096, cfg!(target_endian = "big")),
    };
    let mut salts = whole.then(|| header[16..24].to_vec());
    // The frame that does not match, the header counting as the one before the first.
    let mut broken = (!whole).then_some(0);
    // What the sums go on from: those that the frame before says, or, where these are what is damaged, those that it should say.
    let mut before = [sum; 2];
    let (mut number, mut after_commit) = (0_u64, false);
    let mut frame = vec![0; FRAME_HEADER + page];
    while fill(&mut file, &mut frame)? {
        number += 1;
        // Frames with other salts are of an earlier log in the same file.
        let of_this_log = frame[8..16] == **salts.get_or_insert_with(|| frame[8..16].to_vec());
        let stored = Checksum::at(&frame, 16);
        let sums = |before: Checksum| before.over(&frame[..8], big).over(&frame[FRAME_HEADER..], big);
        let should_be = sums(before[0]);
        let matches = should_be == stored || before[0] != before[1] && sums(before[1]) == stored;
        match broken {
            None if !(matches && of_this_log) => broken = Some(number),
            Some(broken) if matches && of_this_log && after_commit => {
                let what = if broken == 0 { "header".to_owned() } else { format!("frame {broken}") };
                return Ok(Some(format!("its {what} does not match its checksum, and later commits follow")));
            }
            _ => {}
        }
        let one_bit_from_marked = || {
            (0..32).any(|bit| {
                let mut head: [u8; 8] = frame[..8].try_into().expect("there are so many");
                head[4 + bit / 8] ^= 1 << (bit % 8);
                before[0].over(&head, big).over(&frame[FRAME_HEADER..], big) == stored
            })
        };
        // What marks the end of a commit may be damaged, and so may the salts: where the sums match, the frame is of this log.
        after_commit = match word(&frame, 4) {
            0 => of_this_log && !matches && one_bit_from_marked(),
            _ => of_this_log || matches,
        };
        before = [stored, should_be];
    }
    Ok(None)
}

/// Reads as many bytes as there are places; `false` if there are not so many.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// Writes a log again as it is, if there is one.
///
/// After a sync that failed, systems show bytes that they have given up writing. If the server was killed or stopped then, SQLite takes
/// them for a commit and adds to them, and a power cut would take what was added and synced since along with them.
pub(super) fn rewrite(log: &Path) -> io::Result<()> {
    let mut file = match File::options().read(true).write(true).open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        file.seek(SeekFrom::Start(at))?;
        match file.read(&mut buffer)? {
            0 => return file.sync_all(),
            n => {
                file.seek(SeekFrom::Start(at))?;
                file.write_all(&buffer[..n])?;
                at += n as u64;
            }
        }
    }
}
