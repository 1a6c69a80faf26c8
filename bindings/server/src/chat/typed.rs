//! What a person types, taken apart.

use crate::cli::Conversation;

/// What a typed line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Text for the current conversation.
    Text(String),
    /// Text for a user, who becomes the current conversation.
    Message(String, String),
    To(Conversation),
    Join(String),
    Create(String),
    /// A group, or the current one.
    Leave(Option<String>),
    Members(Option<String>),
    /// So many messages of the current conversation, or as many as the server thinks right.
    History(Option<u64>),
    Users,
    Groups,
    Whoami,
    /// A file, for the current conversation.
    Send(String),
    /// A file's id, and where to save it.
    Get(String, Option<String>),
    /// A request in the protocol's own form.
    Raw(String),
    Help,
    Quit,
}

pub(super) const HELP: &str = "\
/msg NAME TEXT     send a message to NAME, and talk to NAME from now on
TEXT               send TEXT to whom you talk to; for a first \"/\" type \"//\"
/to NAME           talk to a user
/to #GROUP         talk to a group
/send FILE         send a file to whom you talk to; Ctrl-C stops it
/get ID [PATH]     save a file that you were sent; Ctrl-C stops it
/join GROUP        join a group and talk to it
/group NAME        make a group and talk to it
/leave [GROUP]     leave a group
/members [GROUP]   who is in a group
/history [COUNT]   the last messages with whom you talk to, 100 at most
/groups            the groups you are in
/users             everyone on this server
/whoami            who you are
/raw REQUEST ...   send a request of the protocol, show the answer
/help              this list
/quit              the end; so are Ctrl-D and Ctrl-C";

/// Every command and what follows it.
const COMMANDS: &[(&str, &str)] = &[
    ("/msg", "NAME TEXT"),
    ("/to", "NAME or /to #GROUP"),
    ("/send", "FILE"),
    ("/get", "ID [PATH]"),
    ("/join", "GROUP"),
    ("/group", "NAME"),
    ("/leave", "[GROUP]"),
    ("/members", "[GROUP]"),
    ("/history", "or /history COUNT; COUNT is 1 to 100"),
    ("/groups", ""),
    ("/users", ""),
    ("/whoami", ""),
    ("/raw", "REQUEST ..."),
    ("/help", ""),
    ("/quit", ""),
];

impl Typed {
    /// Whether it matters who is talked to when it is done, for what it does or for what it leaves behind.
    pub(super) fn needs_conversation(&self) -> bool {
        match self {
            Typed::Text(_) | Typed::To(_) | Typed::Leave(_) | Typed::History(_) => true,
            Typed::Send(_) | Typed::Get(..) | Typed::Members(None) => true,
            // The last that the server grants is talked to in the end.
            Typed::Message(..) | Typed::Join(_) | Typed::Create(_) => false,
            Typed::Members(Some(_)) | Typed::Users | Typed::Groups | Typed::Whoami => false,
            Typed::Raw(_) | Typed::Help | Typed::Quit => false,
        }
    }

    /// Reads a line. Nothing typed is nothing asked; the error is for the person who typed.
    pub(super) fn parse(line: &str) -> Result<Option<Typed>, String> {
        let line = line.trim_matches(is_blank);
        if line.is_empty() {
            return Ok(None);
        }
        if !line.starts_with('/') || line.starts_with("//") {
            let text = line.strip_prefix('/').unwrap_or(line);
            return Ok(Some(Typed::Text(text.to_owned())));
        }
        let (command, rest) = line.split_once(is_blank).unwrap_or((line, ""));
        let rest = rest.trim_start_matches(is_blank);
        let (command, parameters) = known(command)?;
        let wrong = || match parameters {
            "" => format!("{command} stands alone"),
            _ => format!("write {command} {parameters}"),
        };
        let one = || word(rest).ok_or_else(wrong);
        let group = || one().map(|name| name.strip_prefix('#').unwrap_or(&name).to_owned());
        let optional_group = || if rest.is_empty() { Ok(None) } else { group().map(Some) };
        let alone = |typed| if rest.is_empty() { Ok(typed) } else { Err(wrong()) };
        let typed = match command {
            "/msg" => match rest.split_once(is_blank) {
                Some((to, text)) => {
                    Typed::Message(to.to_owned(), text.trim_start_matches(is_blank).to_owned())
                }
                None => return Err(wrong()),
            },
            "/to" if rest.starts_with('#') && rest.len() > 1 => Typed::To(Conversation::Group(group()?)),
            "/to" => Typed::To(Conversation::User(one()?)),
            "/send" if rest.is_empty() => return Err(wrong()),
            "/send" => Typed::Send(rest.to_owned()),
            "/get" => match rest.split_once(is_blank) {
                Some((id, path)) => {
                    Typed::Get(id.to_owned(), Some(path.trim_start_matches(is_blank).to_owned()))
                }
                None => Typed::Get(one()?, None),
            },
            "/join" => Typed::Join(group()?),
            "/group" => Typed::Create(group()?),
            "/leave" => Typed::Leave(optional_group()?),
            "/members" => Typed::Members(optional_group()?),
            "/history" if rest.is_empty() => Typed::History(None),
            "/history" => match rest.parse() {
                Ok(count @ 1..=100) => Typed::History(Some(count)),
                _ => return Err(wrong()),
            },
            "/raw" if rest.is_empty() => return Err(wrong()),
            "/raw" => Typed::Raw(rest.to_owned()),
            "/groups" => alone(Typed::Groups)?,
            "/users" => alone(Typed::Users)?,
            "/whoami" => alone(Typed::Whoami)?,
            "/help" => alone(Typed::Help)?,
            "/quit" => alone(Typed::Quit)?,
            other => unreachable!("{other} is in the list of commands"),
        };
        Ok(Some(typed))
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn word(text: &str) -> Option<String> {
    (!text.is_empty() && !text.contains(is_blank)).then(|| text.to_owned())
}

fn known(command: &str) -> Result<(&'static str, &'static str), String> {
    let lower = command.to_lowercase();
    if let Some(found) = COMMANDS.iter().find(|(name, _)| *name == lower) {
        return Ok(*found);
    }
    let closest = COMMANDS.iter().map(|(name, _)| (strsim::damerau_levenshtein(&lower, name), *name)).min();
    Err(match closest {
        Some((distance, name)) if distance * 3 <= name.len() => {
            format!("there is no {command}; did you mean {name}?")
        }
        _ => format!("there is no {command}; /help lists what there is"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Conversation {
        Conversation::User(name.to_owned())
    }

    fn group(name: &str) -> Conversation {
        Conversation::Group(name.to_owned())
    }

    #[test]
    fn every_command() {
        let s = str::to_owned;
        for (line, typed) in [
            ("hello  there ", Typed::Text(s("hello  there"))),
            ("//shrug", Typed::Text(s("/shrug"))),
            ("/msg bob  hi  there", Typed::Message(s("bob"), s("hi  there"))),
            ("/MSG bob /x", Typed::Message(s("bob"), s("/x"))),
            ("/to bob@home", Typed::To(user("bob@home"))),
            ("/to #grup1", Typed::To(group("grup1"))),
            ("/to #", Typed::To(user("#"))),
            ("/send foto kucing.jpg", Typed::Send(s("foto kucing.jpg"))),
            ("/get 17", Typed::Get(s("17"), None)),
            ("/get 17  a b.jpg ", Typed::Get(s("17"), Some(s("a b.jpg")))),
            ("/join\t#grup1", Typed::Join(s("grup1"))),
            ("/group grup1", Typed::Create(s("grup1"))),
            ("/leave", Typed::Leave(None)),
            ("/leave grup1", Typed::Leave(Some(s("grup1")))),
            ("/members", Typed::Members(None)),
            ("/history", Typed::History(None)),
            ("/history 100", Typed::History(Some(100))),
            ("/users", Typed::Users),
            ("/groups", Typed::Groups),
            ("/whoami", Typed::Whoami),
            ("/raw  SEND bob  x", Typed::Raw(s("SEND bob  x"))),
            ("/help", Typed::Help),
            ("/quit ", Typed::Quit),
        ] {
            assert_eq!(Typed::parse(line), Ok(Some(typed)), "{line}");
        }
        assert_eq!(Typed::parse(" \t"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, error) in [
            ("/msg bob", "write /msg NAME TEXT"),
            ("/send", "write /send FILE"),
            ("/get", "write /get ID [PATH]"),
            ("/join", "write /join GROUP"),
            ("/join a b", "write /join GROUP"),
            ("/raw", "write /raw REQUEST ..."),
            ("/history 0", "write /history or /history COUNT; COUNT is 1 to 100"),
            ("/history 101", "write /history or /history COUNT; COUNT is 1 to 100"),
            ("/history bob", "write /history or /history COUNT; COUNT is 1 to 100"),
            ("/users all", "/users stands alone"),
            ("/usres", "there is no /usres; did you mean /users?"),
            ("/mgs bob hi", "there is no /mgs; did you mean /msg?"),
            ("/frobnicate", "there is no /frobnicate; /help lists what there is"),
        ] {
            assert_eq!(Typed::parse(line), Err(error.to_owned()));
        }
    }

    #[test]
    fn help_names_every_command() {
        for (command, _) in COMMANDS {
            assert!(HELP.lines().any(|line| line.starts_with(command)), "{command}");
            assert_ne!(Typed::parse(&format!("{command} x y")), Ok(None), "{command} is read");
        }
    }
}
