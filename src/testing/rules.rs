//! The small rules that the [model](super::model) keeps to: what responses look like, and when something is over.

use serde_json::{Value, json};

use super::model::Reply;
use crate::{
    Config, Password, Time,
    wire::{Code, Kind, REQUESTS, Spec},
};

/// The ERROR of a request.
pub(super) fn error(kind: Option<Kind>, code: Code) -> Value {
    let data = kind.map_or(crate::wire::UNKNOWN, |kind| kind.spec().error_text(code));
    json!({"status": "ERROR", "data": data, "code": code.as_str()})
}

/// An OK with these fields.
pub(super) fn ok(kind: Kind, fields: Value) -> Reply {
    let mut response = json!({"status": "OK"});
    if let Some(data) = kind.spec().ok {
        response["data"] = data.into();
    }
    if let Value::Object(fields) = fields {
        response.as_object_mut().expect("it was written as one").extend(fields);
    }
    Reply::Now(response)
}

pub(super) fn new_password(config: &Config, typed: &str) -> Result<String, Code> {
    let password = Password::new(typed).ok_or(Code::WeakPassword)?.expose().to_owned();
    let long = password.chars().count() >= config.accounts.min_password_length;
    if long { Ok(password) } else { Err(Code::WeakPassword) }
}

pub(super) fn help(config: &Config, request: Option<&str>) -> Result<Reply, Code> {
    let row = |spec: &Spec| {
        let parameters: Vec<_> = spec.params.iter().map(|param| param.name).collect();
        let mut row =
            json!({"request": spec.name, "usage": spec.usage(), "parameters": parameters, "help": spec.help});
        if spec.name == "UPLOAD" {
            row["limit"] = config.limits.file_size.into();
        }
        row
    };
    let rows: Vec<Value> = match request {
        Some(name) => vec![row(Kind::from_name(name).ok_or(Code::UnknownRequest)?.spec())],
        None => REQUESTS.iter().map(row).collect(),
    };
    Ok(ok(Kind::Help, json!({"requests": rows})))
}

/// Uses this soon after one another count as one.
pub(super) fn use_interval(config: &Config) -> u64 {
    (config.limits.session_idle / 8).min(3_600_000)
}

pub(super) fn session_end(config: &Config, used: Time) -> Time {
    used.after(config.limits.session_idle).after(use_interval(config))
}

/// Names in the order of their keys.
pub(super) fn sorted(names: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    names.into_iter().map(|(_, name)| name).collect()
}

/// The length of a value as compact JSON in ASCII, where every unit of UTF-16 outside ASCII takes six bytes.
pub(super) fn ascii_len(value: &Value) -> usize {
    let text = value.to_string();
    text.chars().map(|c| if c.is_ascii() { 1 } else { 6 * c.len_utf16() }).sum()
}

/// Whether a request may have a dedupe key.
pub(super) fn changes_one_thing(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Send
            | Kind::SendGroup
            | Kind::SendFile
            | Kind::SendGroupFile
            | Kind::AddGroup
            | Kind::JoinGroup
            | Kind::LeaveGroup
            | Kind::Ack
            | Kind::AddRealm
    )
}
