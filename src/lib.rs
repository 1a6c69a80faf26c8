//! A chat engine that other programs embed.
//!
//! It speaks the *Chat Application Protocol*: accounts, sessions, private and group messages, one line a request and one JSON object a
//! response. [`Engine`] is a state machine: bytes and times go in; bytes to send, records to keep and work to do come out. Sockets,
//! disks and clocks are yours.
//!
//! A whole chat between two people, without any of those:
//!
//! ```
//! use obrolan::{Config, ConnId, Engine, Output, Peer, Time};
//!
//! /// Gives a connection's bytes to the engine, and returns what each connection is sent because of it.
//! fn say(engine: &mut Engine, conn: ConnId, line: &str) -> Vec<(ConnId, String)> {
//!     let now = Time(1_795_424_400_000);
//!     engine.receive(now, conn, line.as_bytes()).unwrap();
//!     let mut writable = vec![];
//!     while let Some(output) = engine.poll_output() {
//!         match output {
//!             Output::Writable { conn } => writable.push(conn),
//!             other => println!("nothing to do here: {other:?}"),
//!         }
//!     }
//!     let mut sent = vec![];
//!     for conn in writable {
//!         let bytes: Vec<u8> = engine.outgoing(conn).flatten().copied().collect();
//!         engine.sent(now, conn, bytes.len()).unwrap();
//!         sent.push((conn, String::from_utf8(bytes).unwrap()));
//!     }
//!     sent
//! }
//!
//! let mut engine = Engine::new(Config::default(), [7; 32], Time(0)).unwrap();
//! let ann = engine.connect(Time(0), Peer::Local).unwrap();
//! let bob = engine.connect(Time(0), Peer::Local).unwrap();
//! for (conn, name) in [(ann, "ann"), (bob, "bob")] {
//!     say(&mut engine, conn, &format!("REGISTER {name} secret99 ID {name}\n"));
//!     say(&mut engine, conn, &format!("AUTH {name} secret99\n"));
//! }
//! say(&mut engine, bob, "SUBSCRIBE\n");
//!
//! let sent = say(&mut engine, ann, "SEND bob halo, apa kabar?\n");
//! assert_eq!(sent[0].1, "{\"status\":\"OK\",\"data\":\"pesan terkirim\",\"id\":1}\r\n\r\n");
//! assert!(sent[1].0 == bob && sent[1].1.contains("\"from\":\"ann\",\"to\":\"bob\""));
//! ```
//!
//! A host that keeps a journal sets [`Config::persistence`]; one that hashes passwords on another thread, or keeps messages in a
//! database, says so in [`Config::passwords`] and [`Config::messages`]. The protocol is described in docs/protocol.md, and why things
//! are as they are in docs/architecture.md.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod client;
mod engine;
mod limits;
pub mod names;
pub mod passwords;
mod secret;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
pub mod wire;

pub use engine::*;
pub use limits::{Accounts, Config, ConfigError, Limits, Service};
pub use secret::{Password, SessionDigest, SessionId};
pub use state::MessageId;
pub use time::Time;

/// The examples of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
