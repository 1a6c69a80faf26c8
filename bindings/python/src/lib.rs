//! `obrolan._obrolan`: what the Python package `obrolan` has from Rust.
//!
//! The package in python/obrolan gives these classes their public places; its documentation is in the docstrings here.

#![forbid(unsafe_code)]

mod answers;
mod asks;
mod buffer;
mod client;
mod config;
mod engine;
mod errors;
mod outputs;
mod program;
mod recovery;
mod secret;
mod server;
mod shared;
mod value;
mod wait;
mod words;

/// The part of obrolan that is written in Rust. Import its names from obrolan and obrolan.engine.
#[pyo3::pymodule(gil_used = false)]
mod _obrolan {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::{
        answers::{Done, Failed, FileBytes, FileStored, History, Messages, PasswordHash, PasswordMatches},
        asks::{
            AskAppendUpload, AskDropUpload, AskFinishUpload, AskHashPassword, AskReadFile, AskReadHistory,
            AskReadMessages, AskVerifyPassword,
        },
        client::{RawClient, parse_url, register},
        config::{Accounts, Config, Limits},
        engine::{Engine, Received},
        outputs::{
            Close, LoggedIn, LoginFailed, MessageRef, Outputs, Persist, Readable, Registered, Throttled,
            Writable,
        },
        program::main,
        recovery::{Recovery, Snapshot},
        secret::{Password, hash_password, verify_password},
        server::Server,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
