//! `obrolan serve`: from the command line to a running server, and to its end.

mod banner;
mod ready;
mod signals;

use std::{
    env,
    error::Error,
    fmt::{Display, Write as _},
    io::{self, Write as _},
    path::{self, Path},
};

use banner::{Facts, Kept, banner};
use ready::ReadyFile;

use crate::{
    cli::{EXIT_CONFIG, EXIT_FAILURE, EXIT_SUCCESS, ServeArgs},
    config::{self, Loaded, Registration, SETTINGS, ServerConfig, Storage},
    log,
    server::Claimed,
};

/// Does what `obrolan serve` was asked to do, and returns the exit code when the server has stopped.
#[must_use]
pub fn run(args: &ServeArgs) -> u8 {
    let loaded = match config::load(args.config.as_deref(), env::vars_os(), &args.flags()) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error);
            return EXIT_CONFIG;
        }
    };
    for warning in &loaded.warnings {
        complain(&format_args!("obrolan: warning: {warning}"));
    }
    let done = if args.print_config {
        print(&loaded.config.to_toml())
    } else if args.check {
        print(&report(&loaded))
    } else {
        serve(&loaded.config)
    };
    match done {
        Ok(()) => EXIT_SUCCESS,
        Err(error) => {
            complain(&format_args!("obrolan: {error}"));
            EXIT_FAILURE
        }
    }
}

fn serve(config: &ServerConfig) -> Result<(), Box<dyn Error>> {
    log::init(&config.log);
    let no_signals =
        |error| format!("cannot watch for SIGINT and SIGTERM ({error}); the system is short of resources");
    let stop = signals::stop_requested().map_err(no_signals)?;
    let claimed = Claimed::claim(config)?;
    // Not before: where another server has the address or the folder, the file is likely that one's.
    if let Some(path) = &config.ready_file {
        ReadyFile::clear(path).map_err(|error| no_ready_file(path, &error))?;
    }
    let server = claimed.load()?;
    let address = server.local_addr();
    let folder = path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
    let facts = Facts {
        address,
        kept: match config.storage {
            Storage::Memory => Kept::Memory,
            Storage::Disk => Kept::Folder { path: &folder, created: server.created() },
        },
        accounts: server.accounts(),
        registration_open: config.accounts.registration == Registration::Open,
        admins: &config.accounts.admins,
    };
    // Nobody may be reading; that is no reason not to serve.
    let _ = print(&banner(&facts));
    let _ready = match &config.ready_file {
        Some(path) => Some(ReadyFile::write(path, address).map_err(|error| no_ready_file(path, &error))?),
        None => None,
    };
    server.run(async {
        stop.await;
        tracing::info!("stopping; a second signal ends the server at once");
    })?;
    Ok(())
}

fn no_ready_file(path: &Path, error: &io::Error) -> String {
    format!(
        "cannot write the ready file {} ({error}); check ready_file, its folder and who may write there",
        path.display()
    )
}

/// What `--check` says of a configuration that is right.
fn report(loaded: &Loaded) -> String {
    let mut out = String::from("The configuration is right. In force are:\n");
    for setting in SETTINGS {
        let of_interest = matches!(setting.key, "listen" | "data" | "storage" | "accounts.registration");
        let place = match loaded.given.get(setting.key) {
            Some(place) => place,
            None if of_interest => "default",
            None => continue,
        };
        if let Some(value) = (setting.get)(&loaded.config) {
            writeln!(out, "  {} = {value}  ({place})", setting.key).expect("a String takes everything");
        }
    }
    out.push_str("All other settings have their defaults; --print-config shows them.\n");
    out
}

fn print(text: &str) -> Result<(), Box<dyn Error>> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| format!("cannot write to standard output: {error}").into())
}

/// Says what is wrong. `eprintln!` would panic where standard error is closed.
fn complain(what: &impl Display) {
    let _ = writeln!(io::stderr(), "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_says_what_would_be_used_and_where_it_comes_from() {
        let environment = [("OBROLAN_LIMITS_LINE".into(), "2 KiB".into())];
        let flags = [("listen", "[::1]:0".to_owned())];
        let loaded = config::load(None, environment.into_iter(), &flags).unwrap();
        assert_eq!(
            report(&loaded),
            r#"The configuration is right. In force are:
  listen = "[::1]:0"  (--listen)
  data = "obrolan-data"  (default)
  storage = "disk"  (default)
  accounts.registration = "open"  (default)
  limits.line = "2 KiB"  (OBROLAN_LIMITS_LINE)
All other settings have their defaults; --print-config shows them.
"#
        );
    }
}
