//! Ten thousand people who are logged in and say nothing.

#[path = "support/server.rs"]
mod server;

use std::{
    thread,
    time::{Duration, Instant},
};

use server::{Client, PATIENCE, Process, id, text};

const CONNECTIONS: usize = 10_000;

/// What a connection may cost the server, in bytes of its own memory; what the system keeps for a socket is not in it.
const MOST: usize = 4 << 10;

#[test]
fn ten_thousand_idle_connections_are_held() {
    // Beside the connections, both processes have a few files open.
    let wanted = CONNECTIONS as u64 + 200;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(limit) if limit >= wanted => {}
        other => {
            println!(
                "skipped: {wanted} descriptors a process are needed, and the limit is {other:?}; raise `ulimit -Hn`"
            );
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start_on(folder.path(), &[]);
    // A password takes long to verify, so all but the first of each user's connections resume.
    let sessions = ["ani", "budi", "citra", "dewi"].map(|name| server.connect().register(name));
    let open = |count: usize| {
        let mut clients = Vec::with_capacity(count);
        while clients.len() < count {
            let start = clients.len();
            // Fewer at once than the system lets wait to be accepted.
            for n in start..count.min(start + 100) {
                let mut client = Client::connect(server.address()).unwrap();
                client.write(format!("RESUME {}\n", sessions[n % sessions.len()]).as_bytes()).unwrap();
                clients.push(client);
            }
            for client in &mut clients[start..] {
                assert_eq!(client.response()["data"], "sesi dilanjutkan");
            }
        }
        clients
    };
    let mut first = open(100);
    let before = server.memory();
    let started = Instant::now();
    let mut clients = open(CONNECTIONS);
    println!("{CONNECTIONS} connections were made in {:?}", started.elapsed());
    if let (Some(before), Some(after)) = (before, server.memory()) {
        let each = after.saturating_sub(before) / CONNECTIONS;
        println!("{each} bytes a connection; {} KiB in all", after >> 10);
        assert!(each < MOST, "an idle connection takes {each} bytes");
    }

    // The others are no burden to who says something.
    let asked = Instant::now();
    clients[CONNECTIONS / 2].ping();
    println!("a round trip took {:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(1));
    let (budi, ani) = (9, CONNECTIONS - 4);
    clients[budi].ok("SUBSCRIBE");
    let sent = id(&clients[ani].ok("SEND budi di mana semua orang?"));
    let event = clients[budi].event();
    assert_eq!((id(&event), text(&event, "from")), (sent, "ani"));
    assert_eq!(text(&event, "text"), "di mana semua orang?");

    drop(clients);
    first.iter_mut().for_each(Client::ping);
    let deadline = Instant::now() + PATIENCE;
    while server.descriptors().is_some_and(|open| open > first.len() + 50) {
        assert!(Instant::now() < deadline, "{:?} descriptors stay open", server.descriptors());
        thread::sleep(Duration::from_millis(10));
    }
}
