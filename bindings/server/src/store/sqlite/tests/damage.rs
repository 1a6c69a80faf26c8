//! Damage of every kind: edited rows, flipped bits, logs cut short.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::super::super::{Place, Store, StoreError};
use super::super::FILE;
use super::{LOG, assert_damaged, batch, body, edit, example, expected, load, open, read_all, records};

/// Flips the lowest bit of the byte at `offset` of a blob.
fn flip(table: &str, column: &str, key: &str, offset: usize) -> String {
    // SQLite has no way to change one byte of a blob but through its hexadecimal form.
    format!(
        "CREATE TEMP TABLE digit (old, new);
         INSERT INTO digit VALUES ('0','1'),('1','0'),('2','3'),('3','2'),('4','5'),('5','4'),('6','7'),('7','6'),
             ('8','9'),('9','8'),('A','B'),('B','A'),('C','D'),('D','C'),('E','F'),('F','E');
         UPDATE {table} SET {column} = unhex(
             substr(hex({column}), 1, {at}) ||
             (SELECT new FROM digit WHERE old = substr(hex({column}), {at} + 1, 1)) ||
             substr(hex({column}), {at} + 2)) WHERE {key};",
        at = offset * 2 + 1,
    )
}

#[test]
fn every_edit_is_found_and_placed() {
    let cases = [
        (flip("journal", "record", "seq = 11", 3), Place::Record(11)),
        (flip("journal", "record", "seq = 30", 0), Place::Record(30)),
        (flip("messages", "body", "id = 200", 5999), Place::Message(200)),
        (flip("messages", "body", "id = 20", 0), Place::Message(20)),
        (flip("snapshot", "bytes", "1", 4), Place::Snapshot),
        ("UPDATE journal SET crc = crc + 1 WHERE seq = 15".into(), Place::Record(15)),
        ("UPDATE journal SET record = record || x'00' WHERE seq = 15".into(), Place::Record(15)),
        ("UPDATE journal SET record = 'text' WHERE seq = 15".into(), Place::Record(15)),
        ("UPDATE journal SET message = NULL WHERE seq = 16".into(), Place::Record(16)),
        ("UPDATE journal SET message = 180 WHERE seq = 16".into(), Place::Record(16)),
        ("UPDATE journal SET message = 999 WHERE seq = 16".into(), Place::Message(999)),
        ("DELETE FROM journal WHERE seq = 30".into(), Place::Record(30)),
        ("DELETE FROM journal WHERE seq = 11".into(), Place::Record(11)),
        ("DELETE FROM journal WHERE seq BETWEEN 20 AND 22".into(), Place::Record(20)),
        ("DELETE FROM journal".into(), Place::Record(11)),
        (
            "INSERT INTO journal SELECT 31, crc, message, record FROM journal WHERE seq = 30".into(),
            Place::Record(31),
        ),
        (
            "INSERT INTO journal SELECT 10, crc, message, record FROM journal WHERE seq = 11".into(),
            Place::Record(11),
        ),
        (
            "UPDATE journal SET seq = 99 WHERE seq = 13; UPDATE journal SET seq = 13 WHERE seq = 15;
             UPDATE journal SET seq = 15 WHERE seq = 99"
                .into(),
            Place::Record(13),
        ),
        ("DELETE FROM messages WHERE id = 200".into(), Place::Message(200)),
        ("DELETE FROM messages WHERE id = 20".into(), Place::Message(20)),
        ("UPDATE messages SET prev = prev + 1 WHERE id = 200".into(), Place::Message(200)),
        ("UPDATE messages SET prev = prev + 1 WHERE id = 20".into(), Place::Message(20)),
        ("UPDATE messages SET crc = crc + 1 WHERE id = 20".into(), Place::Message(20)),
        (
            "UPDATE messages SET id = 1 WHERE id = 20; UPDATE messages SET id = 20 WHERE id = 40;
             UPDATE messages SET id = 40 WHERE id = 1"
                .into(),
            Place::Message(20),
        ),
        ("UPDATE snapshot SET seq = 11".into(), Place::Snapshot),
        ("UPDATE snapshot SET chain = chain + 1".into(), Place::Snapshot),
        ("DELETE FROM snapshot".into(), Place::Record(1)),
        ("UPDATE head SET seq = 29".into(), Place::Head),
        ("UPDATE head SET chain = chain + 1".into(), Place::Head),
        ("UPDATE head SET layout = 0".into(), Place::Head),
        ("UPDATE head SET crc = -1".into(), Place::Head),
        ("DELETE FROM head".into(), Place::Head),
        ("DROP TABLE head".into(), Place::Head),
        ("DROP TABLE snapshot".into(), Place::Snapshot),
        ("DROP TABLE journal".into(), Place::Record(11)),
        ("PRAGMA application_id = 0".into(), Place::File),
        ("PRAGMA user_version = 0".into(), Place::File),
    ];
    let data = example();
    let path = data.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    for (sql, place) in cases {
        fs::write(&path, &whole).unwrap();
        let _ = fs::remove_file(path.with_extension("sqlite3-wal"));
        edit(data.path(), &sql);
        match read_all(data.path(), 30) {
            Ok(_) => panic!("not found: {sql}"),
            Err(error) => assert_damaged(&error, place),
        }
    }
}

#[test]
fn an_older_head_is_found_unless_its_whole_moment_comes_back() {
    let data = example();
    let conn = Connection::open(data.path().join(FILE)).unwrap();
    let head: (i64, i64, i64) = conn
        .query_row("SELECT seq, chain, crc FROM head", (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    drop(conn);
    open(data.path()).append(&batch(31..=33)).unwrap();
    edit(data.path(), &format!("UPDATE head SET seq = {}, chain = {}, crc = {}", head.0, head.1, head.2));
    assert_damaged(&read_all(data.path(), 33).unwrap_err(), Place::Head);

    edit(data.path(), "DELETE FROM journal WHERE seq > 30");
    assert_eq!(read_all(data.path(), 30).unwrap(), expected());
}

#[test]
fn damage_leaves_the_log_for_whoever_repairs_it() {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    store.append(&batch(1..=3)).unwrap();
    store.conn.execute_batch("DELETE FROM journal WHERE seq = 2").unwrap();
    assert_damaged(&load(&mut store).unwrap_err(), Place::Record(2));
    let log = fs::read(data.path().join(LOG)).unwrap();
    drop(store);
    assert_eq!(fs::read(data.path().join(LOG)).unwrap(), log);
}

/// SplitMix64: the tests' own source of positions, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_file_is_found_or_changes_nothing() {
    let data = example();
    let path = data.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    let mut random = Random(1);
    let mut found = 0;
    for round in 0..200 {
        let mut bytes = whole.clone();
        // Half of the rounds in the first page, where the schema is.
        let at = random.below(if round % 2 == 0 { 4096 } else { whole.len() });
        bytes[at] ^= 1 << random.below(8);
        fs::write(&path, bytes).unwrap();
        match read_all(data.path(), 30) {
            Ok(content) => assert_eq!(content, expected(), "byte {at}"),
            Err(StoreError::Damaged { .. } | StoreError::TooNew { .. } | StoreError::Sqlite { .. }) => {
                found += 1
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
        let _ = fs::remove_file(path.with_extension("sqlite3-wal"));
    }
    assert!(found > 30, "{found}");
}

/// Copies the files of an open store as a crash would leave them.
fn crash(from: &Path, to: &Path) {
    for name in [FILE, LOG] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[test]
fn what_was_appended_survives_a_crash() {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    for seq in 1..=40 {
        store.append(&batch([seq])).unwrap();
        if seq % 8 == 0 {
            let copy = TempDir::new().unwrap();
            crash(data.path(), copy.path());
            assert_eq!(read_all(copy.path(), seq).unwrap().records, records(1..=seq));
        }
    }
}

#[test]
fn a_damaged_log_is_found_unless_the_damage_is_in_its_last_commit() {
    // With all in the log; with the log begun anew after a checkpoint; and with all in both the log and the file.
    for checkpoint_at in [None, Some(25), Some(40)] {
        let data = TempDir::new().unwrap();
        let mut store = open(data.path());
        for seq in 1..=40 {
            store.append(&batch([seq])).unwrap();
            if seq == 20 {
                store.snapshot(12, b"state of twelve").unwrap();
            }
            if Some(seq) == checkpoint_at {
                store.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())).unwrap();
            }
        }
        let log = fs::read(data.path().join(LOG)).unwrap();
        let mut random = Random(2);
        let (mut found, mut shorter) = (0, 0);
        for _ in 0..100 {
            let copy = TempDir::new().unwrap();
            crash(data.path(), copy.path());
            let mut bytes = log.clone();
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            fs::write(copy.path().join(LOG), bytes).unwrap();
            match read_all(copy.path(), 0) {
                Ok(content) => {
                    let first = content.snapshot.map_or(0, |(seq, bytes)| {
                        assert_eq!((seq, &bytes[..]), (12, &b"state of twelve"[..]));
                        seq
                    });
                    let last = content.records.last().map_or(first, |&(seq, _)| seq);
                    assert_eq!(content.records, records(first + 1..=last), "byte {at}");
                    let bodies: Vec<_> = (1..=last / 2).map(|half| body(half * 2)).collect();
                    assert_eq!(content.messages, bodies, "byte {at}");
                    assert!(last >= 39, "byte {at}: the records end with {last}");
                    shorter += u64::from(last < 40);
                }
                Err(StoreError::Damaged { place: Place::Log, .. }) => found += 1,
                Err(error) => panic!("byte {at}: {error}"),
            }
        }
        assert!(found > 30 && (shorter > 0 || checkpoint_at.is_some()), "{found} found, {shorter} not");
    }
}

/// Where one commit ends and the last begins, nothing but the head of a frame tells them apart.
#[test]
fn a_flipped_bit_in_the_head_of_the_last_commit_but_one_is_found() {
    const FRAME: usize = 24 + 4096;
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    let mut lengths = Vec::new();
    for seq in 1..=80 {
        store.append(&batch([seq])).unwrap();
        lengths.push(fs::read(data.path().join(LOG)).unwrap().len());
    }
    let log = fs::read(data.path().join(LOG)).unwrap();
    let copy = TempDir::new().unwrap();
    let is_found = |whole: usize, head: usize, bit: usize| {
        crash(data.path(), copy.path());
        let mut bytes = log[..whole].to_vec();
        bytes[head + bit / 8] ^= 1 << (bit % 8);
        fs::write(copy.path().join(LOG), bytes).unwrap();
        match read_all(copy.path(), 0) {
            Err(StoreError::Damaged { place: Place::Log, .. }) => {}
            other => panic!("byte {head}, bit {bit}: {:?}", other.map(|content| content.records.len())),
        }
    };
    let [.., before, last] = lengths[..] else { panic!("there are so many") };
    (0..24 * 8).for_each(|bit| is_found(last, before - FRAME, bit));
    // What marks a commit is a number, the pages of the file, which one bit may turn into 0: then it would be none.
    let mut powers = 0;
    for commits in lengths.windows(2) {
        let head = commits[0] - FRAME;
        let mark = u32::from_be_bytes(log[head + 4..head + 8].try_into().unwrap());
        if mark.is_power_of_two() {
            powers += 1;
            let bit = 31 - mark.trailing_zeros() as usize;
            is_found(commits[1], head + 4, bit / 8 * 8 + 7 - bit % 8);
        }
    }
    assert!(powers > 0);
}

#[test]
fn a_log_cut_short_or_half_written_is_no_damage() {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    for seq in 1..=10 {
        store.append(&batch([seq])).unwrap();
    }
    let log = fs::read(data.path().join(LOG)).unwrap();
    let copy = TempDir::new().unwrap();
    for end in (0..=log.len()).step_by(500) {
        crash(data.path(), copy.path());
        fs::write(copy.path().join(LOG), &log[..end]).unwrap();
        let records = read_all(copy.path(), 0).unwrap().records;
        assert_eq!(records, super::records(1..=records.len() as u64), "at {end}");
    }
}
