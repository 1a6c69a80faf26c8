//! The functions of libobrolan, called from Rust: what they promise C programs.

#[path = "client/mod.rs"]
mod client;
#[path = "support/engine.rs"]
mod engine;
#[path = "../support/engine_door.rs"]
mod engine_door;
#[path = "support/header.rs"]
mod header;
#[path = "support/home.rs"]
mod home;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/mod.rs"]
mod support;

#[path = "api/calls.rs"]
mod calls;
#[path = "api/handles.rs"]
mod handles;
#[path = "api/parameters.rs"]
mod parameters;
#[path = "api/transcripts.rs"]
mod transcripts;

use engine::{Engine, Recovery};
use obrolan::Time;

/// What the engine door does when the store works again.
fn restore(engine: &mut Engine, now: Time, recovery: Recovery) {
    engine.restore(now, recovery).expect("all that is durable is recovered");
}
