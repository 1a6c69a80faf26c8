//! Plays tests/transcripts against the engine in memory.

use std::path::Path;

use support::{play::play_all, transcript::Transcript};

#[path = "support/engine_door.rs"]
mod engine_door;
mod support;

use engine_door::{EngineDoor, Host};

fn transcripts() -> Vec<Transcript> {
    Transcript::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts"))
}

fn played_by(host: Host) {
    play_all(&transcripts(), &format!("{host:?}"), host.lacks(), |settings| EngineDoor::open(host, settings));
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
fn every_transcript_is_played() {
    for transcript in transcripts() {
        let needs = transcript.needs();
        let plays = |host: &Host| host.lacks().iter().all(|lack| !needs.contains(lack));
        assert!(
            [Host::Memory, Host::Journal, Host::Bytes].iter().any(plays),
            "no host has all that {} needs: {needs:?}",
            transcript.name
        );
    }
}
