//! Server.
//!
//! A whole server inside the program, on threads of its own: for tests, and for small deployments.
//! It takes no signals and writes no log. Clients reach it by its URL, whatever process they are in.
//!
//! Threads: any number may use one server at once. Processes: as with a client, the child of a fork
//! has no server, and can open none.

use std::{
    ffi::{CString, c_char},
    ptr,
    sync::{Mutex, PoisonError},
};

use ::obrolan_server::{
    config::{self, ServerConfig},
    server::{RunError, RunningServer, Server, StartError},
    store::StoreError,
};

use crate::{
    arguments::{Out, text},
    handle,
    process::{OfProcess, may_have_threads},
    result::{
        Error, ffi,
        obrolan_result::{self, *},
        to_c,
    },
};

/// A server in this process.
pub struct obrolan_server(OfProcess<Held>);

struct Held {
    url: CString,
    running: Mutex<Option<RunningServer>>,
}

/// Starts a server. toml is its configuration, with the keys of the configuration file
/// (docs/operating.md): "listen = '127.0.0.1:0'\nstorage = 'memory'" is a server that forgets all
/// when it is stopped, on a port that the system chooses.
///
/// When it returns, clients can connect. It raises the limit of open descriptors of this process as
/// far as the system allows, because each connection takes one.
///
/// Errors: OBROLAN_ERR_CONFIG if the configuration cannot be kept, OBROLAN_ERR_IO if the address is
/// taken or the data folder cannot be used, OBROLAN_ERR_DAMAGED if what is there is damaged.
/// OBROLAN_ERR_ARGUMENT, OBROLAN_ERR_UTF8. Ownership: the program frees the server with
/// obrolan_server_free. Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_server_open(
    toml: *const c_char,
    out: *mut *mut obrolan_server,
) -> obrolan_result {
    ffi(|| {
        // SAFETY: the caller vouches for its pointers.
        let (toml, out) = unsafe { (text(toml, "toml")?, Out::new(out, "out")?) };
        may_have_threads()?;
        let config = ServerConfig::from_toml(toml, "toml")?;
        let running = Server::bind(&config)?.spawn().map_err(StartError::System)?;
        let held = Held { url: to_c(running.url()), running: Mutex::new(Some(running)) };
        out.set(handle::give(obrolan_server(OfProcess::new(held)))?);
        Ok(())
    })
}

/// Where clients on this machine reach the server: "obrolan://127.0.0.1:40123". NULL if the handle
/// is none, or of a process that this one was forked from.
///
/// Ownership: lent until the server is freed. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_server_url(server: *const obrolan_server) -> *const c_char {
    handle::see(server, ptr::null(), |server| server.0.get().map_or(ptr::null(), |held| held.url.as_ptr()))
}

/// Stops the server and waits until it has: subscribers are told, what was asked is answered, all is
/// stored. One that is stopped already is let be.
///
/// Errors: OBROLAN_ERR_IO if it could not go on, now or earlier; what was answered OK is stored.
/// OBROLAN_ERR_HANDLE, OBROLAN_ERR_FORKED. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_server_stop(server: *mut obrolan_server) -> obrolan_result {
    ffi(|| handle::with(server, |server| stop(server.0.get()?)))
}

fn stop(held: &Held) -> Result<(), Error> {
    // Whoever comes second waits for the first.
    let mut running = held.running.lock().unwrap_or_else(PoisonError::into_inner);
    running.take().map_or(Ok(()), RunningServer::stop)?;
    Ok(())
}

/// Stops a server, as obrolan_server_stop does, and frees it. NULL and a server that was freed are
/// let be.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_server_free(server: *mut obrolan_server) {
    handle::free_after(server, |server| {
        // Whoever wants to know how it went stops it before.
        let _ = server.0.get().and_then(stop);
    });
}

impl From<config::ConfigError> for Error {
    fn from(error: config::ConfigError) -> Error {
        Error::new(OBROLAN_ERR_CONFIG, error.to_string())
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Error {
        let code = match &error {
            StartError::Config(_) => OBROLAN_ERR_CONFIG,
            StartError::Recovery { .. }
            | StartError::Store(
                StoreError::Damaged { .. } | StoreError::TooNew { .. } | StoreError::Rejected { .. },
            ) => OBROLAN_ERR_DAMAGED,
            _ => OBROLAN_ERR_IO,
        };
        Error::new(code, error.to_string())
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Error {
        Error::new(OBROLAN_ERR_IO, error.to_string())
    }
}
