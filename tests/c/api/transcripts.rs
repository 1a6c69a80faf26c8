//! Plays tests/transcripts through the library.

use std::path::Path;

use crate::{
    engine_door::{EngineDoor, Host},
    support::{play::play_all, transcript::Transcript},
};

fn played_by(host: Host) {
    let transcripts = Transcript::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/transcripts"));
    play_all(&transcripts, &format!("{host:?} in C"), host.lacks(), |settings| {
        EngineDoor::open(host, settings)
    });
}

#[test]
fn in_memory() {
    played_by(Host::Memory);
}

#[test]
fn with_a_journal_that_is_late() {
    played_by(Host::Journal);
}

#[test]
fn byte_by_byte_with_snapshots() {
    played_by(Host::Bytes);
}

#[test]
fn on_connections_of_the_classic_dialect() {
    played_by(Host::Classic);
}
