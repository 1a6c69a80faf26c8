//! What a host is told, when, and what it is told where it is mistaken.

use obrolan::{
    Answer, ApiError, Ask, Closed, ConnId, Limits, Output, Peer, Seq, Time,
    testing::{Happened, Work, World},
    wire::Line,
};

use crate::cases::{ask, world};

fn count(world: &World, what: &Happened) -> usize {
    world.happened().iter().filter(|happened| *happened == what).count()
}

/// The events that a connection has read.
fn events(world: &World, conn: usize) -> Vec<String> {
    world.frames(conn).into_iter().filter(|frame| frame.contains("\"event\"")).collect()
}

/// How many bytes there are to send on a connection.
fn outgoing(world: &mut World, conn: usize) -> usize {
    let id = world.id(conn);
    world.engine().outgoing(id).map(<[u8]>::len).sum()
}

#[test]
fn bytes_to_send_are_told_of_once_until_all_are_sent() {
    let mut world = world(&[], Limits::default());
    let conn = world.connect(Peer::Local).unwrap();
    let told = |world: &World| count(world, &Happened::Writable(conn));
    world.say(conn, b"PING\n");
    world.say(conn, b"PING\n");
    assert_eq!(told(&world), 1);
    let all = outgoing(&mut world, conn);
    world.read(conn, all - 1);
    world.say(conn, b"PING\n");
    assert_eq!(told(&world), 1, "the host knows that there is more");
    world.read(conn, usize::MAX);
    world.say(conn, b"PING\n");
    assert_eq!(told(&world), 2);
}

#[test]
fn no_more_is_sent_than_there_is() {
    let mut world = world(&[], Limits::default());
    let conn = world.connect(Peer::Local).unwrap();
    world.say(conn, b"PING\n");
    let (now, id) = (world.now(), world.id(conn));
    let outgoing = outgoing(&mut world, conn);
    let too_much = ApiError::SentTooMuch { sent: outgoing + 1, outgoing };
    assert_eq!(world.engine().sent(now, id, outgoing + 1), Err(too_much));
    assert_eq!(world.engine().sent(now, id, outgoing), Ok(()));
    assert_eq!(world.engine().sent(now, id, 0), Ok(()));
    assert_eq!(world.engine().sent(now, id, 1), Err(ApiError::SentTooMuch { sent: 1, outgoing: 0 }));
}

#[test]
fn who_does_not_read_is_listened_to_again_when_half_is_read() {
    let mut world = world(&[], Limits { output_buffer: 1000, ..Limits::default() });
    let conn = world.connect(Peer::Local).unwrap();
    let told = |world: &World| count(world, &Happened::Readable(conn));
    world.say(conn, &b"PING\n".repeat(100));
    let id = world.id(conn);
    let outgoing = outgoing(&mut world, conn);
    assert!((1000..1100).contains(&outgoing) && !world.engine().wants_read(id), "{outgoing}");
    world.read(conn, outgoing - 501);
    assert_eq!(told(&world), 0);
    world.read(conn, 1);
    assert_eq!(told(&world), 1);
    world.settle();
    assert_eq!(world.frames(conn).len(), 100);
}

#[test]
fn who_is_listened_to_is_not_told_so() {
    let mut world = world(&[], Limits::default());
    let conn = world.connect(Peer::Local).unwrap();
    assert_eq!(ask(&mut world, conn, "PING").len(), 1);
    assert_eq!(count(&world, &Happened::Readable(conn)), 0);
}

#[test]
fn connections_and_accounts_are_counted() {
    let mut world = world(&["ann", "bob", "cay"], Limits::default());
    assert_eq!((world.engine().connections(), world.engine().accounts()), (3, 3));
    world.end(0, Closed::Gone);
    assert_eq!((world.engine().connections(), world.engine().accounts()), (2, 3));
}

#[test]
fn as_much_is_held_of_unfinished_lines_as_the_limit_says() {
    let mut world = world(&[], Limits { input_buffer: 100, ..Limits::default() });
    let (one, two) = (world.connect(Peer::Local).unwrap(), world.connect(Peer::Local).unwrap());
    world.say(one, &[b'x'; 60]);
    world.say(two, &[b'x'; 40]);
    world.settle();
    assert!(world.frames(two).is_empty());
    world.say(two, b"x");
    world.settle();
    assert!(world.frames(two)[0].contains("busy"), "{:?}", world.frames(two));
}

/// Who has no session has to ask for something; to read slowly is not enough.
#[test]
fn reading_keeps_no_connection_without_a_session() {
    let mut world = world(&[], Limits { idle_before_session: 1000, ..Limits::default() });
    let conn = world.connect(Peer::Local).unwrap();
    world.say(conn, b"PING\n");
    world.wait(900);
    world.read(conn, 1);
    world.wait(200);
    world.read(conn, usize::MAX);
    assert!(!world.is_open(conn));
}

#[test]
fn what_was_uploaded_for_a_request_that_is_lost_is_dropped() {
    let mut world = world(&["ann", "bob"], Limits::default());
    world.say(1, b"ADD_GROUP lost\n");
    world.say(0, b"SEND_FILE bob a.txt eA==\n");
    let Some((_, Ask::AppendUpload { upload, .. })) = world.asked().first().cloned() else {
        panic!("{:?}", world.asked());
    };
    world.answer(0, Work::Done);
    world.fail(1);
    let dropped = |(_, ask): &(_, Ask)| matches!(ask, Ask::DropUpload { upload: of } if *of == upload);
    assert!(world.asked().iter().any(dropped), "{:?}", world.asked());
}

#[test]
fn a_snapshot_shows_none_of_its_bytes() {
    let mut world = world(&["ann"], Limits::default());
    let snapshot = world.engine().snapshot().unwrap();
    assert_eq!(format!("{snapshot:?}"), format!("Snapshot({} bytes up to Seq(2))", snapshot.bytes.len()));
}

/// Hosts compare states by it: those that are the same, and those that are not.
#[test]
fn a_digest_is_of_the_state() {
    let digest = |texts: &[&str]| {
        let mut world = world(&["ann", "bob"], Limits::default());
        texts.iter().for_each(|text| drop(ask(&mut world, 0, &format!("SEND bob {text}"))));
        world.engine().digest()
    };
    assert_eq!(digest(&["one"]), digest(&["two"]), "bodies are no part of it");
    assert_ne!(digest(&["one"]), digest(&["one", "two"]));
}

/// Lines that never end are held up to a limit, which those that are gone or over leave to others, all of it.
#[test]
fn unfinished_lines_are_forgotten_with_their_connections() {
    for how in [Closed::Gone, Closed::Eof] {
        let mut world = world(&[], Limits { input_buffer: 100, ..Limits::default() });
        for _ in 0..5 {
            let conn = world.connect(Peer::Local).unwrap();
            world.say(conn, &[b'x'; 60]);
            world.end(conn, how);
            world.settle();
        }
        let (one, two) = (world.connect(Peer::Local).unwrap(), world.connect(Peer::Local).unwrap());
        world.say(one, &[b'x'; 100]);
        world.say(two, &[b'x'; 60]);
        world.settle();
        assert!(world.frames(one).is_empty(), "{how:?}: {:?}", world.frames(one));
        assert!(world.frames(two)[0].contains("busy"), "{how:?}: {:?}", world.frames(two));
        assert!(ask(&mut world, two, "\nPING").iter().any(|frame| frame.contains("pong")));
    }
}

#[test]
fn an_answer_that_does_not_fit_is_not_taken() {
    let mut world = world(&["ann", "bob"], Limits::default());
    for text in ["one", "two", "three"] {
        ask(&mut world, 0, &format!("SEND bob {text}"));
    }
    let now: Time = world.now();
    let history = |before: Option<&[u8]>, messages: &[&[u8]], more| Answer::History {
        before: before.map(<[u8]>::to_vec),
        messages: messages.iter().map(|body| body.to_vec()).collect(),
        more,
    };
    let fits = history(None, &[b"{}", b"{}"], true);
    let first_page = [
        (history(None, &[b"{}", b"{}", b"{}"], false), "more than asked for"),
        (history(Some(b"{}"), &[b"{}"], false), "one before a page that is the last"),
        (history(None, &[], true), "none, and more"),
        (history(None, &[b"{}", b""], false), "an empty body"),
        (Answer::PasswordMatches(true), "of another kind"),
        (Answer::Messages(vec![b"{}".to_vec()]), "of a kind like it"),
    ];
    let next_page = [
        (history(Some(b""), &[b"{}"], false), "an empty body before"),
        (history(Some(b"{}"), &[b"{}", b"{}", b"{}"], false), "more than asked for"),
    ];
    let last_two = r#"{"request":"HISTORY","with":"bob","limit":2}"#;
    for (request, wrong) in [(last_two, &first_page[..]), ("HISTORY bob 3 2", &next_page[..])] {
        world.say(0, format!("{request}\n").as_bytes());
        let (ticket, asked) = world.asked()[0].clone();
        assert!(matches!(asked, Ask::ReadHistory { .. }), "{asked:?}");
        for (answer, why) in wrong {
            assert_eq!(
                world.engine().answer(now, ticket, answer.clone()),
                Err(ApiError::WrongAnswer),
                "{why}"
            );
        }
        world.settle();
        assert!(world.frames(0).last().unwrap().contains("\"two\""), "{:?}", world.frames(0));
        assert_eq!(world.engine().answer(now, ticket, fits.clone()), Err(ApiError::UnknownTicket));
    }
}

/// Who subscribes again and again costs the host one read at a time.
#[test]
fn a_connection_has_one_read_at_a_time() {
    let mut world = world(&["ann", "bob"], Limits::default());
    for text in ["one", "two"] {
        ask(&mut world, 0, &format!("SEND bob {text}"));
    }
    world.say(1, &b"SUBSCRIBE\n".repeat(50));
    world.say(1, b"SUBSCRIBE 1\n");
    assert_eq!(world.asked().len(), 1, "{:?}", world.asked());
    world.settle();
    let pushed = events(&world, 1);
    assert_eq!(pushed.len(), 1, "{pushed:?}");
    assert!(pushed[0].contains("two"), "{pushed:?}");
    // Nothing that was read for a subscription that is over is left.
    assert!(
        ask(&mut world, 0, "SEND bob three").len() == 1 && world.frames(1).last().unwrap().contains("three")
    );
}

/// What was stored for a request that is refused in the end takes room, and is counted until the host has a chance to find it.
#[test]
fn what_is_stored_in_vain_counts_against_the_quota() {
    let mut world = world(&["ann", "ann2"], Limits { user_files: 20_000, ..Limits::default() });
    let other = world.connect(Peer::Local).unwrap();
    ask(&mut world, other, "AUTH ann secret");
    for line in ["ADD_GROUP g", "JOIN_GROUP g"] {
        ask(&mut world, 1, line);
        ask(&mut world, 0, line);
    }
    let send = |c: char| format!("SEND_GROUP_FILE g a.txt {}", c.to_string().repeat(16_000));
    world.say(0, format!("{}\n", send('A')).as_bytes());
    world.answer(0, Work::Done);
    assert!(matches!(world.asked()[0].1, Ask::FinishUpload { .. }), "{:?}", world.asked());
    world.say(other, b"LEAVE_GROUP g\n");
    world.settle();
    assert!(world.frames(0).last().unwrap().contains("not_member"), "{:?}", world.frames(0).last());
    ask(&mut world, 0, "JOIN_GROUP g");
    let answer = ask(&mut world, 0, &send('B'));
    assert!(
        answer[0].contains("quota_exceeded"),
        "12,000 bytes and as many are more than 20,000: {answer:?}"
    );
}

/// The same while they are on their way, over however many connections.
#[test]
fn files_on_their_way_count_against_the_quota() {
    let mut world = world(&["ann", "bob"], Limits { user_files: 20_000, ..Limits::default() });
    let other = world.connect(Peer::Local).unwrap();
    ask(&mut world, other, "AUTH ann secret");
    let send = |c: char| format!("SEND_FILE bob a.txt {}\n", c.to_string().repeat(16_000));
    world.say(0, send('A').as_bytes());
    world.say(other, send('B').as_bytes());
    world.settle();
    assert!(world.frames(0).last().unwrap().contains("\"OK\""));
    assert!(world.frames(other).last().unwrap().contains("quota_exceeded"));
    assert!(ask(&mut world, other, send('B').trim_end())[0].contains("quota_exceeded"));
}

/// Its parts are with the dialect until the last has come.
#[test]
fn what_a_classic_answer_is_made_of_is_counted_with_what_waits_to_be_sent() {
    let mut world = world(&["ann", "bob"], Limits { output_total: 200_000, ..Limits::default() });
    ask(&mut world, 0, &format!("SEND_FILE bob a.txt {}", "A".repeat(180_000)));
    let classic = [0; 2].map(|_| world.connect(Peer::Local).unwrap());
    for conn in classic {
        assert!(ask(&mut world, conn, "login bob secret")[0].contains("tokenid"));
    }
    classic.iter().for_each(|conn| world.say(*conn, b"inbox\n"));
    // Part by part, in turn.
    while !world.asked().is_empty() {
        world.answer(0, Work::Done);
    }
    world.settle();
    let [first, second] = classic.map(|conn| world.frames(conn).pop().unwrap());
    assert!(first.contains("\"filecontent\":\"AAAA"), "{first}");
    assert!(second.contains("\"code\":\"busy\""), "{second}");
}

#[test]
fn lines_and_parts_of_files_share_their_room() {
    let mut world = world(&["ann", "bob"], Limits { input_buffer: 1000, ..Limits::default() });
    world.say(0, format!("UPLOAD a.txt {}\n", "A".repeat(1200)).as_bytes());
    assert_eq!(world.asked().len(), 1);
    world.say(1, &[b'x'; 101]);
    world.read(1, usize::MAX);
    assert!(world.frames(1).last().unwrap().contains("busy"), "{:?}", world.frames(1));
}

/// Whoever is told to come back later has not tried yet.
#[test]
fn no_attempt_is_counted_whose_password_nobody_looked_at() {
    let mut world = world(&["ann"], Limits { password_queue: 1, ..Limits::default() });
    let [busy, patient] = ["192.0.2.1", "192.0.2.2"]
        .map(|address| world.connect(Peer::Address(address.parse().unwrap())).unwrap());
    world.say(busy, b"AUTH nobody secret\n");
    for _ in 0..40 {
        world.say(patient, b"AUTH ann secret\n");
    }
    world.settle();
    let refused = world.frames(patient);
    assert!(refused.len() == 40 && refused.iter().all(|frame| frame.contains("busy")), "{refused:?}");
    for _ in 0..40 {
        world.say(patient, b"AUTH ann secret\n");
        world.answer(0, Work::Failed);
        world.settle();
        assert!(world.frames(patient).last().unwrap().contains("unavailable"));
    }
    assert!(ask(&mut world, patient, "AUTH ann secret")[0].contains("tokenid"));
}

/// A message that the host was never given is not to be read.
#[test]
fn what_was_not_asked_yet_is_not_asked_once_the_store_has_failed() {
    let mut world = world(&["ann", "bob"], Limits::default());
    world.say(1, b"ADD_GROUP lost\n");
    let (now, given) = (world.now(), world.journal().0);
    let id = world.id(0);
    world.engine().receive(now, id, b"SEND bob lost\nHISTORY bob\n").unwrap();
    world.engine().persist_failed(now, given).unwrap();
    let mut left = vec![];
    while let Some(output) = world.engine().poll_output() {
        left.push(format!("{output:?}"));
    }
    assert!(!left.iter().any(|output| output.contains("Ask") || output.contains("Persist")), "{left:?}");
}

#[test]
fn nothing_follows_the_last_answer() {
    let mut world = world(&["ann", "bob"], Limits::default());
    for conn in [0, 1] {
        ask(&mut world, conn, "SUBSCRIBE");
    }
    world.say(0, b"QUIT\n");
    world.shutdown();
    world.shutdown();
    world.settle();
    let [quit, told] = [0, 1].map(|conn| world.frames(conn));
    assert!(quit.last().unwrap().contains("sampai jumpa"), "{quit:?}");
    assert_eq!(told.iter().filter(|frame| frame.contains("closing")).count(), 1, "{told:?}");
}

#[test]
fn the_end_of_time_is_a_time_like_others() {
    let mut world = world(&["ann", "bob"], Limits::default());
    world.say(0, b"UPLOAD a.txt eA==\n");
    ask(&mut world, 1, "SUBSCRIBE");
    for _ in 0..3 {
        world.engine().handle_timeout(Time(u64::MAX));
    }
    assert_eq!(world.engine().connections(), 1, "who is subscribed uses a session, the other's has ended");
}

#[test]
fn logs_may_show_what_a_host_has_to_do() {
    let secret = Ask::VerifyPassword {
        password: obrolan::Password::new("secret99").unwrap(),
        hash: "$argon2id$".to_owned(),
    };
    assert_eq!(format!("{secret:?}"), "VerifyPassword { .. }");
    assert_eq!(format!("{:?}", Answer::PasswordHash("$argon2id$".to_owned())), "PasswordHash { .. }");
    let upload = Ask::AppendUpload { upload: 1, offset: 2, bytes: b"abc".to_vec() };
    assert_eq!(format!("{upload:?}"), "AppendUpload { upload: 1, offset: 2, bytes: 3 bytes }");
    let record = Output::Persist { seq: Seq(7), record: b"$argon2id$", message: None };
    assert_eq!(format!("{record:?}"), "Persist { seq: Seq(7), record: 10 bytes, message: None }");
    let messages = Answer::Messages(vec![b"hello".to_vec(), vec![]]);
    assert_eq!(format!("{messages:?}"), "Messages([5 bytes, 0 bytes])");
    assert_eq!(format!("{:?}", ConnId::from_number(7 << 32 | 3).unwrap()), "ConnId(3/7)");
    let sid = format!("sid_{:032x}", 7);
    let line = format!("WHOAMI {sid}");
    assert_eq!(format!("{:?}", Line::parse(line.as_bytes()).unwrap()), "Line(WHOAMI with a session)");
}

/// What was being read when the store failed is not waited for, and not taken for what is read then.
#[test]
fn a_read_from_before_the_store_failed_is_nobodys() {
    let mut world = world(&["ann", "bob"], Limits::default());
    (1..=3).for_each(|at| drop(ask(&mut world, 0, &format!("SEND bob {at}"))));
    world.say(1, b"SUBSCRIBE\n");
    world.say(1, b"SEND ann lost\nSUBSCRIBE 1\n");
    assert_eq!(world.asked().len(), 1, "{:?}", world.asked());
    world.fail(1);
    world.restore(0);
    assert_eq!(world.asked().len(), 2, "{:?}", world.asked());
    world.answer(0, Work::Done);
    assert_eq!(world.asked().len(), 1, "{:?}", world.asked());
    world.settle();
    let pushed = events(&world, 1);
    let ids = ["\"id\":1,", "\"id\":2,", "\"id\":3,"];
    assert!(pushed.len() == 3 && pushed.iter().zip(ids).all(|(frame, id)| frame.contains(id)), "{pushed:?}");
}
