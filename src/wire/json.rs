//! Compact JSON in ASCII, the form of every response and event.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::{Code, Kind, frame::END};

/// Compact, and every character outside ASCII as `\uXXXX`: no client can cut one in half (protocol, section 1).
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        if text.is_ascii() {
            // DEL is the one control character that JSON leaves as it is.
            return out.write_all(text.as_bytes());
        }
        for run in text.split_inclusive(|c: char| !c.is_ascii()) {
            let plain = run.trim_end_matches(|c: char| !c.is_ascii());
            out.write_all(plain.as_bytes())?;
            let mut units = [0; 2];
            for unit in run[plain.len()..].chars().flat_map(|c| c.encode_utf16(&mut units).to_vec()) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

fn value(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    value
        .serialize(&mut Serializer::with_formatter(out, Ascii))
        .expect("plain values and a Vec cannot fail to serialise");
}

/// Adds a field at the end of the whole response that `out` ends with.
pub(crate) fn append_field(out: &mut Vec<u8>, name: &'static str, of: &impl Serialize) {
    out.truncate(out.len() - END.len() - 1);
    Object { out, first: false }.field(name, of).end_frame();
}

/// Writes one JSON object, field by field, at the end of a buffer.
///
/// ```
/// use obrolan::wire::Object;
/// let mut out = Vec::new();
/// Object::ok(&mut out, Some("pesan terkirim")).field("id", &17).end_frame();
/// assert_eq!(out, b"{\"status\":\"OK\",\"data\":\"pesan terkirim\",\"id\":17}\r\n\r\n");
/// ```
#[must_use = "an object must be ended"]
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Object<'a> {
    /// Opens an object at the end of `out`.
    pub fn begin(out: &'a mut Vec<u8>) -> Object<'a> {
        out.push(b'{');
        Object { out, first: true }
    }

    /// Opens the OK response: `status`, then `data` if there is one.
    pub fn ok(out: &'a mut Vec<u8>, data: Option<&str>) -> Object<'a> {
        out.extend_from_slice(b"{\"status\":\"OK\"");
        let object = Object { out, first: false };
        match data {
            Some(data) => object.text("data", data),
            None => object,
        }
    }

    /// Opens the ERROR response of a request: `status`, its text for `code` under `data`, and `code`.
    ///
    /// `kind` is `None` for a line that is no known request.
    pub fn error(out: &'a mut Vec<u8>, kind: Option<Kind>, code: Code) -> Object<'a> {
        let data = kind.map_or(super::UNKNOWN, |kind| kind.spec().error_text(code));
        out.extend_from_slice(b"{\"status\":\"ERROR\"");
        Object { out, first: false }.text("data", data).text("code", code.as_str())
    }

    /// Adds a field. `name` is written as it is: a plain ASCII word.
    pub fn field(self, name: &'static str, of: &(impl Serialize + ?Sized)) -> Object<'a> {
        let object = self.name(name);
        value(object.out, of);
        object
    }

    /// Adds a field that is a text: the same as [`field`](Self::field), quicker for the plain ones that most are.
    pub fn text(self, name: &'static str, text: &str) -> Object<'a> {
        let object = self.name(name);
        // Looking at every byte without a way out early lets the compiler look at many at a time.
        let special = |b: u8| !(0x20..0x7f).contains(&b) || b == b'"' || b == b'\\';
        if text.bytes().fold(false, |any, b| any | special(b)) {
            value(object.out, text);
        } else {
            object.out.push(b'"');
            object.out.extend_from_slice(text.as_bytes());
            object.out.push(b'"');
        }
        object
    }

    fn name(self, name: &'static str) -> Object<'a> {
        if !self.first {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        Object { out: self.out, first: false }
    }

    /// Adds a field whose value is JSON already: an array of these objects.
    pub(crate) fn objects<'b>(
        self,
        name: &'static str,
        objects: impl IntoIterator<Item = &'b [u8]>,
    ) -> Object<'a> {
        let object = self.field(name, &[(); 0]);
        object.out.pop();
        let mut first = true;
        for json in objects {
            if !first {
                object.out.push(b',');
            }
            first = false;
            object.out.extend_from_slice(json);
        }
        object.out.push(b']');
        object
    }

    /// Closes the object.
    pub fn end(self) {
        self.out.push(b'}');
    }

    /// Closes the object and the response: CR LF CR LF.
    pub fn end_frame(self) {
        self.out.push(b'}');
        self.out.extend_from_slice(END);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> String {
        let mut out = Vec::new();
        value(&mut out, text);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn characters_outside_ascii_are_escaped() {
        assert_eq!(text("aé😀b"), r#""a\u00e9\ud83d\ude00b""#);
        assert_eq!(text("\"\\\u{0}\n"), r#""\"\\\u0000\n""#);
    }

    #[test]
    fn texts_are_written_quickly_only_where_nothing_is_escaped() {
        for original in ["", " ", "~", "plain text", "\"", "\\", "\"\"", "\u{1f}", "\u{7f}", "é"] {
            let mut out = Vec::new();
            Object::begin(&mut out).text("t", original).end();
            assert_eq!(String::from_utf8(out).unwrap(), format!("{{\"t\":{}}}", text(original)));
        }
    }

    #[test]
    fn objects_of_objects() {
        let mut out = Vec::new();
        Object::ok(&mut out, None).objects("messages", [&b"{}"[..], b"{}"]).field("more", &false).end();
        assert_eq!(out, br#"{"status":"OK","messages":[{},{}],"more":false}"#);
        out.clear();
        Object::begin(&mut out).objects("messages", []).end();
        assert_eq!(out, br#"{"messages":[]}"#);
    }

    proptest! {
        #[test]
        fn every_text_is_ascii_and_reads_back(original in any::<String>()) {
            let json = text(&original);
            prop_assert!(json.is_ascii());
            let mut out = Vec::new();
            Object::begin(&mut out).text("t", &original).end();
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{{\"t\":{json}}}"));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), original);
        }
    }
}
