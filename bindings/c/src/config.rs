//! Configuration.
//!
//! What an engine is told once, at its start.

use std::{
    ffi::{c_char, c_int},
    mem::size_of,
    ptr,
};

use obrolan::{Accounts, Config, Limits, Service};

use crate::{
    arguments::{Versioned, array, init, text, versioned},
    result::{
        Error, ffi,
        obrolan_result::{self, OBROLAN_ERR_CONFIG},
    },
};

/// Who does the work of a service.
#[repr(C)]
pub enum obrolan_service {
    /// The engine itself, at once and in memory.
    OBROLAN_SERVICE_INSIDE = 0,
    /// The program: the work leaves as an output of a type OBROLAN_ASK_... and returns by
    /// obrolan_engine_answer.
    OBROLAN_SERVICE_HOST = 1,
}

/// The configuration of an engine. Have it set by obrolan_config_default before you change a field.
///
/// A limit of 0 never means unlimited: it is refused. In a field that is a choice, every number but
/// 0 means yes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct obrolan_config {
    /// The size of this struct, as the program knows it.
    pub size: usize,
    /// This server's own name: "name@realm" means "name" here. Default: "localhost".
    pub realm: *const c_char,
    /// Whether the program keeps a journal. If so, outputs of type OBROLAN_OUTPUT_PERSIST tell of
    /// every record, and nothing that a record could reveal leaves before obrolan_engine_persisted.
    /// If not, the engine forgets all when it is freed. Default: 0.
    pub persistence: c_int,
    /// Who hashes and verifies passwords, some 20 ms of work and 19 MiB each; an obrolan_service.
    /// Default: 0.
    pub passwords: c_int,
    /// Who keeps the bodies of messages; an obrolan_service. The program gets them with the
    /// journal, so this needs persistence. Default: 0.
    pub messages: c_int,
    /// Who keeps the contents of files; an obrolan_service. The engine keeps them in memory, and if
    /// there is a journal, in that too. Default: 0.
    pub files: c_int,
    /// Whether anybody may register; otherwise admins alone. The first account may always be
    /// registered. Default: 1.
    pub registration_open: c_int,
    /// Whether LIST_USERS is for sessions only; others are shown an empty list. Default: 0.
    pub list_users_needs_session: c_int,
    /// Whether the limits on attempts to log in hold for peers on this machine too. Default: 0.
    pub throttle_loopback: c_int,
    /// The shortest password, in characters. A server that others can reach should ask for 8.
    /// Default: 1.
    pub min_password_length: usize,
    /// The admins' user names. If there are none, the first account registered is the admin.
    pub admins: *const *const c_char,
    /// How many admins there are. Default: 0.
    pub admins_count: usize,
    /// Connections at a time. Default: 20000.
    pub connections: usize,
    /// Bytes of a line on a connection without a session. Default: 8192.
    pub line_before_session: usize,
    /// Bytes of a line on a connection with a session. Default: 1048576.
    pub line: usize,
    /// Bytes of unfinished lines on all connections together, and of parts of files on their way to
    /// the program; a line beyond is answered busy. Default: 268435456.
    pub input_buffer: usize,
    /// Bytes waiting to be sent on a connection, beyond which it takes no further request and is
    /// pushed no event. Default: 65536.
    pub output_buffer: usize,
    /// Bytes waiting to be sent on all connections together, beyond which a request with a large
    /// answer is answered busy. Default: 1073741824.
    pub output_total: usize,
    /// Unconfirmed messages of a user. Default: 10000.
    pub mailbox_messages: usize,
    /// Sessions of a user; the oldest makes room. Default: 32.
    pub sessions_per_user: usize,
    /// Milliseconds after which an unused session ends. Default: 2592000000.
    pub session_idle: u64,
    /// Milliseconds after which a connection without a session is closed if no request comes. One
    /// that is ending is closed after as long without a byte sent, whatever is left. Default:
    /// 300000.
    pub idle_before_session: u64,
    /// Members of a group. Default: 10000.
    pub group_members: usize,
    /// Groups that a user is in. Default: 1000.
    pub groups_per_user: usize,
    /// Requests of a user that are remembered by their dedupe keys for 24 hours; the oldest
    /// make room. Default: 100000.
    pub dedupe_keys: usize,
    /// Accounts. Default: 1000000.
    pub users: usize,
    /// Realms. Default: 1000.
    pub realms: usize,
    /// Passwords being hashed or verified at a time; requests beyond are answered busy. Default:
    /// 256.
    pub password_queue: usize,
    /// Bytes of message bodies in memory when the engine itself keeps them; messages beyond are
    /// answered busy. Default: 268435456.
    pub memory_messages: usize,
    /// Bytes of a file. Default: 67108864.
    pub file_size: u64,
    /// Bytes of all files that a user sent or has not finished uploading. A file counts as 4096
    /// bytes and 4 bytes for each recipient at least. Default: 1073741824.
    pub user_files: u64,
    /// Uploads of a user that are not finished. Default: 16.
    pub uploads_per_user: usize,
    /// Bytes of all files in memory when the engine itself keeps them. Default: 67108864.
    pub memory_files: usize,
}

// SAFETY: numbers and pointers that are followed after they were checked.
unsafe impl Versioned for obrolan_config {
    const NAME: &str = "obrolan_config";
    const REFUSED: obrolan_result = OBROLAN_ERR_CONFIG;
    const FIRST_SIZE: usize = size_of::<obrolan_config>();

    fn preset() -> obrolan_config {
        let Config { realm: _, accounts, limits, persistence, passwords, messages, files } =
            Config::default();
        let Accounts {
            registration_open,
            min_password_length,
            admins: _,
            list_users_needs_session,
            throttle_loopback,
        } = accounts;
        let service = |service| match service {
            Service::Inside => obrolan_service::OBROLAN_SERVICE_INSIDE as c_int,
            Service::Host => obrolan_service::OBROLAN_SERVICE_HOST as c_int,
        };
        obrolan_config {
            size: size_of::<obrolan_config>(),
            realm: c"localhost".as_ptr(),
            persistence: persistence.into(),
            passwords: service(passwords),
            messages: service(messages),
            files: service(files),
            registration_open: registration_open.into(),
            list_users_needs_session: list_users_needs_session.into(),
            throttle_loopback: throttle_loopback.into(),
            min_password_length,
            admins: ptr::null(),
            admins_count: 0,
            connections: limits.connections,
            line_before_session: limits.line_before_session,
            line: limits.line,
            input_buffer: limits.input_buffer,
            output_buffer: limits.output_buffer,
            output_total: limits.output_total,
            mailbox_messages: limits.mailbox_messages,
            sessions_per_user: limits.sessions_per_user,
            session_idle: limits.session_idle,
            idle_before_session: limits.idle_before_session,
            group_members: limits.group_members,
            groups_per_user: limits.groups_per_user,
            dedupe_keys: limits.dedupe_keys,
            users: limits.users,
            realms: limits.realms,
            password_queue: limits.password_queue,
            memory_messages: limits.memory_messages,
            file_size: limits.file_size,
            user_files: limits.user_files,
            uploads_per_user: limits.uploads_per_user,
            memory_files: limits.memory_files,
        }
    }
}

/// Sets all fields to their defaults: everything in memory, all services inside. size is
/// sizeof(obrolan_config).
///
/// Errors: OBROLAN_ERR_ARGUMENT if config is NULL. OBROLAN_ERR_CONFIG if the library is older than
/// the header that the program was built with. Ownership: the texts set are static. Threads: any.
/// Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_config_default(config: *mut obrolan_config, size: usize) -> obrolan_result {
    ffi(|| {
        let preset = obrolan_config { size, ..obrolan_config::preset() };
        // SAFETY: the caller vouches for the size.
        unsafe { init(config, size, &preset, "config") }
    })
}

/// The configuration that a program gives.
///
/// # Safety
/// Unless it is NULL, it begins with its size, has as many bytes, and its pointers are good.
pub(crate) unsafe fn read(config: *const obrolan_config) -> Result<Config, Error> {
    // SAFETY: the caller's promise.
    let config = unsafe { versioned(config, "config") }?;
    // SAFETY: the caller's promise, and that of every text.
    let (realm, admins) = unsafe {
        let admins = array(config.admins, config.admins_count, "config.admins")?.iter();
        let admins = admins.map(|admin| Ok(text(*admin, "one of config.admins")?.to_owned()));
        (text(config.realm, "config.realm")?.to_owned(), admins.collect::<Result<_, Error>>()?)
    };
    Ok(Config {
        realm,
        accounts: Accounts {
            registration_open: config.registration_open != 0,
            min_password_length: config.min_password_length,
            admins,
            list_users_needs_session: config.list_users_needs_session != 0,
            throttle_loopback: config.throttle_loopback != 0,
        },
        limits: Limits {
            connections: config.connections,
            line_before_session: config.line_before_session,
            line: config.line,
            input_buffer: config.input_buffer,
            output_buffer: config.output_buffer,
            output_total: config.output_total,
            mailbox_messages: config.mailbox_messages,
            sessions_per_user: config.sessions_per_user,
            session_idle: config.session_idle,
            idle_before_session: config.idle_before_session,
            group_members: config.group_members,
            groups_per_user: config.groups_per_user,
            dedupe_keys: config.dedupe_keys,
            users: config.users,
            realms: config.realms,
            password_queue: config.password_queue,
            memory_messages: config.memory_messages,
            file_size: config.file_size,
            user_files: config.user_files,
            uploads_per_user: config.uploads_per_user,
            memory_files: config.memory_files,
        },
        persistence: config.persistence != 0,
        passwords: service(config.passwords, "passwords")?,
        messages: service(config.messages, "messages")?,
        files: service(config.files, "files")?,
    })
}

fn service(number: c_int, name: &str) -> Result<Service, Error> {
    match number {
        it if it == obrolan_service::OBROLAN_SERVICE_INSIDE as c_int => Ok(Service::Inside),
        it if it == obrolan_service::OBROLAN_SERVICE_HOST as c_int => Ok(Service::Host),
        it => {
            let text = format!("config.{name} is {it}, which is no obrolan_service");
            Err(Error::new(OBROLAN_ERR_CONFIG, text))
        }
    }
}
