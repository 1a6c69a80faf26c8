//! Reads a transcript. What its lines mean is described in tests/transcripts/README.md.

use std::{collections::BTreeSet, fs, net::IpAddr, path::Path};

use super::{
    coverage,
    template::{Template, numbers},
};

/// A conversation.
pub(crate) struct Transcript {
    /// Its file's name, without `.txt`.
    pub(crate) name: String,
    pub(crate) settings: Vec<Setting>,
    pub(crate) steps: Vec<Step>,
}

/// A setting of the server's configuration.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) key: String,
    /// In JSON, which is TOML as well.
    pub(crate) value: String,
}

pub(crate) struct Step {
    /// The line it stands on, from 1 on.
    pub(crate) line: usize,
    pub(crate) act: Act,
}

pub(crate) enum Act {
    Connect { name: String, from: Option<IpAddr> },
    Send { name: String, bytes: Template },
    Expect { name: String, frame: Template },
    ExpectNothing { name: String },
    ExpectClosed { name: String },
    Close { name: String },
    HalfClose { name: String },
    StopReading { name: String },
    ReadAgain { name: String },
    Happen(Happening),
}

/// What happens to the server, or to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// Time passes, in milliseconds.
    Wait(u64),
    /// The server ends without a word and starts again.
    Restart,
    /// The server is told to stop.
    Stop,
    StoreFails,
    StoreWorks,
    PasswordsWait,
    PasswordsGoOn,
}

/// What a transcript asks of the door it is played through, beyond connections that come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// The clock is the door's.
    Time,
    /// A connection comes from any address.
    Addresses,
    /// What is durable outlives the server.
    Restart,
    /// The server stops when it is told to.
    Stop,
    /// The store fails when it is told to.
    FailingStore,
    /// Passwords are hashed when it is told to.
    SlowPasswords,
    /// A peer stops reading, and the server notices at once.
    SlowReader,
    /// Bodies of messages are kept by the engine.
    BodiesInside,
    /// What its connections say first decides what they speak: it has lines in lower case, or lines that nobody reads.
    FirstWord,
}

impl Transcript {
    /// All transcripts of a folder, by name.
    pub(crate) fn all(folder: &Path) -> Vec<Transcript> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let paths = entries.map(|entry| entry.expect("the folder is readable").path());
        let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|it| it == "txt")).collect();
        paths.sort();
        assert!(!paths.is_empty(), "{} has no transcripts", folder.display());
        let read = |path: &std::path::PathBuf| {
            let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.file_stem().expect("it has an extension").to_string_lossy();
            Transcript::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"))
        };
        paths.iter().map(read).collect()
    }

    pub(crate) fn parse(name: &str, text: &str) -> Result<Transcript, String> {
        let mut transcript = Transcript { name: name.to_owned(), settings: Vec::new(), steps: Vec::new() };
        let mut lines = (1..).zip(text.lines());
        while let Some((number, line)) = lines.next() {
            let wrong = |number: usize, why: String| format!("{}: {why}", transcript_line(name, number));
            let Some(range) = line.trim().strip_prefix("repeat ") else {
                transcript.line(number, line.trim()).map_err(|why| wrong(number, why))?;
                continue;
            };
            let range = range.split_once("..").and_then(numbers);
            let (first, last) =
                range.ok_or_else(|| wrong(number, "repeat takes a range, as repeat 1..100".to_owned()))?;
            let block: Vec<_> = lines.by_ref().take_while(|(_, line)| line.trim() != "end").collect();
            for time in first..=last {
                for (number, line) in &block {
                    let line = line.trim();
                    // A comment keeps its #.
                    let line = if line.starts_with('#') { "" } else { line };
                    let line = line.replace('#', &time.to_string());
                    transcript.line(*number, &line).map_err(|why| wrong(*number, why))?;
                }
            }
        }
        Ok(transcript)
    }

    /// What a door must be able to do for it.
    pub(crate) fn needs(&self) -> BTreeSet<Need> {
        let bodies = self.sets("limits.memory_messages") || self.sets("limits.memory_files");
        let acts = self.steps.iter().filter_map(|step| match step.act {
            Act::Connect { from: Some(_), .. } => Some(Need::Addresses),
            Act::StopReading { .. } => Some(Need::SlowReader),
            Act::Happen(Happening::Wait(_)) => Some(Need::Time),
            Act::Happen(Happening::Restart) => Some(Need::Restart),
            Act::Happen(Happening::Stop) => Some(Need::Stop),
            Act::Happen(Happening::StoreFails) => Some(Need::FailingStore),
            Act::Happen(Happening::PasswordsWait) => Some(Need::SlowPasswords),
            _ => None,
        });
        let first_word = coverage::has_lower_case(self) || self.sets("limits.input_buffer");
        let first_word = first_word.then_some(Need::FirstWord);
        acts.chain(bodies.then_some(Need::BodiesInside)).chain(first_word).collect()
    }

    fn sets(&self, key: &str) -> bool {
        self.settings.iter().any(|setting| setting.key == key)
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(setting) = line.strip_prefix("set ") {
            let (key, value) = setting.split_once(" = ").ok_or("a setting is: set KEY = VALUE")?;
            if !self.steps.is_empty() {
                return Err("settings come before everything else".to_owned());
            }
            self.settings.push(Setting { key: key.to_owned(), value: value.to_owned() });
            return Ok(());
        }
        if let Some(name) = line.strip_suffix(" logs in") {
            return self.log_in(number, name);
        }
        let act = match happening(line)? {
            Some(happening) => Act::Happen(happening),
            None => of_connection(line)?,
        };
        self.steps.push(Step { line: number, act });
        Ok(())
    }

    /// Connects, registers and logs in: the five lines that most transcripts begin with.
    fn log_in(&mut self, number: usize, name: &str) -> Result<(), String> {
        for line in [
            format!("{name} connects"),
            format!("{name}> REGISTER {name} rahasia-{name} ID {name}"),
            format!(r#"{name}< {{"status":"OK","data":"registrasi berhasil"}}"#),
            format!("{name}> AUTH {name} rahasia-{name}"),
            format!(r#"{name}< {{"status":"OK","data":"autentikasi berhasil","tokenid":"$sid_{name}"}}"#),
        ] {
            self.line(number, &line)?;
        }
        Ok(())
    }
}

/// How a line is called in errors.
pub(crate) fn transcript_line(name: &str, line: usize) -> String {
    format!("tests/transcripts/{name}.txt:{line}")
}

fn happening(line: &str) -> Result<Option<Happening>, String> {
    Ok(Some(match line {
        "the server restarts" => Happening::Restart,
        "the server stops" => Happening::Stop,
        "the store fails" => Happening::StoreFails,
        "the store works" => Happening::StoreWorks,
        "passwords wait" => Happening::PasswordsWait,
        "passwords go on" => Happening::PasswordsGoOn,
        _ => match line.strip_suffix(" pass") {
            Some(time) => {
                Happening::Wait(milliseconds(time).ok_or("time is a number and ms, s, m, h or d: 30d pass")?)
            }
            None => return Ok(None),
        },
    }))
}

/// A length of time as the server's configuration writes it, in milliseconds.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * unit)
}

fn of_connection(line: &str) -> Result<Act, String> {
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
    let (name, rest) = (line[..end].to_owned(), &line[end..]);
    if name.is_empty() {
        return Err(format!("this line says nothing a transcript knows: {line}"));
    }
    let after = |sign: &str| rest.strip_prefix(sign).map(|text| text.strip_prefix(' ').unwrap_or(text));
    // The longer sign first: it begins with the shorter one.
    if let Some(bytes) = after(">>") {
        return Ok(Act::Send { name, bytes: Template::to_send(bytes)? });
    }
    if let Some(line) = after(">") {
        return Ok(Act::Send { name, bytes: Template::to_send(line)?.followed_by(b"\n") });
    }
    if let Some(frame) = after("<") {
        return Ok(match frame {
            "nothing" => Act::ExpectNothing { name },
            "closed" => Act::ExpectClosed { name },
            frame => Act::Expect { name, frame: Template::to_expect(frame)? },
        });
    }
    Ok(match rest {
        " connects" => Act::Connect { name, from: None },
        " closes" => Act::Close { name },
        " sends no more" => Act::HalfClose { name },
        " stops reading" => Act::StopReading { name },
        " reads again" => Act::ReadAgain { name },
        _ => match rest.strip_prefix(" connects from ").map(str::parse) {
            Some(Ok(from)) => Act::Connect { name, from: Some(from) },
            _ => return Err(format!("this line says nothing a transcript knows: {line}")),
        },
    })
}
