//! Dedupe keys: a request that is repeated with the same key is answered as the first was, and does nothing.

use super::{
    Engine,
    dispatch::{Actor, Failure},
    files::FileInfo,
    messages::sent,
};
use crate::{
    state::{Record, State, UserNo},
    time::Time,
    wire::{Code, Kind, Object},
};

/// A request whose change is to be remembered under a key.
pub(super) struct Once {
    user: UserNo,
    key: Box<str>,
    kind: Kind,
    /// The file that it sends.
    file: Option<FileInfo>,
}

impl Once {
    /// The response, if the request was answered in the meantime.
    pub(super) fn answered<'a>(&self, state: &'a State, now: Time) -> Option<&'a [u8]> {
        state.answered(self.user, &self.key, now)
    }

    pub(super) fn with_file(self, file: &FileInfo) -> Once {
        Once { file: Some(file.clone()), ..self }
    }
}

impl Engine {
    /// Answers a request whose key was used within the last 24 hours; otherwise has the change it makes remembered. Whether
    /// it was answered.
    pub(super) fn once(
        &mut self,
        actor: Result<Actor, Code>,
        kind: Kind,
        key: &str,
    ) -> Result<bool, Failure> {
        // Only what changes something needs a key; others that send one expect something that there is not.
        if !kind.takes_key() {
            return Err(Code::BadParameters.into());
        }
        let actor = actor?;
        if let Some(response) = self.state.answered(actor.user, key, self.now) {
            let response = response.to_vec();
            self.respond(actor.conn, kind, |out| out.extend_from_slice(&response));
            return Ok(true);
        }
        self.once = Some(Once { user: actor.user, key: key.into(), kind, file: None });
        Ok(false)
    }

    /// Hands `commit` the record, with the key and the response of the request that makes it if it has a key.
    pub(super) fn with_key<T>(
        &mut self,
        record: &Record<'_>,
        commit: impl FnOnce(&mut Engine, &Record<'_>) -> T,
    ) -> T {
        let Some(Once { user, key, kind, file }) = self.once.take() else { return commit(self, record) };
        let mut response = Vec::new();
        match record.message() {
            Some(id) => sent(&mut response, kind, id, file.as_ref()),
            None => Object::ok(&mut response, kind.spec().ok).end_frame(),
        }
        let record = Box::new(record.clone());
        let limit = self.config.limits.dedupe_keys as u64;
        commit(self, &Record::Once { user, key: &key, time: self.now, limit, response: &response, record })
    }
}
