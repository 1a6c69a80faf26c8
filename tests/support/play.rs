//! Plays a transcript through a door.

use std::{
    cell::Cell,
    collections::BTreeSet,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    template::Captures,
    transcript::{Act, Happening, Need, Setting, Step, Transcript, transcript_line},
};

/// A way to the engine: in memory, over sockets, through another language. Connections go by their names.
pub(crate) trait Door {
    fn connect(&mut self, name: &str, from: Option<IpAddr>);
    fn send(&mut self, name: &str, bytes: &[u8]);
    /// The peer sends no more, and still reads.
    fn half_close(&mut self, name: &str);
    /// The peer is gone.
    fn close(&mut self, name: &str);
    fn set_reading(&mut self, name: &str, reading: bool);
    fn happen(&mut self, happening: Happening);
    /// What comes next on a connection; `None` if nothing does.
    fn receive(&mut self, name: &str) -> Option<Came>;
    /// What has come on a connection and was not received. The door makes sure that whatever was on its way is there.
    fn left_over(&mut self, name: &str) -> Option<Came>;
    /// Whether [`left_over`](Self::left_over) costs nothing, so that it is asked after every step; else at the end alone.
    fn is_instant(&self) -> bool;
    /// Everything was played; the door looks whether all is in order on its side.
    fn finish(&mut self) {}
}

/// What came on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// A response or an event, without the CR LF CR LF that ends it.
    Frame(Vec<u8>),
    /// Bytes without a CR LF CR LF.
    Unended(Vec<u8>),
    /// The end of the stream.
    Closed,
}

/// Takes frames off the stream of a connection.
#[derive(Default)]
pub(crate) struct Frames {
    held: Vec<u8>,
    searched: usize,
}

impl Frames {
    /// Takes what was read at once. Wherever the stream is cut, each piece of it is text by itself.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        assert!(bytes.is_ascii(), "what is sent is ASCII: {}", bytes.escape_ascii());
        self.held.extend_from_slice(bytes);
    }

    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        let found = self.held[self.searched..].windows(END.len()).position(|bytes| bytes == END);
        let Some(at) = found else {
            self.searched = self.held.len().saturating_sub(END.len() - 1);
            return None;
        };
        let mut frame: Vec<u8> = self.held.drain(..self.searched + at + END.len()).collect();
        frame.truncate(frame.len() - END.len());
        self.searched = 0;
        Some(frame)
    }

    /// What came after the last whole frame.
    pub(crate) fn unended(&self) -> Option<Came> {
        (!self.held.is_empty()).then(|| Came::Unended(self.held.clone()))
    }
}

/// What ends a frame (protocol, section 1).
const END: &[u8] = b"\r\n\r\n";

/// Plays all transcripts for which the door lacks nothing, and returns the names of the others. Panics with all that went wrong.
pub(crate) fn play_all<D: Door>(
    transcripts: &[Transcript],
    door: &str,
    lacks: &[Need],
    open: impl Fn(&[Setting]) -> D,
) -> Vec<String> {
    let lacking = |transcript: &&Transcript| transcript.needs().iter().any(|need| lacks.contains(need));
    let (skipped, played): (Vec<_>, Vec<_>) = transcripts.iter().partition(lacking);
    let played_count = played.len();
    let failures: Vec<_> = played
        .into_iter()
        .filter_map(|transcript| play(transcript, &open).err())
        .map(|failure| format!("{failure}\n"))
        .collect();
    let skipped: Vec<_> = skipped.into_iter().map(|transcript| transcript.name.clone()).collect();
    println!("{door}: {played_count} transcripts played, {} skipped: {}", skipped.len(), skipped.join(" "));
    assert!(failures.is_empty(), "through {door}, {} failed\n\n{}", failures.len(), failures.join("\n"));
    skipped
}

fn play<D: Door>(transcript: &Transcript, open: impl Fn(&[Setting]) -> D) -> Result<(), String> {
    let line = Cell::new(0);
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut player = Player {
            door: open(&transcript.settings),
            open: BTreeSet::new(),
            captures: Captures::new(),
            said: None,
        };
        for step in &transcript.steps {
            line.set(step.line);
            player.step(step)?;
        }
        player.nothing_left()?;
        player.door.finish();
        Ok(())
    }));
    let played = played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(format!("  panicked: {}", text.or(panic.downcast_ref().copied()).unwrap_or("without a text")))
    });
    played.map_err(|failure| format!("{}\n{failure}", transcript_line(&transcript.name, line.get())))
}

struct Player<D> {
    door: D,
    open: BTreeSet<String>,
    captures: Captures,
    /// What was sent last, and by whom.
    said: Option<(String, Vec<u8>)>,
}

impl<D: Door> Player<D> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let expects =
            matches!(step.act, Act::Expect { .. } | Act::ExpectNothing { .. } | Act::ExpectClosed { .. });
        if !expects && self.door.is_instant() {
            self.nothing_left()?;
        }
        match &step.act {
            Act::Connect { name, from } => {
                if !self.open.insert(name.clone()) {
                    return Err(format!("  {name} is connected already"));
                }
                self.door.connect(name, *from);
            }
            Act::Send { name, bytes } => {
                self.check_open(name)?;
                let bytes = bytes.filled(&self.captures).map_err(|why| format!("  {why}"))?;
                self.door.send(name, &bytes);
                self.said = Some((name.clone(), bytes));
            }
            Act::Expect { name, frame } => {
                self.check_open(name)?;
                let came = self.door.receive(name);
                let bytes: &[u8] = if let Some(Came::Frame(bytes)) = &came { bytes } else { &[] };
                let compared = frame.compare(bytes, &mut self.captures);
                return compared.map_err(|differs| {
                    let at = matches!(came, Some(Came::Frame(_))).then_some(differs.at);
                    self.failure(name, &differs.expected, came.as_ref(), at)
                });
            }
            Act::ExpectNothing { name } => {
                self.check_open(name)?;
                return self.check_nothing(name);
            }
            Act::ExpectClosed { name } => {
                self.check_open(name)?;
                let came = self.door.receive(name);
                if came != Some(Came::Closed) {
                    return Err(self.failure(name, "closed", came.as_ref(), None));
                }
                self.open.remove(name);
            }
            Act::Close { name } => {
                self.check_open(name)?;
                self.open.remove(name);
                self.door.close(name);
            }
            Act::HalfClose { name } => {
                self.check_open(name)?;
                self.door.half_close(name);
            }
            Act::StopReading { name } => self.door.set_reading(name, false),
            Act::ReadAgain { name } => self.door.set_reading(name, true),
            Act::Happen(happening) => {
                if *happening == Happening::Restart {
                    self.open.clear();
                }
                self.door.happen(*happening);
            }
        }
        Ok(())
    }

    fn check_open(&self, name: &str) -> Result<(), String> {
        let open = self.open.contains(name);
        if open { Ok(()) } else { Err(format!("  {name} is not connected here")) }
    }

    fn nothing_left(&mut self) -> Result<(), String> {
        self.open.clone().iter().try_for_each(|name| self.check_nothing(name))
    }

    fn check_nothing(&mut self, name: &str) -> Result<(), String> {
        match self.door.left_over(name) {
            None => Ok(()),
            came => Err(self.failure(name, "nothing", came.as_ref(), None)),
        }
    }

    fn failure(&self, name: &str, expected: &str, came: Option<&Came>, at: Option<usize>) -> String {
        let came = match came {
            None => "nothing".to_owned(),
            Some(Came::Closed) => "closed".to_owned(),
            Some(Came::Frame(bytes)) => shown(bytes),
            Some(Came::Unended(bytes)) => format!("{}   (without CR LF CR LF)", shown(bytes)),
        };
        let from = at.unwrap_or(0).saturating_sub(CONTEXT);
        let mut text = String::new();
        if let Some((by, bytes)) = &self.said {
            text += &format!(
                "  after      {by}> {}\n",
                window(&shown(bytes.strip_suffix(b"\n").unwrap_or(bytes)), 0)
            );
        }
        text += &format!("  expected   {name}< {}\n", window(expected, from));
        text += &format!("  came       {name}< {}", window(&came, from));
        if let Some(at) = at {
            let indent = name.len() + 2 + (at - from) + if from > 0 { 1 } else { 0 };
            text += &format!("\n  from here  {}^", " ".repeat(indent));
        }
        text
    }
}

/// Bytes as a person can read them on one line.
fn shown(bytes: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    bytes.iter().map(shown).collect()
}

/// What is shown before a difference, and after it.
const CONTEXT: usize = 200;

/// The part of a long text that begins at `from`.
fn window(text: &str, from: usize) -> String {
    let begins = if from > 0 { "…" } else { "" };
    let shown: String = text.chars().skip(from).take(3 * CONTEXT).collect();
    let ends = if text.chars().count() > from + 3 * CONTEXT { "…" } else { "" };
    format!("{begins}{shown}{ends}")
}
