//! What peers read.

use serde_json::Value;

use super::Referee;
use crate::{Seq, SessionId, testing::model::Message};

impl Referee {
    /// A peer read a whole frame, whose first byte it got when the records up to `durable` were that.
    pub(in crate::testing) fn read(&mut self, conn: usize, frame: &[u8], durable: Seq) {
        let text = String::from_utf8_lossy(frame);
        assert!(frame.is_ascii() && !frame.contains(&b'\n'), "a frame of one line of ASCII: {text}");
        let value: Value = serde_json::from_slice(frame).expect("a frame is JSON");
        if text.starts_with("{\"event\":") {
            self.read_event(conn, value, durable);
        } else {
            assert!(text.starts_with("{\"status\":"), "neither response nor event: {text}");
            self.read_response(conn, value, durable);
        }
    }

    fn read_response(&mut self, conn: usize, mut value: Value, durable: Seq) {
        let held = &mut self.conns[conn];
        let exchange = held.exchanges.pop_front().expect("an answer to what was not asked");
        if let Some(session) = exchange.opens {
            let mut field = |name| value.as_object_mut().and_then(|all| all.remove(name));
            let Some(Value::String(id)) = field("tokenid") else { panic!("no tokenid in {value}") };
            if exchange.classic {
                let again = [field("token_id"), field("token")];
                assert_eq!(again, [Some(Value::from(&*id)), Some(Value::from(&*id))]);
            }
            assert!(SessionId::is_form(&id), "no session id: {id}");
            assert!(self.given.insert(id, session).is_none(), "a session id given twice");
        }
        let expected = exchange.expected.expect("no answer comes before its work is done");
        assert_eq!(value, expected, "the answer to {:?} on connection {conn}", exchange.kind);
        assert!(exchange.gate <= durable, "{value} left before record {:?} was durable", exchange.gate);
        if exchange.unsubscribes {
            held.subscription = None;
        }
        if exchange.subscribes.is_some() {
            held.subscription = exchange.subscribes;
        }
    }

    fn read_event(&mut self, conn: usize, mut value: Value, durable: Seq) {
        let held = &mut self.conns[conn];
        let subscription = held.subscription.as_mut().expect("an event that nobody asked for");
        let event = value.as_object_mut().and_then(|all| all.remove("event"));
        match event.as_ref().and_then(Value::as_str) {
            Some("message") => {
                let id = value["id"].as_u64().expect("a message has an id");
                let Message { json, to, .. } = &self.model.messages[&id];
                assert_eq!(&value, json, "what was pushed on connection {conn}");
                assert!(to.contains(&subscription.user), "{value} is for somebody else");
                let last = subscription.seen.last().copied();
                let after = if held.replayed { 0 } else { subscription.after };
                assert!(id > last.unwrap_or(after), "{id} after {last:?} on connection {conn}");
                assert!(
                    !self.config.persistence || self.brought_by[&id] <= durable,
                    "{value} left too early"
                );
                subscription.seen.push(id);
            }
            Some("gap") => assert!(value["count"].as_u64() > Some(0), "a gap of nothing: {value}"),
            Some("closing") => assert!(self.stopping, "nobody closes"),
            _ => panic!("an unknown event: {value}"),
        }
    }

    /// The world is at rest: everything was answered and delivered. `open` tells which connections are.
    pub(in crate::testing) fn at_rest(&self, open: impl Fn(usize) -> bool) {
        for (at, conn) in self.conns.iter().enumerate().filter(|(_, conn)| !conn.gone) {
            assert!(conn.exchanges.is_empty(), "connection {at} waits for {}", conn.exchanges.len());
            let on = conn.subscribed_with.is_some() && open(at) && !self.stopping;
            if let (Some(subscription), true) = (&conn.subscription, on) {
                let confirmed = self.confirmed.get(&subscription.user).copied().unwrap_or(0);
                let mailbox = self.model.users[subscription.user].mailbox.iter();
                let mut due = mailbox.filter(|id| **id > subscription.after.max(confirmed));
                let missed = due.find(|id| !subscription.seen.contains(id));
                assert_eq!(
                    missed, None,
                    "connection {at} was not pushed a message; it saw {:?}",
                    subscription.seen
                );
            }
        }
    }
}
