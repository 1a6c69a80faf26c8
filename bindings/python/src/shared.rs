//! Objects that threads share, and what becomes of one that panics.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, TryLockError},
};

use pyo3::prelude::*;

use crate::errors::Poisoned;

/// What one thread at a time may use, until a panic in it: from then on every use raises `Poisoned`.
///
/// No thread waits for the interpreter while it holds this, nor for this while it holds the interpreter: neither can hold up the other.
pub(crate) struct Shared<T>(Mutex<T>);

impl<T: Send> Shared<T> {
    pub(crate) fn new(inner: T) -> Shared<T> {
        Shared(Mutex::new(inner))
    }

    /// For short work: without letting go of the interpreter, which would cost more than the work. It may make bytes and strings, and
    /// must not do anything else with Python: that could run any code, which could come back here.
    pub(crate) fn attached<R>(&self, py: Python<'_>, work: impl FnOnce(&mut T) -> R) -> PyResult<R> {
        let mut held = loop {
            match self.0.try_lock() {
                Ok(held) => break held,
                Err(TryLockError::Poisoned(_)) => return Err(poisoned_before()),
                // The other one may be at it for long; the interpreter is not to stand still for that.
                Err(TryLockError::WouldBlock) => py.detach(|| drop(self.0.lock())),
            }
        };
        caught(move || work(&mut held))
    }

    /// For work that may take long: other Python threads run meanwhile.
    pub(crate) fn detached<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut T) -> R + Send,
    ) -> PyResult<R> {
        py.detach(|| {
            let mut held = self.0.lock().map_err(|_| poisoned_before())?;
            caught(move || work(&mut held))
        })
    }
}

/// Does some work; a panic in it becomes an exception that programs can catch, unlike pyo3's.
pub(crate) fn caught<R>(work: impl FnOnce() -> R) -> PyResult<R> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| poisoned(&*panic))
}

fn poisoned(panic: &(dyn Any + Send)) -> PyErr {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref().copied());
    Poisoned::new_err(format!(
        "this is a fault in obrolan, please report it: {}; the object cannot be used any more, make a new one",
        text.unwrap_or("a panic without a text")
    ))
}

fn poisoned_before() -> PyErr {
    Poisoned::new_err(
        "an earlier call met a fault in obrolan; this object cannot be used any more, make a new one",
    )
}
