//! Limits hold to the byte, and what is gone leaves its room to others.

use obrolan::{Ask, Closed, Config, Limits, Output, Service, Time, testing::Work};

use crate::cases::{ask, world, world_with};

fn base64(bytes: usize) -> String {
    assert_eq!(bytes % 3, 0);
    "AAAA".repeat(bytes / 3)
}

#[test]
fn a_file_has_as_many_bytes_as_may_be_and_no_more() {
    let mut world = world(&["ann", "bob"], Limits { file_size: 6, ..Limits::default() });
    assert!(ask(&mut world, 0, "SEND_FILE bob a.txt aGFsbG8h")[0].contains("\"OK\""));
    assert!(ask(&mut world, 0, "SEND_FILE bob a.txt aGFsbG8hIQ==")[0].contains("quota_exceeded"));
}

/// A file counts as 4 KiB and 4 bytes for each recipient at least: all members but its sender.
#[test]
fn a_file_to_a_group_counts_for_its_recipients() {
    for (room, code) in [(4096 + 8, "\"OK\""), (4096 + 7, "quota_exceeded")] {
        let mut world = world(&["ann", "bob", "cay"], Limits { user_files: room, ..Limits::default() });
        ask(&mut world, 0, "ADD_GROUP g");
        (0..3).for_each(|conn| drop(ask(&mut world, conn, "JOIN_GROUP g")));
        let answer = ask(&mut world, 0, "SEND_GROUP_FILE g a.txt eA==");
        assert!(answer[0].contains(code), "{room}: {answer:?}");
    }
}

#[test]
fn parts_of_files_on_their_way_have_as_much_room_as_there_is() {
    for first in ["UPLOAD a.txt", "SEND_FILE bob a.txt"] {
        let mut world = world(&["ann", "bob"], Limits { input_buffer: 999, ..Limits::default() });
        world.say(0, format!("{first} {}\n", base64(600)).as_bytes());
        world.say(1, format!("UPLOAD b.txt {}\nUPLOAD b.txt {}\n", base64(402), base64(399)).as_bytes());
        assert!(matches!(world.asked()[1].1, Ask::AppendUpload { .. }), "{:?}", world.asked());
        world.settle();
        let answers = world.frames(1).split_off(2);
        assert!(answers[0].contains("busy") && answers[1].contains("\"size\":399"), "{first}: {answers:?}");
        assert!(ask(&mut world, 1, &format!("UPLOAD c.txt {}", base64(999)))[0].contains("\"size\":999"));
    }
}

#[test]
fn what_nobody_will_read_leaves_its_room() {
    let mut world = world(&["ann", "bob"], Limits { output_total: 1000, ..Limits::default() });
    world.say(1, &b"PING\n".repeat(100));
    world.say(0, b"INBOX\n");
    world.end(1, Closed::Gone);
    world.settle();
    assert!(world.frames(0).last().unwrap().contains("busy"), "{:?}", world.frames(0));
    assert!(ask(&mut world, 0, "INBOX")[0].contains("\"OK\""));
}

#[test]
fn history_goes_back_from_the_last_message_too() {
    let mut world = world(&["ann", "bob"], Limits::default());
    (1..=3).for_each(|at| drop(ask(&mut world, 0, &format!("SEND bob {at}"))));
    assert!(ask(&mut world, 0, "HISTORY bob 3")[0].contains("\"id\":2,"));
    assert!(ask(&mut world, 0, "HISTORY bob 4")[0].contains("bad_parameters"));
}

/// What is in no mailbox makes room for others, and so does not fill the memory.
#[test]
fn messages_that_nobody_waits_for_keep_nobody_from_sending() {
    let config = Config {
        passwords: Service::Host,
        limits: Limits { memory_messages: 1000, ..Limits::default() },
        ..Config::default()
    };
    let (mut world, conn) = (world_with(config, &["ann"]), 0);
    for line in ["ADD_GROUP g", "JOIN_GROUP g"] {
        ask(&mut world, conn, line);
    }
    for at in 0..20 {
        let answer = ask(&mut world, conn, &format!("SEND_GROUP g {}", "x".repeat(100)));
        assert!(answer[0].contains("\"OK\""), "{at}: {answer:?}");
    }
}

#[test]
fn a_session_ends_when_it_is_said_to_and_not_before() {
    let mut world = world(&["ann"], Limits::default());
    world.end(0, Closed::Gone);
    let end = world.engine().poll_timeout().expect("the session ends some time");
    for (now, records) in [(Time(end.0 - 1), 0), (end, 1)] {
        let engine = world.engine();
        engine.handle_timeout(now);
        let mut seen = 0;
        while let Some(output) = engine.poll_output() {
            seen += usize::from(matches!(output, Output::Persist { .. }));
        }
        assert_eq!(seen, records, "at {now}");
    }
    assert_eq!(world.engine().poll_timeout(), None);
}

#[test]
fn a_part_that_failed_leaves_its_room() {
    let mut world = world(&["ann", "bob"], Limits { input_buffer: 999, ..Limits::default() });
    world.say(0, format!("SEND_FILE bob a.txt {}\n", base64(900)).as_bytes());
    world.answer(0, Work::Failed);
    world.settle();
    assert!(world.frames(0).last().unwrap().contains("unavailable"));
    assert!(ask(&mut world, 1, &format!("UPLOAD b.txt {}", base64(999)))[0].contains("\"size\":999"));
}
