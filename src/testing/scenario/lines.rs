//! Lines as peers may write them: mostly requests, now and then nearly one.

use super::{
    source::Source,
    words::{
        ADDRESSES, BASE64, CLASSIC, COUNTRIES, FILENAMES, FINGERPRINTS, GROUPS, IPS, JUNK, KEYS, MORE_JUNK,
        NUMBERS, PARTNERS, PASSWORDS, REALMS, RECIPIENTS, TAGS, TEXTS, VALUES,
    },
};
use crate::{
    testing::rules::changes_one_thing,
    wire::{Kind, Param, SessionParam, Shape},
};

impl Source<'_> {
    pub(super) fn line(&mut self, out: &mut Vec<u8>) {
        let form = self.later_byte();
        let style = self.byte();
        let end: &[u8] = match style {
            0..=7 => {
                let junk = if form < 128 { JUNK } else { MORE_JUNK };
                out.extend(self.pick(junk));
                b"\n"
            }
            8..=11 => {
                let byte = self.byte();
                out.extend(std::iter::repeat_n(byte, 100 + 2 * usize::from(byte)));
                b"\n"
            }
            12..=15 => {
                let rest = self.bytes;
                let junk = &rest[..rest.len().min(usize::from(style))];
                self.bytes = &rest[junk.len()..];
                out.extend(junk);
                b"\n"
            }
            _ => {
                match form {
                    0..=111 => self.request(style, out),
                    112..=175 => self.structured(style, out),
                    176.. => self.classic(style, out),
                }
                match style {
                    16..=25 => b"",
                    26..=35 => b" x\n",
                    36..=45 => b"  \r\n",
                    46..=65 => b"\r\n\r\n",
                    _ => b"\n",
                }
            }
        };
        out.extend(end);
    }

    fn request(&mut self, style: u8, out: &mut Vec<u8>) {
        let spec = self.kind().spec();
        let space = if style % 16 == 1 { "  " } else { " " };
        // Not all in lower case: on a new connection that is the classic dialect.
        let mut line = spec.name.to_owned();
        if style % 16 == 2 {
            line[1..].make_ascii_lowercase();
        }
        if style % 8 == 3 && matches!(spec.session, SessionParam::ByForm | SessionParam::ByCount) {
            line += &format!("{space}${}", self.byte() % 4);
        }
        for param in spec.params {
            if self.is_left_out(param, style) || style % 64 == 63 {
                break;
            }
            line += space;
            line += &self.value(param);
        }
        out.extend(line.bytes());
    }

    /// The same as an object, with what only objects can say.
    fn structured(&mut self, style: u8, out: &mut Vec<u8>) {
        let spec = self.kind().spec();
        let extras = self.byte();
        let mut members = vec![format!("\"request\":\"{}\"", spec.name)];
        for param in spec.params {
            if self.is_left_out(param, style) || style % 64 == 63 {
                continue;
            }
            let value = match (self.byte(), param.shape) {
                (0..=15, _) => self.pick(VALUES).to_owned(),
                (_, Shape::Number) => self.value(param),
                _ => serde_json::Value::from(self.value(param)).to_string(),
            };
            members.push(format!("\"{}\":{value}", param.name));
        }
        if style % 8 == 3 {
            members.push(format!("\"sid\":\"${}\"", self.byte() % 4));
        }
        // Keys that are refused are rare.
        if extras & 3 != 0 && (changes_one_thing(spec.kind) || extras % 16 == 3) {
            members.push(format!("\"dedupe\":{}", self.pick(KEYS)));
        }
        if extras & 4 != 0 {
            members.push(format!("\"tag\":{}", self.pick(TAGS)));
        }
        match extras >> 3 {
            0 => members.push(format!("\"colour\":{}", self.pick(VALUES))),
            1 => members.rotate_left(1),
            2 => members.push(members[members.len() - 1].clone()),
            _ => {}
        }
        let space = if style % 16 == 1 { " " } else { "" };
        out.extend(format!("{{{space}{}}}", members.join(&format!(",{space}"))).bytes());
    }

    /// A line of a classic client: lower case, a token first, perhaps more than is asked for, and the content of a file after it.
    fn classic(&mut self, style: u8, out: &mut Vec<u8>) {
        let (name, kind) = self.pick(CLASSIC);
        let token = self.byte();
        let mut line = name.to_owned();
        if token < 180 && !matches!(kind, Kind::Auth | Kind::Resume) {
            line += &format!(" ${}", [0, 1, 2, 0, 1, 2, 0, 3][usize::from(token % 8)]);
        }
        for param in kind.spec().params {
            let cut = kind == Kind::Register && matches!(param.name, "country" | "name");
            if self.is_left_out(param, style) || cut && style & 64 != 0 || style % 64 == 63 {
                break;
            }
            let value = self.value(param);
            let wrapped = param.name == "base64" && style.is_multiple_of(2);
            line += &if wrapped { format!(" b'{value}'") } else { format!(" {value}") };
        }
        out.extend(line.bytes());
        match token % 8 {
            0 => out.extend(b" more"),
            1..=3 if kind == Kind::SendFile && style & 64 != 0 => {
                out.extend(b"\r\n\r\n");
                out.extend(self.pick(BASE64).bytes());
            }
            _ => {}
        }
    }

    /// Whether an optional parameter is not given. In format 2 most are not: few numbers mean something.
    fn is_left_out(&self, param: &Param, style: u8) -> bool {
        let rare = self.format >= 2 && param.name != "base64" && style & 128 != 0;
        param.optional && (style & 64 != 0 || rare)
    }

    fn value(&mut self, param: &Param) -> String {
        let from: &[&str] = match (param.name, param.shape) {
            ("to", _) if self.format >= 2 => RECIPIENTS,
            ("user" | "to", _) | ("after", Shape::Word) => ADDRESSES,
            ("password" | "old" | "new", _) => PASSWORDS,
            ("group", _) => GROUPS,
            ("with", _) => PARTNERS,
            ("filename", _) => FILENAMES,
            ("base64", _) => BASE64,
            ("name", Shape::Word) => REALMS,
            ("ip", _) => IPS,
            ("fingerprint", _) => FINGERPRINTS,
            ("sid", _) => return format!("${}", self.byte() % 5),
            ("request", _) => return self.kind().spec().name.to_owned(),
            ("country", _) => COUNTRIES,
            ("id", Shape::Word) => return (self.byte() % 6 + 1).to_string(),
            (_, Shape::Number) => {
                let byte = self.byte();
                return if byte < 230 { (byte % 16).to_string() } else { self.pick(NUMBERS).to_owned() };
            }
            _ => TEXTS,
        };
        self.pick(from).to_owned()
    }
}
