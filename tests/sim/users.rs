//! Users: programs around the client of this project that register, chat, confirm, try again, and break.

use std::collections::{BTreeSet, VecDeque};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use obrolan::{
    Peer,
    client::{Backoff, Client, Login, Message, RequestId},
    wire::Request,
};
use serde_json::json;

use crate::{
    ledger::{Sending, To, file_name, text},
    network::{HangUp, LinkId, Who},
    world::{Event, World},
};

const NAMES: [&str; 6] = ["ani", "budi", "citra", "dewi", "eka", "fajar"];
pub(crate) const GROUPS: [&str; 3] = ["warga", "tamu", "kerja"];

/// How long a user waits for any answer before the connection counts as lost.
const PATIENCE: u64 = 30_000;

/// How long a user says nothing before asking whether the server is there, and the session. (PING would ask for the server alone.)
const KEEP_ALIVE: u64 = 60_000;

/// The longest time between two attempts to connect.
const BACKOFF: u64 = 8000;

/// What a request is about.
#[derive(Clone, Debug)]
pub(crate) enum Topic {
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
pub(crate) struct Asked {
    pub(crate) id: RequestId,
    pub(crate) topic: Topic,
    pub(crate) keyed: bool,
}

pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    pub(crate) backoff: Backoff,
    pub(crate) link: Option<LinkId>,
    /// When to connect again.
    pub(crate) connect_at: u64,
    /// When something was last heard, or nothing was waited for.
    pub(crate) heard: u64,
    pub(crate) asked: VecDeque<Asked>,
    /// To be tried again from some time on.
    pub(crate) again: Vec<(u64, Topic, bool)>,
    /// How many requests it has yet to make of its own will.
    left: u64,
    pub(crate) registered: bool,
    /// Of this program's life: the last message received.
    pub(crate) received: u64,
    /// Up to where it has confirmed, and wants to.
    pub(crate) confirmed: u64,
    /// Files that are fetched.
    pub(crate) fetched: BTreeSet<u64>,
    /// The inspection at the end: what is still to be asked.
    pub(crate) inspecting: Option<Vec<Topic>>,
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

    pub(crate) fn login(&self) -> Login {
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
    pub(crate) fn leave(&mut self, at: usize, how: HangUp) {
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

    pub(crate) fn ask(&mut self, at: usize, topic: Topic, keyed: bool) {
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
}

/// The request that sends a message.
fn message_line(number: usize, sending: &Sending, keyed: bool) -> String {
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
