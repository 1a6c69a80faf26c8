//! Events: each kind, over restarts of the server, and the descriptor that tells of them.

use std::{
    net::TcpListener,
    os::fd::BorrowedFd,
    thread,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;

fn is_readable(client: &Client) -> bool {
    let fd = obrolan_client_fd(client.0);
    assert!(fd >= 0);
    // SAFETY: the client lives.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_millis(PATIENCE);
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Everything there is to see of an event, in the order of the header.
fn seen(event: &Event) -> (u64, [Option<String>; 7], [u64; 4], bool) {
    let event = event.0;
    let texts = [
        obrolan_event_from(event),
        obrolan_event_to(event),
        obrolan_event_group(event),
        obrolan_event_text(event),
        obrolan_event_file_id(event),
        obrolan_event_file_name(event),
        obrolan_event_file_sha256(event),
    ];
    let numbers = [
        obrolan_event_time(event),
        obrolan_event_file_size(event),
        obrolan_event_count(event),
        obrolan_event_request(event),
    ];
    (obrolan_event_id(event), texts.map(lent), numbers, obrolan_event_resumed(event))
}

#[test]
fn a_message_is_all_that_is_seen_of_it() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    let id = ann.send("ann", "halo").unwrap();
    let event = ann.next();
    let time = obrolan_event_time(event.0);
    assert!(time > 1_600_000_000_000);
    let texts = [Some("ann".into()), Some("ann".into()), None, Some("halo".into()), None, None, None];
    assert_eq!(seen(&event), (id, texts, [time, 0, 0, 0], false));
    assert_eq!(obrolan_event_response(event.0), ptr::null());
}

#[test]
fn a_message_to_a_group_is_to_no_user() {
    let server = Server::in_memory();
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    assert!(ann.request("ADD_GROUP go").unwrap().is_ok() && bob.request("JOIN_GROUP go").unwrap().is_ok());
    let id = ann.request("SEND_GROUP go halo").unwrap().number("id");
    let event = bob.next();
    let texts = [Some("ann".into()), None, Some("go".into()), Some("halo".into()), None, None, None];
    assert_eq!(seen(&event), (id, texts, [obrolan_event_time(event.0), 0, 0, 0], false));
}

#[test]
fn what_is_posted_is_answered_as_events_in_order() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    // SAFETY: they are there.
    let post = |line: &str| out(|number| unsafe { obrolan_client_post(ann.0, c(line).as_ptr(), number) });
    let posted = [post("PING").unwrap(), post("SEND nobody halo").unwrap()];
    assert!(posted[0] > 0 && posted[1] > posted[0]);
    // SAFETY: the number may be left out.
    assert_eq!(unsafe { obrolan_client_post(ann.0, c"WHOAMI".as_ptr(), ptr::null_mut()) }, OBROLAN_OK);
    let answers: Vec<_> = (0..3).map(|_| ann.next()).collect();
    for (answer, code) in
        answers.iter().zip([OBROLAN_CODE_NONE, OBROLAN_CODE_NO_SUCH_USER, OBROLAN_CODE_NONE])
    {
        assert_eq!(answer.kind(), OBROLAN_EVENT_RESPONSE);
        assert_eq!(obrolan_response_code(obrolan_event_response(answer.0)), code);
    }
    assert_eq!([0, 1].map(|at| obrolan_event_request(answers[at].0)), posted);
    // A response goes with its event.
    let response = obrolan_event_response(answers[0].0);
    drop(answers);
    assert_eq!(obrolan_response_data(response), ptr::null());
}

#[test]
fn nothing_is_lost_or_doubled_over_a_restart() {
    let home = Home::new();
    let server = Server::of(&home);
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    ann.send("bob", "before").unwrap();
    assert_eq!(bob.next().text(), Some("before".into()));
    assert!(obrolan_client_is_connected(bob.0));
    assert_eq!(server.stop(), nothing());
    assert_eq!(bob.next().kind(), OBROLAN_EVENT_CLOSING);
    let lost = bob.next();
    assert_eq!((lost.kind(), lost.text()), (OBROLAN_EVENT_LOST, Some("the server closed it".into())));
    wait_until("both see that it is gone", || {
        !obrolan_client_is_connected(ann.0) && !obrolan_client_is_connected(bob.0)
    });
    ann.set_timeout(20);
    let late = ann.send("bob", "late").unwrap_err();
    assert_eq!(late.code, OBROLAN_ERR_TIMEOUT);
    ann.set_timeout(OBROLAN_NEVER);
    let server = thread::scope(|scope| {
        let during = scope.spawn(|| ann.send("bob", "during"));
        drop(server);
        let server = Server::of(&home);
        during.join().unwrap().unwrap();
        server
    });
    let back = bob.next();
    assert_eq!((back.kind(), obrolan_event_resumed(back.0)), (OBROLAN_EVENT_CONNECTED, true));
    assert_eq!([bob.next().text(), bob.next().text()], [Some("late".into()), Some("during".into())]);
    assert_eq!(bob.next_within(0).unwrap().kind(), OBROLAN_EVENT_NONE);
    drop(server);
}

#[test]
fn which_messages_come_is_chosen() {
    let server = Server::in_memory();
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    drop(bob);
    let first = ann.send("bob", "first").unwrap();
    ann.send("bob", "second").unwrap();
    let texts = |messages: obrolan_messages, after| {
        let bob = Client::open_with(&server.url_of("bob"), |options| {
            (options.messages, options.after) = (messages as i32, after);
        });
        let bob = bob.unwrap();
        assert_eq!(obrolan_client_ping(bob.0), OBROLAN_OK, "its answer comes after that to SUBSCRIBE");
        ann.send("bob", "third").unwrap();
        let mut texts = Vec::new();
        if messages as i32 == OBROLAN_MESSAGES_NONE as i32 {
            assert_eq!(bob.next_within(50).unwrap().kind(), OBROLAN_EVENT_NONE);
        } else {
            while texts.last().is_none_or(|text| text != "third") {
                texts.push(bob.next().text().unwrap());
            }
        }
        texts
    };
    assert_eq!(texts(OBROLAN_MESSAGES_TO_COME, 0), ["third"]);
    assert!(texts(OBROLAN_MESSAGES_NONE, 0).is_empty());
    assert_eq!(texts(OBROLAN_MESSAGES_AFTER, first)[..2], ["second", "third"]);
    assert_eq!(texts(OBROLAN_MESSAGES_UNCONFIRMED, 7)[..2], ["first", "second"]);
}

#[test]
fn messages_that_were_lost_are_told() {
    let server = Server::open(&format!("{IN_MEMORY}\n[limits]\nmailbox_messages = 2")).unwrap();
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    for client in [&ann, &bob] {
        let line = if client.0 == ann.0 { "ADD_GROUP go" } else { "JOIN_GROUP go" };
        assert!(client.request(line).unwrap().is_ok());
    }
    drop(bob);
    for number in 0..5 {
        assert!(ann.request(&format!("SEND_GROUP go {number}")).unwrap().is_ok());
    }
    let bob = Client::open(&server.url_of("bob")).unwrap();
    let events = [bob.next(), bob.next(), bob.next()];
    let gap = events.iter().find(|event| event.kind() == OBROLAN_EVENT_GAP).expect("a gap is told");
    assert_eq!(seen(gap), (0, [const { None }; 7], [0, 0, 3, 0], false));
    let texts: Vec<_> = events.iter().filter_map(Event::text).collect();
    assert_eq!(texts, ["3", "4"]);
}

#[test]
fn a_server_that_does_not_run_yet_is_waited_for() {
    let home = Home::new();
    let server = Server::of(&home);
    let url = server.url_of("ann");
    assert_eq!(register(&url), nothing());
    drop(server);
    let ann = Client::open_with(&url, |options| options.wait = 0).unwrap();
    let lost = ann.next();
    assert_eq!(lost.kind(), OBROLAN_EVENT_LOST);
    assert!(lost.text().unwrap().contains("nothing listens on"));
    let _server = Server::of(&home);
    let begun = ann.next();
    assert_eq!((begun.kind(), obrolan_event_resumed(begun.0)), (OBROLAN_EVENT_CONNECTED, false));
}

#[test]
fn the_descriptor_is_readable_while_an_event_waits() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    assert!(!is_readable(&ann), "the login was waited for, and is no event");
    ann.send("ann", "one").unwrap();
    ann.send("ann", "two").unwrap();
    wait_until("messages come", || is_readable(&ann));
    assert_eq!(ann.next().text(), Some("one".into()));
    wait_until("the second one waits", || is_readable(&ann));
    assert_eq!(ann.next().text(), Some("two".into()));
    assert!(!is_readable(&ann));
    assert_eq!(ann.next_within(0).unwrap().kind(), OBROLAN_EVENT_NONE);
    assert_eq!(checked(obrolan_client_close(ann.0)), nothing());
    assert!(is_readable(&ann), "of the end, too");
    assert_eq!(ann.next_within(PATIENCE).err().unwrap().code, OBROLAN_ERR_CLOSED);
    assert!(is_readable(&ann));
}

#[test]
fn requests_that_wait_are_bounded() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("obrolan://ann:secret99@{}", nobody.local_addr().unwrap());
    let ann = Client::open_with(&url, |options| options.wait = 0).unwrap();
    // SAFETY: the number may be left out.
    let post = || checked(unsafe { obrolan_client_post(ann.0, c"PING".as_ptr(), ptr::null_mut()) });
    let refused = (0..20_000).find_map(|_| post().err()).expect("there is a limit");
    assert_eq!(refused.code, OBROLAN_ERR_LIMIT);
    assert!(refused.text.contains("wait until some are answered"), "{}", refused.text);
}
