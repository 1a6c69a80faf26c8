//! A server in this process.

use std::fs;

use super::*;

fn refused(toml: &str) -> Failure {
    Server::open(toml).err().unwrap()
}

#[test]
fn it_is_reached_by_its_url() {
    let server =
        Server::open("listen = '0.0.0.0:0'\nstorage = 'memory'\naccounts.min_password_length = 1").unwrap();
    let url = server.url();
    assert!(url.starts_with("obrolan://127.0.0.1:"), "{url}");
    let ann = server.client("ann");
    assert_eq!(obrolan_client_ping(ann.0), OBROLAN_OK);
    assert_eq!((server.stop(), server.stop()), (nothing(), nothing()));
    assert_eq!(Client::open(&server.url_of("ann")).err().unwrap().code, OBROLAN_ERR_UNREACHABLE);
}

#[test]
fn what_it_keeps_is_there_again() {
    let home = Home::new();
    let server = Server::of(&home);
    let id = server.client("ann").send("ann", "halo").unwrap();
    drop(server);
    let server = Server::of(&home);
    assert_eq!(Client::open(&server.url_of("ann")).unwrap().next().id(), id);
}

#[test]
fn why_it_does_not_start() {
    let wrong = refused("listen = '127.0.0.1:0'\nstorage = 'paper'\nlisten_to = 1");
    assert_eq!(wrong.code, OBROLAN_ERR_CONFIG);
    assert!(wrong.text.contains("toml:2:11: storage:") && wrong.text.contains("toml:3:1:"), "{}", wrong.text);
    let home = Home::new();
    let server = Server::of(&home);
    let taken = refused(&format!("listen = '{}'\nstorage = 'memory'", home.at));
    assert_eq!(taken.code, OBROLAN_ERR_IO);
    assert!(taken.text.contains("another program listens there"), "{}", taken.text);
    drop(server);
    let data = home.data();
    for file in fs::read_dir(&data).unwrap().map(|file| file.unwrap().path()) {
        if file.is_file() {
            fs::write(file, "x".repeat(5000)).unwrap();
        }
    }
    let damaged = refused(&format!("listen = '127.0.0.1:0'\ndata = '{}'", data.display()));
    assert_eq!(damaged.code, OBROLAN_ERR_DAMAGED, "{}", damaged.text);
}
