//! Records on their way into a store.

use std::fmt;

/// Which message a record carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRef {
    /// The message's number, never used twice.
    pub id: u64,
    /// The message before it in the same conversation; 0 for none.
    pub prev: u64,
    /// Where in the record its body begins, in bytes. The body goes to the record's end.
    pub at: usize,
}

/// Records to be made durable together, in one buffer: adding one copies its bytes and, once the buffer has grown, allocates nothing.
#[derive(Default, Clone)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<End>,
    first_message: Option<u64>,
}

#[derive(Clone, Copy)]
struct End {
    seq: u64,
    end: usize,
    message: Option<MessageRef>,
}

/// One record of a [`Batch`].
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// The record's number.
    pub seq: u64,
    /// The whole record, message body included.
    pub record: &'a [u8],
    /// The message it carries, if any.
    pub message: Option<MessageRef>,
}

impl Batch {
    /// An empty batch, which owns no memory yet.
    #[must_use]
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Adds a record by copy. `message` says that the record's tail from `at` on is the body of a message, which the store
    /// then keeps among the messages instead of among the records, so that it is written once.
    ///
    /// # Panics
    /// If `at` lies beyond the record's end.
    pub fn push(&mut self, seq: u64, record: &[u8], message: Option<MessageRef>) {
        if let Some(message) = message {
            assert!(message.at <= record.len(), "a message's body begins inside its record");
            self.first_message.get_or_insert(message.id);
        }
        self.bytes.extend_from_slice(record);
        self.ends.push(End { seq, end: self.bytes.len(), message });
    }

    /// Empties the batch and keeps its memory for the next records.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.first_message = None;
    }

    /// Whether there is no record in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The size of all records together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The number of the first record.
    #[must_use]
    pub fn first_seq(&self) -> Option<u64> {
        self.ends.first().map(|end| end.seq)
    }

    /// The number of the last record.
    #[must_use]
    pub fn last_seq(&self) -> Option<u64> {
        self.ends.last().map(|end| end.seq)
    }

    /// The number of the first message that a record carries.
    #[must_use]
    pub fn first_message(&self) -> Option<u64> {
        self.first_message
    }

    /// The records in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |&End { seq, end, message }| {
            let record = &self.bytes[start..end];
            start = end;
            Entry { seq, record, message }
        })
    }
}

impl<'a> Entry<'a> {
    /// The record without its message's body.
    #[must_use]
    pub fn head(&self) -> &'a [u8] {
        &self.record[..self.message.map_or(self.record.len(), |message| message.at)]
    }

    /// The body of the record's message; empty if it carries none.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        &self.record[self.head().len()..]
    }
}

// Records hold people's messages: their bytes stay out of logs.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("first_seq", &self.first_seq())
            .field("len", &self.len())
            .field("bytes", &self.bytes())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_with_its_head_and_body_apart() {
        let mut batch = Batch::new();
        batch.push(7, b"plain", None);
        batch.push(8, b"headbody", Some(MessageRef { id: 3, prev: 1, at: 4 }));
        batch.push(9, b"", None);

        let seqs: Vec<_> = batch.iter().map(|entry| entry.seq).collect();
        let parts: Vec<[&[u8]; 3]> =
            batch.iter().map(|entry| [entry.record, entry.head(), entry.body()]).collect();
        assert_eq!(seqs, [7, 8, 9]);
        assert_eq!(parts, [[&b"plain"[..], b"plain", b""], [b"headbody", b"head", b"body"], [b"", b"", b""]]);
        assert_eq!(
            (batch.first_seq(), batch.last_seq(), batch.len(), batch.bytes(), batch.first_message()),
            (Some(7), Some(9), 3, 13, Some(3))
        );
    }

    #[test]
    fn a_cleared_batch_is_empty_and_keeps_its_memory() {
        let mut batch = Batch::new();
        batch.push(1, &[1; 1000], Some(MessageRef { id: 1, prev: 0, at: 0 }));
        batch.clear();
        assert!(batch.is_empty());
        assert_eq!((batch.first_seq(), batch.last_seq(), batch.bytes()), (None, None, 0));
        assert_eq!(batch.first_message(), None);
        assert!(batch.bytes.capacity() >= 1000);
    }

    #[test]
    #[should_panic(expected = "inside its record")]
    fn a_body_cannot_begin_beyond_its_record() {
        Batch::new().push(1, b"abc", Some(MessageRef { id: 1, prev: 0, at: 4 }));
    }

    #[test]
    fn debug_shows_no_content() {
        let mut batch = Batch::new();
        batch.push(1, b"secret", None);
        assert_eq!(format!("{batch:?}"), "Batch { first_seq: Some(1), len: 1, bytes: 6 }");
    }
}
