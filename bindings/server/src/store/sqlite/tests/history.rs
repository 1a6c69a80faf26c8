//! Conversations read backwards.

use rusqlite::StatementStatus;
use tempfile::TempDir;

use super::super::super::{Batch, History, MessageRef, Place, Start, Store};
use super::super::{SELECT_MESSAGE, SqliteStore};
use super::{assert_damaged, edit, open};

/// Messages 1 to `last`, taken in turn by so many conversations.
fn messages(last: u64, conversations: u64) -> (TempDir, SqliteStore) {
    let data = TempDir::new().unwrap();
    let mut store = open(data.path());
    let mut batch = Batch::new();
    for id in 1..=last {
        let body = format!("m{id}");
        let prev = id.saturating_sub(conversations);
        batch.push(id, body.as_bytes(), Some(MessageRef { id, prev, at: 0 }));
    }
    store.append(&batch).unwrap();
    (data, store)
}

fn page(before: Option<u64>, ids: &[u64], more: bool) -> History {
    let body = |id: u64| format!("m{id}").into_bytes();
    History { before: before.map(body), messages: ids.iter().copied().map(body).collect(), more }
}

#[test]
fn a_page_is_of_one_conversation_newest_first() {
    let (_data, mut store) = messages(10, 2);
    let mut history = |start, floor, limit, budget| store.history(start, floor, limit, budget).unwrap();
    let all = usize::MAX;
    assert_eq!(history(Start::At(10), 0, 3, all), page(None, &[10, 8, 6], true));
    assert_eq!(history(Start::Before(6), 0, 2, all), page(Some(6), &[4, 2], false));
    assert_eq!(history(Start::Before(2), 0, 2, all), page(Some(2), &[], false));
    assert_eq!(history(Start::At(9), 0, 9, all), page(None, &[9, 7, 5, 3, 1], false));
}

#[test]
fn it_ends_at_the_floor_the_limit_or_the_budget() {
    let (_data, mut store) = messages(10, 2);
    let mut history = |start, floor, limit, budget| store.history(start, floor, limit, budget).unwrap();
    for floor in [4, 5] {
        assert_eq!(history(Start::At(10), floor, 9, usize::MAX), page(None, &[10, 8, 6], false));
    }
    assert_eq!(history(Start::At(10), 4, 3, usize::MAX), page(None, &[10, 8, 6], false));
    assert_eq!(history(Start::At(10), 10, 9, usize::MAX), page(None, &[], false));
    assert_eq!(history(Start::Before(6), 4, 9, usize::MAX), page(Some(6), &[], false));
    assert_eq!(history(Start::At(10), 0, 9, 0), page(None, &[10], true));
    assert_eq!(
        history(Start::At(10), 0, 9, 5),
        page(None, &[10, 8, 6], true),
        "what begins within it is read"
    );
    assert_eq!(history(Start::Before(10), 0, 9, 0), page(Some(10), &[8], true));
}

#[test]
fn a_broken_chain_is_damage() {
    for (sql, broken) in [
        ("DELETE FROM messages WHERE id = 6", 6),
        ("UPDATE messages SET prev = 3 WHERE id = 8", 8),
        ("UPDATE messages SET body = x'00' WHERE id = 6", 6),
    ] {
        let (data, store) = messages(10, 2);
        drop(store);
        edit(data.path(), sql);
        let mut store = open(data.path());
        for start in [Start::At(10), Start::Before(10), Start::Before(broken)] {
            assert_damaged(&store.history(start, 0, 9, usize::MAX).unwrap_err(), Place::Message(broken));
        }
        let whole = page(None, &[9, 7, 5, 3, 1], false);
        assert_eq!(store.history(Start::At(9), 0, 9, usize::MAX).unwrap(), whole, "{sql}");
    }
}

#[test]
fn a_page_costs_the_same_however_long_the_conversation_is() {
    let steps = |last: u64| {
        let (_data, mut store) = messages(last, 1);
        store.conn.prepare_cached(SELECT_MESSAGE).unwrap().reset_status(StatementStatus::VmStep);
        let read = store.history(Start::Before(last), 0, 50, usize::MAX).unwrap();
        assert_eq!(read.messages.len(), 50);
        let select = store.conn.prepare_cached(SELECT_MESSAGE).unwrap();
        assert_eq!(select.get_status(StatementStatus::FullscanStep), 0, "it seeks, and does not scan");
        (select.get_status(StatementStatus::Run), select.get_status(StatementStatus::VmStep))
    };
    let (short, long) = (steps(100), steps(100_000));
    assert_eq!(short, long);
    assert_eq!(short.0, 51, "the page and the message it is before");
}
