//! t
pub mod client;
pub mod names;
mod secret;
mod time;
pub mod wire;
pub use secret::*;
pub use time::Time;
