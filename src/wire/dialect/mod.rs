//! The classic dialect: what clients already in use write and expect (protocol, section 5).
//!
//! It is a translation at the edge and decides nothing by itself. A classic request stands for one canonical request or several in
//! sequence; their canonical responses become the one classic response. Whoever handles canonical requests gives a [`Dialect`] each
//! line first and, while it [captures](Dialect::captures), each response instead of the client:
//!
//! ```
//! use obrolan::wire::Dialect;
//! let mut dialect = Dialect::default();
//! assert!(dialect.reads(b"login ann secret99") && dialect.start(b"login ann secret99"));
//! assert_eq!(*dialect.next_line().unwrap(), b"AUTH ann secret99");
//! // Whatever that is answered:
//! assert!(dialect.captures());
//! let response = b"{\"status\":\"ERROR\",\"data\":\"autentikasi gagal\",\"code\":\"bad_credentials\"}\r\n\r\n";
//! dialect.answered(Some(obrolan::wire::Kind::Auth), response.to_vec());
//! let answer = dialect.next_answer().unwrap();
//! assert!(answer.frame.ends_with(b",\"message\":\"autentikasi gagal\"}\r\n\r\n"));
//! ```

mod inbox;
mod request;
mod response;

use std::{collections::VecDeque, fmt};

use zeroize::Zeroizing;

use super::{Code, Kind, Object};
use inbox::{Inbox, Next};
use request::Reading;
pub(crate) use response::error;

/// A canonical request line; it may hold a password.
pub type CanonicalLine = Zeroizing<Vec<u8>>;

/// The one response to a classic request.
#[derive(PartialEq, Eq)]
pub struct ClassicAnswer {
    /// The request, if its name was known.
    pub kind: Option<Kind>,
    /// The response, its end included.
    pub frame: Vec<u8>,
}

/// Without its bytes: they may tell a session.
impl fmt::Debug for ClassicAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClassicAnswer({:?}, {} bytes)", self.kind, self.frame.len())
    }
}

/// What a connection speaks, and how far its classic request is, if it speaks classic.
#[derive(Default)]
pub struct Dialect(Spoken);

#[derive(Default)]
enum Spoken {
    /// No line has come yet.
    #[default]
    Undecided,
    Canonical,
    Classic(Box<Classic>),
}

#[derive(Default)]
struct Classic {
    doing: Doing,
    block: Block,
    /// The next canonical request to handle.
    line: Option<CanonicalLine>,
    /// At most two: that of a request held back for its block, and that of the line that was none.
    answers: VecDeque<ClassicAnswer>,
}

/// Whose response comes next.
#[derive(Default)]
enum Doing {
    /// That to no line: it was too long, or there was no room for it.
    #[default]
    Nothing,
    /// That to a request in upper case or a structured one, which is no business of the dialect.
    Canonical,
    /// That to the only request that stands for the classic one.
    Plain,
    /// That to REGISTER; the line logs in.
    Register(CanonicalLine),
    /// That to AUTH, after this one to REGISTER.
    LogIn(Vec<u8>),
    /// That to SEND_FILE without content: this line.
    File(CanonicalLine),
    Inbox(Box<Inbox>),
}

/// The content of a `sendfile` may follow it as a line of its own.
#[derive(Default)]
enum Block {
    #[default]
    None,
    /// It is waited for: the request, and its answer if none comes.
    Due(CanonicalLine, ClassicAnswer),
    /// The request was answered without it; if it comes, it is no request.
    Late,
}

impl Dialect {
    /// Whether the connection speaks classic, which its first line decides: by a name in lower case.
    pub fn reads(&mut self, line: &[u8]) -> bool {
        if matches!(self.0, Spoken::Undecided) {
            let classic = request::is_classic(line);
            self.0 = if classic { Spoken::Classic(Box::default()) } else { Spoken::Canonical };
        }
        matches!(self.0, Spoken::Classic(_))
    }

    /// Takes a line of a connection that speaks classic; only when the line before is answered.
    ///
    /// False if the line is to be read as it is: written in upper case or structured, it means what it always means.
    /// [Answers](Self::next_answer) may be due in any case, and come first.
    pub fn start(&mut self, line: &[u8]) -> bool {
        let Spoken::Classic(classic) = &mut self.0 else { return false };
        classic.start(line)
    }

    /// Whether the next response is the dialect's to turn into a classic one, by [`answered`](Self::answered). To be asked once for
    /// each response.
    pub fn captures(&mut self) -> bool {
        let Spoken::Classic(classic) = &mut self.0 else { return false };
        if matches!(classic.doing, Doing::Canonical) {
            classic.doing = Doing::Nothing;
            return false;
        }
        true
    }

    /// Takes the response to the canonical request that came out last, its end included.
    pub fn answered(&mut self, kind: Option<Kind>, response: Vec<u8>) {
        if let Spoken::Classic(classic) = &mut self.0 {
            classic.answered(kind, response);
        }
    }

    /// The next canonical request to handle. One at a time: its response decides what follows.
    pub fn next_line(&mut self) -> Option<CanonicalLine> {
        let Spoken::Classic(classic) = &mut self.0 else { return None };
        classic.line.take()
    }

    /// The next response to send.
    pub fn next_answer(&mut self) -> Option<ClassicAnswer> {
        let Spoken::Classic(classic) = &mut self.0 else { return None };
        classic.answers.pop_front()
    }

    /// Whether a request is held back for its content, which may follow as a line of its own.
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(&self.0, Spoken::Classic(classic) if matches!(classic.block, Block::Due(..)))
    }

    /// Bytes of messages and files that it has gathered for an answer that is not whole yet. They come and go with
    /// [`answered`](Self::answered).
    #[must_use]
    pub fn held(&self) -> usize {
        let Spoken::Classic(classic) = &self.0 else { return 0 };
        let Doing::Inbox(inbox) = &classic.doing else { return 0 };
        inbox.held()
    }

    /// The content that a request was held back for does not come: it is answered without.
    pub fn give_up(&mut self) {
        if let Spoken::Classic(classic) = &mut self.0 {
            match std::mem::replace(&mut classic.block, Block::Late) {
                Block::Due(_, answer) => classic.answers.push_back(answer),
                block => classic.block = block,
            }
        }
    }

    /// What was known may not be true any more: an answer that was held back becomes `unavailable`.
    pub fn take_back(&mut self) {
        if let Spoken::Classic(classic) = &mut self.0
            && let Block::Due(_, answer) = &mut classic.block
        {
            *answer = failed(answer.kind, Code::Unavailable);
        }
    }
}

fn failed(kind: Option<Kind>, code: Code) -> ClassicAnswer {
    let mut frame = Vec::new();
    error(&mut frame, kind, code);
    ClassicAnswer { kind, frame }
}

impl Classic {
    fn start(&mut self, line: &[u8]) -> bool {
        match std::mem::take(&mut self.block) {
            Block::None => {}
            Block::Late if request::content(line).is_some_and(request::is_base64) => return true,
            Block::Late => {}
            // Who waits for the answer sends nothing but the content, so that is what comes, base64 or not.
            Block::Due(held, answer) => match request::content(line) {
                Some(content) => {
                    self.run(Doing::Plain, [&**held, b" ", content].concat().into());
                    return true;
                }
                None => self.answers.push_back(answer),
            },
        }
        if !request::is_classic(line) {
            self.doing = Doing::Canonical;
            return false;
        }
        match Reading::of(line) {
            Reading::Plain(line) => self.run(Doing::Plain, line),
            Reading::Register { line, auth } => self.run(Doing::Register(auth), line),
            Reading::FileWithoutContent(line) => self.run(Doing::File(line.clone()), line),
            Reading::Inbox { session, of_group } => {
                let (inbox, line) = Inbox::begin(session, of_group);
                self.run(Doing::Inbox(Box::new(inbox)), line);
            }
            Reading::Wrong(kind, code) => self.answers.push_back(failed(Some(kind), code)),
        }
        true
    }

    fn run(&mut self, doing: Doing, line: CanonicalLine) {
        self.doing = doing;
        self.line = Some(line);
    }

    fn answered(&mut self, kind: Option<Kind>, response: Vec<u8>) {
        let answer = |frame| {
            let mut answer = ClassicAnswer { kind, frame };
            response::add_classic_fields(&mut answer.frame, kind);
            answer
        };
        let code = response::code(&response);
        match (std::mem::take(&mut self.doing), code) {
            (Doing::Nothing, Some(code)) if matches!(self.block, Block::Due(..)) => {
                // What was too long, or found no room, was the content that is waited for.
                if let Block::Due(_, held) = std::mem::take(&mut self.block) {
                    self.answers.push_back(failed(held.kind, code));
                }
            }
            (Doing::Register(auth), None) => self.run(Doing::LogIn(response), auth),
            (Doing::LogIn(registered), None) => {
                let kind = Some(Kind::Register);
                let mut frame = registered;
                response::add_session(&mut frame, &response);
                response::add_classic_fields(&mut frame, kind);
                self.answers.push_back(ClassicAnswer { kind, frame });
            }
            // The account is there, but for a store that failed: then nobody knows, and nobody may be told.
            (Doing::LogIn(_), Some(Code::Unavailable)) => {
                self.answers.push_back(failed(Some(Kind::Register), Code::Unavailable));
            }
            (Doing::LogIn(mut frame), Some(_)) => {
                let kind = Some(Kind::Register);
                response::add_classic_fields(&mut frame, kind);
                self.answers.push_back(ClassicAnswer { kind, frame });
            }
            (Doing::File(line), Some(Code::NoSuchFile)) => self.block = Block::Due(line, answer(response)),
            (Doing::File(_), code) => {
                // Sent as it was uploaded before, or refused whatever the content: that of the second block is late.
                self.block = if code.is_some() { Block::Late } else { Block::None };
                self.answers.push_back(answer(response));
            }
            (Doing::Inbox(mut inbox), code) => match inbox.answered(&response, code) {
                Next::Line(line) => self.run(Doing::Inbox(inbox), line),
                Next::Failed(code) => self.answers.push_back(failed(Some(Kind::Inbox), code)),
                Next::Answer(frame) => {
                    self.answers.push_back(ClassicAnswer { kind: Some(Kind::Inbox), frame });
                }
            },
            (Doing::Nothing | Doing::Canonical | Doing::Plain | Doing::Register(_), _) => {
                self.answers.push_back(answer(response));
            }
        }
    }
}

#[cfg(test)]
mod tests;
