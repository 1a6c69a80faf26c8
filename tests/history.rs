//! HISTORY with a host that reads pages when the test says so.

use obrolan::{
    Answer, ApiError, Ask, Config, Limits, MessageId, Peer, Service, Time,
    testing::{Work, World},
};

/// A world whose host keeps messages, with ann, bob and carol logged in on connections 0, 1 and 2.
fn world() -> World {
    let config = Config {
        persistence: true,
        passwords: Service::Host,
        messages: Service::Host,
        limits: Limits::default(),
        ..Config::default()
    };
    let mut world = World::new(config, [1; 32], Time(1_795_424_400_000));
    for name in ["ann", "bob", "carol"] {
        let conn = world.connect(Peer::Local).unwrap();
        ask(&mut world, conn, &format!("REGISTER {name} secret ID {name}\nAUTH {name} secret"));
    }
    world
}

/// Says a line, does all there is to do, and returns the last thing its connection read.
fn ask(world: &mut World, conn: usize, line: &str) -> String {
    world.say(conn, format!("{line}\n").as_bytes());
    world.settle();
    world.frames(conn).pop().unwrap()
}

fn page(before: Option<&[u8]>, messages: &[&[u8]], more: bool) -> Answer {
    let messages = messages.iter().map(|body| body.to_vec()).collect();
    Answer::History { before: before.map(<[u8]>::to_vec), messages, more }
}

#[test]
fn a_page_of_strangers_is_read_and_not_shown() {
    let mut world = world();
    ask(&mut world, 1, "SEND ann for ann alone");
    ask(&mut world, 1, "SEND ann this too");
    let own = ask(&mut world, 2, "SEND bob hello");
    assert!(own.contains("\"id\":3"), "{own}");
    world.say(2, b"HISTORY bob 2\n");
    let read = Ask::ReadHistory {
        newest: MessageId(3),
        before: Some(MessageId(2)),
        floor: MessageId(0),
        limit: 50,
        budget: 1 << 20,
    };
    assert_eq!(world.asked()[0].1, read);
    world.settle();
    let foreign = world.frames(2).pop().unwrap();
    assert!(foreign.contains("bad_parameters"), "{foreign}");
    assert_eq!(foreign, ask(&mut world, 2, "HISTORY bob 9"), "as if there were no such message");
    assert!(!String::from_utf8_lossy(world.received(2)).contains("alone"));
}

#[test]
fn what_tells_the_conversation_cannot_be_written_into_a_text() {
    let mut world = world();
    ask(&mut world, 1, r#"SEND ann ","from":"carol","to":"bob","group":null,"x":""#);
    ask(&mut world, 2, "SEND bob hello");
    assert!(ask(&mut world, 2, "HISTORY bob 1").contains("bad_parameters"));
    assert!(ask(&mut world, 0, "HISTORY bob 1").contains("\"messages\":[]"));
}

#[test]
fn a_group_that_ends_while_it_is_read_was_there_when_it_was_asked_for() {
    let mut world = world();
    ask(&mut world, 0, "ADD_GROUP g");
    ask(&mut world, 0, "SEND_GROUP g one");
    ask(&mut world, 0, "SEND_GROUP g two");
    let session = world.frames(0)[1].split('"').find(|word| word.starts_with("sid_")).unwrap().to_owned();
    world.say(0, b"HISTORY g 2\n");
    world.say(1, format!("LEAVE_GROUP {session} g\n").as_bytes());
    world.settle();
    assert!(world.frames(1).pop().unwrap().contains("Berhasil leave"));
    assert!(world.frames(0).pop().unwrap().contains("\"text\":\"one\""), "{:?}", world.frames(0));
    assert!(ask(&mut world, 0, "HISTORY g").contains("no_such_user"));
}

#[test]
fn a_read_that_fails_is_unavailable_and_the_next_one_is_not() {
    let mut world = world();
    ask(&mut world, 0, "SEND bob one");
    world.say(0, b"HISTORY bob\nPING\n");
    world.answer(0, Work::Failed);
    world.settle();
    let frames = world.frames(0);
    assert!(frames[frames.len() - 2].contains("unavailable") && frames[frames.len() - 1].contains("pong"));
    assert!(ask(&mut world, 0, "HISTORY bob").contains("one"));
}

#[test]
fn a_store_that_fails_while_a_page_is_read_answers_unavailable() {
    let mut world = world();
    ask(&mut world, 0, "SEND bob one");
    world.say(1, b"ADD_GROUP lost\n");
    world.say(0, b"HISTORY bob\n");
    world.fail(1);
    world.settle();
    assert!(world.frames(0).pop().unwrap().contains("unavailable"));
    assert!(ask(&mut world, 0, "HISTORY bob").contains("one"));
}

#[test]
fn a_page_may_be_shorter_than_was_asked_for_but_not_longer() {
    let mut world = world();
    for text in ["one", "two", "three"] {
        ask(&mut world, 0, &format!("SEND bob {text}"));
    }
    world.say(0, b"HISTORY bob 3 1\n");
    let (ticket, now) = (world.asked()[0].0, world.now());
    let body = br#"{"from":"ann","to":"bob"}"#;
    for wrong in [
        page(Some(body), &[body, body], false),
        page(Some(body), &[b""], false),
        page(Some(b""), &[body], false),
        page(Some(body), &[], true),
        Answer::Messages(vec![body.to_vec()]),
    ] {
        assert_eq!(world.engine().answer(now, ticket, wrong), Err(ApiError::WrongAnswer));
    }
    world.settle();
    assert!(world.frames(0).pop().unwrap().contains("two"));
    world.say(0, b"HISTORY bob 3 2\n");
    world.answer(0, Work::Least);
    world.settle();
    let least = world.frames(0).pop().unwrap();
    assert!(!least.contains("one") && least.contains("two") && least.contains("\"more\":true"), "{least}");
    // Without a message to begin before, none is read.
    world.say(0, b"HISTORY bob\n");
    let (ticket, now) = (world.asked()[0].0, world.now());
    let answered = world.engine().answer(now, ticket, page(Some(body), &[body], false));
    assert_eq!(answered, Err(ApiError::WrongAnswer));
}
