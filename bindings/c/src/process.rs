//! Objects with threads of their own, in a process that forks.

use std::{
    mem::ManuallyDrop,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::result::{Error, obrolan_result::OBROLAN_ERR_FORKED};

/// Whether this process may have objects with threads: one that was forked from a process with some would watch its sockets with
/// the parent's descriptor, and take from the parent what it is told by that.
pub(crate) fn may_have_threads() -> Result<(), Error> {
    static FIRST: AtomicU32 = AtomicU32::new(0);
    let first = FIRST.compare_exchange(0, process::id(), Ordering::Relaxed, Ordering::Relaxed);
    let why = "this process was forked from one that has used clients or servers: fork before the first of them, or start a program";
    match first {
        Err(other) if other != process::id() => Err(Error::new(OBROLAN_ERR_FORKED, why)),
        _ => Ok(()),
    }
}

/// An object with threads. The child of a fork has its memory and not its threads: there it is not
/// touched, nor dropped.
pub(crate) struct OfProcess<T> {
    process: u32,
    object: ManuallyDrop<T>,
}

impl<T> OfProcess<T> {
    pub(crate) fn new(object: T) -> OfProcess<T> {
        OfProcess { process: process::id(), object: ManuallyDrop::new(object) }
    }

    pub(crate) fn get(&self) -> Result<&T, Error> {
        if self.process == process::id() { Ok(&self.object) } else { Err(OBROLAN_ERR_FORKED.into()) }
    }
}

impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        if self.process == process::id() {
            // SAFETY: nobody uses it after this.
            unsafe { ManuallyDrop::drop(&mut self.object) }
        }
    }
}
