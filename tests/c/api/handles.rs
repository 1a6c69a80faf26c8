//! What holds for handles, whatever they are of: bad ones, bugs, threads.

use std::{
    ffi::c_int,
    ptr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use obrolan::{Config, Peer, Time};
use obrolan_c::{obrolan_result::*, *};

use crate::{
    engine::{Engine, Failure, c_text, checked, out},
    random::Random,
};

/// How long anything may take before the test says that something is wrong. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

const NOW: Time = Time(1_795_424_400_000);

fn engine() -> Engine {
    Engine::new(Config::default(), [7; 32], NOW).unwrap()
}

fn code(result: Result<(), Failure>) -> obrolan_result {
    result.map_or_else(|failure| failure.code, |()| OBROLAN_OK)
}

/// A call with a handle that has to be an engine's.
fn call(number: usize) -> obrolan_result {
    obrolan_engine_handle_timeout(ptr::without_provenance_mut(number), NOW.0)
}

#[test]
fn no_number_but_the_handles_is_taken() {
    let engine = engine();
    let number = engine.handle().addr();
    assert_eq!(call(number), OBROLAN_OK);
    for bit in 0..usize::BITS {
        assert_eq!(call(number ^ (1 << bit)), OBROLAN_ERR_HANDLE, "with bit {bit} turned");
    }
    let here = 0;
    let mut random = Random::seeded(1);
    let any = (0..100_000).map(|_| random.next() as usize);
    for made_up in [0, 1, usize::MAX, 1 << 63, (&raw const here).addr()].into_iter().chain(any) {
        for made_up in [made_up, made_up | 1 << 63] {
            assert_eq!(call(made_up), OBROLAN_ERR_HANDLE, "{made_up:#x}");
            obrolan_engine_free(ptr::without_provenance_mut(made_up));
        }
    }
    assert_eq!(call(number), OBROLAN_OK);
}

#[test]
fn a_freed_handle_stays_one_whatever_takes_its_place() {
    let stale = engine().handle();
    for _ in 0..1000 {
        let engine = engine();
        assert_ne!(engine.handle(), stale);
        assert_eq!(call(stale.addr()), OBROLAN_ERR_HANDLE);
        obrolan_engine_free(stale);
        assert_eq!(call(engine.handle().addr()), OBROLAN_OK);
    }
}

#[test]
fn a_handle_is_of_one_type() {
    let engine = engine();
    let snapshot = out(|out| {
        // SAFETY: it is there.
        unsafe { obrolan_engine_snapshot(engine.handle(), out) }
    });
    let snapshot = snapshot.unwrap();
    assert_eq!(call(snapshot.addr()), OBROLAN_ERR_HANDLE);
    obrolan_engine_free(snapshot.cast());
    obrolan_snapshot_free(engine.handle().cast());
    let (mut seq, mut bytes, mut len) = (0, ptr::null(), 0);
    // SAFETY: they are there.
    let read = unsafe { obrolan_snapshot_bytes(snapshot, &raw mut seq, &raw mut bytes, &raw mut len) };
    assert_eq!((read, call(engine.handle().addr())), (OBROLAN_OK, OBROLAN_OK));
    obrolan_snapshot_free(snapshot);
}

#[test]
fn a_panic_is_a_code_and_ends_the_handle_alone() {
    let (mut broken, mut other) = (engine(), engine());
    let failure = checked(panic_for_test(broken.handle())).unwrap_err();
    assert_eq!(failure.code, OBROLAN_ERR_PANIC);
    assert_eq!(failure.text, "a bug in obrolan, please report it: as if there were a bug");

    let failure = broken.connect(NOW, Peer::Local).unwrap_err();
    assert_eq!(failure.code, OBROLAN_ERR_PANIC);
    let text = c_text(obrolan_engine_last_error(broken.handle()));
    assert_eq!(text, c_text(obrolan_strerror(OBROLAN_ERR_PANIC as c_int)));
    assert!(other.connect(NOW, Peer::Local).is_ok());

    let handle = broken.handle();
    drop(broken);
    assert_eq!(call(handle.addr()), OBROLAN_ERR_HANDLE);
}

/// Has a password hashed inside the engine, which takes a while.
fn register(engine: *mut obrolan_engine, conn: obrolan_conn, name: usize) -> Result<(), Failure> {
    let line = format!("REGISTER u{name} secret99 ID u\n");
    let (mut consumed, mut wants_read) = (0, false);
    let (bytes, len) = (line.as_ptr(), line.len());
    // SAFETY: they are there.
    checked(unsafe {
        obrolan_engine_receive(engine, NOW.0, conn, bytes, len, &raw mut consumed, &raw mut wants_read)
    })
}

fn connect(engine: *mut obrolan_engine) -> Result<obrolan_conn, Failure> {
    // SAFETY: out is there, and ip may be NULL.
    out(|out| unsafe { obrolan_engine_connect(engine, NOW.0, ptr::null(), out) })
}

/// One thread registers users; another connects meanwhile, and is answered BUSY or connected.
#[test]
fn an_engine_is_for_one_thread_at_a_time() {
    let engine = engine();
    let number = engine.handle().addr();
    let (done, deadline) = (AtomicBool::new(false), Instant::now() + PATIENCE);
    let registered = || {
        let engine = ptr::without_provenance_mut(number);
        let (mut registered, mut conn) = (0, connect(engine));
        while !done.load(Ordering::Relaxed) {
            match conn {
                Err(_) => conn = connect(engine),
                Ok(conn) if register(engine, conn, registered).is_ok() => registered += 1,
                Ok(_) => {}
            }
        }
        registered
    };
    let (mut busy, mut connected) = (0, 1);
    let registered = thread::scope(|scope| {
        let registering = scope.spawn(registered);
        while busy == 0 || connected < 10 {
            assert!(Instant::now() < deadline, "{busy} calls were answered BUSY, {connected} OK");
            match connect(ptr::without_provenance_mut(number)) {
                Ok(_) => connected += 1,
                Err(failure) => {
                    let text = c_text(obrolan_strerror(OBROLAN_ERR_BUSY as c_int));
                    assert_eq!(failure, Failure { code: OBROLAN_ERR_BUSY, text });
                    busy += 1;
                }
            }
        }
        done.store(true, Ordering::Relaxed);
        registering.join().unwrap()
    });
    assert_eq!((engine.connections(), engine.accounts()), (connected, registered));
}

/// Freed while another thread is in a call, an engine goes when that call returns.
#[test]
fn an_engine_outlives_its_handle_until_the_call_returns() {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "no engine was ever freed during a call");
        let engine = engine().into_handle();
        let number = engine.addr();
        let conn = connect(engine).unwrap();
        let freed = AtomicBool::new(false);
        let inside = thread::scope(|scope| {
            let registering = scope.spawn(|| {
                let registered = register(ptr::without_provenance_mut(number), conn, 0);
                (registered, freed.load(Ordering::SeqCst))
            });
            let busy = loop {
                match connect(ptr::without_provenance_mut(number)) {
                    Err(failure) => break failure.code,
                    Ok(_) if registering.is_finished() => break OBROLAN_OK,
                    Ok(_) => {}
                }
            };
            obrolan_engine_free(ptr::without_provenance_mut(number));
            freed.store(true, Ordering::SeqCst);
            assert_eq!(call(number), OBROLAN_ERR_HANDLE);
            let (registered, was_freed) = registering.join().unwrap();
            // The other thread may have come too early to be in the way, or too late to find the engine.
            assert!(matches!(code(registered), OBROLAN_OK | OBROLAN_ERR_BUSY | OBROLAN_ERR_HANDLE));
            busy == OBROLAN_ERR_BUSY && was_freed
        });
        if inside {
            return;
        }
    }
}

#[test]
fn a_snapshot_is_for_any_number_of_threads() {
    let engine = engine();
    // SAFETY: it is there.
    let snapshot = out(|out| unsafe { obrolan_engine_snapshot(engine.handle(), out) }).unwrap().addr();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    let snapshot = ptr::without_provenance_mut(snapshot);
                    let (mut seq, mut bytes, mut len) = (9, ptr::null(), 0);
                    // SAFETY: they are there.
                    let read = unsafe {
                        obrolan_snapshot_bytes(snapshot, &raw mut seq, &raw mut bytes, &raw mut len)
                    };
                    assert_eq!((read, seq), (OBROLAN_OK, 0));
                }
            });
        }
    });
    obrolan_snapshot_free(ptr::without_provenance_mut(snapshot));
}

#[test]
fn every_thread_has_its_own_last_error() {
    assert_eq!(call(0), OBROLAN_ERR_HANDLE);
    let elsewhere = thread::spawn(|| {
        let before = c_text(obrolan_last_error());
        // SAFETY: NULL is seen.
        assert_eq!(unsafe { obrolan_config_default(ptr::null_mut(), 0) }, OBROLAN_ERR_ARGUMENT);
        (before, c_text(obrolan_last_error()))
    });
    assert_eq!(elsewhere.join().unwrap(), (String::new(), "config is NULL".to_owned()));
    assert_eq!(c_text(obrolan_last_error()), c_text(obrolan_strerror(OBROLAN_ERR_HANDLE as c_int)));
}
