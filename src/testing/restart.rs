//! What is left of a world after its engine stops, and how it shows.

use serde_json::{Value, json};

use super::{
    scenario::{GROUPS, KEYS},
    store::Disk,
    world::World,
};
use crate::{Accounts, Answer, Ask, Config, Engine, Limits, Peer, RecoveryError, Seq, Snapshot, Time};

impl World {
    /// An engine made of the records up to one of them, on top of a snapshot if there is one.
    ///
    /// # Errors
    /// Those of [`Recovery`](crate::Recovery).
    pub fn recover(&self, up_to: Seq, snapshot: Option<&Snapshot>) -> Result<Engine, RecoveryError> {
        self.rebuild(self.config.clone(), up_to, snapshot)
    }

    fn rebuild(
        &self,
        config: Config,
        up_to: Seq,
        snapshot: Option<&Snapshot>,
    ) -> Result<Engine, RecoveryError> {
        let mut recovery =
            Engine::recover(config, [0x5a; 32]).expect("a configuration for a world can be kept");
        let snapshot = snapshot.or(self.disk.base.as_ref());
        if let Some(snapshot) = snapshot {
            recovery.snapshot(&snapshot.bytes)?;
        }
        let first = snapshot.map_or(0, |snapshot| snapshot.seq.0);
        for seq in first + 1..=up_to.0 {
            recovery.record(Seq(seq), self.disk.record(Seq(seq)))?;
        }
        recovery.start(self.now)
    }

    /// A record's bytes, as the journal has them.
    #[must_use]
    pub fn record(&self, seq: Seq) -> &[u8] {
        self.disk.record(seq)
    }

    /// A world around an engine that was recovered, with nobody connected and a journal of its own.
    #[must_use]
    pub fn going_on(engine: Engine, config: Config, now: Time) -> World {
        let base = engine.snapshot().expect("a recovered engine has a store that works");
        let disk = Disk { durable: base.seq, base: Some(base), ..Disk::default() };
        World::around(engine, config, disk, now)
    }

    /// What a restart from the records up to one of them has to [show](Self::shows) in the eyes of the referee; `None` where the
    /// records end in the middle of a call, or there is no referee.
    #[must_use]
    pub fn should_show(&self, up_to: Seq) -> Option<Value> {
        self.referee.as_ref()?.shows(up_to, self.now, self.session_ids())
    }

    /// What peers are shown of the whole state after a restart from the records up to one of them, on top of a snapshot if there is one:
    /// whose session ids those are that peers have read, what each user is answered, with password and gap, and
    /// the realms.
    ///
    /// # Panics
    /// If the records do not read.
    #[must_use]
    pub fn shows(&self, up_to: Seq, snapshot: Option<&Snapshot>) -> Value {
        let config = showing(&self.config);
        let engine = self.rebuild(config.clone(), up_to, snapshot).expect("what an engine wrote, it reads");
        let mut disk = self.disk.clone();
        disk.truncate(up_to);
        let mut world = World::around(engine, config, disk, self.now);
        world.files = self.files.clone();
        world.wait(0);
        let conn = world.connect(Peer::Local).expect("there is room");
        let sessions: Vec<Value> = self
            .session_ids()
            .iter()
            .map(|id| world.ask(conn, &format!("WHOAMI {id}"))[0]["user"].clone())
            .collect();
        let names = world.ask(conn, "LIST_USERS")[0]["users"].clone();
        let mut names: Vec<&str> =
            names.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        names.sort_unstable();
        let users: Vec<Value> = names.iter().map(|name| world.shows_user(name, &names)).collect();
        let realms = match names.is_empty() {
            true => json!([]),
            false => world.ask(world.connections() - 1, "LIST_REALMS")[0]["realms"].clone(),
        };
        json!({"sessions": sessions, "users": users, "realms": realms})
    }

    fn shows_user(&mut self, name: &str, names: &[&str]) -> Value {
        let conn = self.connect(Peer::Local).expect("there is room");
        self.say(conn, format!("AUTH {name} unknown\n").as_bytes());
        let (ticket, Ask::VerifyPassword { hash, .. }) = self.asked.remove(0) else {
            panic!("AUTH verifies a password");
        };
        self.engine.answer(self.now, ticket, Answer::PasswordMatches(true)).expect("it was asked");
        self.settle();
        let pushed = self.ask(conn, "SUBSCRIBE 18446744073709551615");
        let gap = pushed.iter().find(|frame| frame["event"] == "gap");
        let gap = gap.map_or(json!(0), |gap| gap["count"].clone());
        let mut answers = Vec::new();
        for line in questions(names) {
            let frames = self.ask(conn, &line);
            answers.extend(frames.into_iter().filter(|frame| frame["event"].is_null()));
        }
        json!({"name": name, "password": hash.strip_prefix("fake$"), "gap": gap, "answers": answers})
    }

    /// Says a line and returns what its connection reads because of it.
    fn ask(&mut self, conn: usize, line: &str) -> Vec<Value> {
        let before = self.received(conn).len();
        self.say(conn, format!("{line}\n").as_bytes());
        self.settle();
        let frames = String::from_utf8_lossy(&self.received(conn)[before..]);
        let frames = frames.split_terminator("\r\n\r\n");
        frames.map(|frame| serde_json::from_str(frame).expect("a frame is JSON")).collect()
    }
}

/// The configuration under which a restart shows all that there is; what is counted against a user is counted as before.
pub(super) fn showing(config: &Config) -> Config {
    let Limits { session_idle, user_files, dedupe_keys, .. } = config.limits;
    Config {
        accounts: Accounts { list_users_needs_session: false, ..config.accounts.clone() },
        limits: Limits { session_idle, user_files, dedupe_keys, ..Limits::default() },
        ..config.clone()
    }
}

/// What each user is asked: the mailbox, the groups, all conversations and files, what their dedupe keys were answered, and
/// whether they may send another file.
pub(super) fn questions(names: &[&str]) -> Vec<String> {
    let mut lines = vec!["INBOX".to_owned(), "LIST_MY_GROUPS".to_owned()];
    lines.extend(names.iter().chain(GROUPS).map(|with| format!("HISTORY {with}")));
    lines.extend((1..=20).map(|id| format!("GET_FILE {id}")));
    let again = |key| format!("{{\"request\":\"ACK\",\"id\":0,\"dedupe\":{key}}}");
    lines.extend(KEYS.iter().map(again));
    lines.push(format!("SEND_FILE {} probe eA==", names[0]));
    lines
}
