//! LIST_USERS, HELP, QUIT.

use serde::Serialize;

use super::{
    CloseReason, ConnId, Engine,
    dispatch::{Actor, Failure},
};
use crate::{
    names,
    wire::{Code, Kind, Object, REQUESTS, Spec},
};

/// The most names in a response to LIST_USERS (protocol, section 3).
const LIST_USERS: usize = 10_000;

impl Engine {
    pub(super) fn list_users(
        &mut self,
        conn: ConnId,
        actor: Option<Actor>,
        after: Option<&str>,
    ) -> Result<(), Failure> {
        let after = match after {
            Some(name) => names::key(name).ok_or(Code::BadParameters)?.into_owned(),
            None => String::new(),
        };
        let hidden = self.config.accounts.list_users_needs_session && actor.is_none();
        let most = if hidden { 0 } else { LIST_USERS };
        let mut following = self.state.users_after(&after).map(|user| user.name.clone());
        let names: Vec<Box<str>> = following.by_ref().take(most).collect();
        let next = names.last().filter(|_| following.next().is_some());
        drop(following);
        self.respond(conn, Kind::ListUsers, |out| {
            let users = Object::ok(out, None).field("users", &names);
            match next {
                Some(next) => users.text("next", next).end_frame(),
                None => users.end_frame(),
            }
        });
        Ok(())
    }

    pub(super) fn help(&mut self, conn: ConnId, request: Option<&str>) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Row {
            request: &'static str,
            usage: String,
            /// As structured requests name them.
            parameters: Vec<&'static str>,
            help: &'static str,
            /// The most bytes of a file, so that nobody has to upload one to learn it.
            #[serde(skip_serializing_if = "Option::is_none")]
            limit: Option<u64>,
        }
        let file_size = self.config.limits.file_size;
        let row = |spec: &Spec| Row {
            request: spec.name,
            usage: spec.usage(),
            parameters: spec.params.iter().map(|param| param.name).collect(),
            help: spec.help,
            limit: (spec.kind == Kind::Upload).then_some(file_size),
        };
        let rows: Vec<Row> = match request {
            Some(name) => vec![row(Kind::from_name(name).ok_or(Code::UnknownRequest)?.spec())],
            None => REQUESTS.iter().map(row).collect(),
        };
        self.respond(conn, Kind::Help, |out| Object::ok(out, None).field("requests", &rows).end_frame());
        Ok(())
    }

    pub(super) fn quit(&mut self, conn: ConnId) {
        self.succeed(conn, Kind::Quit);
        if let Some(held) = self.connections.get_mut(conn) {
            held.ending = Some(CloseReason::Quit);
        }
    }
}
