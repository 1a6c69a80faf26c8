//! The server's configuration: one list of settings, read from a file, the environment and flags.
//!
//! Each setting is defined once, in the list below; its key, its environment variable, its flag, its help and its
//! line in the printed reference all come from that definition. `limits.line` is
//!
//! - `line = "1 MiB"` under `[limits]` in the file,
//! - `OBROLAN_LIMITS_LINE="1 MiB"` in the environment,
//! - `--limits-line "1 MiB"` as a flag,
//!
//! and of these the later in this order wins.

mod address;
mod load;
mod print;
mod setting;
mod value;

use std::{path::PathBuf, time::Duration};

pub use address::Address;
pub use load::{ConfigError, Loaded, load};
pub(crate) use setting::Setting;
use setting::settings;
use value::Value;
pub use value::{ListUsers, LogFilter, Name, Registration, Size, Storage};

settings! {
    /// Everything that can be set about a server.
    ///
    /// ```
    /// use obrolan_server::config::ServerConfig;
    ///
    /// let config = ServerConfig::from_toml("listen = \"127.0.0.1:0\"\n", "example.toml")?;
    /// assert_eq!(config.listen.port(), 0);
    /// assert_eq!(config.limits, ServerConfig::default().limits);
    /// # Ok::<(), obrolan_server::config::ConfigError>(())
    /// ```
    ServerConfig {
        /// Where to listen for clients.
        ///
        /// An IP address or a host name, and a port; port 0 lets the system choose one.
        /// "0.0.0.0:8889" listens on all networks of this machine.
        listen: Address = Address::default();

        /// The folder that holds all accounts and messages; made if it is not there.
        ///
        /// A relative path begins where the server is started.
        data: PathBuf = PathBuf::from("obrolan-data");

        /// Keep accounts and messages on disk, or in memory until the server ends.
        storage: Storage = Storage::Disk;

        /// The name of this server, as users of other realms write it: NAME@REALM.
        realm: Name = Name::new("localhost").expect("it is a name");

        /// What to log to standard error: error, warn, info, debug, trace or off.
        ///
        /// Or TARGET=LEVEL,… in the syntax of tracing's EnvFilter.
        log: LogFilter = LogFilter::INFO;

        /// A file to write the bound address to, once clients can connect.
        ///
        /// It is made as a whole or not at all, removed when the server starts and when it stops.
        ready_file: Option<PathBuf> = None, like "\"obrolan.ready\"";
    }

    /// Who may have an account, and what it takes.
    accounts: Accounts {
        /// Whether anybody who can connect may register, or admins alone.
        ///
        /// The first account may always be registered.
        registration: Registration = Registration::Open;

        /// The shortest password accepted for a new account or a new password, in characters.
        ///
        /// Unless it is set: 1 while only this machine can connect, 8 otherwise.
        min_password_length: Option<usize> = None, like "8";

        /// The users who administer the server.
        ///
        /// If there are none, the first account registered is the admin.
        admins: Vec<Name> = Vec::new(), like "[\"messi\"]";

        /// Whom LIST_USERS tells all names: everyone, or only sessions, i.e. who has logged in.
        list_users: ListUsers = ListUsers::Everyone;

        /// Whether failed logins from this machine are slowed down too, as all others are.
        throttle_loopback: bool = false;
    }

    /// Bounds on what clients can make the server hold. 0 never means unlimited; it is refused.
    limits: Limits {
        /// Connections at a time.
        connections: usize = 20_000;

        /// The longest request line of a connection that has no session.
        line_before_session: Size = Size(8 << 10);

        /// The longest request line of a connection that has a session.
        line: Size = Size(1 << 20);

        /// What all half-received lines may take together; beyond it the answer is "busy".
        input_buffer: Size = Size(256 << 20);

        /// What may wait to be sent on a connection before its next requests wait.
        output_buffer: Size = Size(64 << 10);

        /// Bytes waiting to be sent on all connections together, beyond which requests with large answers are answered "busy".
        output_total: Size = Size(1 << 30);

        /// Unconfirmed messages a user may have.
        mailbox_messages: usize = 10_000;

        /// Sessions of a user; the oldest makes room for a new one.
        sessions_per_user: usize = 32;

        /// How long a session lives unused.
        session_idle: Duration = Duration::from_secs(30 * 24 * 60 * 60);

        /// How long a connection without a session may be silent before it is closed.
        idle_before_session: Duration = Duration::from_secs(5 * 60);

        /// Members of a group.
        group_members: usize = 10_000;

        /// Groups a user may be in.
        groups_per_user: usize = 1_000;

        /// Requests of a user that are remembered by their dedupe keys for 24 hours; the oldest make room.
        dedupe_keys: usize = 100_000;

        /// Accounts.
        users: usize = 1_000_000;

        /// Other realms that this server knows.
        realms: usize = 1_000;

        /// Passwords waiting to be hashed or verified; beyond it the answer is "busy".
        password_queue: usize = 256;

        /// What messages may take while storage is "memory"; beyond it the answer is "busy".
        memory_messages: Size = Size(256 << 20);

        /// The largest file.
        file_size: Size = Size(64 << 20);

        /// What all files that a user has sent or is uploading may take together.
        ///
        /// A file counts as 4 KiB and 4 bytes for each recipient at least.
        user_files: Size = Size(1 << 30);

        /// Uploads of a user that are not finished. One that is not used for an hour is dropped.
        uploads_per_user: usize = 16;

        /// What files may take while storage is "memory".
        memory_files: Size = Size(64 << 20);
    }
}

impl ServerConfig {
    /// Reads a configuration file's text; what it does not set has its default. Errors name `source_name` and the place in it; an empty
    /// name leaves both out, for a text that nobody has seen.
    pub fn from_toml(text: &str, source_name: &str) -> Result<ServerConfig, ConfigError> {
        load::from_toml(text, source_name)
    }

    /// The whole configuration as a commented file, which read again gives an equal configuration.
    #[must_use]
    pub fn to_toml(&self) -> String {
        print::to_toml(self)
    }

    /// The engine's part of the configuration.
    ///
    /// Passwords are always hashed by the server, outside the engine; messages and files are kept by the server's store, or by
    /// the engine while storage is in memory.
    #[must_use]
    pub fn engine(&self) -> obrolan::Config {
        let on_disk = self.storage == Storage::Disk;
        let Accounts { registration, min_password_length, admins, list_users, throttle_loopback } =
            &self.accounts;
        let limits = &self.limits;
        obrolan::Config {
            realm: self.realm.as_str().to_owned(),
            accounts: obrolan::Accounts {
                registration_open: *registration == Registration::Open,
                min_password_length: min_password_length.unwrap_or(if self.listen.is_loopback() {
                    1
                } else {
                    8
                }),
                admins: admins.iter().map(|name| name.as_str().to_owned()).collect(),
                list_users_needs_session: *list_users == ListUsers::Sessions,
                throttle_loopback: *throttle_loopback,
            },
            limits: obrolan::Limits {
                connections: limits.connections,
                line_before_session: limits.line_before_session.0,
                line: limits.line.0,
                input_buffer: limits.input_buffer.0,
                output_buffer: limits.output_buffer.0,
                output_total: limits.output_total.0,
                mailbox_messages: limits.mailbox_messages,
                sessions_per_user: limits.sessions_per_user,
                session_idle: limits.session_idle.as_millis() as u64,
                idle_before_session: limits.idle_before_session.as_millis() as u64,
                group_members: limits.group_members,
                groups_per_user: limits.groups_per_user,
                dedupe_keys: limits.dedupe_keys,
                users: limits.users,
                realms: limits.realms,
                password_queue: limits.password_queue,
                memory_messages: limits.memory_messages.0,
                file_size: limits.file_size.0 as u64,
                user_files: limits.user_files.0 as u64,
                uploads_per_user: limits.uploads_per_user,
                memory_files: limits.memory_files.0,
            },
            persistence: on_disk,
            passwords: obrolan::Service::Host,
            messages: if on_disk { obrolan::Service::Host } else { obrolan::Service::Inside },
            files: if on_disk { obrolan::Service::Host } else { obrolan::Service::Inside },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_longer_as_soon_as_others_can_connect() {
        let min = |toml| ServerConfig::from_toml(toml, "t").unwrap().engine().accounts.min_password_length;
        assert_eq!(min(""), 1);
        assert_eq!(min("listen = \"0.0.0.0:8889\""), 8);
        assert_eq!(min("listen = \"chat.example.org\""), 8);
        assert_eq!(min("listen = \"0.0.0.0:8889\"\naccounts.min_password_length = 3"), 3);
    }

    #[test]
    fn in_memory_the_engine_keeps_the_messages() {
        let disk = ServerConfig::default().engine();
        assert!(disk.persistence && disk.messages == obrolan::Service::Host);
        assert_eq!(disk.files, obrolan::Service::Host);
        let memory = ServerConfig { storage: Storage::Memory, ..ServerConfig::default() }.engine();
        assert!(!memory.persistence && memory.messages == obrolan::Service::Inside);
    }

    #[test]
    fn the_defaults_are_the_engines() {
        let config = ServerConfig { storage: Storage::Memory, ..ServerConfig::default() }.engine();
        assert_eq!(
            config,
            obrolan::Config { passwords: obrolan::Service::Host, ..obrolan::Config::default() }
        );
    }

    #[test]
    fn flags_and_variables_come_from_the_key() {
        let setting = SETTINGS.iter().find(|setting| setting.key == "accounts.min_password_length").unwrap();
        assert_eq!(setting.flag(), "accounts-min-password-length");
        assert_eq!(setting.env(), "OBROLAN_ACCOUNTS_MIN_PASSWORD_LENGTH");
        assert_eq!((setting.section(), setting.name()), ("accounts", "min_password_length"));
    }
}
