//! Clients that are broken, greedy or malicious: each gets a clear ERROR, the others notice nothing, memory stays flat.

#[path = "support/server.rs"]
mod server;

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use server::{Client, PATIENCE, Process, error_code, id, text};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Asserts that a server has grown by less than `most` bytes while `work` was done.
#[track_caller]
fn grows_less_than<T>(server: &Process, most: usize, work: impl FnOnce() -> T) -> T {
    let before = server.memory();
    let result = work();
    if let (Some(before), Some(after)) = (before, server.memory()) {
        let grown = after.saturating_sub(before);
        println!("memory: {} KiB, {} KiB more than before", after / KIB, grown / KIB);
        assert!(grown < most, "the server has grown by {} KiB", grown / KIB);
    }
    result
}

#[test]
fn five_thousand_pipelined_requests_are_answered() {
    let server = Process::start(&["--memory"]);
    let mut client = server.connect();
    client.write("PING\r\n".repeat(5000).as_bytes()).unwrap();
    for _ in 0..5000 {
        assert_eq!(client.response()["data"], "pong");
    }
    client.write("PING\r\n\r\n".repeat(5000).as_bytes()).unwrap();
    client.end();
    for _ in 0..5000 {
        assert_eq!(client.response()["data"], "pong");
    }
    assert_eq!(client.frame(), None, "one response a request, blank lines none");
}

#[test]
fn bytes_that_are_no_request_get_an_error_and_the_connection_goes_on() {
    let server = Process::start(&["--memory"]);
    let mut client = server.connect();
    for logged_in in [false, true] {
        for (bytes, code) in [
            (&b"PING \xff\xfe\n"[..], "invalid_utf8"),
            (b"\xc3\n", "invalid_utf8"),
            (b"\0\0\0\0\n", "unknown_request"),
            (b"PING\0\n", "unknown_request"),
            (b"SEND ani nol\0bel\n", "bad_parameters"),
            (b"AUTH \0 \0\n", "bad_parameters"),
            (b"GET / HTTP/1.1\r\n", "unknown_request"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", "invalid_utf8"),
        ] {
            client.write(bytes).unwrap();
            assert_eq!(error_code(&client.response()), code, "{}", bytes.escape_ascii());
            client.ping();
        }
        if !logged_in {
            client.register("ani");
        }
    }

    // What is no harm is carried: it comes back as it was sent.
    client.ok("SEND ani \x01\t\x1b[2J\x7f\u{202e}👋\\u0000\"");
    assert_eq!(text(&client.inbox(0)[0], "text"), "\x01\t\x1b[2J\x7f\u{202e}👋\\u0000\"");
}

#[test]
fn lines_without_end_are_dropped_and_cost_no_memory() {
    let server = Process::start(&["--memory"]);
    let mut client = server.connect();
    client.register("ani");
    let mut strangers: Vec<_> = (0..20).map(|_| server.connect()).collect();
    let long = vec![b'x'; 3 * MIB];

    grows_less_than(&server, 2 * MIB, || {
        for stranger in &mut strangers {
            stranger.write(&long).unwrap();
            assert_eq!(error_code(&stranger.response()), "too_long", "told before the line ends");
            stranger.write(&long).unwrap();
            stranger.write(b"\n").unwrap();
            stranger.ping();
        }
    });

    grows_less_than(&server, 6 * MIB, || {
        for _ in 0..20 {
            client.write(b"SEND ani ").unwrap();
            client.write(&long).unwrap();
            client.write(b"\n").unwrap();
            assert_eq!(error_code(&client.response()), "too_long");
            client.ping();
        }
    });

    // The longest line there may be is a message.
    let request = b"SEND ani ";
    let longest = &long[..MIB - request.len()];
    client.write(&[request, longest, b"\n"].concat()).unwrap();
    let sent = id(&client.response());
    let inbox = client.inbox(0);
    assert_eq!((id(&inbox[0]), text(&inbox[0], "text").len()), (sent, longest.len()));
    client.write(&[request, longest, b"x\n"].concat()).unwrap();
    assert_eq!(error_code(&client.response()), "too_long");
}

#[test]
fn a_hundred_thousand_spaces() {
    let server = Process::start(&["--memory"]);
    let mut client = server.connect();
    let spaces = " ".repeat(100_000);
    for line in [format!("{spaces}\n"), format!("PING{spaces}\n"), format!("AUTH{spaces}ani rahasia\n")] {
        client.write(line.as_bytes()).unwrap();
        assert_eq!(error_code(&client.response()), "too_long");
        client.ping();
    }
    client.register("ani");
    assert_eq!(client.code(&format!("{spaces}x")), "unknown_request");
    client.ok(&format!("SEND{spaces}ani halo{spaces}"));
    assert_eq!(text(&client.inbox(0)[0], "text"), "halo");
    assert_eq!(client.code(&format!("SEND ani {spaces}")), "bad_parameters");
    client.ping();
}

#[test]
fn a_client_of_one_byte_at_a_time_is_understood() {
    let server = Process::start(&["--memory"]);
    let mut client = server.connect();
    let dialogue = "REGISTER ani rahasia Indonesia Ani\r\nAUTH ani rahasia\r\nSEND ani lambat é\r\nINBOX\r\n";
    for byte in dialogue.as_bytes() {
        client.write(&[*byte]).unwrap();
        thread::sleep(Duration::from_millis(2));
    }
    for _ in 0..3 {
        assert_eq!(client.response()["status"], "OK");
    }
    assert_eq!(text(&client.response()["messages"][0], "text"), "lambat é");
}

#[test]
fn a_half_closed_connection_gets_all_its_answers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start_on(folder.path(), &[]);
    // Passwords, the store and messages read from it are all waited for; the last line has no end.
    let mut client = server.connect();
    client
        .write(b"REGISTER ani rahasia Indonesia Ani\nAUTH ani rahasia\nSEND ani satu\nINBOX\nPING\nWHOAMI")
        .unwrap();
    client.end();
    assert_eq!(client.response()["data"], "registrasi berhasil");
    assert_eq!(client.response()["data"], "autentikasi berhasil");
    assert_eq!(client.response()["data"], "pesan terkirim");
    assert_eq!(text(&client.response()["messages"][0], "text"), "satu");
    assert_eq!(client.response()["data"], "pong");
    assert_eq!(client.response()["user"], "ani");
    assert_eq!(client.frame(), None, "then the server closes its side");

    let mut client = server.connect();
    client.end();
    assert_eq!(client.frame(), None, "nothing asked, nothing answered");

    let mut client = server.connect();
    client.write(b"QUIT\nPING\nPING\n").unwrap();
    assert_eq!(client.response()["data"], "sampai jumpa");
    assert_eq!(client.frame(), None, "nothing is answered after QUIT");
}

#[test]
fn who_reads_nothing_is_not_read_from_and_loses_nothing() {
    let server = Process::start(&["--memory"]);
    let mut other = server.connect();
    let client = server.connect();
    let mut writer = client.writer();
    writer.set_write_timeout(Some(Duration::from_millis(500))).unwrap();

    // Each request is answered with many times its length, so only a server that stops reading stays small.
    let request = format!("HELP{}\n", " ".repeat(295)).into_bytes();
    let batch = request.repeat(1000);
    let mut written = 0;
    grows_less_than(&server, 2 * MIB, || {
        // What the buffers of both sockets hold is a few MiB; were everything taken, this would not end.
        while written < 64 * MIB {
            match writer.write(&batch[written % request.len()..]) {
                Ok(n) => written += n,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                Err(error) => panic!("{error}"),
            }
            other.ping();
        }
    });
    assert!(written < 64 * MIB, "the server reads on although nobody takes its answers");
    println!("{} requests went before the server stopped reading", written / request.len());
    assert!(written / request.len() > 10_000);

    // Everything is answered as soon as somebody reads.
    let writing = thread::spawn(move || {
        writer.set_write_timeout(Some(PATIENCE)).unwrap();
        let rest = (request.len() - written % request.len()) % request.len();
        writer.write_all(&request[request.len() - rest..]).unwrap();
        writer.write_all(b"PING").unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
        written.div_ceil(request.len())
    });
    let mut answers = String::new();
    client.stream().read_to_string(&mut answers).unwrap();
    let answers: Vec<&str> = answers.split_terminator("\r\n\r\n").collect();
    let Some((last, helps)) = answers.split_last() else { panic!("nothing was answered") };
    assert_eq!(helps.len(), writing.join().unwrap());
    assert!(helps.iter().all(|help| help.starts_with(r#"{"status":"OK","requests":["#)));
    assert_eq!(*last, r#"{"status":"OK","data":"pong"}"#);
}

#[test]
fn a_subscriber_who_reads_nothing_holds_up_nobody_and_loses_nothing() {
    // More than the buffers of two sockets hold.
    const MESSAGES: u64 = 3000;
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start_on(folder.path(), &["--limits-mailbox-messages", "100000"]);
    let (mut sender, mut slow, mut quick) = (server.connect(), server.connect(), server.connect());
    for (name, client) in [("ani", &mut sender), ("slow", &mut slow), ("quick", &mut quick)] {
        client.register(name);
        client.ok(if name == "ani" { "ADD_GROUP grup" } else { "JOIN_GROUP grup" });
    }
    slow.ok("SUBSCRIBE");
    quick.ok("SUBSCRIBE");

    let expect = |client: &mut Client| {
        for n in 0..MESSAGES {
            let event = client.event();
            assert!(text(&event, "text").starts_with(&format!("{n} ")), "after {n} messages: {event}");
        }
    };
    grows_less_than(&server, 24 * MIB, || {
        let mut writer = sender.writer();
        let writing = thread::spawn(move || {
            let padding = "x".repeat(5 * KIB);
            for n in 0..MESSAGES {
                writer.write_all(format!("SEND_GROUP grup {n} {padding}\n").as_bytes()).unwrap();
            }
        });
        let reading = thread::spawn(move || {
            for _ in 0..MESSAGES {
                assert_eq!(sender.response()["status"], "OK");
            }
        });
        expect(&mut quick);
        writing.join().unwrap();
        reading.join().unwrap();
    });
    expect(&mut slow);
    slow.ping();
}

#[test]
fn connections_that_come_and_go_leave_nothing_and_starve_nobody() {
    let server = Process::start(&["--memory"]);
    let mut other = server.connect();
    let address = server.address();
    let mut storm = |time: Duration| {
        let (over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
        let mut worst = Duration::ZERO;
        thread::scope(|scope| {
            for kind in 0..4 {
                let (over, count) = (&over, &count);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        // The system may run out of ports for a moment.
                        let Ok(mut stream) = TcpStream::connect(address) else { continue };
                        count.fetch_add(1, Ordering::Relaxed);
                        match kind {
                            0 => {}
                            1 => drop(stream.write_all(b"PING\nPING\nPI")),
                            2 => drop(stream.write_all(b"REGISTER storm-")),
                            _ => {
                                let _ = stream.write_all(b"PING\n");
                                let _ = stream.shutdown(Shutdown::Write);
                                let _ = stream.read(&mut [0; 64]);
                            }
                        }
                    }
                });
            }
            let end = Instant::now() + time;
            while Instant::now() < end {
                let asked = Instant::now();
                other.ping();
                worst = worst.max(asked.elapsed());
            }
            over.store(true, Ordering::Relaxed);
        });
        println!("{} connections; the slowest round trip beside them took {worst:?}", count.into_inner());
        assert!(worst < Duration::from_secs(1), "a client waited {worst:?} for its answer");
    };
    storm(Duration::from_millis(500));
    grows_less_than(&server, 2 * MIB, || storm(Duration::from_secs(2)));

    // Beside the listener and the few of the process itself there is one connection left.
    let deadline = Instant::now() + PATIENCE;
    while server.descriptors().is_some_and(|open| open > 30) {
        assert!(Instant::now() < deadline, "{:?} descriptors stay open", server.descriptors());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn unfinished_lines_are_held_up_to_a_limit() {
    const CLIENTS: usize = 400;
    let server = Process::start(&["--memory", "--limits-input-buffer", "1 MiB"]);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(Client::ping);
    let half = vec![b'x'; 8 * KIB - 1];
    let held = MIB / half.len();
    grows_less_than(&server, 3 * MIB, || {
        for client in &mut clients {
            client.write(&half).unwrap();
            client.stream().set_nonblocking(true).unwrap();
        }
        let told = |client: &&Client| client.stream().peek(&mut [0]).is_ok();
        let deadline = Instant::now() + PATIENCE;
        while clients.iter().filter(told).count() < CLIENTS - held {
            assert!(Instant::now() < deadline, "more is held than the limit");
            thread::sleep(Duration::from_millis(10));
        }
    });
    let mut codes = BTreeMap::new();
    for client in &mut clients {
        client.stream().set_nonblocking(false).unwrap();
        client.write(b"\nPING\n").unwrap();
        *codes.entry(error_code(&client.response()).to_owned()).or_default() += 1;
        assert_eq!(client.response()["data"], "pong", "the connection goes on");
    }
    assert_eq!(codes, BTreeMap::from([("busy".into(), CLIENTS - held), ("unknown_request".into(), held)]));
}

#[test]
fn more_connections_than_the_limit_are_told_so() {
    let server = Process::start(&["--memory", "--limits-connections", "10"]);
    let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(Client::ping);
    let mut surplus = server.connect();
    assert_eq!(error_code(&surplus.frame().expect("it is told why")), "busy");
    assert_eq!(surplus.frame(), None);
    clients.pop();
    let deadline = Instant::now() + PATIENCE;
    loop {
        // The server may not know yet that the other one has gone.
        let mut client = server.connect();
        if client.write(b"PING\n").is_ok() && client.frame().is_some_and(|frame| frame["data"] == "pong") {
            break;
        }
        assert!(Instant::now() < deadline, "the place of a connection that is gone is not given again");
    }
}

#[test]
fn round_trips_leave_nothing_behind() {
    let server = Process::start(&["--memory"]);
    let mut client = server.connect();
    (0..2000).for_each(|_| client.ping());
    grows_less_than(&server, 256 * KIB, || (0..50_000).for_each(|_| client.ping()));
}

#[test]
#[cfg(unix)]
fn no_more_connections_are_taken_than_leave_descriptors_for_files() {
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -n 100; exec "$0" "$@""#, env!("CARGO_BIN_EXE_obrolan")]);
    let data = tempfile::tempdir().unwrap();
    let server = Process::start_by(command, &["--data", data.path().to_str().unwrap()]);
    let told =
        "limits.connections is 20000, but this process may have 100 files open, so it takes 36 connections";
    assert!(server.log().contains(told), "{}", server.log());
    let mut clients: Vec<_> = (0..36).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(Client::ping);
    assert_eq!(error_code(&server.connect().response()), "busy");
    clients[0].register("ani");
    let sent = clients[0].ok("SEND_FILE ani a.txt aGFsbyE=");
    assert_eq!(text(&clients[0].ok(&format!("GET_FILE {}", id(&sent))), "data"), "aGFsbyE=");
}

#[test]
#[cfg(target_os = "linux")]
fn without_descriptors_the_connections_there_are_go_on() {
    let server = Process::start(&["--memory"]);
    let mut first = server.connect();
    first.ping();
    // The limit is lowered under the server, as other descriptors of a program that embeds it would do.
    let pid = server.pid().try_into().unwrap();
    rlimit::prlimit(pid, rlimit::Resource::NOFILE, Some((50, 50)), None).unwrap();
    let mut others: Vec<_> = (0..60).map(|_| server.connect()).collect();
    others.iter_mut().for_each(|client| client.write(b"PING\n").unwrap());
    let deadline = Instant::now() + PATIENCE;
    while !server.log().contains("cannot take a connection") {
        assert!(Instant::now() < deadline, "{:?} descriptors are open", server.descriptors());
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(500));
    let log = server.log();
    assert_eq!(log.matches("cannot take a connection").count(), 1, "it is told once a second: {log}");
    first.ping();
    // As others go, those who wait have their turn.
    for mut client in others {
        assert_eq!(client.response()["data"], "pong");
    }
    first.ping();
}

#[test]
#[cfg(target_os = "linux")]
fn a_peer_that_may_have_vanished_is_looked_for() {
    let server = Process::start(&["--memory"]);
    let mut client = server.connect();
    client.ping();
    let ports = [server.address().port(), client.stream().local_addr().unwrap().port()];
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    let socket = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|fields| [fields[1], fields[2]].map(port) == ports.map(Some));
    // The column of timers: 02 is that of keep-alive.
    let timer = socket.expect("the server's socket is there")[5];
    assert!(timer.starts_with("02:"), "the timer is {timer}");
}

#[test]
fn files_of_many_clients_at_once_cost_no_memory() {
    const CLIENTS: usize = 20;
    const PARTS: usize = 24;
    const PART: usize = 256 * KIB;
    let data = tempfile::tempdir().unwrap();
    let server = Process::start_on(data.path(), &[]);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.register(&format!("ani{at}"));
    }
    // Base64 of as many zeros; no multiple of 3, so that the last group is padded.
    let part = format!("{}AA==", "A".repeat((PART - 1) / 3 * 4));
    let before = server.peak_memory();
    thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| {
                for _ in 0..PARTS {
                    client.ok(&format!("UPLOAD nol.bin {part}"));
                }
                let sent = client.ok("SEND_FILE ani0 nol.bin");
                assert_eq!(sent["file"]["size"].as_u64(), Some((PARTS * PART) as u64));
                client.ok(&format!("GET_FILE {}", id(&sent)));
            });
        }
    });
    if let (Some(before), Some(after)) = (before, server.peak_memory()) {
        let (grown, files) = (after.saturating_sub(before), CLIENTS * PARTS * PART);
        println!("peak memory: {} KiB more for {} KiB of files", grown / KIB, files / KIB);
        assert!(grown < files / 2, "the server has grown by {} KiB", grown / KIB);
    }
}
