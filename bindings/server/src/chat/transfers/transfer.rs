//! One file on its way.

use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    mem,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use obrolan::{client::Response, wire::Code};
use serde_json::json;
use tempfile::NamedTempFile;

use super::News;
use crate::{
    chat::{
        bar::{Bar, Bars},
        show::{bytes, escaped, reason},
    },
    cli::Conversation,
    client::parts::{Download, PAUSE, PAUSES, Step, Upload, Wrong},
};

/// After so long without a word on how far a file is, there is one.
const QUIET: Duration = Duration::from_secs(5);

pub(super) struct Transfer {
    /// As it is shown.
    title: String,
    began: Option<Instant>,
    /// Goes with the transfer.
    pub(super) bar: Option<Bar>,
    /// When the person last heard of it, where there is no bar.
    told: Instant,
    /// The person knows that the server was asked in vain, and is asked again.
    in_vain: bool,
    way: Way,
}

pub(super) enum Way {
    Up(Sent),
    Down(Fetched),
}

pub(super) struct Sent {
    pub(super) parts: Upload,
    pub(super) file: fs::File,
    pub(super) name: String,
    pub(super) to: Conversation,
    /// Whether the server is asked first how large a file may be.
    pub(super) asks_limit: bool,
    /// So that a repeated request does not send the file twice.
    pub(super) dedupe: String,
}

pub(super) struct Fetched {
    pub(super) parts: Download,
    pub(super) id: String,
    /// As its message told it; 0 if it is not known.
    pub(super) size: u64,
    pub(super) target: PathBuf,
    /// Takes the target's place when it is whole, and is removed otherwise.
    pub(super) part: NamedTempFile,
}

impl Transfer {
    pub(super) fn new(title: String, way: Way) -> Transfer {
        Transfer { title, began: None, bar: None, told: Instant::now(), in_vain: false, way }
    }

    /// Shows that it has begun, if it has not.
    pub(super) fn begin(&mut self, bars: Option<&Bars>) {
        if self.began.is_some() {
            return;
        }
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

    pub(super) fn line(&mut self) -> Result<String, String> {
        match &mut self.way {
            Way::Up(sent) => sent.line(),
            Way::Down(Fetched { parts, id, .. }) => {
                Ok(json!({"request": "GET_FILE", "id": id, "offset": parts.done()}).to_string())
            }
        }
    }

    pub(super) fn answered(&mut self, response: &Response) -> Result<Step, String> {
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
    pub(super) fn advance(&mut self) -> Option<String> {
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
    pub(super) fn pause(&mut self, response: &Response) -> Option<String> {
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

    pub(super) fn finish(self) -> Result<News, String> {
        let how = format!("({}, {}/s)", bytes(self.size()), bytes(self.speed()));
        match self.way {
            Way::Up(_) => Ok(News::Done(format!("sent {} {how}", self.title))),
            Way::Down(fetched) => match fetched.save() {
                Ok(path) => Ok(News::Done(format!("saved {} {how}", shown(&path)))),
                Err(why) => Err(format!("cannot fetch {}: {why}", self.title)),
            },
        }
    }

    /// That it was stopped, while its request was `asked` or before it was.
    pub(super) fn stopped(self, asked: bool) -> String {
        let so_far = match self.size() {
            0 => format!("stopped {}", self.title),
            size => format!("stopped {} at {} of {}", self.title, bytes(self.done()), bytes(size)),
        };
        match self.way {
            Way::Up(Sent { parts, .. }) if asked && parts.part().is_none() => {
                format!("{so_far}; it may have been sent all the same")
            }
            _ => so_far,
        }
    }

    pub(super) fn failed(self, why: &str) -> String {
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

pub(super) fn shown(path: &Path) -> String {
    escaped(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
