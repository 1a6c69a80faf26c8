//! What fits no state, in a journal or in a snapshot, is told and changes nothing.

use super::*;
use crate::{secret::SessionId, state::answers::DEDUPE};

/// Ann and Bob, logged in by the sessions 0 and 1. Ann has the group 0 and has sent Bob a message and a file.
pub(super) fn state() -> State {
    let mut state = State::new(HashKey(1, 2));
    for (number, name) in ["ann", "bob"].into_iter().enumerate() {
        let user = UserNo(number as u32);
        let registered = Record::Registered {
            user,
            name,
            full_name: name,
            country: "ID",
            password_hash: "",
            time: Time(1),
        };
        state.apply(&registered).unwrap();
        state.apply(&opened(number as u64, user.0, name)).unwrap();
    }
    let (ann, bob) = (UserNo(0), UserNo(1));
    let records = [
        Record::GroupAdded { group: GroupNo(0), name: "keluarga", session: SessionNo(0) },
        Record::RealmAdded { name: "jauh", ip: "192.0.2.1", port: 8889, fingerprint: None },
        Record::Sent { id: MessageId(1), from: ann, to: bob },
        Record::FileSent { id: MessageId(2), from: ann, to: bob, sha256: [7; 32], size: 5 },
        once(0, 0, "key", 5),
    ];
    for record in records {
        state.apply(&record).unwrap();
    }
    state
}

fn opened(session: u64, user: u32, id: &str) -> Record<'static> {
    let digest = SessionId::digest(id);
    Record::SessionOpened { session: SessionNo(session), user: UserNo(user), digest, time: Time(2) }
}

/// A confirmation that a user has asked for with a key.
fn once(user: u32, confirmed_by: u32, key: &str, time: u64) -> Record<'_> {
    let record = Box::new(Record::Confirmed { user: UserNo(confirmed_by), up_to: MessageId(0) });
    Record::Once { user: UserNo(user), key, time: Time(time), limit: 9, response: b"{}", record }
}

pub(super) fn bytes(state: &State) -> Vec<u8> {
    postcard::to_allocvec(&state.freeze()).unwrap()
}

#[test]
fn a_record_that_does_not_fit_changes_nothing() {
    let (ann, bob, nobody) = (UserNo(0), UserNo(1), UserNo(2));
    let registered = |user, name| Record::Registered {
        user,
        name,
        full_name: "",
        country: "",
        password_hash: "",
        time: Time(9),
    };
    let password = |user, kept| Record::PasswordChanged { user, password_hash: "x", kept: SessionNo(kept) };
    let added = |group, name, session| Record::GroupAdded {
        group: GroupNo(group),
        name,
        session: SessionNo(session),
    };
    let joined = |group, session| Record::GroupJoined { group: GroupNo(group), session: SessionNo(session) };
    let left = |group, session| Record::GroupLeft { group: GroupNo(group), session: SessionNo(session) };
    let sent = |id, from, to| Record::Sent { id: MessageId(id), from, to };
    let to_group = |id, session, group| Record::SentToGroup {
        id: MessageId(id),
        session: SessionNo(session),
        group: GroupNo(group),
        mailbox_limit: 9,
    };
    let realm = |name| Record::RealmAdded { name, ip: "", port: 1, fingerprint: None };
    let twice = Record::Once {
        user: ann,
        key: "other",
        time: Time(9),
        limit: 9,
        response: b"",
        record: Box::new(once(0, 0, "third", 9)),
    };
    let records = [
        (registered(ann, "cay"), "skips a user number"),
        (registered(UserNo(3), "cay"), "skips a user number"),
        (registered(nobody, "ANN"), "registers a name again"),
        (registered(nobody, " "), "registers what is no name"),
        (password(nobody, 0), "is by an unknown user"),
        (password(ann, 1), "keeps a session of somebody else"),
        (opened(3, 0, "new"), "skips a session number"),
        (opened(2, 0, "bob"), "opens a session again"),
        (opened(2, 2, "new"), "is by an unknown user"),
        (Record::SessionUsed { session: SessionNo(2), time: Time(9) }, "is of no session"),
        (Record::SessionEnded { session: SessionNo(2) }, "is of no session"),
        (added(2, "teman", 0), "skips a group number"),
        (added(1, "Keluarga", 1), "adds a group again"),
        (added(1, " ", 1), "adds a group by what is no name"),
        (added(1, "teman", 2), "is of no session"),
        (joined(0, 0), "joins a group again"),
        (joined(1, 0), "is of no group"),
        (joined(0, 2), "is of no session"),
        (left(0, 1), "leaves a group it is not in"),
        (left(1, 0), "is of no group"),
        (left(0, 2), "is of no session"),
        (sent(2, ann, bob), "skips a message number"),
        (sent(4, ann, bob), "skips a message number"),
        (sent(3, nobody, bob), "is from an unknown user"),
        (sent(3, ann, nobody), "is to an unknown user"),
        (to_group(4, 0, 0), "skips a message number"),
        (to_group(3, 1, 0), "is to a group its sender is not in"),
        (to_group(3, 0, 1), "is of no group"),
        (to_group(3, 2, 0), "is of no session"),
        (Record::Confirmed { user: nobody, up_to: MessageId(1) }, "is by an unknown user"),
        (realm("Jauh"), "adds a realm again"),
        (realm(" "), "names a realm by what is no name"),
        (twice, "has two keys"),
        (once(2, 0, "other", 9), "is by an unknown user"),
        (once(0, 2, "other", 9), "is by an unknown user"),
        (once(0, 0, "key", 5 + DEDUPE - 1), "repeats a key"),
    ];
    let mut state = state();
    let before = bytes(&state);
    for (record, why) in records {
        assert_eq!(state.apply(&record), Err(Inconsistent(why)), "{record:?}");
        assert!(bytes(&state) == before, "{record:?} has changed something");
    }
    state.apply(&once(0, 0, "key", 5 + DEDUPE)).unwrap();
    assert!(state.answered(ann, "key", Time(5 + DEDUPE)).is_some());
}

#[test]
fn a_key_is_remembered_for_a_day() {
    let state = state();
    assert!(state.answered(UserNo(0), "key", Time(5 + DEDUPE - 1)).is_some());
    assert!(state.answered(UserNo(0), "key", Time(5 + DEDUPE)).is_none());
    assert!(state.answered(UserNo(1), "key", Time(6)).is_none());
    assert_eq!(DEDUPE, 86_400_000);
}

#[test]
fn a_small_file_counts_as_what_it_takes_to_remember_it() {
    assert_eq!(charge(1, 1), 4100);
    assert_eq!(charge(4100, 2), 4104);
    assert_eq!(charge(5000, 2), 5000);
    assert_eq!(state().user(UserNo(0)).file_bytes, 4100);
}

/// Whoever knew how names are hashed could choose names that collide.
#[test]
fn hashes_are_keyed() {
    use std::hash::BuildHasher;
    assert_ne!(HashKey(1, 2).hash_one("ann"), HashKey(1, 3).hash_one("ann"));
    assert_ne!(HashKey(1, 2).hash_one("ann"), HashKey(2, 2).hash_one("ann"));
}
