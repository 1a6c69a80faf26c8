//! What can happen to the state.

use serde::{Deserialize, Serialize};

use super::{GroupNo, MessageId, SessionNo, UserNo};
use crate::{secret::SessionDigest, time::Time};

/// One change of the state, as the journal keeps it.
///
/// The encoding is postcard's: the variant's number, then its fields. Journals outlive programs, so variants and
/// fields are only ever added at the end, as new variants. A message's body follows its record as the tail of
/// the same bytes; the state does not know it.
///
/// What a change depends on besides the state (a limit that may be set anew, the time) travels in the record, so that
/// replaying it tomorrow does the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Record<'a> {
    Registered {
        user: UserNo,
        name: &'a str,
        full_name: &'a str,
        country: &'a str,
        password_hash: &'a str,
        time: Time,
    },
    PasswordChanged {
        user: UserNo,
        password_hash: &'a str,
        /// The one session that goes on.
        kept: SessionNo,
    },
    SessionOpened {
        session: SessionNo,
        user: UserNo,
        digest: SessionDigest,
        time: Time,
    },
    SessionUsed {
        session: SessionNo,
        time: Time,
    },
    SessionEnded {
        session: SessionNo,
    },
    GroupAdded {
        group: GroupNo,
        name: &'a str,
        session: SessionNo,
    },
    GroupJoined {
        group: GroupNo,
        session: SessionNo,
    },
    GroupLeft {
        group: GroupNo,
        session: SessionNo,
    },
    Sent {
        id: MessageId,
        from: UserNo,
        to: UserNo,
    },
    SentToGroup {
        id: MessageId,
        session: SessionNo,
        group: GroupNo,
        /// How many messages a mailbox held at most at the time.
        mailbox_limit: u64,
    },
    Confirmed {
        user: UserNo,
        up_to: MessageId,
    },
    RealmAdded {
        name: &'a str,
        ip: &'a str,
        port: u16,
        fingerprint: Option<&'a str>,
    },
    /// A change that was asked for with a dedupe key.
    Once {
        user: UserNo,
        key: &'a str,
        time: Time,
        /// How many keys of a user were remembered at most at the time.
        limit: u64,
        /// The response to it.
        response: &'a [u8],
        record: Box<Record<'a>>,
    },
    /// As [`Sent`](Record::Sent), of a file.
    FileSent {
        id: MessageId,
        from: UserNo,
        to: UserNo,
        sha256: [u8; 32],
        size: u64,
    },
    /// As [`SentToGroup`](Record::SentToGroup), of a file.
    FileSentToGroup {
        id: MessageId,
        session: SessionNo,
        group: GroupNo,
        mailbox_limit: u64,
        sha256: [u8; 32],
        size: u64,
    },
    /// A content that the engine itself keeps. The state does not know it: no more than the bodies of messages.
    FileKept {
        sha256: [u8; 32],
        bytes: &'a [u8],
    },
}

impl<'a> Record<'a> {
    /// Writes the record at the end of `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        postcard::to_io(self, out).expect("a record and a Vec cannot fail to serialise");
    }

    /// The message it brings, if it brings one.
    pub(crate) fn message(&self) -> Option<MessageId> {
        match self {
            Record::Sent { id, .. }
            | Record::SentToGroup { id, .. }
            | Record::FileSent { id, .. }
            | Record::FileSentToGroup { id, .. } => Some(*id),
            Record::Once { record, .. } => record.message(),
            _ => None,
        }
    }

    /// Reads a record; what follows it is the message's body.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<(Record<'a>, &'a [u8]), postcard::Error> {
        postcard::take_from_bytes(bytes)
    }
}
