//! The engine.
//!
//! One engine holds all connections of a server. The program tells it what happens on them and what
//! time it is; after every such call, it does what obrolan_engine_next_output says. Several calls
//! may be made before the outputs are taken, which lets a program write in batches. The same seed
//! and the same inputs give the same outputs, whatever pieces the bytes come in.

use std::{
    ffi::{c_char, c_int},
    net::IpAddr,
    panic::resume_unwind,
    ptr,
};

use obrolan::{ApiError, Closed, ConnId, Engine, Peer, Seq, Ticket, Time};

use crate::{
    answer::{self, obrolan_answer},
    arguments::{Out, array, fixed, places, text},
    config::{self, obrolan_config},
    handle::{self, Exclusive},
    output::{Lent, obrolan_conn, obrolan_output, obrolan_slice},
    result::{
        Error, ffi, last_error,
        obrolan_result::{self, OBROLAN_ERR_ARGUMENT},
    },
};

/// What obrolan_engine_next_timeout tells when there is nothing to wait for; as a timeout of others, one without end.
pub const OBROLAN_NEVER: u64 = u64::MAX;

/// How a connection ended at the peer's side.
#[repr(C)]
pub enum obrolan_closed {
    /// The peer sends nothing more, and may still read: what it asked is answered, then comes
    /// OBROLAN_OUTPUT_CLOSE.
    OBROLAN_CLOSED_EOF = 0,
    /// The connection is gone. The engine forgets it at once.
    OBROLAN_CLOSED_GONE = 1,
}

/// An engine.
pub struct obrolan_engine(Exclusive<Hosted>);

/// An engine, and what it has lent.
struct Hosted {
    engine: Engine,
    lent: Lent,
}

/// Gives an engine to the program.
pub(crate) fn give(engine: Engine) -> Result<*mut obrolan_engine, Error> {
    handle::give(obrolan_engine(Exclusive::new(Hosted { engine, lent: Lent::nothing() })))
}

/// A call that changes the engine.
pub(crate) fn enter(
    engine: *mut obrolan_engine,
    call: impl FnOnce(&mut Engine) -> Result<(), Error>,
) -> obrolan_result {
    ffi(|| handle::with(engine, |engine| engine.0.enter(|hosted| call(&mut hosted.engine))))
}

/// A call that does not change it, so that what it has lent stays good.
pub(crate) fn look(
    engine: *const obrolan_engine,
    call: impl FnOnce(&Engine) -> Result<(), Error>,
) -> obrolan_result {
    ffi(|| handle::with(engine, |engine| engine.0.look(|hosted| call(&hosted.engine))))
}

fn conn_id(conn: obrolan_conn) -> Result<ConnId, ApiError> {
    ConnId::from_number(conn).ok_or(ApiError::UnknownConnection)
}

/// Makes an engine that knows nobody.
///
/// seed is 32 random bytes from the operating system, new at every start: session ids and the keys
/// of hashes come from it.
///
/// Errors: OBROLAN_ERR_CONFIG if the configuration cannot be kept. OBROLAN_ERR_ARGUMENT,
/// OBROLAN_ERR_UTF8. Ownership: the program frees the engine with obrolan_engine_free. Threads:
/// any. Since 0.1.0.
///
/// cbindgen:ptrs-as-arrays=[[seed;32]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_new(
    config: *const obrolan_config,
    seed: *const u8,
    now_ms: u64,
    out: *mut *mut obrolan_engine,
) -> obrolan_result {
    ffi(|| {
        // SAFETY: the caller vouches for its pointers.
        let (config, seed, out) =
            unsafe { (config::read(config)?, fixed(seed, "seed")?, Out::new(out, "out")?) };
        out.set(give(Engine::new(config, seed, Time(now_ms))?)?);
        Ok(())
    })
}

/// Frees an engine. What it would have said is lost; nothing that is durable is. NULL and an engine
/// that was freed are let be.
///
/// Threads: any; see the head of this file. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_engine_free(engine: *mut obrolan_engine) {
    handle::free(engine);
}

/// A connection was made. ip is the peer's address in text, against which attempts to log in are
/// counted; NULL if the peer is this process or this machine, by other ways than an address.
///
/// Errors: OBROLAN_ERR_REFUSED: close the connection. OBROLAN_ERR_ARGUMENT, OBROLAN_ERR_UTF8. Since
/// 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_connect(
    engine: *mut obrolan_engine,
    now_ms: u64,
    ip: *const c_char,
    out: *mut obrolan_conn,
) -> obrolan_result {
    enter(engine, |engine| {
        // SAFETY: the caller vouches for its pointers.
        let out = unsafe { Out::new(out, "out") }?;
        let peer = if ip.is_null() {
            Peer::Local
        } else {
            // SAFETY: the same.
            let ip = unsafe { text(ip, "ip") }?;
            let address = ip.parse::<IpAddr>().map_err(|_| {
                let text =
                    format!("{ip:?} is no IP address; give one without a port, or NULL for a local peer");
                Error::new(OBROLAN_ERR_ARGUMENT, text)
            })?;
            Peer::Address(address)
        };
        out.set(engine.connect(Time(now_ms), peer)?.get());
        Ok(())
    })
}

/// len bytes came in on a connection.
///
/// All are taken, unless the connection has to wait: for work that the program was asked for, or
/// for the peer to read what it asked for. consumed tells how many were; the program keeps the
/// others and offers them again after OBROLAN_OUTPUT_READABLE. wants_read tells whether the
/// connection takes more now; if not, the same output tells when it does.
///
/// Errors: OBROLAN_ERR_MISUSE if there is no such connection, or if obrolan_engine_peer_closed was
/// called for it. OBROLAN_ERR_ARGUMENT. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_receive(
    engine: *mut obrolan_engine,
    now_ms: u64,
    conn: obrolan_conn,
    bytes: *const u8,
    len: usize,
    consumed: *mut usize,
    wants_read: *mut bool,
) -> obrolan_result {
    enter(engine, |engine| {
        // SAFETY: the caller vouches for its pointers.
        let (bytes, consumed, wants_read) = unsafe {
            (
                array(bytes, len, "bytes")?,
                Out::new(consumed, "consumed")?,
                Out::new(wants_read, "wants_read")?,
            )
        };
        let received = engine.receive(Time(now_ms), conn_id(conn)?, bytes)?;
        consumed.set(received.consumed);
        wants_read.set(received.wants_read);
        Ok(())
    })
}

/// The peer ended the connection; how is an obrolan_closed.
///
/// Errors: OBROLAN_ERR_MISUSE if there is no such connection. OBROLAN_ERR_ARGUMENT if how is none.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_engine_peer_closed(
    engine: *mut obrolan_engine,
    now_ms: u64,
    conn: obrolan_conn,
    how: c_int,
) -> obrolan_result {
    enter(engine, |engine| {
        let how = match how {
            it if it == obrolan_closed::OBROLAN_CLOSED_EOF as c_int => Closed::Eof,
            it if it == obrolan_closed::OBROLAN_CLOSED_GONE as c_int => Closed::Gone,
            it => return Err(Error::new(OBROLAN_ERR_ARGUMENT, format!("{it} is no obrolan_closed"))),
        };
        Ok(engine.peer_closed(Time(now_ms), conn_id(conn)?, how)?)
    })
}

/// The next thing to do. *out is NULL when all is done.
///
/// Errors: OBROLAN_ERR_ARGUMENT. Ownership: the output is lent. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_next_output(
    engine: *mut obrolan_engine,
    out: *mut *const obrolan_output,
) -> obrolan_result {
    let next = |Hosted { engine, lent }: &mut Hosted| {
        // SAFETY: the caller vouches for its pointers.
        let out = unsafe { Out::new(out, "out") }?;
        lent.take_back();
        out.set(engine.poll_output().map_or(ptr::null(), |output| lent.lend(output)));
        Ok(())
    };
    ffi(|| handle::with(engine, |engine| engine.0.enter(next)))
}

/// What is to be sent on a connection now: fills at most capacity slices, in order. *count tells
/// how many; 0 if there is nothing, or no such connection. If it is capacity, there may be more: it
/// is seen once these are sent.
///
/// Errors: OBROLAN_ERR_ARGUMENT. Ownership: the bytes are lent. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_outgoing(
    engine: *const obrolan_engine,
    conn: obrolan_conn,
    slices: *mut obrolan_slice,
    capacity: usize,
    count: *mut usize,
) -> obrolan_result {
    look(engine, |engine| {
        // SAFETY: the caller vouches for its pointers.
        let (places, count) = unsafe { (places(slices, capacity, "slices")?, Out::new(count, "count")?) };
        let outgoing = ConnId::from_number(conn).into_iter().flat_map(|conn| engine.outgoing(conn));
        count.set(places.zip(outgoing).map(|(place, bytes)| place.set(obrolan_slice::of(bytes))).count());
        Ok(())
    })
}

/// count bytes of what was to be sent on a connection were sent.
///
/// Errors: OBROLAN_ERR_MISUSE if there is no such connection, or if there were not so many bytes.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_engine_sent(
    engine: *mut obrolan_engine,
    now_ms: u64,
    conn: obrolan_conn,
    count: usize,
) -> obrolan_result {
    enter(engine, |engine| Ok(engine.sent(Time(now_ms), conn_id(conn)?, count)?))
}

/// Whether a connection takes bytes now. If not, OBROLAN_OUTPUT_READABLE tells when it does. One
/// that is not there takes none.
///
/// Errors: OBROLAN_ERR_ARGUMENT. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_wants_read(
    engine: *const obrolan_engine,
    conn: obrolan_conn,
    out: *mut bool,
) -> obrolan_result {
    look(engine, |engine| {
        // SAFETY: the caller vouches for its pointers.
        let out = unsafe { Out::new(out, "out") }?;
        out.set(ConnId::from_number(conn).is_some_and(|conn| engine.wants_read(conn)));
        Ok(())
    })
}

/// All records up to number up_to are durable. What was held behind them may leave.
///
/// Errors: OBROLAN_ERR_MISUSE if not all of them are on their way to the journal. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_engine_persisted(
    engine: *mut obrolan_engine,
    now_ms: u64,
    up_to: u64,
) -> obrolan_result {
    enter(engine, |engine| Ok(engine.persisted(Time(now_ms), Seq(up_to))?))
}

/// The record number from and all after it could not be made durable, and will not be.
///
/// What was answered in reliance on them becomes unavailable, and so is every request until
/// obrolan_engine_restore: nothing was changed.
///
/// Errors: OBROLAN_ERR_MISUSE if the record is not on its way to the journal. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_engine_persist_failed(
    engine: *mut obrolan_engine,
    now_ms: u64,
    from: u64,
) -> obrolan_result {
    enter(engine, |engine| Ok(engine.persist_failed(Time(now_ms), Seq(from))?))
}

/// Returns the work of an output, named by its ticket. Each is answered once. If its connection is
/// gone by now, nothing happens.
///
/// Errors: OBROLAN_ERR_MISUSE if no such work is asked, or if the answer is not what was asked for;
/// answer again then. OBROLAN_ERR_ARGUMENT, OBROLAN_ERR_UTF8. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_answer(
    engine: *mut obrolan_engine,
    now_ms: u64,
    ticket: u64,
    answer: *const obrolan_answer,
) -> obrolan_result {
    enter(engine, |engine| {
        // SAFETY: the caller vouches for its pointers.
        let answer = unsafe { answer::read(answer) }?;
        Ok(engine.answer(Time(now_ms), Ticket(ticket), answer)?)
    })
}

/// When to call obrolan_engine_handle_timeout if nothing comes in before, or OBROLAN_NEVER.
///
/// Errors: OBROLAN_ERR_ARGUMENT. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_next_timeout(
    engine: *const obrolan_engine,
    out: *mut u64,
) -> obrolan_result {
    look(engine, |engine| {
        // SAFETY: the caller vouches for its pointers.
        let out = unsafe { Out::new(out, "out") }?;
        out.set(engine.poll_timeout().map_or(OBROLAN_NEVER, |time| time.0));
        Ok(())
    })
}

/// Does what is due by now: closes idle connections, ends unused sessions, drops unused uploads.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_engine_handle_timeout(engine: *mut obrolan_engine, now_ms: u64) -> obrolan_result {
    enter(engine, |engine| {
        engine.handle_timeout(Time(now_ms));
        Ok(())
    })
}

/// Takes no further connection and no further request. Subscribers are told; what was asked is
/// answered and sent, and every connection comes out as OBROLAN_OUTPUT_CLOSE when it is.
///
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_engine_shutdown(engine: *mut obrolan_engine, now_ms: u64) -> obrolan_result {
    enter(engine, |engine| {
        engine.shutdown(Time(now_ms));
        Ok(())
    })
}

/// How many connections are open.
///
/// Errors: OBROLAN_ERR_ARGUMENT. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_connections(
    engine: *const obrolan_engine,
    out: *mut usize,
) -> obrolan_result {
    look(engine, |engine| {
        // SAFETY: the caller vouches for its pointers.
        let out = unsafe { Out::new(out, "out") }?;
        out.set(engine.connections());
        Ok(())
    })
}

/// How many accounts there are.
///
/// Errors: OBROLAN_ERR_ARGUMENT. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_accounts(
    engine: *const obrolan_engine,
    out: *mut usize,
) -> obrolan_result {
    look(engine, |engine| {
        // SAFETY: the caller vouches for its pointers.
        let out = unsafe { Out::new(out, "out") }?;
        out.set(engine.accounts());
        Ok(())
    })
}

/// SHA-256 of every content of a file that a message names, some of them more than once: fills at
/// most capacity times 32 bytes. *count tells how many there are in all. A program that keeps files
/// (OBROLAN_SERVICE_HOST) has no use for what it keeps besides.
///
/// Takes time in proportion to the number of files. Errors: OBROLAN_ERR_ARGUMENT. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_file_digests(
    engine: *const obrolan_engine,
    digests: *mut u8,
    capacity: usize,
    count: *mut usize,
) -> obrolan_result {
    look(engine, |engine| {
        let digests = digests.cast::<[u8; 32]>();
        // SAFETY: the caller vouches for its pointers.
        let (mut places, count) =
            unsafe { (places(digests, capacity, "digests")?, Out::new(count, "count")?) };
        let all = engine.file_digests().inspect(|digest| {
            if let Some(place) = places.next() {
                place.set(*digest);
            }
        });
        count.set(all.count());
        Ok(())
    })
}

/// SHA-256 of the state, 32 bytes: equal states have equal digests. Takes time and memory in
/// proportion to the state.
///
/// Errors: OBROLAN_ERR_ARGUMENT. Since 0.1.0.
///
/// cbindgen:ptrs-as-arrays=[[digest;32]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_digest(
    engine: *const obrolan_engine,
    digest: *mut u8,
) -> obrolan_result {
    look(engine, |engine| {
        // SAFETY: the caller vouches for its pointers.
        let digest = unsafe { Out::new(digest.cast(), "digest") }?;
        digest.set(engine.digest());
        Ok(())
    })
}

/// Why the last call with this engine that failed did so, whichever thread made it. Empty if none
/// has failed.
///
/// For a handle that is none, or is in use by another thread, or is lost to a bug: the words for
/// that. Never NULL.
///
/// Ownership: the text is good until the next call with the engine fails, or it is freed. Since
/// 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_engine_last_error(engine: *const obrolan_engine) -> *const c_char {
    last_error(|| handle::with(engine, |engine| engine.0.error()))
}

/// What a bug would do, without a word on standard error. For the tests: the symbol is not C's, so no program sees it.
#[doc(hidden)]
pub fn panic_for_test(engine: *mut obrolan_engine) -> obrolan_result {
    enter(engine, |_| resume_unwind(Box::new("as if there were a bug")))
}
