//! Realms, and what addresses mean.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Asked, Group, Model, Reply};
use crate::{
    Config,
    names::{self, Address},
    testing::rules::ok,
    wire::Code,
};

impl Model {
    pub(super) fn add_realm(
        &mut self,
        asked: Asked<'_>,
        name: &str,
        ip: &str,
        port: u64,
        fingerprint: Option<&str>,
    ) -> Result<Reply, Code> {
        let config = asked.config;
        if !self.is_admin(config, asked.actor?.1) {
            return Err(Code::Forbidden);
        }
        let key = names::key(name).ok_or(Code::InvalidName)?.into_owned();
        let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        let is_fingerprint = |text: &str| {
            text.len() <= 64 && text.strip_prefix("SHA256:").is_some_and(|rest| rest.chars().all(base64))
        };
        let pinned = fingerprint.is_none_or(is_fingerprint);
        if !(1..=65_535).contains(&port) || ip.parse::<IpAddr>().is_err() || !pinned {
            return Err(Code::BadParameters);
        }
        if key == config.realm || self.realms.contains_key(&key) {
            return Err(Code::RealmExists);
        }
        if self.realms.len() >= config.limits.realms {
            return Err(Code::Busy);
        }
        let row = json!({"name": name, "ip": ip, "port": port, "fingerprint": fingerprint});
        self.realms.insert(key, row);
        Ok(ok(asked.kind, Value::Null))
    }

    /// The realms as LIST_REALMS shows them.
    pub(in crate::testing) fn realms(&self) -> Vec<&Value> {
        self.realms.values().collect()
    }

    pub(super) fn user_at(&self, config: &Config, address: &str) -> Result<usize, Code> {
        let key = self.key_at(config, address)?;
        self.users.iter().position(|user| Some(&user.key) == key.as_ref()).ok_or(Code::NoSuchUser)
    }

    pub(super) fn group_at(&self, config: &Config, address: &str) -> Result<(u64, &Group), Code> {
        let key = self.key_at(config, address)?;
        let mut groups = self.groups.iter().map(|(no, group)| (*no, group));
        groups.find(|(_, group)| Some(&group.key) == key.as_ref()).ok_or(Code::NoSuchGroup)
    }

    fn key_at(&self, config: &Config, address: &str) -> Result<Option<String>, Code> {
        let Address { name, realm } = Address::parse(address);
        match realm.map(|realm| names::key(realm).map(|key| key.into_owned())) {
            Some(Some(realm)) if self.realms.contains_key(&realm) => Err(Code::RealmUnreachable),
            Some(Some(realm)) if realm != config.realm => Err(Code::NoSuchRealm),
            Some(None) => Err(Code::NoSuchRealm),
            _ => Ok(names::key(name).map(|key| key.into_owned())),
        }
    }
}
