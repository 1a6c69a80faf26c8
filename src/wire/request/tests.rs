use proptest::prelude::*;

use super::{
    super::{REQUESTS, Spec},
    *,
};

const SID: &str = "sid_0123456789abcdef0123456789abcdef";

fn parse(line: &str) -> Result<Line<'_>, ParseError> {
    Line::parse(line.as_bytes())
}

fn code(line: &str) -> Option<Code> {
    parse(line).err().map(|error| error.code)
}

#[test]
fn text_is_the_rest_of_the_line() {
    let line = parse("SEND   bob  two  spaces  ").unwrap();
    assert!(line.request == Request::Send { to: "bob", text: " two  spaces" });
    assert_eq!(code("SEND bob"), Some(Code::BadParameters));
    assert_eq!(code("SEND bob    "), Some(Code::BadParameters));
    assert_eq!(code("SEND bob a\0b"), Some(Code::BadParameters));
}

#[test]
fn what_a_line_cannot_say_is_told() {
    let cases = [
        ("", Shape::Text, Some("it is empty")),
        ("a\nb", Shape::Text, Some("it has a line break or a NUL in it")),
        ("a\0", Shape::Word, Some("it has a line break or a NUL in it")),
        ("a\r", Shape::Text, Some("it has a line break or a NUL in it")),
        ("a\rb", Shape::Text, None),
        ("a ", Shape::Text, Some("it ends in a space")),
        (" a  b", Shape::Text, None),
        ("a ", Shape::Word, Some("it has a space in it")),
        ("a b", Shape::Word, Some("it has a space in it")),
        (SID, Shape::Text, Some("it has the form of a session id")),
    ];
    for (value, shape, why) in cases {
        assert_eq!(unwritable(value, shape, true), why, "{value:?}");
    }
    assert_eq!(unwritable(SID, Shape::Text, false), None, "only the first may be taken for one");
}

#[test]
fn a_session_id_may_come_first_on_every_request() {
    for spec in REQUESTS.iter().filter(|spec| spec.session != SessionParam::Own) {
        let params = spec.params.iter().map(|p| if p.shape == Shape::Number { " 1" } else { " x" });
        let params: String = params.collect();
        let with = format!("{} {SID}{params}", spec.name);
        let without = format!("{}{params}", spec.name);
        let (with, without) = (parse(&with).unwrap(), parse(&without).unwrap());
        assert_eq!(with.session, Some(SID), "{}", spec.name);
        assert_eq!(without.session, None, "{}", spec.name);
        assert!(with.request == without.request, "{}", spec.name);
    }
}

#[test]
fn counts_decide_where_no_text_follows() {
    assert_eq!(parse("JOIN_GROUP x y").unwrap().session, Some("x"));
    assert_eq!(parse("LIST_MY_GROUPS x").unwrap().session, Some("x"));
    assert_eq!(parse("LIST_GROUP x").unwrap().session, None);
    assert_eq!(parse("LIST_GROUP x y").unwrap().session, Some("x"));
    assert_eq!(code("JOIN_GROUP x y z"), Some(Code::BadParameters));
    assert_eq!(code("JOIN_GROUP"), Some(Code::BadParameters));
    assert_eq!(code(&format!("JOIN_GROUP {SID}")), Some(Code::BadParameters));
}

#[test]
fn what_is_no_request() {
    for line in ["FOO", " ", "SENDX a b", "\u{0}", "PING\t", "{}"] {
        assert_eq!(code(line), Some(Code::UnknownRequest), "{line:?}");
    }
    for line in
        ["PING x", "ACK", "ACK -1", "ACK +1", "ACK 18446744073709551616", "AUTH a", "AUTH a b c", "RESUME"]
    {
        assert_eq!(code(line), Some(Code::BadParameters), "{line:?}");
    }
    assert_eq!(Line::parse(b"PING \xff").unwrap_err().code, Code::InvalidUtf8);
}

#[test]
fn requests_do_not_show_secrets_in_debug() {
    assert_eq!(format!("{:?}", parse("AUTH ann hunter2").unwrap().request), "Request(AUTH)");
}

proptest! {
    #[test]
    fn what_is_encoded_reads_back(
        row in 0..REQUESTS.len(),
        texts in prop::collection::vec("[ -~é\r\n\0]{0,12}|[a-z]{1,8}", MOST),
        given in prop::collection::vec(any::<bool>(), MOST),
        number: u64,
    ) {
        let Spec { kind, params, .. } = REQUESTS[row];
        let values = std::array::from_fn(|at| match params.get(at) {
            Some(param) if param.optional && !given[at] => Value::Absent,
            Some(param) if param.shape == Shape::Number => Value::Number(number),
            Some(_) => Value::Text(&texts[at]),
            None => Value::Absent,
        });
        let request = Request::new(kind, values);
        let mut line = Vec::new();
        match request.encode(&mut line) {
            Ok(()) => {
                let line = line.strip_suffix(b"\n").unwrap();
                prop_assert_eq!(Line::parse(line), Ok(Line { session: None, request }));
            }
            Err(_) => prop_assert!(line.is_empty()),
        }
    }

    #[test]
    fn what_is_read_encodes(bytes in "[A-Z_a-z ]{0,12} .{0,20}") {
        let bytes = bytes.trim_end_matches('\r').as_bytes();
        if let Ok(Line { session: None, request }) = Line::parse(bytes) {
            let mut line = Vec::new();
            request.encode(&mut line).unwrap();
            prop_assert!(Line::parse(line.strip_suffix(b"\n").unwrap()).unwrap().request == request);
        }
    }
}
