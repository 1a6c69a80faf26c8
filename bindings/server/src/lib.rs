//! The obrolan server: sockets, a store and a command line around the `obrolan` engine.

pub mod store;
