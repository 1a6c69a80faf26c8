//! Handles: what C programs hold of objects.
//!
//! A handle has the type of a pointer and is never followed. It is the key of an object in one table for all types: its place, and how
//! many objects stood there before. A place has had 2^30 objects before a number comes again.

use std::{
    any::Any,
    ffi::{CString, c_char},
    ptr,
    sync::{
        LazyLock, Mutex, MutexGuard, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use sharded_slab::{Config, Slab};

use crate::result::{
    Error, ffi,
    obrolan_result::{OBROLAN_ERR_BUSY, OBROLAN_ERR_HANDLE, OBROLAN_ERR_PANIC},
};

/// How the 64 bits of a key are used: 13 for the thread that made the object, 20 for the place, 30 for the count, 1 for [`MARK`].
struct Layout;

impl Config for Layout {
    const MAX_THREADS: usize = 4096;
    const INITIAL_PAGE_SIZE: usize = 32;
    const MAX_PAGES: usize = 14;
    const RESERVED_BITS: usize = 1;
}

/// Set in every handle, so that none is NULL or looks like an address of the program.
const MARK: usize = 1 << (usize::BITS - 1);

/// An object of any type.
struct Slot<T: ?Sized> {
    panicked: AtomicBool,
    object: T,
}

static OBJECTS: LazyLock<Slab<Box<Slot<dyn Any + Send + Sync>>, Layout>> =
    LazyLock::new(Slab::new_with_config);

/// Gives an object into the hands of the program.
pub(crate) fn give<T: Any + Send + Sync>(object: T) -> Result<*mut T, Error> {
    let slot = Box::new(Slot { panicked: AtomicBool::new(false), object });
    let key = OBJECTS.insert(slot);
    let key =
        key.ok_or_else(|| Error::new(OBROLAN_ERR_HANDLE, "there are half a million handles: free some"))?;
    Ok(ptr::without_provenance_mut(key | MARK))
}

/// Uses the object of a handle, which stays for as long, even if it is freed meanwhile.
pub(crate) fn with<T: Any, R>(
    handle: *const T,
    call: impl FnOnce(&T) -> Result<R, Error>,
) -> Result<R, Error> {
    let slot = OBJECTS.get(key(handle)?).ok_or(OBROLAN_ERR_HANDLE)?;
    let object = slot.object.downcast_ref().ok_or(OBROLAN_ERR_HANDLE)?;
    if slot.panicked.load(Ordering::Acquire) {
        return Err(OBROLAN_ERR_PANIC.into());
    }
    let _on_panic = OnPanic(&slot.panicked);
    call(object)
}

/// Takes an object back, if it is there. It goes when the last call that uses it returns.
pub(crate) fn free<T: Any>(handle: *mut T) {
    free_after(handle, |_| {});
}

/// The same; `last` is done once it is taken, whoever still uses it.
pub(crate) fn free_after<T: Any>(handle: *mut T, last: impl FnOnce(&T)) {
    // Nobody is told of a panic: C programs expect that to free cannot fail.
    let _ = ffi(|| {
        // Should somebody else free it in between, nothing is left to be removed under this number.
        if let Ok(key) = key(handle)
            && let Some(slot) = OBJECTS.get(key)
            && let Some(object) = slot.object.downcast_ref()
            && OBJECTS.remove(key)
        {
            last(object);
        }
        Ok(())
    });
}

/// Looks at an object that does not change. What there is to see of one that is none is `nothing`.
pub(crate) fn see<T: Any, R>(handle: *const T, nothing: R, look: impl FnOnce(&T) -> R) -> R {
    let mut seen = nothing;
    // The handle is the only thing that can be wrong, and that is seen.
    let _ = ffi(|| {
        seen = with(handle, |object| Ok(look(object)))?;
        Ok(())
    });
    seen
}

/// A handle that belongs to an object which lends it: it goes with that.
pub(crate) struct Lent<T: Any>(*mut T);

// SAFETY: a handle is a number; the objects behind it can be sent and shared.
unsafe impl<T: Any> Send for Lent<T> {}
// SAFETY: the same.
unsafe impl<T: Any> Sync for Lent<T> {}

impl<T: Any + Send + Sync> Lent<T> {
    pub(crate) fn new(object: T) -> Result<Lent<T>, Error> {
        give(object).map(Lent)
    }

    pub(crate) fn handle(&self) -> *const T {
        self.0
    }
}

impl<T: Any> Drop for Lent<T> {
    fn drop(&mut self) {
        free(self.0);
    }
}

fn key<T>(handle: *const T) -> Result<usize, Error> {
    let number = handle.addr();
    if number & MARK == 0 { Err(OBROLAN_ERR_HANDLE.into()) } else { Ok(number & !MARK) }
}

struct OnPanic<'a>(&'a AtomicBool);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Release);
        }
    }
}

/// An object that is for one thread at a time, with its last error.
pub(crate) struct Exclusive<T>(Mutex<Held<T>>);

struct Held<T> {
    object: T,
    error: CString,
}

impl<T> Exclusive<T> {
    pub(crate) fn new(object: T) -> Exclusive<T> {
        Exclusive(Mutex::new(Held { object, error: CString::default() }))
    }

    /// Changes the object.
    pub(crate) fn enter<R>(&self, call: impl FnOnce(&mut T) -> Result<R, Error>) -> Result<R, Error> {
        let mut held = self.lock()?;
        let done = call(&mut held.object);
        held.kept(done)
    }

    /// Looks at the object. What it has lent stays good.
    pub(crate) fn look<R>(&self, call: impl FnOnce(&T) -> Result<R, Error>) -> Result<R, Error> {
        let mut held = self.lock()?;
        let done = call(&held.object);
        held.kept(done)
    }

    /// The text of its last error.
    pub(crate) fn error(&self) -> Result<*const c_char, Error> {
        Ok(self.lock()?.error.as_ptr())
    }

    fn lock(&self) -> Result<MutexGuard<'_, Held<T>>, Error> {
        self.0.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OBROLAN_ERR_BUSY.into(),
            // The other thread's call has panicked since this one looked.
            TryLockError::Poisoned(_) => OBROLAN_ERR_PANIC.into(),
        })
    }
}

impl<T> Held<T> {
    fn kept<R>(&mut self, done: Result<R, Error>) -> Result<R, Error> {
        done.inspect_err(|error| self.error = error.to_c())
    }
}
