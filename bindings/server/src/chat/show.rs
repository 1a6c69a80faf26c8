//! How messages and answers look.

use anstyle::{AnsiColor, Style};
use obrolan::{
    client::{Content, Message, Response},
    wire::Code,
};

use crate::cli::Conversation;

/// Where text goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// For programs: a stable form.
    pub(super) plain: bool,
    pub(super) color: bool,
}

/// What a request was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Message(Conversation),
    /// A message to a user who is not talked to yet.
    First(String),
    Join(String),
    Create(String),
    Leave(String),
    Members,
    History(Conversation),
    /// The name of the file of this id, which is to be saved at this path or, without one, under that name.
    Name(String, Option<String>),
    Users,
    Groups,
    Whoami,
    Raw,
    /// A part of a file, or to send it.
    Part,
    /// A sign of life.
    Ping,
    /// That messages up to this one were shown.
    Confirm(u64),
}

/// Makes text from somebody else harmless: nothing in it moves the cursor, changes colors or turns lines around.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The name of a conversation: `bob`, `#grup1`.
pub(super) fn named(conversation: &Conversation) -> String {
    match conversation {
        Conversation::User(name) => escaped(name),
        Conversation::Group(name) => format!("#{}", escaped(name)),
    }
}

impl Look {
    pub(super) fn is_for_people(self) -> bool {
        !self.plain
    }

    /// A message, with its line end.
    pub(super) fn message(self, message: &Message) -> String {
        let from = escaped(&message.from);
        let group = message.group.as_ref().map(|group| format!("#{}", escaped(group)));
        let time = message.time.to_string();
        if self.plain {
            // One message a line, its text at the end: backslashes are doubled, so that it can be undone.
            let text = text_of(message).replace('\\', "\\\\");
            return format!(
                "{time} {from} {} {}\n",
                group.unwrap_or_else(|| escaped(&message.to)),
                escaped(&text)
            );
        }
        let said = match &message.content {
            Content::File(file) => {
                let (name, id) = (escaped(&file.name), escaped(&file.id));
                format!(" sends {name} ({}): /get {id}", bytes(file.size))
            }
            _ => {
                // What follows a line break is indented: it cannot be taken for another message.
                let text: Vec<String> = text_of(message).split('\n').map(escaped).collect();
                format!(": {}", text.join("\n      "))
            }
        };
        let from = self.styled(Style::new().bold().fg_color(Some(color_of(&message.from).into())), &from);
        let clock = self.styled(Style::new().dimmed(), &time[11..16]);
        match group {
            Some(group) => {
                format!("{clock} {} {from}{said}\n", self.styled(Style::new().underline(), &group))
            }
            None => format!("{clock} {from}{said}\n"),
        }
    }

    /// The answer to a look back, oldest first, with its line ends. It is dimmed, for it is not said now, and may be of another day.
    pub(super) fn history(self, with: &Conversation, response: &Response) -> String {
        let Some(messages) = response.messages() else {
            return format!("the server's messages with {} make no sense to this version\n", named(with));
        };
        if self.plain {
            return messages.iter().map(|message| self.message(message)).collect();
        }
        if messages.is_empty() {
            return format!("no messages with {} yet\n", named(with));
        }
        let plain = Look { color: false, ..self };
        let lines = messages.iter().flat_map(|message| {
            let date = message.time.to_string()[..10].to_owned();
            let line = format!("{date} {}", plain.message(message));
            line.lines()
                .map(|line| format!("{}\n", self.styled(Style::new().dimmed(), line)))
                .collect::<Vec<_>>()
        });
        lines.collect()
    }

    pub(super) fn styled(self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

fn text_of(message: &Message) -> String {
    match &message.content {
        Content::Text(text) => text.clone(),
        Content::File(file) => format!("[file {}, {} bytes, id {}]", file.name, file.size, file.id),
        _ => "[something this version cannot show]".to_owned(),
    }
}

/// A number of bytes, as people say it.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} bytes");
    }
    let (mut number, mut unit) = (number as f64 / 1024.0, 0);
    while number >= 1023.5 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(number < 9.95);
    format!("{number:.digits$} {}", UNITS[unit])
}

fn color_of(name: &str) -> AnsiColor {
    use AnsiColor::{Blue, Cyan, Green, Magenta, Red, Yellow};
    let sum = name.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    [Green, Yellow, Blue, Magenta, Cyan, Red][sum % 6]
}

impl Asked {
    /// Whom lines are for once it went well, if it changes that.
    pub(super) fn turns_to(&self) -> Option<Conversation> {
        match self {
            Asked::First(user) => Some(Conversation::User(user.clone())),
            Asked::Join(group) | Asked::Create(group) => Some(Conversation::Group(group.clone())),
            _ => None,
        }
    }

    /// What to show when it went well; nothing if there is nothing to say.
    pub(super) fn done(&self, response: &Response) -> Option<String> {
        let names = |field, one, many| {
            let names = response.names(field).unwrap_or_default();
            let more = if response.text("next").is_some() { ", ..." } else { "" };
            let list: Vec<String> = names.iter().map(|name| escaped(name)).collect();
            let what = if names.len() == 1 { one } else { many };
            match &list[..] {
                [] => format!("no {many}"),
                list => format!("{} {what}: {}{more}", list.len(), list.join(", ")),
            }
        };
        match self {
            Asked::Message(_) | Asked::First(_) | Asked::History(_) => None,
            Asked::Name(..) | Asked::Part | Asked::Ping | Asked::Confirm(_) => None,
            Asked::Join(group) => Some(format!("you are in #{}", escaped(group))),
            Asked::Create(group) => Some(format!("#{} is made; others can /join it", escaped(group))),
            Asked::Leave(group) => Some(format!("you have left #{}", escaped(group))),
            Asked::Members => Some(names("members", "member", "members")),
            Asked::Users => Some(names("users", "user", "users")),
            Asked::Groups => Some(names("groups", "group of yours", "groups of yours")),
            Asked::Whoami => {
                let field = |name| escaped(response.text(name).unwrap_or_default());
                let admin = response.body().get("admin") == Some(&true.into());
                let admin = if admin { ", admin" } else { "" };
                Some(format!("{} ({}, {}){admin}", field("user"), field("name"), field("country")))
            }
            Asked::Raw => Some(raw(response)),
        }
    }

    /// What to say when it did not: what happened, why, and what to do.
    pub(super) fn failed(&self, response: &Response) -> String {
        let what = match self {
            Asked::Message(to) => format!("not sent to {}", named(to)),
            Asked::First(user) => format!("not sent to {}", escaped(user)),
            Asked::Join(group) => format!("cannot join #{}", escaped(group)),
            Asked::Create(group) => format!("cannot make #{}", escaped(group)),
            Asked::Leave(group) => format!("cannot leave #{}", escaped(group)),
            Asked::Members => "cannot list the members".to_owned(),
            Asked::History(with) => format!("cannot look back at {}", named(with)),
            Asked::Users | Asked::Groups | Asked::Whoami | Asked::Name(..) | Asked::Part | Asked::Ping => {
                "the server refused".to_owned()
            }
            Asked::Confirm(_) => "cannot confirm messages; they may be shown again".to_owned(),
            Asked::Raw => return raw(response),
        };
        format!("{what}: {}", reason(response))
    }
}

/// The answer's JSON, with status and data in front as the protocol has them.
fn raw(response: &Response) -> String {
    const FIRST: [&str; 2] = ["status", "data"];
    let body = response.body();
    let first = FIRST.iter().filter_map(|field| body.get_key_value(*field));
    let fields = first.chain(body.iter().filter(|(field, _)| !FIRST.contains(&field.as_str())));
    let fields: Vec<String> =
        fields.map(|(field, value)| format!("{}:{value}", serde_json::Value::from(field.as_str()))).collect();
    escaped(&format!("{{{}}}", fields.join(",")))
}

/// Why the server refused, and what to do about it: where that is something to type, what.
pub(super) fn reason(response: &Response) -> String {
    let reason = match response.code() {
        Some(Code::NoSuchUser) => "there is no such user; /users lists everyone",
        Some(Code::NoSuchGroup) => "there is no such group; /group NAME makes one",
        Some(Code::GroupExists) => "the name is taken; /join it or choose another",
        Some(Code::AlreadyMember) => "you are in it already; /to #NAME talks to it",
        Some(Code::NotMember) => "you are not in that group; /join it first",
        Some(Code::BadCredentials) => {
            "unknown user or wrong password; try again, or make an account with --register"
        }
        Some(Code::NoSession) => "the session has ended; start again to log in",
        Some(Code::NoSuchFile) => "there is no such file, or it is not for you; look at its number again",
        _ => return escaped(&response.reason()),
    };
    reason.to_owned()
}

#[cfg(test)]
mod tests {
    use obrolan::Time;

    use super::*;
    use crate::chat::tests::response;

    const PLAIN: Look = Look { plain: true, color: false };
    const PEOPLE: Look = Look { plain: false, color: false };
    const COLOR: Look = Look { plain: false, color: true };

    fn message(group: Option<&str>, text: &str) -> Message {
        Message {
            id: 1,
            from: "bob".to_owned(),
            to: "ann".to_owned(),
            group: group.map(str::to_owned),
            time: Time(1_795_424_400_007),
            content: Content::Text(text.to_owned()),
        }
    }

    fn history(messages: &[(&str, &str)]) -> Response {
        let messages = messages.iter().map(|(from, text)| {
            let time = "2026-11-22T23:59:59.000Z";
            serde_json::json!({"id": 1, "from": from, "to": "ann", "time": time, "text": text})
        });
        let messages: Vec<_> = messages.collect();
        response(&serde_json::json!({"status": "OK", "messages": messages, "more": false}).to_string())
    }

    #[test]
    fn a_look_back() {
        let bob = Conversation::User("bob".to_owned());
        let past = history(&[("bob", "one\ntwo"), ("ann", "three")]);
        assert_eq!(
            PEOPLE.history(&bob, &past),
            "2026-11-22 23:59 bob: one\n      two\n2026-11-22 23:59 ann: three\n"
        );
        assert!(COLOR.history(&bob, &past).lines().all(|line| line.starts_with("\u{1b}[2m")));
        assert_eq!(PEOPLE.history(&bob, &history(&[])), "no messages with bob yet\n");
        assert_eq!(
            PLAIN.history(&bob, &past),
            "2026-11-22T23:59:59.000Z bob ann one\\ntwo\n2026-11-22T23:59:59.000Z ann ann three\n"
        );
    }

    #[test]
    fn messages_for_people() {
        assert_eq!(PEOPLE.message(&message(None, "it's me")), "09:00 bob: it's me\n");
        assert_eq!(PEOPLE.message(&message(Some("grup1"), "hi")), "09:00 #grup1 bob: hi\n");
        assert_eq!(PEOPLE.message(&message(None, "a\n09:00 eve: b")), "09:00 bob: a\n      09:00 eve: b\n");
        let colored = COLOR.message(&message(None, "hi"));
        assert!(colored.contains("\u{1b}[") && colored.ends_with(": hi\n"), "{colored:?}");
    }

    #[test]
    fn files_for_people_and_for_programs() {
        let file = |name: &str, id: &str| {
            let file = serde_json::json!({"id": id, "name": name, "size": 12 << 10, "sha256": "00"});
            let content = Content::File(serde_json::from_value(file).unwrap());
            Message { content, ..message(None, "") }
        };
        let foto = file("foto.jpg", "17");
        assert_eq!(PEOPLE.message(&foto), "09:00 bob sends foto.jpg (12 KiB): /get 17\n");
        let plain = "2026-11-23T09:00:00.007Z bob ann [file foto.jpg, 12288 bytes, id 17]\n";
        assert_eq!(PLAIN.message(&foto), plain);
        let evil = PEOPLE.message(&file("\u{1b}[2J\n", "\u{9b}1m"));
        assert!(!evil.trim_end_matches('\n').contains(char::is_control), "{evil:?}");
    }

    #[test]
    fn numbers_of_bytes() {
        for (number, is) in [
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (10 << 10, "10 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (5 << 29, "2.5 GiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(bytes(number), is);
        }
    }

    #[test]
    fn messages_for_programs() {
        let text = PLAIN.message(&message(None, "two\nlines \\n \u{e9}"));
        assert_eq!(text, "2026-11-23T09:00:00.007Z bob ann two\\nlines \\\\n \u{e9}\n");
        let text = PLAIN.message(&message(Some("grup1"), "hi"));
        assert_eq!(text, "2026-11-23T09:00:00.007Z bob #grup1 hi\n");
    }

    #[test]
    fn nothing_from_elsewhere_reaches_the_terminal_unescaped() {
        let evil = "\u{1b}]0;x\u{7}\u{1b}[2J\r\u{9b}1m\u{202e}\u{0}\u{7f}\u{2028}";
        let mut evil_message = message(Some(evil), evil);
        evil_message.from = evil.to_owned();
        evil_message.to = evil.to_owned();
        let json = serde_json::json!({"status": "OK", "data": evil, "users": [evil], "members": [evil],
            "groups": [evil], "user": evil, "name": evil, "country": evil, "code": evil});
        let response = response(&json.to_string());
        let mut shown = vec![PLAIN.message(&evil_message), PEOPLE.message(&evil_message), reason(&response)];
        let to = Conversation::User(evil.to_owned());
        let past = history(&[(evil, evil)]);
        shown.extend([PLAIN.history(&to, &past), PEOPLE.history(&to, &past)]);
        shown.extend([PEOPLE.history(&to, &history(&[])), PEOPLE.history(&to, &response)]);
        for asked in [
            Asked::Message(to),
            Asked::First(evil.to_owned()),
            Asked::Join(evil.to_owned()),
            Asked::Create(evil.to_owned()),
            Asked::Leave(evil.to_owned()),
            Asked::History(Conversation::Group(evil.to_owned())),
            Asked::Members,
            Asked::Users,
            Asked::Groups,
            Asked::Whoami,
            Asked::Raw,
        ] {
            shown.extend(asked.done(&response));
            shown.push(asked.failed(&response));
        }
        for text in shown {
            let text = text.trim_end_matches('\n');
            assert!(
                !text.contains(|c: char| c.is_control() || c == '\u{202e}' || c == '\u{2028}'),
                "{text:?}"
            );
        }
        assert_eq!(
            escaped("né 👩\u{200d}👧 'x' \"y\""),
            "né 👩\u{200d}👧 'x' \"y\"",
            "what is harmless stays"
        );
    }

    #[test]
    fn answers() {
        let users = response(r#"{"status":"OK","users":["ann","bob"],"next":"bob"}"#);
        assert_eq!(Asked::Users.done(&users).unwrap(), "2 users: ann, bob, ...");
        let none = response(r#"{"status":"OK","users":[],"groups":[]}"#);
        assert_eq!(Asked::Groups.done(&none).unwrap(), "no groups of yours");
        let me = response(r#"{"status":"OK","user":"ann","name":"Ann B.","country":"ID","admin":true}"#);
        assert_eq!(Asked::Whoami.done(&me).unwrap(), "ann (Ann B., ID), admin");
        let refused = response(r#"{"status":"ERROR","data":"pesan tidak terkirim","code":"no_such_user"}"#);
        let to = Asked::Message(Conversation::User("bob".to_owned()));
        assert_eq!(to.failed(&refused), "not sent to bob: there is no such user; /users lists everyone");
        let newer = response(r#"{"status":"ERROR","data":"~","code":"new_word"}"#);
        assert_eq!(reason(&newer), "new_word (~)");
        let throttled = response(r#"{"status":"ERROR","data":"~","code":"throttled","retry_after":7}"#);
        assert_eq!(reason(&throttled), "too many attempts; try again in 7 s");
    }
}
