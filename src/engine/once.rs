//! Dedupe keys: a request that is repeated with the same key is answered as the first was, and does nothing.

use super::{
    Engine,
    dispatch::{Actor, Failure},
};
use crate::{
    state::{Record, UserNo},
    wire::{Code, Kind, Object},
};

/// A request whose change is to be remembered under a key.
pub(super) struct Once {
    user: UserNo,
    key: Box<str>,
    kind: Kind,
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
        let makes_one_change = matches!(
            kind,
            Kind::Send
                | Kind::SendGroup
                | Kind::AddGroup
                | Kind::JoinGroup
                | Kind::LeaveGroup
                | Kind::Ack
                | Kind::AddRealm
        );
        if !makes_one_change {
            return Err(Code::BadParameters.into());
        }
        let actor = actor?;
        if let Some(response) = self.state.answered(actor.user, key, self.now) {
            let response = response.to_vec();
            self.respond(actor.conn, kind, |out| out.extend_from_slice(&response));
            return Ok(true);
        }
        if self.state.has_answered(actor.user, self.config.limits.dedupe_keys, self.now) {
            return Err(Code::Busy.into());
        }
        self.once = Some(Once { user: actor.user, key: key.into(), kind });
        Ok(false)
    }

    /// Hands `commit` the record, with the key and the response of the request that makes it if it has a key.
    pub(super) fn with_key<T>(
        &mut self,
        record: &Record<'_>,
        commit: impl FnOnce(&mut Engine, &Record<'_>) -> T,
    ) -> T {
        let Some(Once { user, key, kind }) = self.once.take() else { return commit(self, record) };
        let mut response = Vec::new();
        let ok = Object::ok(&mut response, kind.spec().ok);
        match record.message() {
            Some(id) => ok.field("id", &id.0).end_frame(),
            None => ok.end_frame(),
        }
        let record = Box::new(record.clone());
        commit(self, &Record::Once { user, key: &key, time: self.now, response: &response, record })
    }
}
