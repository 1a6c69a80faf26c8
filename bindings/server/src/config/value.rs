//! The kinds of values settings have: how each is read, and how it is written as TOML.

use std::{borrow::Cow, fmt, path::PathBuf, time::Duration};

use toml::de::DeValue;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use super::Address;

/// A value as given, before it is understood.
pub(crate) enum Raw<'a> {
    /// Of a flag or an environment variable. Its type is whatever the setting asks for.
    Plain(&'a str),
    /// Of a TOML file, where `5`, `"5"` and `true` differ.
    Toml(&'a DeValue<'a>),
}

impl<'a> Raw<'a> {
    fn text(&self) -> Option<&'a str> {
        match self {
            Raw::Plain(text) => Some(text),
            Raw::Toml(value) => value.as_str(),
        }
    }

    fn integer(&self) -> Option<i128> {
        match self {
            Raw::Plain(text) => text.parse().ok(),
            Raw::Toml(DeValue::Integer(value)) => i128::from_str_radix(value.as_str(), value.radix()).ok(),
            Raw::Toml(_) => None,
        }
    }

    fn boolean(&self) -> Option<bool> {
        match self {
            Raw::Plain(text) => text.parse().ok(),
            Raw::Toml(value) => value.as_bool(),
        }
    }

    fn texts(&self) -> Option<Vec<&'a str>> {
        match self {
            Raw::Plain("") => Some(Vec::new()),
            Raw::Plain(text) => Some(text.split(',').map(str::trim).collect()),
            Raw::Toml(DeValue::Array(items)) => items.iter().map(|item| item.get_ref().as_str()).collect(),
            Raw::Toml(_) => None,
        }
    }
}

/// What an error calls the value.
impl fmt::Display for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::Plain(text) => write!(f, "\"{}\"", text.escape_debug()),
            Raw::Toml(DeValue::String(text)) => write!(f, "\"{}\"", text.escape_debug()),
            Raw::Toml(DeValue::Integer(number)) => number.fmt(f),
            Raw::Toml(DeValue::Float(number)) => number.fmt(f),
            Raw::Toml(DeValue::Boolean(value)) => value.fmt(f),
            Raw::Toml(DeValue::Datetime(value)) => value.fmt(f),
            Raw::Toml(DeValue::Array(_)) => f.write_str("this list"),
            Raw::Toml(DeValue::Table(_)) => f.write_str("this section"),
        }
    }
}

/// A kind of value.
pub(crate) trait Value: Sized {
    /// What stands for it in the help, after the flag.
    const FORM: &'static str;

    /// Understands a value. The error continues the sentence that the value begins, says what is wrong and what
    /// to give, with `example`, a value in TOML.
    fn read(raw: &Raw<'_>, example: &str) -> Result<Self, String>;

    /// The value in TOML, such that [`read`](Self::read) gives it back; `None` if it is not set.
    fn to_toml(&self) -> Option<String>;
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

impl<T: Value> Value for Option<T> {
    const FORM: &'static str = T::FORM;

    fn read(raw: &Raw<'_>, example: &str) -> Result<Self, String> {
        T::read(raw, example).map(Some)
    }

    fn to_toml(&self) -> Option<String> {
        self.as_ref().and_then(T::to_toml)
    }
}

impl Value for bool {
    const FORM: &'static str = "true|false";

    fn read(raw: &Raw<'_>, _example: &str) -> Result<bool, String> {
        raw.boolean().ok_or_else(|| "is neither; give true or false".to_owned())
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// A count of something that must be bounded.
impl Value for usize {
    const FORM: &'static str = "NUMBER";

    fn read(raw: &Raw<'_>, example: &str) -> Result<usize, String> {
        let give = format!("give a whole number, e.g. {example}");
        positive(raw.integer().ok_or_else(|| format!("is not a number; {give}"))?, &give)
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

fn positive(number: i128, give: &str) -> Result<usize, String> {
    match number {
        0 => Err(format!("never means unlimited here; {give}")),
        // The upper half stays free, so that a limit plus a length never overflows.
        1.. if isize::try_from(number).is_ok() => Ok(number as usize),
        1.. => Err(format!("is too large; {give}")),
        _ => Err(format!("is negative; {give}")),
    }
}

/// A number of bytes, written `"64 KiB"`, `"1 MiB"`, `"1 GiB"` or as a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(
    /// In bytes.
    pub usize,
);

const SIZE_UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl Value for Size {
    const FORM: &'static str = "SIZE";

    fn read(raw: &Raw<'_>, example: &str) -> Result<Size, String> {
        let give = format!("give a number of bytes, KiB, MiB or GiB, e.g. {example}");
        let bytes = raw.integer().or_else(|| {
            let text = raw.text()?;
            let (unit, factor) = SIZE_UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
            whole(text.strip_suffix(unit)?.trim_end())?.checked_mul(*factor as i128)
        });
        positive(bytes.ok_or_else(|| format!("is not a size; {give}"))?, &give).map(Size)
    }

    fn to_toml(&self) -> Option<String> {
        let unit = SIZE_UNITS.iter().find(|(_, factor)| self.0.is_multiple_of(*factor));
        Some(match unit {
            Some((unit, factor)) => quoted(&format!("{} {unit}", self.0 / factor)),
            None => self.0.to_string(),
        })
    }
}

fn whole(digits: &str) -> Option<i128> {
    let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
    if all_digits { digits.parse().ok() } else { None }
}

/// Milliseconds in each unit, "ms" before "s" because both end alike.
const TIME_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("d", 24 * 60 * 60 * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000), ("s", 1000)];

/// Longer than anybody waits, and far from where adding it to a point in time overflows.
const LONGEST_MS: i128 = 36_500 * 24 * 60 * 60 * 1000;

impl Value for Duration {
    const FORM: &'static str = "TIME";

    fn read(raw: &Raw<'_>, example: &str) -> Result<Duration, String> {
        let give = format!("give a number and ms, s, m, h or d, e.g. {example}");
        if raw.integer().is_some() {
            return Err(format!("has no unit; {give}"));
        }
        let ms = raw.text().and_then(|text| {
            let (unit, factor) = TIME_UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
            whole(text.strip_suffix(unit)?.trim_end())?.checked_mul(i128::from(*factor))
        });
        match ms.ok_or_else(|| format!("is not a time; {give}"))? {
            0 => Err(format!("never means unlimited here; {give}")),
            ms if ms <= LONGEST_MS => Ok(Duration::from_millis(ms as u64)),
            _ => Err(format!("is more than a hundred years; {give}")),
        }
    }

    fn to_toml(&self) -> Option<String> {
        let ms = self.as_millis() as u64;
        let (unit, factor) =
            TIME_UNITS[1..].iter().find(|(_, factor)| ms.is_multiple_of(*factor)).unwrap_or(&TIME_UNITS[0]);
        Some(quoted(&format!("{}{unit}", ms / factor)))
    }
}

impl Value for PathBuf {
    const FORM: &'static str = "PATH";

    fn read(raw: &Raw<'_>, example: &str) -> Result<PathBuf, String> {
        match raw.text() {
            Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
            _ => Err(format!("is not a path; give one, e.g. {example}")),
        }
    }

    fn to_toml(&self) -> Option<String> {
        // Lossless: every way to give a path is UTF-8.
        Some(quoted(&self.to_string_lossy()))
    }
}

impl Value for Address {
    const FORM: &'static str = "HOST:PORT";

    fn read(raw: &Raw<'_>, example: &str) -> Result<Address, String> {
        let text = raw.text().ok_or_else(|| "is not a text".to_owned());
        text.and_then(Address::parse).map_err(|why| {
            format!(
                "{why}; give HOST:PORT, e.g. {example}, or \"0.0.0.0:8889\" for all networks of this machine"
            )
        })
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// The name of a user or realm, known to be one ([`obrolan::names::key`]); kept as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// `None` if it is no name (protocol, section 2).
    #[must_use]
    pub fn new(text: &str) -> Option<Name> {
        obrolan::names::key(text).map(|_| Name(text.to_owned()))
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const NAME_RULE: &str = "give 1 to 64 bytes without spaces, \"@\" and control characters";

impl Value for Name {
    const FORM: &'static str = "NAME";

    fn read(raw: &Raw<'_>, example: &str) -> Result<Name, String> {
        raw.text().and_then(Name::new).ok_or_else(|| format!("is not a name; {NAME_RULE}, e.g. {example}"))
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}

impl Value for Vec<Name> {
    const FORM: &'static str = "NAME,…";

    fn read(raw: &Raw<'_>, example: &str) -> Result<Vec<Name>, String> {
        let names = raw.texts().ok_or_else(|| format!("is not a list of names; give e.g. {example}"))?;
        let read = |name: &&str| {
            let bad = || format!("contains \"{}\", which is not a name; {NAME_RULE}", name.escape_debug());
            Name::new(name).ok_or_else(bad)
        };
        names.iter().map(read).collect()
    }

    fn to_toml(&self) -> Option<String> {
        let names: Vec<_> = self.iter().map(|name| quoted(name.as_str())).collect();
        Some(format!("[{}]", names.join(", ")))
    }
}

/// What is logged, in the syntax of tracing's `EnvFilter`; known to be correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(Cow<'static, str>);

impl LogFilter {
    /// Everything from warnings to short news.
    pub const INFO: LogFilter = LogFilter(Cow::Borrowed("info"));

    /// The filter's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for LogFilter {
    const FORM: &'static str = "FILTER";

    fn read(raw: &Raw<'_>, example: &str) -> Result<LogFilter, String> {
        let text =
            raw.text().filter(|text| text.split(',').all(is_directive) && EnvFilter::try_new(text).is_ok());
        let give = "give error, warn, info, debug, trace or off, alone or as TARGET=LEVEL,…";
        text.map(|text| LogFilter(Cow::Owned(text.to_owned())))
            .ok_or_else(|| format!("is not a log filter; {give}, e.g. {example}"))
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.0))
    }
}

/// `EnvFilter` takes a word it does not know for a target and then logs nothing else, so that "verbose" silences
/// everything. Here a word alone is a level.
fn is_directive(text: &str) -> bool {
    text.contains(['=', '[', ']', '{', '}']) || text.parse::<LevelFilter>().is_ok() && !text.is_empty()
}

/// Defines an enum whose values are written as words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$word_meta:meta])* $variant:ident = $word:literal),+ $(,)? } $form:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$word_meta])* $variant,)+
        }

        impl Value for $name {
            const FORM: &'static str = $form;

            fn read(raw: &Raw<'_>, _example: &str) -> Result<$name, String> {
                match raw.text() {
                    $(Some($word) => Ok($name::$variant),)+
                    _ => {
                        let words = [$(concat!("\"", $word, "\"")),+].join(" or ");
                        Err(format!("is neither; give {words}"))
                    }
                }
            }

            fn to_toml(&self) -> Option<String> {
                Some(quoted(match self { $($name::$variant => $word,)+ }))
            }
        }
    };
}

words! {
    /// Where accounts and messages are kept.
    Storage {
        /// In the data folder; they outlive the server.
        Disk = "disk",
        /// In memory; they end with the server.
        Memory = "memory",
    } "disk|memory"
}

words! {
    /// Who may make an account.
    Registration {
        /// Anybody who can connect.
        Open = "open",
        /// Admins alone.
        Closed = "closed",
    } "open|closed"
}

words! {
    /// Whom LIST_USERS tells the names of all users.
    ListUsers {
        /// Every connection, as the protocol has it.
        Everyone = "everyone",
        /// Only those who have logged in; others get an empty list.
        Sessions = "sessions",
    } "everyone|sessions"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain<T: Value>(text: &str) -> Result<T, String> {
        T::read(&Raw::Plain(text), "EXAMPLE")
    }

    #[test]
    fn sizes() {
        for (text, bytes, shown) in [
            ("1", 1, "1"),
            ("1023", 1023, "1023"),
            ("1024", 1024, "\"1 KiB\""),
            ("64 KiB", 65536, "\"64 KiB\""),
            ("64KiB", 65536, "\"64 KiB\""),
            ("1 MiB", 1 << 20, "\"1 MiB\""),
            ("1536 KiB", 1536 << 10, "\"1536 KiB\""),
            ("2 GiB", 2 << 30, "\"2 GiB\""),
        ] {
            let size: Size = plain(text).unwrap();
            assert_eq!((size.0, size.to_toml().as_deref()), (bytes, Some(shown)), "{text}");
        }
        let give = "give a number of bytes, KiB, MiB or GiB, e.g. EXAMPLE";
        for (text, why) in [
            ("64 KB", "is not a size"),
            ("64 kib", "is not a size"),
            ("KiB", "is not a size"),
            ("-1 KiB", "is not a size"),
            ("1.5 MiB", "is not a size"),
            ("", "is not a size"),
            ("-5", "is negative"),
            ("0", "never means unlimited here"),
            ("0 MiB", "never means unlimited here"),
            ("9223372036854775808", "is too large"),
            ("99999999999999999999999999999999999 GiB", "is not a size"),
        ] {
            assert_eq!(plain::<Size>(text), Err(format!("{why}; {give}")), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, ms, shown) in [
            ("1ms", 1, "\"1ms\""),
            ("1500ms", 1500, "\"1500ms\""),
            ("90s", 90_000, "\"90s\""),
            ("5m", 300_000, "\"5m\""),
            ("60 m", 3_600_000, "\"1h\""),
            ("48h", 172_800_000, "\"2d\""),
            ("36500d", 3_153_600_000_000, "\"36500d\""),
        ] {
            let duration: Duration = plain(text).unwrap();
            assert_eq!((duration.as_millis(), duration.to_toml().as_deref()), (ms, Some(shown)), "{text}");
        }
        let give = "give a number and ms, s, m, h or d, e.g. EXAMPLE";
        for (text, why) in [
            ("5", "has no unit"),
            ("5 min", "is not a time"),
            ("m", "is not a time"),
            ("-5m", "is not a time"),
            ("1h30m", "is not a time"),
            ("0s", "never means unlimited here"),
            ("36501d", "is more than a hundred years"),
        ] {
            assert_eq!(plain::<Duration>(text), Err(format!("{why}; {give}")), "{text}");
        }
    }

    #[test]
    fn counts() {
        assert_eq!(plain("20000"), Ok(20000_usize));
        for (text, why) in [
            ("many", "is not a number"),
            ("1.5", "is not a number"),
            ("0", "never means unlimited here"),
            ("-1", "is negative"),
            ("9223372036854775808", "is too large"),
        ] {
            let error = format!("{why}; give a whole number, e.g. EXAMPLE");
            assert_eq!(plain::<usize>(text), Err(error), "{text}");
        }
    }

    #[test]
    fn names_in_a_list() {
        let names: Vec<Name> = plain("messi, Henderson").unwrap();
        assert_eq!(names.to_toml().as_deref(), Some(r#"["messi", "Henderson"]"#));
        assert_eq!(plain::<Vec<Name>>(""), Ok(Vec::new()));
        assert_eq!(
            plain::<Vec<Name>>("messi,a@b"),
            Err(format!("contains \"a@b\", which is not a name; {NAME_RULE}"))
        );
    }

    #[test]
    fn words_and_filters() {
        assert_eq!(plain("closed"), Ok(Registration::Closed));
        assert_eq!(plain::<Storage>("Disk"), Err("is neither; give \"disk\" or \"memory\"".to_owned()));
        assert_eq!(plain::<LogFilter>("warn,obrolan=debug").unwrap().as_str(), "warn,obrolan=debug");
        for not in ["a=b=c", "verbose", "", "info,", "info,verbose"] {
            let error = plain::<LogFilter>(not).unwrap_err();
            assert!(error.starts_with("is not a log filter; give error, warn"), "{not}: {error}");
        }
        assert_eq!(plain::<bool>("yes"), Err("is neither; give true or false".to_owned()));
    }
}
