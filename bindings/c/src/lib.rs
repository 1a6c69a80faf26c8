//! obrolan: a chat engine that other programs embed.
//!
//! It speaks the Chat Application Protocol: accounts, sessions, private and group messages, files;
//! one line a request, one JSON object a response. There are three ways in:
//!
//! - The client talks to a server as a user, over a connection that it keeps up by itself.
//! - The server runs inside the program, as the command "obrolan serve" runs by itself.
//! - The engine is what such a server has inside: a state machine for any number of connections.
//!   Bytes and times go in; bytes to send, records to keep and work to do come out. Sockets, disks
//!   and clocks are the program's.
//!
//! What holds for every function:
//!
//! - Names. obrolan_TYPE_VERB is a function on a handle of type obrolan_TYPE.
//! - Handles. A function ending in _new or _open gives a handle, the one ending in _free takes it,
//!   once. Freeing NULL does nothing. A handle looks like a pointer and is none: it is looked up. So
//!   one that is NULL, was freed, is of another type or never was one is answered
//!   OBROLAN_ERR_HANDLE, and nothing happens.
//! - Inputs are copied: what a program passes is its own again when the function returns. Texts are
//!   UTF-8 and end with NUL. Bytes may be NULL where their number is 0. What a handle has lent must
//!   not be given back to the same handle.
//! - Pointers that a function returns are lent. They are good until the next call with the same
//!   handle as a parameter that is not const, or until the handle is freed.
//! - Out-parameters come last and are written only when OBROLAN_OK is returned. None may be NULL
//!   where its description does not say so.
//! - Structs that a program fills begin with their size, and have a function that sets it and all
//!   other fields. So a program goes on working with a newer library, and is told when it needs a
//!   newer one.
//! - Errors are codes; obrolan_last_error has the words. A call that fails has changed nothing,
//!   unless its description says so.
//! - Threads. Different handles are independent of each other. One handle is for one thread at a
//!   time, any thread: a call while another thread is in a call with the same handle is answered
//!   OBROLAN_ERR_BUSY, and nothing happens. Where a type allows more, its description says so. To
//!   free a handle while another thread is in a call is safe: the object goes when that call
//!   returns.
//! - A bug inside the library that Rust notices is answered OBROLAN_ERR_PANIC, and its text goes to
//!   standard error. The handle takes no further call but _free. When memory runs out, the process
//!   is aborted.
//! - Times are milliseconds since 1970-01-01T00:00:00Z.

#![deny(missing_docs, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
// What a caller has to keep to is the same for all functions, and stands above.
#![allow(clippy::missing_safety_doc)]
// The names are C's.
#![allow(non_camel_case_types)]
// What is told to cbindgen looks like links.
#![allow(rustdoc::broken_intra_doc_links)]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("a handle is a number of 64 bits in the place of a pointer");

mod answer;
mod arguments;
mod client;
mod code;
mod config;
mod engine;
mod event;
mod handle;
mod output;
mod passwords;
mod process;
mod recovery;
mod response;
mod result;
mod server;
mod version;

pub use answer::*;
pub use client::{files::*, options::*, parts::*, requests::*, *};
pub use code::*;
pub use config::*;
pub use engine::*;
pub use event::*;
pub use output::*;
pub use passwords::*;
pub use recovery::*;
pub use response::*;
pub use result::*;
pub use server::*;
pub use version::*;
