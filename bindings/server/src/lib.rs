//! The obrolan server as a library: the engine of crate `obrolan` with sockets, a store and a configuration.

pub mod chat;
pub mod cli;
pub mod client;
pub mod config;
pub mod demo;
pub mod log;
pub mod serve;
pub mod server;
pub mod store;
mod threads;
