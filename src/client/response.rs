//! What a server sends: responses and events.

use std::{fmt, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{time::Time, wire::Code};

/// The answer to a request.
#[derive(Clone, PartialEq)]
pub struct Response(Map<String, Value>);

impl Response {
    /// Whether the status is OK.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.text("status") == Some("OK")
    }

    /// The protocol's text for the outcome; empty where the answer is in other fields alone.
    #[must_use]
    pub fn data(&self) -> &str {
        self.text("data").unwrap_or_default()
    }

    /// Why it failed, if it did and the code is one that this version knows.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.code_word().and_then(Code::from_word)
    }

    /// Why it failed, in the word the server used.
    #[must_use]
    pub fn code_word(&self) -> Option<&str> {
        self.text("code")
    }

    /// A field with text.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field)?.as_str()
    }

    /// A field with a number: the `id` of a message sent, the `retry_after` of a refusal.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<u64> {
        self.0.get(field)?.as_u64()
    }

    /// A field with a list of names: `users`, `groups`, `members`.
    #[must_use]
    pub fn names(&self, field: &str) -> Option<Vec<&str>> {
        self.0.get(field)?.as_array()?.iter().map(Value::as_str).collect()
    }

    /// The `messages` of an INBOX or a HISTORY; `None` if there is no such list or one of them is no message.
    #[must_use]
    pub fn messages(&self) -> Option<Vec<Message>> {
        self.0.get("messages")?.as_array()?.iter().map(|message| Message::deserialize(message).ok()).collect()
    }

    /// Whether the same request may succeed a little later: the server is busy, its store failed, or there were too
    /// many attempts.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self.code(), Some(Code::Busy | Code::Unavailable | Code::Throttled))
    }

    /// How long to wait before the next attempt, if it failed because there were too many.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.number("retry_after").filter(|_| self.code() == Some(Code::Throttled));
        seconds.map(Duration::from_secs)
    }

    /// Why it failed and what to do about it, in words.
    ///
    /// The server's own words, if the code is not one that this version knows: another's text, to be escaped where it is shown.
    #[must_use]
    pub fn reason(&self) -> String {
        match (self.code(), self.number("retry_after"), self.code_word()) {
            (Some(Code::Throttled), Some(seconds), _) => {
                format!("too many attempts; try again in {seconds} s")
            }
            (Some(code), ..) => code.advice().to_owned(),
            (None, _, Some(word)) => format!("{word} ({})", self.data()),
            (None, _, None) => self.data().to_owned(),
        }
    }

    /// All fields, as the server sent them.
    #[must_use]
    pub fn body(&self) -> &Map<String, Value> {
        &self.0
    }

    /// What a server answers QUIT.
    pub(super) fn goodbye() -> Response {
        let data = crate::wire::Kind::Quit.spec().ok.expect("QUIT has a text");
        Response(Map::from_iter([("status".into(), "OK".into()), ("data".into(), data.into())]))
    }
}

/// Shows everything but session ids.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Response")?;
        let shown = self.0.iter().map(|(field, value)| {
            (field, if matches!(&field[..], "tokenid" | "token_id" | "token") { &Value::Null } else { value })
        });
        f.debug_map().entries(shown).finish()
    }
}

/// A message to the user (protocol, section 4).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// Grows from message to message; ACK takes it.
    pub id: u64,
    /// Who sent it: `name`, or `name@realm`.
    pub from: String,
    /// To whom it was sent; may be missing (empty) in a group's.
    #[serde(default)]
    pub to: String,
    /// The group it was sent to, if it is no private message.
    #[serde(default)]
    pub group: Option<String>,
    /// When the server accepted it.
    #[serde(deserialize_with = "rfc3339")]
    pub time: Time,
    /// What was sent.
    #[serde(flatten)]
    pub content: Content,
}

/// What a message carries.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Content {
    /// Text.
    Text(String),
    /// A file, to be fetched by its id.
    File(File),
}

/// The file of a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct File {
    /// Its id on the server.
    pub id: String,
    /// The name the sender gave it. Another's choice: not fit to be used as a path as it is.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of the content, in hex.
    pub sha256: String,
}

fn rfc3339<'de, D: serde::Deserializer<'de>>(text: D) -> Result<Time, D::Error> {
    let text = String::deserialize(text)?;
    Time::parse(&text).ok_or_else(|| serde::de::Error::custom("no time of the form 2026-11-23T09:00:00.000Z"))
}

/// What is wrong with most of what is no response.
pub(super) const NO_OBJECT: &str = "it is no JSON object";

/// One frame from a server.
#[derive(Debug)]
pub(super) enum Frame {
    Response(Response),
    Message(Message),
    Gap(u64),
    Closing,
    Other(String, Map<String, Value>),
}

impl Frame {
    /// Takes the JSON apart; the error says what is wrong with it.
    pub(super) fn parse(json: &[u8]) -> Result<Frame, &'static str> {
        // Space before it would be JSON too, but could not be told from another protocol until the frame is whole.
        let object =
            json.first().filter(|&&first| first == b'{').and_then(|_| serde_json::from_slice(json).ok());
        let mut body: Map<String, Value> = object.ok_or(NO_OBJECT)?;
        if matches!(body.get("status").and_then(Value::as_str), Some("OK" | "ERROR")) {
            return Ok(Frame::Response(Response(body)));
        }
        let Some(Value::String(event)) = body.remove("event") else {
            return Err("it has neither a status of OK or ERROR nor an event");
        };
        match &event[..] {
            "message" => {
                let message = Message::deserialize(Value::Object(body));
                Ok(Frame::Message(message.map_err(|_| "it is a message without what every message has")?))
            }
            "gap" => {
                let count = body.get("count").and_then(Value::as_u64);
                Ok(Frame::Gap(count.ok_or("it is a gap without a count")?))
            }
            "closing" => Ok(Frame::Closing),
            _ => Ok(Frame::Other(event, body)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(json: &str) -> Response {
        match Frame::parse(json.as_bytes()) {
            Ok(Frame::Response(response)) => response,
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn responses_are_read_by_field() {
        let ok = response(r#"{"status":"OK","users":["ann","bob"],"id":17}"#);
        assert!(ok.is_ok());
        assert_eq!((ok.data(), ok.code_word(), ok.number("id")), ("", None, Some(17)));
        assert_eq!(ok.names("users"), Some(vec!["ann", "bob"]));
        let busy =
            response(r#"{"status":"ERROR","data":"autentikasi gagal","code":"throttled","retry_after":5}"#);
        assert!(!busy.is_ok() && busy.is_temporary());
        assert_eq!((busy.code(), busy.number("retry_after")), (Some(Code::Throttled), Some(5)));
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(5)));
        let newer = response(r#"{"status":"ERROR","data":"~","code":"new_word"}"#);
        assert_eq!((newer.code(), newer.code_word()), (None, Some("new_word")));
    }

    #[test]
    fn session_ids_do_not_show_in_debug() {
        let secret = "sid_0123456789abcdef0123456789abcdef";
        for field in ["tokenid", "token_id", "token"] {
            let shown =
                format!("{:?}", response(&format!(r#"{{"status":"OK","id":7,"{field}":"{secret}"}}"#)));
            assert!(!shown.contains("sid_") && shown.contains('7'), "{shown}");
        }
    }

    #[test]
    fn messages_of_every_form() {
        let message = |rest: &str| {
            let time = "2026-11-23T09:00:00.007Z";
            let json = format!(r#"{{"event":"message","id":17,"from":"messi","time":"{time}",{rest}}}"#);
            match Frame::parse(json.as_bytes()) {
                Ok(Frame::Message(message)) => message,
                other => panic!("{json}: {other:?}"),
            }
        };
        let private = message(r#""to":"henderson","text":"hal\u006f","newer":1"#);
        assert_eq!((private.id, private.time), (17, Time(1_795_424_400_007)));
        assert_eq!((&private.from[..], &private.to[..], &private.group), ("messi", "henderson", &None));
        assert_eq!(private.content, Content::Text("halo".into()));
        assert_eq!(message(r#""group":"grup1","text":"x""#).group.as_deref(), Some("grup1"));
        let file = message(r#""to":"a","file":{"id":"f1","name":"a.txt","size":9,"sha256":"00"}"#).content;
        assert!(matches!(file, Content::File(File { size: 9, .. })), "{file:?}");
    }

    #[test]
    fn what_is_neither_response_nor_event() {
        for json in [
            "",
            "null",
            "[]",
            "{}",
            "{",
            r#"{"status":"ok"}"#,
            r#"{"status":1}"#,
            r#"{"event":1}"#,
            r#"{"event":"gap"}"#,
            r#"{"event":"message"}"#,
            r#"{"event":"message","id":1,"from":"a","to":"b","time":"now","text":"x"}"#,
        ] {
            assert!(Frame::parse(json.as_bytes()).is_err(), "{json}");
        }
        assert!(Frame::parse(b"{\"event\":\"\xff\"}").is_err());
        assert!(Frame::parse("[".repeat(1 << 20).as_bytes()).is_err(), "deep nesting");
        assert!(matches!(Frame::parse(br#"{"event":"typing"}"#), Ok(Frame::Other(..))));
    }
}
