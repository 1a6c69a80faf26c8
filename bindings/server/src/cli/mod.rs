//! The command line of `obrolan`.
//!
//! Exit codes: 0 all went well, 1 it failed while running, 2 the command line is wrong, 78 the configuration is.

mod chat;

use std::{ffi::OsString, path::PathBuf};

use clap::{Arg, ArgMatches, Args, FromArgMatches, Parser, Subcommand};

pub use chat::{ChatArgs, Conversation};

use crate::{
    config::{SETTINGS, Setting},
    demo, serve,
};

/// The exit code when all went well.
pub const EXIT_SUCCESS: u8 = 0;

/// The exit code of what failed while running.
pub const EXIT_FAILURE: u8 = 1;

/// The exit code of a wrong configuration: `EX_CONFIG` of sysexits.h.
pub const EXIT_CONFIG: u8 = 78;

/// Does what a command line says, and returns the exit code. Its first word is the program's own name.
#[must_use]
pub fn run(command_line: impl IntoIterator<Item = OsString>) -> u8 {
    match Cli::try_parse_from(command_line) {
        Ok(cli) => match cli.command {
            Command::Serve(args) => serve::run(&args),
            Command::Chat(args) => crate::chat::run(&args),
            Command::Demo => demo::run(),
        },
        Err(told) => {
            // Nobody may be reading the help, or what is wrong.
            let _ = told.print();
            told.exit_code() as u8
        }
    }
}

const EXAMPLES: &str = "\
Start here:
  obrolan demo                             see two people chat, in one second
  obrolan serve                            run a server for this machine alone
  obrolan chat --register ann@127.0.0.1    make an account there and chat

\"obrolan COMMAND --help\" says more.
Exit codes: 0 success, 1 failure, 2 wrong usage, 78 wrong configuration.";

/// Chat: a server, a client for the terminal, and a demonstration.
#[derive(Debug, Parser)]
#[command(
    name = "obrolan",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = EXAMPLES
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a server
    Serve(ServeArgs),
    /// Chat on a server, in this terminal or through a pipe
    Chat(ChatArgs),
    /// Show two people chatting over a server in memory, with what is sent and answered
    Demo,
}

const SERVE_EXAMPLES: &str = "\
Examples:
  obrolan serve
      for this machine alone; everything is kept in ./obrolan-data
  obrolan serve --listen 0.0.0.0:8889
      for everyone on the networks of this machine
  obrolan serve --memory --listen 127.0.0.1:0 --ready-file ready
      for tests: keeps nothing, takes any free port and writes it to ./ready
  obrolan serve --print-config > obrolan.toml
      writes a configuration file to change; then
  obrolan serve --config obrolan.toml --check
      says whether it is right

Each setting is a key of the file, an environment variable and a flag:
limits.line is OBROLAN_LIMITS_LINE and --limits-line. A flag wins over the
environment, and that over the file. No file is read unless you name it.";

/// The arguments of `obrolan serve`.
#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub struct ServeArgs {
    /// The configuration file to read, in TOML
    #[arg(long, value_name = "FILE", env = "OBROLAN_CONFIG")]
    pub config: Option<PathBuf>,

    /// Say what would be used, and whether it is right, and do nothing
    #[arg(long, conflicts_with = "print_config")]
    pub check: bool,

    /// Print the whole configuration in force as a commented file that --config can read, and do nothing
    #[arg(long)]
    pub print_config: bool,

    /// Keep nothing on disk: short for --storage memory
    #[arg(long, conflicts_with_all = ["data", "storage"])]
    memory: bool,

    #[command(flatten)]
    settings: SettingFlags,
}

impl ServeArgs {
    /// The settings given as flags: each one's key, and its value as it stands there.
    #[must_use]
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let memory = self.memory.then(|| ("storage", "memory".to_owned()));
        self.settings.0.iter().cloned().chain(memory).collect()
    }
}

/// A flag for every setting. clap only finds them; what they mean is for the configuration to say, as it does for
/// values from elsewhere.
#[derive(Debug)]
struct SettingFlags(Vec<(&'static str, String)>);

impl Args for SettingFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(SETTINGS.iter().map(flag))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        SettingFlags::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<SettingFlags, clap::Error> {
        let given = |setting: &Setting| Some((setting.key, matches.get_one::<String>(setting.key)?.clone()));
        Ok(SettingFlags(SETTINGS.iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = SettingFlags::from_arg_matches(matches)?;
        Ok(())
    }
}

fn flag(setting: &Setting) -> Arg {
    let default = setting.default().map(|default| format!(" [default: {default}]")).unwrap_or_default();
    let paragraphs: Vec<String> = setting.help.split("\n\n").map(joined).collect();
    let heading = match setting.section() {
        "" => "Settings".to_owned(),
        section => format!("Settings of [{section}]"),
    };
    Arg::new(setting.key)
        .long(setting.flag())
        .value_name(setting.form)
        .help_heading(heading)
        .help(format!("{}{default}", paragraphs[0].trim_end_matches('.')))
        .long_help(format!("{}{default} [env: {}]", paragraphs.join("\n\n"), setting.env()))
}

/// A paragraph on one line, for clap to wrap.
fn joined(paragraph: &str) -> String {
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    fn serve(args: &[&str]) -> Result<ServeArgs, clap::Error> {
        match Cli::try_parse_from(["obrolan", "serve"].iter().chain(args))?.command {
            Command::Serve(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn alone_it_shows_help_and_fails_as_wrong_usage() {
        let error = Cli::try_parse_from(["obrolan"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
        assert_eq!(error.exit_code(), 2);
        let help = error.to_string();
        for command in ["obrolan demo", "obrolan serve", "obrolan chat --register"] {
            assert!(help.contains(command), "{help}");
        }
    }

    #[test]
    fn every_setting_is_a_flag_with_help() {
        let args = serve(&["--listen", "[::1]:0", "--limits-session-idle=1h", "--memory"]).unwrap();
        let flags: Vec<_> = args.flags();
        let flags: Vec<_> = flags.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert_eq!(flags, [("listen", "[::1]:0"), ("limits.session_idle", "1h"), ("storage", "memory")]);

        let help = serve(&["--help"]).unwrap_err().to_string();
        for setting in SETTINGS {
            assert!(help.contains(&format!("--{} <{}>", setting.flag(), setting.form)), "{}", setting.key);
            assert!(help.contains(&setting.env()), "{}", setting.key);
        }
    }

    #[test]
    fn what_contradicts_itself_or_is_unknown_is_wrong_usage() {
        for args in [
            &["--memory", "--data", "d"][..],
            &["--memory", "--storage", "disk"],
            &["--check", "--print-config"],
            &["--listne", "x"],
            &["surplus"],
        ] {
            assert_eq!(serve(args).unwrap_err().exit_code(), 2, "{args:?}");
        }
        assert!(serve(&["--listne", "x"]).unwrap_err().to_string().contains("'--listen'"));
    }
}
