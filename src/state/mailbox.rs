//! The messages a user has not confirmed yet.

use std::{
    collections::{VecDeque, vec_deque},
    iter::{Copied, Peekable},
};

use serde::{Deserialize, Serialize};

use super::MessageId;

/// The ids of a user's unconfirmed messages: at most 16 bytes each, spare room included.
///
/// Private messages and those of groups stand apart, each in order: a full mailbox drops the oldest of groups alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mailbox {
    private: VecDeque<MessageId>,
    group: VecDeque<MessageId>,
    /// Messages of groups that had to go unread, until one behind them all is confirmed.
    gap: u64,
    /// The newest of these, or 0.
    gap_end: MessageId,
}

impl Mailbox {
    pub(super) fn push(&mut self, id: MessageId) {
        self.private.push_back(id);
    }

    /// Adds a message of a group. If there are `limit` already, the oldest of groups goes, be it this one.
    pub(super) fn push_group(&mut self, id: MessageId, limit: u64) {
        let full = self.len() as u64 >= limit;
        self.group.push_back(id);
        if full && let Some(oldest) = self.group.pop_front() {
            self.gap += 1;
            self.gap_end = oldest;
        }
    }

    pub(super) fn confirm(&mut self, up_to: MessageId) {
        for ids in [&mut self.private, &mut self.group] {
            ids.drain(..position_after(ids, up_to));
            if ids.is_empty() {
                *ids = VecDeque::new();
            }
        }
        // Whoever confirms less may not have been told of all that went.
        if up_to >= self.gap_end {
            (self.gap, self.gap_end) = (0, MessageId(0));
        }
    }

    /// Whether it makes a difference to confirm the messages up to this one.
    pub(crate) fn has_up_to(&self, id: MessageId) -> bool {
        self.oldest().is_some_and(|oldest| oldest <= id) || self.gap > 0 && self.gap_end <= id
    }

    pub(crate) fn len(&self) -> usize {
        self.private.len() + self.group.len()
    }

    pub(crate) fn gap(&self) -> u64 {
        self.gap
    }

    pub(crate) fn oldest(&self) -> Option<MessageId> {
        self.after(MessageId(0)).next()
    }

    /// The one that goes when a message of a group comes into the full mailbox.
    pub(crate) fn oldest_of_groups(&self) -> Option<MessageId> {
        self.group.front().copied()
    }

    pub(crate) fn newest(&self) -> Option<MessageId> {
        self.private.back().max(self.group.back()).copied()
    }

    pub(crate) fn after<'a>(&'a self, id: MessageId) -> InOrder<'a> {
        let after = |ids: &'a VecDeque<_>| ids.range(position_after(ids, id)..).copied().peekable();
        InOrder { private: after(&self.private), group: after(&self.group) }
    }

    pub(crate) fn up_to<'a>(&'a self, id: MessageId) -> InOrder<'a> {
        let up_to = |ids: &'a VecDeque<_>| ids.range(..position_after(ids, id)).copied().peekable();
        InOrder { private: up_to(&self.private), group: up_to(&self.group) }
    }

    /// Whether the ids grow, from the first message that can be, and a gap ends somewhere, as a damaged snapshot's may not.
    pub(super) fn is_sound(&self) -> bool {
        let all = self.after(MessageId(0));
        all.len() == self.len()
            && all.is_sorted_by(|a, b| a < b)
            && (self.gap > 0) == (self.gap_end > MessageId(0))
    }
}

/// How many ids are `id` or before.
fn position_after(ids: &VecDeque<MessageId>, id: MessageId) -> usize {
    // Readers mostly go on from either end.
    if ids.front().is_none_or(|oldest| id < *oldest) { 0 } else { ids.partition_point(|&held| held <= id) }
}

/// Ids of a mailbox in their order.
pub(crate) struct InOrder<'a> {
    private: Ids<'a>,
    group: Ids<'a>,
}

type Ids<'a> = Peekable<Copied<vec_deque::Iter<'a, MessageId>>>;

impl Iterator for InOrder<'_> {
    type Item = MessageId;

    fn next(&mut self) -> Option<MessageId> {
        match (self.private.peek(), self.group.peek()) {
            (Some(private), Some(group)) if group < private => self.group.next(),
            (Some(_), _) => self.private.next(),
            (None, _) => self.group.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.private.len() + self.group.len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for InOrder<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(private: &[u64], group: &[u64]) -> Mailbox {
        let ids = |ids: &[u64]| ids.iter().map(|id| MessageId(*id)).collect();
        Mailbox { private: ids(private), group: ids(group), ..Mailbox::default() }
    }

    fn numbers(ids: InOrder<'_>) -> Vec<u64> {
        ids.map(|id| id.0).collect()
    }

    #[test]
    fn both_kinds_are_read_and_confirmed_in_order() {
        let mut held = mailbox(&[2, 6, 9], &[1, 5, 7]);
        assert_eq!(numbers(held.after(MessageId(0))), [1, 2, 5, 6, 7, 9]);
        assert_eq!(held.after(MessageId(4)).len(), 4);
        assert_eq!(numbers(held.up_to(MessageId(5))), [1, 2, 5]);
        assert_eq!((held.oldest(), held.newest()), (Some(MessageId(1)), Some(MessageId(9))));
        held.confirm(MessageId(6));
        assert_eq!(held, mailbox(&[9], &[7]));
    }

    #[test]
    fn the_oldest_of_groups_make_room_and_leave_a_gap() {
        let mut held = mailbox(&[1, 3], &[2]);
        held.push_group(MessageId(4), 4);
        assert_eq!((held.gap(), held.oldest_of_groups()), (0, Some(MessageId(2))));
        held.push_group(MessageId(5), 4);
        assert_eq!((held.gap(), numbers(held.after(MessageId(0)))), (1, vec![1, 3, 4, 5]));
        held.confirm(MessageId(2));
        assert_eq!(held, mailbox(&[3], &[4, 5]));
    }

    #[test]
    fn a_gap_ends_with_a_confirmation_behind_it() {
        let mut held = mailbox(&[1, 3], &[2, 4]);
        held.push_group(MessageId(5), 4);
        held.push_group(MessageId(6), 4);
        held.confirm(MessageId(3));
        assert_eq!((held.gap(), numbers(held.after(MessageId(0)))), (2, vec![5, 6]));
        assert!(!held.has_up_to(MessageId(3)));
        assert!(held.has_up_to(MessageId(4)));
        held.confirm(MessageId(4));
        assert_eq!(held, mailbox(&[], &[5, 6]));
        assert!(!held.has_up_to(MessageId(4)));
    }

    #[test]
    fn where_all_are_private_a_message_of_a_group_goes_at_once() {
        let mut held = mailbox(&[1, 2], &[]);
        held.push_group(MessageId(3), 2);
        assert_eq!((held.gap(), numbers(held.after(MessageId(0)))), (1, vec![1, 2]));
    }

    #[test]
    fn a_mailbox_out_of_order_is_not_sound() {
        assert!(mailbox(&[1, 4], &[2, 3]).is_sound());
        assert!(!mailbox(&[4, 1], &[2]).is_sound());
        assert!(!mailbox(&[1, 4], &[4]).is_sound());
        assert!(!mailbox(&[1], &[0, 4]).is_sound());
        assert!(!Mailbox { gap: 1, ..mailbox(&[1], &[]) }.is_sound());
        assert!(!Mailbox { gap_end: MessageId(1), ..mailbox(&[2], &[]) }.is_sound());
    }
}
