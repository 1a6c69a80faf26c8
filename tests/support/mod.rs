//! Transcripts: conversations a person can read, played through any door to the engine.
//!
//! The format is described in tests/transcripts/README.md.

pub(crate) mod coverage;
pub(crate) mod play;
pub(crate) mod template;
pub(crate) mod transcript;
