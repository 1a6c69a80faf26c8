//! ADD_REALM, LIST_REALMS, and what an address with a realm means.

use std::net::IpAddr;

use serde::Serialize;

use super::{
    Engine,
    dispatch::{Actor, Failure},
};
use crate::{
    names::{self, Address},
    state::{Record, UserNo},
    wire::{Code, Kind, Object},
};

/// The longest fingerprint, in bytes: `SHA256:` and 32 bytes in base64 need 51.
const MAX_FINGERPRINT: usize = 64;

impl Engine {
    pub(super) fn add_realm(
        &mut self,
        actor: Actor,
        name: &str,
        ip: &str,
        port: u64,
        fingerprint: Option<&str>,
    ) -> Result<(), Failure> {
        if !self.is_admin(actor.user) {
            return Err(Code::Forbidden.into());
        }
        let key = names::key(name).ok_or(Code::InvalidName)?;
        let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or(Code::BadParameters)?;
        if ip.parse::<IpAddr>().is_err() || fingerprint.is_some_and(|it| !is_fingerprint(it)) {
            return Err(Code::BadParameters.into());
        }
        if *key == *self.realm || self.state.realm(&key).is_some() {
            return Err(Code::RealmExists.into());
        }
        if self.state.realms().len() >= self.config.limits.realms {
            return Err(Code::Busy.into());
        }
        self.commit(&Record::RealmAdded { name, ip, port, fingerprint });
        self.succeed(actor.conn, Kind::AddRealm);
        Ok(())
    }

    pub(super) fn list_realms(&mut self, actor: Actor) {
        #[derive(Serialize)]
        struct Row {
            name: Box<str>,
            ip: Box<str>,
            port: u16,
            fingerprint: Option<Box<str>>,
        }
        let realms: Vec<Row> = self
            .state
            .realms()
            .cloned()
            .map(|realm| Row {
                name: realm.name,
                ip: realm.ip,
                port: realm.port,
                fingerprint: realm.fingerprint,
            })
            .collect();
        self.respond(actor.conn, Kind::ListRealms, |out| {
            Object::ok(out, None).field("realms", &realms).end_frame();
        });
    }

    /// The user of this realm under that address.
    pub(super) fn local_user(&self, address: &str) -> Result<UserNo, Failure> {
        let name = self.local_name(address)?;
        self.state.find_user(name).ok_or(Code::NoSuchUser.into())
    }

    /// The name in this realm under that address (protocol, section 2). There are no links to other realms yet.
    pub(super) fn local_name<'a>(&self, address: &'a str) -> Result<&'a str, Failure> {
        let Address { name, realm } = Address::parse(address);
        let Some(realm) = realm else { return Ok(name) };
        match names::key(realm) {
            Some(key) if *key == *self.realm => Ok(name),
            Some(key) if self.state.realm(&key).is_some() => Err(Code::RealmUnreachable.into()),
            _ => Err(Code::NoSuchRealm.into()),
        }
    }
}

fn is_fingerprint(text: &str) -> bool {
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    text.len() <= MAX_FINGERPRINT && text.strip_prefix("SHA256:").is_some_and(|rest| rest.bytes().all(base64))
}
