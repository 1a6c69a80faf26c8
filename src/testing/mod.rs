//! The reference tools that tests, fuzzers and simulators share.
//!
//! A [`World`] is a host for an engine, all in memory. Everything here is for tests and changes without notice.

mod world;

pub use world::{Feed, Happened, Work, World, fake_hash};
