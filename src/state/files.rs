//! Files that were sent: who may fetch them, and what they count against a quota. Their contents are not part of the state.

use serde::{Deserialize, Serialize};

use super::{GroupNo, Inconsistent, MessageId, SessionNo, State, UserNo, check};

/// A file, known by the number of the message that brought it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    pub(crate) sha256: [u8; 32],
    /// In bytes.
    pub(crate) size: u64,
    sender: UserNo,
    /// The users it was sent to, by number: of a group the members at the time.
    recipients: Box<[UserNo]>,
}

impl File {
    pub(crate) fn is_for(&self, user: UserNo) -> bool {
        user == self.sender || self.recipients.binary_search(&user).is_ok()
    }
}

/// What a file counts against its sender's quota, in bytes: at least what remembering it takes on disk and in memory, so that
/// the quota bounds the number of small files too.
pub(crate) fn charge(size: u64, recipients: usize) -> u64 {
    size.max(4096 + 4 * recipients as u64)
}

impl State {
    pub(crate) fn file(&self, id: MessageId) -> Option<&File> {
        self.files.get(&id)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (MessageId, &File)> {
        self.files.iter().map(|(id, file)| (*id, file))
    }

    pub(super) fn send_file(
        &mut self,
        id: MessageId,
        from: UserNo,
        to: UserNo,
        sha256: [u8; 32],
        size: u64,
    ) -> Result<(), Inconsistent> {
        self.send(id, from, to)?;
        self.add_file(id, File { sha256, size, sender: from, recipients: [to].into() })
    }

    pub(super) fn send_file_to_group(
        &mut self,
        id: MessageId,
        session: SessionNo,
        group: GroupNo,
        mailbox_limit: u64,
        sha256: [u8; 32],
        size: u64,
    ) -> Result<(), Inconsistent> {
        self.send_to_group(id, session, group, mailbox_limit)?;
        let sender = self.sessions[&session].user;
        let recipients = self.groups[&group].members().filter(|member| *member != sender).collect();
        self.add_file(id, File { sha256, size, sender, recipients })
    }

    pub(super) fn add_file(&mut self, id: MessageId, file: File) -> Result<(), Inconsistent> {
        let users = self.users.len();
        let known = |user: &UserNo| (user.0 as usize) < users;
        check(file.recipients.iter().all(known), "holds a file to an unknown user")?;
        check(file.recipients.is_sorted_by(|a, b| a < b), "holds a file to users out of order")?;
        let sender = self.users.get_mut(file.sender.0 as usize);
        let sender = sender.ok_or(Inconsistent("holds a file from an unknown user"))?;
        sender.file_bytes = sender.file_bytes.saturating_add(charge(file.size, file.recipients.len()));
        check(self.files.insert(id, file).is_none(), "holds a file twice")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::state;

    #[test]
    fn a_file_is_of_users_in_order() {
        let add = |sender, recipients: &[u32]| {
            let recipients = recipients.iter().map(|user| UserNo(*user)).collect();
            state()
                .add_file(MessageId(9), File { sha256: [0; 32], size: 1, sender: UserNo(sender), recipients })
        };
        assert_eq!(add(0, &[0, 1]), Ok(()));
        assert_eq!(add(0, &[0, 2]), Err(Inconsistent("holds a file to an unknown user")));
        assert_eq!(add(0, &[1, 0]), Err(Inconsistent("holds a file to users out of order")));
        assert_eq!(add(0, &[1, 1]), Err(Inconsistent("holds a file to users out of order")));
        assert_eq!(add(2, &[1]), Err(Inconsistent("holds a file from an unknown user")));
    }
}
