//! Clients of real servers that come and go.

use std::{
    fs,
    io::{self, BufRead as _, Write as _},
    net::{SocketAddr, TcpListener},
    ops::ControlFlow,
    thread,
};

use obrolan::wire::{Code, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;
use crate::{
    config::ServerConfig,
    server::{RunningServer, Server},
};

const PATIENCE: Duration = Duration::from_secs(20);
const AT_ONCE: Duration = Duration::ZERO;

/// A server on an address that was free a moment ago, with its data in a folder, so that it can come back.
struct Home {
    folder: tempfile::TempDir,
    at: SocketAddr,
}

impl Home {
    fn new() -> Home {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Home { folder: tempfile::tempdir().unwrap(), at: free.local_addr().unwrap() }
    }

    fn server(&self) -> RunningServer {
        let data = self.folder.path().join("data");
        serve(&format!("listen = '{}'\ndata = '{}'", self.at, data.display()))
    }

    fn url(&self, user: &str) -> Url {
        url(self.at, user)
    }
}

fn serve(toml: &str) -> RunningServer {
    let config = ServerConfig::from_toml(toml, "test").unwrap();
    Server::bind(&config).unwrap().spawn().unwrap()
}

fn in_memory() -> RunningServer {
    serve("listen = '127.0.0.1:0'\nstorage = 'memory'")
}

fn url(at: SocketAddr, user: &str) -> Url {
    Url::parse(&format!("obrolan://{user}:rahasia-{user}@{at}")).unwrap()
}

fn account(url: &Url) {
    assert!(register(url, "ID", "Somebody", PATIENCE).unwrap().is_ok());
}

fn open(url: &Url) -> Client {
    Client::open(url, &Options::default(), PATIENCE).unwrap()
}

fn logged_in(at: SocketAddr, user: &str) -> Client {
    let url = url(at, user);
    account(&url);
    open(&url)
}

fn send(client: &Client, to: &str, text: &str) -> Response {
    client.call(Request::Send { to, text }, PATIENCE).unwrap()
}

fn next(client: &Client) -> Event {
    client.next_event(PATIENCE).unwrap().expect("an event")
}

fn text(event: &Event) -> &str {
    match event {
        Event::Message(Message { content: Content::Text(text), .. }) => text,
        other => panic!("no text: {other:?}"),
    }
}

fn is_readable(client: &Client) -> bool {
    let state = client.shared.lock();
    let mut fds = [PollFd::from_borrowed_fd(state.queue.as_fd(), PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
}

#[test]
fn answers_come_to_whoever_asked() {
    let server = in_memory();
    let ann = logged_in(server.local_addr(), "ann");
    let unknown = send(&ann, "nobody", "halo");
    assert_eq!((unknown.is_ok(), unknown.code()), (false, Some(Code::NoSuchUser)));
    assert_eq!(ann.call(Call::Line("ping"), PATIENCE).unwrap().data(), "pong");
    let posted = ann.post(Request::Whoami).unwrap();
    let Event::Response { id, response } = next(&ann) else { panic!("the answer") };
    assert_eq!((id, response.text("user")), (posted, Some("ann")));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| assert!(send(&ann, "ann", "two\nlines").is_ok())));
        }
    });
    (0..200).for_each(|_| assert_eq!(text(&next(&ann)), "two\nlines"));
    assert_eq!(ann.next_event(AT_ONCE), Ok(None));
}

#[test]
fn a_login_that_cannot_be() {
    let server = in_memory();
    let ann = url(server.local_addr(), "ann");
    let refused = Client::open(&ann, &Options::default(), PATIENCE).err().unwrap();
    assert!(matches!(&refused, OpenError::Ended(Ended::Refused(response))
        if response.code() == Some(Code::BadCredentials)));
    assert!(refused.to_string().contains("unknown user or wrong password"), "{refused}");
    let nobody = Url { user: None, ..ann.clone() };
    assert!(matches!(Client::start(&nobody, &Options::default()), Err(OpenError::Incomplete("user"))));
    server.stop().unwrap();
    let gone = Client::open(&ann, &Options::default(), PATIENCE).err().unwrap();
    assert!(gone.to_string().contains("nothing listens on"), "{gone}");
    // A host that takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = url(silent.local_addr().unwrap(), "ann");
    let late = Client::open(&silent, &Options::default(), Duration::from_millis(50));
    assert!(matches!(late, Err(OpenError::Timeout)));
    // One of another protocol, which greets.
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let ann = url(stranger.local_addr().unwrap(), "ann");
    thread::scope(|scope| {
        scope.spawn(|| stranger.accept().unwrap().0.write_all(b"SSH-2.0-x\r\n").unwrap());
        let strange = Client::open(&ann, &Options::default(), PATIENCE);
        assert!(matches!(strange, Err(OpenError::Protocol(ProtocolError::NotAResponse { .. }))));
    });
}

#[test]
fn a_login_that_cannot_be_yet() {
    let server = serve("listen = '127.0.0.1:0'\nstorage = 'memory'\naccounts.throttle_loopback = true");
    let ann = url(server.local_addr(), "ann");
    let response = (0..100)
        .find_map(|_| match Client::open(&ann, &Options::default(), PATIENCE).err().unwrap() {
            OpenError::Ended(_) => None,
            OpenError::NotNow(response) => Some(response),
            other => panic!("{other}"),
        })
        .expect("not so many attempts are let through");
    assert_eq!(response.code(), Some(Code::Throttled));
    let refused = OpenError::NotNow(response).to_string();
    assert!(
        refused.starts_with("the server did not let it in: too many attempts; try again in "),
        "{refused}"
    );
}

#[test]
fn a_server_that_says_how_long_to_wait_is_left_alone_for_so_long() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ann = Client::start(&url(listener.local_addr().unwrap(), "ann"), &Options::default()).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    io::BufReader::new(&stream).read_line(&mut String::new()).unwrap();
    let refused = Instant::now();
    let throttled = r#"{"status":"ERROR","data":"autentikasi gagal","code":"throttled","retry_after":2}"#;
    write!(stream, "{throttled}\r\n\r\n").unwrap();
    let wait = Duration::from_secs(2);
    let why = "the server did not let it in: too many attempts; try again in 2 s".to_owned();
    assert_eq!(next(&ann), Event::Lost { why, retry_after: Some(wait) });
    let again = listener.accept();
    assert!(again.is_ok() && refused.elapsed() >= wait, "it came again after {:?}", refused.elapsed());
}

#[test]
fn nothing_is_lost_or_doubled_over_a_restart() {
    let home = Home::new();
    let server = home.server();
    for user in ["ann", "bob"] {
        account(&home.url(user));
    }
    let (ann, bob) = (open(&home.url("ann")), open(&home.url("bob")));
    assert!(send(&ann, "bob", "before").is_ok());
    assert_eq!(text(&next(&bob)), "before");
    server.stop().unwrap();
    assert_eq!(next(&bob), Event::Closing);
    assert!(matches!(next(&bob), Event::Lost { .. }));
    assert_eq!(ann.call(Request::Ping, Duration::from_millis(20)), Err(CallError::Timeout));
    let mut during = ann.ask(Request::Send { to: "bob", text: "during" }).unwrap();
    assert_eq!(during.wait(Duration::from_millis(20)), Ok(None));
    let server = home.server();
    assert!(during.wait(PATIENCE).unwrap().unwrap().is_ok());
    assert_eq!(next(&bob), Event::Connected { resumed: true });
    assert_eq!(text(&next(&bob)), "during");
    assert_eq!(bob.next_event(AT_ONCE), Ok(None));
    server.stop().unwrap();
}

#[test]
fn what_is_confirmed_does_not_come_again() {
    let server = in_memory();
    let at = server.local_addr();
    let ann = logged_in(at, "ann");
    for number in 0..3 {
        send(&ann, "ann", &number.to_string());
    }
    let ids: Vec<u64> = (0..3)
        .map(|_| match next(&ann) {
            Event::Message(message) => message.id,
            other => panic!("{other:?}"),
        })
        .collect();
    ann.confirm(ids[0]);
    ann.confirm(ids[1]);
    drop(ann);
    let ann = open(&url(at, "ann"));
    assert_eq!(text(&next(&ann)), "2");
    assert_eq!(ann.next_event(AT_ONCE), Ok(None));
}

#[test]
fn messages_to_come_are_not_missed_in_an_outage() {
    let home = Home::new();
    let server = home.server();
    for user in ["ann", "bob"] {
        account(&home.url(user));
    }
    let ann = open(&home.url("ann"));
    assert!(send(&ann, "bob", "before").is_ok());
    let bob = Client::open(&home.url("bob"), &Options { messages: Some(u64::MAX) }, PATIENCE).unwrap();
    // The answer to SUBSCRIBE comes before that to a later request.
    bob.call(Request::Ping, PATIENCE).unwrap();
    server.stop().unwrap();
    while !matches!(next(&bob), Event::Lost { .. }) {}
    let server = home.server();
    assert!(send(&ann, "bob", "during").is_ok());
    assert_eq!(next(&bob), Event::Connected { resumed: true });
    assert_eq!(text(&next(&bob)), "during");
    server.stop().unwrap();
}

#[test]
fn a_slow_reader_gets_everything_in_order() {
    const MANY: usize = 3000;
    let server = in_memory();
    let at = server.local_addr();
    let (ann, bob) = (logged_in(at, "ann"), logged_in(at, "bob"));
    let asked: Vec<Asked<'_>> = (0..MANY)
        .map(|number| ann.ask(Request::Send { to: "bob", text: &number.to_string() }).unwrap())
        .collect();
    asked.into_iter().for_each(|mut asked| assert!(asked.wait(PATIENCE).unwrap().unwrap().is_ok()));
    assert!(bob.shared.lock().queue.len() <= 1000, "what waits is bounded");
    (0..MANY).for_each(|number| assert_eq!(text(&next(&bob)), number.to_string()));
    assert_eq!(bob.next_event(AT_ONCE), Ok(None));
}

#[test]
fn the_descriptor_tells_of_events_and_of_the_end() {
    let server = in_memory();
    let ann = logged_in(server.local_addr(), "ann");
    assert!(!is_readable(&ann));
    send(&ann, "ann", "halo");
    while !is_readable(&ann) {
        thread::yield_now();
    }
    assert_eq!(text(&ann.next_event(AT_ONCE).unwrap().unwrap()), "halo");
    assert!(!is_readable(&ann));
    ann.close(PATIENCE);
    assert!(is_readable(&ann));
    assert_eq!(ann.next_event(PATIENCE), Err(Ended::Closed));
}

#[test]
fn answers_pass_messages_that_are_held() {
    let server = in_memory();
    let ann = logged_in(server.local_addr(), "ann");
    ann.hold_messages(true);
    send(&ann, "ann", "halo");
    let posted = ann.post(Request::Ping).unwrap();
    assert!(matches!(next(&ann), Event::Response { id, .. } if id == posted));
    assert_eq!(ann.next_event(AT_ONCE), Ok(None));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| next(&ann));
        ann.hold_messages(false);
        assert_eq!(text(&waiting.join().unwrap()), "halo");
    });
}

#[test]
fn a_login_can_be_waited_for_piece_by_piece() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = url(silent.local_addr().unwrap(), "ann");
    let ann = Client::start(&url, &Options::default()).unwrap();
    for _ in 0..2 {
        assert!(matches!(ann.wait_for_login(Duration::from_millis(1)), Err(OpenError::Timeout)));
    }
    let connection = silent.accept().unwrap();
    drop(silent);
    drop(connection);
    let lost = ann.wait_for_login(PATIENCE).unwrap_err();
    assert!(matches!(lost, OpenError::Unreachable(_)), "{lost}");
}

#[test]
fn whoever_waits_is_told_of_the_end() {
    let server = in_memory();
    let ann = logged_in(server.local_addr(), "ann");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| ann.next_event(PATIENCE));
        ann.close(AT_ONCE);
        assert_eq!(waiting.join().unwrap(), Err(Ended::Closed));
    });
    assert_eq!(ann.call(Request::Ping, PATIENCE), Err(CallError::Ended(Ended::Closed)));
    let bob = logged_in(server.local_addr(), "bob");
    assert_eq!(bob.call(Request::Quit, PATIENCE).unwrap().data(), "sampai jumpa");
    assert_eq!(bob.next_event(PATIENCE), Err(Ended::Quit));
}

#[test]
fn a_password_that_is_wrong_by_now_ends_it() {
    let home = Home::new();
    let server = home.server();
    account(&home.url("ann"));
    let (here, there) = (open(&home.url("ann")), open(&home.url("ann")));
    let change = Request::Passwd { old: "rahasia-ann", new: "better-99" };
    assert!(here.call(change, PATIENCE).unwrap().is_ok());
    server.stop().unwrap();
    let server = home.server();
    while !matches!(next(&here), Event::Connected { .. }) {}
    let ended = loop {
        if let Err(ended) = there.next_event(PATIENCE) {
            break ended;
        }
    };
    assert!(matches!(ended, Ended::Refused(response) if response.code() == Some(Code::BadCredentials)));
    server.stop().unwrap();
}

#[test]
fn a_clock_that_is_put_forward_ends_sessions_that_are_not_listened_with() {
    let server = in_memory();
    let ann = url(server.local_addr(), "ann");
    account(&ann);
    let ann = Client::open(&ann, &Options { messages: None }, PATIENCE).unwrap();
    let bob = logged_in(server.local_addr(), "bob");
    server.put_forward(Duration::from_secs(40 * 86_400));
    assert!(matches!(next(&ann), Event::Lost { .. }));
    assert_eq!(next(&ann), Event::Connected { resumed: false });
    let sent = Instant::now();
    assert!(send(&ann, "bob", "halo").is_ok());
    let Event::Message(message) = next(&bob) else { panic!("a message") };
    let real = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let ahead = message.time.0 as f64 / 1000.0 - real.as_secs_f64();
    assert!((ahead - 40.0 * 86_400.0).abs() < 1.0 + sent.elapsed().as_secs_f64(), "{ahead} s ahead");
}

#[test]
fn a_server_that_is_not_there_yet_is_waited_for() {
    let home = Home::new();
    let server = home.server();
    account(&home.url("ann"));
    server.stop().unwrap();
    let ann = Client::start(&home.url("ann"), &Options::default()).unwrap();
    assert!(matches!(next(&ann), Event::Lost { why, .. } if why.contains("nothing listens on")));
    let server = home.server();
    // One outage is told once, however many attempts it takes.
    assert_eq!(next(&ann), Event::Connected { resumed: false });
    assert!(ann.is_connected());
    server.stop().unwrap();
}

#[test]
fn files_come_through_both_ways() {
    let home = Home::new();
    let server = home.server();
    account(&home.url("ann"));
    let ann = open(&home.url("ann"));
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let from = home.folder.path().join("foto kucing.jpg");
    fs::write(&from, &content).unwrap();
    let mut told = Vec::new();
    let mut server = Some(server);
    let sent = ann
        .send_file_at(To::User("ann"), None, &from, PATIENCE, &mut |done, size| {
            told.push((done, size));
            // In the middle the server goes and comes back, without the upload.
            if told.len() == 3 {
                server.take().unwrap().stop().unwrap();
                server = Some(home.server());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(told.iter().all(|(_, size)| *size == 3_000_000));
    assert_eq!((told[0].0, told.last().unwrap().0), (0, 3_000_000));
    let file = loop {
        if let Event::Message(Message { content: Content::File(file), .. }) = next(&ann) {
            break file;
        }
    };
    assert_eq!((&file.name[..], file.size), ("foto kucing.jpg", 3_000_000));
    assert_eq!(sent.body()["file"]["id"], file.id);

    let to = home.folder.path().join("saved.jpg");
    let mut last = (0, 0);
    let mut go_on = |done, size| {
        last = (done, size);
        ControlFlow::Continue(())
    };
    assert_eq!(ann.get_file_to(&file.id, Some(&file.sha256), &to, PATIENCE, &mut go_on).unwrap(), 3_000_000);
    assert_eq!(last, (3_000_000, 3_000_000));
    assert!(fs::read(&to).unwrap() == content);

    let kept = |error: Result<u64, FileError>| {
        assert!(fs::read(&to).unwrap() == content, "what was there is as it was");
        error.unwrap_err()
    };
    let stop = &mut |_, _| ControlFlow::Break(());
    assert!(matches!(kept(ann.get_file_to(&file.id, None, &to, PATIENCE, stop)), FileError::Stopped));
    let other = Some(&"0".repeat(64)[..]);
    let go_on = &mut |_, _| ControlFlow::Continue(());
    assert!(matches!(kept(ann.get_file_to(&file.id, other, &to, PATIENCE, go_on)), FileError::Damaged));
    let strange = kept(ann.get_file_to("999", None, &to, PATIENCE, go_on));
    assert!(matches!(&strange, FileError::Refused(response) if response.code() == Some(Code::NoSuchFile)));
    server.unwrap().stop().unwrap();
}

#[test]
fn what_was_sent_under_a_key_is_not_sent_again() {
    let server = in_memory();
    let ann = logged_in(server.local_addr(), "ann");
    let mut told = Vec::new();
    let mut send = |key, content: &[u8]| {
        let progress = &mut |done, _| {
            told.push(done);
            ControlFlow::Continue(())
        };
        let content = &mut io::Cursor::new(content);
        ann.send_file(To::User("ann"), Some(key), "a.txt", content, PATIENCE, progress).unwrap()
    };
    let first = send("k", b"halo");
    assert_eq!(send("k", b"other"), first);
    let other = send("l", b"other");
    assert_eq!(other.number("id"), first.number("id").map(|id| id + 1));
    assert_eq!(told, [0, 4, 0, 5], "nothing of the second one passed");
}

#[test]
fn what_cannot_be_sent_as_a_file() {
    let server = in_memory();
    let ann = logged_in(server.local_addr(), "ann");
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let mut send = |to, name, content: &[u8]| {
        ann.send_file(to, None, name, &mut io::Cursor::new(content), PATIENCE, go_on).unwrap_err()
    };
    assert!(matches!(send(To::User("ann"), "../a", b"x"), FileError::Name(_)));
    assert!(matches!(send(To::User("ann"), "a", b""), FileError::Empty));
    for (to, code) in [(To::User("nobody"), Code::NoSuchUser), (To::Group("none"), Code::NoSuchGroup)] {
        let refused = send(to, "a", b"x");
        assert!(
            matches!(&refused, FileError::Refused(response) if response.code() == Some(code)),
            "{refused}"
        );
    }
    let folder = ann.send_file_at(To::User("ann"), None, &std::env::temp_dir(), PATIENCE, go_on).unwrap_err();
    assert!(folder.to_string().contains("only regular files"), "{folder}");
}
