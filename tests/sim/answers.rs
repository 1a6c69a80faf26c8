//! What users make of what they hear.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use obrolan::{
    client::{Content, Event as Heard, Message, Response},
    wire::Code,
};

use crate::{
    ledger::To,
    network::HangUp,
    users::{Asked, GROUPS, Topic},
    world::World,
};

impl World {
    /// A client has something to tell its user.
    pub(crate) fn hear(&mut self, at: usize, event: Heard) {
        match event {
            Heard::LoggedIn { .. } => self.users[at].backoff.reset(),
            Heard::LoginFailed { response } => {
                assert!(response.is_temporary(), "{} cannot log in: {response:?}", self.users[at].name);
                self.leave(at, HangUp::Politely);
            }
            Heard::SubscribeFailed { .. } => self.leave(at, HangUp::Politely),
            Heard::Message(message) => self.receives(at, &message),
            Heard::Gap { .. } => assert!(self.plan.small_mailboxes(), "there is room for every message"),
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

    /// Asks the next thing of the inspection, if there is one and nothing else is waited for.
    pub(crate) fn inspect(&mut self, at: usize) {
        let user = &mut self.users[at];
        if user.asked.is_empty()
            && let Some(topic) = user.inspecting.as_mut().and_then(Vec::pop)
        {
            self.ask(at, topic, false);
        }
    }
}
