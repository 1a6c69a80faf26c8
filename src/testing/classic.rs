//! The classic dialect in the plainest way: which lines in upper case a classic line stands for, and what its answer has beside
//! theirs (protocol, section 5).

use serde_json::{Map, Value, json};

use super::rules::error;
use crate::{
    SessionId, Time, names,
    wire::{Code, Kind},
};

const ALIASES: &[(&str, &str)] = &[
    ("login", "AUTH"),
    ("sendprivate", "SEND"),
    ("sendgroup", "SEND_GROUP"),
    ("sendfile", "SEND_FILE"),
    ("sendprivatefile", "SEND_FILE"),
    ("sendgroupfile", "SEND_GROUP_FILE"),
    ("sendfilegroup", "SEND_GROUP_FILE"),
    ("addgroup", "ADD_GROUP"),
    ("creategroup", "ADD_GROUP"),
    ("create_group", "ADD_GROUP"),
    ("joingroup", "JOIN_GROUP"),
    ("leavegroup", "LEAVE_GROUP"),
    ("exitgroup", "LEAVE_GROUP"),
    ("listgroup", "LIST_GROUP"),
    ("getgroup", "LIST_GROUP"),
    ("listgroups", "LIST_MY_GROUPS"),
    ("listusers", "LIST_USERS"),
    ("addrealm", "ADD_REALM"),
    ("inboxgroup", "INBOX"),
    ("groupinbox", "INBOX"),
];

/// Whose response comes next, and what is made of it.
pub(super) enum Doing {
    /// A line in upper case or a structured one: nothing is made of its response.
    AsItIs,
    /// The one line that a classic line stands for.
    Plain,
    /// REGISTER; this line logs in.
    Register(Vec<u8>),
    /// That line, after this response to REGISTER.
    LogIn(Value),
    /// SEND_FILE without a content, which may follow.
    File(Vec<u8>),
    Inbox(Box<Inbox>),
}

/// What follows a response or a line.
pub(super) enum Next {
    /// This is asked.
    Line(Vec<u8>),
    /// The line is answered.
    Answer(Option<Kind>, Value),
    /// It is answered, and a content that comes all the same is no request.
    Refused(Value),
    /// The content of this line is waited for; without, it is answered so.
    Due(Vec<u8>, Value),
}

/// The content of a file may follow its line as a line of its own.
#[derive(Default)]
pub(super) enum Block {
    #[default]
    None,
    /// It is waited for, for this line, which is answered so if it does not come until then.
    Due(Vec<u8>, Value, Time),
    /// It may come all the same, for a line that was answered without.
    Late,
}

/// What a line is to a connection that may wait for a content.
pub(super) enum Taken {
    /// The content: this line is whole now.
    Whole(Vec<u8>),
    /// A content that is late, and no request.
    Nothing,
    /// A line like any other. What waited for its content is answered so before it.
    Line(Option<Value>),
}

impl Block {
    pub(super) fn take(&mut self, line: &[u8]) -> Taken {
        match (std::mem::take(self), content(line)) {
            (Block::Due(file, ..), Some(content)) => Taken::Whole([&*file, b" ", &*content].concat()),
            (Block::Due(_, answer, _), None) => Taken::Line(Some(answer)),
            (Block::Late, Some(content)) if is_base64(&content) => Taken::Nothing,
            _ => Taken::Line(None),
        }
    }
}

/// Whether a line is written the classic way: its name in lower case.
pub(super) fn is_classic(line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let lower = |name: &[u8]| name.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b'_');
    words.next().is_some_and(|name| lower(name) && name[0] != b'_')
}

/// The content of a file that comes as a line of its own, perhaps as Python writes bytes: whatever has no request's name.
fn content(line: &[u8]) -> Option<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(line) else { return Some(line.to_vec()) };
    let name = text.split(' ').find(|word| !word.is_empty()).unwrap_or_default();
    let request = Kind::from_name(name).is_some() || ALIASES.iter().any(|(alias, _)| *alias == name);
    (!request && !text.starts_with('{')).then(|| unwrapped(text.trim_matches(' ')).as_bytes().to_vec())
}

/// Whether that may be a content which nobody waits for any more: one word of base64.
fn is_base64(content: &[u8]) -> bool {
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    !content.is_empty() && content.iter().all(base64)
}

/// Base64 without the `b'…'` around it.
fn unwrapped(word: &str) -> &str {
    for quote in ['\'', '"'] {
        if let Some(content) = word.strip_prefix(&format!("b{quote}")).and_then(|it| it.strip_suffix(quote)) {
            return content;
        }
    }
    word
}

/// What a classic line stands for.
pub(super) fn begin(line: &[u8]) -> (Doing, Next) {
    let Ok(text) = std::str::from_utf8(line) else { return (Doing::Plain, Next::Line(line.to_vec())) };
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let alias = ALIASES.iter().find(|(alias, _)| *alias == words[0]);
    let name = alias.map_or(words[0].to_uppercase(), |(_, name)| (*name).to_owned());
    let plain = |line: String| (Doing::Plain, Next::Line(line.into_bytes()));
    let as_written = || format!("{name}{}", &text.trim_start_matches(' ')[words[0].len()..]);
    if text.contains('\0') {
        return plain(as_written());
    }
    let named = words.get(1).is_some_and(|word| SessionId::is_form(word));
    let (sid, params) =
        if named { (format!("{} ", words[1]), &words[2..]) } else { (String::new(), &words[1..]) };
    let with = |params: &[&str]| format!("{name} {sid}{}", params.join(" "));
    match (&*name, params) {
        ("REGISTER", [user, password, rest @ ..]) => {
            let line = match rest {
                [] => with(&[user, password, "-", user]),
                [country] => with(&[user, password, country, user]),
                _ => as_written(),
            };
            let auth = format!("AUTH {user} {password}");
            (Doing::Register(auth.into_bytes()), Next::Line(line.into_bytes()))
        }
        ("ADD_GROUP" | "JOIN_GROUP", [group, _, ..]) if named => plain(with(&[group])),
        ("ADD_GROUP" | "JOIN_GROUP", [first, group, ..]) => plain(with(&[first, group])),
        ("ADD_REALM", [realm, ip, port, key, ..]) if key.starts_with("SHA256:") => {
            plain(with(&[realm, ip, port, key]))
        }
        ("ADD_REALM", [realm, ip, port, ..]) => plain(with(&[realm, ip, port])),
        ("SEND_FILE", [to, file]) => {
            let line = with(&[to, file]).into_bytes();
            (Doing::File(line.clone()), Next::Line(line))
        }
        ("SEND_FILE" | "SEND_GROUP_FILE", [to, file, content]) => {
            plain(with(&[to, file, unwrapped(content)]))
        }
        ("UPLOAD", [file, content]) => plain(with(&[file, unwrapped(content)])),
        ("UPLOAD", [file, content, offset]) => plain(with(&[file, unwrapped(content), offset])),
        ("INBOX", params) => Inbox::begin(sid, words[0] != "inbox", params),
        _ => plain(as_written()),
    }
}

impl Doing {
    pub(super) fn is_classic(&self) -> bool {
        !matches!(self, Doing::AsItIs)
    }

    /// Takes the response to what was asked last.
    pub(super) fn answered(&mut self, kind: Option<Kind>, response: Value) -> Next {
        let code = response["code"].as_str().map(str::to_owned);
        match (&mut *self, code.as_deref()) {
            (Doing::AsItIs, _) => Next::Answer(kind, response),
            (Doing::Register(auth), None) => {
                let auth = std::mem::take(auth);
                *self = Doing::LogIn(response);
                Next::Line(auth)
            }
            (Doing::LogIn(_), Some("unavailable")) => failed(Kind::Register, Code::Unavailable),
            // The account is there; who is not logged in may log in later.
            (Doing::LogIn(registered), _) => {
                let mut registered = registered.take();
                if !response["tokenid"].is_null() {
                    registered["tokenid"] = response["tokenid"].clone();
                }
                answer(Some(Kind::Register), registered)
            }
            (Doing::File(line), Some("no_such_file")) => {
                Next::Due(std::mem::take(line), with_classic_fields(kind, response))
            }
            (Doing::File(_), Some(_)) => Next::Refused(with_classic_fields(kind, response)),
            (Doing::Inbox(inbox), _) => inbox.answered(response),
            (Doing::Plain | Doing::Register(_) | Doing::File(_), _) => answer(kind, response),
        }
    }
}

fn answer(kind: Option<Kind>, response: Value) -> Next {
    Next::Answer(kind, with_classic_fields(kind, response))
}

fn failed(kind: Kind, code: Code) -> Next {
    answer(Some(kind), error(Some(kind), code))
}

/// A response with the text or the list that it repeats, and the session id under all its names.
pub(super) fn with_classic_fields(kind: Option<Kind>, mut response: Value) -> Value {
    let repeated = match kind {
        Some(Kind::ListGroup) if response["status"] == "OK" => Some(response["groups"].clone()),
        _ if response["status"] == "ERROR" => Some(response["data"].clone()),
        Some(kind) => kind.spec().ok.map(Value::from),
        None => None,
    };
    if let Some(repeated) = repeated {
        response["message"] = repeated;
    }
    if !response["tokenid"].is_null() {
        response["token_id"] = response["tokenid"].clone();
        response["token"] = response["tokenid"].clone();
    }
    response
}

/// `inbox`, and with `of_group` `inboxgroup`: WHOAMI, INBOX, GET_FILE for each file, ACK.
pub(super) struct Inbox {
    /// With a space after it, if one is named.
    sid: String,
    of_group: Option<Option<String>>,
    me: Option<Value>,
    messages: Vec<Value>,
    /// Those with files that are not read yet, by their places; the last is read next.
    unread: Option<Vec<usize>>,
    /// The last message before which none was passed over.
    confirm: Option<Value>,
    passed_over: bool,
    confirming: bool,
}

impl Inbox {
    fn begin(sid: String, of_group: bool, params: &[&str]) -> (Doing, Next) {
        let most = usize::from(of_group);
        if params.len() > most {
            let token = sid.is_empty() && params.len() == most + 1;
            let code = if token { Code::NoSession } else { Code::BadParameters };
            return (Doing::Plain, failed(Kind::Inbox, code));
        }
        let first = format!("WHOAMI {sid}");
        let of_group = of_group.then(|| params.first().map(|group| (*group).to_owned()));
        let inbox = Inbox {
            sid,
            of_group,
            me: None,
            messages: vec![],
            unread: None,
            confirm: None,
            passed_over: false,
            confirming: false,
        };
        (Doing::Inbox(Box::new(inbox)), Next::Line(first.into_bytes()))
    }

    fn ask(&self, name: &str, params: &str) -> Next {
        Next::Line(format!("{name} {}{params}", self.sid).into_bytes())
    }

    fn answered(&mut self, response: Value) -> Next {
        let reading = self.unread.is_some() && !self.confirming;
        match response["code"].as_str() {
            Some(code) if !reading || !["no_such_file", "bad_parameters"].contains(&code) => {
                return failed(Kind::Inbox, Code::from_word(code).expect("it is one of the codes"));
            }
            _ => {}
        }
        if self.me.is_none() {
            self.me = Some(response["user"].clone());
            return self.ask("INBOX", "");
        }
        if self.confirming {
            return answer(Some(Kind::Inbox), self.whole());
        }
        match self.unread.as_mut().map(Vec::pop) {
            None => {
                if let Some(after) = self.take(&response) {
                    return self.ask("INBOX", &after.to_string());
                }
                let files = (0..self.messages.len()).rev();
                self.unread = Some(files.filter(|at| self.messages[*at]["file"].is_object()).collect());
            }
            Some(read) => {
                let at = read.expect("a file was read");
                // Null, if it could not be.
                self.messages[at]["content"] = match response["status"] == "OK" {
                    true => response["data"].clone(),
                    false => Value::Null,
                };
            }
        }
        if let Some(at) = self.unread.as_ref().and_then(|unread| unread.last()) {
            let id = self.messages[*at]["file"]["id"].as_str().expect("a file has an id").to_owned();
            return self.ask("GET_FILE", &format!("{id} 0 49152"));
        }
        match &self.confirm {
            Some(id) => {
                self.confirming = true;
                self.ask("ACK", &id.to_string())
            }
            None => answer(Some(Kind::Inbox), self.whole()),
        }
    }

    /// Takes messages; where to go on if those of a group are looked for and there are more.
    fn take(&mut self, response: &Value) -> Option<Value> {
        let messages = response["messages"].as_array().expect("INBOX answers messages");
        for message in messages {
            let group = message["group"].as_str();
            let wanted = match &self.of_group {
                None => true,
                Some(None) => group.is_some(),
                Some(Some(name)) => group.is_some_and(|group| names::key(group) == names::key(name)),
            };
            if wanted {
                self.messages.push(message.clone());
            }
            self.passed_over |= !wanted;
            if !self.passed_over {
                self.confirm = Some(message["id"].clone());
            }
        }
        let goes_on = self.of_group.is_some() && response["more"] == true;
        messages.last().filter(|_| goes_on).map(|last| last["id"].clone())
    }

    /// One list under the reader's name, the messages of one sender together.
    fn whole(&self) -> Value {
        let mut senders: Vec<&Value> = Vec::new();
        for message in &self.messages {
            if !senders.contains(&&message["from"]) {
                senders.push(&message["from"]);
            }
        }
        let mut items = Vec::new();
        for sender in senders {
            for message in self.messages.iter().filter(|message| message["from"] == *sender) {
                let file = &message["file"];
                let text = if file.is_null() { &message["text"] } else { &file["name"] };
                let mut item = json!({"msg_from": sender, "msg_to": message["to"], "msg": text});
                if !file.is_null() {
                    item["filename"] = file["name"].clone();
                    item["filecontent"] = message["content"].clone();
                    item["fileid"] = file["id"].clone();
                }
                items.push(item);
            }
        }
        let me = self.me.as_ref().and_then(Value::as_str).expect("WHOAMI answers a name");
        json!({"status": "OK", "messages": Map::from_iter([(me.to_owned(), Value::Array(items))])})
    }
}
