//! Uploads that are not sent yet. They are no part of the state: after a restart they begin anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::{state::UserNo, time::Time};

/// How long an upload stays unused, in milliseconds.
const IDLE: u64 = 3_600_000;

/// An upload is its user's, not its connection's: a client goes on with it after it has lost one.
pub(super) type Key = (UserNo, Box<str>);

/// One of them.
pub(super) struct Upload {
    /// Its number for the host; not used again.
    pub(super) no: u64,
    /// Bytes kept so far.
    pub(super) size: u64,
    /// Where the last part began, which may be sent again if its answer was lost.
    pub(super) last: u64,
    /// Bytes there are once the part is kept that is on its way.
    pub(super) coming: u64,
    /// The host works on it.
    pub(super) busy: bool,
    used: Time,
}

/// All of them.
#[derive(Default)]
pub(super) struct Uploads {
    held: BTreeMap<Key, Upload>,
    by_use: BTreeSet<(Time, Key)>,
    /// Bytes of users' files that are no upload and belong to no message: on their way with the request that brought them, or kept for a
    /// request that was refused then. The host has no use for those, but does not know it before its next start.
    apart: BTreeMap<UserNo, u64>,
    last_no: u64,
}

impl Uploads {
    /// A number for what is about to be uploaded.
    pub(super) fn next_no(&mut self) -> u64 {
        self.last_no += 1;
        self.last_no
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Upload> {
        self.held.get(key)
    }

    /// The upload, begun if there is none, to be worked on.
    pub(super) fn work_on(&mut self, key: &Key, now: Time) -> &mut Upload {
        if !self.held.contains_key(key) {
            let no = self.next_no();
            let upload = Upload { no, size: 0, last: 0, coming: 0, busy: false, used: now };
            self.held.insert(key.clone(), upload);
        }
        let upload = self.held.get_mut(key).expect("it is there now");
        self.by_use.remove(&(upload.used, key.clone()));
        self.by_use.insert((now, key.clone()));
        upload.used = now;
        upload.busy = true;
        upload
    }

    /// The host has worked on it.
    pub(super) fn worked_on(&mut self, key: &Key) -> &mut Upload {
        let upload = self.held.get_mut(key).expect("an upload that is worked on stays");
        upload.busy = false;
        upload.coming = 0;
        upload
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Upload> {
        let upload = self.held.remove(key)?;
        self.by_use.remove(&(upload.used, key.clone()));
        Some(upload)
    }

    /// A user's file takes room that no upload and no message tells of.
    pub(super) fn set_apart(&mut self, user: UserNo, size: u64) {
        *self.apart.entry(user).or_default() += size;
    }

    /// It does so no longer.
    pub(super) fn take_from_apart(&mut self, user: UserNo, size: u64) {
        if let Some(apart) = self.apart.get_mut(&user) {
            *apart -= size;
            if *apart == 0 {
                self.apart.remove(&user);
            }
        }
    }

    /// What is apart is forgotten: it may be of users that are not there any more.
    pub(super) fn forget_apart(&mut self) {
        self.apart.clear();
    }

    /// How many uploads a user has, and how many bytes in them and apart, those on their way included.
    pub(super) fn of(&self, user: UserNo) -> (usize, u64) {
        let from = (user, Box::default());
        let own = self.held.range(from..).take_while(|((owner, _), _)| *owner == user);
        let size = |upload: &Upload| upload.size.max(upload.coming);
        let apart = self.apart.get(&user).copied().unwrap_or(0);
        own.fold((0, apart), |(count, bytes), (_, upload)| (count + 1, bytes + size(upload)))
    }

    /// All of them.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.held.keys().cloned().collect()
    }

    /// When [`unused`](Self::unused) has something to say.
    pub(super) fn next_unused(&self) -> Option<Time> {
        self.by_use.first().map(|(used, _)| used.after(IDLE))
    }

    /// An upload that was not used for too long.
    pub(super) fn unused(&mut self, now: Time) -> Option<Key> {
        loop {
            let (_, key) = self.by_use.first().filter(|(used, _)| used.after(IDLE) <= now)?.clone();
            if !self.held[&key].busy {
                return Some(key);
            }
            // The host takes its time; that is a use.
            self.work_on(&key, now);
        }
    }
}
