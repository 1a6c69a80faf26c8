//! A request as a JSON object: the same requests with named parameters (protocol, section 1).

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, Visitor},
};

use super::{
    Code, Kind, Line, ParseError, Request, Shape,
    request::{MOST, Value},
};

/// The longest tag and the longest dedupe key, in bytes.
pub const MAX_TAG: usize = 64;

/// A structured request taken apart. It owns what had to be unescaped; [`line`](Self::line) lends the request.
#[derive(PartialEq)]
pub struct Structured<'a> {
    kind: Kind,
    values: [Option<Scalar<'a>>; MOST],
    session: Option<Cow<'a, str>>,
    /// What the response repeats under `tag`, to tell it by.
    pub tag: Option<Tag<'a>>,
    /// Names the request for 24 hours: a repeat is answered as the first was, and does nothing.
    pub dedupe: Option<Cow<'a, str>>,
}

/// A client's own name for a request: a text of at most [`MAX_TAG`] bytes, or a whole number.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum Tag<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A number.
    Number(u64),
}

impl Tag<'_> {
    /// The same tag, owning its text.
    #[must_use]
    pub fn into_owned(self) -> Tag<'static> {
        match self {
            Tag::Text(text) => Tag::Text(Cow::Owned(text.into_owned())),
            Tag::Number(number) => Tag::Number(number),
        }
    }
}

/// Names the request alone: its parameters may be secrets.
impl fmt::Debug for Structured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Structured({})", self.kind.spec().name)
    }
}

#[derive(PartialEq)]
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Number(u64),
    /// `null`: the same as leaving it out.
    Null,
    /// Well-formed, but nothing that a parameter can be.
    Other,
}

impl<'a> Structured<'a> {
    /// Reads a line that begins with `{`, without its line end.
    ///
    /// ```
    /// use obrolan::wire::{Request, Structured};
    /// let line = br#"{"request":"SEND","to":"bob","text":"two\nlines","tag":7}"#;
    /// let structured = Structured::parse(line).unwrap();
    /// assert!(structured.line().unwrap().request == Request::Send { to: "bob", text: "two\nlines" });
    /// ```
    ///
    /// # Errors
    /// `invalid_utf8`; `bad_json` if it is no JSON object, or names a parameter that the request does not have, or one twice;
    /// `unknown_request`; `bad_parameters` for a tag or dedupe key that is none.
    pub fn parse(line: &'a [u8]) -> Result<Structured<'a>, ParseError> {
        let error = |kind, code| ParseError { kind, code };
        let line = std::str::from_utf8(line).map_err(|_| error(None, Code::InvalidUtf8))?;
        let Fields(mut fields) = serde_json::from_str(line).map_err(|_| error(None, Code::BadJson))?;
        let request = fields.iter().position(|(name, _)| name == "request").map(|at| fields.remove(at).1);
        let Some(Scalar::Text(request)) = request else { return Err(error(None, Code::BadJson)) };
        let kind = Kind::from_name(&request).ok_or(error(None, Code::UnknownRequest))?;
        let mut parsed =
            Structured { kind, values: [const { None }; MOST], session: None, tag: None, dedupe: None };
        let mut well = true;
        for (name, value) in fields {
            let params = kind.spec().params;
            if let Some(at) = params.iter().position(|param| param.name == name) {
                parsed.values[at] = Some(value);
                continue;
            }
            match (&*name, value) {
                ("sid" | "tag" | "dedupe", Scalar::Null) => {}
                ("sid", Scalar::Text(sid)) => parsed.session = Some(sid),
                ("tag", value) => {
                    parsed.tag = value.tag();
                    well &= parsed.tag.is_some();
                }
                ("dedupe", Scalar::Text(key)) if is_short(&key) => parsed.dedupe = Some(key),
                ("sid" | "dedupe", _) => well = false,
                _ => return Err(error(None, Code::BadJson)),
            }
        }
        // Only when all members are known, so that their order does not matter.
        if !well {
            return Err(error(Some(kind), Code::BadParameters));
        }
        Ok(parsed)
    }

    /// The request and the session it names.
    ///
    /// # Errors
    /// `bad_parameters` if some are missing, empty, of another type, or hold a NUL.
    pub fn line(&self) -> Result<Line<'_>, ParseError> {
        let bad = ParseError { kind: Some(self.kind), code: Code::BadParameters };
        let mut values = [Value::Absent; MOST];
        for ((param, given), value) in self.kind.spec().params.iter().zip(&self.values).zip(&mut values) {
            *value = match (given, param.shape) {
                (None | Some(Scalar::Null), _) if param.optional => Value::Absent,
                (Some(Scalar::Number(number)), Shape::Number) => Value::Number(*number),
                (Some(Scalar::Text(text)), Shape::Word | Shape::Text)
                    if !text.is_empty() && !text.contains('\0') =>
                {
                    Value::Text(text)
                }
                _ => return Err(bad),
            };
        }
        Ok(Line { session: self.session.as_deref(), request: Request::new(self.kind, values) })
    }

    /// Which request it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl Tag<'_> {
    /// The tag of a line that [`Structured::parse`] refuses, if it is a JSON object with one tag: its sender tells responses apart by
    /// their tags, and so that to a mistake too.
    ///
    /// ```
    /// use obrolan::wire::Tag;
    /// assert_eq!(Tag::of_refused(br#"{"request":"DANCE","tag":7}"#), Some(Tag::Number(7)));
    /// assert_eq!(Tag::of_refused(br#"{"request":"DANCE","tag":7"#), None);
    /// ```
    #[must_use]
    pub fn of_refused(line: &[u8]) -> Option<Tag<'static>> {
        let TagAlone(tag) = serde_json::from_slice(line).ok()?;
        tag.and_then(|tag| tag).map(Tag::into_owned)
    }
}

/// Whether a text may be a tag or a dedupe key.
fn is_short(text: &str) -> bool {
    (1..=MAX_TAG).contains(&text.len())
}

impl<'a> Scalar<'a> {
    fn tag(self) -> Option<Tag<'a>> {
        match self {
            Scalar::Text(text) if is_short(&text) => Some(Tag::Text(text)),
            Scalar::Number(number) => Some(Tag::Number(number)),
            _ => None,
        }
    }
}

/// Of an object's members those named `tag`: `None` if there is none, `Some(None)` if there is no one tag.
struct TagAlone<'a>(Option<Option<Tag<'a>>>);

impl<'de> Deserialize<'de> for TagAlone<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = TagAlone<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TagAlone<'de>, A::Error> {
                let mut found = None;
                while let Some((Text(name), value)) = map.next_entry::<_, Scalar<'de>>()? {
                    if name == "tag" {
                        found = Some(if found.is_none() { value.tag() } else { None });
                    }
                }
                Ok(TagAlone(found))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The members of an object in their order, none of them twice.
struct Fields<'a>(Vec<(Cow<'a, str>, Scalar<'a>)>);

/// More members than any request has parameters.
const MOST_FIELDS: usize = 16;

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((Text(name), value)) = map.next_entry()? {
                    if fields.len() == MOST_FIELDS {
                        return Err(A::Error::custom("too many members"));
                    }
                    if fields.iter().any(|(other, _)| *other == name) {
                        return Err(A::Error::custom("a member is repeated"));
                    }
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A text that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Number(number))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Other)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Other)
            }

            fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Null)
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::REQUESTS, *};

    fn code(json: &str) -> Option<Code> {
        let parsed = Structured::parse(json.as_bytes());
        parsed.and_then(|parsed| parsed.line().map(|_| ())).err().map(|error| error.code)
    }

    #[test]
    fn what_is_no_request() {
        for (json, expected) in [
            (r#"{"request":"PING"}"#, None),
            (r#"{"request":"PING","tag":null}"#, None),
            (r#"{"request":"INBOX","after":null}"#, None),
            (r#"{"request":"PING""#, Some(Code::BadJson)),
            (r#"{"request":"PING"} x"#, Some(Code::BadJson)),
            (r#"{}"#, Some(Code::BadJson)),
            (r#"{"request":7}"#, Some(Code::BadJson)),
            (r#"{"request":"PING","request":"PING"}"#, Some(Code::BadJson)),
            (r#"{"request":"SEND","to":"a","to":"b","text":"x"}"#, Some(Code::BadJson)),
            (r#"{"request":"PING","tag":1,"tag":1}"#, Some(Code::BadJson)),
            (r#"{"request":"PING","sid":null,"sid":null}"#, Some(Code::BadJson)),
            (r#"{"request":"PING","colour":"red"}"#, Some(Code::BadJson)),
            (r#"{"request":"PING","tag":[],"colour":"red"}"#, Some(Code::BadJson)),
            (r#"{"request":"PING","tag":null,"tag":1}"#, Some(Code::BadJson)),
            (r#"{"request":"SEND","to":"\ud800","text":"x"}"#, Some(Code::BadJson)),
            (r#"{"request":"ACK","id":1e999}"#, Some(Code::BadJson)),
            (r#"{"request":"HALO"}"#, Some(Code::UnknownRequest)),
            (r#"{"request":"SEND","to":"a"}"#, Some(Code::BadParameters)),
            (r#"{"request":"SEND","to":"a","text":""}"#, Some(Code::BadParameters)),
            (r#"{"request":"SEND","to":"a","text":"x\u0000"}"#, Some(Code::BadParameters)),
            (r#"{"request":"SEND","to":["a"],"text":"x"}"#, Some(Code::BadParameters)),
            (r#"{"request":"SEND","to":{"a":[{}]},"text":"x"}"#, Some(Code::BadParameters)),
            (r#"{"request":"ACK","id":"1"}"#, Some(Code::BadParameters)),
            (r#"{"request":"ACK","id":-1}"#, Some(Code::BadParameters)),
            (r#"{"request":"ACK","id":1.5}"#, Some(Code::BadParameters)),
            (r#"{"request":"ACK","id":18446744073709551616}"#, Some(Code::BadParameters)),
            (r#"{"request":"PING","tag":""}"#, Some(Code::BadParameters)),
            (r#"{"request":"PING","tag":[]}"#, Some(Code::BadParameters)),
            (r#"{"request":"PING","dedupe":1}"#, Some(Code::BadParameters)),
        ] {
            assert_eq!(code(json), expected, "{json}");
        }
        let deep = format!(r#"{{"request":{}"#, "[".repeat(10_000));
        assert_eq!(code(&deep), Some(Code::BadJson));
        let long = format!(r#"{{"request":"PING","tag":"{}"}}"#, "x".repeat(MAX_TAG + 1));
        assert_eq!(code(&long), Some(Code::BadParameters));
    }

    #[test]
    fn no_parameter_is_shown() {
        let auth = br#"{"request":"AUTH","user":"ann","password":"secret99"}"#;
        assert_eq!(format!("{:?}", Structured::parse(auth)), "Ok(Structured(AUTH))");
    }

    #[test]
    fn tags_and_keys_have_1_to_64_bytes() {
        for name in ["tag", "dedupe"] {
            for (len, wrong) in [(0, true), (1, false), (64, false), (65, true)] {
                let json = format!(r#"{{"request":"ACK","id":1,"{name}":"{}"}}"#, "x".repeat(len));
                assert_eq!(code(&json), wrong.then_some(Code::BadParameters), "{json}");
            }
        }
    }

    #[test]
    fn who_is_refused_is_told_by_its_tag() {
        for (json, tag) in [
            (r#"{"tag":"a\u00e9","request":"DANCE"}"#, Some(Tag::Text("a\u{e9}".into()))),
            (r#"{"request":"PING","tag":7,"colour":"red"}"#, Some(Tag::Number(7))),
            (r#"{"request":"PING","tag":7,"dedupe":{}}"#, Some(Tag::Number(7))),
            (r#"{"request":"PING","tag":7,"tag":7}"#, None),
            (r#"{"request":"PING","tag":[7]}"#, None),
            (r#"{"request":"PING","tag":""}"#, None),
            (r#"{"request":"PING","tag":7"#, None),
            (r#"{"request":"PING"}"#, None),
        ] {
            assert_eq!(Tag::of_refused(json.as_bytes()), tag, "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_a_line_can_say_an_object_can_say(
            row in 0..REQUESTS.len(),
            words in prop::collection::vec("[a-zé\"\\\\]{1,8}", MOST),
            number: u64,
        ) {
            let spec = &REQUESTS[row];
            let mut line = spec.name.to_owned();
            let mut object = serde_json::Map::new();
            object.insert("request".into(), spec.name.to_lowercase().into());
            for (param, word) in spec.params.iter().zip(&words) {
                let (written, value) = match param.shape {
                    Shape::Number => (number.to_string(), serde_json::Value::from(number)),
                    Shape::Word | Shape::Text => (word.clone(), word.clone().into()),
                };
                line.push_str(&format!(" {written}"));
                object.insert(param.name.into(), value);
            }
            let json = serde_json::Value::from(object).to_string();
            let structured = Structured::parse(json.as_bytes()).unwrap();
            prop_assert!(structured.line().unwrap() == Line::parse(line.as_bytes()).unwrap());
        }

        #[test]
        fn what_is_encoded_reads_back(
            row in 0..REQUESTS.len(),
            texts in prop::collection::vec("[ -~é\\r\\n\0]{0,12}|[a-z]{1,8}", MOST),
            given in prop::collection::vec(any::<bool>(), MOST),
            number: u64,
            key in prop::option::of("[ -~]{1,8}"),
        ) {
            let values = std::array::from_fn(|at| match REQUESTS[row].params.get(at) {
                Some(param) if param.optional && !given[at] => Value::Absent,
                Some(param) if param.shape == Shape::Number => Value::Number(number),
                Some(_) => Value::Text(&texts[at]),
                None => Value::Absent,
            });
            let request = Request::new(REQUESTS[row].kind, values);
            let mut line = Vec::new();
            if request.encode_structured(key.as_deref(), &mut line).is_err() {
                prop_assert!(line.is_empty());
                return Ok(());
            }
            let structured = Structured::parse(line.strip_suffix(b"\n").unwrap()).unwrap();
            prop_assert_eq!(structured.line(), Ok(Line { session: None, request }));
            prop_assert_eq!(structured.dedupe.as_deref(), key.as_deref());
        }

        #[test]
        fn any_text_parses_or_fails(text in r#"\{"request":"[A-Z_]{4}","[a-z]{2,6}":.{0,12}\}?"#) {
            let _ = Structured::parse(text.as_bytes()).map(|parsed| parsed.line().is_ok());
        }
    }
}
