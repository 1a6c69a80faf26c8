//! What the engine promises its host and its peers, whatever they do.

use obrolan::{
    Answer, ApiError, Ask, Closed, Config, ConnId, Engine, Limits, Peer, RecoveryError, Seq, Service,
    SessionDigest, Ticket, Time,
    testing::{Escaped, FORMAT, Feed, Happened, START, Scenario, Work, World},
};
use proptest::prelude::*;

/// A world that journals, with a host for passwords, messages and files, and somebody logged in for every name.
fn world(names: &[&str], limits: Limits) -> World {
    let config = Config {
        persistence: true,
        passwords: Service::Host,
        messages: Service::Host,
        files: Service::Host,
        limits,
        ..Config::default()
    };
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
fn ask(world: &mut World, conn: usize, line: &str) -> Vec<String> {
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

/// A scenario's bytes, shown so that it can be played again.
#[derive(Clone)]
struct Bytes(Vec<u8>);

const REPLAY: &str = "OBROLAN_SCENARIO";

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let steps = Scenario::decode(&self.0).steps;
        write!(f, "{steps:#?}\nplay it again with {REPLAY}={hex}\n")
    }
}

/// Any scenario, or the one that the environment tells to play again.
fn scenarios() -> BoxedStrategy<Bytes> {
    if let Ok(hex) = std::env::var(REPLAY) {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("a scenario is told in hex");
        return Just(Bytes((0..hex.len()).step_by(2).map(byte).collect())).boxed();
    }
    let any = prop::collection::vec(any::<u8>(), 0..700);
    any.prop_map(|bytes| Bytes([&[FORMAT], &bytes[..]].concat())).boxed()
}

fn settings() -> ProptestConfig {
    // A failure is played again from what it prints.
    ProptestConfig { failure_persistence: None, max_shrink_iters: 5000, ..ProptestConfig::default() }
}

const SEED: [u8; 32] = [3; 32];

fn settled(bytes: &Bytes, seed: [u8; 32], feed: Feed) -> World {
    let mut world = Scenario::decode(&bytes.0).play(seed, feed);
    world.settle();
    world
}

/// Bytes with every session id that a peer of the world read replaced by its number: they are random.
fn without_session_ids(bytes: &[u8], world: &World) -> Escaped {
    let mut bytes = bytes.to_vec();
    for (at, id) in world.session_ids().iter().enumerate() {
        while let Some(place) = bytes.windows(id.len()).position(|window| window == id.as_bytes()) {
            bytes[place..place + id.len()].fill(b'0' + at as u8);
        }
    }
    Escaped(bytes)
}

/// The first thing that did not happen in the same way, as `same` sees it.
fn first_difference(one: &World, two: &World, same: impl Fn(&Happened, &Happened) -> bool) -> Option<String> {
    let (one, two) = (one.happened(), two.happened());
    let at = (0..one.len().max(two.len())).find(|at| match (one.get(*at), two.get(*at)) {
        (Some(one), Some(two)) => !same(one, two),
        _ => true,
    })?;
    Some(format!("{:?}\nwhere there was\n{:?}", one.get(at), two.get(at)))
}

/// Whether two records differ in the digest of a session id at most.
fn differ_in_a_digest(one: &Escaped, two: &Escaped) -> bool {
    let (one, two) = (&one.0, &two.0);
    let differ: Vec<usize> = (0..one.len().min(two.len())).filter(|at| one[*at] != two[*at]).collect();
    one.len() == two.len() && differ.iter().all(|at| at - differ[0] < size_of::<SessionDigest>())
}

/// Every mistake a host can make now.
fn misuse(world: &mut World) {
    let (now, (given, durable)) = (world.now(), world.journal());
    let nobody = ConnId::from_number(u64::from(u32::MAX)).unwrap();
    let conns: Vec<ConnId> = (0..world.connections()).map(|conn| world.id(conn)).collect();
    let closed: Vec<ConnId> = (0..conns.len())
        .filter(|conn| !world.is_open(*conn))
        .map(|conn| conns[conn])
        .chain([nobody])
        .collect();
    let asked: Vec<Ticket> = world.asked().iter().map(|(ticket, _)| *ticket).collect();
    let answered: Vec<Ticket> = world
        .happened()
        .iter()
        .filter_map(|one| if let Happened::Asked(ticket, _) = one { Some(*ticket) } else { None })
        .chain([Ticket(0), Ticket(u64::MAX)])
        .filter(|ticket| !asked.contains(ticket))
        .collect();
    let passwords: Vec<(Ticket, bool)> = world
        .asked()
        .iter()
        .filter(|(_, ask)| !matches!(ask, Ask::ReadMessages { .. }))
        .map(|(ticket, ask)| (*ticket, matches!(ask, Ask::HashPassword { .. })))
        .collect();
    let recovered = Engine::new(Config::default(), SEED, now).unwrap();
    // What was asked before a failure is of no use, and any answer will do.
    let asks_count = !world.failed_once();
    let engine = world.engine();
    for conn in closed {
        assert_eq!(engine.receive(now, conn, b"PING\n"), Err(ApiError::UnknownConnection));
        assert_eq!(engine.sent(now, conn, 0), Err(ApiError::UnknownConnection));
        assert_eq!(engine.peer_closed(now, conn, Closed::Gone), Err(ApiError::UnknownConnection));
        assert!(engine.outgoing(conn).next().is_none() && !engine.wants_read(conn));
    }
    for conn in conns {
        let outgoing: usize = engine.outgoing(conn).map(<[u8]>::len).sum();
        assert!(engine.sent(now, conn, outgoing + 1).is_err());
    }
    for ticket in answered {
        assert_eq!(engine.answer(now, ticket, Answer::Failed), Err(ApiError::UnknownTicket));
    }
    if asks_count {
        for (ticket, hashes) in passwords {
            let wrong =
                if hashes { Answer::PasswordMatches(true) } else { Answer::PasswordHash(String::new()) };
            assert!(engine.answer(now, ticket, wrong).is_err());
        }
        assert_eq!(engine.restore(now, recovered), Err(ApiError::StoreNotFailed));
    }
    for seq in [Seq(0), durable, Seq(given.0 + 1), Seq(u64::MAX)] {
        assert!(engine.persisted(now, seq).is_err());
        assert!(engine.persist_failed(now, seq).is_err());
    }
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

proptest! {
    #![proptest_config(settings())]

    /// Every answer and event is the model's, in order, one to a request, and none leaves before what it tells is durable; a failed store
    /// takes back exactly what was lost; subscribers miss nothing and see nothing twice. The referee says how.
    #[test]
    fn what_peers_read_is_what_the_protocol_says(bytes in scenarios()) {
        Scenario::decode(&bytes.0).judge(SEED);
    }

    /// Whenever the engine stops, what was durable by then is what a restart shows: since nothing else was told (the referee sees to
    /// that), every OK that left holds.
    #[test]
    fn a_crash_takes_nothing_that_was_told(bytes in scenarios(), when in any::<[prop::sample::Index; 3]>()) {
        let scenario = Scenario::decode(&bytes.0);
        let mut world = scenario.refereed(SEED);
        let crashes = when.map(|when| when.index(scenario.steps.len().max(1)));
        for (at, step) in scenario.steps.iter().enumerate() {
            world.step(step);
            if crashes.contains(&at) {
                let durable = world.journal().1;
                if let Some(expected) = world.should_show(durable) {
                    prop_assert_eq!(world.shows(durable), expected);
                }
            }
        }
    }

    /// The same bytes in other pieces: the same outputs in the same order.
    ///
    /// Two things are left out by their nature. A line that comes whole needs no memory for unfinished lines, so that limit is wide. And a
    /// line that is too long is told of before its end, so that an output buffer that is full by then stops the peer earlier; so
    /// either no line is too long or no buffer is full.
    #[test]
    fn cuts_change_nothing(bytes in scenarios(), long: bool, sizes in prop::collection::vec(1_usize..40, 1..5)) {
        let mut scenario = Scenario::decode(&bytes.0);
        if long {
            scenario.config.limits.output_buffer = 1 << 20;
        } else {
            scenario.config.limits.line = 1 << 20;
            scenario.config.limits.line_before_session = 1 << 20;
        }
        let play = |feed| {
            let mut world = scenario.play(SEED, feed);
            world.settle();
            world
        };
        let mut whole = play(Feed::Whole);
        for feed in [Feed::Lines, Feed::Pieces(sizes)] {
            let mut cut = play(feed);
            prop_assert_eq!(first_difference(&whole, &cut, Happened::eq), None);
            prop_assert_eq!(whole.engine().digest(), cut.engine().digest());
        }
    }

    /// What a host does wrong is an error, and nothing else.
    #[test]
    fn misuse_changes_nothing(bytes in scenarios()) {
        let scenario = Scenario::decode(&bytes.0);
        let well = scenario.play(SEED, Feed::Whole);
        let mut badly = World::new(scenario.config.clone(), SEED, START);
        for step in &scenario.steps {
            badly.step(step);
            misuse(&mut badly);
        }
        prop_assert_eq!(first_difference(&well, &badly, Happened::eq), None);
    }

    /// The same seed: the same outputs. Another seed, and so other keys for all hashes: other session ids and salts, and nothing else.
    #[test]
    fn only_secrets_come_from_the_seed(bytes in scenarios()) {
        let mut world = settled(&bytes, SEED, Feed::Whole);
        let mut again = settled(&bytes, SEED, Feed::Whole);
        prop_assert_eq!(first_difference(&world, &again, Happened::eq), None);
        prop_assert_eq!(world.engine().digest(), again.engine().digest());
        let world = world;
        let other = settled(&bytes, [4; 32], Feed::Whole);
        let same = |one: &Happened, two: &Happened| match (one, two) {
            (Happened::Asked(one, Ask::HashPassword { password, salt }), Happened::Asked(two, Ask::HashPassword { password: same, salt: fresh })) => {
                (one, password) == (two, same) && salt != fresh
            }
            (Happened::Record(one, record, brings), Happened::Record(two, other_record, same)) => {
                let (record, other) =
                    (without_session_ids(&record.0, &world), without_session_ids(&other_record.0, &other));
                (one, brings) == (two, same) && differ_in_a_digest(&record, &other)
            }
            // A session id may be read in pieces: what was read is compared as a whole.
            (Happened::Read(one, bytes), Happened::Read(two, other)) => (one, bytes.0.len()) == (two, other.0.len()),
            (one, two) => one == two,
        };
        prop_assert_eq!(first_difference(&world, &other, same), None);
        for conn in 0..world.connections() {
            let (one, two) = (world.received(conn), other.received(conn));
            prop_assert_eq!(without_session_ids(one, &world), without_session_ids(two, &other));
        }
    }

    /// Records played again, from the start or on top of any snapshot, give the same state; and a snapshot of that is the same bytes.
    #[test]
    fn a_recovery_is_the_same_engine(bytes in scenarios()) {
        let mut world = settled(&bytes, SEED, Feed::Whole);
        if world.journal().0 == Seq(0) {
            return Ok(());
        }
        let (last, _) = world.journal();
        let expected = world.engine().snapshot();
        let from_start = world.recover(last, None).unwrap();
        prop_assert_eq!(from_start.digest(), world.engine().digest());
        prop_assert!(from_start.snapshot() == expected);
        for snapshot in world.snapshots() {
            let recovered = world.recover(last, Some(snapshot)).unwrap();
            prop_assert!(recovered.snapshot() == expected);
            let alone = world.recover(snapshot.seq, Some(snapshot)).unwrap();
            prop_assert!(alone.snapshot().as_ref() == Ok(snapshot));
        }
    }

    /// Damage is an error, or a state like any other: never a panic, not even later.
    #[test]
    fn damage_is_told_or_lived_with(
        bytes in scenarios(),
        next in scenarios(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
        cut: bool,
    ) {
        let mut world = settled(&bytes, SEED, Feed::Whole);
        let mut snapshot = world.engine().snapshot().unwrap();
        let damage = |bytes: &mut Vec<u8>| match at.index(bytes.len()) {
            place if cut => bytes.truncate(place),
            place => bytes[place] ^= flip,
        };
        damage(&mut snapshot.bytes);
        let damaged = world.recover(snapshot.seq, Some(&snapshot));
        prop_assert!(!cut || damaged.is_err());
        let (last, _) = world.journal();
        let config = Scenario::decode(&bytes.0).config;
        let mut recovery = Engine::recover(config.clone(), SEED).unwrap();
        let broken = at.index(last.0 as usize + 1) as u64;
        for seq in 1..=last.0 {
            let mut record = world.record(Seq(seq)).to_vec();
            if seq == broken {
                damage(&mut record);
            }
            if recovery.record(Seq(seq), &record).is_err() {
                break;
            }
        }
        for engine in damaged.into_iter().chain(recovery.start(world.now())) {
            let mut world = World::going_on(engine, config.clone(), START);
            Scenario::decode(&next.0).steps.iter().for_each(|step| world.step(step));
        }
    }

    /// However small the limits: one answer to each line, in time without end to what waits, and no event but to subscribers.
    #[test]
    fn what_is_kept_for_a_connection_is_bounded(bytes in scenarios()) {
        let scenario = Scenario::decode(&bytes.0);
        let limits = Limits { input_buffer: 150, memory_messages: 1000, ..scenario.config.limits.clone() };
        let mut world = World::new(Config { limits: limits.clone(), ..scenario.config.clone() }, SEED, START);
        for step in &scenario.steps {
            world.step(step);
            for conn in 0..world.connections() {
                let id = world.id(conn);
                let outgoing: usize = world.engine().outgoing(id).map(<[u8]>::len).sum();
                let longest = 8000;
                prop_assert!(outgoing <= limits.output_buffer + limits.output_buffer / 2 + 2 * longest, "{}", outgoing);
            }
            prop_assert!(world.engine().connections() <= limits.connections);
            prop_assert!(world.engine().accounts() <= limits.users);
        }
        world.settle();
        for conn in (0..world.connections()).filter(|conn| world.is_open(*conn)) {
            let taken = world.taken(conn).to_vec();
            let lines = taken.split_inclusive(|byte| *byte == b'\n').filter(|line| !matches!(line, [b'\n'] | [b'\r', b'\n']));
            let (whole, partial): (Vec<_>, Vec<_>) = lines.partition(|line| line.ends_with(b"\n"));
            let frames = world.frames(conn);
            let answers = frames.iter().filter(|frame| frame.starts_with("{\"status\":")).count();
            // An unfinished line may be too long already.
            prop_assert!((whole.len()..=whole.len() + partial.len()).contains(&answers), "{} to {} and {}", answers, whole.len(), partial.len());
            let asked = taken.to_ascii_uppercase().windows(9).any(|word| word == b"SUBSCRIBE");
            prop_assert!(asked || answers == frames.len());
        }
    }
}
