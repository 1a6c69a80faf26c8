//! Work that leaves the engine, and what happens when it returns.

use super::{
    Answer, ApiError, Ask, ConnId, Due, Engine, Ticket, accounts::Registering, dispatch::Failure,
    files::Sending, history::Conversation, throttle::Subject, uploads::Key,
};
use crate::{
    limits::Service,
    passwords,
    secret::Password,
    state::{MessageId, SessionNo, UserNo},
    time::Time,
    wire::{Code, Kind},
};

/// What an answer is for.
pub(super) enum Pending {
    /// REGISTER: the password is being hashed.
    Register(Registering),
    /// AUTH: the password is being verified against `hash`; `user` is `None` where there is none of that name.
    Auth { conn: ConnId, user: Option<UserNo>, hash: String, subjects: Vec<Subject> },
    /// PASSWD: the old password is being verified.
    VerifyOld { conn: ConnId, session: SessionNo, new: Password, subjects: Vec<Subject> },
    /// PASSWD: the new one is being hashed.
    HashNew { conn: ConnId, session: SessionNo },
    /// INBOX: bodies are being read; `more` if the mailbox holds messages beyond those.
    Inbox { conn: ConnId, ids: Vec<MessageId>, more: bool },
    /// HISTORY: a part of a conversation is being read; with whether `before` was given.
    History { conn: ConnId, conversation: Conversation, limit: usize, paged: bool },
    /// Bodies are being read for a subscription that fell behind, or began.
    Replay { conn: ConnId, ids: Vec<MessageId> },
    /// The same, but that subscription is over.
    Stale { conn: ConnId },
    /// UPLOAD: a part is being kept.
    Upload { conn: ConnId, key: Key, offset: u64, len: usize },
    /// SEND_FILE, SEND_GROUP_FILE: the content that came with it is being kept.
    KeepFile(Box<Sending>),
    /// The content is being made durable.
    StoreFile(Box<Sending>),
    /// GET_FILE: `length` bytes are being read.
    GetFile { conn: ConnId, offset: u64, length: usize, size: u64 },
    /// Nobody waits for it any more.
    Abandoned,
}

impl Pending {
    /// The connection whose next request has to wait, and the request.
    fn waits(&self) -> Option<(ConnId, Kind)> {
        match *self {
            Pending::Register(ref registering) => Some((registering.conn, Kind::Register)),
            Pending::Auth { conn, .. } => Some((conn, Kind::Auth)),
            Pending::VerifyOld { conn, .. } | Pending::HashNew { conn, .. } => Some((conn, Kind::Passwd)),
            Pending::Inbox { conn, .. } => Some((conn, Kind::Inbox)),
            Pending::History { conn, .. } => Some((conn, Kind::History)),
            Pending::Upload { conn, .. } => Some((conn, Kind::Upload)),
            Pending::KeepFile(ref sending) | Pending::StoreFile(ref sending) => {
                Some((sending.conn, sending.kind()))
            }
            Pending::GetFile { conn, .. } => Some((conn, Kind::GetFile)),
            Pending::Replay { .. } | Pending::Stale { .. } | Pending::Abandoned => None,
        }
    }

    fn is_about_password(&self) -> bool {
        matches!(
            self,
            Pending::Register(_) | Pending::Auth { .. } | Pending::VerifyOld { .. } | Pending::HashNew { .. }
        )
    }

    /// Whether it goes on when its connection is gone: it is about an upload, which is the user's.
    fn outlives_connection(&self) -> bool {
        matches!(self, Pending::Upload { .. } | Pending::KeepFile(_) | Pending::StoreFile(_))
    }
}

impl Engine {
    /// Returns the work of an [`Ask`].
    ///
    /// Its connection may be gone by now; then nothing happens.
    ///
    /// # Errors
    /// No such work is asked, or the answer is of another kind.
    pub fn answer(&mut self, now: Time, ticket: Ticket, answer: Answer) -> Result<(), ApiError> {
        self.advance(now);
        let pending = self.asked.get(&ticket).ok_or(ApiError::UnknownTicket)?;
        let fits = match (pending, &answer) {
            (Pending::Stale { .. } | Pending::Abandoned, _) | (_, Answer::Failed) => true,
            (Pending::Register(_) | Pending::HashNew { .. }, Answer::PasswordHash(_)) => true,
            (Pending::Auth { .. } | Pending::VerifyOld { .. }, Answer::PasswordMatches(_)) => true,
            (Pending::Inbox { ids, .. } | Pending::Replay { ids, .. }, Answer::Messages(bodies)) => {
                (1..=ids.len()).contains(&bodies.len()) && bodies.iter().all(|body| !body.is_empty())
            }
            (Pending::History { limit, paged, .. }, Answer::History { before, messages, more }) => {
                let bodies = || messages.iter().chain(before);
                messages.len() <= *limit
                    && (*paged || before.is_none())
                    && (!messages.is_empty() || !more)
                    && bodies().all(|body| !body.is_empty())
            }
            (pending, answer) => pending.fits_file(answer),
        };
        if !fits {
            return Err(ApiError::WrongAnswer);
        }
        let pending = self.asked.remove(&ticket).expect("it was there a moment ago");
        if pending.is_about_password() {
            self.passwords_asked -= 1;
        }
        self.parts_asked -= pending.part_len();
        if let Some((conn, _)) = pending.waits() {
            match self.connections.get_mut(conn) {
                Some(held) => held.waiting = false,
                None if pending.outlives_connection() => {}
                None => return Ok(()),
            }
            self.resolve(pending, answer);
            self.go_on_classic(conn);
            self.after_room(conn);
        } else {
            self.resolve(pending, answer);
        }
        Ok(())
    }

    /// A password needs a place in the host's queue.
    pub(super) fn check_password_room(&self) -> Result<(), Failure> {
        let full = self.passwords_asked >= self.config.limits.password_queue;
        if full && self.config.passwords == Service::Host { Err(Code::Busy.into()) } else { Ok(()) }
    }

    /// Has a password hashed or verified, for which there is room.
    pub(super) fn ask_password(&mut self, ask: Ask, then: Pending) {
        match self.config.passwords {
            Service::Host => {
                self.passwords_asked += 1;
                self.ask(ask, then);
            }
            Service::Inside => {
                let answer = match ask {
                    Ask::HashPassword { password, salt } => {
                        Answer::PasswordHash(passwords::hash(&password, &salt))
                    }
                    Ask::VerifyPassword { password, hash } => {
                        Answer::PasswordMatches(passwords::verify(&password, &hash))
                    }
                    _ => unreachable!("that is not about a password"),
                };
                self.resolve(then, answer);
            }
        }
    }

    /// Sends work to the host.
    pub(super) fn ask(&mut self, ask: Ask, then: Pending) -> Ticket {
        if let Some((conn, _)) = then.waits()
            && let Some(held) = self.connections.get_mut(conn)
        {
            held.waiting = true;
        }
        let ticket = self.next_ticket;
        self.next_ticket = Ticket(ticket.0 + 1);
        self.asked.insert(ticket, then);
        self.outputs.push_back(Due::Ask(ticket, ask));
        ticket
    }

    pub(super) fn resolve(&mut self, pending: Pending, answer: Answer) {
        let waits = pending.waits();
        let done = match (pending, answer) {
            (Pending::Register(registering), Answer::PasswordHash(hash)) => {
                self.registered(&registering, &hash)
            }
            (Pending::Auth { conn, user, hash, subjects }, Answer::PasswordMatches(matches)) => {
                // Somebody may have changed the password while it was verified.
                let matches = |user: &UserNo| matches && *self.state.user(*user).password_hash == *hash;
                self.authenticated(conn, user.filter(matches), &subjects)
            }
            (Pending::VerifyOld { conn, session, new, subjects }, Answer::PasswordMatches(matches)) => {
                self.old_password_verified(conn, session, new, matches, &subjects)
            }
            (Pending::HashNew { conn, session }, Answer::PasswordHash(hash)) => {
                self.new_password_hashed(conn, session, &hash)
            }
            (Pending::Inbox { conn, ids, more }, Answer::Messages(bodies)) => {
                // Others may have taken the room while the bodies were read.
                self.check_output_room().map(|()| {
                    let more = more || bodies.len() < ids.len();
                    self.inbox_read(conn, more, bodies.iter().map(Vec::as_slice));
                })
            }
            (
                Pending::History { conn, conversation, paged, .. },
                Answer::History { before, messages, more },
            ) => self.history_read(conn, &conversation, paged, before.as_deref(), &messages, more),
            (Pending::Replay { conn, ids }, Answer::Messages(bodies)) => {
                self.replayed(conn, ids.into_iter().zip(bodies));
                Ok(())
            }
            (Pending::Upload { conn, key, offset, len }, answer) => {
                self.upload_kept(conn, &key, offset, len, answer == Answer::Done)
            }
            (Pending::KeepFile(sending), Answer::Done) => {
                self.finish_upload(*sending);
                Ok(())
            }
            (Pending::StoreFile(sending), Answer::FileStored { sha256, .. }) => {
                self.file_stored(*sending, sha256)
            }
            (Pending::KeepFile(sending) | Pending::StoreFile(sending), _) => self.file_failed(&sending),
            (Pending::GetFile { conn, offset, size, .. }, Answer::FileBytes(bytes)) => {
                self.file_read(conn, offset, size, &bytes);
                Ok(())
            }
            (Pending::Replay { conn, .. }, _) => {
                self.replayed(conn, std::iter::empty());
                Ok(())
            }
            (Pending::Stale { conn }, _) => {
                self.read_in_vain(conn);
                Ok(())
            }
            // No password was looked at: that was no attempt.
            (
                Pending::Register(Registering { subjects, .. })
                | Pending::Auth { subjects, .. }
                | Pending::VerifyOld { subjects, .. },
                _,
            ) => {
                self.throttle.take_back(&subjects);
                Err(Code::Unavailable.into())
            }
            _ => Err(Code::Unavailable.into()),
        };
        if let (Err(failure), Some((conn, kind))) = (done, waits) {
            self.fail(conn, kind, failure);
        }
    }

    /// The store failed: whatever the answers are about may not be there any more.
    pub(super) fn abandon_asks(&mut self) {
        for ticket in self.asked.keys().copied().collect::<Vec<_>>() {
            let pending = self.asked.insert(ticket, Pending::Abandoned).unwrap_or(Pending::Abandoned);
            self.drop_upload_of(&pending);
            if let Pending::Replay { conn, .. } | Pending::Stale { conn } = pending
                && let Some(held) = self.connections.get_mut(conn)
            {
                held.reading = None;
            }
            if let Some((conn, kind)) = pending.waits()
                && let Some(held) = self.connections.get_mut(conn)
            {
                held.waiting = false;
                self.refuse(conn, Some(kind), Code::Unavailable);
            }
        }
        self.passwords_asked = 0;
        self.drop_uploads();
    }
}
