//! Snapshots and recovery.
//!
//! From what a program has stored back to an engine: the snapshot if there is one, then every
//! record after it in order, then obrolan_recovery_start.

use std::ffi::c_char;

use obrolan::{Engine, Recovery, Seq, Snapshot, Time};

use crate::{
    arguments::{Out, array, fixed},
    config::{self, obrolan_config},
    engine::{self, obrolan_engine},
    handle::{self, Exclusive},
    result::{
        Error, ffi, last_error,
        obrolan_result::{self, OBROLAN_ERR_MISUSE},
    },
};

/// The whole state of an engine at a point of the journal.
///
/// Threads: a snapshot does not change, so any number of threads may use it at once, also while its
/// engine goes on.
pub struct obrolan_snapshot(Snapshot);

/// An engine that is being rebuilt. Once it was started, or given to obrolan_engine_restore, it is
/// used up and waits to be freed.
pub struct obrolan_recovery(Exclusive<Option<Recovery>>);

/// Takes a snapshot of an engine, bodies of messages and contents of files included if the engine
/// keeps them.
///
/// Takes time and memory in proportion to the state.
///
/// Errors: OBROLAN_ERR_MISUSE if the store failed: until obrolan_engine_restore, the state is not
/// what is durable. OBROLAN_ERR_ARGUMENT. Ownership: the program frees the snapshot with
/// obrolan_snapshot_free. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_engine_snapshot(
    engine: *const obrolan_engine,
    out: *mut *mut obrolan_snapshot,
) -> obrolan_result {
    engine::look(engine, |engine| {
        // SAFETY: the caller vouches for its pointers.
        let out = unsafe { Out::new(out, "out") }?;
        out.set(handle::give(obrolan_snapshot(engine.snapshot()?))?);
        Ok(())
    })
}

/// What a snapshot holds: the bytes that obrolan_recovery_snapshot takes, and the number of the
/// last record in them. A program may drop the journal up to there once the bytes are durable, and
/// must not use them before that record is durable itself.
///
/// Errors: OBROLAN_ERR_ARGUMENT. Ownership: the bytes are lent until the snapshot is freed.
/// Threads: any number at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_snapshot_bytes(
    snapshot: *const obrolan_snapshot,
    seq: *mut u64,
    bytes: *mut *const u8,
    len: *mut usize,
) -> obrolan_result {
    ffi(|| {
        handle::with(snapshot, |obrolan_snapshot(snapshot)| {
            // SAFETY: the caller vouches for its pointers.
            let (seq, bytes, len) =
                unsafe { (Out::new(seq, "seq")?, Out::new(bytes, "bytes")?, Out::new(len, "len")?) };
            seq.set(snapshot.seq.0);
            bytes.set(snapshot.bytes.as_ptr());
            len.set(snapshot.bytes.len());
            Ok(())
        })
    })
}

/// Frees a snapshot. NULL and a snapshot that was freed are let be.
///
/// Threads: any; see the head of this file. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_snapshot_free(snapshot: *mut obrolan_snapshot) {
    handle::free(snapshot);
}

/// Begins to rebuild an engine. seed is as for obrolan_engine_new: new, not what it was.
///
/// Errors: OBROLAN_ERR_CONFIG if the configuration cannot be kept. OBROLAN_ERR_ARGUMENT,
/// OBROLAN_ERR_UTF8. Ownership: the program frees the recovery with obrolan_recovery_free. Threads:
/// any. Since 0.1.0.
///
/// cbindgen:ptrs-as-arrays=[[seed;32]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_recovery_new(
    config: *const obrolan_config,
    seed: *const u8,
    out: *mut *mut obrolan_recovery,
) -> obrolan_result {
    ffi(|| {
        // SAFETY: the caller vouches for its pointers.
        let (config, seed, out) =
            unsafe { (config::read(config)?, fixed(seed, "seed")?, Out::new(out, "out")?) };
        out.set(handle::give(obrolan_recovery(Exclusive::new(Some(Engine::recover(config, seed)?))))?);
        Ok(())
    })
}

/// Takes a snapshot; first of all, and at most one.
///
/// Errors: OBROLAN_ERR_DAMAGED if it does not read, or came late; free the recovery.
/// OBROLAN_ERR_MISUSE if the recovery is used up. OBROLAN_ERR_ARGUMENT. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_recovery_snapshot(
    recovery: *mut obrolan_recovery,
    bytes: *const u8,
    len: usize,
) -> obrolan_result {
    enter(recovery, |recovery| {
        // SAFETY: the caller vouches for its pointers.
        let bytes = unsafe { array(bytes, len, "bytes") }?;
        Ok(recovery.as_mut().ok_or_else(used_up)?.snapshot(bytes)?)
    })
}

/// Takes the record number seq, the next one.
///
/// Errors: OBROLAN_ERR_DAMAGED if it does not read, or is not the next one; free the recovery.
/// OBROLAN_ERR_MISUSE if the recovery is used up. OBROLAN_ERR_ARGUMENT. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_recovery_record(
    recovery: *mut obrolan_recovery,
    seq: u64,
    record: *const u8,
    len: usize,
) -> obrolan_result {
    enter(recovery, |recovery| {
        // SAFETY: the caller vouches for its pointers.
        let record = unsafe { array(record, len, "record") }?;
        Ok(recovery.as_mut().ok_or_else(used_up)?.record(Seq(seq), record)?)
    })
}

/// Makes the engine, as it was after the last record. The recovery is used up, whether this
/// succeeds or not, unless out is NULL.
///
/// Errors: OBROLAN_ERR_DAMAGED if the engine is to keep messages or files itself, and one did not
/// come with the journal. OBROLAN_ERR_MISUSE if the recovery is used up. OBROLAN_ERR_ARGUMENT.
/// Ownership: the program frees the engine with obrolan_engine_free. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_recovery_start(
    recovery: *mut obrolan_recovery,
    now_ms: u64,
    out: *mut *mut obrolan_engine,
) -> obrolan_result {
    enter(recovery, |recovery| {
        // SAFETY: the caller vouches for its pointers.
        let out = unsafe { Out::new(out, "out") }?;
        out.set(engine::give(start(recovery, now_ms)?)?);
        Ok(())
    })
}

/// Goes on after obrolan_engine_persist_failed with what is durable, as recovered from the store.
/// Connections stay; a session that was not durable is gone. The recovery is used up, whether this
/// succeeds or not.
///
/// Errors: OBROLAN_ERR_MISUSE if the store has not failed, if the recovery lacks records that are
/// durable, or if it is used up. OBROLAN_ERR_DAMAGED as of obrolan_recovery_start.
/// OBROLAN_ERR_HANDLE if either handle is none. The engine is as it was then. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_engine_restore(
    engine: *mut obrolan_engine,
    now_ms: u64,
    recovery: *mut obrolan_recovery,
) -> obrolan_result {
    engine::enter(engine, |engine| {
        let recovered =
            handle::with(recovery, |recovery| recovery.0.enter(|recovery| start(recovery, now_ms)))?;
        Ok(engine.restore(Time(now_ms), recovered)?)
    })
}

/// Frees a recovery. NULL and a recovery that was freed are let be.
///
/// Threads: any; see the head of this file. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_recovery_free(recovery: *mut obrolan_recovery) {
    handle::free(recovery);
}

/// Why the last call with this recovery that failed did so, as obrolan_engine_last_error tells it
/// of an engine.
///
/// Ownership: the text is good until the next call with the recovery fails, or it is freed. Since
/// 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_recovery_last_error(recovery: *const obrolan_recovery) -> *const c_char {
    last_error(|| handle::with(recovery, |recovery| recovery.0.error()))
}

fn enter(
    recovery: *mut obrolan_recovery,
    call: impl FnOnce(&mut Option<Recovery>) -> Result<(), Error>,
) -> obrolan_result {
    ffi(|| handle::with(recovery, |recovery| recovery.0.enter(call)))
}

fn start(recovery: &mut Option<Recovery>, now_ms: u64) -> Result<Engine, Error> {
    Ok(recovery.take().ok_or_else(used_up)?.start(Time(now_ms))?)
}

fn used_up() -> Error {
    Error::new(OBROLAN_ERR_MISUSE, "the recovery was started already; free it")
}
