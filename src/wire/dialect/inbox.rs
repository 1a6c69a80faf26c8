//! `inbox`: the waiting messages in the classic form, with the contents of files, confirmed.
//!
//! It stands for WHOAMI, INBOX, GET_FILE for each file, and ACK. Nothing is confirmed before the answer is composed; the answer leaves
//! when the confirmation is durable. A client that does not read it has lost these messages from its mailbox: the classic dialect
//! has no confirmation of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    CanonicalLine, Code, Object,
    response::{parsed, read},
};
use crate::names;

/// The most messages in an answer.
const MOST: usize = 100;

/// Bytes of texts after which an answer holds no further message.
const TEXT_BYTES: usize = 1 << 20;

/// The most bytes of files in an answer. Messages with files beyond wait for the next one; a file that is larger by itself is told
/// of without its content.
const FILE_BYTES: u64 = 1 << 20;

/// Bytes of a file asked for at once: a multiple of 3, so that parts in base64 put together are the whole in base64.
const PART: u64 = 3 << 14;

pub(super) struct Inbox {
    /// With a space after it, if the request names one.
    session: String,
    /// Whether messages to groups alone are wanted, to that one or to all.
    of_group: Option<Option<String>>,
    stage: Stage,
    me: String,
    /// In the order of their ids.
    items: Vec<Item>,
    text_bytes: usize,
    file_bytes: u64,
    /// All up to this id are answered.
    confirm: u64,
    /// A message that is not wanted waits among the others. Those after it cannot be confirmed without it.
    passed_over: bool,
}

enum Stage {
    Whoami,
    Messages,
    /// The content of this item is being read.
    File(usize),
    Ack,
}

/// What comes after a response.
pub(super) enum Next {
    Line(CanonicalLine),
    Answer(Vec<u8>),
    Failed(Code),
}

#[derive(Serialize)]
struct Item {
    msg_from: String,
    msg_to: String,
    msg: String,
    #[serde(flatten)]
    file: Option<FileItem>,
}

#[derive(Serialize)]
struct FileItem {
    filename: String,
    /// In base64; `None` if it is too large or not there any more.
    filecontent: Option<String>,
    /// For GET_FILE.
    fileid: String,
    #[serde(skip)]
    size: u64,
}

#[derive(Deserialize)]
struct Whoami {
    user: String,
}

#[derive(Deserialize)]
struct Messages {
    messages: Vec<Message>,
    more: bool,
}

#[derive(Deserialize)]
struct Message {
    id: u64,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    group: Option<String>,
    text: Option<String>,
    file: Option<File>,
}

#[derive(Deserialize)]
struct File {
    id: String,
    name: String,
    size: u64,
}

#[derive(Deserialize)]
struct Part {
    data: String,
    next: Option<u64>,
}

impl Inbox {
    /// With the first canonical request to handle.
    pub(super) fn begin(session: Option<String>, of_group: Option<Option<String>>) -> (Inbox, CanonicalLine) {
        let inbox = Inbox {
            session: session.map(|sid| sid + " ").unwrap_or_default(),
            of_group,
            stage: Stage::Whoami,
            me: String::new(),
            items: Vec::new(),
            text_bytes: 0,
            file_bytes: 0,
            confirm: 0,
            passed_over: false,
        };
        let line = inbox.line("WHOAMI", "");
        (inbox, line)
    }

    fn line(&self, name: &str, params: &str) -> CanonicalLine {
        format!("{name} {}{params}", self.session).into_bytes().into()
    }

    /// Bytes of texts and of contents in base64 that it has gathered.
    pub(super) fn held(&self) -> usize {
        let content = |item: &Item| item.file.as_ref()?.filecontent.as_ref().map(String::len);
        self.text_bytes + self.items.iter().filter_map(content).sum::<usize>()
    }

    /// Takes the response to the canonical request that came out last.
    pub(super) fn answered(&mut self, response: &[u8], code: Option<Code>) -> Next {
        match (&self.stage, code) {
            // Others would be answered otherwise at another time: nothing is confirmed then.
            (Stage::File(_), Some(Code::NoSuchFile | Code::BadParameters)) => self.next_file(),
            (_, Some(code)) => Next::Failed(code),
            (Stage::Whoami, None) => {
                self.me = parsed::<Whoami>(response).user;
                self.stage = Stage::Messages;
                Next::Line(self.line("INBOX", ""))
            }
            (Stage::Messages, None) => {
                // Messages are passed on as the store has them: one that is damaged there does not read.
                let Some(page) = read(response) else { return Next::Failed(Code::Unavailable) };
                match self.take(page) {
                    Some(after) => Next::Line(self.line("INBOX", &after.to_string())),
                    None => self.next_file(),
                }
            }
            (&Stage::File(at), None) => self.take_part(at, parsed(response)),
            (Stage::Ack, None) => Next::Answer(self.answer()),
        }
    }

    /// Takes messages; the id to go on from if there is room for others that may be wanted.
    fn take(&mut self, page: Messages) -> Option<u64> {
        let mut last = None;
        for message in page.messages {
            last = Some(message.id);
            if !self.wants(&message) {
                self.passed_over = true;
                continue;
            }
            let size = message.file.as_ref().map_or(0, |file| file.size).min(FILE_BYTES + 1);
            let is_read = size <= FILE_BYTES;
            let full = self.items.len() == MOST || self.text_bytes > TEXT_BYTES;
            if full || is_read && self.file_bytes + size > FILE_BYTES {
                return None;
            }
            if is_read {
                self.file_bytes += size;
            }
            if !self.passed_over {
                self.confirm = message.id;
            }
            let file = message.file.map(|file| FileItem {
                filename: file.name,
                filecontent: is_read.then(String::new),
                fileid: file.id,
                size: file.size,
            });
            let name = file.as_ref().map(|file| file.filename.clone());
            let msg = message.text.or(name).unwrap_or_default();
            self.text_bytes += msg.len();
            self.items.push(Item { msg_from: message.from, msg_to: message.to, msg, file });
        }
        last.filter(|_| page.more && self.of_group.is_some())
    }

    fn wants(&self, message: &Message) -> bool {
        match (&self.of_group, &message.group) {
            (None, _) | (Some(None), Some(_)) => true,
            (Some(Some(wanted)), Some(group)) => names::key(wanted) == names::key(group),
            (Some(_), None) => false,
        }
    }

    /// Reads the next file there is, or else confirms.
    fn next_file(&mut self) -> Next {
        let from = match self.stage {
            Stage::File(at) => {
                // Either it is whole, or the rest of it cannot be read: then it is of no use.
                if let Some(file) = &mut self.items[at].file
                    && file.filecontent.as_ref().is_some_and(|content| decoded_len(content) != file.size)
                {
                    file.filecontent = None;
                }
                at + 1
            }
            _ => 0,
        };
        let unread =
            |item: &Item| item.file.as_ref().is_some_and(|file| file.filecontent.is_some() && file.size > 0);
        if let Some(at) = (from..self.items.len()).find(|at| unread(&self.items[*at])) {
            self.stage = Stage::File(at);
            return self.read(at, 0);
        }
        if self.confirm == 0 {
            return Next::Answer(self.answer());
        }
        self.stage = Stage::Ack;
        Next::Line(self.line("ACK", &self.confirm.to_string()))
    }

    fn read(&self, at: usize, offset: u64) -> Next {
        let file = self.items[at].file.as_ref().expect("what is read is a file");
        Next::Line(self.line("GET_FILE", &format!("{} {offset} {PART}", file.fileid)))
    }

    fn take_part(&mut self, at: usize, part: Part) -> Next {
        let file = self.items[at].file.as_mut().expect("what is read is a file");
        let content = file.filecontent.get_or_insert_default();
        content.push_str(&part.data);
        match part.next {
            Some(next) if next > 0 && next < file.size && next == decoded_len(content) => self.read(at, next),
            _ => self.next_file(),
        }
    }

    /// The answer: one list under the reader's name, in which the messages of one sender stand together, senders in the order of their
    /// first message. The protocol writes the key as `<me>`, so it is the reader's; `msg_from` tells the senders.
    fn answer(&mut self) -> Vec<u8> {
        let mut first = BTreeMap::new();
        for (at, item) in self.items.iter().enumerate() {
            first.entry(item.msg_from.clone()).or_insert(at);
        }
        self.items.sort_by_key(|item| first[&item.msg_from]);
        let mut frame = Vec::new();
        let messages = BTreeMap::from([(&self.me, &self.items)]);
        Object::ok(&mut frame, None).field("messages", &messages).end_frame();
        frame
    }
}

/// How many bytes some base64 stands for.
fn decoded_len(base64: &str) -> u64 {
    let padding = base64.bytes().rev().take_while(|b| *b == b'=').count() as u64;
    (base64.len() as u64 / 4 * 3).saturating_sub(padding)
}
