//! Threads inside a process that is somebody else's.

use std::{
    io,
    thread::{self, JoinHandle},
};

use nix::sys::signal::{SigSet, SigmaskHow};

/// Starts a thread that takes no signals, and neither do those that it starts: the handlers are the program's, and run on its threads.
pub(crate) fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // A thread begins with the mask of the one that starts it, so there is no moment in which it takes any.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    before.thread_set_mask()?;
    thread
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;

    use super::*;

    #[test]
    fn signals_are_left_to_the_programs_threads() {
        let masked = || SigSet::thread_get_mask().unwrap().contains(Signal::SIGUSR1);
        let inside = spawn("test", move || (masked(), thread::spawn(masked).join().unwrap()));
        assert_eq!(inside.unwrap().join().unwrap(), (true, true));
        assert!(!masked(), "who starts it goes on as before");
    }
}
