//! Which requests got which answers in a transcript, read off it without playing it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use obrolan::wire::{Dialect, Frame, Line, LineDecoder, Structured};
use serde_json::Value;

use super::transcript::{Act, Transcript};

/// The answer to a request: its name and the code, `OK` for success. A line that is no request has the name `-`.
pub(crate) type Answered = (&'static str, String);

#[derive(Default)]
struct Side {
    lines: LineDecoder,
    /// Requests not answered yet.
    asked: VecDeque<&'static str>,
    /// The unfinished line was answered before its end.
    answered_early: bool,
    /// Whether the first line made it a connection of the classic dialect, whose requests stand for others.
    classic: Option<bool>,
}

impl Side {
    fn ask(&mut self, mut bytes: &[u8]) {
        while let Some(Frame::Line(line)) = self.lines.next(&mut bytes, usize::MAX / 2) {
            self.classic.get_or_insert_with(|| Dialect::default().reads(line));
            if !std::mem::take(&mut self.answered_early) {
                self.asked.push_back(name(line));
            }
        }
    }
}

fn name(line: &[u8]) -> &'static str {
    let kind = match line {
        [b'{', ..] => Structured::parse(line).and_then(|held| held.line().map(|line| line.request.kind())),
        _ => Line::parse(line).map(|line| line.request.kind()),
    };
    let kind = kind.map_or_else(|error| error.kind, Some);
    kind.map_or("-", |kind| kind.spec().name)
}

/// Whether a line of a transcript is written in lower case.
pub(crate) fn has_lower_case(transcript: &Transcript) -> bool {
    let mut sides: BTreeMap<&str, LineDecoder> = BTreeMap::new();
    transcript.steps.iter().any(|step| {
        let (name, bytes) = match &step.act {
            Act::Send { name, bytes } => (name, bytes.sketched()),
            Act::HalfClose { name } => (name, b"\n".to_vec()),
            _ => return false,
        };
        let (lines, mut bytes, mut found) = (sides.entry(name).or_default(), &bytes[..], false);
        while let Some(Frame::Line(line)) = lines.next(&mut bytes, usize::MAX / 2) {
            found |= Dialect::default().reads(line);
        }
        found
    })
}

/// All answers of a transcript, but for those in the classic dialect. Responses come in the order of requests, on each connection.
pub(crate) fn answers(transcript: &Transcript) -> BTreeSet<Answered> {
    let mut sides: BTreeMap<&str, Side> = BTreeMap::new();
    let mut answers = BTreeSet::new();
    for step in &transcript.steps {
        match &step.act {
            Act::Connect { name, .. } => drop(sides.insert(name, Side::default())),
            Act::Send { name, bytes } => sides.entry(name).or_default().ask(&bytes.sketched()),
            Act::HalfClose { name } => sides.entry(name).or_default().ask(b"\n"),
            Act::Expect { name, frame } => {
                let frame: Value = serde_json::from_slice(&frame.sketched()).unwrap_or_else(|error| {
                    panic!("{}, line {}: a frame is JSON: {error}", transcript.name, step.line)
                });
                let Some(status) = frame.get("status") else { continue };
                let side = sides.entry(name).or_default();
                if side.classic == Some(true) {
                    continue;
                }
                let request = side.asked.pop_front().unwrap_or_else(|| {
                    side.answered_early = true;
                    "-"
                });
                let code = frame.get("code").unwrap_or(status);
                answers.insert((request, code.as_str().unwrap_or_default().to_owned()));
            }
            _ => {}
        }
    }
    answers
}
