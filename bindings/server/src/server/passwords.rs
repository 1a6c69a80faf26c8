//! Hashing and verifying passwords, on threads of their own.

use std::{io, thread};

use obrolan::{Answer, Ask, Ticket, passwords};
use smol::channel::{self, Receiver, Sender};

/// The threads that work on passwords: few, since each of them takes a core and 19 MiB. The engine limits how many
/// passwords wait.
pub(super) struct Pool {
    asked: Sender<(Ticket, Ask)>,
}

impl Pool {
    /// Starts the threads; the answers come through the receiver.
    pub(super) fn start() -> io::Result<(Pool, Receiver<(Ticket, Answer)>)> {
        let (asked, work) = channel::unbounded::<(Ticket, Ask)>();
        let (done, answers) = channel::unbounded();
        let threads = thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        for _ in 0..threads {
            let (work, done) = (work.clone(), done.clone());
            thread::Builder::new().name("passwords".to_owned()).spawn(move || {
                while let Ok((ticket, ask)) = work.recv_blocking() {
                    if done.send_blocking((ticket, answer(ask))).is_err() {
                        return;
                    }
                }
            })?;
        }
        Ok((Pool { asked }, answers))
    }

    pub(super) fn ask(&self, ticket: Ticket, ask: Ask) {
        // The threads end only after this handle.
        let _ = self.asked.try_send((ticket, ask));
    }
}

fn answer(ask: Ask) -> Answer {
    match ask {
        Ask::HashPassword { password, salt } => Answer::PasswordHash(passwords::hash(&password, &salt)),
        Ask::VerifyPassword { password, hash } => {
            Answer::PasswordMatches(passwords::verify(&password, &hash))
        }
        _ => Answer::Failed,
    }
}
