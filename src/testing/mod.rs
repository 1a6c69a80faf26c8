//! The reference tools that tests, fuzzers and simulators share.
//!
//! A [`World`] is a host for an engine, all in memory. A [`Scenario`] is what happens in it, read from any bytes, so that
//! generators, fuzzers and kept files share one form. Everything here is for tests and changes without notice.

mod classic;
pub mod fuzz;
mod json;
mod model;
mod referee;
mod restart;
mod rules;
mod scenario;
mod store;
mod terms;
mod world;

pub use scenario::{FORMATS, START, Scenario, Step};
pub use store::{Work, fake_hash};
pub use terms::{Escaped, Feed, Happened};
pub use world::World;
