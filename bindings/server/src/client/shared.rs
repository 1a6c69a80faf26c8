//! What a client's thread and its callers share.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Condvar, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use obrolan::{
    client::{Client as Machine, Event as Told, RequestError, RequestId, Response},
    wire::{Code, Kind, Request},
};
use smol::channel::Sender;

use super::{Call, Connection, Ended, Event, Lost, queue::Queue};

/// So many events may wait before no further request is posted whose answer would be one.
const MOST_EVENTS: usize = 10_000;

/// The state under its lock, and the ways to tell the other side that it has changed.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Tells callers of an answer, an event, a login or the end.
    changed: Condvar,
    /// Tells the thread of something to send, or to end.
    wake: Sender<()>,
}

pub(super) struct State {
    pub(super) machine: Machine,
    /// What the unanswered requests are for, in their order.
    purposes: VecDeque<Purpose>,
    /// Of the requests that somebody waits for.
    answers: BTreeMap<RequestId, Option<Response>>,
    pub(super) queue: Queue,
    confirmations: Confirmations,
    pub(super) link: Link,
    pub(super) ended: Option<Ended>,
    /// What the keys of this client's requests begin with, and how many it has made.
    key: (u64, u64),
}

/// How it stands with the connection.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Link {
    /// No attempt has come to an end yet.
    Begins,
    Up,
    /// Why not.
    Down(Lost),
}

enum Purpose {
    /// Somebody waits for the answer.
    Wait,
    /// The answer comes as an event.
    Event,
    SignOfLife,
    Confirm,
}

/// Messages that the program is done with. One ACK confirms all up to an id, so one on its way is enough.
#[derive(Default)]
struct Confirmations {
    /// Up to which id, once the one on its way is answered.
    wanted: Option<u64>,
    /// Whether one is on its way.
    asked: bool,
}

impl Shared {
    pub(super) fn new(machine: Machine, wake: Sender<()>, key: u64) -> io::Result<Shared> {
        let state = State {
            machine,
            purposes: VecDeque::new(),
            answers: BTreeMap::new(),
            queue: Queue::new()?,
            confirmations: Confirmations::default(),
            link: Link::Begins,
            ended: None,
            key: (key, 0),
        };
        Ok(Shared { state: Mutex::new(state), changed: Condvar::new(), wake })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("whoever panicked before has left the client in pieces")
    }

    /// Has the thread look at what there is to send.
    pub(super) fn wake(&self) {
        // If it is full, the thread is about to look anyway; if it is closed, the thread has ended.
        let _ = self.wake.try_send(());
    }

    /// Tells callers that something has changed.
    pub(super) fn changed(&self) {
        self.changed.notify_all();
    }

    /// Waits until `look` finds what it looks for, at most until `deadline`.
    pub(super) fn wait<T>(
        &self,
        deadline: Option<Instant>,
        mut look: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&mut state) {
                return Some(found);
            }
            let left = match deadline {
                // Waking up now and then costs nothing, and no caller has to think of what has no end.
                None => Duration::from_secs(3600),
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            };
            if left.is_zero() {
                return None;
            }
            let (locked, _) = self.changed.wait_timeout(state, left).expect("as in lock");
            state = locked;
        }
    }

    /// Lets bytes pass, and takes what has come of them.
    pub(super) fn exchange(&self, connection: &mut Connection) -> Result<(), Lost> {
        let mut state = self.lock();
        let passed = connection.exchange(&mut state.machine);
        // What came before the end still counts.
        let taken = state.take_events();
        self.changed();
        passed.and(taken)
    }
}

impl State {
    /// Makes a request that somebody will wait for.
    pub(super) fn ask(&mut self, call: &Call<'_>) -> Result<RequestId, RequestError> {
        let id = self.request(call, Purpose::Wait)?;
        self.answers.insert(id, None);
        Ok(id)
    }

    /// Makes a request whose answer comes as an event.
    pub(super) fn post(&mut self, call: &Call<'_>) -> Result<RequestId, RequestError> {
        if self.queue.len() >= MOST_EVENTS {
            return Err(RequestError::Full);
        }
        self.request(call, Purpose::Event)
    }

    fn request(&mut self, call: &Call<'_>, purpose: Purpose) -> Result<RequestId, RequestError> {
        let id = match *call {
            Call::Request(ref request) if is_done_again(request) => {
                let (client, number) = &mut self.key;
                *number += 1;
                self.machine.request_once(request, &format!("{client:016x}-{number}"))
            }
            Call::Request(ref request) => self.machine.request(request),
            Call::Keyed(ref request, key) => self.machine.request_once(request, key),
            Call::Line(line) => self.machine.request_line(line),
        }?;
        self.purposes.push_back(purpose);
        Ok(id)
    }

    /// Asks the server for a sign of life.
    pub(super) fn ask_for_life(&mut self) {
        // Not PING: to act for the session keeps it, and tells if it has ended. With so many requests on their way that there is no
        // room for it, their answers will do.
        let _ = self.request(&Call::Request(Request::Whoami), Purpose::SignOfLife);
    }

    /// The answer to a request that was [asked](Self::ask), once it is there.
    pub(super) fn answer(&mut self, id: RequestId) -> Option<Response> {
        let response = self.answers.get_mut(&id)?.take()?;
        self.answers.remove(&id);
        Some(response)
    }

    /// Nobody waits for the answer any more.
    pub(super) fn forget(&mut self, id: RequestId) {
        self.answers.remove(&id);
    }

    /// Has all messages up to an id confirmed.
    pub(super) fn confirm(&mut self, id: u64) {
        self.confirmations.wanted = self.confirmations.wanted.max(Some(id));
        self.send_confirmation();
    }

    fn send_confirmation(&mut self) {
        let Some(id) = self.confirmations.wanted else { return };
        // If there is no room for it now, an answer will make some.
        if !self.confirmations.asked
            && self.ended.is_none()
            && self.request(&Call::Request(Request::Ack { id }), Purpose::Confirm).is_ok()
        {
            self.confirmations = Confirmations { wanted: None, asked: true };
        }
    }

    /// Whether all that was asked is answered.
    pub(super) fn is_idle(&self) -> bool {
        self.machine.unanswered() == 0 && self.confirmations.wanted.is_none()
    }

    /// What is asked goes out from here on.
    pub(super) fn connected(&mut self, resumed: bool) {
        self.link = Link::Up;
        self.queue.push(Event::Connected { resumed });
    }

    /// Nothing comes any more.
    pub(super) fn end(&mut self, ended: Ended) {
        if self.ended.is_none() {
            self.ended = Some(ended);
            self.queue.end();
        }
    }

    /// Takes what the machine has made of what came in. The error is a login that may succeed later, or a session that has ended.
    fn take_events(&mut self) -> Result<(), Lost> {
        let mut result = Ok(());
        while let Some(told) = self.machine.poll_event() {
            match told {
                Told::LoggedIn { resumed } => self.connected(resumed),
                Told::LoginFailed { response } if response.is_temporary() => {
                    result = Err(Lost::Refused(response));
                }
                Told::LoginFailed { response } => self.end(Ended::Refused(response)),
                Told::Response { id, response } => {
                    let answered = self.answered(id, response);
                    result = result.and(answered);
                }
                Told::Message(message) => self.queue.push(Event::Message(message)),
                Told::Gap { count } => self.queue.push(Event::Gap { count }),
                Told::Closing => self.queue.push(Event::Closing),
                Told::SubscribeFailed { response } => {
                    self.queue.push(Event::NoMessages { why: response.reason() });
                }
                // This version has no name for it, and so no program that was made for this version waits for it.
                _ => {}
            }
        }
        if self.machine.is_finished() {
            self.end(Ended::Quit);
        }
        self.send_confirmation();
        result
    }

    fn answered(&mut self, id: RequestId, response: Response) -> Result<(), Lost> {
        let own_ended = response.code() == Some(Code::NoSession);
        match self.purposes.pop_front().expect("every request has a purpose") {
            Purpose::Wait => {
                if let Some(answer) = self.answers.get_mut(&id) {
                    *answer = Some(response);
                }
            }
            Purpose::Event => self.queue.push(Event::Response { id, response }),
            // Without a session no message comes any more. A new connection brings a new one.
            Purpose::SignOfLife if own_ended => return Err(Lost::Gone("the session has ended".to_owned())),
            Purpose::SignOfLife => {}
            Purpose::Confirm => {
                self.confirmations.asked = false;
                if !response.is_ok() {
                    // The messages come again when the program starts again; the next confirmation is another attempt.
                    self.confirmations.wanted = None;
                }
            }
        }
        Ok(())
    }
}

/// Whether a repeated request would be done twice, and a key prevents it. ACK does no harm twice.
fn is_done_again(request: &Request<'_>) -> bool {
    let kind = request.kind();
    kind.takes_key() && kind != Kind::Ack
}
