//! SIGINT and SIGTERM: the first asks for a graceful stop, the second ends the process at once.

use std::{
    io,
    os::unix::net::UnixStream,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
    low_level::pipe,
};
use smol::{Async, io::AsyncReadExt};

/// Takes over both signals for the rest of the process, from now on. The future ends with the first signal; any
/// further one exits with 128 and its number: 130 for SIGINT, 143 for SIGTERM.
pub(super) fn stop_requested() -> io::Result<impl Future<Output = ()> + Send> {
    let requested = Arc::new(AtomicBool::new(false));
    let (reader, writer) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        // Actions run in this order, so the first signal passes the shutdown and arms it for the second.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&requested))?;
        flag::register(signal, Arc::clone(&requested))?;
        pipe::register(signal, writer.try_clone()?)?;
    }
    let mut reader = Async::new(reader)?;
    Ok(async move {
        let read = reader.read_exact(&mut [0]).await;
        read.expect("the signal handlers keep the other end open");
    })
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        process::{self, Command},
    };

    use signal_hook::low_level::raise;

    use super::*;

    /// The test runs itself as a child, because what is tested ends the process.
    #[test]
    fn the_first_signal_asks_and_the_second_ends() {
        const IN_CHILD: &str = "TEST_SIGNALS_IN_CHILD";
        if env::var_os(IN_CHILD).is_some() {
            let stop = stop_requested().unwrap();
            raise(SIGINT).unwrap();
            smol::block_on(stop);
            raise(SIGTERM).unwrap();
            process::exit(1);
        }
        let name = "serve::signals::tests::the_first_signal_asks_and_the_second_ends";
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(IN_CHILD, "1")
            .output()
            .unwrap();
        assert_eq!(child.status.code(), Some(143), "{child:?}");
    }
}
