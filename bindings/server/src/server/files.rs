//! Keeping and reading files, on a thread of its own: neither the engine nor commits wait for them.

use std::{collections::HashMap, io, thread};

use obrolan::{Answer, Ask, Ticket};
use smol::channel::{self, Receiver, Sender};

use crate::store::{Digest, FileStore, hex};

/// The thread that owns the contents of files. It does one thing after another; the engine limits how much of files waits.
pub(super) struct Keeper {
    asked: Sender<(Ticket, Ask)>,
}

impl Keeper {
    /// Starts the thread; the answers come through the receiver.
    pub(super) fn start(mut store: FileStore) -> io::Result<(Keeper, Receiver<(Ticket, Answer)>)> {
        let (asked, work) = channel::unbounded::<(Ticket, Ask)>();
        let (done, answers) = channel::unbounded();
        thread::Builder::new().name("files".to_owned()).spawn(move || {
            // What fails, by the content that cannot be read, or none for what cannot be kept. Whoever is refused asks again and
            // again, and to tell it once is enough.
            let mut failing = HashMap::new();
            while let Ok((ticket, ask)) = work.recv_blocking() {
                let content = match &ask {
                    Ask::ReadFile { sha256, .. } => Some(*sha256),
                    _ => None,
                };
                let answer = match answer(&mut store, ask) {
                    Ok(answer) => {
                        failing.remove(&content);
                        answer
                    }
                    Err(error) => {
                        if failing.insert(content, error.kind()) != Some(error.kind()) {
                            log(content, &error);
                        }
                        Answer::Failed
                    }
                };
                if done.send_blocking((ticket, answer)).is_err() {
                    return;
                }
            }
        })?;
        Ok((Keeper { asked }, answers))
    }

    pub(super) fn ask(&self, ticket: Ticket, ask: Ask) {
        // The thread ends only after this handle.
        let _ = self.asked.try_send((ticket, ask));
    }
}

fn log(content: Option<Digest>, error: &io::Error) {
    match content {
        Some(digest) => tracing::error!(sha256 = %hex(&digest), "a file cannot be read: {error}"),
        None => tracing::error!("a file cannot be kept: {error}"),
    }
}

fn answer(store: &mut FileStore, ask: Ask) -> io::Result<Answer> {
    Ok(match ask {
        Ask::AppendUpload { upload, offset, bytes } => {
            store.append(upload, offset, &bytes)?;
            Answer::Done
        }
        Ask::FinishUpload { upload } => {
            let (sha256, size) = store.finish(upload)?;
            Answer::FileStored { sha256, size }
        }
        Ask::DropUpload { upload } => {
            store.forget(upload)?;
            Answer::Done
        }
        Ask::ReadFile { sha256, offset, length } => Answer::FileBytes(store.read(&sha256, offset, length)?),
        _ => Answer::Failed,
    })
}
