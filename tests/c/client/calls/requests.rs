//! Requests: what a client asks of its server.

use std::collections::BTreeSet;

use obrolan::wire::REQUESTS;
use serde_json::{Value, json};

use super::{
    Awaited, Fields, Kind, Run, Wrong,
    model::{Content, To, now},
    *,
};

pub(super) const WHO: [&str; 5] = ["ann", "bob", "eve", "zoe", ""];
pub(super) const GROUPS: [&str; 4] = ["go", "gulai", "gado", ""];

impl Run {
    /// One of these, seldom one that is not there or empty.
    pub(super) fn word(&mut self, from: &[&'static str]) -> &'static str {
        let end = if self.one_in(4) { from.len() } else { from.len() - 2 };
        from[self.random.below(end as u64) as usize]
    }

    /// The id of a message, or the next one's, or 0.
    fn some_id(&mut self, at: usize) -> u64 {
        let end = self.world(at).last() + 2;
        self.random.below(end)
    }

    /// Whether a request comes to be answered, and if not, what is said of it. Nothing may be empty in one.
    pub(super) fn goes(&mut self, at: usize, needs_session: bool, words: &[&str]) -> Result<(), Wrong> {
        let running = self.world(at).running;
        let talker = self.talker(at);
        match talker.ended {
            Some(ended) => Err(ended),
            None if words.contains(&"") => Err(OBROLAN_ERR_ARGUMENT.into()),
            None if !running => Err(OBROLAN_ERR_TIMEOUT.into()),
            None if needs_session && !talker.session => Err(OBROLAN_CODE_NO_SESSION.into()),
            None => Ok(()),
        }
    }

    /// A message was sent: it is awaited where it goes.
    pub(super) fn sent(
        &mut self,
        at: usize,
        to: To,
        sent: Result<(u64, BTreeSet<&'static str>), obrolan_code>,
    ) -> Result<u64, Wrong> {
        let (id, recipients) = sent?;
        if let To::Group(group) = to {
            self.talker(at).current = Some(self.world(at).group(group).expect("it is there").number);
        }
        let world = self.talker(at).world;
        for talker in self.talkers(world, None) {
            let talker = self.talker(talker);
            if talker.listens && talker.session && recipients.contains(talker.user) {
                talker.awaited.push_back(Awaited::Message(id));
            }
        }
        Ok(id)
    }

    /// A call that gives a response, which may be left out.
    pub(super) fn fetch(
        &mut self,
        at: usize,
        function: &str,
        model: Result<Fields, Wrong>,
        bytes: Option<Vec<u8>>,
        call: impl FnOnce(*mut *mut obrolan_response) -> obrolan_result,
    ) {
        let (mut response, world) = (ptr::null_mut(), self.talker(at).world);
        let left_out = self.one_in(4) || self.is_full(Kind::Response);
        let came = checked(call(if left_out { ptr::null_mut() } else { &raw mut response }));
        assert_eq!(response.is_null(), left_out || came.is_err(), "{function}");
        let fields = model.as_ref().ok().cloned();
        if self.saw(function, came, model.map(drop)) && !left_out {
            let is_part = bytes.is_some();
            self.keep_response(response, world, &fields.unwrap(), bytes, None);
            if is_part {
                self.call_response("obrolan_response_bytes", self.handles.len() - 1);
            }
        }
    }

    fn page(&mut self, at: usize, (ids, more): (Vec<u64>, bool)) -> Fields {
        let world = self.world(at);
        let messages: Vec<Value> = ids.into_iter().map(|id| world.json(id)).collect();
        vec![("/status", "OK".into()), ("/messages", messages.into()), ("/more", more.into())]
    }

    pub(super) fn call_client(&mut self, function: &str, at: usize) {
        let client = self.pointer::<obrolan_client>(at);
        match function {
            "obrolan_client_next" => {
                let timeout = if self.talker(at).is_awaiting() && !self.one_in(8) { PATIENCE } else { 0 };
                if !self.is_full(Kind::Event) || self.one_in(2) {
                    self.next(at, timeout);
                }
            }
            "obrolan_client_fd" => self.descriptor(at),
            "obrolan_client_is_connected" => self.is_connected(at),
            "obrolan_client_set_timeout" => {
                let ms = if self.world(at).running {
                    self.any(&[PATIENCE, OBROLAN_NEVER])
                } else {
                    self.any(&[0, 1, 2])
                };
                self.saw(function, call!(obrolan_client_set_timeout(client, ms)), Ok(()));
            }
            "obrolan_client_last_error" => {
                let came = call!(obrolan_client_send(client, c"".as_ptr(), c"".as_ptr(), ptr::null_mut()));
                let text = lent(obrolan_client_last_error(client));
                assert_eq!(text, came.err().map(|failure| failure.text));
                self.seen.insert((function.to_owned(), true));
            }
            "obrolan_client_close" => {
                self.saw(function, call!(obrolan_client_close(client)), Ok(()));
                self.ended(at);
            }
            "obrolan_client_free" => {
                obrolan_client_free(client);
                self.freed(at);
                self.seen.insert((function.to_owned(), true));
            }
            "obrolan_client_logout" => {
                let model = self.goes(at, true, &[]);
                if self.saw(function, call!(obrolan_client_logout(client)), model) {
                    self.ended(at);
                }
            }
            "obrolan_client_ping" => {
                let model = self.goes(at, false, &[]);
                self.saw(function, call!(obrolan_client_ping(client)), model);
            }
            "obrolan_client_ack" => self.ack(at),
            "obrolan_client_passwd" => self.passwd(at),
            "obrolan_client_request" | "obrolan_client_post" => self.line(function, at),
            _ if function.contains("file") || function.contains("upload") => self.call_files(function, at),
            _ if function.contains("group") && !function.contains("send") => self.call_groups(function, at),
            _ => self.call_rest(function, at),
        }
    }

    fn ack(&mut self, at: usize) {
        let id = self.some_id(at);
        let client = self.pointer(at);
        self.saw("obrolan_client_ack", checked(obrolan_client_ack(client, id)), Ok(()));
        if self.goes(at, true, &[]).is_ok() {
            // Its answer comes after that to ACK.
            assert_eq!(obrolan_client_ping(client), OBROLAN_OK);
            let user = self.talker(at).user;
            let user = self.world(at).users.get_mut(user).expect("it is logged in");
            user.mailbox.retain(|unconfirmed| *unconfirmed > id);
        }
    }

    fn passwd(&mut self, at: usize) {
        let user = self.talker(at).user;
        let old = if self.one_in(3) {
            "wrong"
        } else {
            self.world(at).users.get(user).map_or("x", |user| user.password)
        };
        let new = self.any(&["better-99", "rahasia", ""]);
        let (client, old_c, new_c) = (self.pointer(at), c(old), c(new));
        let mut model = self.goes(at, true, &[old, new]);
        if model.is_ok() && self.world(at).users[user].password != old {
            model = Err(OBROLAN_CODE_BAD_CREDENTIALS.into());
        }
        let came = call!(obrolan_client_passwd(client, old_c.as_ptr(), new_c.as_ptr()));
        if self.saw("obrolan_client_passwd", came, model) {
            self.world(at).users.get_mut(user).expect("it is logged in").password = new;
            let world = self.talker(at).world;
            for other in self.talkers(world, Some(user)) {
                self.talker(other).session &= other == at;
            }
        }
    }

    fn line(&mut self, function: &str, at: usize) {
        let user = self.talker(at).user;
        let ok = |field, value: Value| vec![("/status", Value::from("OK")), (field, value)];
        let error = |code: &str| vec![("/status", Value::from("ERROR")), ("/code", Value::from(code))];
        let lines = [
            ("PING", false, ok("/data", "pong".into())),
            ("whoami", true, ok("/user", user.into())),
            ("SEND nobody halo", true, error("no_such_user")),
            ("FLY", false, error("unknown_request")),
            ("QUIT", false, ok("/data", "sampai jumpa".into())),
            ("PING\nPING", false, Vec::new()),
            ("", false, Vec::new()),
        ];
        let last = if self.one_in(5) { 7 } else { 4 };
        let (line, needs_session, mut fields) = lines[self.random.below(last) as usize].clone();
        let is_quit = line == "QUIT";
        if is_quit && (function.ends_with("post") || !self.one_in(4)) {
            return;
        }
        let empty = if line.contains('\n') { "" } else { line };
        let mut model = self.goes(at, false, &[empty]);
        if needs_session && !self.talker(at).session {
            fields = error("no_session");
        }
        let (client, line) = (self.pointer(at), c(line));
        if function.ends_with("request") {
            let is_ok = model.is_ok();
            self.fetch(at, function, model.map(|()| fields), None, |out| unsafe {
                obrolan_client_request(client, line.as_ptr(), out)
            });
            if is_quit && is_ok {
                self.ended(at);
            }
            return;
        }
        let waits = model == Err(OBROLAN_ERR_TIMEOUT.into());
        if waits {
            // It is sent when there is a connection, and here there will be none.
            model = Ok(());
        }
        // SAFETY: they are there.
        let came = out(|number| unsafe { obrolan_client_post(client, line.as_ptr(), number) });
        let number = came.as_ref().ok().copied();
        if self.saw(function, came.map(drop), model) {
            let (number, talker) = (number.unwrap(), self.talker(at));
            assert!(number > talker.last_post);
            talker.last_post = number;
            if !waits {
                talker.answers.push_back((number, fields));
            }
        }
    }

    fn call_groups(&mut self, function: &str, at: usize) {
        let (group, user) = (self.word(&GROUPS), self.talker(at).user);
        let (client, group_c) = (self.pointer(at), c(group));
        let name = group_c.as_ptr();
        let goes = self.goes(at, true, &[group]);
        match function {
            "obrolan_client_list_my_groups" => {
                let model = self.goes(at, true, &[]).map(|()| {
                    let groups = self.world(at).groups.iter();
                    let mine = groups.filter(|(_, group)| group.members.contains_key(user));
                    let mine: Vec<_> = mine.map(|(name, _)| *name).collect();
                    vec![("/groups", json!(mine)), ("/users", json!(mine))]
                });
                self.fetch(at, function, model, None, |out| unsafe {
                    obrolan_client_list_my_groups(client, out)
                });
            }
            "obrolan_client_list_group" => {
                let current = self.one_in(3);
                let goes = if current { self.goes(at, true, &[]) } else { goes };
                let number = match current {
                    true => self.talker(at).current,
                    false => self.world(at).group(group).ok().map(|group| group.number),
                };
                let model = goes.and_then(|()| {
                    let members = self.world(at).members(user, number)?;
                    Ok(vec![("/members", json!(members)), ("/groups", json!(members))])
                });
                self.fetch(at, function, model, None, |out| unsafe {
                    obrolan_client_list_group(client, if current { ptr::null() } else { name }, out)
                });
            }
            "obrolan_client_leave_group" => {
                let model = goes.and_then(|()| Ok(self.world(at).leave(user, group)?));
                self.saw(function, call!(obrolan_client_leave_group(client, name)), model);
            }
            _ => {
                let adds = function == "obrolan_client_add_group";
                let model = goes.and_then(|()| {
                    let world = self.world(at);
                    let number = if adds { world.add_group(user, group) } else { world.join(user, group) }?;
                    self.talker(at).current = Some(number);
                    Ok(())
                });
                let came = match function {
                    "obrolan_client_add_group" => call!(obrolan_client_add_group(client, name)),
                    "obrolan_client_join_group" => call!(obrolan_client_join_group(client, name)),
                    _ => panic!("{function} is not called yet: tell the model what must come back"),
                };
                self.saw(function, came, model);
            }
        }
    }

    fn call_rest(&mut self, function: &str, at: usize) {
        let (client, user) = (self.pointer(at), self.talker(at).user);
        let (who, group) = (self.word(&WHO), self.word(&GROUPS));
        let (who_c, group_c) = (c(who), c(group));
        match function {
            "obrolan_client_send" | "obrolan_client_send_group" => {
                let to = if function.ends_with("group") { To::Group(group) } else { To::User(who) };
                let text = if self.one_in(20) {
                    String::new()
                } else {
                    format!("halo \u{e9}\n{}", self.random.below(99))
                };
                let (since, text_c) = (now(), c(&text));
                let left_out = self.one_in(4);
                let mut id = 0;
                let place = if left_out { ptr::null_mut() } else { &raw mut id };
                let (name, came) = match to {
                    To::User(who) => {
                        (who, call!(obrolan_client_send(client, who_c.as_ptr(), text_c.as_ptr(), place)))
                    }
                    To::Group(group) => (
                        group,
                        call!(obrolan_client_send_group(client, group_c.as_ptr(), text_c.as_ptr(), place)),
                    ),
                };
                let model = self.goes(at, true, &[name, &text]).and_then(|()| {
                    let sent = self.world(at).send(user, to, Content::Text(text), since);
                    self.sent(at, to, sent)
                });
                let model = model.map(|id| if left_out { 0 } else { id });
                self.saw(function, came.map(|()| id), model);
            }
            "obrolan_client_add_realm" => {
                let name = self.word(&["barat", "timur", "utara", ""]);
                let (name_c, ip) = (c(name), c"10.0.0.2");
                let model = self.goes(at, true, &[name]).and_then(|()| {
                    let world = self.world(at);
                    match world.users[user].admin {
                        false => Err(OBROLAN_CODE_FORBIDDEN.into()),
                        true if !world.realms.insert(name) => Err(OBROLAN_CODE_REALM_EXISTS.into()),
                        true => Ok(()),
                    }
                });
                let came =
                    call!(obrolan_client_add_realm(client, name_c.as_ptr(), ip.as_ptr(), 8889, ptr::null()));
                self.saw(function, came, model);
            }
            "obrolan_client_list_realms" => {
                let model = self.goes(at, true, &[]).map(|()| {
                    let realms: Vec<_> = self.world(at).realms.iter().copied().collect();
                    match realms.last() {
                        Some(last) => {
                            let name =
                                ["/realms/0/name", "/realms/1/name", "/realms/2/name"][realms.len() - 1];
                            vec![(name, json!(last))]
                        }
                        None => vec![("/realms", json!([]))],
                    }
                });
                self.fetch(at, function, model, None, |out| unsafe {
                    obrolan_client_list_realms(client, out)
                });
            }
            "obrolan_client_list_users" => {
                let after = if self.one_in(2) { None } else { Some(who) };
                let model = self.goes(at, false, after.as_slice()).map(|()| {
                    let users = self.world(at).users.keys();
                    let users: Vec<_> =
                        users.filter(|user| after.is_none_or(|after| **user > after)).collect();
                    vec![("/users", json!(users))]
                });
                let after = after.map_or(ptr::null(), |_| who_c.as_ptr());
                self.fetch(at, function, model, None, |out| unsafe {
                    obrolan_client_list_users(client, after, out)
                });
            }
            "obrolan_client_whoami" => {
                let model = self.goes(at, true, &[]).map(|()| {
                    let (name, admin) = (format!("{user} W"), self.world(at).users[user].admin);
                    vec![
                        ("/user", user.into()),
                        ("/name", name.into()),
                        ("/country", "ID".into()),
                        ("/admin", admin.into()),
                    ]
                });
                self.fetch(at, function, model, None, |out| unsafe { obrolan_client_whoami(client, out) });
            }
            "obrolan_client_help" => {
                let spec = &REQUESTS[self.random.below(REQUESTS.len() as u64) as usize];
                let model =
                    self.goes(at, false, &[]).map(|()| vec![("/requests/0/request", spec.name.into())]);
                let name = c(spec.name);
                self.fetch(at, function, model, None, |out| unsafe {
                    obrolan_client_help(client, name.as_ptr(), out)
                });
            }
            "obrolan_client_inbox" => {
                let after = self.some_id(at);
                let model = self.goes(at, true, &[]).map(|()| {
                    let page = self.world(at).inbox(user, after);
                    self.page(at, page)
                });
                self.fetch(at, function, model, None, |out| unsafe {
                    obrolan_client_inbox(client, after, out)
                });
            }
            "obrolan_client_history" => {
                let with = if self.one_in(2) { who } else { group };
                let (with_c, limit) = (c(with), self.any(&[0, 1, 2, 100, 101]));
                let before = if self.one_in(2) { 0 } else { self.some_id(at) };
                let model = self.goes(at, true, &[with]).and_then(|()| {
                    let page = self.world(at).history(user, with, before, limit)?;
                    Ok(self.page(at, page))
                });
                self.fetch(at, function, model, None, |out| unsafe {
                    obrolan_client_history(client, with_c.as_ptr(), before, limit, out)
                });
            }
            _ => panic!("{function} is not called yet: tell the model what must come back"),
        }
    }
}
