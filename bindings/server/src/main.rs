//! The program `obrolan`.

use std::process::ExitCode;

use clap::Parser;
use obrolan_server::{
    chat,
    cli::{Cli, Command},
    demo, serve,
};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve::run(&args),
        Command::Chat(args) => chat::run(&args),
        Command::Demo => demo::run(),
    }
}
