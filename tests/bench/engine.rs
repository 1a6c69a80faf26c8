//! Requests a second inside the engine, by request: parse, decide, apply, answer, hand out.
//!
//! `cargo bench --bench engine`. Each measurement is a batch of pipelined requests and all of its outputs, so the figure holds what a
//! host's input costs too. docs/performance.md has the results.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use obrolan::{Answer, Ask, Config, ConnId, Engine, Output, Peer, Service, Time};

const BATCH: usize = 100;

/// An engine whose passwords cost nothing, with its connections.
struct World {
    engine: Engine,
    now: Time,
    writable: Vec<ConnId>,
}

impl World {
    fn new(persistence: bool) -> World {
        let mut config = Config { passwords: Service::Host, persistence, ..Config::default() };
        config.limits.mailbox_messages = 1_000_000;
        config.limits.memory_messages = 1 << 30;
        let engine = Engine::new(config, [1; 32], Time(0)).unwrap();
        World { engine, now: Time(1_795_424_400_000), writable: Vec::new() }
    }

    fn user(&mut self, name: &str) -> ConnId {
        let conn = self.engine.connect(self.now, Peer::Local).unwrap();
        self.say(conn, format!("REGISTER {name} pw ID {name}\nAUTH {name} pw\n").as_bytes());
        conn
    }

    /// Gives the engine the bytes, and does what it wants done. Returns how many bytes were sent.
    fn say(&mut self, conn: ConnId, mut bytes: &[u8]) -> usize {
        let mut sent = 0;
        loop {
            let received = self.engine.receive(self.now, conn, bytes).unwrap();
            bytes = &bytes[received.consumed..];
            sent += self.drain();
            if bytes.is_empty() {
                return sent;
            }
        }
    }

    fn drain(&mut self) -> usize {
        let mut sent = 0;
        loop {
            let mut durable = None;
            let mut asked = None;
            while let Some(output) = self.engine.poll_output() {
                match output {
                    Output::Persist { seq, record, .. } => {
                        black_box(record);
                        durable = Some(seq);
                    }
                    Output::Writable { conn } => self.writable.push(conn),
                    Output::Ask { ticket, ask } => asked = Some((ticket, ask)),
                    _ => {}
                }
            }
            for conn in self.writable.drain(..) {
                let n = self.engine.outgoing(conn).map(<[u8]>::len).sum();
                self.engine.sent(self.now, conn, n).unwrap();
                sent += n;
            }
            if let Some(seq) = durable {
                self.engine.persisted(self.now, seq).unwrap();
            } else if asked.is_none() {
                return sent;
            }
            if let Some((ticket, ask)) = asked {
                let answer = match ask {
                    Ask::HashPassword { .. } => Answer::PasswordHash("hash".into()),
                    _ => Answer::PasswordMatches(true),
                };
                self.engine.answer(self.now, ticket, answer).unwrap();
            }
        }
    }
}

fn lines(line: &str) -> Vec<u8> {
    line.repeat(BATCH).into_bytes()
}

fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine");
    group.throughput(Throughput::Elements(BATCH as u64));

    let mut simple = |name: &str, line: &str, setup: &dyn Fn(&mut World) -> ConnId| {
        let mut world = World::new(false);
        let conn = setup(&mut world);
        let bytes = lines(line);
        group.bench_function(name, |b| b.iter(|| world.say(conn, &bytes)));
    };
    let ann = |world: &mut World| world.user("ann");
    let in_group = |world: &mut World| {
        let ann = world.user("ann");
        world.say(ann, b"ADD_GROUP g\n");
        ann
    };
    simple("PING", "PING\n", &ann);
    simple("unknown request", "HALO\n", &ann);
    simple("WHOAMI", "WHOAMI\n", &ann);
    simple("INBOX, empty", "INBOX\n", &ann);
    simple("LIST_GROUP, 1 member", "LIST_GROUP g\n", &in_group);
    simple("LEAVE_GROUP and ADD_GROUP", "LEAVE_GROUP g\nADD_GROUP g\n", &in_group);

    // The mailbox is emptied between measurements: what is measured is the way in, not the heap growing.
    let text = "halo, apa kabar hari ini? sudah makan belum";
    for (name, persistence, live) in [
        ("SEND, in memory, recipient absent", false, false),
        ("SEND, in memory, pushed to the recipient", false, true),
        ("SEND, journalled, pushed to the recipient", true, true),
    ] {
        let mut world = World::new(persistence);
        let (ann, bob) = (world.user("ann"), world.user("bob"));
        if live {
            world.say(bob, b"SUBSCRIBE\n");
        }
        let bytes = lines(&format!("SEND bob {text}\n"));
        let world = std::cell::RefCell::new(world);
        group.bench_function(name, |b| {
            b.iter_batched(
                || world.borrow_mut().say(bob, b"ACK 18446744073709551615\n"),
                |_| world.borrow_mut().say(ann, &bytes),
                BatchSize::PerIteration,
            );
        });
    }

    // Each page is one answer: what is counted are pages.
    for messages in [100, 1_000_000] {
        let mut world = World::new(false);
        let (ann, _) = (world.user("ann"), world.user("bob"));
        for _ in 0..messages / BATCH {
            world.say(ann, &lines(&format!("SEND bob {text}\n")));
        }
        let bytes = lines("HISTORY bob\n");
        group.bench_function(format!("HISTORY, a page of 50 of {messages}"), |b| {
            b.iter(|| world.say(ann, &bytes));
        });
    }

    const MEMBERS: usize = 200;
    let mut world = World::new(false);
    let members: Vec<ConnId> = (0..MEMBERS).map(|n| world.user(&format!("user{n}"))).collect();
    world.say(members[0], b"ADD_GROUP g\n");
    for conn in &members[1..] {
        world.say(*conn, b"JOIN_GROUP g\nSUBSCRIBE\n");
    }
    let bytes = lines(&format!("SEND_GROUP g {text}\n"));
    let world = std::cell::RefCell::new(world);
    group.throughput(Throughput::Elements((BATCH * (MEMBERS - 1)) as u64));
    group.bench_function("SEND_GROUP, deliveries to 199 members", |b| {
        b.iter_batched(
            || {
                let mut world = world.borrow_mut();
                members[1..].iter().map(|conn| world.say(*conn, b"ACK 18446744073709551615\n")).sum::<usize>()
            },
            |_| world.borrow_mut().say(members[0], &bytes),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, requests);
criterion_main!(benches);
