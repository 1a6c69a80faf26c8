//! From bytes to the code of each request.

use super::{ApiError, CloseReason, ConnId, Engine, Received, files::To};
use crate::{
    state::{SessionNo, UserNo},
    time::Time,
    wire::{Code, Frame, Kind, Line, Object, Request, SessionParam, Structured, Tag},
};

/// Who a request acts for.
#[derive(Clone, Copy)]
pub(super) struct Actor {
    pub(super) conn: ConnId,
    pub(super) session: SessionNo,
    pub(super) user: UserNo,
}

/// Why a request failed.
pub(super) struct Failure {
    code: Code,
    /// Seconds after which to try again.
    retry_after: Option<u64>,
}

impl From<Code> for Failure {
    fn from(code: Code) -> Failure {
        Failure { code, retry_after: None }
    }
}

impl Failure {
    pub(super) fn throttled(retry_after: u64) -> Failure {
        Failure { code: Code::Throttled, retry_after: Some(retry_after) }
    }
}

impl Engine {
    /// Bytes came in on a connection.
    ///
    /// All are taken, unless the connection has to wait: for an [`Ask`](super::Ask), or for the peer to read what it
    /// asked for. Then the host keeps the rest and offers it again after [`Output::Readable`](super::Output::Readable).
    ///
    /// # Errors
    /// There is no such connection, or [`peer_closed`](Self::peer_closed) was called for it.
    pub fn receive(&mut self, now: Time, conn: ConnId, bytes: &[u8]) -> Result<Received, ApiError> {
        self.advance(now);
        let held = self.connections.get_mut(conn).ok_or(ApiError::UnknownConnection)?;
        if held.ending == Some(CloseReason::PeerClosed) {
            return Err(ApiError::AfterEof);
        }
        self.unfinished -= held.lines.held();
        let mut lines = std::mem::take(&mut held.lines);
        let mut input = bytes;
        while self.wants_read(conn) {
            match lines.next(&mut input, self.line_limit(conn)) {
                Some(Frame::Line(line)) => self.take_line(conn, line),
                Some(Frame::TooLong) => self.refuse(conn, None, Code::TooLong),
                None => break,
            }
        }
        // The last line was taken: its bytes are not unfinished ones, and its room is not held while its request is worked on.
        lines.forget_given_out();
        if !self.has_input_room(lines.held()) {
            lines.drop_line();
            self.refuse(conn, None, Code::Busy);
        }
        self.unfinished += lines.held();
        let wants_read = self.wants_read(conn);
        if let Some(held) = self.connections.get_mut(conn) {
            held.lines = lines;
            held.stopped = !wants_read;
        }
        Ok(Received { consumed: bytes.len() - input.len(), wants_read })
    }

    /// Takes the unfinished last line as a request, then ends the connection.
    pub(super) fn end_of_stream(&mut self, conn: ConnId) {
        let Some(held) = self.connections.get_mut(conn) else { return };
        if held.ending.is_none() {
            // Before the last request is taken: no event follows its answer, whoever reads the messages.
            held.ending = Some(CloseReason::PeerClosed);
            // A connection that waits for an answer has no unfinished line: its bytes were not taken.
            self.unfinished -= held.lines.held();
            let mut lines = std::mem::take(&mut held.lines);
            if let Some(Frame::Line(line)) = lines.finish() {
                self.take_line(conn, line);
            }
        }
        self.end(conn, CloseReason::PeerClosed);
    }

    fn line_limit(&self, conn: ConnId) -> usize {
        let session = self.connections.get(conn).and_then(|held| held.session);
        let limits = &self.config.limits;
        if session.is_some() { limits.line } else { limits.line_before_session }
    }

    fn take_line(&mut self, conn: ConnId, line: &[u8]) {
        let now = self.now;
        let Some(held) = self.connections.get_mut(conn) else { return };
        held.last_active = now;
        if held.dialect.reads(line) {
            self.take_classic(conn, line);
        } else {
            self.take_canonical(conn, line);
        }
    }

    /// Takes a request as the protocol writes it.
    pub(super) fn take_canonical(&mut self, conn: ConnId, line: &[u8]) {
        let taken = if line.starts_with(b"{") {
            Structured::parse(line).and_then(|structured| {
                self.tag_answer(conn, structured.tag.clone().map(Tag::into_owned));
                self.take_request(conn, structured.line()?, structured.dedupe.as_deref());
                Ok(())
            })
        } else {
            Line::parse(line).map(|line| self.take_request(conn, line, None))
        };
        if let Err(error) = taken {
            if line.starts_with(b"{") {
                self.tag_answer(conn, Tag::of_refused(line));
            }
            self.refuse(conn, error.kind, error.code);
        }
    }

    /// Has the next answer repeat a tag.
    fn tag_answer(&mut self, conn: ConnId, tag: Option<Tag<'static>>) {
        if let (Some(held), Some(tag)) = (self.connections.get_mut(conn), tag) {
            held.tag = Some(Box::new(tag));
        }
    }

    fn take_request(&mut self, conn: ConnId, line: Line<'_>, dedupe: Option<&str>) {
        let handled = self.handle(conn, line, dedupe);
        self.once = None;
        if let Err(failure) = handled {
            self.fail(conn, line.request.kind(), failure);
        }
    }

    /// Whether so many bytes more may be held, beside unfinished lines and parts of files that the host works on.
    pub(super) fn has_input_room(&self, more: usize) -> bool {
        self.unfinished + self.parts_asked + more <= self.config.limits.input_buffer
    }

    /// A large answer needs a place until it is read.
    pub(super) fn check_output_room(&self) -> Result<(), Failure> {
        let full = self.connections.unsent() > self.config.limits.output_total;
        if full { Err(Code::Busy.into()) } else { Ok(()) }
    }

    /// Writes the ERROR of a request.
    pub(super) fn fail(&mut self, conn: ConnId, kind: Kind, failure: Failure) {
        self.respond(conn, kind, |out| {
            let error = Object::error(out, Some(kind), failure.code);
            match failure.retry_after {
                Some(seconds) => error.field("retry_after", &seconds).end_frame(),
                None => error.end_frame(),
            }
        });
    }

    /// Writes an OK without fields of its own.
    pub(super) fn succeed(&mut self, conn: ConnId, kind: Kind) {
        self.respond(conn, kind, |out| Object::ok(out, kind.spec().ok).end_frame());
    }

    fn handle(&mut self, conn: ConnId, line: Line<'_>, dedupe: Option<&str>) -> Result<(), Failure> {
        let Line { session, request } = line;
        let kind = request.kind();
        if self.journal.failed && kind.reveals_state() {
            return Err(Code::Unavailable.into());
        }
        if kind.answer_is_large() {
            self.check_output_room()?;
        }
        let actor = match kind.spec().session {
            SessionParam::ByForm | SessionParam::ByCount => self.actor(conn, session),
            SessionParam::Unused | SessionParam::Own => Err(Code::NoSession),
        };
        if let Some(key) = dedupe
            && self.once(actor, kind, key)?
        {
            return Ok(());
        }
        match request {
            Request::Ping => self.succeed(conn, kind),
            Request::Help { request } => self.help(conn, request)?,
            Request::Quit => self.quit(conn),
            Request::Auth { user, password } => self.auth(conn, user, password)?,
            Request::Register { user, password, country, name } => {
                self.register(conn, actor.ok(), user, password, country, name)?;
            }
            Request::Resume { sid } => self.resume(conn, sid)?,
            Request::Logout => self.logout(actor?),
            Request::Passwd { old, new } => self.passwd(actor?, old, new)?,
            Request::Whoami => self.whoami(actor?),
            Request::Send { to, text } => self.send(actor?, to, text)?,
            Request::SendGroup { group, text } => self.send_group(actor?, group, text)?,
            Request::SendFile { to, filename, base64 } => {
                let actor = actor?;
                let to = To::User(self.local_user(to)?);
                self.send_file(actor, to, filename, base64)?;
            }
            Request::SendGroupFile { group, filename, base64 } => {
                let actor = actor?;
                let to = To::Group(self.local_group(group)?);
                self.send_file(actor, to, filename, base64)?;
            }
            Request::Upload { filename, base64, offset } => self.upload(actor?, filename, base64, offset)?,
            Request::GetFile { id, offset, length } => self.get_file(actor?, id, offset, length)?,
            Request::Inbox { after } => self.inbox(actor?, after),
            Request::Ack { id } => self.ack(actor?, id),
            Request::Subscribe { after } => self.subscribe(actor?, after),
            Request::History { with, before, limit } => self.history(actor?, with, before, limit)?,
            Request::AddGroup { group } => self.add_group(actor?, group)?,
            Request::JoinGroup { group } => self.join_group(actor?, group)?,
            Request::LeaveGroup { group } => self.leave_group(actor?, group)?,
            Request::ListUsers { after } => self.list_users(conn, actor.ok(), after)?,
            Request::ListMyGroups => self.list_my_groups(actor?),
            Request::ListGroup { group } => self.list_group(actor?, group)?,
            Request::AddRealm { name, ip, port, fingerprint } => {
                self.add_realm(actor?, name, ip, port, fingerprint)?;
            }
            Request::ListRealms => self.list_realms(actor?),
        }
        Ok(())
    }
}
