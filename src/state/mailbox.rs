//! The messages a user has not confirmed yet.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::MessageId;

/// The ids of a user's unconfirmed messages, in order: at most 16 bytes each, spare room included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mailbox {
    ids: VecDeque<MessageId>,
    /// Messages that had to go unread since the last confirmation.
    gap: u64,
}

impl Mailbox {
    pub(super) fn push(&mut self, id: MessageId) {
        self.ids.push_back(id);
    }

    /// Drops the oldest if there are `limit` already.
    pub(super) fn make_room(&mut self, limit: u64) {
        if self.len() as u64 >= limit && self.ids.pop_front().is_some() {
            self.gap += 1;
        }
    }

    pub(super) fn confirm(&mut self, up_to: MessageId) {
        let count = self.position_after(up_to);
        self.ids.drain(..count);
        self.gap = 0;
        if self.ids.is_empty() {
            self.ids = VecDeque::new();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn gap(&self) -> u64 {
        self.gap
    }

    pub(crate) fn oldest(&self) -> Option<MessageId> {
        self.ids.front().copied()
    }

    pub(crate) fn newest(&self) -> Option<MessageId> {
        self.ids.back().copied()
    }

    pub(crate) fn after(&self, id: MessageId) -> impl ExactSizeIterator<Item = MessageId> + '_ {
        self.ids.range(self.position_after(id)..).copied()
    }

    pub(crate) fn up_to(&self, id: MessageId) -> impl ExactSizeIterator<Item = MessageId> + '_ {
        self.ids.range(..self.position_after(id)).copied()
    }

    /// How many ids are `id` or before.
    fn position_after(&self, id: MessageId) -> usize {
        // Readers mostly go on from either end.
        if self.oldest().is_none_or(|oldest| id < oldest) {
            0
        } else {
            self.ids.partition_point(|&held| held <= id)
        }
    }

    /// Whether the ids grow, as a damaged snapshot's may not.
    pub(super) fn is_sound(&self) -> bool {
        self.ids.iter().is_sorted_by(|a, b| a < b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(ids: &[u64]) -> Mailbox {
        let mut mailbox = Mailbox::default();
        ids.iter().for_each(|id| mailbox.push(MessageId(*id)));
        mailbox
    }

    #[test]
    fn confirming_takes_all_up_to_an_id() {
        let mut held = mailbox(&[2, 5, 9]);
        assert_eq!(held.up_to(MessageId(5)).len(), 2);
        assert_eq!(held.after(MessageId(4)).collect::<Vec<_>>(), [MessageId(5), MessageId(9)]);
        held.confirm(MessageId(6));
        assert_eq!(held, mailbox(&[9]));
    }

    #[test]
    fn the_oldest_make_room_and_leave_a_gap() {
        let mut held = mailbox(&[1, 2]);
        held.make_room(3);
        assert_eq!(held.gap(), 0);
        held.make_room(2);
        assert_eq!((held.gap(), held.oldest()), (1, Some(MessageId(2))));
        held.confirm(MessageId(1));
        assert_eq!(held.gap(), 0);
    }
}
