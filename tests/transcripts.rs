//! Plays tests/transcripts against the engine in memory, and looks whether they cover the protocol.

use std::{collections::BTreeSet, path::Path};

use obrolan::{
    Engine, Recovery, Time,
    wire::{Code, REQUESTS},
};
use support::{coverage, play::play_all, transcript::Transcript};

#[path = "support/engine_door.rs"]
mod engine_door;
mod support;

use engine_door::{EngineDoor, Host};

fn restore(engine: &mut Engine, now: Time, recovery: Recovery) {
    let recovered = recovery.start(now).expect("every message has its body");
    engine.restore(now, recovered).expect("all that is durable is recovered");
}

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

/// Upper case means the same to the byte, whatever the connection spoke before.
#[test]
fn on_connections_of_the_classic_dialect() {
    played_by(Host::Classic);
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

/// What no transcript can show, and why.
const EXCEPTIONS: &[(&str, Code, &str)] = &[];

#[test]
fn every_request_has_a_transcript_with_its_codes() {
    let transcripts = transcripts();
    let mut shown = BTreeSet::new();
    let mut missing = Vec::new();
    for transcript in &transcripts {
        shown.extend(coverage::answers(transcript));
    }
    for spec in REQUESTS {
        let name = spec.name.to_lowercase();
        match transcripts.iter().find(|transcript| transcript.name == name) {
            None => missing.push(format!("{name}.txt")),
            Some(transcript) => {
                if !coverage::answers(transcript).contains(&(spec.name, "OK".to_owned())) {
                    missing.push(format!("{} OK, in {name}.txt", spec.name));
                }
            }
        }
        for code in spec.errors.iter().flat_map(|(_, codes)| codes.iter()) {
            let excepted = EXCEPTIONS.iter().any(|(name, except, _)| *name == spec.name && except == code);
            match (shown.contains(&(spec.name, code.to_string())), excepted) {
                (false, false) => missing.push(format!("{} {code}", spec.name)),
                (true, true) => missing.push(format!("{} {code} is shown: it is no exception", spec.name)),
                _ => {}
            }
        }
    }
    for code in [Code::UnknownRequest, Code::TooLong, Code::InvalidUtf8, Code::BadJson, Code::Busy] {
        if !shown.contains(&("-", code.to_string())) {
            missing.push(format!("{code} to what is no request"));
        }
    }
    for code in Code::ALL {
        if !shown.iter().any(|(_, shown)| shown == code.as_str()) {
            missing.push(format!("{code} to anything"));
        }
    }
    assert!(missing.is_empty(), "tests/transcripts lacks\n  {}", missing.join("\n  "));
}

/// Codes that any request may be answered, so that not every row lists them.
const ANY: [Code; 4] = [Code::Busy, Code::Unavailable, Code::TooLong, Code::InvalidUtf8];

#[test]
fn the_table_lists_every_code_that_occurs() {
    for (request, code) in transcripts().iter().flat_map(coverage::answers) {
        let spec = REQUESTS.iter().find(|spec| spec.name == request);
        let codes = spec.into_iter().flat_map(|spec| spec.errors).flat_map(|(_, codes)| codes.iter());
        assert!(
            request == "-" || code == "OK" || codes.chain(&ANY).any(|listed| listed.as_str() == code),
            "{request} is answered {code}, which its row does not list"
        );
    }
}
