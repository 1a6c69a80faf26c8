//! Waking tasks of the same thread.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    task::{Poll, Waker},
};

/// Something a task waits for. Raised while nobody waits, it is there for the next one who does.
///
/// If several wait, all wake up and one has the signal; who wants the others to have it too raises it again.
#[derive(Default)]
pub(super) struct Signal {
    raised: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Signal {
    /// Wakes all who wait.
    pub(super) fn raise(&self) {
        if !self.raised.replace(true) {
            self.waiting.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Waits until it is raised, and lowers it.
    pub(super) async fn wait(&self) {
        poll_fn(|context| {
            if self.raised.take() {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            // A task that is polled for another reason is in the list already.
            if waiting.last().is_none_or(|last| !last.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}
