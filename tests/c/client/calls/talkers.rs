//! Servers and clients: how they begin and end, and what comes in between.

use std::{collections::VecDeque, os::fd::BorrowedFd};

use nix::poll::{PollFd, PollFlags, poll};

use super::{
    Awaited, Kind, Object, Run, Talker, Wrong,
    looks::{Seen, Told, seen},
    model::World,
    *,
};

impl Talker {
    /// Whether something must still come.
    pub(super) fn is_awaiting(&self) -> bool {
        self.ended.is_none() && !(self.awaited.is_empty() && self.answers.is_empty())
    }
}

impl Run {
    pub(super) fn talker(&mut self, at: usize) -> &mut Talker {
        let Object::Client(talker) = &mut self.handles[at].1 else { panic!("it is a client") };
        talker
    }

    pub(super) fn world(&mut self, at: usize) -> &mut World {
        let world = self.talker(at).world;
        &mut self.worlds[world]
    }

    /// The clients of a server, or of one of its users.
    pub(super) fn talkers(&self, world: usize, user: Option<&str>) -> Vec<usize> {
        let is_one = |at: &usize| {
            matches!(&self.handles[*at].1, Object::Client(talker)
                if talker.world == world && user.is_none_or(|user| talker.user == user))
        };
        (0..self.handles.len()).filter(is_one).collect()
    }

    pub(super) fn new_server(&mut self) {
        // SAFETY: both are there.
        let came = out(|out| unsafe { obrolan_server_open(c(IN_MEMORY).as_ptr(), out) });
        let server = came.unwrap();
        let url = lent(obrolan_server_url(server)).unwrap();
        self.worlds.push(World::new(url));
        self.keep(server.addr(), Object::Server(self.worlds.len() - 1));
        self.seen.insert(("obrolan_server_open".to_owned(), true));
    }

    /// A server, and clients that can talk.
    pub(super) fn start(&mut self) {
        self.new_server();
        let world = self.worlds.len() - 1;
        for user in ["ann", "bob"] {
            self.register(world, user, "rahasia");
            self.open_client(world, user);
        }
    }

    /// Sees to it that two users can talk.
    pub(super) fn revive(&mut self) {
        let Some(world) = self.worlds.iter().rposition(|world| world.running) else { return self.start() };
        for user in ["ann", "bob"] {
            let theirs = self.talkers(world, Some(user));
            if !theirs.into_iter().any(|at| self.talker(at).ended.is_none() && self.talker(at).session) {
                self.open_client(world, user);
            }
        }
    }

    pub(super) fn call_server(&mut self, function: &str, at: usize) {
        let Object::Server(world) = self.handles[at].1 else { unreachable!() };
        let server = self.pointer(at);
        match function {
            "obrolan_server_url" => {
                assert_eq!(lent(obrolan_server_url(server)).as_ref(), Some(&self.worlds[world].url));
                self.seen.insert((function.to_owned(), true));
            }
            "obrolan_server_stop" => {
                self.stopping(world);
                self.saw(function, checked(obrolan_server_stop(server)), Ok(()));
            }
            "obrolan_server_free" => {
                self.stopping(world);
                obrolan_server_free(server);
                self.freed(at);
                self.seen.insert((function.to_owned(), true));
            }
            _ => panic!("{function} is not called yet: tell the model what must come back"),
        }
    }

    /// Tells the model that a server is about to stop.
    fn stopping(&mut self, world: usize) {
        if !std::mem::replace(&mut self.worlds[world].running, true) {
            self.worlds[world].running = false;
            return;
        }
        for at in self.talkers(world, None) {
            if self.talker(at).ended.is_some() {
                continue;
            }
            // What was posted is on its way then.
            assert_eq!(obrolan_client_ping(self.pointer(at)), OBROLAN_OK);
            // Nobody answers from here on.
            assert_eq!(obrolan_client_set_timeout(self.pointer(at), 1), OBROLAN_OK);
            let talker = self.talker(at);
            if talker.listens && talker.session {
                talker.awaited.push_back(Awaited::Closing);
            }
            talker.awaited.push_back(Awaited::Lost("the server closed it"));
        }
        self.worlds[world].running = false;
    }

    fn login(&self, world: usize, user: &str, password: &str) -> Result<(), Wrong> {
        let world = &self.worlds[world];
        if !world.running {
            return Err(OBROLAN_ERR_UNREACHABLE.into());
        }
        match world.users.get(user) {
            Some(known) if known.password == password => Ok(()),
            _ => Err(Wrong { code: OBROLAN_ERR_AUTH, refused: OBROLAN_CODE_BAD_CREDENTIALS }),
        }
    }

    pub(super) fn register(&mut self, world: usize, user: &'static str, password: &'static str) {
        let (url, user_c, password_c) = (c(&self.worlds[world].url), c(user), c(password));
        // SAFETY: they are there.
        let came = checked(unsafe {
            obrolan_client_register(
                url.as_ptr(),
                user_c.as_ptr(),
                password_c.as_ptr(),
                c"ID".as_ptr(),
                c(&format!("{user} W")).as_ptr(),
            )
        });
        let model = if self.worlds[world].running {
            self.worlds[world].register(user, password).map_err(Wrong::from)
        } else {
            Err(OBROLAN_ERR_UNREACHABLE.into())
        };
        self.saw("obrolan_client_register", came, model);
    }

    fn talker_of(&self, world: usize, user: &'static str) -> Talker {
        Talker {
            world,
            user,
            session: true,
            listens: true,
            current: None,
            awaited: VecDeque::new(),
            answers: VecDeque::new(),
            last_post: 0,
            ended: None,
        }
    }

    pub(super) fn open_client(&mut self, world: usize, user: &'static str) {
        let password = self.worlds[world].users.get(user).map_or("secret99", |user| user.password);
        let password = if self.one_in(6) { "wrong" } else { password };
        let (url, user_c, password_c) = (c(&self.worlds[world].url), c(user), c(password));
        // SAFETY: they are there.
        let came = out(|out| unsafe {
            obrolan_client_open(url.as_ptr(), user_c.as_ptr(), password_c.as_ptr(), out)
        });
        let mut talker = self.talker_of(world, user);
        let model = self.login(world, user, password);
        if model.is_ok() {
            talker.awaited = self.mailbox(world, user, 0);
        }
        self.opened("obrolan_client_open", came, model, talker);
    }

    /// The messages that come first to a client of this user, with ids beyond `after`.
    fn mailbox(&self, world: usize, user: &str, after: u64) -> VecDeque<Awaited> {
        let mailbox = self.worlds[world].users[user].mailbox.iter();
        mailbox.filter(|id| **id > after).map(|id| Awaited::Message(*id)).collect()
    }

    fn opened(
        &mut self,
        function: &str,
        came: Result<*mut obrolan_client, Failure>,
        model: Result<(), Wrong>,
        talker: Talker,
    ) {
        let handle = came.as_ref().ok().copied();
        if self.saw(function, came.map(drop), model) {
            let at = self.keep(handle.unwrap().addr(), Object::Client(Box::new(talker)));
            if self.world(at).running && self.talker(at).ended.is_none() {
                // Its answer comes after that to SUBSCRIBE.
                assert_eq!(obrolan_client_ping(self.pointer(at)), OBROLAN_OK);
            }
        }
    }

    fn open_client_with(&mut self, world: usize, user: &'static str) {
        // SAFETY: it is as large as its size says.
        let options =
            out(|out| unsafe { obrolan_client_options_default(out, size_of::<obrolan_client_options>()) });
        let mut options = options.unwrap();
        options.messages = self.random.below(5) as i32;
        options.wait = self.random.below(2) as i32;
        options.after = self.random.below(self.worlds[world].last() + 2);
        let known = self.worlds[world].users.get(user).map_or("secret99", |user| user.password);
        let password = if self.one_in(6) { "wrong" } else { known };
        let (url, user_c, password_c) = (c(&self.worlds[world].url), c(user), c(password));
        // SAFETY: they are there.
        let came = out(|out| unsafe {
            obrolan_client_open_with(
                url.as_ptr(),
                user_c.as_ptr(),
                password_c.as_ptr(),
                &raw const options,
                out,
            )
        });
        let mut talker = self.talker_of(world, user);
        talker.listens = options.messages != OBROLAN_MESSAGES_NONE as i32;
        let mut model = self.login(world, user, password);
        if options.messages > OBROLAN_MESSAGES_NONE as i32 {
            model = Err(OBROLAN_ERR_ARGUMENT.into());
        } else if options.wait == 0 {
            match model.err().map(|wrong| wrong.code) {
                None => talker.awaited.push_back(Awaited::Connected),
                Some(OBROLAN_ERR_UNREACHABLE) => {
                    talker.awaited.push_back(Awaited::Lost("nothing listens on"));
                }
                Some(_) => talker.ended = model.err(),
            }
            model = Ok(());
        }
        if model.is_ok() && talker.ended.is_none() && self.worlds[world].running {
            let after = match options.messages {
                0 => 0,
                1 => options.after,
                _ => u64::MAX,
            };
            talker.awaited.extend(self.mailbox(world, user, after));
            if options.messages == 1 && after > self.worlds[world].last() {
                // It names no message that there is, and so asks for those to come.
                talker.awaited.retain(|awaited| *awaited == Awaited::Connected);
            }
        }
        let (refused, is_lost) = (talker.ended.is_some(), !self.worlds[world].running);
        self.opened("obrolan_client_open_with", came, model, talker);
        if model.is_ok() && (refused || is_lost) {
            let at = self.handles.len() - 1;
            if is_lost {
                assert_eq!(obrolan_client_set_timeout(self.pointer(at), 1), OBROLAN_OK);
            } else {
                // Whoever waits for an answer is told when the login is refused.
                let wrong = self.talker(at).ended.unwrap();
                self.saw("obrolan_client_ping", checked(obrolan_client_ping(self.pointer(at))), Err(wrong));
            }
        }
    }

    pub(super) fn call_open(&mut self, function: &str) {
        let user = self.any(&["ann", "bob", "eve", "e@e"]);
        let world = self.random.below(self.worlds.len() as u64) as usize;
        // What listens at the address of a server that is gone is for the system to say.
        if !self.worlds[world].running && !self.one_in(4)
            || self.is_full(Kind::Client) && function.contains("open")
        {
            return;
        }
        match function {
            "obrolan_client_register" => self.register(world, user, "rahasia"),
            "obrolan_client_open" => self.open_client(world, user),
            _ => self.open_client_with(world, user),
        }
    }

    pub(super) fn options(&mut self) {
        let null = self.one_in(3);
        let size = size_of::<obrolan_client_options>() + if self.one_in(3) { 8 } else { 0 };
        // SAFETY: it is NULL, or as large as the size that is taken.
        let came = out(|out| unsafe {
            obrolan_client_options_default(if null { ptr::null_mut() } else { out }, size)
        });
        let is_right = !null && size == size_of::<obrolan_client_options>();
        let model = if is_right { Ok((0, 1, 0, 30_000)) } else { Err(OBROLAN_ERR_ARGUMENT.into()) };
        let came = came.map(|it: obrolan_client_options| (it.messages, it.wait, it.after, it.timeout_ms));
        self.saw("obrolan_client_options_default", came, model);
    }

    /// Takes an event.
    pub(super) fn next(&mut self, at: usize, timeout: u64) {
        let function = "obrolan_client_next";
        let client = self.pointer(at);
        // SAFETY: it is there.
        let came = out(|out| unsafe { obrolan_client_next(client, timeout, out) });
        let world = self.talker(at).world;
        let talker = self.talker(at);
        let event = match came {
            Ok(event) if !event.is_null() => event,
            came => {
                // What was on its way when it ended does not come, nor does what is waited for too short a time.
                let model = match talker.ended {
                    Some(wrong) => {
                        talker.awaited.clear();
                        talker.answers.clear();
                        Err(wrong)
                    }
                    None => {
                        assert!(timeout < PATIENCE || !talker.is_awaiting(), "{:?}", talker.awaited);
                        Ok(())
                    }
                };
                self.saw(function, came.map(drop), model);
                return;
            }
        };
        self.seen.insert((function.to_owned(), true));
        let awaited = self.talker(at).awaited.front().cloned();
        let kind = obrolan_event_type(event);
        let told = match (kind, awaited) {
            (OBROLAN_EVENT_RESPONSE, _) => {
                let (number, fields) = self.talker(at).answers.pop_front().expect("nothing was posted");
                assert_eq!(obrolan_event_request(event), number);
                let (response, told) = (obrolan_event_response(event), seen(event));
                let owner = Some(self.keep(event.addr(), Object::Event(told, None)));
                self.keep_response(response, world, &fields, None, owner);
                return;
            }
            (OBROLAN_EVENT_MESSAGE, Some(Awaited::Message(id))) => {
                self.worlds[world].message(id).check(id, event)
            }
            (OBROLAN_EVENT_CONNECTED, Some(Awaited::Connected))
            | (OBROLAN_EVENT_CLOSING, Some(Awaited::Closing)) => {
                let told = seen(event);
                assert_eq!(told, Told::from([("obrolan_event_type", Seen::Number(kind as u64))]));
                told
            }
            (OBROLAN_EVENT_LOST, Some(Awaited::Lost(why))) => {
                let told = seen(event);
                let text = told.get("obrolan_event_text");
                assert!(matches!(text, Some(Seen::Text(text)) if text.starts_with(why)), "{text:?}");
                assert_eq!(told.len(), 2);
                told
            }
            (kind, awaited) => panic!("{kind:?} came, {:?}, not {awaited:?}", seen(event)),
        };
        self.talker(at).awaited.pop_front();
        self.keep(event.addr(), Object::Event(told, None));
    }

    /// Whether a client's descriptor is readable, at last.
    pub(super) fn descriptor(&mut self, at: usize) {
        let fd = obrolan_client_fd(self.pointer(at));
        assert!(fd >= 0);
        let talker = self.talker(at);
        let must = talker.ended.is_some() || talker.is_awaiting();
        // SAFETY: the client lives.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let patience: u16 = if must { PATIENCE as u16 } else { 0 };
        let readable = poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], patience).unwrap() == 1;
        assert_eq!(readable, must, "{:?}", self.talker(at).awaited);
        self.seen.insert(("obrolan_client_fd".to_owned(), true));
    }

    /// Nothing comes any more, but for what is here already.
    pub(super) fn ended(&mut self, at: usize) {
        self.talker(at).ended.get_or_insert(OBROLAN_ERR_CLOSED.into());
    }

    pub(super) fn is_connected(&mut self, at: usize) {
        let talker = self.talker(at);
        let knows = !talker.awaited.iter().any(|awaited| matches!(awaited, Awaited::Lost(_)));
        let ended = talker.ended.is_some();
        let is = self.world(at).running && !ended;
        // One that is to be told that its connection is lost may not have seen it yet.
        if ended || knows {
            let came = obrolan_client_is_connected(self.pointer(at));
            assert_eq!(came, is);
            self.seen.insert(("obrolan_client_is_connected".to_owned(), came));
        }
    }
}
