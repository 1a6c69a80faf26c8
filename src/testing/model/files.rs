//! Files: uploads, sending, fetching.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Asked, Model, Pending, Reply,
    messages::{Content, To},
};
use crate::{
    Config, Service, Time,
    testing::rules::ok,
    wire::{Code, Kind},
};

/// How long an upload may stay unused, in milliseconds.
const HOUR: u64 = 3_600_000;

/// What a user has uploaded under a name and not sent.
#[derive(Clone)]
pub(super) struct Upload {
    pub(super) bytes: Vec<u8>,
    /// Where the last part began.
    last: usize,
    /// How long it is once the part is kept that is on its way.
    coming: usize,
    /// Something is done with it.
    busy: bool,
    used: Time,
}

/// An upload's user and name.
pub(super) type Key = (usize, String);

/// A file that is sent once its content is kept.
#[derive(Clone)]
pub(in crate::testing) struct Sending {
    /// The session and its user.
    actor: (u64, usize),
    to: To,
    name: String,
    pub(super) bytes: Vec<u8>,
    /// The upload that it is, unless the request brought the content.
    upload: Option<Key>,
    /// The request's dedupe key.
    once: Option<String>,
}

/// A file as messages and responses show it.
pub(super) fn info(id: u64, name: &str, bytes: &[u8]) -> Value {
    let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"id": id.to_string(), "name": name, "size": bytes.len(), "sha256": sha256})
}

/// What a file counts against its sender's quota.
fn charge(size: usize, recipients: usize) -> usize {
    size.max(4096 + 4 * recipients)
}

/// A plain name.
fn check_name(name: &str) -> Result<(), Code> {
    let plain = (1..=255).contains(&name.len())
        && !["", ".", ".."].contains(&name)
        && !name.chars().any(|c| c == '/' || c == '\\' || c.is_control());
    if plain { Ok(()) } else { Err(Code::BadParameters) }
}

fn decoded(base64: &str) -> Result<Vec<u8>, Code> {
    BASE64_STANDARD.decode(base64).map_err(|_| Code::BadBase64)
}

impl Model {
    pub(super) fn upload(
        &mut self,
        asked: Asked<'_>,
        name: &str,
        base64: &str,
        offset: Option<u64>,
    ) -> Result<Reply, Code> {
        let (_, me) = asked.actor?;
        check_name(name)?;
        let bytes = decoded(base64)?;
        let key = (me, name.to_owned());
        let held = self.uploads.get(&key);
        if held.is_some_and(|held| held.busy) {
            return Err(Code::Busy);
        }
        let (size, last) = held.map_or((0, 0), |held| (held.bytes.len(), held.last));
        let offset = offset.unwrap_or(size as u64);
        if ![0, last as u64, size as u64].contains(&offset) {
            return Err(Code::BadParameters);
        }
        let offset = offset as usize;
        let end = offset + bytes.len();
        let begun = self.uploads.keys().filter(|(user, _)| *user == me).count();
        if held.is_none() && begun >= asked.config.limits.uploads_per_user {
            return Err(Code::QuotaExceeded);
        }
        self.check_quota(asked.config, me, end, end, Some(name))?;
        self.check_memory(asked.config, end, Some(&key))?;
        let new = Upload { bytes: vec![], last: 0, coming: 0, busy: false, used: asked.from.now };
        let upload = self.uploads.entry(key.clone()).or_insert(new);
        (upload.busy, upload.used, upload.coming) = (true, asked.from.now, end);
        let pending = Pending::Upload { key, offset, bytes };
        match asked.config.files {
            Service::Host => Ok(Reply::Later(pending)),
            Service::Inside => self.uploaded(pending),
        }
    }

    /// A part is kept.
    pub(super) fn uploaded(&mut self, pending: Pending) -> Result<Reply, Code> {
        let Pending::Upload { key, offset, bytes } = pending else { unreachable!("a part is kept") };
        let upload = self.uploads.get_mut(&key).expect("an upload that is busy stays");
        upload.bytes.truncate(offset);
        upload.bytes.extend(bytes);
        (upload.last, upload.busy, upload.coming) = (offset, false, 0);
        Ok(ok(Kind::Upload, json!({"size": upload.bytes.len()})))
    }

    /// Work on a file has failed.
    pub(in crate::testing) fn give_up(&mut self, pending: Pending) {
        match pending {
            Pending::Upload { key, offset, .. } => {
                let upload = self.uploads.get_mut(&key).expect("an upload that is busy stays");
                upload.bytes.truncate(offset);
                (upload.last, upload.busy, upload.coming) = (offset, false, 0);
                if offset == 0 {
                    self.uploads.remove(&key);
                }
            }
            Pending::KeepFile(sending) | Pending::StoreFile(sending) => self.forget_upload(&sending),
            _ => {}
        }
    }

    /// A file is not on its way any more.
    fn forget_upload(&mut self, sending: &Sending) {
        match &sending.upload {
            Some(key) => drop(self.uploads.remove(key)),
            None => *self.apart.entry(sending.actor.1).or_default() -= sending.bytes.len(),
        }
    }

    pub(super) fn send_file(
        &mut self,
        asked: Asked<'_>,
        to: To,
        name: &str,
        base64: Option<&str>,
        once: Option<&str>,
    ) -> Result<Reply, Code> {
        let actor = asked.actor?;
        let (_, me) = actor;
        check_name(name)?;
        let recipients = self.check_recipient(asked.config, me, to)?;
        let (upload, bytes) = match base64 {
            Some(base64) => (None, decoded(base64)?),
            None => {
                let key = (me, name.to_owned());
                let held = self.uploads.get(&key).ok_or(Code::NoSuchFile)?;
                if held.busy {
                    return Err(Code::Busy);
                }
                (Some(key), held.bytes.clone())
            }
        };
        let size = bytes.len();
        self.check_quota(asked.config, me, size, charge(size, recipients), upload.as_ref().map(|_| name))?;
        self.check_memory(asked.config, size, upload.as_ref())?;
        if let Some(key) = &upload {
            let held = self.uploads.get_mut(key).expect("it was there a moment ago");
            (held.busy, held.used) = (true, asked.from.now);
        }
        if upload.is_none() {
            *self.apart.entry(me).or_default() += size;
        }
        let (name, once) = (name.to_owned(), once.map(str::to_owned));
        let sending = Sending { actor, to, name, bytes, upload, once };
        match asked.config.files {
            Service::Host if sending.upload.is_none() => Ok(Reply::Later(Pending::KeepFile(sending))),
            Service::Host => Ok(Reply::Later(Pending::StoreFile(sending))),
            Service::Inside => self.stored(asked.config, asked.from.now, sending),
        }
    }

    /// A file's content is kept. What allows it to be sent is looked at again, for time has passed.
    pub(super) fn stored(&mut self, config: &Config, now: Time, sending: Sending) -> Result<Reply, Code> {
        self.forget_upload(&sending);
        let (me, bytes) = (sending.actor.1, sending.bytes.clone());
        let reply = self.send_stored(config, now, sending);
        // What was stored and not sent counts until the server starts again.
        if !self.messages.values().any(|held| held.content.as_ref() == Some(&bytes)) {
            *self.apart.entry(me).or_default() += bytes.len();
        }
        reply
    }

    fn send_stored(&mut self, config: &Config, now: Time, sending: Sending) -> Result<Reply, Code> {
        let Sending { actor, to, name, bytes, once, .. } = sending;
        let (session, me) = actor;
        if !self.sessions.contains_key(&session) {
            return Err(Code::NoSession);
        }
        if let Some(response) = once.as_ref().and_then(|key| self.response_to(me, key, now)) {
            return Ok(Reply::Now(response));
        }
        let recipients = self.check_recipient(config, me, to)?;
        self.check_quota(config, me, bytes.len(), charge(bytes.len(), recipients), None)?;
        let reply = self.deliver(config, now, actor, to, Content::File { name: &name, bytes });
        if let (Some(key), Reply::Now(response)) = (&once, &reply) {
            self.remember(config, me, key, now, response);
        }
        Ok(reply)
    }

    pub(super) fn get_file(
        &self,
        asked: Asked<'_>,
        id: &str,
        offset: Option<u64>,
        length: Option<u64>,
    ) -> Result<Reply, Code> {
        let (_, me) = asked.actor?;
        let message = self.messages.values().find(|held| held.json["file"]["id"] == id);
        let message = message.filter(|held| held.from == me || held.to.contains(&me));
        let content = message.and_then(|held| held.content.as_ref()).ok_or(Code::NoSuchFile)?;
        let (size, offset) = (content.len(), offset.unwrap_or(0));
        if offset > size as u64 || length == Some(0) {
            return Err(Code::BadParameters);
        }
        let offset = offset as usize;
        let length = length.unwrap_or(u64::MAX).min((size - offset) as u64).min(256 << 10) as usize;
        let part = &content[offset..offset + length];
        let mut fields = json!({"data": BASE64_STANDARD.encode(part), "offset": offset, "size": size});
        if offset + length < size {
            fields["next"] = (offset + length).into();
        }
        if asked.config.files == Service::Inside || length == 0 {
            return Ok(ok(asked.kind, fields));
        }
        let sha256 = Sha256::digest(content).into();
        Ok(Reply::Later(Pending::GetFile { sha256, offset, length, fields }))
    }

    /// Drops the uploads that were not used for an hour. What is done with one is a use of it.
    pub(super) fn drop_unused_uploads(&mut self, now: Time) {
        self.uploads.retain(|_, upload| upload.busy || upload.used.after(HOUR) > now);
        for upload in self.uploads.values_mut().filter(|upload| upload.used.after(HOUR) <= now) {
            upload.used = now;
        }
    }

    /// Whether a user may have a file of `size` bytes, which counts as `charged`, in place of one of their uploads.
    fn check_quota(
        &self,
        config: &Config,
        user: usize,
        size: usize,
        charged: usize,
        in_place_of: Option<&str>,
    ) -> Result<(), Code> {
        let own = self.messages.values().filter(|held| held.from == user);
        let sent = own.filter_map(|held| Some(charge(held.content.as_ref()?.len(), held.to.len())));
        let uploads = self.uploads.iter().filter(|((of, name), _)| *of == user && in_place_of != Some(name));
        let uploads = uploads.map(|(_, upload)| upload.bytes.len().max(upload.coming));
        let apart = self.apart.get(&user).copied();
        let all = sent.chain(uploads).chain(apart).sum::<usize>() + charged;
        if size as u64 > config.limits.file_size || all as u64 > config.limits.user_files {
            return Err(Code::QuotaExceeded);
        }
        Ok(())
    }

    /// Whether a server that keeps files in memory has room for so many bytes, in place of an upload. Equal contents are kept once.
    fn check_memory(&self, config: &Config, size: usize, in_place_of: Option<&Key>) -> Result<(), Code> {
        let contents: BTreeSet<&Vec<u8>> =
            self.messages.values().filter_map(|held| held.content.as_ref()).collect();
        let uploads = self.uploads.iter().filter(|(key, _)| in_place_of != Some(key));
        let uploads = uploads.map(|(_, upload)| upload.bytes.len());
        let all = contents.into_iter().map(Vec::len).chain(uploads).sum::<usize>() + size;
        let full = config.files == Service::Inside && all > config.limits.memory_files;
        if full { Err(Code::QuotaExceeded) } else { Ok(()) }
    }
}
