//! Objects with threads of their own, in a process that forks.

use std::{mem::ManuallyDrop, process};

use crate::result::{Error, obrolan_result::OBROLAN_ERR_FORKED};

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
