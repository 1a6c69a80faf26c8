//! What an engine is told at its start.

use crate::{
    value::{Texts, field_class, value},
    words::Service,
};

value! {
    /// The configuration of an engine.
    #[derive(Clone)]
    Config {
        /// This server's own name: name@realm means name here.
        realm: String = obrolan::Config::default().realm,
        /// Who may register and log in.
        accounts: Accounts = Accounts::default(),
        /// The limits.
        limits: Limits = Limits::default(),
        /// Whether the host keeps a journal. If so, Persist tells it of every record, and nothing that a record could reveal leaves
        /// before Engine.persisted. If not, the engine forgets all when it is dropped.
        persistence: bool = obrolan::Config::default().persistence,
        /// Who hashes and verifies passwords, some 20 ms of work and 19 MiB each: "inside", the engine itself, or "host", who is asked.
        passwords: Service = obrolan::Config::default().passwords.into(),
        /// Who keeps the bodies of messages: "inside" in memory, or "host", who is given them with the journal and so needs persistence.
        messages: Service = obrolan::Config::default().messages.into(),
        /// Who keeps the contents of files: "inside" in memory and, if there is one, in the journal, or "host".
        files: Service = obrolan::Config::default().files.into(),
    }
}

field_class!(Config);

impl From<&Config> for obrolan::Config {
    fn from(config: &Config) -> obrolan::Config {
        obrolan::Config {
            realm: config.realm.clone(),
            accounts: (&config.accounts).into(),
            limits: (&config.limits).into(),
            persistence: config.persistence,
            passwords: config.passwords.into(),
            messages: config.messages.into(),
            files: config.files.into(),
        }
    }
}

/// Makes a class of fields that the engine's struct of the same name has too, with the same defaults.
macro_rules! part {
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),+ $(,)? }
    ) => {
        value! {
            $(#[$meta])*
            #[derive(Clone)]
            $name { $($(#[$field_meta])* $field: $type = $name::default().$field),+ }
        }

        field_class!($name);

        impl Default for $name {
            fn default() -> $name {
                let obrolan::$name { $($field),+ } = obrolan::$name::default();
                $name { $($field: $field.into()),+ }
            }
        }

        impl From<&$name> for obrolan::$name {
            fn from(part: &$name) -> obrolan::$name {
                let $name { $($field),+ } = part.clone();
                obrolan::$name { $($field: $field.into()),+ }
            }
        }
    };
}

part! {
    /// Who may register and log in.
    Accounts {
        /// Whether anybody may register; otherwise admins alone. The first account may always be registered.
        registration_open: bool,
        /// The shortest password, in characters.
        min_password_length: usize,
        /// The admins' user names. If there are none, the first account registered is the admin.
        admins: Texts,
        /// Whether LIST_USERS is for sessions only; others are shown an empty list.
        list_users_needs_session: bool,
        /// Whether the limits on attempts to log in hold for peers on this machine too.
        throttle_loopback: bool,
    }
}

part! {
    /// The limits. 0 never means unlimited: it is refused.
    Limits {
        /// Connections at a time.
        connections: usize,
        /// Bytes of a line on a connection without a session.
        line_before_session: usize,
        /// Bytes of a line on a connection with a session.
        line: usize,
        /// Bytes of unfinished lines on all connections together, and of parts of files on their way to the host; a line beyond is
        /// answered "busy".
        input_buffer: usize,
        /// Bytes waiting to be sent on a connection, beyond which it takes no further request and is pushed no event.
        output_buffer: usize,
        /// Bytes waiting to be sent on all connections together, beyond which a request with a large answer is answered "busy".
        output_total: usize,
        /// Unconfirmed messages of a user.
        mailbox_messages: usize,
        /// Sessions of a user; the oldest makes room.
        sessions_per_user: usize,
        /// Milliseconds after which an unused session ends.
        session_idle: u64,
        /// Milliseconds after which a connection without a session is closed if no request comes. One that is ending is closed after as
        /// long without a byte sent, whatever is left.
        idle_before_session: u64,
        /// Members of a group.
        group_members: usize,
        /// Groups that a user is in.
        groups_per_user: usize,
        /// Requests of a user that are remembered by their dedupe keys for 24 hours; the oldest make room.
        dedupe_keys: usize,
        /// Accounts.
        users: usize,
        /// Realms.
        realms: usize,
        /// Passwords being hashed or verified at a time; requests beyond are answered "busy".
        password_queue: usize,
        /// Bytes of message bodies in memory when the engine itself keeps them; messages beyond are answered "busy".
        memory_messages: usize,
        /// Bytes of a file.
        file_size: u64,
        /// Bytes of all files that a user sent or has not finished uploading. A file counts as 4 KiB and 4 bytes for each recipient at
        /// least.
        user_files: u64,
        /// Uploads of a user that are not finished.
        uploads_per_user: usize,
        /// Bytes of all files in memory when the engine itself keeps them.
        memory_files: usize,
    }
}
