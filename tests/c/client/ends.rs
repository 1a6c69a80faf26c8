//! The end of a client, by whatever thread and process.

use std::{sync::Barrier, thread, time::Duration};

use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, fork},
};

use super::*;

/// One thread waits for events, one sends, and a third frees the client under them.
#[test]
fn whoever_waits_is_told_when_the_client_is_freed() {
    let server = Server::in_memory();
    for _ in 0..20 {
        let url = server.url_of("ann");
        let _ = register(&url);
        let ann = std::mem::ManuallyDrop::new(Client::open(&url).unwrap());
        let begun = Barrier::new(3);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                begun.wait();
                loop {
                    match ann.next_within(OBROLAN_NEVER) {
                        Ok(event) => {
                            assert_eq!(event.kind(), OBROLAN_EVENT_MESSAGE);
                            // Or the mailbox is full before the client is freed.
                            let _ = obrolan_client_ack(ann.0, event.id());
                        }
                        Err(failure) => return failure.code,
                    }
                }
            });
            let sending = scope.spawn(|| {
                begun.wait();
                loop {
                    if let Err(failure) = ann.send("ann", "halo") {
                        return failure.code;
                    }
                }
            });
            begun.wait();
            thread::sleep(Duration::from_millis(20));
            obrolan_client_free(ann.0);
            // They are told either way: one that was in a call, CLOSED; one that comes later, HANDLE.
            let told = [waiting.join().unwrap(), sending.join().unwrap()];
            assert!(
                told.iter().all(|code| [OBROLAN_ERR_CLOSED, OBROLAN_ERR_HANDLE].contains(code)),
                "{told:?}"
            );
        });
        assert_eq!(obrolan_client_ping(ann.0), OBROLAN_ERR_HANDLE);
        obrolan_client_free(ann.0);
    }
}

#[test]
fn whoever_waits_is_told_when_the_client_is_closed() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| ann.next_within(OBROLAN_NEVER).err().unwrap());
        assert_eq!(checked(obrolan_client_close(ann.0)), nothing());
        let closed = failure(OBROLAN_ERR_CLOSED, "the client is closed; open a new one");
        assert_eq!(waiting.join().unwrap(), closed);
    });
    assert_eq!(checked(obrolan_client_close(ann.0)), nothing(), "once more does nothing");
    assert_eq!(checked(obrolan_client_ack(ann.0, 1)), nothing());
}

#[test]
fn a_client_that_has_ended_is_not_connected() {
    let server = Server::in_memory();
    let (ann, bob) = (server.client("ann"), server.client("bob"));
    assert!(obrolan_client_is_connected(ann.0) && obrolan_client_is_connected(bob.0));
    assert_eq!(checked(obrolan_client_close(ann.0)), nothing());
    assert!(bob.request("QUIT").unwrap().is_ok());
    assert!(!obrolan_client_is_connected(ann.0) && !obrolan_client_is_connected(bob.0));
}

#[test]
fn what_was_confirmed_reaches_the_server() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    ann.send("ann", "done").unwrap();
    let open = ann.send("ann", "open").unwrap();
    assert_eq!(checked(obrolan_client_ack(ann.0, ann.next().id())), nothing());
    drop(ann);
    let ann = Client::open(&server.url_of("ann")).unwrap();
    assert_eq!(ann.next().id(), open);
}

#[test]
fn what_was_confirmed_too_early_is_confirmed_when_it_is_there() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    let first = ann.send("ann", "first").unwrap();
    let confirm = |id| {
        assert_eq!(checked(obrolan_client_ack(ann.0, id)), nothing());
        assert_eq!(obrolan_client_ping(ann.0), OBROLAN_OK, "its answer comes after that to ACK");
    };
    confirm(first + 1);
    let second = ann.send("ann", "second").unwrap();
    assert_eq!((second, ann.request("INBOX").unwrap().messages()), (first + 1, vec!["second".to_owned()]));
    confirm(second);
    assert!(ann.request("INBOX").unwrap().messages().is_empty());
}

#[test]
fn a_client_that_has_quit_is_closed() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    assert_eq!(ann.request("QUIT").unwrap().data(), "sampai jumpa");
    let quit = failure(OBROLAN_ERR_CLOSED, "the client has quit; open a new one");
    assert_eq!(ann.next_within(PATIENCE).err().unwrap(), quit);
    assert_eq!(ann.send("ann", "halo").unwrap_err().code, OBROLAN_ERR_CLOSED);
}

#[test]
fn a_password_that_is_wrong_by_now_ends_it() {
    let home = Home::new();
    let server = Server::of(&home);
    let here = server.client("ann");
    let there = Client::open(&server.url_of("ann")).unwrap();
    // SAFETY: they are there.
    let changed = unsafe { obrolan_client_passwd(here.0, c"rahasia-ann".as_ptr(), c"better-99".as_ptr()) };
    assert_eq!(changed, OBROLAN_OK);
    drop(server);
    let _server = Server::of(&home);
    let refused = loop {
        if let Err(failure) = there.next_within(PATIENCE) {
            break failure;
        }
    };
    let why = "the server refused the login: unknown user or wrong password; check both, or register first";
    assert_eq!(refused, failure(OBROLAN_ERR_AUTH, why));
    assert_eq!(obrolan_last_code(), OBROLAN_CODE_BAD_CREDENTIALS);
    assert_eq!(obrolan_client_ping(here.0), OBROLAN_OK, "this one knows the new password");
}

#[test]
fn a_child_process_is_told_that_the_handles_are_not_its() {
    let server = Server::in_memory();
    let ann = server.client("ann");
    // SAFETY: the child calls what the header promises to work there, and nothing else.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let (mut out, mut client, mut new) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            // SAFETY: they are there.
            let calls = unsafe {
                [
                    obrolan_client_ping(ann.0) == OBROLAN_ERR_FORKED,
                    obrolan_client_next(ann.0, OBROLAN_NEVER, &raw mut out) == OBROLAN_ERR_FORKED,
                    obrolan_client_close(ann.0) == OBROLAN_ERR_FORKED,
                    obrolan_client_fd(ann.0) == -1,
                    !obrolan_client_is_connected(ann.0),
                    obrolan_server_stop(server.0) == OBROLAN_ERR_FORKED,
                    obrolan_server_url(server.0).is_null(),
                ]
            };
            obrolan_client_free(ann.0);
            obrolan_server_free(server.0);
            let url = c"obrolan://ann:secret99@127.0.0.1:1".as_ptr();
            // SAFETY: they are there, or may be left out.
            let after = unsafe {
                [
                    obrolan_client_ping(ann.0) == OBROLAN_ERR_HANDLE,
                    obrolan_client_open(url, ptr::null(), ptr::null(), &raw mut client) == OBROLAN_ERR_FORKED,
                    obrolan_server_open(c"".as_ptr(), &raw mut new) == OBROLAN_ERR_FORKED,
                ]
            };
            let bad = calls.into_iter().chain(after).position(|good| !good).map_or(0, |at| at + 1);
            // SAFETY: nothing of the parent's is run down.
            unsafe { nix::libc::_exit(bad as i32) }
        }
        ForkResult::Parent { child } => {
            assert_eq!(
                waitpid(child, None).unwrap(),
                WaitStatus::Exited(child, 0),
                "the call of that number"
            );
        }
    }
    assert!(ann.send("ann", "still here").is_ok());
    assert_eq!(server.stop(), nothing());
}
