use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

const SID: &str = "sid_0123456789abcdef0123456789abcdef";
const OTHER_SID: &str = "sid_ffffffffffffffffffffffffffffffff";

fn ann() -> Login {
    Login::password("ann", "hunter2").unwrap()
}

/// All that is to go out, taken.
fn out(client: &mut Client) -> String {
    let mut all = Vec::new();
    while !client.outgoing().is_empty() {
        all.extend_from_slice(client.outgoing());
        client.sent(client.outgoing().len());
    }
    String::from_utf8(all).unwrap()
}

fn events(client: &mut Client) -> Vec<Event> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

/// The messages among the events.
fn ids(client: &mut Client) -> Vec<u64> {
    let ids = events(client).into_iter().filter_map(|event| match event {
        Event::Message(message) => Some(message.id),
        _ => None,
    });
    ids.collect()
}

fn receive(client: &mut Client, json: &str) {
    client.receive(format!("{json}\r\n\r\n").as_bytes()).unwrap();
}

fn ok(client: &mut Client) {
    receive(client, r#"{"status":"OK"}"#);
}

fn error(client: &mut Client, code: Code) {
    receive(client, &format!(r#"{{"status":"ERROR","data":"","code":"{code}"}}"#));
}

fn token(client: &mut Client, sid: &str) {
    receive(client, &format!(r#"{{"status":"OK","tokenid":"{sid}"}}"#));
}

fn message(id: u64) -> String {
    let time = "2026-11-23T09:00:00.000Z";
    format!(r#"{{"event":"message","id":{id},"from":"bob","to":"ann","time":"{time}","text":"halo"}}"#)
}

/// A client that is logged in, with nothing on its way.
fn logged_in() -> Client {
    let mut client = Client::new(ann());
    client.connected();
    assert_eq!(out(&mut client), "AUTH ann hunter2\n");
    token(&mut client, SID);
    assert_eq!(events(&mut client), [Event::LoggedIn { resumed: false }]);
    client
}

#[test]
fn nothing_is_asked_before_the_login() {
    let mut client = Client::new(ann());
    client.subscribe(0);
    let id = client.request(&Request::Ping).unwrap();
    assert_eq!(out(&mut client), "", "not connected");
    client.connected();
    assert_eq!(out(&mut client), "AUTH ann hunter2\n");
    token(&mut client, SID);
    assert_eq!(out(&mut client), "SUBSCRIBE 0\nPING\n");
    ok(&mut client);
    ok(&mut client);
    assert!(matches!(&events(&mut client)[..],
        [Event::LoggedIn { resumed: false }, Event::Response { id: of, response }] if *of == id && response.is_ok()));
}

#[test]
fn a_reconnect_resumes_the_session_and_falls_back_to_the_password() {
    let mut client = logged_in();
    client.connected();
    assert_eq!(out(&mut client), format!("RESUME {SID}\n"));
    ok(&mut client);
    assert_eq!(events(&mut client), [Event::LoggedIn { resumed: true }]);
    client.disconnected();
    client.connected();
    out(&mut client);
    error(&mut client, Code::NoSession);
    assert_eq!(out(&mut client), "AUTH ann hunter2\n");
    token(&mut client, OTHER_SID);
    assert_eq!(events(&mut client), [Event::LoggedIn { resumed: false }]);
    client.connected();
    assert_eq!(out(&mut client), format!("RESUME {OTHER_SID}\n"));
    // A store that fails is no session that has ended.
    error(&mut client, Code::Unavailable);
    assert!(matches!(&events(&mut client)[..], [Event::LoginFailed { response }] if response.is_temporary()));
    client.connected();
    assert_eq!(out(&mut client), format!("RESUME {OTHER_SID}\n"));
}

#[test]
fn a_kept_session_is_gone_on_with() {
    let mut client = Client::new(Login::session(SessionId::parse(SID).unwrap()));
    client.connected();
    assert_eq!(out(&mut client), format!("RESUME {SID}\n"));
    ok(&mut client);
    assert_eq!(events(&mut client), [Event::LoggedIn { resumed: true }]);
    assert_eq!(client.session().unwrap().expose(), SID);
    client.connected();
    out(&mut client);
    error(&mut client, Code::NoSession);
    assert!(matches!(&events(&mut client)[..], [Event::LoginFailed { .. }]));
    assert_eq!(out(&mut client), "");
}

#[test]
fn requests_wait_while_the_login_is_refused() {
    let mut client = Client::new(ann());
    client.request(&Request::Whoami).unwrap();
    client.connected();
    out(&mut client);
    error(&mut client, Code::BadCredentials);
    assert!(matches!(&events(&mut client)[..],
        [Event::LoginFailed { response }] if response.code() == Some(Code::BadCredentials)));
    assert_eq!(out(&mut client), "");
    client.login(Login::password("ann", "better").unwrap());
    assert_eq!(out(&mut client), "AUTH ann better\n");
    token(&mut client, SID);
    assert_eq!(out(&mut client), "WHOAMI\n");
}

#[test]
fn a_second_login_takes_the_place_of_the_first() {
    let mut client = Client::new(ann());
    client.connected();
    client.login(Login::password("bob", "secret").unwrap());
    assert_eq!(out(&mut client), "AUTH ann hunter2\nAUTH bob secret\n");
    token(&mut client, SID);
    assert_eq!(events(&mut client), []);
    token(&mut client, OTHER_SID);
    assert_eq!(events(&mut client), [Event::LoggedIn { resumed: false }]);
    assert_eq!(client.session().unwrap().expose(), OTHER_SID);
}

#[test]
fn no_message_comes_twice() {
    let mut client = logged_in();
    client.subscribe(3);
    assert_eq!(out(&mut client), "SUBSCRIBE 3\n");
    ok(&mut client);
    for id in [3, 5, 5, 4, 9] {
        receive(&mut client, &message(id));
    }
    assert_eq!(ids(&mut client), [5, 9]);
    client.connected();
    out(&mut client);
    ok(&mut client);
    assert_eq!(out(&mut client), "SUBSCRIBE 9\n");
    ok(&mut client);
    receive(&mut client, &message(9));
    receive(&mut client, &message(10));
    assert_eq!(ids(&mut client), [10]);
    client.login(Login::password("bob", "secret").unwrap());
    token(&mut client, OTHER_SID);
    assert!(out(&mut client).ends_with("SUBSCRIBE 0\n"), "another user's messages have other ids");
}

#[test]
fn another_users_messages_begin_at_their_first() {
    let bob = || Login::password("bob", "secret").unwrap();
    // Ann's come until the server has heard of Bob,
    let mut client = logged_in();
    client.subscribe(0);
    out(&mut client);
    ok(&mut client);
    client.login(bob());
    receive(&mut client, &message(900));
    // and after it has refused him.
    error(&mut client, Code::BadCredentials);
    receive(&mut client, &message(901));
    client.login(bob());
    out(&mut client);
    token(&mut client, OTHER_SID);
    assert_eq!(out(&mut client), "SUBSCRIBE 0\n");
    ok(&mut client);
    receive(&mut client, &message(1));
    assert_eq!(ids(&mut client), [1]);
    // An answer to what Ann asked for, in either way, says nothing about his.
    for requested in [true, false] {
        let mut client = logged_in();
        if requested {
            client.request(&Request::Subscribe { after: Some(u64::MAX) }).unwrap();
            client.subscribe(0);
        } else {
            client.subscribe(u64::MAX);
        }
        client.login(bob());
        out(&mut client);
        receive(&mut client, r#"{"status":"OK","after":900}"#);
        if requested {
            receive(&mut client, r#"{"status":"OK"}"#);
        }
        token(&mut client, OTHER_SID);
        assert_eq!(out(&mut client), "SUBSCRIBE 0\n", "requested: {requested}");
    }
}

#[test]
fn a_request_about_an_earlier_login_does_not_take_effect_on_a_later_one() {
    let mut client = logged_in();
    client.request(&Request::Passwd { old: "hunter2", new: "better" }).unwrap();
    client.request(&Request::Auth { user: "carol", password: "other" }).unwrap();
    client.request(&Request::Logout).unwrap();
    client.login(Login::password("bob", "secret").unwrap());
    out(&mut client);
    ok(&mut client);
    token(&mut client, SID);
    ok(&mut client);
    token(&mut client, OTHER_SID);
    assert_eq!(client.session().unwrap().expose(), OTHER_SID);
    client.connected();
    assert_eq!(out(&mut client), format!("RESUME {OTHER_SID}\n"));
    error(&mut client, Code::NoSession);
    assert_eq!(out(&mut client), "AUTH bob secret\n");
}

#[test]
fn the_last_subscription_says_where_messages_begin() {
    for requested in [true, false] {
        let mut client = logged_in();
        if requested {
            client.request(&Request::Subscribe { after: Some(u64::MAX) }).unwrap();
        } else {
            client.subscribe(u64::MAX);
        }
        client.subscribe(0);
        out(&mut client);
        receive(&mut client, r#"{"status":"OK","after":7}"#);
        ok(&mut client);
        receive(&mut client, &message(1));
        assert_eq!(ids(&mut client), [1], "requested: {requested}");
    }
}

#[test]
fn a_refused_subscription_is_told() {
    let mut client = logged_in();
    client.subscribe(0);
    error(&mut client, Code::Unavailable);
    assert!(matches!(&events(&mut client)[..], [Event::SubscribeFailed { .. }]));
}

#[test]
fn events_are_read() {
    let mut client = Client::new(Login::nothing());
    client.connected();
    for json in
        [r#"{"event":"gap","count":7}"#, r#"{"event":"closing"}"#, r#"{"event":"typing","from":"bob"}"#]
    {
        receive(&mut client, json);
    }
    let other = Event::Other {
        event: "typing".into(),
        body: Map::from_iter([("from".to_owned(), Value::from("bob"))]),
    };
    assert_eq!(events(&mut client), [Event::Gap { count: 7 }, Event::Closing, other]);
}

#[test]
fn requests_about_the_login_take_effect() {
    let mut client = Client::new(Login::nothing());
    client.connected();
    client.subscribe(0);
    client.request(&Request::Auth { user: "ann", password: "hunter2" }).unwrap();
    client.request(&Request::Ping).unwrap();
    assert_eq!(out(&mut client), "AUTH ann hunter2\nPING\n");
    token(&mut client, SID);
    assert_eq!(out(&mut client), "SUBSCRIBE 0\n");
    assert!(matches!(&events(&mut client)[..], [Event::Response { .. }, Event::LoggedIn { resumed: false }]));
    ok(&mut client);
    ok(&mut client);

    client.request(&Request::Passwd { old: "hunter2", new: "better" }).unwrap();
    ok(&mut client);
    client.request(&Request::Subscribe { after: Some(5) }).unwrap();
    ok(&mut client);
    client.connected();
    assert_eq!(out(&mut client), format!("RESUME {SID}\n"));
    error(&mut client, Code::NoSession);
    assert_eq!(out(&mut client), "AUTH ann better\n");
    token(&mut client, SID);
    assert_eq!(out(&mut client), "SUBSCRIBE 5\n");
    ok(&mut client);

    client.request_line(&format!("logout {OTHER_SID}")).unwrap();
    ok(&mut client);
    client.connected();
    assert_eq!(out(&mut client), format!("RESUME {SID}\n"), "another session's end");
    ok(&mut client);
    out(&mut client);
    ok(&mut client);
    client.request(&Request::Logout).unwrap();
    ok(&mut client);
    client.connected();
    assert_eq!(out(&mut client), "");
    client.request(&Request::Resume { sid: OTHER_SID }).unwrap();
    ok(&mut client);
    client.connected();
    assert_eq!(out(&mut client), format!("RESUME {OTHER_SID}\n"));
}

#[test]
fn a_refused_request_about_the_login_changes_nothing() {
    let mut client = logged_in();
    client.request(&Request::Auth { user: "bob", password: "guess" }).unwrap();
    client.request(&Request::Logout).unwrap();
    error(&mut client, Code::BadCredentials);
    error(&mut client, Code::NoSession);
    client.connected();
    assert_eq!(out(&mut client), format!("RESUME {SID}\n"));
}

#[test]
fn quit_is_the_last_request_and_the_end_is_its_answer() {
    for answered in [true, false] {
        let mut client = Client::new(Login::nothing());
        client.request(&Request::Ping).unwrap();
        client.request(&Request::Quit).unwrap();
        assert_eq!(client.request(&Request::Ping), Err(RequestError::Finished));
        client.connected();
        client.disconnected();
        assert!(!client.is_finished(), "PING was not answered");
        client.connected();
        assert_eq!(out(&mut client), "PING\nQUIT\n");
        ok(&mut client);
        if answered {
            ok(&mut client);
        }
        client.disconnected();
        assert!(client.is_finished());
        assert_eq!(events(&mut client).len(), 2);
        assert_eq!(client.request(&Request::Ping), Err(RequestError::Finished));
        client.connected();
        assert_eq!(out(&mut client), "");
    }
}

#[test]
fn lines_that_are_not_one_request() {
    let mut client = Client::new(Login::nothing());
    for line in ["", "  ", "PING\nPING", "PING\r"] {
        assert_eq!(client.request_line(line), Err(RequestError::NotALine), "{line:?}");
    }
    for text in ["", "a\0b"] {
        let none = client.request(&Request::Send { to: "bob", text });
        assert!(matches!(none, Err(RequestError::NotEncodable(_))), "{text:?}");
    }
    assert!(client.request_line("NEWER request").is_ok());
    assert_eq!(client.unanswered(), 1);
}

#[test]
fn what_a_line_cannot_hold_goes_out_as_an_object() {
    let mut client = Client::new(Login::nothing());
    client.connected();
    client.request(&Request::Send { to: "bob", text: "two\nlines" }).unwrap();
    client.request_once(&Request::Send { to: "bob", text: "halo" }, "k1").unwrap();
    let lines = [
        r#"{"request":"SEND","to":"bob","text":"two\nlines"}"#,
        r#"{"request":"SEND","to":"bob","text":"halo","dedupe":"k1"}"#,
    ];
    assert_eq!(out(&mut client), lines.map(|line| format!("{line}\n")).concat());
}

#[test]
fn a_request_about_the_login_takes_effect_in_either_form() {
    for line in ["PASSWD hunter2 better", r#"{"request":"PASSWD","old":"hunter2","new":"better"}"#] {
        let mut client = logged_in();
        client.request_line(line).unwrap();
        out(&mut client);
        ok(&mut client);
        client.connected();
        out(&mut client);
        error(&mut client, Code::NoSession);
        assert_eq!(out(&mut client), "AUTH ann better\n", "{line}");
    }
}

#[test]
fn messages_to_come_begin_where_the_server_says() {
    let mut client = logged_in();
    client.subscribe(u64::MAX);
    assert_eq!(out(&mut client), format!("SUBSCRIBE {}\n", u64::MAX));
    receive(&mut client, r#"{"status":"OK","after":7}"#);
    client.connected();
    out(&mut client);
    ok(&mut client);
    assert_eq!(out(&mut client), "SUBSCRIBE 7\n", "what came while it was away is not missed");
    ok(&mut client);
    receive(&mut client, &message(8));
    assert_eq!(ids(&mut client), [8]);
}

#[test]
fn to_subscribe_once_more_is_to_begin_anew() {
    let mut client = logged_in();
    client.subscribe(0);
    out(&mut client);
    ok(&mut client);
    receive(&mut client, &message(1));
    receive(&mut client, &message(2));
    client.subscribe(1);
    assert_eq!(out(&mut client), "SUBSCRIBE 1\n");
    // On its way when the server had not heard of that yet.
    receive(&mut client, &message(3));
    ok(&mut client);
    receive(&mut client, &message(2));
    receive(&mut client, &message(3));
    assert_eq!(ids(&mut client), [1, 2, 2, 3]);
}

#[test]
fn requests_without_answers_are_bounded() {
    let mut client = Client::new(Login::nothing());
    client.connected();
    for _ in 0..MAX_UNANSWERED {
        client.request(&Request::Ping).unwrap();
    }
    assert_eq!(client.request(&Request::Ping), Err(RequestError::Full));
    assert!(client.outgoing().len() < 2 * WINDOW);
    ok(&mut client);
    assert!(client.request(&Request::Ping).is_ok());

    let mut client = Client::new(Login::nothing());
    let text = "x".repeat(1 << 20);
    let most = (0..).take_while(|_| client.request(&Request::Send { to: "b", text: &text }).is_ok()).count();
    assert_eq!(most, 15, "each a little over 1 MiB");
}

#[test]
fn what_a_server_sends_is_bounded() {
    let mut client = logged_in();
    let endless = vec![b'{'; PIECE];
    let pieces = (0..).take_while(|_| client.receive(&endless).is_ok()).count();
    assert_eq!(pieces * PIECE, MAX_FRAME);
    assert!(matches!(client.receive(b"}"), Err(ProtocolError::TooLong(_))), "it stays broken");

    let mut client = logged_in();
    let flood = format!("{{\"event\":\"flood\",\"of\":\"{}\"}}\r\n\r\n", "x".repeat(1 << 20));
    let unread = (0..).take_while(|_| client.receive(flood.as_bytes()).is_ok()).count();
    assert_eq!(unread, MAX_UNREAD_BYTES / flood.len());
    assert_eq!(client.receive(b""), Err(ProtocolError::Unread));
    client.connected();
    events(&mut client);
    for _ in 0..=unread {
        client.receive(flood.as_bytes()).unwrap();
        events(&mut client);
    }
}

#[test]
fn servers_of_other_protocols_are_known_at_once() {
    for greeting in ["SSH-2.0-OpenSSH_9.2\r\n", "220 mail ESMTP\r\n", "H", "\r\n\r\n", " {}", "[]\r\n\r\n"] {
        let mut client = Client::new(ann());
        client.connected();
        assert!(
            matches!(client.receive(greeting.as_bytes()), Err(ProtocolError::NotAResponse { .. })),
            "{greeting}"
        );
    }
}

#[test]
fn an_answer_to_nothing_is_an_error_and_events_before_it_are_kept() {
    let mut client = logged_in();
    let two = "{\"event\":\"closing\"}\r\n\r\n{\"status\":\"OK\"}\r\n\r\n";
    assert_eq!(client.receive(two.as_bytes()), Err(ProtocolError::Unasked));
    assert_eq!(client.receive(b""), Err(ProtocolError::Unasked), "it stays broken");
    assert_eq!(events(&mut client), [Event::Closing]);
    client.disconnected();
    assert_eq!(client.receive(b"{"), Err(ProtocolError::NotConnected));
}

#[test]
fn secrets_do_not_show_in_debug() {
    let mut client = logged_in();
    client.request(&Request::Passwd { old: "hunter2", new: "hunter3" }).unwrap();
    client.request(&Request::Auth { user: "ann", password: "hunter3" }).unwrap();
    ok(&mut client);
    token(&mut client, SID);
    let shown = format!("{client:?} {:?} {:?}", ann(), events(&mut client));
    assert!(shown.contains("ann") && !shown.contains("hunter") && !shown.contains("sid_"), "{shown}");
    let refused = Login::password("ann", "hunter 2").unwrap_err().to_string();
    assert!(refused.contains("space") && !refused.contains("hunter"), "{refused}");
}

/// Parts of what honest and lying servers send.
const PARTS: &[&str] = &[
    "{\"status\":\"OK\"}\r\n\r\n",
    "{\"status\":\"OK\",\"tokenid\":\"sid_0123456789abcdef0123456789abcdef\"}\r\n\r\n",
    "{\"status\":\"ERROR\",\"code\":\"no_session\"}\r\n\r\n",
    "{\"event\":\"message\",\"id\":1,\"from\":\"a\",\"time\":\"2026-11-23T09:00:00.000Z\",\"text\":\"\"}\r\n\r\n",
    "{\"event\":\"gap\",\"count\":1}\r\n\r\n",
    "{\"event\":\"gap\",\"count\":-1}\r\n\r\n",
    "{\"event\":\"closing\"}\r\n\r\n",
    "{\"event\":\"x\"}\r\n\r\n",
    "{",
    "\r\n\r\n",
    "\r\n",
    "\r",
    " ",
    "\u{0}",
    "é",
];

/// A client with a little of everything on its way.
fn busy(login: Login) -> Client {
    let mut client = Client::new(login);
    client.subscribe(0);
    for request in [
        Request::Ping,
        Request::Auth { user: "bob", password: "b" },
        Request::Passwd { old: "b", new: "c" },
        Request::Subscribe { after: None },
        Request::Logout,
        Request::Resume { sid: SID },
        Request::Quit,
    ] {
        client.request(&request).unwrap();
    }
    client.connected();
    client
}

proptest! {
    #[test]
    fn cuts_do_not_matter_and_lies_do_not_panic(
        parts in prop::collection::vec(prop::sample::select(PARTS), 0..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        with_password: bool,
    ) {
        let stream = parts.concat().into_bytes();
        let login = if with_password { ann() } else { Login::nothing() };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let run = |pieces: Vec<&[u8]>| {
            let mut client = busy(login.clone());
            let result = pieces.into_iter().try_for_each(|piece| client.receive(piece));
            (result, events(&mut client), out(&mut client), client.unanswered())
        };
        prop_assert_eq!(
            run(cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect()),
            run(vec![&stream[..]])
        );
    }

    #[test]
    fn any_bytes_do_not_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8)) {
        let mut client = busy(ann());
        for piece in pieces {
            let _ = client.receive(&piece);
        }
        client.connected();
        prop_assert_eq!(client.unanswered(), 7);
    }

    #[test]
    fn every_request_is_answered_once_and_in_order_whenever_the_connection_breaks(
        steps in prop::collection::vec(step(), 0..60),
        password: bool,
    ) {
        let mut pair = Pair::new(if password { ann() } else { Login::nothing() });
        for step in steps {
            pair.step(step);
        }
        pair.settle();
        prop_assert_eq!(&pair.answered, &pair.requested);
        if password {
            prop_assert_eq!(&pair.seen, &(1..=pair.mailbox).collect::<Vec<_>>());
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Request,
    /// A message comes into the mailbox.
    Mail,
    /// The server forgets the session.
    Forget,
    /// So many bytes pass to the server, and so many to the client.
    Pass(usize, usize),
    Break,
    Connect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Request),
        1 => Just(Step::Mail),
        1 => Just(Step::Forget),
        6 => (0_usize..60, 0_usize..200).prop_map(|(up, down)| Step::Pass(up, down)),
        1 => Just(Step::Break),
        2 => Just(Step::Connect),
    ]
}

/// A client and a server that answers every request with its line, over a connection that can break anywhere.
struct Pair {
    client: Client,
    connected: bool,
    session: bool,
    /// The last message pushed, once subscribed.
    pushed: Option<u64>,
    mailbox: u64,
    up: Vec<u8>,
    down: Vec<u8>,
    requested: Vec<(RequestId, String)>,
    answered: Vec<(RequestId, String)>,
    seen: Vec<u64>,
}

impl Pair {
    fn new(login: Login) -> Pair {
        let mut client = Client::new(login);
        client.subscribe(0);
        Pair {
            client,
            connected: false,
            session: false,
            pushed: None,
            mailbox: 0,
            up: Vec::new(),
            down: Vec::new(),
            requested: Vec::new(),
            answered: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Request => {
                let text = format!("text {}", self.requested.len());
                let id = self.client.request(&Request::Send { to: "bob", text: &text }).unwrap();
                self.requested.push((id, format!("SEND bob {text}")));
            }
            Step::Mail => self.mailbox += 1,
            Step::Forget => self.session = false,
            Step::Pass(up, down) => self.pass(up, down),
            Step::Break => {
                self.client.disconnected();
                self.connected = false;
            }
            Step::Connect if self.connected => {}
            Step::Connect => {
                (self.up, self.down) = (Vec::new(), Vec::new());
                (self.connected, self.pushed) = (true, None);
                self.client.connected();
            }
        }
    }

    fn pass(&mut self, up: usize, down: usize) {
        if !self.connected {
            return;
        }
        let out = self.client.outgoing();
        let up = up.min(out.len());
        self.up.extend_from_slice(&out[..up]);
        self.client.sent(up);
        self.serve();
        let rest = self.down.split_off(down.min(self.down.len()));
        self.client.receive(&std::mem::replace(&mut self.down, rest)).unwrap();
        for event in events(&mut self.client) {
            match event {
                Event::Response { id, response } => {
                    self.answered.push((id, response.text("line").unwrap().to_owned()));
                }
                Event::Message(message) => self.seen.push(message.id),
                Event::LoggedIn { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn serve(&mut self) {
        while let Some(end) = self.up.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.up.drain(..=end).collect();
            let line = std::str::from_utf8(&line[..end]).unwrap();
            let answer = match Line::parse(line.as_bytes()).unwrap().request {
                Request::Auth { user: "ann", password: "hunter2" } => {
                    self.session = true;
                    format!(r#"{{"status":"OK","tokenid":"{SID}"}}"#)
                }
                Request::Resume { sid: SID } if !self.session => {
                    r#"{"status":"ERROR","code":"no_session"}"#.into()
                }
                Request::Resume { sid: SID } => r#"{"status":"OK"}"#.into(),
                Request::Subscribe { after } => {
                    self.pushed = after;
                    r#"{"status":"OK"}"#.into()
                }
                Request::Send { .. } => format!(r#"{{"status":"OK","line":"{line}"}}"#),
                _ => panic!("{line}"),
            };
            self.say(&answer);
        }
        while let Some(pushed) = self.pushed.filter(|&pushed| pushed < self.mailbox) {
            self.say(&message(pushed + 1));
            self.pushed = Some(pushed + 1);
        }
    }

    fn say(&mut self, json: &str) {
        self.down.extend_from_slice(json.as_bytes());
        self.down.extend_from_slice(END);
    }

    /// From now on nothing breaks.
    fn settle(&mut self) {
        self.step(Step::Connect);
        for _ in 0..4 {
            self.pass(usize::MAX, usize::MAX);
        }
        assert!(self.client.outgoing().is_empty());
    }
}
