//! A client's thread: it connects, lets bytes pass, and connects again.

use std::{ops::ControlFlow, time::Duration};

use obrolan::client::Backoff;
use smol::{Timer, channel::Receiver, future};

use super::{
    Connection, Event, Lost, attempt,
    shared::{Link, Shared},
};
use crate::config::Address;

/// The longest pause between two attempts to connect, in milliseconds.
const LONGEST_PAUSE: u64 = 30_000;

/// Keeps the client connected until it ends.
///
/// An `anonymous` one logs in as nobody, so that to be connected is all.
pub(super) async fn run(shared: &Shared, server: &Address, woken: &Receiver<()>, seed: u64, anonymous: bool) {
    let mut backoff = Backoff::new(seed, LONGEST_PAUSE);
    let mut delay = Duration::ZERO;
    loop {
        let lost = match connect(shared, server, delay, woken).await {
            None => return,
            Some(Err(why)) => Lost::Gone(why),
            Some(Ok(connection)) => {
                if anonymous {
                    shared.lock().connected(false);
                    shared.changed();
                }
                match talk(shared, connection, woken).await {
                    ControlFlow::Break(()) => return,
                    ControlFlow::Continue(lost) => lost,
                }
            }
        };
        let mut state = shared.lock();
        state.machine.disconnected();
        if state.link == Link::Up {
            backoff.reset();
        }
        let retry_after = lost.retry_after();
        // One attempt that fails after the other is one outage. How long the server said to wait is news in any.
        if retry_after.is_some() || !matches!(state.link, Link::Down(_)) {
            state.queue.push(Event::Lost { why: lost.to_string(), retry_after });
        }
        state.link = Link::Down(lost);
        delay = Duration::from_millis(backoff.next_delay()).max(retry_after.unwrap_or_default());
        shared.changed();
    }
}

/// Connects after `delay`; `None` if the client ends before.
async fn connect(
    shared: &Shared,
    server: &Address,
    delay: Duration,
    woken: &Receiver<()>,
) -> Option<Result<Connection, String>> {
    let connected = async { Some(attempt(server, delay).await) };
    let ended = async {
        // A request wakes it too, and goes out with the next connection.
        while shared.lock().ended.is_none() && woken.recv().await.is_ok() {}
        None
    };
    future::or(ended, connected).await
}

/// Lets bytes pass until the connection or the client ends.
async fn talk(shared: &Shared, mut connection: Connection, woken: &Receiver<()>) -> ControlFlow<(), Lost> {
    shared.lock().machine.connected();
    loop {
        if let Err(lost) = shared.exchange(&mut connection) {
            return if shared.lock().ended.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(lost)
            };
        }
        let to_write = {
            let mut state = shared.lock();
            if state.ended.is_some() {
                return ControlFlow::Break(());
            }
            match connection.is_quiet() {
                Ok(true) => state.ask_for_life(),
                Ok(false) => {}
                Err(lost) => return ControlFlow::Continue(lost),
            }
            !state.machine.outgoing().is_empty()
        };
        let woken = async {
            // The other side of the channel is the client's as long as this thread is.
            let _ = woken.recv().await;
        };
        let quiet = async {
            Timer::at(connection.deadline()).await;
        };
        future::or(future::race(connection.ready(to_write), woken), quiet).await;
    }
}
