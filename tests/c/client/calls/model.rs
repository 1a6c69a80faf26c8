//! What a server must know, as far as these calls can see it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{SystemTime, UNIX_EPOCH},
};

use obrolan_c::obrolan_code::{self, *};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(super) struct World {
    pub(super) url: String,
    pub(super) running: bool,
    pub(super) users: BTreeMap<&'static str, User>,
    pub(super) groups: BTreeMap<&'static str, Group>,
    pub(super) realms: BTreeSet<&'static str>,
    /// The message of an id is at the place before it.
    pub(super) messages: Vec<Message>,
    uploads: BTreeMap<(&'static str, &'static str), Upload>,
    /// How many groups there were.
    groups_made: u64,
}

pub(super) struct User {
    pub(super) password: &'static str,
    pub(super) admin: bool,
    /// The messages that are not confirmed.
    pub(super) mailbox: BTreeSet<u64>,
}

pub(super) struct Group {
    pub(super) number: u64,
    /// Each with the last message before they joined.
    pub(super) members: BTreeMap<&'static str, u64>,
}

struct Upload {
    /// Where the last part begins.
    last: usize,
    content: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum To {
    User(&'static str),
    Group(&'static str),
}

pub(super) enum Content {
    Text(String),
    File { name: &'static str, bytes: Vec<u8> },
}

pub(super) struct Message {
    pub(super) from: &'static str,
    pub(super) to: To,
    pub(super) content: Content,
    readers: BTreeSet<&'static str>,
    /// When it was sent, at the earliest and at the latest.
    pub(super) time: [u64; 2],
    /// Told by the first event of it.
    pub(super) file_id: Option<String>,
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl World {
    pub(super) fn new(url: String) -> World {
        World {
            url,
            running: true,
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            realms: BTreeSet::new(),
            messages: Vec::new(),
            uploads: BTreeMap::new(),
            groups_made: 0,
        }
    }

    pub(super) fn last(&self) -> u64 {
        self.messages.len() as u64
    }

    pub(super) fn message(&mut self, id: u64) -> &mut Message {
        &mut self.messages[id as usize - 1]
    }

    pub(super) fn register(
        &mut self,
        user: &'static str,
        password: &'static str,
    ) -> Result<(), obrolan_code> {
        if user.contains('@') {
            return Err(OBROLAN_CODE_INVALID_NAME);
        }
        if self.users.contains_key(user) {
            return Err(OBROLAN_CODE_USER_EXISTS);
        }
        let admin = self.users.is_empty();
        self.users.insert(user, User { password, admin, mailbox: BTreeSet::new() });
        Ok(())
    }

    pub(super) fn group(&self, group: &str) -> Result<&Group, obrolan_code> {
        self.groups.get(group).ok_or(OBROLAN_CODE_NO_SUCH_GROUP)
    }

    fn joined(&self, user: &str, group: &str) -> Result<u64, obrolan_code> {
        self.group(group)?.members.get(user).copied().ok_or(OBROLAN_CODE_NOT_MEMBER)
    }

    pub(super) fn add_group(&mut self, user: &'static str, group: &'static str) -> Result<u64, obrolan_code> {
        if group.contains('@') {
            return Err(OBROLAN_CODE_INVALID_NAME);
        }
        if self.groups.contains_key(group) {
            return Err(OBROLAN_CODE_GROUP_EXISTS);
        }
        self.groups_made += 1;
        let members = BTreeMap::from([(user, self.last())]);
        self.groups.insert(group, Group { number: self.groups_made, members });
        Ok(self.groups_made)
    }

    pub(super) fn join(&mut self, user: &'static str, group: &str) -> Result<u64, obrolan_code> {
        let last = self.last();
        let group = self.groups.get_mut(group).ok_or(OBROLAN_CODE_NO_SUCH_GROUP)?;
        if group.members.contains_key(user) {
            return Err(OBROLAN_CODE_ALREADY_MEMBER);
        }
        group.members.insert(user, last);
        Ok(group.number)
    }

    pub(super) fn leave(&mut self, user: &str, name: &str) -> Result<(), obrolan_code> {
        self.joined(user, name)?;
        let group = self.groups.get_mut(name).expect("there is a member");
        group.members.remove(user);
        if group.members.is_empty() {
            self.groups.remove(name);
        }
        Ok(())
    }

    pub(super) fn members(&self, user: &str, number: Option<u64>) -> Result<Vec<&'static str>, obrolan_code> {
        let group = self.groups.values().find(|group| Some(group.number) == number);
        let group = group.ok_or(OBROLAN_CODE_NO_SUCH_GROUP)?;
        if !group.members.contains_key(user) {
            return Err(OBROLAN_CODE_NOT_MEMBER);
        }
        Ok(group.members.keys().copied().collect())
    }

    /// To whom a message goes.
    fn recipients(&self, from: &str, to: To) -> Result<BTreeSet<&'static str>, obrolan_code> {
        match to {
            To::User(to) if self.users.contains_key(to) => Ok(BTreeSet::from([to])),
            To::User(_) => Err(OBROLAN_CODE_NO_SUCH_USER),
            To::Group(to) => {
                self.joined(from, to)?;
                let others = self.groups[to].members.keys().copied().filter(|member| *member != from);
                Ok(others.collect())
            }
        }
    }

    /// The message's id, and to whom it goes.
    pub(super) fn send(
        &mut self,
        from: &'static str,
        to: To,
        content: Content,
        since: u64,
    ) -> Result<(u64, BTreeSet<&'static str>), obrolan_code> {
        let recipients = self.recipients(from, to)?;
        let mut readers = recipients.clone();
        readers.insert(from);
        self.messages.push(Message { from, to, content, readers, time: [since, now()], file_id: None });
        let id = self.last();
        for recipient in &recipients {
            self.users.get_mut(recipient).expect("it is there").mailbox.insert(id);
        }
        Ok((id, recipients))
    }

    pub(super) fn send_upload(
        &mut self,
        from: &'static str,
        to: To,
        name: &'static str,
        since: u64,
    ) -> Result<(u64, BTreeSet<&'static str>), obrolan_code> {
        self.recipients(from, to)?;
        let upload = self.uploads.remove(&(from, name)).ok_or(OBROLAN_CODE_NO_SUCH_FILE)?;
        self.send(from, to, Content::File { name, bytes: upload.content }, since)
    }

    /// The size of the upload with this part.
    pub(super) fn upload(
        &mut self,
        user: &'static str,
        name: &'static str,
        offset: u64,
        part: &[u8],
    ) -> Result<u64, obrolan_code> {
        let (last, size) =
            self.uploads.get(&(user, name)).map_or((0, 0), |upload| (upload.last, upload.content.len()));
        if ![0, last as u64, size as u64].contains(&offset) {
            return Err(OBROLAN_CODE_BAD_PARAMETERS);
        }
        let upload = self.uploads.entry((user, name)).or_insert(Upload { last: 0, content: Vec::new() });
        upload.last = offset as usize;
        upload.content.truncate(upload.last);
        upload.content.extend(part);
        Ok(upload.content.len() as u64)
    }

    /// The content of the file of a message.
    pub(super) fn file(&self, user: &str, id: &str) -> Result<&[u8], obrolan_code> {
        let message = self.messages.iter().find(|message| message.file_id.as_deref() == Some(id));
        match message {
            Some(Message { content: Content::File { bytes, .. }, readers, .. }) if readers.contains(user) => {
                Ok(bytes)
            }
            _ => Err(OBROLAN_CODE_NO_SUCH_FILE),
        }
    }

    /// Ids of messages, and whether there are more.
    pub(super) fn inbox(&self, user: &str, after: u64) -> (Vec<u64>, bool) {
        let beyond: Vec<u64> = self.users[user].mailbox.iter().copied().filter(|id| *id > after).collect();
        (beyond.iter().copied().take(100).collect(), beyond.len() > 100)
    }

    pub(super) fn history(
        &self,
        user: &'static str,
        with: &'static str,
        before: u64,
        limit: u64,
    ) -> Result<(Vec<u64>, bool), obrolan_code> {
        if limit > 100 {
            return Err(OBROLAN_CODE_BAD_PARAMETERS);
        }
        let floor = self.joined(user, with);
        let is_of = |message: &Message| match floor {
            Ok(_) => message.to == To::Group(with),
            Err(_) => {
                let ends = (message.from, message.to);
                ends == (user, To::User(with)) || ends == (with, To::User(user))
            }
        };
        match floor {
            Err(code) if !self.users.contains_key(with) => {
                return Err(if code == OBROLAN_CODE_NOT_MEMBER { code } else { OBROLAN_CODE_NO_SUCH_USER });
            }
            _ => {}
        }
        let above = floor.unwrap_or_default();
        let ids = (above + 1..=self.last()).filter(|id| is_of(&self.messages[*id as usize - 1]));
        let ids: Vec<u64> = ids.collect();
        if before > 0 && !ids.contains(&before) {
            return Err(OBROLAN_CODE_BAD_PARAMETERS);
        }
        let ids: Vec<u64> = ids.into_iter().filter(|id| before == 0 || *id < before).collect();
        let skipped = ids.len().saturating_sub(if limit == 0 { 50 } else { limit as usize });
        Ok((ids[skipped..].to_vec(), skipped > 0))
    }

    /// A message as responses tell it, without what only the server knows.
    pub(super) fn json(&self, id: u64) -> Value {
        let message = &self.messages[id as usize - 1];
        let mut json = json!({ "id": id, "from": message.from });
        match message.to {
            To::User(to) => json["to"] = to.into(),
            To::Group(to) => (json["to"], json["group"]) = (to.into(), to.into()),
        }
        match &message.content {
            Content::Text(text) => json["text"] = text.as_str().into(),
            Content::File { name, bytes } => {
                json["file"] = json!({ "name": name, "size": bytes.len(), "sha256": sha256(bytes) });
            }
        }
        json
    }
}
