//! SEND_FILE, SEND_GROUP_FILE, UPLOAD, GET_FILE.
//!
//! A file's content is durable before the record that names it is made: the record never names what is not there. While the content
//! is on its way, time passes, so all that allows the message is looked at before and after.

use std::fmt::Write;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;

use super::{
    Answer, Ask, ConnId, Engine,
    asks::Pending,
    dispatch::{Actor, Failure},
    messages::Content,
    once::Once,
    uploads::Key,
};
use crate::{
    limits::Service,
    names,
    state::{GroupNo, MessageId, Record, SessionNo, UserNo, charge},
    wire::{Code, Kind, Object},
};

/// The most bytes of a file in a response to GET_FILE.
const PART: usize = 256 << 10;

/// A file as messages and responses show it (protocol, section 4).
#[derive(Clone, Serialize)]
pub(super) struct FileInfo {
    /// The number of its message: each file hangs on exactly one, so there is no need to count them a second time. It may be guessed,
    /// for who may fetch the file is looked at.
    id: String,
    name: Box<str>,
    pub(super) size: u64,
    sha256: String,
}

/// Where a message goes.
#[derive(Clone, Copy)]
pub(super) enum To {
    User(UserNo),
    Group(GroupNo),
}

/// A file that is being kept, to be sent then.
pub(super) struct Sending {
    pub(super) conn: ConnId,
    session: SessionNo,
    user: UserNo,
    to: To,
    name: Box<str>,
    /// Bytes of the whole file.
    pub(super) size: u64,
    upload: u64,
    /// The upload's key, unless the request brought the content.
    key: Option<Key>,
    once: Option<Once>,
}

impl Sending {
    pub(super) fn kind(&self) -> Kind {
        match self.to {
            To::User(_) => Kind::SendFile,
            To::Group(_) => Kind::SendGroupFile,
        }
    }
}

impl Engine {
    pub(super) fn upload(
        &mut self,
        actor: Actor,
        name: &str,
        base64: &str,
        offset: Option<u64>,
    ) -> Result<(), Failure> {
        check_name(name)?;
        let bytes = decoded(base64)?;
        let key: Key = (actor.user, name.into());
        let held = self.uploads.get(&key);
        if held.is_some_and(|upload| upload.busy) {
            return Err(Code::Busy.into());
        }
        let (size, last) = held.map_or((0, 0), |upload| (upload.size, upload.last));
        // To begin anew, to send the last part again because its answer was lost, or to go on.
        let offset = offset.unwrap_or(size);
        if ![0, last, size].contains(&offset) {
            return Err(Code::BadParameters.into());
        }
        let end = offset + bytes.len() as u64;
        let (uploads, _) = self.uploads.of(actor.user);
        if held.is_none() && uploads >= self.config.limits.uploads_per_user {
            return Err(Code::QuotaExceeded.into());
        }
        self.check_quota(actor.user, end, end, size)?;
        self.check_part_room(&bytes, size - offset)?;
        let upload = self.uploads.work_on(&key, self.now);
        upload.coming = end;
        let upload = upload.no;
        let then = Pending::Upload { conn: actor.conn, key, offset, len: bytes.len() };
        self.ask_file(Ask::AppendUpload { upload, offset, bytes }, then);
        Ok(())
    }

    /// A part was kept, or not: then there is what was before it.
    pub(super) fn upload_kept(
        &mut self,
        conn: ConnId,
        key: &Key,
        offset: u64,
        len: usize,
        kept: bool,
    ) -> Result<(), Failure> {
        let upload = self.uploads.worked_on(key);
        upload.last = offset;
        upload.size = if kept { offset + len as u64 } else { offset };
        let size = upload.size;
        if size == 0 {
            self.drop_upload(key);
        }
        if !kept {
            return Err(Code::Unavailable.into());
        }
        self.respond(conn, Kind::Upload, |out| {
            Object::ok(out, Kind::Upload.spec().ok).field("size", &size).end_frame();
        });
        Ok(())
    }

    pub(super) fn send_file(
        &mut self,
        actor: Actor,
        to: To,
        name: &str,
        base64: Option<&str>,
    ) -> Result<(), Failure> {
        check_name(name)?;
        let recipients = self.check_recipient(actor.user, to)?;
        let mut sending = Sending {
            conn: actor.conn,
            session: actor.session,
            user: actor.user,
            to,
            name: name.into(),
            size: 0,
            upload: 0,
            key: None,
            once: None,
        };
        let Some(base64) = base64 else {
            let key: Key = (actor.user, name.into());
            let upload = self.uploads.get(&key).ok_or(Code::NoSuchFile)?;
            if upload.busy {
                return Err(Code::Busy.into());
            }
            sending.size = upload.size;
            self.check_quota(actor.user, sending.size, charge(sending.size, recipients), sending.size)?;
            sending.upload = self.uploads.work_on(&key, self.now).no;
            sending.key = Some(key);
            sending.once = self.once.take();
            self.finish_upload(sending);
            return Ok(());
        };
        let bytes = decoded(base64)?;
        sending.size = bytes.len() as u64;
        self.check_quota(actor.user, sending.size, charge(sending.size, recipients), 0)?;
        self.check_part_room(&bytes, 0)?;
        sending.upload = self.uploads.next_no();
        self.uploads.set_apart(actor.user, sending.size);
        sending.once = self.once.take();
        let ask = Ask::AppendUpload { upload: sending.upload, offset: 0, bytes };
        self.ask_file(ask, Pending::KeepFile(Box::new(sending)));
        Ok(())
    }

    /// All bytes of a file are kept.
    pub(super) fn finish_upload(&mut self, sending: Sending) {
        let ask = Ask::FinishUpload { upload: sending.upload };
        self.ask_file(ask, Pending::StoreFile(Box::new(sending)));
    }

    /// The file was not kept. Whatever the host has of it is not to be relied on.
    pub(super) fn file_failed(&mut self, sending: &Sending) -> Result<(), Failure> {
        self.forget_upload(sending);
        self.ask_file(Ask::DropUpload { upload: sending.upload }, Pending::Abandoned);
        Err(Code::Unavailable.into())
    }

    /// The upload that a file was, or the room that it took without one, is the file's now or nobody's.
    fn forget_upload(&mut self, sending: &Sending) {
        match &sending.key {
            Some(key) => drop(self.uploads.remove(key)),
            None => self.uploads.take_from_apart(sending.user, sending.size),
        }
    }

    /// The file's content is durable.
    pub(super) fn file_stored(&mut self, sending: Sending, sha256: [u8; 32]) -> Result<(), Failure> {
        let (user, size) = (sending.user, sending.size);
        self.forget_upload(&sending);
        let next = self.state.next_message();
        let done = self.send_stored(sending, sha256);
        // Whoever has files stored that are refused then must not fill the host's store with them.
        if self.state.next_message() == next && !self.is_named(&sha256) {
            self.uploads.set_apart(user, size);
        }
        done
    }

    fn send_stored(&mut self, sending: Sending, sha256: [u8; 32]) -> Result<(), Failure> {
        let kind = sending.kind();
        let Sending { conn, session, user, to, name, size, once, .. } = sending;
        let held = self.state.session(session).filter(|held| held.user == user);
        held.ok_or(Code::NoSession)?;
        if let Some(response) = once.as_ref().and_then(|once| once.answered(&self.state, self.now)) {
            let response = response.to_vec();
            self.respond(conn, kind, |out| out.extend_from_slice(&response));
            return Ok(());
        }
        let recipients = self.check_recipient(user, to)?;
        self.check_quota(user, size, charge(size, recipients), 0)?;
        self.journal_content(sha256);
        let id = self.state.next_message();
        let mut hex = String::with_capacity(64);
        for byte in sha256 {
            write!(hex, "{byte:02x}").expect("a String takes all");
        }
        let info = FileInfo { id: id.0.to_string(), name, size, sha256: hex };
        self.once = once.map(|once| once.with_file(&info));
        self.send_content(Actor { conn, session, user }, to, Content::File { sha256, info: &info });
        Ok(())
    }

    /// Where the engine itself keeps files, a journal has to bring their contents back.
    fn journal_content(&mut self, sha256: [u8; 32]) {
        if self.config.files == Service::Inside && self.config.persistence && !self.is_named(&sha256) {
            let bytes = self.memory_files.get(&sha256).expect("it was stored a moment ago").clone();
            self.commit(&Record::FileKept { sha256, bytes: &bytes });
        }
    }

    /// Whether a message has this content.
    fn is_named(&self, sha256: &[u8; 32]) -> bool {
        self.state.files().any(|(_, file)| file.sha256 == *sha256)
    }

    pub(super) fn get_file(
        &mut self,
        actor: Actor,
        id: &str,
        offset: Option<u64>,
        length: Option<u64>,
    ) -> Result<(), Failure> {
        // An id is the text that was given out, and no other that means the same number.
        let number = id.parse().ok().filter(|number: &u64| number.to_string() == id);
        let file = number.and_then(|number| self.state.file(MessageId(number)));
        // What is not for this user is not there for them.
        let file = file.filter(|file| file.is_for(actor.user)).ok_or(Code::NoSuchFile)?;
        let (sha256, size, offset) = (file.sha256, file.size, offset.unwrap_or(0));
        if offset > size || length == Some(0) {
            return Err(Code::BadParameters.into());
        }
        let length = length.unwrap_or(u64::MAX).min(PART as u64).min(size - offset) as usize;
        if length == 0 {
            self.file_read(actor.conn, offset, size, &[]);
            return Ok(());
        }
        let then = Pending::GetFile { conn: actor.conn, offset, length, size };
        self.ask_file(Ask::ReadFile { sha256, offset, length }, then);
        Ok(())
    }

    pub(super) fn file_read(&mut self, conn: ConnId, offset: u64, size: u64, bytes: &[u8]) {
        let next = offset + bytes.len() as u64;
        self.respond(conn, Kind::GetFile, |out| {
            let part = Object::ok(out, Some(&BASE64_STANDARD.encode(bytes)))
                .field("offset", &offset)
                .field("size", &size);
            if next < size { part.field("next", &next).end_frame() } else { part.end_frame() }
        });
    }

    /// Has the host, or the engine itself, work on a file.
    pub(super) fn ask_file(&mut self, ask: Ask, then: Pending) {
        match self.config.files {
            Service::Host => {
                self.parts_asked += then.part_len();
                self.ask(ask, then);
            }
            Service::Inside => {
                let answer = self.memory_files.work(ask);
                self.resolve(then, answer);
            }
        }
    }

    fn drop_upload(&mut self, key: &Key) {
        if let Some(upload) = self.uploads.remove(key) {
            self.ask_file(Ask::DropUpload { upload: upload.no }, Pending::Abandoned);
        }
    }

    /// Drops the upload that a request made for itself.
    pub(super) fn drop_upload_of(&mut self, pending: &Pending) {
        if let Pending::KeepFile(sending) | Pending::StoreFile(sending) = pending
            && sending.key.is_none()
        {
            self.ask_file(Ask::DropUpload { upload: sending.upload }, Pending::Abandoned);
        }
    }

    /// Drops all uploads: they may be of users that are not there any more.
    pub(super) fn drop_uploads(&mut self) {
        self.parts_asked = 0;
        self.uploads.forget_apart();
        for key in self.uploads.keys() {
            self.drop_upload(&key);
        }
    }

    pub(super) fn drop_unused_uploads(&mut self) {
        while let Some(key) = self.uploads.unused(self.now) {
            self.drop_upload(&key);
        }
    }

    /// Whether a file of `size` bytes is allowed, where the user's others and `charged` in place of `instead_of` are.
    fn check_quota(&self, user: UserNo, size: u64, charged: u64, instead_of: u64) -> Result<(), Failure> {
        let limits = &self.config.limits;
        let (_, uploads) = self.uploads.of(user);
        let used = self.state.user(user).file_bytes + uploads - instead_of;
        if size > limits.file_size || used + charged > limits.user_files {
            return Err(Code::QuotaExceeded.into());
        }
        Ok(())
    }

    /// A part needs a place until it is kept, and after, in place of what it replaces.
    fn check_part_room(&self, bytes: &[u8], instead_of: u64) -> Result<(), Failure> {
        match self.config.files {
            Service::Host if !self.has_input_room(bytes.len()) => Err(Code::Busy.into()),
            // Files in memory are there for good: to wait would not help.
            Service::Inside if !self.memory_files.has_room(bytes.len() as u64, instead_of) => {
                Err(Code::QuotaExceeded.into())
            }
            _ => Ok(()),
        }
    }

    /// SHA-256 of every content that a message names, some of them more than once. What a host has besides at its start, before the first
    /// connection, is of no use. Later, a content that no message names yet may be about to be sent.
    pub fn file_digests(&self) -> impl Iterator<Item = [u8; 32]> {
        self.state.files().map(|(_, file)| file.sha256)
    }
}

impl Pending {
    /// Bytes of a part of a file that are with the host.
    pub(super) fn part_len(&self) -> usize {
        match self {
            Pending::Upload { len, .. } => *len,
            Pending::KeepFile(sending) => sending.size as usize,
            _ => 0,
        }
    }

    /// Whether an answer is of the right kind for what is asked about a file.
    pub(super) fn fits_file(&self, answer: &Answer) -> bool {
        match (self, answer) {
            (Pending::Upload { .. } | Pending::KeepFile(_), Answer::Done) => true,
            (Pending::StoreFile(sending), Answer::FileStored { size, .. }) => *size == sending.size,
            (Pending::GetFile { length, .. }, Answer::FileBytes(bytes)) => bytes.len() == *length,
            _ => false,
        }
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    if names::is_filename(name) { Ok(()) } else { Err(Code::BadParameters.into()) }
}

/// What base64 stands for: the standard alphabet, padded, with no bit to spare.
fn decoded(base64: &str) -> Result<Vec<u8>, Failure> {
    BASE64_STANDARD.decode(base64).map_err(|_| Code::BadBase64.into())
}
