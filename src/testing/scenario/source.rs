//! From bytes to a configuration and steps.

use super::{
    Step,
    words::{ALL_KINDS, CONNS, KINDS, LONGER_WAITS, USERS, WAITS},
};
use crate::{
    Accounts, Closed, Config, Limits, Service,
    testing::{store::Work, terms::Escaped},
    wire::Kind,
};

/// Longer than any scenario.
pub(super) const NEVER: u64 = 1 << 40;

/// Thirty days in milliseconds.
const MONTH: u64 = 30 * 24 * 3_600_000;

/// The bytes not used yet; 0 for ever after.
pub(super) struct Source<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) format: u8,
    /// Who speaks, in format 3.
    pub(super) speaker: usize,
}

fn bit(byte: u8, at: u8) -> bool {
    byte >> at & 1 == 1
}

impl<'a> Source<'a> {
    pub(super) fn new(format: u8, bytes: &'a [u8]) -> Source<'a> {
        Source { bytes, format, speaker: 0 }
    }

    pub(super) fn byte(&mut self) -> u8 {
        let (first, rest) = self.bytes.split_first().unwrap_or((&0, &[]));
        self.bytes = rest;
        *first
    }

    /// The next byte of a scenario of format 2; 0 in an older one.
    pub(super) fn later_byte(&mut self) -> u8 {
        if self.format < 2 { 0 } else { self.byte() }
    }

    pub(super) fn number(&mut self) -> usize {
        usize::from(self.byte())
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.number() % from.len()]
    }

    pub(super) fn kind(&mut self) -> Kind {
        let kinds = if self.format < 2 { KINDS } else { ALL_KINDS };
        let all: usize = kinds.iter().map(|(_, often)| usize::from(*often)).sum();
        let mut at = self.number() % all;
        for (kind, often) in kinds {
            match at.checked_sub(usize::from(*often)) {
                Some(rest) => at = rest,
                None => return *kind,
            }
        }
        unreachable!("it is below the sum of all")
    }

    pub(super) fn config(&mut self) -> Config {
        let (shape, rules) = (self.byte(), self.byte());
        let (files, room) = (self.later_byte(), self.later_byte());
        let service = |host| if host { Service::Host } else { Service::Inside };
        let either = |first, a, b| if first { a } else { b };
        Config {
            realm: "localhost".to_owned(),
            accounts: Accounts {
                registration_open: !bit(rules, 0) || !bit(rules, 1) || self.format >= 2 && !bit(rules, 7),
                min_password_length: either(bit(rules, 2), 4, 1),
                admins: if bit(rules, 3) { vec!["bob".to_owned()] } else { vec![] },
                list_users_needs_session: bit(rules, 4),
                throttle_loopback: false,
            },
            limits: Limits {
                connections: 8,
                line_before_session: 120,
                line: 300,
                input_buffer: 1 << 20,
                output_buffer: either(bit(shape, 2), 4096, 300),
                output_total: 1 << 20,
                mailbox_messages: either(bit(shape, 3), 50, 3),
                sessions_per_user: 2,
                session_idle: if bit(files, 1) { MONTH } else { 3_600_000 },
                idle_before_session: if bit(rules, 5) { 60_000 } else { NEVER },
                group_members: 3,
                groups_per_user: 2,
                dedupe_keys: either(bit(files, 2), 2, 3),
                users: 5,
                realms: 2,
                password_queue: either(bit(rules, 6), 1, 8),
                memory_messages: either(bit(room, 0), 700, 1 << 20),
                file_size: if bit(room, 1) { 30 } else { 1 << 20 },
                user_files: [1 << 20, 8300, 4150, 50][usize::from(room >> 2 & 3)],
                uploads_per_user: 2,
                memory_files: either(bit(room, 4), 40, 1 << 20),
            },
            persistence: !bit(shape, 0),
            passwords: Service::Host,
            files: service(bit(files, 0)),
            messages: service(!bit(shape, 0) && !bit(shape, 1)),
        }
    }

    /// The first users, logged in, so that a few bytes are enough for something to happen.
    pub(super) fn crowd(&mut self) -> Vec<Step> {
        let (shape, classic) = (self.byte(), self.later_byte());
        let mut steps = Vec::new();
        let users = if shape < 16 { shape & 1 } else { 2 + (shape & 1) };
        for (conn, user) in USERS.iter().take(usize::from(users)).enumerate() {
            let group = if conn == 0 { "ADD_GROUP" } else { "JOIN_GROUP" };
            let mut lines = match bit(classic, conn as u8) {
                // Which logs in.
                true => format!("register {user} secret\n"),
                false => format!("REGISTER {user} secret ID {user}\nAUTH {user} secret\n"),
            };
            if shape & 4 != 0 {
                lines += &format!("{group} club\n");
            }
            if shape >> (5 + conn) & 1 == 1 {
                lines += "SUBSCRIBE\n";
            }
            let say = Step::Say { conn, bytes: Escaped(lines.into_bytes()) };
            let done = Step::Answer { at: 0, work: Work::Done };
            steps.extend([Step::Connect, say, done.clone(), done]);
            steps.extend([Step::Persist { count: 10 }, Step::Read { conn, most: 10_000 }]);
        }
        if bit(classic, 3) {
            // Two files that are there to be fetched.
            let lines = b"SEND_FILE bob a.txt aGFsbw==\nSEND_GROUP_FILE club b.txt eHl6\n";
            steps.push(Step::Say { conn: 0, bytes: Escaped(lines.to_vec()) });
            // The host keeps each, and makes it durable.
            steps.extend(vec![Step::Answer { at: 0, work: Work::Done }; 4]);
            steps.extend([Step::Persist { count: 10 }, Step::Read { conn: 0, most: 10_000 }]);
        }
        steps
    }

    pub(super) fn step(&mut self) -> Step {
        match self.byte() {
            0..=139 => {
                let (conn, lines) = (self.pick(CONNS), 1 + self.number() % 3);
                let mut bytes = Vec::new();
                (0..lines).for_each(|_| self.line(&mut bytes));
                Step::Say { conn, bytes: Escaped(bytes) }
            }
            140..=174 => Step::Read { conn: self.pick(CONNS), most: self.pick(&[1, 7, 60, 61, 500, 10_000]) },
            175..=199 => Step::Persist { count: self.pick(&[1, 2, 100]) },
            200..=224 => {
                let work = self.pick(&[Work::Done, Work::Done, Work::Done, Work::Least, Work::Failed]);
                Step::Answer { at: self.number(), work }
            }
            225..=228 => Step::Connect,
            229..=231 => Step::Answer { at: 0, work: Work::Done },
            232..=235 => {
                let how = self.pick(&[Closed::Eof, Closed::Gone]);
                Step::End { conn: self.number(), how }
            }
            236..=243 => Step::Wait { ms: self.pick(if self.format < 2 { WAITS } else { LONGER_WAITS }) },
            244..=246 => Step::Snapshot,
            247..=250 => Step::Fail { count: self.pick(&[1, 2, 100]) },
            251..=254 => Step::Restore { found: self.pick(&[0, 0, 1, 100]) },
            255 => {
                // Once in a while: it ends all.
                if self.byte() == 255 { Step::Shutdown } else { Step::Connect }
            }
        }
    }

    /// A step of format 3: bytes that stand nowhere in UTF-8 are orders, with a byte each, and all others are said.
    pub(super) fn raw_step(&mut self) -> Step {
        let said = self.bytes.iter().take_while(|byte| **byte < ORDERS).count();
        if said > 0 {
            let (bytes, rest) = self.bytes.split_at(said);
            self.bytes = rest;
            return Step::Say { conn: self.speaker, bytes: Escaped(bytes.to_vec()) };
        }
        let (order, with) = (self.byte(), self.byte());
        let pick = |from: &[usize]| from[usize::from(with) % from.len()];
        match order {
            0xf5 => {
                let work = [Work::Done, Work::Done, Work::Least, Work::Failed][usize::from(with >> 6)];
                Step::Answer { at: usize::from(with & 0x3f), work }
            }
            0xf6 => Step::Persist { count: pick(&[1, 2, 100]) },
            0xf7 => Step::Read { conn: self.speaker, most: pick(&[1, 7, 60, 61, 500, 10_000]) },
            0xf8 => {
                self.speaker = usize::from(with % 8);
                Step::Persist { count: 0 }
            }
            0xf9 => Step::Wait { ms: LONGER_WAITS[usize::from(with) % LONGER_WAITS.len()] },
            0xfa => Step::Connect,
            0xfb => {
                let how = if with < 128 { Closed::Eof } else { Closed::Gone };
                Step::End { conn: self.speaker, how }
            }
            0xfc => Step::Fail { count: pick(&[1, 2, 100]) },
            0xfd => Step::Restore { found: pick(&[0, 1, 100]) },
            0xfe => Step::Snapshot,
            _ if with == 0xff => Step::Shutdown,
            _ => Step::Connect,
        }
    }
}

/// The first byte that is an order in format 3.
const ORDERS: u8 = 0xf5;
