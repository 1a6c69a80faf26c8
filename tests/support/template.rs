//! The text of a line of a transcript: what is sent, or must come, with the places that vary.

use std::collections::BTreeMap;

/// What varied, under its name.
pub(crate) type Captures = BTreeMap<String, String>;

/// Bytes with places for values that are known only when the transcript is played.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Bytes(Vec<u8>),
    Value(String),
}

/// A kind of value that varies, by how its name begins.
struct Kind {
    name: &'static str,
    /// All values of a kind are of one length.
    len: usize,
    is_form: fn(&str) -> bool,
    example: &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "sid",
        len: 36,
        is_form: obrolan::SessionId::is_form,
        example: "sid_00000000000000000000000000000000",
    },
    Kind {
        name: "time",
        len: 24,
        is_form: |text| obrolan::Time::parse(text).is_some(),
        example: "1970-01-01T00:00:00.000Z",
    },
];

fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| name.starts_with(kind.name))
}

/// Where what came is not what was expected.
pub(crate) struct Difference {
    /// What should have come, as far as that can be told.
    pub(crate) expected: String,
    /// How many bytes of both are the same.
    pub(crate) at: usize,
}

impl Template {
    /// What is sent: `\xff` and the like stand for bytes.
    pub(crate) fn to_send(text: &str) -> Result<Template, String> {
        Template::read(&repeated(text)?, true)
    }

    /// What must come: a backslash is a backslash, as JSON has many of them.
    pub(crate) fn to_expect(text: &str) -> Result<Template, String> {
        Template::read(&repeated(text)?, false)
    }

    fn read(text: &str, escapes: bool) -> Result<Template, String> {
        let (mut parts, mut bytes, mut rest) = (Vec::new(), Vec::new(), text);
        while let Some(at) = rest.find(['$', '\\']) {
            let (before, after) = (&rest[..at], &rest[at + 1..]);
            bytes.extend_from_slice(before.as_bytes());
            if rest.as_bytes()[at] == b'\\' {
                let (byte, len) = if escapes { escape(after)? } else { (b'\\', 0) };
                bytes.push(byte);
                rest = &after[len..];
                continue;
            }
            let word = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            let (word, after_word) = after.split_at(word);
            if kind(word).is_some() {
                parts.push(Part::Bytes(std::mem::take(&mut bytes)));
                parts.push(Part::Value(word.to_owned()));
                rest = after_word;
            } else {
                bytes.push(b'$');
                rest = after;
            }
        }
        bytes.extend_from_slice(rest.as_bytes());
        parts.push(Part::Bytes(bytes));
        Ok(Template(parts))
    }

    /// Adds bytes at the end.
    pub(crate) fn followed_by(mut self, bytes: &[u8]) -> Template {
        self.0.push(Part::Bytes(bytes.to_vec()));
        self
    }

    /// The bytes, with the values known so far.
    pub(crate) fn filled(&self, captures: &Captures) -> Result<Vec<u8>, String> {
        self.filled_by(|name| {
            captures.get(name).map(String::as_str).ok_or(format!("${name} is used before it came"))
        })
    }

    /// The bytes with some value of the right form in each place: what they mean is known before they are played.
    pub(crate) fn sketched(&self) -> Vec<u8> {
        let stand_in = |name: &str| kind(name).map(|kind| kind.example).ok_or(());
        self.filled_by(stand_in).expect("there is a stand-in for every value")
    }

    fn filled_by<'a, E>(&self, value: impl Fn(&str) -> Result<&'a str, E>) -> Result<Vec<u8>, E> {
        let mut filled = Vec::new();
        for part in &self.0 {
            match part {
                Part::Bytes(bytes) => filled.extend_from_slice(bytes),
                Part::Value(name) => filled.extend_from_slice(value(name)?.as_bytes()),
            }
        }
        Ok(filled)
    }

    /// Compares what came, byte for byte; a value seen for the first time is kept under its name.
    pub(crate) fn compare(&self, came: &[u8], captures: &mut Captures) -> Result<(), Difference> {
        let (mut at, mut fits) = (0, true);
        let mut expected = Vec::new();
        for part in &self.0 {
            let known: &[u8] = match part {
                Part::Bytes(bytes) => bytes,
                Part::Value(name) => {
                    if fits && !captures.contains_key(name) {
                        // Two names never stand for one session: its id is given out once.
                        let value = value_at(name, &came[at..]).filter(|value| {
                            !name.starts_with("sid") || captures.values().all(|other| other != value)
                        });
                        if let Some(value) = value {
                            captures.insert(name.clone(), value.to_owned());
                        }
                    }
                    match captures.get(name) {
                        Some(value) => value.as_bytes(),
                        None => {
                            fits = false;
                            expected.extend_from_slice(format!("${name}").as_bytes());
                            continue;
                        }
                    }
                }
            };
            expected.extend_from_slice(known);
            if fits {
                let same = came[at..].iter().zip(known).take_while(|(a, b)| a == b).count();
                at += same;
                fits = same == known.len();
            }
        }
        if fits && at == came.len() {
            return Ok(());
        }
        Err(Difference { expected: String::from_utf8_lossy(&expected).into_owned(), at })
    }
}

fn value_at<'a>(name: &str, came: &'a [u8]) -> Option<&'a str> {
    let kind = kind(name)?;
    let value = std::str::from_utf8(came.get(..kind.len)?).ok()?;
    (kind.is_form)(value).then_some(value)
}

fn escape(after: &str) -> Result<(u8, usize), String> {
    let byte = match after.bytes().next() {
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'0') => 0,
        Some(special @ (b'\\' | b'$')) => special,
        Some(b'x') => {
            let digits = after.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
            return digits.map(|byte| (byte, 3)).ok_or("\\x takes two hex digits, as \\xff".to_owned());
        }
        _ => return Err("a backslash begins \\n, \\r, \\t, \\0, \\xff, \\$ or \\\\".to_owned()),
    };
    Ok((byte, 1))
}

/// Writes out `$(3*ab)` as `ababab`, and `$(1..3*<#>)` as `<1><2><3>`.
fn repeated(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("$(") {
        let form = || format!("{:?} is no $(COUNT*TEXT) or $(FIRST..LAST*TEXT)", &rest[start..]);
        out.push_str(&rest[..start]);
        let inside = &rest[start + 2..];
        let end = inside.find(')').ok_or_else(form)?;
        let (count, text) = inside[..end].split_once('*').ok_or_else(form)?;
        match count.split_once("..") {
            None => out.push_str(&text.repeat(count.parse().map_err(|_| form())?)),
            Some(range) => {
                let (first, last) = numbers(range).ok_or_else(form)?;
                (first..=last).for_each(|number| out.push_str(&text.replace('#', &number.to_string())));
            }
        }
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Both ends of a range.
pub(crate) fn numbers((first, last): (&str, &str)) -> Option<(u32, u32)> {
    Some((first.parse().ok()?, last.parse().ok()?))
}
