//! What the engine promises its host and its peers, whatever they do.

#[path = "contract/cases.rs"]
mod cases;
#[path = "contract/host.rs"]
mod host;
#[path = "contract/limits.rs"]
mod limits;

use obrolan::{
    Answer, ApiError, Ask, Closed, Config, ConnId, Engine, Limits, Seq, SessionDigest, Ticket,
    testing::{Escaped, FORMATS, Feed, Happened, START, Scenario, World, fuzz},
};
use proptest::prelude::*;

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
    // Random bytes say little in the third.
    let any = (prop::sample::select(&FORMATS[..2]), prop::collection::vec(any::<u8>(), 0..700));
    any.prop_map(|(format, bytes)| Bytes([&[format], &bytes[..]].concat())).boxed()
}

fn settings() -> ProptestConfig {
    // A failure is played again from what it prints.
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: ProptestConfig::default().max_shrink_iters.min(5000),
        ..ProptestConfig::default()
    }
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
        .filter(|(_, ask)| matches!(ask, Ask::HashPassword { .. } | Ask::VerifyPassword { .. }))
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
                    prop_assert_eq!(world.shows(durable, None), expected);
                }
            }
        }
    }

    /// The same bytes in other pieces: the same outputs in the same order.
    #[test]
    fn cuts_change_nothing(bytes in scenarios(), long: bool, sizes in prop::collection::vec(1_usize..40, 1..5)) {
        fuzz::cut(Scenario::decode(&bytes.0), long, sizes);
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
        prop_assert_eq!(well.first_difference(&badly, Happened::eq), None);
    }

    /// The same seed: the same outputs. Another seed, and so other keys for all hashes: other session ids and salts, and nothing else.
    #[test]
    fn only_secrets_come_from_the_seed(bytes in scenarios()) {
        let mut world = settled(&bytes, SEED, Feed::Whole);
        let mut again = settled(&bytes, SEED, Feed::Whole);
        prop_assert_eq!(world.first_difference(&again, Happened::eq), None);
        prop_assert_eq!(world.engine().digest(), again.engine().digest());
        let world = world;
        let other = settled(&bytes, [4; 32], Feed::Whole);
        let equal = |one: &[u8], two: &[u8]| without_session_ids(one, &world) == without_session_ids(two, &other);
        let same = |one: &Happened, two: &Happened| match (one, two) {
            (Happened::Asked(ticket, one), Happened::Asked(same_ticket, two)) => {
                ticket == same_ticket
                    && match (one, two) {
                        (
                            Ask::HashPassword { password: one, salt },
                            Ask::HashPassword { password: two, salt: other_salt },
                        ) => equal(one.expose().as_bytes(), two.expose().as_bytes()) && salt != other_salt,
                        (
                            Ask::VerifyPassword { password: one, hash },
                            Ask::VerifyPassword { password: two, hash: other_hash },
                        ) => {
                            equal(one.expose().as_bytes(), two.expose().as_bytes())
                                && equal(hash.as_bytes(), other_hash.as_bytes())
                        }
                        (one, two) => one == two,
                    }
            }
            (Happened::Record(one, record, brings), Happened::Record(two, other_record, other_brings)) => {
                let record = without_session_ids(&record.0, &world);
                let other_record = without_session_ids(&other_record.0, &other);
                (one, brings) == (two, other_brings) && differ_in_a_digest(&record, &other_record)
            }
            // A session id may be read in pieces: the whole frames are compared below.
            (Happened::Read(one, bytes), Happened::Read(two, other_bytes)) => {
                (one, bytes.0.len()) == (two, other_bytes.0.len())
            }
            (one, two) => one == two,
        };
        prop_assert_eq!(world.first_difference(&other, same), None);
        for conn in 0..world.connections() {
            let (one, two) = (world.frames(conn).concat(), other.frames(conn).concat());
            prop_assert!(equal(one.as_bytes(), two.as_bytes()), "{}\nwhere there was\n{}", one, two);
        }
    }

    /// Records played again, from the start or on top of any snapshot, give the same state; and a snapshot of that is the same bytes, and
    /// shows peers the same.
    ///
    /// Where there is little room for messages in memory, the latest are kept: of those that the journal brings, not of those that were
    /// there; so there is room.
    #[test]
    fn a_recovery_is_the_same_engine(bytes in scenarios()) {
        let mut scenario = Scenario::decode(&bytes.0);
        scenario.config.limits.memory_messages = 1 << 20;
        let mut world = scenario.play(SEED, Feed::Whole);
        world.settle();
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
            prop_assert_eq!(world.shows(last, Some(snapshot)), world.shows(last, None));
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
                let outgoing = world.engine().outgoing(id).collect::<Vec<_>>().concat();
                let longest = String::from_utf8(outgoing.clone()).unwrap().split("\r\n\r\n").map(|frame| frame.len() + 4).max();
                // What was there, one answer, and what was being read for a subscription meanwhile.
                let bound = limits.output_buffer + limits.output_buffer / 2 + 2 * longest.unwrap_or(0);
                prop_assert!(outgoing.len() <= bound, "{} of {}", outgoing.len(), bound);
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
            // The content of a classic file may be a line of its own, which is not answered, or be waited for still. An unfinished line
            // may be too long already.
            let contents = whole.iter().filter(|line| line.starts_with(b"send") && line.windows(4).any(|word| word == b"file")).count();
            let expected = whole.len() - contents..=whole.len() + partial.len();
            prop_assert!(expected.contains(&answers), "{} to {} and {}", answers, whole.len(), partial.len());
            let asked = taken.to_ascii_uppercase().windows(9).any(|word| word == b"SUBSCRIBE");
            prop_assert!(asked || answers == frames.len());
        }
    }
}

/// Kept scenarios are bytes: what they mean must not change.
#[test]
fn the_formats_mean_what_they_meant() {
    for format in FORMATS {
        let bytes: Vec<u8> = [format].into_iter().chain((0..400_u32).map(|at| (at * at / 3) as u8)).collect();
        let steps: String = Scenario::decode(&bytes).steps.iter().map(|step| format!("{step:?}\n")).collect();
        let kept = format!("{}/tests/contract/formats/{format}.txt", env!("CARGO_MANIFEST_DIR"));
        assert_eq!(steps, std::fs::read_to_string(kept).unwrap(), "format {format}");
    }
}
