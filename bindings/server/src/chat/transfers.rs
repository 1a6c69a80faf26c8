//! Files on their way, one after the other, each in parts with one request at a time.
//!
//! The client sends again what was not answered when the connection went, and every part says where it belongs: so a file goes on
//! by itself over the next connection, and no more than one part of it is in memory.

mod transfer;

use std::{
    collections::VecDeque,
    fs, mem,
    path::{Path, PathBuf},
    time::Instant,
};

use obrolan::{
    client::{Content, File, Message, Response},
    names,
};

use self::transfer::{Fetched, Sent, Transfer, Way, shown};
use super::{
    bar::{Bar, Bars},
    show::{escaped, named},
};
use crate::{
    cli::Conversation,
    client::{
        part_file,
        parts::{Download, PAUSE, Step, Upload},
    },
};

/// So many files may wait for those before them: each is an open file.
const WAITING: usize = 100;
/// So many files that came are known by their names.
const KNOWN: usize = 1000;

/// What there is to do, in its order, and the files that may be fetched.
pub(super) struct Transfers {
    queue: VecDeque<Transfer>,
    /// A request of the first waits for its answer.
    asked: bool,
    /// That one is stopped: its answer is nobody's.
    disowned: bool,
    /// The server is busy; not before then.
    paused: Option<Instant>,
    known: VecDeque<File>,
    bars: Option<Bars>,
}

/// What an answer means to the person.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    Nothing,
    Progress(String),
    Done(String),
    Failed(String),
}

impl Transfers {
    /// None yet. Without bars, [`News`] say how far a file is.
    pub(super) fn new(bars: Option<Bars>) -> Transfers {
        let (queue, known) = (VecDeque::new(), VecDeque::new());
        Transfers { queue, asked: false, disowned: false, paused: None, known, bars }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= WAITING
    }

    /// When to ask for the [`next_line`](Self::next_line) again though nothing has happened.
    pub(super) fn paused(&self) -> Option<Instant> {
        self.paused
    }

    /// The connection is lost; the files wait for the next.
    pub(super) fn disconnected(&self) {
        if let Some(bar) = self.bar() {
            bar.stop();
        }
    }

    /// There is a connection again.
    pub(super) fn connected(&self) {
        if let Some(bar) = self.bar() {
            bar.go_on();
        }
    }

    fn bar(&self) -> Option<&Bar> {
        self.queue.front()?.bar.as_ref()
    }

    /// Whether a file came with its name in this chat. The error says that the id cannot be one.
    pub(super) fn knows(&self, id: &str) -> Result<bool, String> {
        if self.file(id).is_some() {
            return Ok(true);
        }
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
            let id = escaped(id);
            return Err(format!("{id} is no file's id; write the number that it came with, as in /get 17"));
        }
        Ok(false)
    }

    fn file(&self, id: &str) -> Option<&File> {
        self.known.iter().rev().find(|file| file.id == id)
    }

    /// Remembers the file of a message.
    pub(super) fn learn(&mut self, message: &Message) {
        if let Content::File(file) = &message.content {
            if self.known.len() == KNOWN {
                self.known.pop_front();
            }
            self.known.push_back(file.clone());
        }
    }

    /// Has a file sent. The error says why it cannot be.
    pub(super) fn send(&mut self, path: &str, to: Conversation) -> Result<(), String> {
        let shown = escaped(path);
        let path = at_home(path);
        let failed = |error| format!("cannot read {shown} ({error}); check its name");
        // To open what is no file, a pipe say, may wait for ever.
        let meta = fs::metadata(&path).map_err(failed)?;
        if !meta.is_file() {
            return Err(format!("{shown} is no file; only files can be sent"));
        }
        if meta.len() == 0 {
            return Err(format!("{shown} is empty; there is nothing to send"));
        }
        let name = path.file_name().and_then(|name| name.to_str()).filter(|name| names::is_filename(name));
        let name = name.ok_or_else(|| {
            format!(
                "{shown} has a name that cannot be sent; rename it, without \"\\\" and control characters"
            )
        })?;
        let file = fs::File::open(&path).map_err(failed)?;
        let key = getrandom::u64().map_err(|error| format!("the system has no random number ({error})"))?;
        let dedupe = format!("{key:016x}");
        let title = format!("{} to {}", escaped(name), named(&to));
        let parts = Upload::new(meta.len());
        // One part is not worth the question.
        let asks_limit = parts.part().is_some_and(|part| part.end < meta.len());
        self.enqueue(title, Way::Up(Sent { parts, file, name: name.to_owned(), to, asks_limit, dedupe }))
    }

    /// Has a file fetched, to `path` or to its sender's name for it. The error says why it cannot be.
    pub(super) fn get(&mut self, id: &str, path: Option<&str>) -> Result<(), String> {
        let known = self.file(id);
        let given = known.map(|file| harmless(&file.name)).filter(|name| names::is_filename(name));
        let name = given.unwrap_or_else(|| format!("file-{id}"));
        let mut target = path.map_or_else(PathBuf::new, at_home);
        if path.is_none() || target.is_dir() {
            target.push(&name);
        }
        let folder = target.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let part = part_file(folder).map_err(|error| {
            format!("cannot write to {} ({error}); write /get ID PATH to save it elsewhere", shown(folder))
        })?;
        let (title, size) = (escaped(&name), known.map_or(0, |file| file.size));
        let parts = Download::new(known.map(|file| file.sha256.clone()));
        self.enqueue(title, Way::Down(Fetched { parts, id: id.to_owned(), size, target, part }))
    }

    fn enqueue(&mut self, title: String, way: Way) -> Result<(), String> {
        if self.is_full() {
            return Err(format!("{WAITING} files are on their way; wait until some are through"));
        }
        self.queue.push_back(Transfer::new(title, way));
        Ok(())
    }

    /// The next request, if it is time for one. The error is of a file that is given up.
    pub(super) fn next_line(&mut self) -> Option<Result<String, String>> {
        if self.asked || self.paused.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        self.paused = None;
        let transfer = self.queue.front_mut()?;
        transfer.begin(self.bars.as_ref());
        let line = transfer.line();
        self.asked = line.is_ok();
        Some(line.map_err(|why| self.give_up(&why)))
    }

    /// The request could not be made, or was refused. Says so.
    pub(super) fn give_up(&mut self, why: &str) -> String {
        self.asked = false;
        self.queue.pop_front().expect("a request is of some file").failed(why)
    }

    /// Stops all files. Says so, if there were some.
    pub(super) fn stop(&mut self) -> Option<String> {
        let first = self.queue.pop_front()?;
        self.disowned = self.asked;
        self.paused = None;
        let waited = match mem::take(&mut self.queue).len() {
            0 => String::new(),
            1 => ", and 1 file that waited".to_owned(),
            more => format!(", and {more} files that waited"),
        };
        Some(first.stopped(self.asked) + &waited)
    }

    /// Takes the answer to the last [`next_line`](Self::next_line).
    pub(super) fn answered(&mut self, response: &Response) -> News {
        self.asked = false;
        if mem::take(&mut self.disowned) {
            return News::Nothing;
        }
        let transfer = self.queue.front_mut().expect("a request is of some file");
        match transfer.answered(response) {
            Ok(Step::Next) => transfer.advance().map_or(News::Nothing, News::Progress),
            Ok(Step::Pause) => {
                self.paused = Some(Instant::now() + PAUSE);
                transfer.pause(response).map_or(News::Nothing, News::Progress)
            }
            Ok(Step::Whole) => {
                let transfer = self.queue.pop_front().expect("it was there");
                transfer.finish().unwrap_or_else(News::Failed)
            }
            Err(why) => News::Failed(self.give_up(&why)),
        }
    }
}

/// A sender's name for a file without what would fool who reads it. Nor does anybody else make a file that `ls` does not show and a
/// shell may read.
fn harmless(name: &str) -> String {
    let fools = |c: char| escaped(c.encode_utf8(&mut [0; 4])) != c.to_string();
    let plain: String = name.chars().map(|c| if fools(c) { '_' } else { c }).collect();
    if plain.starts_with('.') && plain.len() > 1 { plain.replacen('.', "_", 1) } else { plain }
}

/// A path as it was typed, where `~/` is the home folder.
fn at_home(path: &str) -> PathBuf {
    let below = path.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest)));
    below.unwrap_or_else(|| path.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::tests::response;

    #[test]
    fn a_file_that_the_server_cannot_read_is_told_at_once_and_given_up_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let refused = response(r#"{"status":"ERROR","data":"file tidak terkirim","code":"unavailable"}"#);
        let mut transfers = Transfers::new(None);
        transfers.get("7", folder.path().to_str()).unwrap();
        let mut news = Vec::new();
        while !transfers.is_empty() {
            transfers.paused = None;
            transfers.next_line().unwrap().unwrap();
            news.push(transfers.answered(&refused));
        }
        assert_eq!(news.len(), 31);
        let first = "file-7: the server cannot read it now; trying again for 30 s";
        assert_eq!(news[0], News::Progress(first.to_owned()));
        assert!(news[1..30].iter().all(|news| *news == News::Nothing));
        let last = "cannot fetch file-7: the server cannot read it, and may have lost it; tell its admin, whose log says more";
        assert_eq!(news[30], News::Failed(last.to_owned()));
    }

    #[test]
    fn a_file_that_is_stopped_with_its_last_request_on_its_way_may_be_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("foto.bin");
        fs::write(&path, "0123456789").unwrap();
        let ok = response(r#"{"status":"OK"}"#);
        let mut transfers = Transfers::new(None);
        transfers.send(path.to_str().unwrap(), Conversation::User("bob".to_owned())).unwrap();
        transfers.next_line().unwrap().unwrap();
        transfers.answered(&ok);
        transfers.next_line().unwrap().unwrap();
        let told = "stopped foto.bin to bob at 10 bytes of 10 bytes; it may have been sent all the same";
        assert_eq!(transfers.stop().as_deref(), Some(told));
        assert_eq!((transfers.answered(&ok), transfers.stop()), (News::Nothing, None));
        transfers.get("7", folder.path().to_str()).unwrap();
        assert_eq!(transfers.stop().as_deref(), Some("stopped file-7"), "nobody knows how large it is");
    }

    #[test]
    fn names_of_others_are_made_harmless() {
        assert_eq!(harmless("foto kucing é.jpg"), "foto kucing é.jpg");
        assert_eq!(harmless(".bashrc"), "_bashrc");
        assert_eq!(harmless("foto\u{202e}gpj.exe"), "foto_gpj.exe");
        assert_eq!(harmless("a\u{1b}[2J"), "a_[2J");
    }
}
