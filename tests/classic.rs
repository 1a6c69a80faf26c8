//! Clients of the classic dialect as they are in use: one string out, then 32 to 64 bytes at a time, each decoded by itself, until
//! what came ends in CR LF CR LF; a token first on every request, on whatever connection there is.

#[path = "support/server.rs"]
mod server;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpStream},
};

use obrolan::wire::{Dialect, REQUESTS};
use serde_json::{Value, json};
use server::{PATIENCE, Process};

/// One connection of such a client.
struct ClassicClient {
    stream: TcpStream,
    /// How many bytes it reads at a time.
    piece: usize,
}

impl ClassicClient {
    fn connect(server: &Process, piece: usize) -> ClassicClient {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        ClassicClient { stream, piece }
    }

    /// The one response to a request. What comes beside it makes it no JSON, or comes to light when the stream [ends](Self::end).
    #[track_caller]
    fn ask(&mut self, request: &str) -> Value {
        self.stream.write_all(request.as_bytes()).unwrap();
        let mut received = String::new();
        let mut piece = vec![0; self.piece];
        while !received.ends_with("\r\n\r\n") {
            let n = self.stream.read(&mut piece).unwrap();
            assert!(n > 0, "the connection is closed after {received:?}");
            received.push_str(std::str::from_utf8(&piece[..n]).expect("each piece is text by itself"));
        }
        serde_json::from_str(&received).unwrap_or_else(|error| panic!("{request}: {error}: {received}"))
    }

    /// Everything was answered, and once: nothing more comes.
    fn end(mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "more than one response to a request");
    }
}

/// Connections of such clients, whoever is logged in on them: every request comes on another one, and some on a new one.
struct Crowd<'a> {
    server: &'a Process,
    open: Vec<ClassicClient>,
    asked: usize,
    /// The names of all requests so far.
    names: BTreeSet<String>,
}

impl Crowd<'_> {
    fn new(server: &Process) -> Crowd<'_> {
        let open = [32, 33, 64].map(|piece| ClassicClient::connect(server, piece)).into();
        Crowd { server, open, asked: 0, names: BTreeSet::new() }
    }

    #[track_caller]
    fn ask(&mut self, request: &str) -> Value {
        self.names.insert(request.split(' ').next().unwrap().to_owned());
        self.asked += 1;
        let request = request.to_owned() + ["\r\n\r\n", "\r\n", "\n"][self.asked % 3];
        let place = self.asked % (self.open.len() + 1);
        if let Some(client) = self.open.get_mut(place) {
            return client.ask(&request);
        }
        let mut client = ClassicClient::connect(self.server, 32 + self.asked % 33);
        let response = client.ask(&request);
        client.end();
        response
    }

    /// Makes a request that is answered OK. The text is under `message` too, if there is one.
    #[track_caller]
    fn ok(&mut self, request: &str) -> Value {
        let response = self.ask(request);
        assert_eq!(response["status"], "OK", "{request}: {response}");
        // The data of GET_FILE are no text, but the file's.
        if response.get("data").is_some() && response.get("offset").is_none() {
            assert_eq!(response["message"], response["data"], "{request}: {response}");
        }
        response
    }

    /// Makes a request that is answered ERROR with this code.
    #[track_caller]
    fn fails(&mut self, request: &str, code: &str) {
        let response = self.ask(request);
        assert_eq!((&response["status"], &response["code"]), (&json!("ERROR"), &json!(code)), "{request}");
        assert_eq!(response["message"], response["data"], "{request}: {response}");
    }

    /// Logs in, or registers; the token, which goes by three names.
    #[track_caller]
    fn token(&mut self, request: &str) -> String {
        let response = self.ok(request);
        let token = response["tokenid"].as_str().unwrap_or_else(|| panic!("{request}: {response}"));
        assert_eq!([&response["token_id"], &response["token"]], [token, token]);
        token.to_owned()
    }

    /// The inbox of a user: sender, recipient, text and content of each message.
    #[track_caller]
    fn inbox(&mut self, request: &str, user: &str) -> Vec<(String, String, String, Option<String>)> {
        let response = self.ok(request);
        let messages = response["messages"][user].as_array().unwrap_or_else(|| panic!("{response}"));
        let text = |message: &Value, field: &str| message[field].as_str().unwrap().to_owned();
        let read = |message: &Value| {
            let content = message.get("filename").map(|name| {
                assert_eq!(*name, message["msg"]);
                text(message, "filecontent")
            });
            (text(message, "msg_from"), text(message, "msg_to"), text(message, "msg"), content)
        };
        messages.iter().map(read).collect()
    }
}

/// The names of the classic dialect in docs/protocol.md, with what each stands for.
fn documented() -> BTreeMap<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
    let text = fs::read_to_string(path).expect("docs/protocol.md can be read");
    let (_, table) =
        text.split_once("\n| name | stands for |\n|---|---|\n").expect("there is a table of names");
    let rows = table.lines().map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let names = |(names, meaning): (&str, &str)| {
        let names = names.split(", ").map(|name| name.trim_matches('`').to_owned());
        names.map(|name| (name, meaning.to_owned())).collect::<Vec<_>>()
    };
    rows.flat_map(names).collect()
}

#[test]
fn a_whole_life_in_lower_case() {
    let server = Process::start(&["--memory"]);
    let mut all = Crowd::new(&server);
    let ann = all.token("register ann rahasia-ann Indonesia Ann Wijaya");
    let bob = all.token("register bob rahasia-bob");
    all.fails("register bob rahasia-bob", "user_exists");
    all.fails("auth bob salah", "bad_credentials");
    let other = all.token("auth bob rahasia-bob");
    let ann2 = all.token("login ann rahasia-ann");
    assert_eq!(all.ok(&format!("whoami {ann2}"))["name"], "Ann Wijaya");
    assert_eq!(all.ok(&format!("listusers {bob}"))["users"], json!(["ann", "bob"]));
    assert_eq!(all.ok("list_users")["users"], json!(["ann", "bob"]));

    // Groups, under all their names.
    for (token, request) in [
        (&ann, "addgroup grup1 \r"),
        (&ann, "creategroup grup2 rahasia"),
        (&ann, "create_group grup3 rahasia"),
        (&ann, "add_group grup4"),
        (&bob, "joingroup grup1 \r"),
        (&bob, "join_group grup2 rahasia"),
        (&bob, "join_group grup3"),
        (&bob, "leavegroup grup1"),
        (&bob, "leave_group grup2"),
        (&bob, "exitgroup grup3"),
        (&bob, "joingroup grup1"),
    ] {
        let (name, rest) = request.split_once(' ').unwrap();
        all.ok(&format!("{name} {token} {rest}"));
    }
    for name in ["listgroup", "getgroup", "list_group"] {
        let members = all.ok(&format!("{name} {bob} grup1"));
        assert_eq!([&members["message"], &members["members"]], [&json!(["ann", "bob"]); 2]);
    }
    for name in ["listgroups", "list_my_groups"] {
        assert_eq!(all.ok(&format!("{name} {bob}"))["groups"], json!(["grup1"]));
    }
    all.fails(&format!("joingroup {bob} grup1"), "already_member");

    // Messages, cut anywhere, and files, in all their forms.
    let said = "halo, apa kabar? Café 日本 😀 \"\\";
    let content = "aGFsbw==";
    for (request, params) in [
        ("send", format!("bob {said}")),
        ("sendprivate", "bob dua".to_owned()),
        ("sendgroup", format!("grup1 {said}")),
        ("send_group", "grup1 empat".to_owned()),
        ("sendfile", format!("bob a.txt {content}")),
        ("sendprivatefile", format!("bob b.txt b'{content}'")),
        ("send_file", format!("bob c.txt b\"{content}\"")),
        ("sendfile", format!("bob d.txt\r\n\r\n{content}")),
        ("sendfile", format!("bob e.txt\r\n\r\nb'{content}'")),
        ("sendgroupfile", format!("grup1 f.txt {content}")),
        ("sendfilegroup", format!("grup1 g.txt b'{content}'")),
        ("send_group_file", format!("grup1 h.txt {content}")),
    ] {
        all.ok(&format!("{request} {ann} {params}"));
    }
    all.ok(&format!("upload {ann} i.txt b'{content}'"));
    all.ok(&format!("sendfile {ann} bob i.txt"));
    all.fails(&format!("sendfile {ann} eve j.txt\r\n\r\n{content}"), "no_such_user");
    all.fails(&format!("sendfile {ann} bob j.txt\r\n\r\nbukan base64"), "bad_parameters");
    all.fails(&format!("send {ann} eve halo"), "no_such_user");
    all.fails("send bukan-token bob halo", "no_session");
    let history = all.ok(&format!("history {bob} ann 5"));
    assert_eq!(history["messages"][0]["text"], said);
    assert_eq!(all.ok(&format!("get_file {bob} 5"))["data"], content);
    let text = |to: &str, text: &str| ("ann".to_owned(), to.to_owned(), text.to_owned(), None);
    let file =
        |to: &str, name: &str| ("ann".to_owned(), to.to_owned(), name.to_owned(), Some(content.to_owned()));
    let (private, of_group) =
        ([text("bob", said), text("bob", "dua")], [text("grup1", said), text("grup1", "empat")]);
    let files = ["a", "b", "c", "d", "e"].map(|name| file("bob", &format!("{name}.txt")));
    let group_files = ["f", "g", "h"].map(|name| file("grup1", &format!("{name}.txt")));
    // Messages to the group alone: the private ones before them stay, and so do they.
    for request in [format!("inboxgroup {bob} grup1"), format!("groupinbox {bob}")] {
        assert_eq!(all.inbox(&request, "bob"), [&of_group[..], &group_files].concat());
    }
    let last = [file("bob", "i.txt")];
    let whole = [&private[..], &of_group, &files, &group_files, &last].concat();
    assert_eq!(all.inbox(&format!("inbox {bob}"), "bob"), whole);
    assert_eq!(all.inbox(&format!("inbox {bob}"), "bob"), []);

    // The rest of the requests are theirs in lower case.
    all.ok(&format!("addrealm {ann} surabaya 192.0.2.7 8889 192.0.2.1 8889"));
    all.ok(&format!("add_realm {ann} malang 192.0.2.8 8889"));
    assert_eq!(all.ok(&format!("list_realms {ann}"))["realms"].as_array().unwrap().len(), 2);
    all.fails(&format!("addrealm {bob} medan 192.0.2.9 8889"), "forbidden");
    all.ok(&format!("subscribe {bob} 99"));
    all.ok(&format!("resume {bob}"));
    all.ok(&format!("ack {bob} 99"));
    all.ok("ping");
    all.ok("help ping");
    all.fails("tidak ada", "unknown_request");
    all.ok(&format!("passwd {bob} rahasia-bob rahasia-baru"));
    all.fails(&format!("inbox {other}"), "no_session");
    all.ok(&format!("logout {bob}"));
    all.fails(&format!("inbox {bob}"), "no_session");
    let Crowd { open, mut names, .. } = all;
    for mut client in open.into_iter().skip(1) {
        assert_eq!(client.ask("quit\r\n\r\n")["message"], "sampai jumpa");
        names.insert("quit".to_owned());
        client.end();
    }

    // No name was left out, and the document tells the truth of each.
    let documented = documented();
    assert_eq!(documented.len(), 23);
    for (name, meaning) in documented {
        assert!(names.contains(&name), "{name} is not played");
        let mut dialect = Dialect::default();
        let line = format!("{name} x y z");
        if !name.contains("inbox") {
            assert!(dialect.reads(line.as_bytes()) && dialect.start(line.as_bytes()));
            let canonical = dialect.next_line().expect("it stands for a request");
            assert!(canonical.starts_with(format!("{meaning} ").as_bytes()), "{name} is no {meaning}");
        }
    }
    for spec in REQUESTS {
        let name = spec.name.to_lowercase();
        assert!(names.contains(&name), "{name} is not played");
    }
}

#[test]
fn large_files_come_in_small_pieces() {
    let server = Process::start(&["--memory"]);
    let [mut ann, mut bob] = [48, 32].map(|piece| ClassicClient::connect(&server, piece));
    assert_eq!(ann.ask("register ann rahasia\r\n")["status"], "OK");
    let token = bob.ask("register bob rahasia\r\n")["token"].as_str().unwrap().to_owned();
    let (half, whole) = ("QUJD".repeat(200_000), "QUJD".repeat(240_000));
    // A connection that has logged in takes lines of 1 MiB; larger files come in parts.
    for (request, id) in [
        (format!("sendfile bob satu.txt {half}\r\n\r\n"), 1),
        (format!("sendfile bob dua.txt\r\n\r\nb'{half}'\r\n\r\n"), 2),
        (format!("upload tiga.txt {whole}\r\n"), 0),
        (format!("upload tiga.txt {whole}\r\n"), 0),
        ("sendfile bob tiga.txt\r\n".to_owned(), 3),
        ("send bob selesai\r\n".to_owned(), 4),
    ] {
        let response = ann.ask(&request);
        assert_eq!((&response["status"], response["id"].as_u64().unwrap_or(0)), (&json!("OK"), id));
    }
    // A mebibyte of files at a time; one that is larger by itself is told of.
    let first = bob.ask(&format!("inbox {token}\r\n"))["messages"]["bob"].take();
    assert_eq!(first[0]["filecontent"], half);
    assert_eq!(first.as_array().unwrap().len(), 1);
    let second = bob.ask(&format!("inbox {token}\r\n"))["messages"]["bob"].take();
    let contents: Vec<(&Value, Option<&Value>)> = second
        .as_array()
        .unwrap()
        .iter()
        .map(|message| (&message["msg"], message.get("filecontent")))
        .collect();
    assert_eq!(
        contents,
        [
            (&json!("dua.txt"), Some(&json!(half))),
            (&json!("tiga.txt"), Some(&Value::Null)),
            (&json!("selesai"), None)
        ]
    );
    assert_eq!(bob.ask("inbox\r\n")["messages"]["bob"], json!([]));
    ann.end();
    bob.end();
}
