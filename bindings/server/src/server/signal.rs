//! Waking tasks of the same thread.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    task::{Poll, Waker},
};

/// Something one task waits for. Raised while it does not wait, it is there for when it does.
#[derive(Default)]
pub(super) struct Signal {
    raised: Cell<bool>,
    waiting: Cell<Option<Waker>>,
}

impl Signal {
    /// Wakes who waits.
    pub(super) fn raise(&self) {
        if !self.raised.replace(true)
            && let Some(waker) = self.waiting.take()
        {
            waker.wake();
        }
    }

    /// Waits until it is raised, and lowers it.
    pub(super) async fn wait(&self) {
        poll_fn(|context| {
            if self.raised.take() {
                return Poll::Ready(());
            }
            // In place of the former one: a task that waits for several things is polled for each of them.
            self.waiting.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// Any number of tasks that wait until something holds.
#[derive(Default)]
pub(super) struct Queue(RefCell<Vec<Waker>>);

impl Queue {
    /// Waits until `holds` does, which is looked at now and after each [`wake`](Self::wake).
    pub(super) async fn until(&self, holds: impl Fn() -> bool) {
        poll_fn(|context| {
            if holds() {
                return Poll::Ready(());
            }
            self.0.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Has all who wait look again.
    pub(super) fn wake(&self) {
        self.0.take().into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        rc::Rc,
        sync::Arc,
        task::{Context, Wake},
    };

    use smol::LocalExecutor;

    use super::*;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_signal_is_there_for_who_comes_later_and_once() {
        let signal = Signal::default();
        signal.raise();
        signal.raise();
        smol::block_on(signal.wait());
        let mut again = pin!(signal.wait());
        assert!(again.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        signal.raise();
        assert!(again.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }

    #[test]
    fn a_task_that_is_polled_for_other_reasons_waits_once() {
        let (signal, nobody) = (Signal::default(), Arc::new(Nobody));
        let waker = Waker::from(nobody.clone());
        let mut wait = pin!(signal.wait());
        for _ in 0..1000 {
            assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(Arc::strong_count(&nobody), 3, "here, in the waker, and kept once");
    }

    #[test]
    fn all_who_wait_go_on_when_what_they_wait_for_holds() {
        let (queue, room) = (Queue::default(), Rc::new(Cell::new(false)));
        let executor = LocalExecutor::new();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let room = room.clone();
                executor.spawn(queue.until(move || room.get()))
            })
            .collect();
        while executor.try_tick() {}
        queue.wake();
        while executor.try_tick() {}
        assert!(tasks.iter().all(|task| !task.is_finished()), "it does not hold yet");
        room.set(true);
        queue.wake();
        while executor.try_tick() {}
        assert!(tasks.iter().all(smol::Task::is_finished));
    }
}
