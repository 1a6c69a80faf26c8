//! What is to be sent on a connection, and what of it may leave already.

use std::{collections::VecDeque, sync::Arc};

use super::Seq;
use crate::{
    state::MessageId,
    wire::{Code, END, Kind, Object, classic_error},
};

/// Bytes for a connection, in order, each held behind the newest record it could reveal.
#[derive(Default)]
pub(super) struct Outbox {
    parts: VecDeque<Part>,
    /// The bytes of all [`Body::Own`] parts, from `own_start` on.
    own: Vec<u8>,
    own_start: usize,
    /// How many bytes of the first part are sent.
    sent: usize,
    /// Bytes not sent yet.
    len: usize,
}

struct Part {
    /// What must be durable before it may leave.
    gate: Seq,
    content: Content,
    body: Body,
}

/// What a part is, which matters when its record is lost.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// The answer to a request; this many bytes before its `}` are the tag that it repeats.
    Answer(Kind, u16),
    /// The answer to a classic request. One that registers also logs in.
    Classic(Kind),
    /// A message that is pushed.
    Message(MessageId),
    /// Another event, or the answer to what is no request.
    Other,
}

/// What [`Outbox::fail`] took back.
#[derive(Default)]
pub(super) struct TakenBack {
    /// The first message that went, of those before a SUBSCRIBE that went too: what was pushed for that is not what goes on.
    pub(super) message: Option<MessageId>,
    /// Whether a login or a RESUME was answered `unavailable`.
    pub(super) login: bool,
}

enum Body {
    /// This many bytes of `own`.
    Own(usize),
    /// An event that goes to several connections.
    Shared(Arc<[u8]>),
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Body::Own(len) => *len,
            Body::Shared(bytes) => bytes.len(),
        }
    }
}

/// Room that is kept for the next responses; more is given back when all is sent.
const KEEP: usize = 512;

impl Outbox {
    /// Writes a response or an event. `durable` is what is durable now: parts that may leave anyway are joined.
    pub(super) fn write(
        &mut self,
        gate: Seq,
        durable: Seq,
        content: Content,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let before = self.own.len();
        write(&mut self.own);
        let written = self.own.len() - before;
        self.len += written;
        match self.parts.back_mut() {
            Some(Part { gate: last, body: Body::Own(len), .. }) if *last <= durable && gate <= durable => {
                *len += written;
            }
            _ => self.parts.push_back(Part { gate, content, body: Body::Own(written) }),
        }
    }

    /// Adds an event that other connections get too.
    pub(super) fn share(&mut self, gate: Seq, content: Content, event: &Arc<[u8]>) {
        self.len += event.len();
        self.parts.push_back(Part { gate, content, body: Body::Shared(Arc::clone(event)) });
    }

    /// Bytes not sent yet, whether they may leave or not.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether some bytes may leave.
    pub(super) fn is_ready(&self, durable: Seq) -> bool {
        self.parts.front().is_some_and(|part| part.gate <= durable)
    }

    pub(super) fn outgoing(&self, durable: Seq) -> Outgoing<'_> {
        Outgoing { outbox: Some(self), durable, part: 0, own: self.own_start, skip: self.sent }
    }

    /// Forgets `n` bytes that were sent. They must have been ready.
    pub(super) fn sent(&mut self, n: usize) {
        self.len -= n;
        self.sent += n;
        while let Some(part) = self.parts.front() {
            let len = part.body.len();
            if self.sent < len {
                break;
            }
            self.sent -= len;
            if let Body::Own(len) = part.body {
                self.own_start += len;
            }
            self.parts.pop_front();
        }
        if self.parts.is_empty() {
            self.own.clear();
            self.own.shrink_to(KEEP);
            self.own_start = 0;
            self.parts.shrink_to(4);
        } else if self.own_start > self.own.len() / 2 {
            // Half of it is sent: moving the other half costs as much as it frees, so a byte moves once on average.
            self.own.drain(..self.own_start);
            self.own_start = 0;
        }
    }

    /// Takes back all that is held behind `from` or later records, which will never be durable: an answer becomes
    /// `unavailable`, an event goes.
    pub(super) fn fail(&mut self, from: Seq, durable: Seq) -> TakenBack {
        let old = std::mem::take(self);
        let mut own = &old.own[old.own_start..];
        let (mut taken_back, mut resubscribed) = (TakenBack::default(), false);
        for part in old.parts {
            let bytes = match &part.body {
                Body::Own(len) => own.split_off(..*len).expect("own holds the bytes of its parts"),
                Body::Shared(bytes) => bytes,
            };
            let subscribed = |kind| kind == Kind::Subscribe && bytes.starts_with(b"{\"status\":\"OK\"");
            match (part.gate >= from, part.content, &part.body) {
                (false, content, Body::Shared(event)) => self.share(part.gate, content, event),
                (false, content, Body::Own(_)) => {
                    self.write(part.gate, durable, content, |out| out.extend_from_slice(bytes));
                }
                (true, Content::Answer(kind, tag), _) => {
                    taken_back.login |= matches!(kind, Kind::Auth | Kind::Resume);
                    resubscribed |= subscribed(kind);
                    self.write(Seq(0), durable, part.content, |out| {
                        Object::error(out, Some(kind), Code::Unavailable).end();
                        let end = bytes.len() - usize::from(tag) - END.len() - 1;
                        out.pop();
                        out.extend_from_slice(&bytes[end..]);
                    });
                }
                (true, Content::Classic(kind), _) => {
                    taken_back.login |= matches!(kind, Kind::Auth | Kind::Resume | Kind::Register);
                    resubscribed |= subscribed(kind);
                    self.write(Seq(0), durable, part.content, |out| {
                        classic_error(out, Some(kind), Code::Unavailable);
                    });
                }
                (true, Content::Message(id), _) if !resubscribed => {
                    taken_back.message.get_or_insert(id);
                }
                (true, Content::Message(_) | Content::Other, _) => {}
            }
        }
        // What was sent of the first part was durable, so that part is there still.
        self.sent = old.sent;
        self.len -= old.sent;
        taken_back
    }
}

/// The bytes of a connection that may leave, in order, as slices fit for a vectored write.
///
/// From [`Engine::outgoing`](super::Engine::outgoing).
#[derive(Clone)]
pub struct Outgoing<'a> {
    outbox: Option<&'a Outbox>,
    durable: Seq,
    part: usize,
    own: usize,
    skip: usize,
}

impl Outgoing<'_> {
    pub(super) const NONE: Outgoing<'static> =
        Outgoing { outbox: None, durable: Seq(0), part: 0, own: 0, skip: 0 };
}

impl<'a> Iterator for Outgoing<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let outbox = self.outbox?;
        let ready = |part: &&Part| part.gate <= self.durable;
        let part = outbox.parts.get(self.part).filter(ready)?;
        self.part += 1;
        let skip = std::mem::take(&mut self.skip);
        match &part.body {
            Body::Shared(bytes) => Some(&bytes[skip..]),
            Body::Own(len) => {
                let (start, mut end) = (self.own + skip, self.own + len);
                // Parts of their own that stand one after the other are one slice.
                while let Some(Part { body: Body::Own(len), .. }) = outbox.parts.get(self.part).filter(ready)
                {
                    end += len;
                    self.part += 1;
                }
                self.own = end;
                Some(&outbox.own[start..end])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ready(outbox: &Outbox, durable: u64) -> Vec<u8> {
        outbox.outgoing(Seq(durable)).collect::<Vec<_>>().concat()
    }

    #[test]
    fn what_failed_becomes_unavailable_in_its_place() {
        let mut outbox = Outbox::default();
        outbox.write(Seq(1), Seq(0), Content::Answer(Kind::Send, 0), |out| out.extend(b"one"));
        outbox.share(Seq(1), Content::Message(MessageId(7)), &Arc::from(&b"event"[..]));
        outbox.write(Seq(2), Seq(0), Content::Answer(Kind::Send, 8), |out| {
            out.extend(b"{\"id\":2,\"tag\":7}\r\n\r\n");
        });
        outbox.share(Seq(2), Content::Message(MessageId(8)), &Arc::from(&b"lost"[..]));
        outbox.write(Seq(0), Seq(0), Content::Answer(Kind::Ping, 0), |out| out.extend(b"pong"));
        assert_eq!(ready(&outbox, 1), b"oneevent");
        outbox.sent(1);
        assert_eq!(outbox.fail(Seq(2), Seq(1)).message, Some(MessageId(8)));
        let unavailable = "{\"status\":\"ERROR\",\"data\":\"pesan tidak terkirim\",\"code\":\"unavailable\",\"tag\":7}\r\n\r\n";
        assert_eq!(ready(&outbox, 1), format!("neevent{unavailable}pong").as_bytes());
        assert_eq!(outbox.len(), ready(&outbox, 1).len());
    }

    #[test]
    fn what_is_sent_is_held_no_longer() {
        let mut outbox = Outbox::default();
        let shared: Arc<[u8]> = Arc::from(&b"event"[..]);
        outbox.write(Seq(0), Seq(0), Content::Answer(Kind::Ping, 0), |out| out.extend(b"pong"));
        outbox.share(Seq(0), Content::Message(MessageId(7)), &shared);
        outbox.sent(4);
        assert_eq!((outbox.parts.len(), outbox.len()), (1, 5));
        outbox.sent(5);
        assert_eq!((outbox.parts.len(), outbox.len(), Arc::strong_count(&shared)), (0, 0, 1));
    }

    #[test]
    fn what_was_pushed_for_a_subscription_that_is_lost_is_not_sent_again() {
        for (answer, expected) in [("OK", None), ("ERROR", Some(MessageId(3)))] {
            let mut outbox = Outbox::default();
            outbox.write(Seq(1), Seq(0), Content::Answer(Kind::Subscribe, 0), |out| {
                out.extend_from_slice(format!("{{\"status\":\"{answer}\"}}\r\n\r\n").as_bytes());
            });
            outbox.write(Seq(1), Seq(0), Content::Message(MessageId(3)), |out| out.extend(b"event"));
            assert_eq!(outbox.fail(Seq(1), Seq(0)).message, expected, "{answer}");
        }
    }

    proptest! {
        #[test]
        fn bytes_leave_in_order_and_not_before_their_record(
            steps in prop::collection::vec((0_u8..4, 0_usize..40), 0..60),
        ) {
            let (mut outbox, mut all, mut left) = (Outbox::default(), Vec::new(), Vec::<u8>::new());
            let (mut seq, mut durable) = (0_u64, 0_u64);
            // For each record, how many bytes stand before the first that it gates.
            let mut gates = vec![(0_usize, 0_u64)];
            for (step, size) in steps {
                let bytes = vec![all.len() as u8; size + 1];
                match step {
                    0 => outbox.write(Seq(seq), Seq(durable), Content::Answer(Kind::Send, 0), |out| out.extend(&bytes)),
                    1 => outbox.share(Seq(seq), Content::Other, &Arc::from(&bytes[..])),
                    2 => seq += 1,
                    _ => durable = seq.min(durable + 1),
                }
                if step < 2 {
                    gates.push((all.len(), seq));
                    all.extend(bytes);
                }
                let may = gates.iter().find(|(_, gate)| *gate > durable).map_or(all.len(), |(at, _)| *at);
                let out = ready(&outbox, durable);
                prop_assert_eq!(&all[left.len()..may], &out[..]);
                let n = size.min(out.len());
                outbox.sent(n);
                left.extend(&out[..n]);
                prop_assert_eq!(outbox.len(), all.len() - left.len());
            }
        }
    }
}
