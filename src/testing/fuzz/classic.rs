//! The classic dialect and the lines in upper case that it stands for.

use serde_json::Value;

use super::SEED;
use crate::{
    Closed, Config, Limits, Peer, Service,
    testing::{
        classic::{self, Block, Doing, Next, Taken},
        scenario::START,
        world::World,
    },
    wire::{Kind, Line, Structured},
};

/// Longer than any line may grow by being put into upper case.
const MOST: usize = 4096;

/// The same conversation twice: in the classic dialect, and as the lines in upper case that it stands for. The answers are the same but
/// for what section 5 of the protocol adds, and so is the state after each line. The first byte says who keeps messages and files; then come
/// lines.
pub fn classic(bytes: &[u8]) {
    let Some((services, lines)) = bytes.split_first().filter(|_| bytes.len() <= MOST) else { return };
    let service = |bit: u8| if services & bit == 0 { Service::Inside } else { Service::Host };
    let config = Config {
        persistence: true,
        passwords: Service::Host,
        messages: service(1),
        files: service(2),
        limits: Limits { mailbox_messages: 6, uploads_per_user: 2, dedupe_keys: 3, ..Limits::default() },
        ..Config::default()
    };
    let (mut world, mut reference) = (talking(&config, "ping"), talking(&config, "PING"));
    let mut block = Block::default();
    let (mut events, mut expected_events) = (Vec::new(), Vec::new());
    for line in lines.split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        let line = world.with_session_ids(line);
        let answers = said(&mut world, &line, &mut events);
        let expected = stands_for(&mut block, &line, |line| {
            let mut responses = said(&mut reference, line, &mut expected_events);
            assert_eq!(responses.len(), 1, "{}", line.escape_ascii());
            (kind(line), responses.remove(0))
        });
        assert_eq!(answers, expected, "{}", line.escape_ascii());
        assert_eq!(world.engine().digest(), reference.engine().digest(), "after {}", line.escape_ascii());
        if !world.is_open(TALKER) {
            return;
        }
    }
    // A content that is waited for does not come.
    let before = world.frames(TALKER).len();
    world.end(TALKER, Closed::Eof);
    world.settle();
    let last =
        world.frames(TALKER).split_off(before).into_iter().map(|frame| parsed(&frame)).collect::<Vec<_>>();
    let due = if let Block::Due(_, answer, _) = block { vec![answer] } else { vec![] };
    assert_eq!(last, due);
    assert_eq!(events, expected_events);
}

/// The connection that talks.
const TALKER: usize = 2;

/// A world with two users in a group, and somebody who begins to talk.
fn talking(config: &Config, first: &str) -> World {
    let mut world = World::new(config.clone(), SEED, START);
    for user in ["ann", "bob"] {
        let conn = world.connect(Peer::Local).expect("there is room");
        let group = if conn == 0 { "ADD_GROUP" } else { "JOIN_GROUP" };
        let lines = format!("REGISTER {user} secret ID {user}\nAUTH {user} secret\n{group} club\n");
        world.say(conn, lines.as_bytes());
        world.settle();
    }
    let conn = world.connect(Peer::Local).expect("there is room");
    assert_eq!(conn, TALKER);
    world.say(conn, format!("{first}\n").as_bytes());
    world.settle();
    world
}

/// Says a line and does all there is to do; the answers that come, and the events.
fn said(world: &mut World, line: &[u8], events: &mut Vec<Value>) -> Vec<Value> {
    let before = world.received(TALKER).len();
    // A CR at the end of the line stays one.
    world.say(TALKER, &[line, b"\r\n"].concat());
    world.settle();
    let frames = String::from_utf8_lossy(&world.received(TALKER)[before..]).into_owned();
    let frames = frames.split_terminator("\r\n\r\n").map(parsed);
    let (come, answers) = frames.partition(|frame: &Value| frame["status"].is_null());
    events.extend::<Vec<Value>>(come);
    answers
}

fn parsed(frame: &str) -> Value {
    serde_json::from_str(frame).expect("a frame is JSON")
}

fn kind(line: &[u8]) -> Option<Kind> {
    if line.starts_with(b"{") {
        return Structured::parse(line).map_or_else(|error| error.kind, |object| Some(object.kind()));
    }
    Line::parse(line).map_or_else(|error| error.kind, |line| Some(line.request.kind()))
}

/// The answers to a classic line, by those to what it stands for.
fn stands_for(
    block: &mut Block,
    line: &[u8],
    mut ask: impl FnMut(&[u8]) -> (Option<Kind>, Value),
) -> Vec<Value> {
    let mut answers = Vec::new();
    let (mut doing, mut next) = match block.take(line) {
        Taken::Nothing => return answers,
        Taken::Whole(line) => (Doing::Plain, Next::Line(line)),
        Taken::Line(due) => {
            answers.extend(due);
            match classic::is_classic(line) {
                true => classic::begin(line),
                false => (Doing::AsItIs, Next::Line(line.to_vec())),
            }
        }
    };
    loop {
        match next {
            Next::Line(line) => {
                let (kind, response) = ask(&line);
                next = doing.answered(kind, response);
            }
            Next::Answer(_, answer) => {
                answers.push(answer);
                return answers;
            }
            Next::Refused(answer) => {
                *block = Block::Late;
                answers.push(answer);
                return answers;
            }
            Next::Due(line, answer) => {
                *block = Block::Due(line, answer, START);
                return answers;
            }
        }
    }
}
