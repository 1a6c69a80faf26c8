//! What has happened and nobody has taken yet.

use std::{collections::VecDeque, io, os::fd::BorrowedFd};

use obrolan::client::{Content, Message};

use super::{Event, readiness::Readiness};

/// So many messages wait at most,
const MESSAGES: usize = 1000;
/// and so many bytes of them. Others stay in the mailbox on the server until there is room.
const BYTES: usize = 4 << 20;

/// Events in their order, and a descriptor that is readable while there are some.
pub(super) struct Queue {
    events: VecDeque<Event>,
    messages: usize,
    bytes: usize,
    /// The last message that came in.
    last: u64,
    /// Messages were left out, and are to be asked for once there is room.
    behind: bool,
    /// Messages are not wanted for now.
    held: bool,
    readiness: Readiness,
    ended: bool,
}

impl Queue {
    pub(super) fn new() -> io::Result<Queue> {
        let readiness = Readiness::new()?;
        Ok(Queue {
            events: VecDeque::new(),
            messages: 0,
            bytes: 0,
            last: 0,
            behind: false,
            held: false,
            readiness,
            ended: false,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn push(&mut self, event: Event) {
        if let Event::Message(message) = &event {
            self.behind |=
                self.messages == MESSAGES || self.bytes + size(message) > BYTES && self.messages > 0;
            if self.behind {
                return;
            }
            self.messages += 1;
            self.bytes += size(message);
            self.last = message.id;
        }
        // A gap is told again with the messages that are left out.
        if self.behind && matches!(event, Event::Gap { .. }) {
            return;
        }
        self.events.push_back(event);
        self.tell();
    }

    /// The oldest event; while messages are held, the oldest other one.
    pub(super) fn pop(&mut self) -> Option<Event> {
        let at = if self.held {
            self.events.iter().position(|event| !matches!(event, Event::Message(_)))?
        } else {
            0
        };
        let event = self.events.remove(at);
        if let Some(Event::Message(message)) = &event {
            self.messages -= 1;
            self.bytes -= size(message);
        }
        self.tell();
        event
    }

    /// Has messages wait, or lets them come again.
    pub(super) fn hold_messages(&mut self, held: bool) {
        self.held = held;
        self.tell();
    }

    fn tell(&mut self) {
        let wait = self.events.len() - if self.held { self.messages } else { 0 };
        self.readiness.set(self.ended || wait > 0);
    }

    /// After which message to subscribe anew, if some were left out and there is room again. Tells it once.
    pub(super) fn subscribe_after(&mut self) -> Option<u64> {
        // Half of it, so that a slow reader is not served message by message.
        let room = self.messages <= MESSAGES / 2 && self.bytes <= BYTES / 2;
        (room && std::mem::take(&mut self.behind)).then_some(self.last)
    }

    /// The first event is that of the first login, which its caller has waited for.
    pub(super) fn drop_first_login(&mut self) {
        if matches!(self.events.front(), Some(Event::Connected { .. })) {
            self.pop();
        }
    }

    /// There will be no other event. Whoever polls the descriptor is to learn of it.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.tell();
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.readiness)
    }
}

fn size(message: &Message) -> usize {
    let content = match &message.content {
        Content::Text(text) => text.len(),
        Content::File(file) => file.name.len(),
        _ => 0,
    };
    size_of::<Message>() + content
}

#[cfg(test)]
mod tests {
    use obrolan::Time;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn message(id: u64, text: &str) -> Event {
        let content = Content::Text(text.to_owned());
        Event::Message(Message {
            id,
            from: "ann".into(),
            to: "bob".into(),
            group: None,
            time: Time(0),
            content,
        })
    }

    fn is_readable(queue: &Queue) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(queue.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn the_descriptor_is_readable_while_events_wait() {
        let mut queue = Queue::new().unwrap();
        assert!(!is_readable(&queue));
        queue.push(Event::Closing);
        queue.push(Event::Closing);
        assert!(is_readable(&queue));
        queue.pop();
        assert!(is_readable(&queue));
        queue.pop();
        assert!(!is_readable(&queue) && queue.pop().is_none());
        queue.end();
        assert!(queue.pop().is_none() && is_readable(&queue));
    }

    #[test]
    fn messages_that_are_held_let_others_pass() {
        let mut queue = Queue::new().unwrap();
        queue.hold_messages(true);
        queue.push(message(1, "x"));
        assert!(!is_readable(&queue) && queue.pop().is_none());
        queue.push(Event::Closing);
        assert!(is_readable(&queue));
        assert_eq!(queue.pop(), Some(Event::Closing));
        assert!(!is_readable(&queue));
        queue.hold_messages(false);
        assert!(is_readable(&queue));
        assert_eq!(queue.pop(), Some(message(1, "x")));
        assert!(!is_readable(&queue));
    }

    #[test]
    fn what_has_no_room_is_asked_for_again() {
        let mut queue = Queue::new().unwrap();
        let most = MESSAGES as u64;
        (1..=most + 5).for_each(|id| queue.push(message(id, "x")));
        queue.push(Event::Gap { count: 1 });
        queue.push(Event::Closing);
        assert_eq!(queue.len(), MESSAGES + 1, "what is no message is not left out");
        assert_eq!(queue.subscribe_after(), None, "no room yet");
        (0..MESSAGES / 2).for_each(|_| drop(queue.pop()));
        assert_eq!(queue.subscribe_after(), Some(most));
        assert_eq!(queue.subscribe_after(), None, "told once");
        queue.push(message(most + 1, "x"));
        assert_eq!(queue.last, most + 1);
    }

    #[test]
    fn large_messages_are_few() {
        let mut queue = Queue::new().unwrap();
        let large = "x".repeat(BYTES);
        queue.push(message(1, &large));
        queue.push(message(2, "x"));
        assert_eq!((queue.len(), queue.last), (1, 1), "one comes through, whatever its size");
        queue.pop();
        assert_eq!(queue.subscribe_after(), Some(1));
    }
}
