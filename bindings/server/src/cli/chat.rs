//! The arguments of `obrolan chat`.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, error::ErrorKind};
use obrolan::{Password, names};

use super::Cli;
use crate::{client::Url, config::Address, log};

/// What `obrolan chat` is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatArgs {
    /// The server to connect to.
    pub server: Address,
    /// Who logs in, known to be a name; if not given, there is somebody to ask.
    pub user: Option<String>,
    /// The user's password, from a file, the target's URL or the environment; if not given, there is somebody to ask.
    pub password: Option<Password>,
    /// Make the account first.
    pub register: bool,
    /// The name to show for a new account.
    pub name: Option<String>,
    /// The country of a new account.
    pub country: Option<String>,
    /// Whom lines without a command go to, from the start.
    pub conversation: Option<Conversation>,
    /// Whether standard output may be colored: it is a terminal, and nobody asked for no color.
    pub color: bool,
}

/// One to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversation {
    /// A user: `name` or `name@realm`.
    User(String),
    /// A group: `name` or `name@realm`.
    Group(String),
}

const EXAMPLES: &str = "\
Examples:
  obrolan chat --register ann@127.0.0.1
      makes the account \"ann\", then chats
  obrolan chat ann@chat.example.org:8889
      logs in as ann
  echo done | obrolan chat --to bob --password-file secret ann@[::1]
      sends bob one message

Environment:
  OBROLAN_URL       the server when none is given, e.g.
                    obrolan://ann:p%40ss@chat.example.org:8889
                    (all but the host may be missing; %40 is \"@\")
  OBROLAN_PASSWORD  the password, unless --password-file or the URL gives one
  NO_COLOR          when set, nothing is colored";

/// What stands on the command line. It may hold a password, so it has no `Debug`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
struct Options {
    /// The server, and who you are there [default: 127.0.0.1:8889]
    #[arg(value_name = "[USER@]HOST[:PORT]", env = "OBROLAN_URL", hide_env_values = true)]
    target: Option<String>,

    /// Talk to this user
    #[arg(long, value_name = "NAME", conflicts_with = "group")]
    to: Option<String>,

    /// Talk to this group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// Make the account first
    #[arg(long)]
    register: bool,

    /// The name to show for the new account
    #[arg(long, requires = "register")]
    name: Option<String>,

    /// The country of the new account
    #[arg(long, requires = "register")]
    country: Option<String>,

    /// Read the password from a file: all of it but the line end
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// Show everything in one color
    #[arg(long)]
    no_color: bool,
}

impl Options {
    fn check(self, environment: Option<&OsStr>) -> Result<ChatArgs, String> {
        let target = Target::parse(self.target.as_deref().unwrap_or(""))?;
        let password =
            match (self.password_file, target.password, environment) {
                (Some(path), _, _) => Some(password_of_file(&path)?),
                (None, Some(password), _) => Some(password),
                (None, None, Some(text)) => {
                    let password = text.to_str().and_then(Password::new);
                    Some(password.ok_or(
                        "OBROLAN_PASSWORD holds no password; set it to one, or unset it to be asked",
                    )?)
                }
                (None, None, None) => None,
            };
        let wrong = |option, most| {
            format!("{option} is too long or has control characters; it has {most} bytes at most")
        };
        if self.name.as_deref().is_some_and(|name| !names::is_full_name(name)) {
            return Err(wrong("--name", names::MAX_FULL_NAME));
        }
        if self.country.as_deref().is_some_and(|country| !names::is_country(country)) {
            return Err(wrong("--country", names::MAX_COUNTRY));
        }
        Ok(ChatArgs {
            server: target.server,
            user: target.user,
            password,
            register: self.register,
            name: self.name,
            country: self.country,
            conversation: self.to.map(Conversation::User).or(self.group.map(Conversation::Group)),
            color: !self.no_color && log::may_color(&io::stdout()),
        })
    }
}

impl Args for ChatArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        Options::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Options::augment_args_for_update(command)
    }
}

impl FromArgMatches for ChatArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<ChatArgs, clap::Error> {
        let password: Option<OsString> = env::var_os("OBROLAN_PASSWORD");
        let checked = Options::from_arg_matches(matches)?.check(password.as_deref());
        checked.map_err(|why| {
            // clap would show how to use the program, for what reads arguments does not know whose they are.
            let mut program = Cli::command();
            program.build();
            let chat = program.find_subcommand_mut("chat").expect("it is a subcommand");
            clap::Error::raw(ErrorKind::ValueValidation, why).format(chat)
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = ChatArgs::from_arg_matches(matches)?;
        Ok(())
    }
}

fn password_of_file(path: &Path) -> Result<Password, String> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read the password file {shown} ({error}); check --password-file"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Password::new(line.strip_suffix('\r').unwrap_or(line)).ok_or_else(|| {
        format!("{shown} holds no password; write it there on one line, without control characters")
    })
}

/// Where to, as whom. What is written there may hold a password, so no error repeats it.
#[derive(Debug, PartialEq)]
struct Target {
    user: Option<String>,
    password: Option<Password>,
    server: Address,
}

impl Target {
    /// Reads `[user@]host[:port]` or `obrolan://[user[:password]@]host[:port]`. Nothing at all is this machine.
    fn parse(text: &str) -> Result<Target, String> {
        if text.contains("://") {
            let Url { server, user, password } = Url::parse(text).map_err(|error| error.to_string())?;
            let user = user.map(|user| name(&user)).transpose()?;
            return Ok(Target { user, password, server });
        }
        let (who, host) = match text.rsplit_once('@') {
            Some((who, host)) => (who, host),
            None => ("", text),
        };
        let server = match host {
            "" => Address::default(),
            host => Address::parse(host).map_err(|why| {
                format!("the server \"{}\" {why}; write USER@HOST or USER@HOST:PORT", log::escaped(host))
            })?,
        };
        // What looks like a password shall not be tried, and shown, as a part of the name.
        if who.contains(':') {
            return Err(
                "the user before \"@\" contains \":\"; give a password with --password-file or \
                        OBROLAN_PASSWORD, or write obrolan://USER:PASSWORD@HOST, with a \":\" in a name as %3A"
                    .to_owned(),
            );
        }
        let user = if who.is_empty() { None } else { Some(name(who)?) };
        Ok(Target { user, password: None, server })
    }
}

fn name(user: &str) -> Result<String, String> {
    let why = "the user before \"@\" is no name; names have 1 to 64 bytes without spaces and \"@\"";
    names::key(user).map(|_| user.to_owned()).ok_or(why.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn chat(args: &[&str], password: Option<&str>) -> Result<ChatArgs, String> {
        let line = Line::try_parse_from(["chat"].iter().chain(args)).map_err(|error| error.to_string())?;
        line.options.check(password.map(OsStr::new))
    }

    fn target(text: &str) -> (Option<String>, Option<String>, String) {
        let Target { user, password, server } =
            Target::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        (user, password.map(|password| password.expose().to_owned()), server.to_string())
    }

    #[test]
    fn every_form_of_a_target() {
        for (text, user, password, server) in [
            ("", None, None, "127.0.0.1:8889"),
            ("ann@", Some("ann"), None, "127.0.0.1:8889"),
            ("chat.example.org", None, None, "chat.example.org:8889"),
            ("ann@chat.example.org:7000", Some("ann"), None, "chat.example.org:7000"),
            ("ann@[::1]:7000", Some("ann"), None, "[::1]:7000"),
            ("::1", None, None, "[::1]:8889"),
            ("obrolan://home", None, None, "home:8889"),
            ("obrolan://home:7000/", None, None, "home:7000"),
            ("obrolan://ann@home", Some("ann"), None, "home:8889"),
            ("obrolan://ann:se:c%40r%65t@[::1]:7000", Some("ann"), Some("se:c@ret"), "[::1]:7000"),
            ("obrolan://a%3Ab:%C3%A9@home", Some("a:b"), Some("é"), "home:8889"),
        ] {
            let expected = (user.map(str::to_owned), password.map(str::to_owned), server.to_owned());
            assert_eq!(target(text), expected, "{text}");
        }
    }

    #[test]
    fn errors_of_a_target_say_what_to_write_and_never_repeat_a_password() {
        for (text, error) in [
            ("https://home", "the URL does not begin with obrolan://; write obrolan://USER"),
            (
                "ann@home:99999",
                "the server \"home:99999\" has a port that is not from 0 to 65535; write USER@HOST",
            ),
            ("obrolan://", "the URL has no host; write"),
            ("obrolan://ann:hunter2@home:99999", "the URL has a port that is not from 0 to 65535"),
            ("obrolan://ann:hunter2@home:x", "the URL is not one, or has characters that no URL may have"),
            (
                "ann:hunter2@home",
                "the user before \"@\" contains \":\"; give a password with --password-file",
            ),
            ("an n@home", "the user before \"@\" is no name"),
            ("obrolan://an%20n:hunter2@home", "the user before \"@\" is no name"),
            ("obrolan://:hunter2@home", "the URL has an empty user"),
            ("obrolan://ann:@home", "the URL has a password that is none"),
            ("obrolan://ann:hunter2%@home", "the URL is not one, or has characters that no URL may have"),
            ("obrolan://ann:hunter2%+f@home", "the URL is not one, or has characters that no URL may have"),
            ("obrolan://ann:hunter2%ff@home", "the URL has a password that is none"),
        ] {
            let why = Target::parse(text).unwrap_err();
            assert!(why.starts_with(error), "{text}: {why}");
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn options() {
        let args =
            chat(&["--register", "--name", "Ann B.", "--country", "id", "--group", "g", "ann@h"], None)
                .unwrap();
        assert_eq!(
            args,
            ChatArgs {
                server: Address::parse("h").unwrap(),
                user: Some("ann".to_owned()),
                password: None,
                register: true,
                name: Some("Ann B.".to_owned()),
                country: Some("id".to_owned()),
                conversation: Some(Conversation::Group("g".to_owned())),
                color: args.color,
            }
        );
        assert_eq!(
            chat(&["--to", "bob"], None).unwrap().conversation,
            Some(Conversation::User("bob".to_owned()))
        );
        assert!(!chat(&["--no-color"], None).unwrap().color);
        assert!(chat(&["--to", "bob", "--group", "g"], None).is_err());
        assert!(chat(&["--name", "Ann"], None).is_err(), "only a new account takes a name");
        for (option, value) in [("--name", "x".repeat(257)), ("--country", "x\u{7f}".to_owned())] {
            let error = chat(&["--register", option, &value], None).unwrap_err();
            assert!(error.starts_with(&format!("{option} is too long or has control characters")), "{error}");
        }
    }

    #[test]
    fn a_password_file_comes_first_then_the_url_then_the_environment() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "of file \r\n").unwrap();
        let path = file.path().to_str().unwrap();
        let password = |args: &[&str], environment| {
            let args = chat(args, environment).unwrap();
            assert!(!format!("{args:?}").contains("of "), "{args:?}");
            args.password.map(|password| password.expose().to_owned())
        };
        let url = "obrolan://ann:of%20url@h";
        assert_eq!(password(&["--password-file", path, url], Some("of env")).as_deref(), Some("of file "));
        assert_eq!(password(&[url], Some("of env")).as_deref(), Some("of url"));
        assert_eq!(password(&["ann@h"], Some("of env")).as_deref(), Some("of env"));
        assert_eq!(password(&["ann@h"], None), None);

        fs::write(&file, "two\nlines\n").unwrap();
        let error = chat(&["--password-file", path], None).unwrap_err();
        assert!(error.contains("holds no password") && !error.contains("two"), "{error}");
        let error = chat(&["--password-file", "/none/such"], None).unwrap_err();
        assert!(error.starts_with("cannot read the password file /none/such (No such file"), "{error}");
        assert!(chat(&["ann@h"], Some("")).unwrap_err().contains("OBROLAN_PASSWORD holds no password"));
    }
}
