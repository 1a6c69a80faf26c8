//! Reading and writing requests and responses.

use serde_json::{Map, Value, json};

use super::{in_pieces, pieces};
use crate::{
    testing::json::{Member, Members, is_short, tag},
    wire::{
        Code, END, Frame, FrameDecoder, Kind, Line, LineDecoder, Object, REQUESTS, Shape, Structured, Tag,
    },
};

/// Lines come off a stream the same in any pieces, and the request on each is the same after it is written and read again, as a line
/// and as an object. The bytes are the sizes of pieces, then the stream.
pub fn requests(bytes: &[u8]) {
    let (_, sizes, stream) = pieces(bytes);
    let lines = lines([stream].into_iter());
    assert_eq!(self::lines(in_pieces(stream, &sizes)), lines, "in pieces of {sizes:?}");
    for line in lines.into_iter().flatten() {
        if line.starts_with(b"{") {
            if let Ok(object) = Structured::parse(&line)
                && let Ok(read) = object.line()
            {
                round_trip(read, object.dedupe.as_deref());
            }
        } else if let Ok(read) = Line::parse(&line) {
            round_trip(read, None);
            let mut written = Vec::new();
            let encoded = read.request.encode(&mut written);
            // Without the session that a line names, its parameters may be taken for one; and a CR at their end for the line's.
            let unwritable = read.session.is_some() || line.contains(&b'\r');
            assert!(encoded.is_ok() || unwritable, "{} is not written", line.escape_ascii());
            if encoded.is_ok() {
                let again = Line::parse(written.strip_suffix(b"\n").expect("a line ends"));
                assert!(
                    again == Ok(Line { session: None, request: read.request }),
                    "{line:?} reads otherwise"
                );
            }
        }
    }
}

/// The lines of a stream; `None` where one is too long.
fn lines<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Option<Vec<u8>>> {
    const LIMIT: usize = 200;
    let own = |frame: Frame<'_>| match frame {
        Frame::Line(line) => Some(line.to_vec()),
        Frame::TooLong => None,
    };
    let (mut decoder, mut lines) = (LineDecoder::default(), Vec::new());
    for mut piece in pieces {
        while let Some(frame) = decoder.next(&mut piece, LIMIT) {
            lines.push(own(frame));
        }
        assert!(decoder.held() <= LIMIT + 1);
    }
    lines.extend(decoder.finish().map(own));
    lines
}

fn round_trip(read: Line<'_>, dedupe: Option<&str>) {
    let mut written = Vec::new();
    read.request.encode_structured(dedupe, &mut written).expect("what was read can be written");
    let written = written.strip_suffix(b"\n").expect("a line ends");
    assert!(!written.contains(&b'\n'));
    let object = Structured::parse(written).expect("what is written reads");
    assert!(object.line() == Ok(Line { session: None, request: read.request }), "{read:?} reads otherwise");
    assert_eq!(object.dedupe.as_deref(), dedupe);
}

/// A line is read as an object as section 5 of docs/protocol.md says, whatever stands in it. The bytes are a line.
pub fn structured(line: &[u8]) {
    let parsed = Structured::parse(line);
    let read = parsed.as_ref().map_err(|error| *error).and_then(|object| Ok((object, object.line()?)));
    match (read, said(line)) {
        (Ok((object, line)), Ok(said)) => {
            let mut written = Vec::new();
            line.request.encode_structured(None, &mut written).expect("what was read can be written");
            let written: Value = serde_json::from_slice(&written).expect("what is written is JSON");
            assert_eq!(written, Value::Object(said.members));
            let sid = line.session.map(Value::from);
            let dedupe = object.dedupe.as_deref().map(Value::from);
            let tag = object.tag.as_ref().map(|tag| json!(tag));
            assert_eq!([sid, dedupe, tag], [said.sid, said.dedupe, said.tag]);
        }
        (Err(error), Err((kind, code))) => {
            assert_eq!((error.kind, error.code), (kind, code));
            assert_eq!(Tag::of_refused(line).map(|tag| json!(tag)), tag(line));
        }
        (read, _) => panic!("it is read as {read:?}"),
    }
}

/// A structured request, taken apart without its parser.
struct Said {
    /// The request and the parameters that are given.
    members: Map<String, Value>,
    sid: Option<Value>,
    dedupe: Option<Value>,
    tag: Option<Value>,
}

fn said(line: &[u8]) -> Result<Said, (Option<Kind>, Code)> {
    let line = std::str::from_utf8(line).map_err(|_| (None, Code::InvalidUtf8))?;
    let bad_json = (None, Code::BadJson);
    let Members(members) = serde_json::from_str(line).map_err(|_| bad_json)?;
    let named = |name: &str| {
        members.iter().filter(|(other, _)| other == name).map(|(_, value)| value).collect::<Vec<_>>()
    };
    // No request has so many members that this could be one.
    if members.len() > 16 || members.iter().any(|(name, _)| named(name).len() > 1) {
        return Err(bad_json);
    }
    let [Member::Plain(Value::String(request))] = named("request")[..] else { return Err(bad_json) };
    let spec = REQUESTS.iter().find(|spec| spec.name.eq_ignore_ascii_case(request));
    let spec = spec.ok_or((None, Code::UnknownRequest))?;
    let param = |name: &str| spec.params.iter().find(|param| param.name == name);
    let known = |name: &str| ["request", "sid", "tag", "dedupe"].contains(&name) || param(name).is_some();
    if members.iter().any(|(name, _)| !known(name)) {
        return Err(bad_json);
    }
    let bad = (Some(spec.kind), Code::BadParameters);
    // A member that is null is not given.
    let given = |name: &str, fits: &dyn Fn(&Value) -> bool| match named(name)[..] {
        [] | [Member::Plain(Value::Null)] => Ok(None),
        [Member::Plain(value)] if fits(value) => Ok(Some(value.clone())),
        _ => Err(bad),
    };
    let short = |value: &Value| value.as_str().is_some_and(is_short);
    let sid = if param("sid").is_some() { None } else { given("sid", &Value::is_string)? };
    let mut said = Said {
        members: Map::from_iter([("request".to_owned(), spec.name.into())]),
        sid,
        dedupe: given("dedupe", &short)?,
        tag: given("tag", &|value| value.is_u64() || short(value))?,
    };
    for param in spec.params {
        let fits = |value: &Value| match param.shape {
            Shape::Number => value.is_u64(),
            Shape::Word | Shape::Text => {
                value.as_str().is_some_and(|text| !text.is_empty() && !text.contains('\0'))
            }
        };
        match given(param.name, &fits)? {
            Some(value) => drop(said.members.insert(param.name.to_owned(), value)),
            None if param.optional => {}
            None => return Err(bad),
        }
    }
    Ok(said)
}

/// What a server writes, a client reads, in any pieces. The bytes are the sizes of pieces, then texts of responses, one a line.
pub fn responses(bytes: &[u8]) {
    let (_, sizes, texts) = pieces(bytes);
    let (mut stream, mut expected) = (Vec::new(), Vec::new());
    for (at, text) in texts.split(|byte| *byte == b'\n').enumerate() {
        let text = String::from_utf8_lossy(text);
        let spec = &REQUESTS[(at + text.len()) % REQUESTS.len()];
        let code = Code::ALL[(at + text.len()) % Code::ALL.len()];
        let start = stream.len();
        if at % 2 == 0 {
            Object::ok(&mut stream, spec.ok)
                .text("text", &text)
                .field("list", &[&*text])
                .field("size", &at)
                .end_frame();
            let mut value = json!({"status": "OK", "text": text, "list": [text], "size": at});
            if let Some(data) = spec.ok {
                value["data"] = data.into();
            }
            expected.push(value);
        } else {
            Object::error(&mut stream, Some(spec.kind), code).text("text", &text).end_frame();
            let data = spec.error_text(code);
            expected.push(json!({"status": "ERROR", "data": data, "code": code.as_str(), "text": text}));
        }
        let frame = stream[start..].strip_suffix(END).expect("a frame ends");
        assert!(frame.is_ascii() && !frame.windows(END.len()).any(|window| window == END));
    }
    let mut decoder = FrameDecoder::new(stream.len());
    let mut read: Vec<Value> = Vec::new();
    for piece in in_pieces(&stream, &sizes) {
        decoder.push(piece);
        while let Some(frame) = decoder.next().expect("no frame is longer than all") {
            read.push(serde_json::from_slice(frame).expect("a frame is JSON"));
        }
    }
    assert_eq!(read, expected);
}
