//! The program `obrolan`.

use std::{env, process::ExitCode};

use obrolan_server::cli;

fn main() -> ExitCode {
    cli::run(env::args_os()).into()
}
