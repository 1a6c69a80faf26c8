//! A server with people on it, one of whom means harm, and the requests that such a person makes.

use obrolan::{
    Ask, Config, Peer, Service, Snapshot, Time,
    testing::{Happened, World},
    wire::{Param, Shape, Spec},
};
use serde_json::{Value, json};

/// Ann and Bob, with all that is between them, and Eve, who has no part in it.
pub(crate) struct Scene {
    world: World,
    pub(crate) ann: usize,
    /// Eve's connection, one of hers that speaks the classic dialect, and one without a session.
    pub(crate) eve: usize,
    pub(crate) classic: usize,
    pub(crate) stranger: usize,
    pub(crate) ann_sid: String,
    eve_sid: String,
}

impl Scene {
    /// With bodies and files kept by the engine, and by its host.
    pub(crate) fn both() -> [Scene; 2] {
        [Service::Inside, Service::Host].map(Scene::new)
    }

    pub(crate) fn new(service: Service) -> Scene {
        let config = Config {
            persistence: true,
            passwords: Service::Host,
            messages: service,
            files: service,
            ..Config::default()
        };
        let mut world = World::new(config, [1; 32], Time(1_795_424_400_000));
        let [ann, bob, eve, classic, stranger] = [(); 5].map(|()| world.connect(Peer::Local).unwrap());
        let mut scene =
            Scene { world, ann, eve, classic, stranger, ann_sid: String::new(), eve_sid: String::new() };
        for (conn, name) in [(ann, "ann"), (bob, "bob"), (eve, "eve")] {
            scene.ok(conn, &format!("REGISTER {name} rahasia ID {name}"));
            let sid = scene.ok(conn, &format!("AUTH {name} rahasia"))["tokenid"].take();
            let sid = sid.as_str().unwrap().to_owned();
            match name {
                "ann" => scene.ann_sid = sid,
                "eve" => scene.eve_sid = sid,
                _ => {}
            }
        }
        for (conn, line) in [
            (ann, "ADD_GROUP klub"),
            (bob, "JOIN_GROUP klub"),
            (ann, "SEND bob RAHASIA satu"),
            (bob, "SEND_GROUP klub RAHASIA dua"),
            (ann, "SEND_FILE bob surat.txt UkFIQVNJQQ=="),
            (bob, "SEND_GROUP_FILE klub foto.txt UkFIQVNJQQ=="),
            (ann, "UPLOAD konsep.txt UkFIQVNJQQ=="),
            // Numbers on both sides of hers are of others.
            (eve, "SEND bob halo"),
            (eve, "SEND_FILE bob punyaku.txt eA=="),
            (eve, "UPLOAD catatan.txt eHg="),
            (bob, "SEND ann RAHASIA tujuh"),
            (eve, "SEND bob apa kabar?"),
        ] {
            scene.ok(conn, line);
        }
        let resume = format!("resume {}", scene.eve_sid);
        scene.ok(scene.classic, &resume);
        scene
    }

    /// Says a line, does all there is to do, and returns the one response to it.
    #[track_caller]
    pub(crate) fn ask(&mut self, conn: usize, line: &[u8]) -> String {
        let before = self.world.frames(conn).len();
        self.world.say(conn, &[line, b"\n"].concat());
        self.world.settle();
        let mut frames = self.world.frames(conn).split_off(before);
        assert_eq!(frames.len(), 1, "{}: {frames:?}", line.escape_ascii());
        frames.remove(0)
    }

    #[track_caller]
    pub(crate) fn ok(&mut self, conn: usize, line: &str) -> Value {
        let response = self.ask(conn, line.as_bytes());
        assert!(response.starts_with(r#"{"status":"OK""#), "{line}: {response}");
        serde_json::from_str(&response).unwrap()
    }

    fn snapshot(&mut self) -> Snapshot {
        self.world.engine().snapshot().unwrap()
    }

    /// Makes a request that is refused, and returns the response. The state, bodies and files included, stays what it was; nothing is asked
    /// of the host but to read; nobody else is sent anything.
    #[track_caller]
    pub(crate) fn refused(&mut self, conn: usize, line: impl AsRef<[u8]>, code: &str) -> String {
        let line = line.as_ref();
        let shown = line.escape_ascii().to_string();
        let shown: String = shown.chars().take(200).collect();
        let (before, happened) = (self.snapshot(), self.world.happened().len());
        let response = self.ask(conn, line);
        let value: Value = serde_json::from_str(&response).unwrap();
        assert_eq!((&value["status"], &value["code"]), (&json!("ERROR"), &json!(code)), "{shown}");
        assert!(self.snapshot() == before, "{shown} has changed something");
        for happened in &self.world.happened()[happened..] {
            match happened {
                Happened::Writable(who) | Happened::Readable(who) | Happened::Read(who, _)
                    if *who == conn => {}
                Happened::Asked(_, Ask::ReadHistory { .. }) => {}
                other => panic!("{shown} led to {other:?}"),
            }
        }
        response
    }

    /// Makes two requests, one for what is others' and one for what is not there: both are refused, and with the same bytes.
    #[track_caller]
    pub(crate) fn alike(&mut self, conn: usize, theirs: &str, nobodys: &str, code: &str) {
        assert_eq!(self.refused(conn, theirs, code), self.refused(conn, nobodys, code), "{theirs}");
    }

    /// The same request on Eve's connection, and in lower case on her other one: the same response, with its text under `message`.
    #[track_caller]
    pub(crate) fn refused_twice(&mut self, line: &str, code: &str) {
        let mut response: Value = serde_json::from_str(&self.refused(self.eve, line, code)).unwrap();
        response["message"] = response["data"].clone();
        let (name, params) = line.split_once(' ').unwrap_or((line, ""));
        let classic = format!("{} {params}", name.to_lowercase());
        let classic = self.refused(self.classic, classic, code);
        assert_eq!(serde_json::from_str::<Value>(&classic).unwrap(), response, "{line}");
    }

    /// Nothing of all that was done has left a trace: uploads, which are no part of the state, among it.
    pub(crate) fn untouched(mut self) {
        assert_eq!(self.ok(self.ann, "UPLOAD konsep.txt eA==")["size"], 8);
        assert_eq!(self.ok(self.eve, "UPLOAD catatan.txt eA==")["size"], 3);
        assert_eq!(self.ok(self.eve, "WHOAMI")["user"], "eve");
        assert_eq!(self.ok(self.eve, "LIST_USERS")["users"], json!(["ann", "bob", "eve"]));
        assert_eq!(self.ok(self.eve, "INBOX")["messages"], json!([]));
        for conn in [self.eve, self.classic, self.stranger] {
            assert!(!self.world.frames(conn).concat().contains("RAHASIA"));
            assert!(!self.world.frames(conn).concat().contains("UkFIQVNJQQ"));
        }
    }
}

/// A value that a parameter may have, as a line has it.
fn example(param: &Param) -> &'static str {
    match (param.shape, param.name) {
        (Shape::Number, _) => "1",
        (_, "base64") => "eA==",
        (_, "ip") => "192.0.2.1",
        (_, "fingerprint") => "SHA256:AAAA",
        _ => "x",
    }
}

/// A request with all its parameters, that of this name being `value`.
pub(crate) fn line(spec: &Spec, name: &str, value: &str) -> String {
    let value = |param: &Param| if param.name == name { value.to_owned() } else { example(param).to_owned() };
    let params: Vec<String> = spec.params.iter().map(value).collect();
    format!("{} {}", spec.name, params.join(" "))
}

/// The same as a JSON object: the member of this name, whether a parameter or not, is `value` as it stands here, and `more` follows.
pub(crate) fn object(spec: &Spec, name: &str, value: &str, more: &str) -> String {
    let member = |param: &Param| match (param.name, param.shape) {
        (its, _) if its == name => format!(r#","{name}":{value}"#),
        (its, Shape::Number) => format!(r#","{its}":{}"#, example(param)),
        (its, _) => format!(r#","{its}":"{}""#, example(param)),
    };
    let params: String = spec.params.iter().map(member).collect();
    let is_other = !name.is_empty() && spec.params.iter().all(|param| param.name != name);
    let other = if is_other { format!(r#","{name}":{value}"#) } else { String::new() };
    format!(r#"{{"request":"{}"{params}{other}{more}}}"#, spec.name)
}

/// Names of all that a request may have in a JSON object.
pub(crate) fn members(spec: &Spec) -> Vec<&'static str> {
    let mut names: Vec<&str> = spec.params.iter().map(|param| param.name).collect();
    names.extend(
        ["sid", "tag", "dedupe"].iter().filter(|name| !spec.params.iter().any(|it| it.name == **name)),
    );
    names
}

/// The requests that send files, up to the name, and what goes on behind it.
pub(crate) const FILES: [&str; 3] = ["SEND_FILE bob", "SEND_GROUP_FILE klub", "UPLOAD"];

pub(crate) fn file_object(request: &str, filename: &str, base64: &str) -> String {
    let (name, to) = request.split_once(' ').unwrap_or((request, ""));
    let to = match name {
        "SEND_FILE" => json!({"to": to}),
        "SEND_GROUP_FILE" => json!({"group": to}),
        _ => json!({}),
    };
    let mut object = json!({"request": name, "filename": filename, "base64": base64});
    object.as_object_mut().unwrap().extend(to.as_object().unwrap().clone());
    object.to_string()
}

pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains([' ', '\n', '\r'])
}
