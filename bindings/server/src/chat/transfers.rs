//! Files on their way, one after the other, each in parts with one request at a time.
//!
//! The client sends again what was not answered when the connection went, and every part says where it belongs: so a file goes on
//! by itself over the next connection, and no more than one part of it is in memory.

use std::{
    collections::VecDeque,
    fs,
    io::{Read, Seek, SeekFrom, Write},
    mem,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use obrolan::{
    client::{Content, File, Message, Response},
    names,
    wire::Code,
};
use serde_json::json;
use tempfile::NamedTempFile;

use super::{
    bar::{Bar, Bars},
    show::{bytes, escaped, named, reason},
};
use crate::{
    cli::Conversation,
    client::{
        part_file,
        parts::{Download, PAUSE, PAUSES, Step, Upload, Wrong},
    },
};

/// So many files may wait for those before them: each is an open file.
const WAITING: usize = 100;
/// So many files that came are known by their names.
const KNOWN: usize = 1000;
/// After so long without a word on how far a file is, there is one.
const QUIET: Duration = Duration::from_secs(5);

/// What there is to do, in its order, and the files that may be fetched.
pub(super) struct Transfers {
    queue: VecDeque<Transfer>,
    /// A request of the first waits for its answer.
    asked: bool,
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

struct Transfer {
    /// As it is shown.
    title: String,
    began: Option<Instant>,
    /// Goes with the transfer.
    bar: Option<Bar>,
    /// When the person last heard of it, where there is no bar.
    told: Instant,
    /// The person knows that the server was asked in vain, and is asked again.
    in_vain: bool,
    way: Way,
}

enum Way {
    Up(Sent),
    Down(Fetched),
}

struct Sent {
    parts: Upload,
    file: fs::File,
    name: String,
    to: Conversation,
    /// Whether the server is asked first how large a file may be.
    asks_limit: bool,
    /// So that a repeated request does not send the file twice.
    dedupe: String,
}

struct Fetched {
    parts: Download,
    id: String,
    /// As its message told it; 0 if it is not known.
    size: u64,
    target: PathBuf,
    /// Takes the target's place when it is whole, and is removed otherwise.
    part: NamedTempFile,
}

impl Transfers {
    /// None yet. Without bars, [`News`] say how far a file is.
    pub(super) fn new(bars: Option<Bars>) -> Transfers {
        Transfers { queue: VecDeque::new(), asked: false, paused: None, known: VecDeque::new(), bars }
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
        let known = self.known.iter().rev().find(|file| file.id == id);
        let given = known.map(|file| harmless(&file.name)).filter(|name| names::is_filename(name));
        let name = given.unwrap_or_else(|| format!("file-{id}"));
        if !names::is_filename(&name) {
            return Err(format!("{} is no file's id; write the number that it came with", escaped(id)));
        }
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
        let told = Instant::now();
        let (began, bar) = (None, None);
        self.queue.push_back(Transfer { title, began, bar, told, in_vain: false, way });
        Ok(())
    }

    /// The next request, if it is time for one. The error is of a file that is given up.
    pub(super) fn next_line(&mut self) -> Option<Result<String, String>> {
        if self.asked || self.paused.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        self.paused = None;
        let transfer = self.queue.front_mut()?;
        if transfer.began.is_none() {
            transfer.begin(self.bars.as_ref());
        }
        let line = transfer.line();
        self.asked = line.is_ok();
        Some(line.map_err(|why| self.give_up(&why)))
    }

    /// The request could not be made, or was refused. Says so.
    pub(super) fn give_up(&mut self, why: &str) -> String {
        self.asked = false;
        self.queue.pop_front().expect("a request is of some file").failed(why)
    }

    /// Takes the answer to the last [`next_line`](Self::next_line).
    pub(super) fn answered(&mut self, response: &Response) -> News {
        self.asked = false;
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

impl Transfer {
    fn begin(&mut self, bars: Option<&Bars>) {
        self.told = Instant::now();
        self.began = Some(self.told);
        self.bar = bars.map(|bars| bars.begin(self.title.clone(), self.size()));
    }

    /// So far, in bytes.
    fn done(&self) -> u64 {
        match &self.way {
            Way::Up(Sent { parts, .. }) => parts.done(),
            Way::Down(Fetched { parts, .. }) => parts.done(),
        }
    }

    /// In all.
    fn size(&self) -> u64 {
        match &self.way {
            Way::Up(Sent { parts, .. }) => parts.size(),
            Way::Down(Fetched { parts, size, .. }) => parts.size().unwrap_or(*size),
        }
    }

    fn line(&mut self) -> Result<String, String> {
        match &mut self.way {
            Way::Up(sent) => sent.line(),
            Way::Down(Fetched { parts, id, .. }) => {
                Ok(json!({"request": "GET_FILE", "id": id, "offset": parts.done()}).to_string())
            }
        }
    }

    fn answered(&mut self, response: &Response) -> Result<Step, String> {
        if let Way::Up(sent) = &mut self.way
            && mem::take(&mut sent.asks_limit)
        {
            return sent.check_limit(response);
        }
        let is_down = matches!(self.way, Way::Down(_));
        let (step, part) = match &mut self.way {
            Way::Up(Sent { parts, .. }) => parts.answered(response).map(|step| (step, Vec::new())),
            Way::Down(Fetched { parts, .. }) => parts.answered(response),
        }
        .map_err(|wrong| match wrong {
            Wrong::Refused if is_down && response.code() == Some(Code::Unavailable) => {
                "the server cannot read it, and may have lost it; tell its admin, whose log says more"
                    .to_owned()
            }
            Wrong::Refused => reason(response),
            Wrong::NotNext => "the server answered with something else than the file's next part".to_owned(),
            Wrong::NotSame => "it is not what its sender sent; fetch it again".to_owned(),
        })?;
        if let Way::Down(Fetched { part: file, .. }) = &mut self.way {
            file.write_all(&part).map_err(|error| format!("cannot write it ({error})"))?;
        }
        Ok(step)
    }

    /// Shows how far it is, or says it from time to time.
    fn advance(&mut self) -> Option<String> {
        self.in_vain = false;
        if let Some(bar) = &self.bar {
            bar.advance(self.done(), self.size());
            return None;
        }
        if self.told.elapsed() < QUIET {
            return None;
        }
        self.told = Instant::now();
        let so_far = format!("{} of {}", bytes(self.done()), bytes(self.size()));
        Some(format!("{}: {so_far}, {}/s", self.title, bytes(self.speed())))
    }

    /// Says why it has to wait, once.
    fn pause(&mut self, response: &Response) -> Option<String> {
        if mem::replace(&mut self.in_vain, true) {
            return None;
        }
        let why = match (response.code(), &self.way) {
            (Some(Code::Unavailable), Way::Up(_)) => "cannot store it now",
            (Some(Code::Unavailable), Way::Down(_)) => "cannot read it now",
            _ => "is busy",
        };
        let seconds = PAUSE.as_secs() * u64::from(PAUSES);
        Some(format!("{}: the server {why}; trying again for {seconds} s", self.title))
    }

    /// In bytes a second.
    fn speed(&self) -> u64 {
        let seconds = self.began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        (self.done() as f64 / seconds.max(0.001)) as u64
    }

    fn finish(self) -> Result<News, String> {
        let how = format!("({}, {}/s)", bytes(self.size()), bytes(self.speed()));
        match self.way {
            Way::Up(_) => Ok(News::Done(format!("sent {} {how}", self.title))),
            Way::Down(fetched) => match fetched.save() {
                Ok(path) => Ok(News::Done(format!("saved {} {how}", shown(&path)))),
                Err(why) => Err(format!("cannot fetch {}: {why}", self.title)),
            },
        }
    }

    fn failed(self, why: &str) -> String {
        let what = if matches!(self.way, Way::Up(_)) { "send" } else { "fetch" };
        format!("cannot {what} {}: {why}", self.title)
    }
}

impl Sent {
    /// A server that does not tell how large a file may be takes it, or refuses it in time.
    fn check_limit(&self, response: &Response) -> Result<Step, String> {
        let limit = response.body().get("requests").and_then(|requests| requests[0]["limit"].as_u64());
        match limit {
            Some(limit) if self.parts.size() > limit => Err(format!(
                "it has {} bytes, and the server takes {limit} ({}) at most",
                self.parts.size(),
                bytes(limit)
            )),
            _ => Ok(Step::Next),
        }
    }

    /// The question for the limit, the next part or, after the last, the request that sends the file.
    fn line(&mut self) -> Result<String, String> {
        let Sent { parts, file, name, to, asks_limit, dedupe } = self;
        if *asks_limit {
            return Ok("HELP UPLOAD".to_owned());
        }
        let Some(part) = parts.part() else {
            let line = match to {
                Conversation::User(to) => {
                    json!({"request": "SEND_FILE", "to": to, "filename": name, "dedupe": dedupe})
                }
                Conversation::Group(group) => {
                    json!({"request": "SEND_GROUP_FILE", "group": group, "filename": name, "dedupe": dedupe})
                }
            };
            return Ok(line.to_string());
        };
        let failed = |error| format!("cannot read it ({error}); send it again");
        let mut content = vec![0; (part.end - part.start) as usize];
        file.seek(SeekFrom::Start(part.start)).map_err(failed)?;
        file.read_exact(&mut content).map_err(failed)?;
        let content = BASE64_STANDARD.encode(content);
        Ok(json!({"request": "UPLOAD", "filename": name, "base64": content, "offset": part.start})
            .to_string())
    }
}

impl Fetched {
    /// Gives the whole file its name, or the next one that nobody has.
    fn save(mut self) -> Result<PathBuf, String> {
        for number in 0..10_000 {
            let path = numbered(&self.target, number);
            match self.part.persist_noclobber(&path) {
                Ok(_) => return Ok(path),
                Err(error) if path.symlink_metadata().is_ok() => self.part = error.file,
                Err(error) => {
                    let error = error.error;
                    return Err(format!("cannot make {} ({error}); write /get ID PATH", shown(&path)));
                }
            }
        }
        Err(format!("there are too many files named {}; write /get ID PATH", shown(&self.target)))
    }
}

/// `foto (1).jpg`; with 0, `foto.jpg`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    if number > 0 {
        name.push(format!(" ({number})"));
    }
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
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

fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy())
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
    fn names_that_are_taken_are_numbered() {
        for (path, number, is) in [
            ("a/foto.jpg", 0, "a/foto.jpg"),
            ("a/foto.jpg", 1, "a/foto (1).jpg"),
            ("foto", 12, "foto (12)"),
            ("x.tar.gz", 1, "x.tar (1).gz"),
            (".x", 1, ".x (1)"),
        ] {
            assert_eq!(numbered(Path::new(path), number), Path::new(is));
        }
    }

    #[test]
    fn names_of_others_are_made_harmless() {
        assert_eq!(harmless("foto kucing é.jpg"), "foto kucing é.jpg");
        assert_eq!(harmless(".bashrc"), "_bashrc");
        assert_eq!(harmless("foto\u{202e}gpj.exe"), "foto_gpj.exe");
        assert_eq!(harmless("a\u{1b}[2J"), "a_[2J");
    }
}
