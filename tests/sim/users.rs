//! Users: programs around the client of this project that register, chat, confirm, try again, and break.

use std::collections::{BTreeSet, VecDeque};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use obrolan::{
    Peer,
    client::{Backoff, Client, Content, Event as Heard, Login, Message, RequestId, Response},
    wire::{Code, Request},
};
use serde_json::json;

use crate::{
    ledger::{To, file_name, text},
    network::{HangUp, LinkId, Who},
    world::{Event, World},
};

const NAMES: [&str; 6] = ["ani", "budi", "citra", "dewi", "eka", "fajar"];
const GROUPS: [&str; 3] = ["warga", "tamu", "kerja"];

/// How long a user waits for any answer before the connection counts as lost.
const PATIENCE: u64 = 30_000;

/// How long a user says nothing before asking whether the server is there, and the session. (PING would ask for the server alone.)
const KEEP_ALIVE: u64 = 60_000;

/// The longest time between two attempts to connect.
const BACKOFF: u64 = 8000;

/// What a request is about.
#[derive(Clone, Debug)]
enum Topic {
    Register,
    /// A message of the ledger.
    Send(usize),
    /// Being in a group or not; of these, the ledger's number. `add` makes the group.
    Member {
        group: &'static str,
        joins: bool,
        add: bool,
        at: usize,
    },
    Confirm(u64),
    /// The file of a message, by its id and the message of the ledger.
    File(u64, usize),
    Logout,
    Whoami,
    Inbox,
    /// A conversation, and what of it was read, the newest first.
    History {
        with: String,
        read: Vec<Message>,
    },
}

/// A request that was made and not answered.
struct Asked {
    id: RequestId,
    topic: Topic,
    keyed: bool,
}

pub(crate) struct User {
    pub(crate) name: &'static str,
    client: Client,
    backoff: Backoff,
    link: Option<LinkId>,
    /// When to connect again.
    connect_at: u64,
    /// When something was last heard, or nothing was waited for.
    heard: u64,
    asked: VecDeque<Asked>,
    /// To be tried again from some time on.
    again: Vec<(u64, Topic, bool)>,
    /// How many requests it has yet to make of its own will.
    left: u64,
    registered: bool,
    /// Of this program's life: the last message received.
    received: u64,
    /// Up to where it has confirmed, and wants to.
    confirmed: u64,
    /// Files that are fetched.
    fetched: BTreeSet<u64>,
    /// The inspection at the end: what is still to be asked.
    inspecting: Option<Vec<Topic>>,
}

impl User {
    pub(crate) fn new(at: usize, requests: u64, seed: u64) -> User {
        let name = NAMES[at];
        User {
            name,
            client: Client::new(Login::nothing()),
            backoff: Backoff::new(seed, BACKOFF),
            link: None,
            connect_at: 0,
            heard: 0,
            asked: VecDeque::new(),
            again: Vec::new(),
            left: requests,
            registered: false,
            received: 0,
            confirmed: 0,
            fetched: BTreeSet::new(),
            inspecting: None,
        }
    }

    fn login(&self) -> Login {
        Login::password(self.name, "rahasia").expect("it is one word")
    }

    fn register(&mut self) {
        let request =
            Request::Register { user: self.name, password: "rahasia", country: "Indonesia", name: self.name };
        let id = self.client.request(&request).expect("it can be written");
        self.asked.push_back(Asked { id, topic: Topic::Register, keyed: false });
    }

    /// Whether all the requests that it wants to make are answered.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0 && self.asked.is_empty() && self.again.is_empty()
    }

    pub(crate) fn stop_chatting(&mut self) {
        self.left = 0;
    }

    /// What it waits for.
    pub(crate) fn state(&self) -> String {
        let topics: Vec<&Topic> = self.asked.iter().map(|asked| &asked.topic).collect();
        format!(
            "{} on {:?}: {topics:?} asked, {:?} again, {} confirmed of {}, inspecting {:?}, {:?}",
            self.name, self.link, self.again, self.confirmed, self.received, self.inspecting, self.client
        )
    }

    pub(crate) fn link(&self) -> Option<LinkId> {
        self.link
    }

    /// Whether all it wanted is done and confirmed.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.registered
            && self.left == 0
            && self.asked.is_empty()
            && self.again.is_empty()
            && self.confirmed >= self.received
            && self.inspecting.as_ref().is_none_or(Vec::is_empty)
    }
}

/// Names of the users of a world.
pub(crate) fn names(users: usize) -> Vec<String> {
    NAMES[..users].iter().map(|name| (*name).to_owned()).collect()
}

impl World {
    /// A user does what comes to mind.
    pub(crate) fn think(&mut self, at: usize) {
        let now = self.now;
        let user = &mut self.users[at];
        match user.link {
            None if now >= user.connect_at => self.connect(at),
            None => {}
            Some(_) if user.client.unanswered() == 0 => user.heard = now.max(user.heard),
            Some(_) if now.saturating_sub(user.heard) > PATIENCE => self.lose_patience(at),
            Some(_) => {}
        }
        self.ask_again(at);
        self.chat(at);
        self.inspect(at);
        self.keep_alive(at);
        if let Some(link) = self.users[at].link {
            self.writes(Who::User(at), link);
        }
        let chatty = self.users[at].registered && self.users[at].left > 0;
        let pause = if chatty { 1 + self.random.below(self.plan.think) } else { 500 };
        self.schedule(pause, Event::User(at));
    }

    fn connect(&mut self, at: usize) {
        let link = self.open(Who::User(at), Peer::Local);
        let user = &mut self.users[at];
        user.connect_at = self.now + user.backoff.next_delay();
        let Some(link) = link else { return };
        user.link = Some(link);
        user.heard = self.now;
        if !user.registered && user.asked.is_empty() {
            user.register();
        }
        user.client.connected();
        for asked in 0..user.asked.len() {
            self.goes_over(at, asked, link);
        }
    }

    /// What was asked may have gone over this connection, for all the user knows.
    fn goes_over(&mut self, at: usize, asked: usize, link: LinkId) {
        match &self.users[at].asked[asked].topic {
            Topic::Send(number) => self.ledger.goes_over(*number, link),
            Topic::Member { group, at: number, .. } => {
                self.ledger.membership_goes_over(at, group, *number, link);
            }
            _ => {}
        }
    }

    fn lose_patience(&mut self, at: usize) {
        let how = self.random.pick(&[HangUp::AtOnce, HangUp::Silently]);
        self.leave(at, how);
    }

    /// A user lets the connection go, and opens another one later.
    fn leave(&mut self, at: usize, how: HangUp) {
        let user = &mut self.users[at];
        if let Some(link) = user.link.take() {
            // Half a line and its polite end would be a request.
            let half = !user.client.outgoing().is_empty();
            user.client.disconnected();
            user.connect_at = self.now + user.backoff.next_delay();
            self.hang_up(link, if half { HangUp::AtOnce } else { how });
        }
    }

    /// A user's program is killed, and starts again without knowing what it was waiting for, except what it has written down.
    pub(crate) fn restart_user(&mut self, at: usize) {
        self.leave(at, HangUp::AtOnce);
        let user = &mut self.users[at];
        user.client = Client::new(Login::nothing());
        user.received = user.confirmed;
        let asked = std::mem::take(&mut user.asked);
        if user.registered {
            user.client.login(user.login());
            user.client.subscribe(0);
        }
        for Asked { topic, keyed, .. } in asked {
            match topic {
                Topic::Send(_) if keyed || self.random.once_in(2) => {
                    self.users[at].again.push((self.now, topic, keyed));
                }
                _ => {}
            }
        }
    }

    /// Makes the requests again whose time has come.
    fn ask_again(&mut self, at: usize) {
        let now = self.now;
        let user = &mut self.users[at];
        if !user.registered {
            return;
        }
        for (_, topic, keyed) in user.again.extract_if(.., |(time, ..)| *time <= now).collect::<Vec<_>>() {
            self.ask(at, topic, keyed);
        }
    }

    /// Makes some requests of its own will.
    fn chat(&mut self, at: usize) {
        if !self.users[at].registered {
            return;
        }
        let most = self.users[at].left.min(1 + self.random.below(self.plan.burst));
        for _ in 0..most {
            self.users[at].left -= 1;
            let keyed = self.random.below(100) < self.plan.keyed;
            let group = GROUPS[self.random.below(self.plan.groups as u64) as usize];
            let topic = match self.random.below(20) {
                0..=2 => self.membership(at, group, true),
                3 => self.membership(at, group, false),
                4 => Topic::Logout,
                5..=6 => {
                    let with = NAMES[self.random.below(self.plan.users as u64) as usize];
                    Topic::History { with: with.to_owned(), read: Vec::new() }
                }
                7 => Topic::Inbox,
                8..=13 => self.new_message(at, To::Group(group.to_owned()), keyed),
                _ => {
                    let to = self.random.below(self.plan.users as u64) as usize;
                    self.new_message(at, To::User(to), keyed)
                }
            };
            self.ask(at, topic, keyed);
        }
    }

    fn membership(&mut self, at: usize, group: &'static str, joins: bool) -> Topic {
        let number = self.ledger.begin_membership(at, group, joins);
        let add = joins && self.random.once_in(2);
        Topic::Member { group, joins, add, at: number }
    }

    fn new_message(&mut self, from: usize, to: To, keyed: bool) -> Topic {
        let number = self.ledger.next_number();
        let padding = "x".repeat(self.random.below(self.plan.text) as usize);
        let is_file = self.random.once_in(6);
        self.ledger.begin(from, to, text(number, &padding), is_file, keyed);
        Topic::Send(number)
    }

    fn ask(&mut self, at: usize, topic: Topic, keyed: bool) {
        let user = &mut self.users[at];
        let client = &mut user.client;
        let id = match &topic {
            Topic::Register => unreachable!("that is asked first of all"),
            Topic::Send(number) => {
                self.ledger.attempted(*number);
                let line = message_line(*number, self.ledger.sending(*number), keyed);
                client.request_line(&line)
            }
            Topic::Member { group, joins, add, at } => {
                let name = match (joins, add) {
                    (true, true) => "ADD_GROUP",
                    (true, false) => "JOIN_GROUP",
                    (false, _) => "LEAVE_GROUP",
                };
                let key = format!("anggota-{group}-{at}");
                match keyed {
                    true => client
                        .request_line(&json!({"request": name, "group": group, "dedupe": key}).to_string()),
                    false => client.request_line(&format!("{name} {group}")),
                }
            }
            Topic::Confirm(id) => client.request(&Request::Ack { id: *id }),
            Topic::File(id, _) => {
                client.request(&Request::GetFile { id: &id.to_string(), offset: None, length: None })
            }
            Topic::Logout => client.request(&Request::Logout),
            Topic::Whoami => client.request(&Request::Whoami),
            Topic::Inbox => client.request(&Request::Inbox { after: None }),
            Topic::History { with, read } => {
                let before = read.last().map(|message| message.id);
                client.request(&Request::History { with, before, limit: before.map(|_| 7) })
            }
        };
        let id = id.expect("there is room for it, and it can be written");
        user.asked.push_back(Asked { id, topic, keyed });
        if let Some(link) = user.link {
            self.goes_over(at, self.users[at].asked.len() - 1, link);
        }
    }

    /// Asks the server whether it is there, and confirms what is still to be.
    fn keep_alive(&mut self, at: usize) {
        let user = &self.users[at];
        if user.link.is_none() || !user.registered || user.client.unanswered() > 0 {
            return;
        }
        let due = self.now.saturating_sub(user.heard) > KEEP_ALIVE || self.random.once_in(20);
        if user.confirmed < user.received && (self.healed || due) {
            let up_to = user.received;
            self.ask(at, Topic::Confirm(up_to), false);
        } else if due {
            self.ask(at, Topic::Whoami, false);
        }
    }

    /// A client's bytes go to its connection.
    pub(crate) fn writes(&mut self, who: Who, link: LinkId) {
        match who {
            Who::Stranger(at) => self.stranger_writes(at, link),
            Who::User(at) => loop {
                let bytes = self.users[at].client.outgoing().to_vec();
                let n = self.client_writes(link, &bytes);
                if n == 0 {
                    return;
                }
                self.users[at].client.sent(n);
            },
        }
    }

    /// Bytes came for a client.
    pub(crate) fn hears(&mut self, who: Who, link: LinkId, bytes: &[u8]) {
        let at = match who {
            Who::Stranger(at) => return self.stranger_hears(at, bytes),
            Who::User(at) => at,
        };
        let user = &mut self.users[at];
        if user.link != Some(link) {
            return;
        }
        user.heard = self.now;
        user.client.receive(bytes).expect("the server keeps to the protocol");
        while let Some(event) = self.users[at].client.poll_event() {
            self.trace.show(self.now, format_args!("{} hears {event:?}", NAMES[at]));
            self.hear(at, event);
        }
        if self.users[at].link == Some(link) {
            self.writes(who, link);
        }
    }

    /// A client's connection has ended.
    pub(crate) fn is_hung_up(&mut self, who: Who, link: LinkId) {
        let Who::User(at) = who else { return };
        let user = &mut self.users[at];
        if user.link == Some(link) {
            user.link = None;
            user.client.disconnected();
            user.connect_at = self.now + user.backoff.next_delay();
        }
    }

    fn hear(&mut self, at: usize, event: Heard) {
        match event {
            Heard::LoggedIn { .. } => self.users[at].backoff.reset(),
            Heard::LoginFailed { response } => {
                assert!(response.is_temporary(), "{} cannot log in: {response:?}", self.users[at].name);
                self.leave(at, HangUp::Politely);
            }
            Heard::SubscribeFailed { .. } => self.leave(at, HangUp::Politely),
            Heard::Message(message) => self.receives(at, &message),
            Heard::Gap { count } => self.ledger.gap(at, count),
            Heard::Closing => {}
            Heard::Response { id, response } => {
                let asked = self.users[at].asked.pop_front().expect("it was asked");
                assert_eq!(asked.id, id, "answers come in the order of the requests");
                if !matches!(asked.topic, Topic::Whoami) {
                    self.progress = self.now;
                }
                self.answered(at, asked, &response);
            }
            other => panic!("nobody understands {other:?}"),
        }
    }

    fn receives(&mut self, at: usize, message: &Message) {
        let number = self.ledger.received(at, &self.names, message);
        self.progress = self.now;
        let user = &mut self.users[at];
        assert!(message.id > user.received, "{} receives {message:?} after {}", user.name, user.received);
        user.received = message.id;
        if matches!(message.content, Content::File(_)) && user.fetched.insert(message.id) {
            self.ask(at, Topic::File(message.id, number), false);
        }
        if self.random.once_in(self.plan.confirms) {
            self.ask(at, Topic::Confirm(message.id), false);
        }
    }

    fn answered(&mut self, at: usize, asked: Asked, response: &Response) {
        let Asked { topic, keyed, .. } = asked;
        if let Topic::Send(number) = topic
            && !response.is_ok()
        {
            self.ledger.refused(number);
        }
        if response.code() == Some(Code::NoSession) {
            // It has ended, or was lost with the store: the next connection logs in anew.
            self.leave(at, HangUp::Politely);
        }
        if response.is_temporary() || response.code() == Some(Code::NoSession) {
            match topic {
                // The next connection asks again.
                Topic::Register => self.leave(at, HangUp::Politely),
                Topic::Whoami | Topic::Logout => {}
                topic => {
                    let time = self.now + self.random.below(2000);
                    self.users[at].again.push((time, topic, keyed));
                }
            }
            return;
        }
        let user = &mut self.users[at];
        match topic {
            Topic::Register => {
                let taken = response.code() == Some(Code::UserExists);
                assert!(response.is_ok() || taken, "{} cannot register: {response:?}", user.name);
                user.registered = true;
                user.client.login(user.login());
                user.client.subscribe(0);
            }
            Topic::Send(number) => match response.number("id").filter(|_| response.is_ok()) {
                Some(id) => self.ledger.sent(number, id),
                None => assert!(
                    matches!(
                        response.code(),
                        // Without a session, lines are shorter.
                        Some(
                            Code::NotMember
                                | Code::NoSuchGroup
                                | Code::NoSuchUser
                                | Code::MailboxFull
                                | Code::TooLong
                        )
                    ),
                    "{} cannot send: {response:?}",
                    user.name
                ),
            },
            Topic::Member { group, joins, add, at: number } => {
                let known = match response.code() {
                    None => true,
                    Some(Code::AlreadyMember) => joins,
                    Some(Code::NotMember | Code::NoSuchGroup) if !joins => true,
                    Some(Code::NoSuchGroup) if !add => false,
                    Some(Code::GroupExists) if add => false,
                    _ => panic!("{} cannot be in a group: {response:?}", user.name),
                };
                if let Some(link) = user.link.filter(|_| known) {
                    self.ledger.membership_known(at, group, number, link);
                }
            }
            Topic::Confirm(id) => {
                assert!(response.is_ok(), "{} cannot confirm: {response:?}", user.name);
                user.confirmed = user.confirmed.max(id);
            }
            Topic::File(_, number) => {
                let content = response.text("data").map(|base64| BASE64_STANDARD.decode(base64));
                let right = self.ledger.sending(number).text.as_bytes();
                assert!(content.is_some_and(|content| content.as_deref() == Ok(right)), "{response:?}");
            }
            Topic::Logout => {
                let login = user.login();
                user.client.login(login);
                user.client.subscribe(user.received);
            }
            Topic::Whoami => assert!(response.is_ok()),
            Topic::Inbox => self.sees_inbox(at, response),
            Topic::History { with, read } => self.sees_history(at, with, read, response),
        }
    }

    fn sees_inbox(&mut self, at: usize, response: &Response) {
        let messages = response.messages().expect("an inbox has messages");
        for message in &messages {
            self.ledger.received(at, &self.names, message);
        }
        let over = self.users[at].inspecting.is_some();
        assert!(
            !over || messages.is_empty(),
            "{} has confirmed all, and has {messages:?}",
            self.users[at].name
        );
    }

    fn sees_history(&mut self, at: usize, with: String, mut read: Vec<Message>, response: &Response) {
        if !response.is_ok() {
            let strange = matches!(response.code(), Some(Code::NotMember | Code::NoSuchUser));
            assert!(strange, "{} cannot read: {response:?}", self.users[at].name);
            return;
        }
        let page = response.messages().expect("a history has messages");
        for message in page.into_iter().rev() {
            self.ledger.saw(at, &self.names, &message);
            let last = read.last().map_or(u64::MAX, |last| last.id);
            assert!(message.id < last, "a history goes backwards");
            read.push(message);
        }
        if response.body()["more"] == true {
            return self.ask(at, Topic::History { with, read }, false);
        }
        if self.users[at].inspecting.is_some() {
            self.check_history(at, &with, &read);
        }
    }

    /// A whole conversation, read at the end, is all that is known of it.
    fn check_history(&self, at: usize, with: &str, read: &[Message]) {
        let there: BTreeSet<u64> = read.iter().map(|message| message.id).collect();
        let known = match self.names.iter().position(|name| name == with) {
            Some(other) => self.ledger.ids(|sending| {
                let ends = (sending.from, &sending.to);
                ends == (at, &To::User(other)) || ends == (other, &To::User(at))
            }),
            // Members are shown what came since they joined.
            None => {
                let oldest = there.first().copied().unwrap_or(u64::MAX);
                let of_group = self.ledger.ids(|sending| sending.to == To::Group(with.to_owned()));
                of_group.into_iter().filter(|id| *id >= oldest).collect()
            }
        };
        let lost: Vec<&u64> = known.difference(&there).collect();
        assert!(lost.is_empty(), "{} does not see {lost:?} in the history with {with}", self.users[at].name);
    }

    /// All is at rest: everybody looks whether everything is there.
    pub(crate) fn begin_inspection(&mut self) {
        for user in &mut self.users {
            let mut topics = vec![Topic::Inbox];
            let with = self.names.iter().map(String::as_str).chain(GROUPS);
            topics.extend(with.map(|with| Topic::History { with: with.to_owned(), read: Vec::new() }));
            user.inspecting = Some(topics);
        }
    }

    fn inspect(&mut self, at: usize) {
        let user = &mut self.users[at];
        if user.asked.is_empty()
            && let Some(topic) = user.inspecting.as_mut().and_then(Vec::pop)
        {
            self.ask(at, topic, false);
        }
    }
}

fn message_line(number: usize, sending: &crate::ledger::Sending, keyed: bool) -> String {
    let (to, field) = match &sending.to {
        To::User(to) => (NAMES[*to], "to"),
        To::Group(group) => (&group[..], "group"),
    };
    let name = match (field, sending.is_file) {
        ("to", false) => "SEND",
        ("to", true) => "SEND_FILE",
        (_, false) => "SEND_GROUP",
        (_, true) => "SEND_GROUP_FILE",
    };
    let base64 = BASE64_STANDARD.encode(&sending.text);
    let file = file_name(number);
    match (keyed, sending.is_file) {
        (false, false) => format!("{name} {to} {}", sending.text),
        (false, true) => format!("{name} {to} {file} {base64}"),
        (true, is_file) => {
            let mut request = json!({"request": name, field: to, "dedupe": format!("kunci-{number}")});
            match is_file {
                false => request["text"] = sending.text.clone().into(),
                true => {
                    request["filename"] = file.into();
                    request["base64"] = base64.into();
                }
            }
            request.to_string()
        }
    }
}
