//! Transcripts: conversations a person can read, played through any door to the engine.
//!
//! The format is described in tests/transcripts/README.md.

// Every test file includes this module and uses a part of it.
#![allow(dead_code)]

pub(crate) mod coverage;
pub(crate) mod play;
pub(crate) mod template;
pub(crate) mod transcript;
