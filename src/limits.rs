//! What an engine is told once, at its start: its realm, who may register, and a limit for everything.

use crate::names;

/// The configuration of an engine.
///
/// ```
/// let config = obrolan::Config { realm: "example".into(), ..Default::default() };
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This server's own name: `name@realm` means `name` here (protocol, sections 2 and 7).
    pub realm: String,
    /// Who may register and log in.
    pub accounts: Accounts,
    /// The limits.
    pub limits: Limits,
    /// Whether the host keeps a journal. If so, [`Output::Persist`](crate::Output::Persist) tells it of every record, and nothing that a
    /// record could reveal leaves before [`Engine::persisted`](crate::Engine::persisted). If not, the engine forgets all when it is
    /// dropped.
    pub persistence: bool,
    /// Who hashes and verifies passwords: some 20 ms of work and 19 MiB each.
    pub passwords: Service,
    /// Who keeps the bodies of messages. A host is given them with the journal, and so needs [`persistence`](Self::persistence). A journal
    /// that an engine has kept bodies in cannot go on with a host that keeps them: that one was never given those.
    pub messages: Service,
    /// Who keeps the contents of files. The engine itself keeps them in memory, and if there is a journal, in that too; the same holds for
    /// a change to the host.
    pub files: Service,
}

/// Who does the work of an [`Ask`](crate::Ask).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The engine itself, at once and in memory.
    Inside,
    /// The host: the work leaves as [`Output::Ask`](crate::Output::Ask) and returns by [`Engine::answer`](crate::Engine::answer).
    Host,
}

/// Who may register and log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// Whether anybody may register; otherwise admins alone. The first account may always be registered.
    pub registration_open: bool,
    /// The shortest password, in characters.
    pub min_password_length: usize,
    /// The admins' user names. If there are none, the first account registered is the admin.
    pub admins: Vec<String>,
    /// Whether LIST_USERS is for sessions only; others are shown an empty list.
    pub list_users_needs_session: bool,
    /// Whether the limits on attempts to log in hold for peers on this machine too.
    pub throttle_loopback: bool,
}

/// The limits. 0 never means unlimited: it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Bytes of a line on a connection without a session.
    pub line_before_session: usize,
    /// Bytes of a line on a connection with a session.
    pub line: usize,
    /// Bytes of unfinished lines on all connections together, and of parts of files on their way to the host; a line beyond is answered
    /// `busy`.
    pub input_buffer: usize,
    /// Bytes waiting to be sent on a connection, beyond which it takes no further request and is pushed no event.
    pub output_buffer: usize,
    /// Bytes waiting to be sent on all connections together, those gathered for an answer of the classic dialect included, beyond which a request with a large answer is answered `busy`.
    pub output_total: usize,
    /// Unconfirmed messages of a user.
    pub mailbox_messages: usize,
    /// Sessions of a user; the oldest makes room.
    pub sessions_per_user: usize,
    /// Milliseconds after which an unused session ends.
    pub session_idle: u64,
    /// Milliseconds after which a connection without a session is closed if no request comes. One that is ending is
    /// closed after as long without a byte sent, whatever is left.
    pub idle_before_session: u64,
    /// Members of a group.
    pub group_members: usize,
    /// Groups that a user is in.
    pub groups_per_user: usize,
    /// Requests of a user that are remembered by their dedupe keys for 24 hours; the oldest make room.
    pub dedupe_keys: usize,
    /// Accounts.
    pub users: usize,
    /// Realms.
    pub realms: usize,
    /// Passwords being hashed or verified at a time; requests beyond are answered `busy`.
    pub password_queue: usize,
    /// Bytes of message bodies in memory when the engine itself keeps them; messages beyond are answered `busy`.
    pub memory_messages: usize,
    /// Bytes of a file.
    pub file_size: u64,
    /// Bytes of all files that a user sent or has not finished uploading. A file counts as 4 KiB and 4 bytes for each recipient at
    /// least.
    pub user_files: u64,
    /// Uploads of a user that are not finished.
    pub uploads_per_user: usize,
    /// Bytes of all files in memory when the engine itself keeps them.
    pub memory_files: usize,
}

impl Default for Config {
    /// A realm named `localhost`, everything in memory, all services inside.
    fn default() -> Config {
        Config {
            realm: "localhost".to_owned(),
            accounts: Accounts::default(),
            limits: Limits::default(),
            persistence: false,
            passwords: Service::Inside,
            messages: Service::Inside,
            files: Service::Inside,
        }
    }
}

impl Default for Accounts {
    fn default() -> Accounts {
        Accounts {
            registration_open: true,
            min_password_length: 1,
            admins: Vec::new(),
            list_users_needs_session: false,
            throttle_loopback: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 20_000,
            line_before_session: 8 << 10,
            line: 1 << 20,
            input_buffer: 256 << 20,
            output_buffer: 64 << 10,
            output_total: 1 << 30,
            mailbox_messages: 10_000,
            sessions_per_user: 32,
            session_idle: 30 * 24 * 3_600_000,
            idle_before_session: 5 * 60_000,
            group_members: 10_000,
            groups_per_user: 1000,
            dedupe_keys: 100_000,
            users: 1_000_000,
            realms: 1000,
            password_queue: 256,
            memory_messages: 256 << 20,
            file_size: 64 << 20,
            user_files: 1 << 30,
            uploads_per_user: 16,
            memory_files: 64 << 20,
        }
    }
}

/// A configuration that no engine can keep to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A limit of 0.
    #[error(
        "the limit {0} is 0, which would let nothing through; 0 never means unlimited: give the number you want"
    )]
    ZeroLimit(&'static str),
    /// The realm or an admin is no name.
    #[error(
        "{what} {name:?} is no name; use 1 to 64 bytes of letters, digits and punctuation, without space or @"
    )]
    InvalidName {
        /// Which setting it is.
        what: &'static str,
        /// Its value.
        name: String,
    },
    /// The host is to keep messages, and is not told of any.
    #[error(
        "messages are kept by the host, who is given them with the journal; set persistence, or messages: Service::Inside"
    )]
    MessagesWithoutJournal,
}

impl Config {
    /// Whether an engine can keep to it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        let numbers = [
            ("connections", limits.connections),
            ("line_before_session", limits.line_before_session),
            ("line", limits.line),
            ("input_buffer", limits.input_buffer),
            ("output_buffer", limits.output_buffer),
            ("output_total", limits.output_total),
            ("mailbox_messages", limits.mailbox_messages),
            ("sessions_per_user", limits.sessions_per_user),
            ("session_idle", usize::from(limits.session_idle > 0)),
            ("idle_before_session", usize::from(limits.idle_before_session > 0)),
            ("group_members", limits.group_members),
            ("groups_per_user", limits.groups_per_user),
            ("dedupe_keys", limits.dedupe_keys),
            ("users", limits.users),
            ("realms", limits.realms),
            ("password_queue", limits.password_queue),
            ("memory_messages", limits.memory_messages),
            ("file_size", usize::from(limits.file_size > 0)),
            ("user_files", usize::from(limits.user_files > 0)),
            ("uploads_per_user", limits.uploads_per_user),
            ("memory_files", limits.memory_files),
            ("min_password_length", self.accounts.min_password_length),
        ];
        if let Some((name, _)) = numbers.into_iter().find(|(_, number)| *number == 0) {
            return Err(ConfigError::ZeroLimit(name));
        }
        if self.messages == Service::Host && !self.persistence {
            return Err(ConfigError::MessagesWithoutJournal);
        }
        let admins = self.accounts.admins.iter().map(|name| ("the admin", name));
        for (what, name) in admins.chain([("the realm", &self.realm)]) {
            if names::key(name).is_none() {
                return Err(ConfigError::InvalidName { what, name: name.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let mut config = Config::default();
        assert_eq!(config.check(), Ok(()));
        config.accounts.admins.push("no name".to_owned());
        assert!(config.check().unwrap_err().to_string().contains("the admin \"no name\" is no name"));
        config.messages = Service::Host;
        assert_eq!(config.check(), Err(ConfigError::MessagesWithoutJournal));
        config.limits.users = 0;
        assert_eq!(config.check(), Err(ConfigError::ZeroLimit("users")));
    }
}
