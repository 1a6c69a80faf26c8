//! What large files cost the server in memory: 20 clients at once send 64 MiB each, each its own, then fetch them.
//!
//! `cargo bench -p obrolan-server --bench files`. It takes 2.5 GiB of the temporary folder's disk. docs/performance.md has the result.

#[path = "../support/server.rs"]
mod server;

use std::{
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use server::{Client, Process, id};

const CLIENTS: usize = 20;
const MIB: usize = 1 << 20;
const FILE: usize = 64 * MIB;
/// A part fits a line of 1 MiB.
const PART: usize = MIB / 2;

fn main() {
    let data = tempfile::tempdir().expect("there is a temporary folder");
    let server = Process::start_on(data.path(), &[]);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.register(&format!("ani{at}"));
    }
    let before = server.peak_memory().expect("the system tells the peak of a process's memory");
    let report = |what: &str, took: Duration| {
        let grown = server.peak_memory().unwrap_or(before) - before;
        let (mib, rate) = (CLIENTS * FILE / MIB, (CLIENTS * FILE / MIB) as f64 / took.as_secs_f64());
        println!("{mib} MiB {what}: {rate:.0} MiB/s; the server's peak has grown by {} MiB", grown / MIB);
    };

    let started = Instant::now();
    let sent: Vec<u64> = all(&mut clients, |at, client| {
        for part in 0..FILE / PART {
            let part = BASE64_STANDARD.encode(bytes(at, part));
            client.ok(&format!("UPLOAD berkas.bin {part}"));
        }
        let sent = client.ok("SEND_FILE ani0 berkas.bin");
        assert_eq!(sent["file"]["size"].as_u64(), Some(FILE as u64));
        id(&sent)
    });
    report("sent", started.elapsed());

    let started = Instant::now();
    all(&mut clients, |at, client| {
        let (mut offset, mut next) = (0, Some(0));
        while let Some(from) = next {
            let part = client.ok(&format!("GET_FILE {} {from}", sent[at]));
            offset += part["data"].as_str().expect("a part has data").len() / 4 * 3;
            next = part["next"].as_u64();
        }
        assert!(offset >= FILE, "all of it came");
    });
    report("fetched", started.elapsed());
}

/// Has every client do the same at once.
fn all<T: Send>(clients: &mut [Client], work: impl Fn(usize, &mut Client) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let work = &work;
        let start = |(at, client)| scope.spawn(move || work(at, client));
        let threads: Vec<_> = clients.iter_mut().enumerate().map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("the client is served")).collect()
    })
}

/// A part of a client's file: no two are the same.
fn bytes(client: usize, part: usize) -> Vec<u8> {
    let mut bytes = vec![client as u8; PART];
    bytes[..8].copy_from_slice(&(part as u64).to_le_bytes());
    bytes
}
