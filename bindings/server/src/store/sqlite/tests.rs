mod damage;
mod history;

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use rusqlite::Connection;
use tempfile::TempDir;

use super::super::{Batch, Loaded, MessageRef, Place, Store, StoreError};
use super::{FILE, SqliteStore};

const LOG: &str = "obrolan.sqlite3-wal";

/// All a store gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    snapshot: Option<(u64, Vec<u8>)>,
    records: Vec<(u64, Vec<u8>)>,
    messages: Vec<Vec<u8>>,
}

/// Record `seq` of the tests. Every even one carries message `10 * seq`, whose body spans pages once in a while.
fn push(batch: &mut Batch, seq: u64) {
    let mut record = format!("record {seq} ").into_bytes();
    let message =
        seq.is_multiple_of(2).then(|| MessageRef { id: seq * 10, prev: (seq - 2) * 10, at: record.len() });
    record.extend(body(seq));
    batch.push(seq, &record, message);
}

fn body(seq: u64) -> Vec<u8> {
    let length = if seq.is_multiple_of(10) { 6000 } else { 30 };
    (0..length).map(|i| (seq * 7 + i) as u8).collect()
}

fn batch(seqs: impl IntoIterator<Item = u64>) -> Batch {
    let mut batch = Batch::new();
    for seq in seqs {
        push(&mut batch, seq);
    }
    batch
}

fn records(seqs: impl IntoIterator<Item = u64>) -> Vec<(u64, Vec<u8>)> {
    batch(seqs).iter().map(|entry| (entry.seq, entry.record.to_vec())).collect()
}

fn open(data: &Path) -> SqliteStore {
    SqliteStore::open(data).map(|(store, _)| store).unwrap()
}

fn refused(data: &Path) -> StoreError {
    SqliteStore::open(data).map(|_| ()).expect_err("the store should not open")
}

fn load(store: &mut SqliteStore) -> Result<Content, StoreError> {
    let mut content = Content { snapshot: None, records: Vec::new(), messages: Vec::new() };
    store.load(&mut |loaded| {
        match loaded {
            Loaded::Snapshot { seq, bytes } => content.snapshot = Some((seq, bytes.to_vec())),
            Loaded::Record { seq, record } => content.records.push((seq, record.to_vec())),
        }
        Ok(())
    })?;
    Ok(content)
}

/// Opens the store and reads everything in it, the messages of all records up to `last` included.
fn read_all(data: &Path, last: u64) -> Result<Content, StoreError> {
    let (mut store, _) = SqliteStore::open(data)?;
    let mut content = load(&mut store)?;
    let last = content.records.last().map_or(last, |&(seq, _)| seq);
    let ids: Vec<u64> = (1..=last / 2).map(|half| half * 20).collect();
    content.messages = store.messages(&ids, usize::MAX)?;
    Ok(content)
}

/// A closed store with records 1 to 30, of which the first 10 have become a snapshot.
fn example() -> TempDir {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    store.append(&batch(1..=20)).unwrap();
    store.snapshot(10, b"state of ten").unwrap();
    store.append(&batch(21..=30)).unwrap();
    data
}

fn expected() -> Content {
    Content {
        snapshot: Some((10, b"state of ten".to_vec())),
        records: records(11..=30),
        messages: (1..=15).map(|half| body(half * 2)).collect(),
    }
}

/// Edits the closed store behind its back.
fn edit(data: &Path, sql: &str) {
    let conn = Connection::open(data.join(FILE)).unwrap();
    conn.execute_batch("PRAGMA synchronous = OFF").unwrap();
    conn.execute_batch(sql).unwrap();
}

#[track_caller]
fn assert_damaged(error: &StoreError, place: Place) {
    match error {
        StoreError::Damaged { place: found, .. } => assert_eq!(*found, place, "{error}"),
        error => panic!("not damage: {error}"),
    }
}

#[test]
fn what_is_appended_comes_back() {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    assert_eq!(load(&mut store).unwrap().records, []);
    store.append(&batch(1..=3)).unwrap();
    store.append(&Batch::new()).unwrap();
    store.append(&batch(4..=20)).unwrap();

    assert_eq!(load(&mut store).unwrap().records, records(1..=20));
    assert_eq!(store.messages(&[200, 40, 200], usize::MAX).unwrap(), [body(20), body(4), body(20)]);
}

#[test]
fn what_is_appended_outlives_the_store() {
    let data = TempDir::new().unwrap();
    let (mut store, created) = SqliteStore::open(data.path()).unwrap();
    assert!(created);
    store.append(&batch(1..=3)).unwrap();
    drop(store);

    let (mut store, created) = SqliteStore::open(data.path()).unwrap();
    assert!(!created);
    store.append(&batch(4..=5)).unwrap();
    assert_eq!(load(&mut store).unwrap().records, records(1..=5));
}

#[test]
fn numbers_beyond_the_signed_range_come_back() {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    let mut batch = Batch::new();
    batch.push(1, b"ab", Some(MessageRef { id: u64::MAX, prev: u64::MAX - 1, at: 1 }));
    store.append(&batch).unwrap();
    assert_eq!(load(&mut store).unwrap().records, [(1, b"ab".to_vec())]);
    assert_eq!(store.messages(&[u64::MAX], usize::MAX).unwrap(), [b"b"]);
}

#[test]
fn a_snapshot_takes_the_place_of_its_records() {
    let data = example();
    assert_eq!(read_all(data.path(), 30).unwrap(), expected());

    let mut store = open(data.path());
    store.snapshot(30, b"state of thirty").unwrap();
    store.snapshot(30, b"again").unwrap();
    assert_eq!(load(&mut store).unwrap().snapshot, Some((30, b"again".to_vec())));
    store.append(&batch([31])).unwrap();
    drop(store);

    let content = read_all(data.path(), 31).unwrap();
    assert_eq!(content.snapshot, Some((30, b"again".to_vec())));
    assert_eq!(content.records, records([31]));
    assert_eq!(content.messages.len(), 15, "messages outlive the records that brought them");
}

#[test]
fn a_snapshot_of_other_than_durable_records_is_refused() {
    let data = example();
    let mut store = open(data.path());
    for seq in [9, 31] {
        let error = store.snapshot(seq, b"no").unwrap_err();
        assert!(matches!(error, StoreError::SnapshotRefused { first: 10, last: 30, .. }), "{error}");
    }
    drop(store);
    assert_eq!(read_all(data.path(), 30).unwrap(), expected());
}

#[test]
fn records_out_of_order_are_refused_and_leave_nothing() {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    store.append(&batch(1..=2)).unwrap();
    for (seqs, expected, got) in [(vec![4], 3, 4), (vec![2], 3, 2), (vec![3, 4, 6], 5, 6), (vec![3, 3], 4, 3)]
    {
        match store.append(&batch(seqs)) {
            Err(StoreError::OutOfOrder { expected: e, got: g }) => assert_eq!((e, g), (expected, got)),
            other => panic!("{other:?}"),
        }
    }
    store.append(&batch([3])).unwrap();
    assert_eq!(load(&mut store).unwrap().records, records(1..=3));
}

#[test]
fn a_batch_is_stored_whole_or_not_at_all() {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    store.append(&batch(1..=2)).unwrap();

    let mut clash = batch(3..=5);
    clash.push(6, b"xy", Some(MessageRef { id: 20, prev: 0, at: 1 }));
    assert_damaged(&store.append(&clash).unwrap_err(), Place::Message(20));
    assert_eq!(load(&mut store).unwrap().records, records(1..=2));
    assert_damaged(&store.messages(&[40], usize::MAX).unwrap_err(), Place::Message(40));

    store.append(&batch(3..=6)).unwrap();
    assert_eq!(load(&mut store).unwrap().records, records(1..=6));
}

#[test]
fn a_full_disk_refuses_a_batch_and_takes_it_when_there_is_room() {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    store.append(&batch(1..=4)).unwrap();
    let room =
        |store: &SqliteStore, pages: i64| store.conn.pragma_update(None, "max_page_count", pages).unwrap();

    room(&store, 1);
    let large = batch(5..=2000);
    for _ in 0..2 {
        let error = store.append(&large).unwrap_err();
        assert!(error.to_string().contains("Make room on that disk"), "{error}");
        assert_eq!(load(&mut store).unwrap().records, records(1..=4));
        assert_eq!(store.messages(&[40], usize::MAX).unwrap(), [body(4)]);
    }
    room(&store, 1_000_000);
    store.append(&large).unwrap();
    assert_eq!(load(&mut store).unwrap().records, records(1..=2000));
}

#[test]
fn a_store_that_cannot_be_written_can_still_be_read() {
    let data = example();
    let mut store = open(data.path());
    store.conn.pragma_update(None, "query_only", true).unwrap();
    assert!(matches!(store.append(&batch([31])), Err(StoreError::Sqlite { .. })));
    assert!(matches!(store.snapshot(20, b"no"), Err(StoreError::Sqlite { .. })));
    assert_eq!(load(&mut store).unwrap().records, records(11..=30));
    assert_eq!(store.messages(&[20], usize::MAX).unwrap(), [body(2)]);
    store.conn.pragma_update(None, "query_only", false).unwrap();
    store.append(&batch([31])).unwrap();
}

#[test]
fn after_a_failed_commit_load_waits_until_it_can_write_and_returns_what_is_durable() {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    store.append(&batch(1..=2)).unwrap();
    // A deferred constraint fails in the commit itself, as a failed sync does.
    store
        .conn
        .execute_batch(
            "CREATE TEMP TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TEMP TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
             CREATE TEMP TRIGGER fail AFTER UPDATE ON main.head BEGIN INSERT INTO child VALUES (1); END;",
        )
        .unwrap();
    assert!(matches!(store.append(&batch([3])), Err(StoreError::Sqlite { .. })));
    assert!(matches!(load(&mut store), Err(StoreError::Sqlite { .. })));
    assert_eq!(store.messages(&[20], usize::MAX).unwrap(), [body(2)]);

    store.conn.execute_batch("DROP TRIGGER fail").unwrap();
    assert_eq!(load(&mut store).unwrap().records, records(1..=2));
    store.append(&batch([3])).unwrap();
    assert_eq!(load(&mut store).unwrap().records, records(1..=3));
}

/// A folder with a store's file and its log as they are now.
fn copy(data: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for name in [FILE, LOG] {
        fs::copy(data.join(name), copy.path().join(name)).unwrap();
    }
    copy
}

#[test]
fn load_overwrites_what_a_failed_commit_has_left_in_the_log() {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    store.append(&batch(1..=2)).unwrap();
    let before = copy(data.path());
    store.append(&batch([3])).unwrap();
    let after = copy(data.path());

    // The commit is in the log, and SQLite was told that it is not: its sync has failed.
    let mut store = open(before.path());
    assert_eq!(load(&mut store).unwrap().records, records(1..=2));
    fs::copy(after.path().join(LOG), before.path().join(LOG)).unwrap();
    store.doubtful = true;
    assert_eq!(load(&mut store).unwrap().records, records(1..=2));
    let killed = copy(before.path());
    assert_eq!(load(&mut open(killed.path())).unwrap().records, records(1..=2));
}

#[test]
fn a_log_that_was_left_is_written_again_as_it_is() {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    store.append(&batch(1..=20)).unwrap();
    let killed = copy(data.path());
    let log = killed.path().join(LOG);
    let (before, long_ago) = (fs::read(&log).unwrap(), SystemTime::UNIX_EPOCH);
    fs::File::options().write(true).open(&log).unwrap().set_modified(long_ago).unwrap();

    let mut store = open(killed.path());
    assert!(fs::metadata(&log).unwrap().modified().unwrap() > long_ago);
    assert!(fs::read(&log).unwrap() == before);
    assert_eq!(load(&mut store).unwrap().records, records(1..=20));
}

#[test]
fn a_visitors_error_names_the_record() {
    let data = example();
    let mut store = open(data.path());
    let mut visit = |loaded: Loaded<'_>| match loaded {
        Loaded::Record { seq: 17, .. } => Err("no such user".to_owned()),
        _ => Ok(()),
    };
    let error = store.load(&mut visit).unwrap_err();
    assert!(matches!(error, StoreError::Rejected { place: Place::Record(17), .. }));
    assert!(error.to_string().contains("no such user"), "{error}");
}

#[test]
fn a_folder_belongs_to_one_store_at_a_time() {
    let data = TempDir::new().unwrap();
    let store = open(data.path());
    let error = refused(data.path());
    match &error {
        StoreError::Locked { pid, .. } => assert_eq!(*pid, Some(std::process::id())),
        error => panic!("{error}"),
    }
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(store);
    open(data.path());
}

#[test]
fn closing_moves_the_log_into_the_file() {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    store.append(&batch(1..=20)).unwrap();
    assert!(data.path().join("obrolan.sqlite3-wal").exists());
    drop(store);

    let mut names: Vec<_> =
        fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["lock", FILE]);
}

#[cfg(unix)]
#[test]
fn folder_and_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = TempDir::new().unwrap();
    let data = parent.path().join("deep/data");
    let mut store = open(&data);
    store.append(&batch([1])).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_data_folder_that_cannot_be_made_is_explained() {
    let parent = TempDir::new().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    for data in [file.clone(), file.join("data")] {
        let error = refused(&data);
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        assert!(error.to_string().contains("choose another data folder"), "{error}");
    }
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    for content in [&b""[..], b"not a database at all", &[0; 8192]] {
        let data = TempDir::new().unwrap();
        fs::write(data.path().join(FILE), content).unwrap();
        assert_damaged(&refused(data.path()), Place::File);
    }
    let data = TempDir::new().unwrap();
    edit(data.path(), "CREATE TABLE journal (seq INTEGER PRIMARY KEY)");
    assert_damaged(&refused(data.path()), Place::File);
}

#[test]
fn a_log_without_its_file_is_refused_and_kept() {
    let data = TempDir::new().unwrap();
    let log = data.path().join("obrolan.sqlite3-wal");
    fs::write(&log, "precious").unwrap();
    assert_damaged(&refused(data.path()), Place::File);
    assert_eq!(fs::read(&log).unwrap(), b"precious");
}

#[test]
fn files_of_users_without_their_store_are_refused_and_kept() {
    let data = TempDir::new().unwrap();
    let group = data.path().join("files/ab");
    fs::create_dir_all(&group).unwrap();
    let content = group.join("c".repeat(62));
    fs::write(&content, "precious").unwrap();
    let error = refused(data.path());
    assert_damaged(&error, Place::File);
    assert!(error.to_string().contains("it is missing, but there are files of users"), "{error}");
    assert_eq!(fs::read(&content).unwrap(), b"precious");
    assert!(!data.path().join(FILE).exists());

    fs::remove_file(content).unwrap();
    open(data.path());
}

#[test]
fn a_newer_layout_is_refused() {
    let data = example();
    edit(data.path(), "PRAGMA user_version = 7");
    let error = refused(data.path());
    assert!(matches!(error, StoreError::TooNew { version: 7, known: 1, .. }), "{error}");
}

#[test]
fn an_unfinished_creation_is_done_again() {
    let data = TempDir::new().unwrap();
    fs::write(data.path().join("obrolan.new"), "half a st").unwrap();
    let (mut store, created) = SqliteStore::open(data.path()).unwrap();
    assert!(created);
    store.append(&batch([1])).unwrap();
}
