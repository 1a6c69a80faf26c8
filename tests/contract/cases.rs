//! Single cases of the contract: what went wrong once, and what no scenario comes to.

use obrolan::{
    Answer, ApiError, Closed, Config, Engine, Limits, Peer, RecoveryError, Seq, Service, Time,
    testing::{Work, World},
};

/// A world that journals, with a host for passwords, messages and files, and somebody logged in for every name.
pub(crate) fn world(names: &[&str], limits: Limits) -> World {
    let config = Config {
        persistence: true,
        passwords: Service::Host,
        messages: Service::Host,
        files: Service::Host,
        limits,
        ..Config::default()
    };
    world_with(config, names)
}

/// A world with somebody logged in for every name.
pub(crate) fn world_with(config: Config, names: &[&str]) -> World {
    let mut world = World::new(config, [1; 32], Time(1_795_424_400_000));
    for name in names {
        let conn = world.connect(Peer::Local).unwrap();
        world.say(conn, format!("REGISTER {name} secret ID {name}\nAUTH {name} secret\n").as_bytes());
        world.settle();
        assert!(world.frames(conn)[1].contains("tokenid"));
    }
    world
}

/// Says a line, does all there is to do, and returns what its connection read because of it.
pub(crate) fn ask(world: &mut World, conn: usize, line: &str) -> Vec<String> {
    let before = world.frames(conn).len();
    world.say(conn, format!("{line}\n").as_bytes());
    world.settle();
    world.frames(conn).split_off(before)
}

#[test]
fn a_session_lost_with_the_store_is_nobody_elses() {
    let mut world = world(&["ann", "bob"], Limits::default());
    let lost = world.connect(Peer::Local).unwrap();
    world.say(lost, b"AUTH ann secret\n");
    world.answer(0, Work::Done);
    world.fail(1);
    world.settle();
    assert!(world.frames(lost)[0].contains("unavailable"));
    let other = world.connect(Peer::Local).unwrap();
    assert!(ask(&mut world, other, "AUTH bob secret")[0].contains("tokenid"));
    assert!(ask(&mut world, lost, "WHOAMI")[0].contains("no_session"));
}

#[test]
fn while_the_store_is_down_requests_are_answered_at_once() {
    let mut world = world(&["ann"], Limits::default());
    world.say(0, b"ADD_GROUP one\nADD_GROUP two\n");
    world.fail(2);
    world.say(0, b"WHOAMI\nPING\n");
    world.read(0, usize::MAX);
    let codes: Vec<bool> = world.frames(0)[2..].iter().map(|frame| frame.contains("unavailable")).collect();
    assert_eq!(codes, [true, true, true, false]);
}

#[test]
fn a_subscriber_is_sent_again_what_was_lost_on_its_way() {
    let mut world = world(&["ann", "bob"], Limits::default());
    ask(&mut world, 1, "SEND ann durable");
    world.say(0, b"SUBSCRIBE\n");
    // The message is read behind a record that the store then loses; the message itself it has.
    world.say(1, b"ADD_GROUP lost\n");
    world.answer(0, Work::Done);
    world.fail(1);
    world.settle();
    assert!(world.frames(0).last().unwrap().contains("durable"), "{:?}", world.frames(0));
}

#[test]
fn a_subscription_takes_only_what_was_read_for_it() {
    let mut world = world(&["ann", "bob"], Limits::default());
    for text in ["one", "two", "three"] {
        ask(&mut world, 1, &format!("SEND ann {text}"));
    }
    world.say(0, b"SUBSCRIBE 2\nSUBSCRIBE\n");
    world.settle();
    let frames = world.frames(0);
    let events: Vec<&String> = frames.iter().filter(|frame| frame.contains("\"event\"")).collect();
    assert_eq!(events.len(), 3, "{events:?}");
}

#[test]
fn a_read_that_failed_is_tried_again_with_the_next_message() {
    let mut world = world(&["ann", "bob"], Limits::default());
    ask(&mut world, 1, "SEND ann one");
    world.say(0, b"SUBSCRIBE\n");
    world.persist(9);
    world.read(0, usize::MAX);
    world.answer(0, Work::Failed);
    ask(&mut world, 1, "SEND ann two");
    let frames = world.frames(0);
    assert!(frames[3].contains("one") && frames[4].contains("two"), "{frames:?}");
}

#[test]
fn a_read_that_failed_is_tried_again_after_a_while() {
    let mut world = world(&["ann", "bob"], Limits::default());
    ask(&mut world, 1, "SEND ann one");
    world.say(0, b"SUBSCRIBE\n");
    world.persist(9);
    world.read(0, usize::MAX);
    for _ in 0..3 {
        world.answer(0, Work::Failed);
        world.settle();
        assert_eq!(world.frames(0).len(), 3, "{:?}", world.frames(0));
        world.wait(30_000);
    }
    world.settle();
    assert!(world.frames(0)[3].contains("one"), "{:?}", world.frames(0));
}

#[test]
fn a_subscription_is_what_it_was_before_what_is_lost() {
    let mut world = world(&["ann", "bob"], Limits::default());
    world.say(1, b"ADD_GROUP one\n");
    world.say(0, b"SUBSCRIBE\nAUTH bob secret\n");
    world.answer(0, Work::Done);
    // The first change of the subscription is durable, the second is not.
    world.persist(1);
    world.fail(1);
    world.settle();
    let frames = world.frames(0).split_off(2);
    assert!(frames[0].contains("langganan aktif") && frames[1].contains("unavailable"), "{frames:?}");
    ask(&mut world, 1, "SEND ann halo");
    assert!(world.frames(0).last().unwrap().contains("halo"), "{:?}", world.frames(0));
}

#[test]
fn a_slow_reader_grows_nothing_and_misses_nothing() {
    for service in [Service::Inside, Service::Host] {
        let limits = Limits { output_buffer: 1000, ..Limits::default() };
        let config = Config {
            persistence: true,
            passwords: Service::Host,
            messages: service,
            limits,
            ..Config::default()
        };
        let mut world = World::new(config, [1; 32], Time(0));
        let (slow, ann) = (world.connect(Peer::Local).unwrap(), world.connect(Peer::Local).unwrap());
        for (conn, name) in [(slow, "slow"), (ann, "ann")] {
            ask(&mut world, conn, &format!("REGISTER {name} secret ID {name}"));
            ask(&mut world, conn, &format!("AUTH {name} secret"));
            ask(&mut world, conn, "ADD_GROUP club");
            ask(&mut world, conn, "JOIN_GROUP club");
        }
        ask(&mut world, slow, "SUBSCRIBE");
        let before = world.frames(slow).len();
        for at in 0..100 {
            let to = if at % 2 == 0 { "SEND slow" } else { "SEND_GROUP club" };
            world.say(ann, format!("{to} {at}\n").as_bytes());
            world.persist(1);
            world.read(ann, usize::MAX);
        }
        let id = world.id(slow);
        let outgoing: usize = world.engine().outgoing(id).map(<[u8]>::len).sum();
        assert!((1000..1200).contains(&outgoing), "{outgoing}");
        world.settle();
        let texts: Vec<String> = (0..100).map(|at| format!("\"text\":\"{at}\"")).collect();
        let frames = world.frames(slow).split_off(before);
        assert_eq!(frames.len(), texts.len());
        assert!(frames.iter().zip(&texts).all(|(frame, text)| frame.contains(text)), "{frames:?}");
    }
}

/// Ann and, after her, a slow reader with a small mailbox, in a club.
fn club() -> World {
    let limits = Limits { mailbox_messages: 3, output_buffer: 300, ..Limits::default() };
    let mut world = world(&["ann", "slow"], limits);
    ask(&mut world, 0, "ADD_GROUP club");
    ask(&mut world, 1, "JOIN_GROUP club");
    world
}

fn send_to_club(world: &mut World, count: usize) {
    (0..count).for_each(|at| world.say(0, format!("SEND_GROUP club {at}\n").as_bytes()));
}

fn gaps(frames: &[String]) -> Vec<String> {
    frames.iter().filter(|frame| frame.contains("\"gap\"")).cloned().collect()
}

#[test]
fn a_gap_is_told_from_where_it_was_told() {
    let mut world = club();
    send_to_club(&mut world, 5);
    assert_eq!(gaps(&ask(&mut world, 1, "SUBSCRIBE")), ["{\"event\":\"gap\",\"count\":2}"]);
    // To confirm less than what went does not end it.
    ask(&mut world, 1, "ACK 1");
    send_to_club(&mut world, 10);
    assert_eq!(gaps(&ask(&mut world, 1, "PING")), ["{\"event\":\"gap\",\"count\":10}"]);
}

#[test]
fn what_had_to_go_is_told_once() {
    let mut world = club();
    send_to_club(&mut world, 5);
    let first = ask(&mut world, 1, "SUBSCRIBE");
    assert_eq!(gaps(&first), ["{\"event\":\"gap\",\"count\":2}"], "{first:?}");
    ask(&mut world, 1, "ACK 5");
    send_to_club(&mut world, 10);
    let second = ask(&mut world, 1, "PING");
    assert_eq!(gaps(&second), ["{\"event\":\"gap\",\"count\":7}"], "{second:?}");
    assert!(second.last().unwrap().contains("\"id\":15"), "{second:?}");
}

#[test]
fn nothing_follows_the_goodbye() {
    let mut world = world(&["ann", "bob"], Limits::default());
    ask(&mut world, 0, "SUBSCRIBE");
    world.say(0, b"QUIT\n");
    world.say(1, b"SEND ann wait\n");
    world.settle();
    assert!(world.frames(0).last().unwrap().contains("sampai jumpa"));
    assert!(!world.is_open(0));
}

#[test]
fn who_neither_asks_nor_reads_is_let_go() {
    let limits = Limits { idle_before_session: 1000, ..Limits::default() };
    let mut world = world(&[], limits);
    let (silent, half) = (world.connect(Peer::Local).unwrap(), world.connect(Peer::Local).unwrap());
    world.say(silent, b"PING\n");
    world.say(half, b"PING\n");
    world.end(half, Closed::Eof);
    for _ in 0..4 {
        world.wait(1000);
    }
    assert!(!world.is_open(silent) && !world.is_open(half));
}

#[test]
fn who_ends_has_time_to_read_the_last_answer() {
    let mut world = world(&["ann"], Limits { idle_before_session: 1000, ..Limits::default() });
    world.wait(900);
    world.wait(900);
    world.say(0, b"WHOAMI\n");
    world.wait(5000);
    world.end(0, Closed::Eof);
    world.wait(999);
    assert!(world.is_open(0));
    world.read(0, 1);
    world.wait(999);
    world.settle();
    assert!(world.frames(0)[2].contains("ann") && !world.is_open(0));
}

#[test]
fn an_old_password_opens_nothing_once_it_is_changed() {
    let mut world = world(&["ann"], Limits::default());
    let late = world.connect(Peer::Local).unwrap();
    world.say(late, b"AUTH ann secret\n");
    world.say(0, b"PASSWD secret other\n");
    world.answer(1, Work::Done);
    world.answer(1, Work::Done);
    world.settle();
    assert!(world.frames(0).last().unwrap().contains("password diganti"));
    assert!(world.frames(late)[0].contains("bad_credentials"), "{:?}", world.frames(late));
}

#[test]
fn a_body_that_is_not_there_is_the_hosts_mistake() {
    let mut world = world(&["ann"], Limits::default());
    ask(&mut world, 0, "SEND ann hello");
    world.say(0, b"INBOX\n");
    let (ticket, now) = (world.asked()[0].0, world.now());
    let answer = |bodies: &[&[u8]]| Answer::Messages(bodies.iter().map(|body| body.to_vec()).collect());
    assert_eq!(world.engine().answer(now, ticket, answer(&[])), Err(ApiError::WrongAnswer));
    assert_eq!(world.engine().answer(now, ticket, answer(&[b""])), Err(ApiError::WrongAnswer));
    // The same records for an engine that keeps bodies itself: their host did.
    let config = Config { persistence: true, ..Config::default() };
    let mut recovery = Engine::recover(config, [0; 32]).unwrap();
    for seq in 1..=world.journal().0.0 {
        recovery.record(Seq(seq), world.record(Seq(seq))).unwrap();
    }
    assert_eq!(recovery.start(now).err(), Some(RecoveryError::NoBody { id: 1 }));
}

#[test]
fn attempts_are_counted_for_an_account_in_every_spelling_of_it() {
    let mut world = world(&["ann"], Limits::default());
    let mut last = String::new();
    for at in 0..11 {
        let peer = Peer::Address([192, 0, 2, at].into());
        let conn = world.connect(peer).unwrap();
        last = ask(&mut world, conn, "AUTH ann@localhost wrong").remove(0);
    }
    assert!(last.contains("throttled"), "{last}");
}

#[test]
fn an_old_seed_gives_out_no_session_id_again() {
    let before = world(&["ann"], Limits::default());
    let (last, now, config) =
        (before.journal().0, before.now(), Config { passwords: Service::Host, ..Config::default() });
    let mut recovery = Engine::recover(config.clone(), [1; 32]).unwrap();
    (1..=last.0).for_each(|seq| recovery.record(Seq(seq), before.record(Seq(seq))).unwrap());
    let mut after = World::going_on(recovery.start(now).unwrap(), config, now);
    let conn = after.connect(Peer::Local).unwrap();
    let again = ask(&mut after, conn, "AUTH ann secret");
    assert!(again[0].contains("tokenid") && again[0] != before.frames(0)[1]);
}

#[test]
fn a_recovery_that_lacks_what_is_durable_is_not_taken() {
    let mut world = world(&["ann"], Limits::default());
    world.say(0, b"ADD_GROUP lost\n");
    world.fail(1);
    let (now, durable) = (world.now(), world.journal().1);
    let short = world.recover(Seq(durable.0 - 1), None).unwrap();
    let error = ApiError::RecoveredTooLittle { found: durable.0 - 1, durable: durable.0 };
    assert_eq!(world.engine().restore(now, short), Err(error));
    let mut used = world.recover(durable, None).unwrap();
    used.handle_timeout(now.after(2 * Limits::default().session_idle));
    assert_eq!(world.engine().restore(now, used), Err(ApiError::NotRecovered), "a session has ended there");
    let other = Config { messages: Service::Inside, ..Config::default() };
    let other = Engine::recover(other, [2; 32]).unwrap().start(now).unwrap();
    assert!(world.engine().restore(now, other).is_err());
    assert_eq!(world.engine().persisted(now, Seq(durable.0 + 1)), Err(ApiError::StoreFailed));
    world.settle();
    assert!(ask(&mut world, 0, "WHOAMI").last().unwrap().contains("ann"));
}

#[test]
fn nothing_comes_after_the_end_of_a_stream() {
    let mut world = world(&["ann"], Limits::default());
    world.say(0, b"WHOAMI\n");
    world.end(0, Closed::Eof);
    let (now, conn) = (world.now(), world.id(0));
    assert_eq!(world.engine().receive(now, conn, b"PING\n"), Err(ApiError::AfterEof));
    world.settle();
    assert!(world.frames(0)[2].contains("ann") && !world.is_open(0));
}

#[test]
fn what_allows_a_file_is_looked_at_again_once_it_is_kept() {
    let limits = Limits { mailbox_messages: 1, ..Limits::default() };
    let mut world = world(&["ann", "bob"], limits);
    // Both are let through; when they are kept, there is room for one.
    world.say(0, b"SEND_FILE bob a.txt eA==\n");
    world.say(1, b"SEND_FILE bob b.txt eQ==\n");
    world.settle();
    assert!(world.frames(0)[2].contains("file terkirim"), "{:?}", world.frames(0));
    assert!(world.frames(1)[2].contains("mailbox_full"), "{:?}", world.frames(1));
    // A session that ends meanwhile sends nothing.
    world.say(1, b"ACK 1\nSEND_FILE ann c.txt eA==\n");
    world.persist(usize::MAX);
    let other = world.connect(Peer::Local).unwrap();
    let sid = world.frames(1)[1].split("\"tokenid\":\"").nth(1).unwrap()[..36].to_owned();
    world.say(other, format!("LOGOUT {sid}\n").as_bytes());
    world.settle();
    assert!(world.frames(1).last().unwrap().contains("no_session"), "{:?}", world.frames(1));
    assert!(ask(&mut world, 0, "INBOX")[0].contains("\"messages\":[]"));
}

#[test]
fn a_dedupe_key_sends_a_file_once_however_its_requests_cross() {
    let mut world = world(&["ann", "bob"], Limits::default());
    let sid = world.frames(0)[1].split("\"tokenid\":\"").nth(1).unwrap()[..36].to_owned();
    let other = world.connect(Peer::Local).unwrap();
    ask(&mut world, other, &format!("RESUME {sid}"));
    let line = r#"{"request":"SEND_FILE","to":"bob","filename":"a b","base64":"eA==","dedupe":"k"}"#;
    world.say(0, format!("{line}\n").as_bytes());
    world.say(other, format!("{line}\n").as_bytes());
    world.settle();
    assert_eq!(world.frames(0)[2], world.frames(other)[1]);
    assert_eq!(ask(&mut world, 1, "INBOX")[0].matches("\"file\"").count(), 1);
}

#[test]
fn an_upload_is_its_users_whatever_becomes_of_the_connection() {
    let mut world = world(&["ann"], Limits::default());
    let sid = world.frames(0)[1].split("\"tokenid\":\"").nth(1).unwrap()[..36].to_owned();
    let other = world.connect(Peer::Local).unwrap();
    ask(&mut world, other, &format!("RESUME {sid}"));
    world.say(0, b"UPLOAD a.txt eA==\n");
    // Over another connection it has to wait for its turn.
    assert!(world.frames(other).len() == 1);
    world.say(other, b"UPLOAD a.txt eQ==\nSEND_FILE ann a.txt\n");
    world.end(0, Closed::Gone);
    world.settle();
    assert!(world.frames(other)[1..].iter().all(|frame| frame.contains("busy")), "{:?}", world.frames(other));
    assert!(ask(&mut world, other, "UPLOAD a.txt eQ==")[0].contains("\"size\":2"));
    // A part that cannot be kept leaves what was before it.
    world.say(other, b"UPLOAD a.txt eg==\n");
    world.answer(0, Work::Failed);
    world.settle();
    assert!(world.frames(other).last().unwrap().contains("unavailable"));
    assert!(ask(&mut world, other, "UPLOAD a.txt eg== 2")[0].contains("\"size\":3"));
    let sent = ask(&mut world, other, "SEND_FILE ann a.txt");
    assert!(sent[0].contains("\"size\":3"), "{sent:?}");
    assert!(ask(&mut world, other, "GET_FILE 1")[0].contains("\"data\":\"eHl6\""));
    // One that cannot be made durable is not sent, and is to be uploaded again.
    ask(&mut world, other, "UPLOAD b.txt eA==");
    world.say(other, b"SEND_FILE ann b.txt\n");
    world.answer(0, Work::Failed);
    world.settle();
    assert!(world.frames(other).last().unwrap().contains("unavailable"));
    assert!(ask(&mut world, other, "SEND_FILE ann b.txt")[0].contains("no_such_file"));
    // The store fails while a file is on its way.
    world.say(other, b"ADD_GROUP lost\nSEND_FILE ann c.txt eA==\n");
    world.fail(1);
    world.settle();
    assert!(world.frames(other).last().unwrap().contains("unavailable"));
    assert!(ask(&mut world, other, "SEND_FILE ann c.txt eA==")[0].contains("file terkirim"));
}

#[test]
fn parts_on_their_way_to_the_host_are_bounded() {
    let limits = Limits { input_buffer: 100, ..Limits::default() };
    let mut world = world(&["ann", "bob"], limits);
    let part = format!("UPLOAD a.txt {}\n", "AAAA".repeat(25));
    world.say(0, part.as_bytes());
    world.say(1, part.as_bytes());
    world.settle();
    assert!(world.frames(0)[2].contains("\"size\":75"), "{:?}", world.frames(0));
    assert!(world.frames(1)[2].contains("busy"), "{:?}", world.frames(1));
    assert!(ask(&mut world, 1, part.trim())[0].contains("\"size\":75"));
}

#[test]
fn a_list_of_users_that_is_too_long_goes_on_from_its_last_name() {
    let mut world = world(&[], Limits::default());
    let conn = world.connect(Peer::Local).unwrap();
    let name = |at: usize| format!("user{at:05}");
    for at in 0..10_001 {
        world.say(conn, format!("REGISTER {0} secret ID {0}\n", name(at)).as_bytes());
        world.answer(0, Work::Done);
        world.persist(1);
        world.read(conn, usize::MAX);
    }
    let list = |names: std::ops::Range<usize>, next: &str| {
        let names: Vec<String> = names.map(|at| format!("\"{}\"", name(at))).collect();
        format!("{{\"status\":\"OK\",\"users\":[{}]{next}}}", names.join(","))
    };
    let all = ask(&mut world, conn, "LIST_USERS").remove(0);
    assert!(all == list(0..10_000, r#","next":"user09999""#), "{}", &all[all.len() - 100..]);
    assert_eq!(ask(&mut world, conn, "LIST_USERS user09999"), [list(10_000..10_001, "")]);
    // As many as an answer holds are all.
    assert!(ask(&mut world, conn, "LIST_USERS user00000").remove(0) == list(1..10_001, ""));
}

#[test]
fn parts_on_their_way_count_against_the_quota() {
    let limits = Limits { user_files: 10, ..Limits::default() };
    let mut world = world(&["ann"], limits);
    let sid = world.frames(0)[1].split("\"tokenid\":\"").nth(1).unwrap()[..36].to_owned();
    let other = world.connect(Peer::Local).unwrap();
    world.say(0, b"UPLOAD a.txt MTIzNDU2\n");
    world.say(other, format!("UPLOAD {sid} b.txt MTIzNDU2\n").as_bytes());
    world.settle();
    assert!(world.frames(0)[2].contains("\"size\":6"), "{:?}", world.frames(0));
    assert!(world.frames(other)[0].contains("quota_exceeded"), "{:?}", world.frames(other));
    // One that takes the place of what was there counts once.
    assert!(ask(&mut world, 0, "UPLOAD a.txt MTIzNDU2Nzg5MA== 0")[0].contains("\"size\":10"));
    assert!(ask(&mut world, 0, "UPLOAD a.txt MTIz 0")[0].contains("\"size\":3"));
    assert!(ask(&mut world, 0, "UPLOAD b.txt MTIzNDU2")[0].contains("\"size\":6"));
}
