//! What a typed line does.

use std::time::Instant;

use obrolan::{
    client::{Client, RequestError, RequestId},
    wire::{Object, Request},
};

use super::{Chat, Link};
use crate::{
    chat::{
        show::Asked,
        typed::{HELP, Typed},
    },
    cli::Conversation,
};

/// In so many of the last messages of a conversation the name of a file is looked for: as many as the server gives at once.
const LOOK_BACK: u64 = 100;

impl Chat<'_> {
    /// Takes the lines that were typed, up to one that waits until it is known whom it is for.
    pub(super) fn take_lines(&mut self) -> Result<(), String> {
        while self.has_room()
            && let Some(line) = self.lines.front()
        {
            let typed = self.parse(line);
            if self.turning > 0 && matches!(&typed, Ok(Some(typed)) if typed.needs_conversation()) {
                break;
            }
            self.lines.pop_front();
            match typed {
                Ok(Some(typed)) => self.take_typed(typed)?,
                Ok(None) => {}
                Err(why) => self.complain(&why),
            }
        }
        Ok(())
    }

    fn parse(&self, line: &str) -> Result<Option<Typed>, String> {
        if !self.verbatim {
            return Typed::parse(line);
        }
        let text = line.trim_end_matches(' ');
        Ok((!text.is_empty()).then(|| Typed::Text(text.to_owned())))
    }

    fn take_typed(&mut self, typed: Typed) -> Result<(), String> {
        match typed {
            Typed::Text(text) => match self.conversation.clone() {
                Some(to) => self.say(to, &text),
                None => self.complain("nobody to talk to yet; write /to NAME, /to #GROUP or /msg NAME TEXT"),
            },
            Typed::Message(to, text) => {
                let request = Asked::First(to.clone());
                self.ask(request, |client| client.request(&Request::Send { to: &to, text: &text }));
            }
            Typed::To(to) => self.conversation = Some(to),
            Typed::Join(group) => {
                let request = Asked::Join(group.clone());
                self.ask(request, |client| client.request(&Request::JoinGroup { group: &group }));
            }
            Typed::Create(group) => {
                let request = Asked::Create(group.clone());
                self.ask(request, |client| client.request(&Request::AddGroup { group: &group }));
            }
            Typed::Leave(group) => match group.or_else(|| self.current_group()) {
                Some(group) => {
                    self.forget_group(&group);
                    let request = Asked::Leave(group.clone());
                    self.ask(request, |client| client.request(&Request::LeaveGroup { group: &group }));
                }
                None => self.complain("which group? write /leave GROUP"),
            },
            Typed::Members(group) => match group.or_else(|| self.current_group()) {
                Some(group) => {
                    self.ask(Asked::Members, |client| {
                        client.request(&Request::ListGroup { group: Some(&group) })
                    });
                }
                None => self.complain("which group? write /members GROUP"),
            },
            Typed::History(count) => match self.conversation.clone() {
                Some(with) => self.look_back(&with, count, Asked::History(with.clone())),
                None => self.complain("which conversation? write /to NAME or /to #GROUP first"),
            },
            Typed::Users => {
                self.ask(Asked::Users, |client| client.request(&Request::ListUsers { after: None }));
            }
            Typed::Groups => self.ask(Asked::Groups, |client| client.request(&Request::ListMyGroups)),
            Typed::Whoami => self.ask(Asked::Whoami, |client| client.request(&Request::Whoami)),
            Typed::Raw(line) => self.ask(Asked::Raw, |client| client.request_line(&line)),
            Typed::Send(path) => match self.conversation.clone() {
                Some(to) => {
                    let queued = self.transfers.send(&path, to);
                    self.take_queued(queued);
                }
                None => self.complain("nobody to send it to yet; write /to NAME or /to #GROUP"),
            },
            Typed::Get(id, path) => match (self.transfers.knows(&id), self.conversation.clone()) {
                (Ok(false), Some(with)) => self.look_back(&with, Some(LOOK_BACK), Asked::Name(id, path)),
                (Ok(_), _) => self.get(&id, path.as_deref()),
                (Err(why), _) => self.complain(&why),
            },
            Typed::Help => self.screen.print(&format!("{HELP}\n"))?,
            Typed::Quit => self.ended = Some(Instant::now()),
        }
        Ok(())
    }

    fn current_group(&self) -> Option<String> {
        match &self.conversation {
            Some(Conversation::Group(group)) => Some(group.clone()),
            _ => None,
        }
    }

    fn say(&mut self, to: Conversation, text: &str) {
        let request = Asked::Message(to.clone());
        self.ask(request, |client| match &to {
            Conversation::User(to) => client.request(&Request::Send { to, text }),
            Conversation::Group(group) => client.request(&Request::SendGroup { group, text }),
        });
    }

    fn look_back(&mut self, with: &Conversation, count: Option<u64>, what: Asked) {
        let (Conversation::User(name) | Conversation::Group(name)) = with;
        // On a line, a limit would need a message to begin before.
        let mut line = Vec::new();
        let object = Object::begin(&mut line).field("request", "HISTORY").text("with", name);
        match count {
            Some(count) => object.field("limit", &count).end(),
            None => object.end(),
        }
        let line = String::from_utf8(line).expect("JSON is ASCII here");
        self.ask(what, |client| client.request_line(&line));
    }

    pub(super) fn ask(
        &mut self,
        what: Asked,
        request: impl FnOnce(&mut Client) -> Result<RequestId, RequestError>,
    ) {
        match request(&mut self.client) {
            Ok(_) => {
                if !matches!(what, Asked::Confirm(_)) {
                    self.remark_if_down();
                }
                self.turning += usize::from(what.turns_to().is_some());
                self.asked.push_back(what);
            }
            Err(error) => {
                self.complain(&error.to_string());
                if what.turns_to().is_some() {
                    self.stay();
                }
            }
        }
    }

    /// Lines go on to be for whom they were for. But those that are there already were not meant for them, and a program cannot
    /// know which of its lines these are: then they are for nobody.
    pub(super) fn stay(&mut self) {
        if !self.look.is_for_people() || !self.lines.is_empty() {
            self.conversation = None;
        }
    }

    pub(super) fn get(&mut self, id: &str, path: Option<&str>) {
        let queued = self.transfers.get(id, path);
        self.take_queued(queued);
    }

    fn take_queued(&mut self, queued: Result<(), String>) {
        match queued {
            Ok(()) => self.remark_if_down(),
            Err(why) => self.complain(&why),
        }
    }

    fn remark_if_down(&mut self) {
        if matches!(self.link, Link::Down(_)) && self.look.is_for_people() {
            self.screen.notice("no connection; it goes out when there is one again");
        }
    }
}
