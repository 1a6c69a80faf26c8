//! The engine behind the functions of libobrolan, with the face that it has in Rust: the same tests run both.

use std::{
    ffi::{CStr, CString, c_char, c_int},
    mem::{ManuallyDrop, MaybeUninit, size_of},
    ptr, slice,
};

use obrolan::{
    Answer, Ask, CloseReason, Closed, Config, ConnId, Event, MessageId, MessageRef, Output, Password, Peer,
    Received, Seq, Service, Snapshot, Ticket, Time,
};
use obrolan_c::*;

/// What a failed call returned, and obrolan_last_error after it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: obrolan_result,
    pub(crate) text: String,
}

/// A result of a call as a result of Rust.
pub(crate) fn checked(result: obrolan_result) -> Result<(), Failure> {
    if result == obrolan_result::OBROLAN_OK {
        return Ok(());
    }
    Err(Failure { code: result, text: c_text(obrolan_last_error()) })
}

/// A copy of a text that the library lends.
pub(crate) fn c_text(text: *const c_char) -> String {
    // SAFETY: the library's texts end with NUL.
    unsafe { CStr::from_ptr(text) }.to_str().expect("the library writes UTF-8").to_owned()
}

/// What a call writes to an out-parameter, if it succeeds.
pub(crate) fn out<T>(call: impl FnOnce(*mut T) -> obrolan_result) -> Result<T, Failure> {
    let mut out = MaybeUninit::uninit();
    checked(call(out.as_mut_ptr()))?;
    // SAFETY: a call that succeeds has written it.
    Ok(unsafe { out.assume_init() })
}

/// A configuration as the library takes it.
pub(crate) fn with_config<R>(config: &Config, call: impl FnOnce(*const obrolan_config) -> R) -> R {
    let realm = CString::new(&*config.realm).unwrap();
    let admins: Vec<_> = config.accounts.admins.iter().map(|name| CString::new(&**name).unwrap()).collect();
    let admins: Vec<_> = admins.iter().map(|name| name.as_ptr()).collect();
    let service = |service| match service {
        Service::Inside => obrolan_service::OBROLAN_SERVICE_INSIDE as c_int,
        Service::Host => obrolan_service::OBROLAN_SERVICE_HOST as c_int,
    };
    let size = size_of::<obrolan_config>();
    // SAFETY: it is as large as its size says.
    let mut c = out(|out| unsafe { obrolan_config_default(out, size) }).expect("the size is right");
    c.realm = realm.as_ptr();
    c.persistence = config.persistence.into();
    c.passwords = service(config.passwords);
    c.messages = service(config.messages);
    c.files = service(config.files);
    c.registration_open = config.accounts.registration_open.into();
    c.list_users_needs_session = config.accounts.list_users_needs_session.into();
    c.throttle_loopback = config.accounts.throttle_loopback.into();
    c.min_password_length = config.accounts.min_password_length;
    c.admins = admins.as_ptr();
    c.admins_count = admins.len();
    c.connections = config.limits.connections;
    c.line_before_session = config.limits.line_before_session;
    c.line = config.limits.line;
    c.input_buffer = config.limits.input_buffer;
    c.output_buffer = config.limits.output_buffer;
    c.output_total = config.limits.output_total;
    c.mailbox_messages = config.limits.mailbox_messages;
    c.sessions_per_user = config.limits.sessions_per_user;
    c.session_idle = config.limits.session_idle;
    c.idle_before_session = config.limits.idle_before_session;
    c.group_members = config.limits.group_members;
    c.groups_per_user = config.limits.groups_per_user;
    c.dedupe_keys = config.limits.dedupe_keys;
    c.users = config.limits.users;
    c.realms = config.limits.realms;
    c.password_queue = config.limits.password_queue;
    c.memory_messages = config.limits.memory_messages;
    c.file_size = config.limits.file_size;
    c.user_files = config.limits.user_files;
    c.uploads_per_user = config.limits.uploads_per_user;
    c.memory_files = config.limits.memory_files;
    call(&raw const c)
}

/// An answer as the library takes it.
pub(crate) fn with_answer<R>(answer: &Answer, call: impl FnOnce(*const obrolan_answer) -> R) -> R {
    let slice = |bytes: &[u8]| obrolan_slice { data: bytes.as_ptr(), len: bytes.len() };
    let slices = |bodies: &[Vec<u8>]| bodies.iter().map(|body| slice(body)).collect::<Vec<_>>();
    let init = |r#type: obrolan_answer_type| {
        let size = size_of::<obrolan_answer>();
        // SAFETY: it is as large as its size says.
        out(|out| unsafe { obrolan_answer_init(out, size, r#type as c_int) }).expect("the type is known")
    };
    let (hash, messages);
    let mut c;
    match answer {
        Answer::PasswordHash(phc) => {
            c = init(obrolan_answer_type::OBROLAN_ANSWER_PASSWORD_HASH);
            hash = CString::new(&**phc).unwrap();
            c.hash = hash.as_ptr();
        }
        Answer::PasswordMatches(matches) => {
            c = init(obrolan_answer_type::OBROLAN_ANSWER_PASSWORD_MATCHES);
            c.matches = (*matches).into();
        }
        Answer::Messages(bodies) => {
            c = init(obrolan_answer_type::OBROLAN_ANSWER_MESSAGES);
            messages = slices(bodies);
            (c.messages, c.messages_count) = (messages.as_ptr(), messages.len());
        }
        Answer::History { before, messages: bodies, more } => {
            c = init(obrolan_answer_type::OBROLAN_ANSWER_HISTORY);
            messages = slices(bodies);
            (c.messages, c.messages_count) = (messages.as_ptr(), messages.len());
            if let Some(before) = before {
                c.before = slice(before);
            }
            c.more = (*more).into();
        }
        Answer::Done => c = init(obrolan_answer_type::OBROLAN_ANSWER_DONE),
        Answer::FileStored { sha256, size } => {
            c = init(obrolan_answer_type::OBROLAN_ANSWER_FILE_STORED);
            (c.sha256, c.file_size) = (*sha256, *size);
        }
        Answer::FileBytes(bytes) => {
            c = init(obrolan_answer_type::OBROLAN_ANSWER_FILE_BYTES);
            c.bytes = slice(bytes);
        }
        Answer::Failed => c = init(obrolan_answer_type::OBROLAN_ANSWER_FAILED),
        other => panic!("{other:?} has no form in C"),
    }
    call(&raw const c)
}

/// An engine of the library; dropped, it is freed.
pub(crate) struct Engine(*mut obrolan_engine);

impl Drop for Engine {
    fn drop(&mut self) {
        obrolan_engine_free(self.0);
    }
}

impl Engine {
    pub(crate) fn new(config: Config, seed: [u8; 32], now: Time) -> Result<Engine, Failure> {
        with_config(&config, |config| {
            // SAFETY: all of them are there.
            out(|out| unsafe { obrolan_engine_new(config, seed.as_ptr(), now.0, out) }).map(Engine)
        })
    }

    pub(crate) fn recover(config: Config, seed: [u8; 32]) -> Result<Recovery, Failure> {
        with_config(&config, |config| {
            // SAFETY: all of them are there.
            out(|out| unsafe { obrolan_recovery_new(config, seed.as_ptr(), out) }).map(Recovery)
        })
    }

    /// The handle.
    pub(crate) fn handle(&self) -> *mut obrolan_engine {
        self.0
    }

    /// The handle, which is not freed.
    pub(crate) fn into_handle(self) -> *mut obrolan_engine {
        ManuallyDrop::new(self).0
    }

    pub(crate) fn connect(&mut self, now: Time, peer: Peer) -> Result<ConnId, Failure> {
        let ip = match peer {
            Peer::Address(ip) => Some(CString::new(ip.to_string()).unwrap()),
            Peer::Local => None,
        };
        let ip = ip.as_ref().map_or(ptr::null(), |ip| ip.as_ptr());
        // SAFETY: all of them are there.
        let conn = out(|out| unsafe { obrolan_engine_connect(self.0, now.0, ip, out) })?;
        Ok(ConnId::from_number(conn).expect("0 is no connection"))
    }

    pub(crate) fn receive(&mut self, now: Time, conn: ConnId, bytes: &[u8]) -> Result<Received, Failure> {
        let (mut consumed, mut wants_read) = (0, false);
        // SAFETY: all of them are there.
        checked(unsafe {
            obrolan_engine_receive(
                self.0,
                now.0,
                conn.get(),
                bytes.as_ptr(),
                bytes.len(),
                &raw mut consumed,
                &raw mut wants_read,
            )
        })?;
        Ok(Received { consumed, wants_read })
    }

    pub(crate) fn peer_closed(&mut self, now: Time, conn: ConnId, how: Closed) -> Result<(), Failure> {
        let how = match how {
            Closed::Eof => obrolan_closed::OBROLAN_CLOSED_EOF,
            Closed::Gone => obrolan_closed::OBROLAN_CLOSED_GONE,
        };
        checked(obrolan_engine_peer_closed(self.0, now.0, conn.get(), how as c_int))
    }

    pub(crate) fn sent(&mut self, now: Time, conn: ConnId, n: usize) -> Result<(), Failure> {
        checked(obrolan_engine_sent(self.0, now.0, conn.get(), n))
    }

    pub(crate) fn persisted(&mut self, now: Time, up_to: Seq) -> Result<(), Failure> {
        checked(obrolan_engine_persisted(self.0, now.0, up_to.0))
    }

    pub(crate) fn persist_failed(&mut self, now: Time, from: Seq) -> Result<(), Failure> {
        checked(obrolan_engine_persist_failed(self.0, now.0, from.0))
    }

    pub(crate) fn restore(&mut self, now: Time, recovery: Recovery) -> Result<(), Failure> {
        checked(obrolan_engine_restore(self.0, now.0, recovery.0))
    }

    pub(crate) fn answer(&mut self, now: Time, ticket: Ticket, answer: Answer) -> Result<(), Failure> {
        // SAFETY: all of them are there.
        checked(with_answer(&answer, |answer| unsafe {
            obrolan_engine_answer(self.0, now.0, ticket.0, answer)
        }))
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        checked(obrolan_engine_handle_timeout(self.0, now.0)).expect("the handle is good");
    }

    pub(crate) fn shutdown(&mut self, now: Time) {
        checked(obrolan_engine_shutdown(self.0, now.0)).expect("the handle is good");
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output<'_>> {
        // SAFETY: it is there.
        let output =
            out(|out| unsafe { obrolan_engine_next_output(self.0, out) }).expect("the handle is good");
        // SAFETY: it is lent until the next call that changes the engine, for which this borrow has to end.
        unsafe { output.as_ref() }.map(of_c)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        // SAFETY: it is there.
        let time =
            out(|out| unsafe { obrolan_engine_next_timeout(self.0, out) }).expect("the handle is good");
        (time != OBROLAN_NEVER).then_some(Time(time))
    }

    /// At most two slices: what is beyond is seen once they are sent.
    pub(crate) fn outgoing(&self, conn: ConnId) -> impl Iterator<Item = &[u8]> {
        let mut slices = [obrolan_slice { data: ptr::null(), len: 0 }; 2];
        let (places, capacity) = (slices.as_mut_ptr(), slices.len());
        // SAFETY: there is room for so many.
        let outgoing = |out| unsafe { obrolan_engine_outgoing(self.0, conn.get(), places, capacity, out) };
        let count = out(outgoing).expect("the handle is good");
        slices.into_iter().take(count).map(bytes)
    }

    pub(crate) fn connections(&self) -> usize {
        // SAFETY: it is there.
        out(|out| unsafe { obrolan_engine_connections(self.0, out) }).expect("the handle is good")
    }

    pub(crate) fn accounts(&self) -> usize {
        // SAFETY: it is there.
        out(|out| unsafe { obrolan_engine_accounts(self.0, out) }).expect("the handle is good")
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot, Failure> {
        // SAFETY: it is there.
        let snapshot = out(|out| unsafe { obrolan_engine_snapshot(self.0, out) })?;
        let (mut seq, mut bytes, mut len) = (0, ptr::null(), 0);
        // SAFETY: all of them are there.
        let read = unsafe { obrolan_snapshot_bytes(snapshot, &raw mut seq, &raw mut bytes, &raw mut len) };
        checked(read).expect("the handle is good");
        // SAFETY: they are lent until the snapshot is freed.
        let bytes = unsafe { slice::from_raw_parts(bytes, len) }.to_vec();
        obrolan_snapshot_free(snapshot);
        Ok(Snapshot { seq: Seq(seq), bytes })
    }
}

/// A recovery of the library; dropped, it is freed.
pub(crate) struct Recovery(*mut obrolan_recovery);

impl Drop for Recovery {
    fn drop(&mut self) {
        obrolan_recovery_free(self.0);
    }
}

impl Recovery {
    pub(crate) fn snapshot(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        // SAFETY: so many bytes are there.
        checked(unsafe { obrolan_recovery_snapshot(self.0, bytes.as_ptr(), bytes.len()) })
    }

    pub(crate) fn record(&mut self, seq: Seq, record: &[u8]) -> Result<(), Failure> {
        // SAFETY: so many bytes are there.
        checked(unsafe { obrolan_recovery_record(self.0, seq.0, record.as_ptr(), record.len()) })
    }

    pub(crate) fn start(self, now: Time) -> Result<Engine, Failure> {
        // SAFETY: it is there.
        out(|out| unsafe { obrolan_recovery_start(self.0, now.0, out) }).map(Engine)
    }
}

pub(crate) fn bytes<'a>(lent: obrolan_slice) -> &'a [u8] {
    // SAFETY: the library lends so many bytes, and whoever calls this has borrowed their engine.
    unsafe { slice::from_raw_parts(lent.data, lent.len) }
}

pub(crate) fn of_c(output: &obrolan_output) -> Output<'_> {
    let conn = ConnId::from_number(output.conn);
    let conn = || conn.expect("the output is about a connection");
    // SAFETY: it is lent as long as the output is.
    let text = |text| unsafe { CStr::from_ptr(text) }.to_str().expect("the library writes UTF-8");
    let password = || Password::new(text(output.password)).expect("a password was asked about");
    let ask = |ask| Output::Ask { ticket: Ticket(output.ticket), ask };
    match output.r#type {
        obrolan_output_type::OBROLAN_OUTPUT_PERSIST => Output::Persist {
            seq: Seq(output.seq),
            record: bytes(output.record),
            message: (output.message != 0).then_some(MessageRef {
                id: MessageId(output.message),
                prev: MessageId(output.prev),
                body_at: output.body_at,
            }),
        },
        obrolan_output_type::OBROLAN_OUTPUT_WRITABLE => Output::Writable { conn: conn() },
        obrolan_output_type::OBROLAN_OUTPUT_READABLE => Output::Readable { conn: conn() },
        obrolan_output_type::OBROLAN_OUTPUT_CLOSE => {
            let reason = match output.reason {
                obrolan_close_reason::OBROLAN_CLOSE_QUIT => CloseReason::Quit,
                obrolan_close_reason::OBROLAN_CLOSE_PEER_CLOSED => CloseReason::PeerClosed,
                obrolan_close_reason::OBROLAN_CLOSE_IDLE => CloseReason::Idle,
                obrolan_close_reason::OBROLAN_CLOSE_STOPPING => CloseReason::Stopping,
            };
            Output::Close { conn: conn(), reason }
        }
        obrolan_output_type::OBROLAN_OUTPUT_REGISTERED => {
            Output::Event(Event::Registered { conn: conn(), user: text(output.user) })
        }
        obrolan_output_type::OBROLAN_OUTPUT_LOGGED_IN => {
            Output::Event(Event::LoggedIn { conn: conn(), user: text(output.user) })
        }
        obrolan_output_type::OBROLAN_OUTPUT_LOGIN_FAILED => {
            Output::Event(Event::LoginFailed { conn: conn() })
        }
        obrolan_output_type::OBROLAN_OUTPUT_THROTTLED => Output::Event(Event::Throttled { conn: conn() }),
        obrolan_output_type::OBROLAN_ASK_HASH_PASSWORD => {
            ask(Ask::HashPassword { password: password(), salt: output.salt })
        }
        obrolan_output_type::OBROLAN_ASK_VERIFY_PASSWORD => {
            ask(Ask::VerifyPassword { password: password(), hash: text(output.hash).to_owned() })
        }
        obrolan_output_type::OBROLAN_ASK_READ_MESSAGES => {
            // SAFETY: so many are lent as long as the output is.
            let ids = unsafe { slice::from_raw_parts(output.ids, output.ids_count) };
            ask(Ask::ReadMessages {
                ids: ids.iter().map(|id| MessageId(*id)).collect(),
                budget: output.budget,
            })
        }
        obrolan_output_type::OBROLAN_ASK_READ_HISTORY => ask(Ask::ReadHistory {
            newest: MessageId(output.newest),
            before: (output.before != 0).then_some(MessageId(output.before)),
            floor: MessageId(output.floor),
            limit: output.limit,
            budget: output.budget,
        }),
        obrolan_output_type::OBROLAN_ASK_APPEND_UPLOAD => ask(Ask::AppendUpload {
            upload: output.upload,
            offset: output.offset,
            bytes: bytes(output.bytes).to_vec(),
        }),
        obrolan_output_type::OBROLAN_ASK_FINISH_UPLOAD => ask(Ask::FinishUpload { upload: output.upload }),
        obrolan_output_type::OBROLAN_ASK_DROP_UPLOAD => ask(Ask::DropUpload { upload: output.upload }),
        obrolan_output_type::OBROLAN_ASK_READ_FILE => {
            ask(Ask::ReadFile { sha256: output.sha256, offset: output.offset, length: output.length })
        }
    }
}
