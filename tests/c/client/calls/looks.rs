//! What is seen of events and responses.

use std::collections::BTreeMap;

use obrolan_c::*;
use serde_json::Value;

use super::{
    Answer, Kind, Object, Run,
    model::{Content, Message, To, sha256},
};
use crate::client::{OBROLAN_CODE_NONE, OBROLAN_ERR_ARGUMENT, OBROLAN_EVENT_MESSAGE, c, checked, lent, ptr};

/// What the functions of events say of one, where it is something.
pub(super) type Told = BTreeMap<&'static str, Seen>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    Text(String),
    Number(u64),
}

fn text(text: *const std::ffi::c_char) -> Option<Seen> {
    lent(text).map(Seen::Text)
}

fn number(number: u64) -> Option<Seen> {
    (number > 0).then_some(Seen::Number(number))
}

type Look = fn(*const obrolan_event) -> Option<Seen>;

const LOOKS: [(&str, Look); 15] = [
    ("obrolan_event_type", |event| number(obrolan_event_type(event) as u64)),
    ("obrolan_event_id", |event| number(obrolan_event_id(event))),
    ("obrolan_event_from", |event| text(obrolan_event_from(event))),
    ("obrolan_event_to", |event| text(obrolan_event_to(event))),
    ("obrolan_event_group", |event| text(obrolan_event_group(event))),
    ("obrolan_event_text", |event| text(obrolan_event_text(event))),
    ("obrolan_event_time", |event| number(obrolan_event_time(event))),
    ("obrolan_event_file_id", |event| text(obrolan_event_file_id(event))),
    ("obrolan_event_file_name", |event| text(obrolan_event_file_name(event))),
    ("obrolan_event_file_size", |event| number(obrolan_event_file_size(event))),
    ("obrolan_event_file_sha256", |event| text(obrolan_event_file_sha256(event))),
    ("obrolan_event_resumed", |event| number(obrolan_event_resumed(event).into())),
    ("obrolan_event_count", |event| number(obrolan_event_count(event))),
    ("obrolan_event_request", |event| number(obrolan_event_request(event))),
    ("obrolan_event_response", |event| number(obrolan_event_response(event).addr() as u64)),
];

/// All there is to see of an event.
pub(super) fn seen(event: *const obrolan_event) -> Told {
    LOOKS.iter().filter_map(|(name, look)| Some((*name, look(event)?))).collect()
}

/// What must be seen of a message, but for what only the server knows.
fn told(id: u64, message: &Message) -> Told {
    let text = |text: &str| Seen::Text(text.to_owned());
    let mut told = Told::from([
        ("obrolan_event_type", Seen::Number(OBROLAN_EVENT_MESSAGE as u64)),
        ("obrolan_event_id", Seen::Number(id)),
        ("obrolan_event_from", text(message.from)),
    ]);
    match message.to {
        To::User(to) => told.insert("obrolan_event_to", text(to)),
        To::Group(to) => told.insert("obrolan_event_group", text(to)),
    };
    match &message.content {
        Content::Text(content) => {
            told.insert("obrolan_event_text", text(content));
        }
        Content::File { name, bytes } => {
            told.insert("obrolan_event_file_name", text(name));
            told.insert("obrolan_event_file_size", Seen::Number(bytes.len() as u64));
            told.insert("obrolan_event_file_sha256", text(&sha256(bytes)));
        }
    }
    told
}

impl Message {
    /// Holds an event, as a client or a response has it, against the message, and takes what only the server knew.
    pub(super) fn check(&mut self, id: u64, event: *const obrolan_event) -> Told {
        let seen = seen(event);
        let mut rest = seen.clone();
        let time = rest.remove("obrolan_event_time");
        if let Some(Seen::Text(file_id)) = rest.remove("obrolan_event_file_id") {
            assert!(matches!(self.content, Content::File { .. }), "message {id} has a file");
            assert_eq!(*self.file_id.get_or_insert_with(|| file_id.clone()), file_id);
        }
        assert_eq!(rest, told(id, self));
        let Some(Seen::Number(time)) = time else { panic!("message {id} has no time") };
        assert!(
            (self.time[0]..=self.time[1]).contains(&time),
            "message {id} at {time}, sent in {:?}",
            self.time
        );
        self.time = [time, time];
        seen
    }
}

const FIELDS: [&str; 22] = [
    "status",
    "data",
    "code",
    "users",
    "groups",
    "members",
    "messages",
    "realms",
    "requests",
    "more",
    "size",
    "next",
    "admin",
    "user",
    "/users/0",
    "/groups/1",
    "/messages/0/text",
    "/messages/0/id",
    "/realms/0/name",
    "/",
    "",
    "nothing",
];

impl Run {
    pub(super) fn call_event(&mut self, function: &str, at: usize) {
        let (event, number) = (self.pointer::<obrolan_event>(at), self.handles[at].0);
        let Object::Event(told, owner) = &self.handles[at].1 else { unreachable!() };
        if function == "obrolan_event_free" {
            // One that is lent goes with what lends it.
            if owner.is_none() {
                obrolan_event_free(event);
                self.freed(at);
                self.seen.insert((function.to_owned(), true));
            }
            return;
        }
        let look = LOOKS.iter().find(|(name, _)| *name == function);
        let Some((name, look)) = look else {
            panic!("{function} is not called yet: tell the model what must come back");
        };
        let came = look(event);
        assert_eq!(came.as_ref(), told.get(name), "{function} of {number:#x}");
        if came.is_some() {
            self.seen.insert((function.to_owned(), true));
        }
    }

    pub(super) fn call_response(&mut self, function: &str, at: usize) {
        let response = self.pointer::<obrolan_response>(at);
        let Object::Response(answer, owner) = &self.handles[at].1 else { unreachable!() };
        let Answer { json, messages, bytes } = &**answer;
        // Often one that is there.
        let own: Vec<&str> =
            json.as_object().into_iter().flatten().map(|(field, _)| field.as_str()).collect();
        let fields = if self.random.below(2) == 0 { &own[..] } else { &FIELDS };
        let field = fields[self.random.below(fields.len() as u64) as usize];
        let index = self.random.below(3) as usize;
        let value = if field.starts_with('/') { json.pointer(field) } else { json.get(field) };
        let (c_field, none) = (c(field), Value::Null);
        let (name, value) = (c_field.as_ptr(), value.unwrap_or(&none));
        let is_ok = json["status"] == "OK";
        macro_rules! looked {
            ($look:expr, $model:expr) => {{
                // SAFETY: the field's name is there.
                #[allow(unused_unsafe)]
                let came = unsafe { $look };
                assert_eq!(came, $model, "{function} of {field:?} {index} in {json}");
                is_something(&came)
            }};
        }
        let owned = |text: &str| Some(text.to_owned());
        let succeeded = match function {
            "obrolan_response_is_ok" => looked!(obrolan_response_is_ok(response), is_ok),
            "obrolan_response_code" => {
                let code = obrolan_response_code(response);
                let word = format!("{code:?}").replace("OBROLAN_CODE_", "").to_lowercase();
                assert_eq!(word, json["code"].as_str().unwrap_or("none"));
                code != OBROLAN_CODE_NONE
            }
            "obrolan_response_reason" => {
                looked!(
                    lent(obrolan_response_reason(response)).map(|reason| !reason.is_empty()),
                    Some(!is_ok)
                )
            }
            "obrolan_response_data" => {
                looked!(
                    lent(obrolan_response_data(response)),
                    owned(json["data"].as_str().unwrap_or_default())
                )
            }
            "obrolan_response_has" => looked!(obrolan_response_has(response, name), !value.is_null()),
            "obrolan_response_text" => {
                looked!(lent(obrolan_response_text(response, name)), value.as_str().and_then(owned))
            }
            "obrolan_response_number" => {
                looked!(obrolan_response_number(response, name), value.as_u64().unwrap_or_default())
            }
            "obrolan_response_bool" => {
                looked!(obrolan_response_bool(response, name), value.as_bool().unwrap_or_default())
            }
            "obrolan_response_count" => {
                looked!(obrolan_response_count(response, name), value.as_array().map_or(0, Vec::len))
            }
            "obrolan_response_name" => {
                let entry = value.as_array().and_then(|list| list.get(index)?.as_str());
                looked!(lent(obrolan_response_name(response, name, index)), entry.and_then(owned))
            }
            "obrolan_response_json" => {
                let came = lent(obrolan_response_json(response)).unwrap();
                looked!(serde_json::from_str::<Value>(&came).unwrap(), *json)
            }
            "obrolan_response_bytes" => {
                let (mut came, mut len) = (ptr::null(), 99);
                // SAFETY: they are there.
                let result =
                    checked(unsafe { obrolan_response_bytes(response, &raw mut came, &raw mut len) });
                // SAFETY: so many are lent.
                let result = result.map(|()| unsafe { std::slice::from_raw_parts(came, len) }.to_vec());
                let model = bytes.clone().ok_or(OBROLAN_ERR_ARGUMENT.into());
                self.saw(function, result, model);
                return;
            }
            "obrolan_response_message" => {
                let event = obrolan_response_message(response, index);
                let told = messages.get(index).cloned();
                assert_eq!(Some(seen(event)).filter(|seen| !seen.is_empty()), told);
                let known = self.handles.iter().any(|(number, _)| *number == event.addr());
                if let Some(told) = told.filter(|_| !known) {
                    self.keep(event.addr(), Object::Event(told, Some(at)));
                }
                !event.is_null()
            }
            "obrolan_response_free" => {
                if owner.is_none() {
                    obrolan_response_free(response);
                    self.freed(at);
                }
                true
            }
            _ => panic!("{function} is not called yet: tell the model what must come back"),
        };
        self.seen.insert((function.to_owned(), succeeded));
    }

    /// Keeps a response that came, once its fields are what they must be.
    pub(super) fn keep_response(
        &mut self,
        response: *const obrolan_response,
        world: usize,
        fields: &[(&'static str, Value)],
        bytes: Option<Vec<u8>>,
        owner: Option<usize>,
    ) {
        let json = lent(obrolan_response_json(response)).expect("it is a response");
        let json: Value = serde_json::from_str(&json).unwrap();
        for (field, value) in fields {
            let came = json.pointer(field).cloned().map(without_times);
            assert_eq!(came.as_ref(), Some(value), "{field} in {json}");
        }
        let ids =
            json["messages"].as_array().into_iter().flatten().map(|message| message["id"].as_u64().unwrap());
        let messages = ids
            .enumerate()
            .map(|(at, id)| self.worlds[world].message(id).check(id, obrolan_response_message(response, at)));
        let messages = messages.collect();
        self.keep(response.addr(), Object::Response(Box::new(Answer { json, messages, bytes }), owner));
    }

    pub(super) fn is_full(&self, kind: Kind) -> bool {
        self.handles.iter().filter(|(_, object)| object.is(kind)).count() >= 6
    }
}

fn is_something<T: Default + PartialEq>(came: &T) -> bool {
    *came != T::default()
}

/// Without what only the server knows of a message.
fn without_times(mut value: Value) -> Value {
    for message in value.as_array_mut().into_iter().flatten() {
        if let Some(message) = message.as_object_mut() {
            message.remove("time");
            if let Some(file) = message.get_mut("file").and_then(Value::as_object_mut) {
                file.remove("id");
            }
        }
    }
    value
}
