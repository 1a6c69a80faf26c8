//! The server beside what it could cost at the least: a plain echo server on the same runtime, and bare writes to the same disk.
//!
//! `cargo bench -p obrolan-server`. Everything runs on this machine over loopback, one after the other, in one run; what counts are the
//! ratios. Work is counted per second of the *server's* CPU time, so that the load generator beside it does not matter.
//! docs/performance.md has the results.

use std::{
    cell::Cell,
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};

use obrolan_server::store::{Batch, MessageRef, SqliteStore, Start, Store};
use smol::{
    Async, LocalExecutor, Timer,
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const SECONDS: u64 = 3;

fn main() {
    if std::env::args().any(|arg| arg == "echo") {
        return echo_server();
    }
    let folder = std::env::temp_dir().join(format!("obrolan-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    println!("{:<42} {:>12} {:>14} {:>10}", "", "a second", "a CPU second", "ratio");

    let echo = Process::echo(&folder);
    let obrolan = Process::obrolan(&folder, &["--memory"]);
    for (name, connections, pipelined) in [
        ("PING, round trips, 1 connection", 1, 1),
        ("PING, round trips, 64 connections", 64, 1),
        ("PING, 64 connections, 100 pipelined", 64, 100),
    ] {
        let base = echo.measure(|| pings(&echo, connections, pipelined, 6));
        base.print(&format!("{name}: echo"), None);
        let ours = obrolan.measure(|| pings(&obrolan, connections, pipelined, PONG));
        ours.print(&format!("{name}: obrolan"), Some(base.per_cpu_second));
    }
    drop(echo);

    let base = obrolan.measure(|| one_to_one(&obrolan, "one"));
    base.print("one to one, in memory", None);
    let ours = obrolan.measure(|| group(&obrolan, 200));
    ours.print("group of 200, deliveries, in memory", None);
    drop(obrolan);

    let data = folder.join("data");
    let obrolan = Process::obrolan(&folder, &["--data", data.to_str().expect("a path of text")]);
    for connections in [1, 10, 100] {
        let durable = obrolan.measure(|| durable(&obrolan, connections));
        durable.print(&format!("durable SEND, round trips, {connections} connections"), None);
    }
    drop(obrolan);

    println!("\n{:<42} {:>12} {:>14} {:>10}", "the store alone", "raw, a second", "ours, a second", "ratio");
    for records in [1, 10, 100, 1000] {
        store(&folder, records);
    }

    println!("\n{:<42} {:>12} {:>14}", "a page of 50 messages of history", "newest, CPU us", "anywhere");
    for messages in [100, 10_000, 1_000_000] {
        history(&folder, messages);
    }
    fs::remove_dir_all(&folder).expect("the temporary folder goes");
}

/// `{"status":"OK","data":"pong"}` CR LF CR LF.
const PONG: usize = 33;

/// A server in a process of its own.
struct Process {
    child: Child,
    address: SocketAddr,
}

struct Measured {
    per_second: f64,
    per_cpu_second: f64,
}

impl Measured {
    fn print(&self, name: &str, base: Option<f64>) {
        let ratio = base.map_or(String::new(), |base| format!("{:.2}", self.per_cpu_second / base));
        println!("{name:<42} {:>12.0} {:>14.0} {ratio:>10}", self.per_second, self.per_cpu_second);
    }
}

impl Process {
    fn echo(folder: &Path) -> Process {
        let ready = folder.join("echo-ready");
        let exe = std::env::current_exe().expect("this program");
        Process::start(Command::new(exe).arg("echo").env("READY", &ready), &ready)
    }

    fn obrolan(folder: &Path, args: &[&str]) -> Process {
        let ready = folder.join("ready");
        let _ = fs::remove_file(&ready);
        let mut command = Command::new(env!("CARGO_BIN_EXE_obrolan"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--ready-file"])
            .arg(&ready)
            .args(args);
        command.args(["--limits-mailbox-messages", "1000000"]);
        Process::start(&mut command, &ready)
    }

    fn start(command: &mut Command, ready: &Path) -> Process {
        let child = command.stdout(Stdio::null()).spawn().expect("the server starts");
        // From here on it is killed whatever happens.
        let mut server = Process { child, address: ([127, 0, 0, 1], 0).into() };
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(address) = fs::read_to_string(ready).ok().and_then(|text| text.trim().parse().ok()) {
                server.address = address;
                return server;
            }
            assert!(Instant::now() < deadline, "the server is not ready after 20 s");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Nanoseconds that all threads of the server were on a processor.
    fn cpu_ns(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("the server runs");
        let ns = |task: fs::DirEntry| {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0)
        };
        tasks.filter_map(Result::ok).map(ns).sum()
    }

    /// What a load did: it returns its count and how long that took, warm-up left out by counting CPU from its start.
    fn measure(&self, load: impl FnOnce() -> Load) -> Measured {
        let load = load();
        let cpu = (self.cpu_ns() - load.cpu_before) as f64 / 1e9;
        Measured {
            per_second: load.count as f64 / load.elapsed.as_secs_f64(),
            per_cpu_second: load.count as f64 / cpu,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Load {
    count: u64,
    elapsed: Duration,
    cpu_before: u64,
}

/// Runs tasks until the time is over; each counts what it did.
fn run(
    server: &Process,
    tasks: impl FnOnce(&Rc<Cell<u64>>, &Rc<Cell<bool>>) -> Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>>,
) -> Load {
    let executor = LocalExecutor::new();
    let (count, over) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let tasks: Vec<_> = tasks(&count, &over).into_iter().map(|task| executor.spawn(task)).collect();
    smol::block_on(executor.run(async {
        Timer::after(Duration::from_millis(500)).await;
        let (before, started, cpu_before) = (count.get(), Instant::now(), server.cpu_ns());
        Timer::after(Duration::from_secs(SECONDS)).await;
        let load = Load { count: count.get() - before, elapsed: started.elapsed(), cpu_before };
        over.set(true);
        drop(tasks);
        load
    }))
}

/// Each connection asks `pipelined` at once and waits for all answers.
fn pings(server: &Process, connections: usize, pipelined: usize, answer: usize) -> Load {
    let address = server.address;
    run(server, |count, over| {
        let task = |_| {
            let (count, over) = (count.clone(), over.clone());
            Box::pin(async move {
                let mut stream = TcpStream::connect(address).await.expect("it listens");
                stream.set_nodelay(true).expect("a socket");
                let asked = b"PING\r\n".repeat(pipelined);
                let mut answers = vec![0; answer * pipelined];
                while !over.get() {
                    stream.write_all(&asked).await.expect("it reads");
                    stream.read_exact(&mut answers).await.expect("it answers");
                    count.set(count.get() + pipelined as u64);
                }
            }) as std::pin::Pin<Box<dyn Future<Output = ()>>>
        };
        (0..connections).map(task).collect()
    })
}

/// A client that counts the frames it is sent.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Line feeds seen: two end a frame, and none is inside.
    feeds: u64,
    taken: u64,
}

impl Client {
    async fn login(address: SocketAddr, name: &str) -> Client {
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        let mut client = Client { stream, buffer: vec![0; 256 << 10], feeds: 0, taken: 0 };
        client.ask(&format!("REGISTER {name} pw ID {name}\r\nAUTH {name} pw\r\n"), 2).await;
        client
    }

    async fn ask(&mut self, lines: &str, frames: u64) {
        self.stream.write_all(lines.as_bytes()).await.expect("it reads");
        self.frames(frames).await;
    }

    async fn frames(&mut self, frames: u64) {
        self.taken += frames;
        while self.feeds / 2 < self.taken {
            self.some().await;
        }
    }

    /// Reads what there is; how many frames that ended.
    async fn some(&mut self) -> u64 {
        let before = self.feeds / 2;
        let n = self.stream.read(&mut self.buffer).await.expect("it answers");
        assert!(n > 0, "the server closed the connection");
        self.feeds += self.buffer[..n].iter().filter(|b| **b == b'\n').count() as u64;
        self.feeds / 2 - before
    }

    /// Counts the events that come, and confirms them by the thousand.
    async fn read_and_confirm(&mut self, count: &Cell<u64>, over: &Cell<bool>) {
        let mut unconfirmed = 0;
        while !over.get() {
            let frames = self.some().await;
            count.set(count.get() + frames);
            unconfirmed += frames;
            if unconfirmed > 1000 {
                unconfirmed = 0;
                self.stream.write_all(b"ACK 99999999999\r\n").await.expect("it reads");
                // Its answer is no event.
                count.set(count.get().saturating_sub(1));
            }
        }
    }
}

const TEXT: &str = "halo, apa kabar hari ini? sudah makan belum";

/// One sends to another who is subscribed and confirms.
fn one_to_one(server: &Process, name: &'static str) -> Load {
    let address = server.address;
    let (ready, wait) = smol::channel::bounded(1);
    run(server, |count, over| {
        let (count, over, over2) = (count.clone(), over.clone(), over.clone());
        let reader = async move {
            let mut bob = Client::login(address, &format!("bob{name}")).await;
            bob.ask("SUBSCRIBE\r\n", 1).await;
            ready.send(()).await.expect("the sender waits");
            bob.read_and_confirm(&count, &over2).await;
        };
        let sender = async move {
            let mut ann = Client::login(address, &format!("ann{name}")).await;
            wait.recv().await.expect("the reader is ready");
            let lines = format!("SEND bob{name} {TEXT}\r\n").repeat(100);
            ann.stream.write_all(lines.as_bytes()).await.expect("it reads");
            while !over.get() {
                // A hundred on their way while a hundred are answered.
                ann.ask(&lines, 100).await;
            }
        };
        vec![Box::pin(reader), Box::pin(sender)]
    })
}

/// One sends to a group whose other members are subscribed and confirm.
fn group(server: &Process, members: usize) -> Load {
    let address = server.address;
    smol::block_on(async {
        let mut owner = Client::login(address, "owner").await;
        owner.ask("ADD_GROUP g\r\n", 1).await;
    });
    // Accounts cost 40 ms of argon2 each: they are made before the clock runs.
    let executor = LocalExecutor::new();
    let clients: Vec<Client> = smol::block_on(executor.run(async {
        let mut clients = Vec::new();
        for n in 1..members {
            let mut client = Client::login(address, &format!("member{n}")).await;
            client.ask("JOIN_GROUP g\r\nSUBSCRIBE\r\n", 2).await;
            clients.push(client);
        }
        clients
    }));
    run(server, |count, over| {
        let mut tasks: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        for mut client in clients {
            let (count, over) = (count.clone(), over.clone());
            tasks.push(Box::pin(async move {
                client.read_and_confirm(&count, &over).await;
            }));
        }
        let over = over.clone();
        tasks.push(Box::pin(async move {
            let mut stream = Client::login(address, "owner").await;
            let lines = format!("SEND_GROUP g {TEXT}\r\n").repeat(16);
            while !over.get() {
                stream.ask(&lines, 16).await;
            }
        }));
        tasks
    })
}

/// Connections that each send one message at a time and wait until it is durable.
fn durable(server: &Process, connections: usize) -> Load {
    let address = server.address;
    let executor = LocalExecutor::new();
    let client = smol::block_on(executor.run(async {
        let mut client = Client::login(address, "durable").await;
        client.ask("ACK 99999999999\r\n", 1).await;
        client.stream.write_all(b"AUTH durable pw\r\n").await.expect("it reads");
        let n = client.stream.read(&mut client.buffer).await.expect("it answers");
        let text = String::from_utf8_lossy(&client.buffer[..n]).into_owned();
        text[text.find("sid_").expect("a session")..][..36].to_owned()
    }));
    run(server, |count, over| {
        let task = |_| {
            let (count, over, sid) = (count.clone(), over.clone(), client.clone());
            Box::pin(async move {
                let stream = TcpStream::connect(address).await.expect("it listens");
                stream.set_nodelay(true).expect("a socket");
                let mut client = Client { stream, buffer: vec![0; 4096], feeds: 0, taken: 0 };
                client.ask(&format!("RESUME {sid}\r\n"), 1).await;
                let line = format!("SEND durable {TEXT}\r\n");
                while !over.get() {
                    client.ask(&line, 1).await;
                    count.set(count.get() + 1);
                }
            }) as std::pin::Pin<Box<dyn Future<Output = ()>>>
        };
        (0..connections).map(task).collect()
    })
}

/// Batches appended to the store, and the same bytes written bare and synced.
fn store(folder: &Path, records: usize) {
    const HEAD: usize = 8;
    let body = format!(
        r#"{{"id":1000000,"from":"messi","to":"henderson","time":"2026-11-23T09:00:00.000Z","text":"{TEXT}"}}"#
    );
    let record = [&[1; HEAD][..], body.as_bytes()].concat();
    let rounds = (20_000 / records).clamp(50, 1000);

    let mut file = fs::File::create(folder.join("raw")).expect("a file");
    let bytes = record.repeat(records);
    let started = Instant::now();
    for _ in 0..rounds {
        file.write_all(&bytes).expect("room");
        file.sync_data().expect("a disk");
    }
    let raw = (rounds * records) as f64 / started.elapsed().as_secs_f64();

    let (mut store, _) = SqliteStore::open(&folder.join(format!("store-{records}"))).expect("a store");
    let mut seq = 0;
    let mut batch = Batch::new();
    let started = Instant::now();
    for _ in 0..rounds {
        batch.clear();
        for _ in 0..records {
            seq += 1;
            batch.push(seq, &record, Some(MessageRef { id: seq, prev: seq - 1, at: HEAD }));
        }
        store.append(&batch).expect("room");
    }
    let ours = (rounds * records) as f64 / started.elapsed().as_secs_f64();
    println!("{:<42} {raw:>12.0} {ours:>14.0} {:>10.2}", format!("batches of {records}"), ours / raw);
}

/// Pages of one conversation of so many messages: the newest one over and over, and pages all over it.
fn history(folder: &Path, messages: u64) {
    const PAGES: u64 = 1000;
    let (mut store, _) = SqliteStore::open(&folder.join(format!("history-{messages}"))).expect("a store");
    let mut batch = Batch::new();
    for id in 1..=messages {
        batch.push(id, TEXT.as_bytes(), Some(MessageRef { id, prev: id - 1, at: 0 }));
        if id % 10_000 == 0 || id == messages {
            store.append(&batch).expect("room");
            batch.clear();
        }
    }
    // Of processor time, as others may be at work; nothing here waits for the disk, which the system has in memory.
    let mut read = |at: &dyn Fn(u64) -> u64| {
        let before = thread_cpu_ns();
        for page in 0..PAGES {
            let page = store.history(Start::Before(at(page)), 0, 50, usize::MAX).expect("it reads");
            assert_eq!(page.messages.len(), 50);
        }
        (thread_cpu_ns() - before) as f64 / 1e3 / PAGES as f64
    };
    // A step without a factor in common with the number of places visits them in no order.
    let places = messages - 50;
    let (newest, anywhere) = (read(&|_| messages), read(&|page| 51 + page * 7_919 % places));
    println!("{:<42} {newest:>12.1} {anywhere:>14.1}", format!("of {messages} messages"));
}

/// Nanoseconds that this thread was on a processor.
fn thread_cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("this thread runs");
    text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("it begins with the time")
}

/// A plain echo server on the same runtime: what a connection costs when nothing is thought about.
fn echo_server() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let executor = Rc::new(LocalExecutor::new());
    smol::block_on(executor.clone().run(async move {
        let listener = Async::new(listener).expect("a socket");
        fs::write(std::env::var("READY").expect("READY says where"), address.to_string()).expect("a file");
        while let Ok((mut stream, _)) = listener.accept().await {
            let serve = async move {
                stream.get_ref().set_nodelay(true).expect("a socket");
                let mut buffer = vec![0; 64 << 10];
                while let Ok(n) = stream.read(&mut buffer).await
                    && n > 0
                    && stream.write_all(&buffer[..n]).await.is_ok()
                {}
            };
            executor.spawn(serve).detach();
        }
    }));
}
