//! A client and a server that may say anything.

use super::{in_pieces, pieces};
use crate::{
    SessionId,
    client::{Client, Event, Login, RequestId},
    wire::Request,
};

/// Whatever a server says, and in whatever pieces: a client does the same, and tells of at most one answer to each request, in their
/// order. The bytes are the sizes of pieces, then what the server says; of those that stand nowhere in UTF-8, each is something that the
/// client's host does.
pub fn client(bytes: &[u8]) {
    let (with_password, sizes, script) = pieces(bytes);
    let whole = run(script, with_password, &[usize::MAX]);
    assert_eq!(run(script, with_password, &sizes), whole);
}

const SID: &str = "sid_0123456789abcdef0123456789abcdef";

/// All that can be seen of a client.
fn run(script: &[u8], with_password: bool, sizes: &[usize]) -> Vec<String> {
    let sid = || SessionId::parse(SID).expect("it is one");
    let ann = || Login::password("ann", "secret").expect("it can be written");
    let mut client = Client::new(if with_password { ann() } else { Login::nothing() });
    let (mut seen, mut requested, mut answered) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = script;
    while !rest.is_empty() {
        let said = rest.iter().take_while(|byte| **byte < 0xf5).count();
        let (said, after) = rest.split_at(said);
        let result = in_pieces(said, sizes).try_for_each(|piece| client.receive(piece));
        seen.push(format!("{result:?}"));
        if let Some((order, after)) = after.split_first() {
            rest = after;
            act(&mut client, *order, &mut requested, sid, ann);
        } else {
            rest = after;
        }
        while let Some(event) = client.poll_event() {
            if let Event::Response { id, .. } = &event {
                answered.push(*id);
            }
            seen.push(format!("{event:?}"));
        }
        let outgoing = String::from_utf8_lossy(client.outgoing()).into_owned();
        seen.push(format!("{outgoing:?} {} {}", client.unanswered(), client.is_finished()));
    }
    assert_eq!(answered, requested[..answered.len()], "each request is answered once, in order");
    assert_eq!(client.unanswered(), requested.len() - answered.len());
    seen
}

/// Does what a host may do.
fn act(
    client: &mut Client,
    order: u8,
    requested: &mut Vec<RequestId>,
    sid: impl Fn() -> SessionId,
    ann: impl Fn() -> Login,
) {
    let request = match order {
        0xf5 => return client.connected(),
        0xf6 => return client.disconnected(),
        0xf7 => return client.sent(client.outgoing().len()),
        0xf8 => return client.subscribe(7),
        0xf9 => return client.login(Login::session(sid())),
        0xfa => return client.login(ann()),
        0xfb => Request::Passwd { old: "secret", new: "other" },
        0xfc => Request::Subscribe { after: Some(3) },
        0xfd => Request::Logout,
        0xfe => Request::Auth { user: "bob", password: "secret" },
        _ if requested.len() % 8 == 7 => Request::Quit,
        _ => Request::Send { to: "bob", text: "two\nlines" },
    };
    // Refused once the client has quit.
    requested.extend(client.request(&request));
}
