//! `obrolan chat`: a client for the terminal and for pipes.
//!
//! On a terminal lines can be edited and messages come in above them. Otherwise every line of standard input is a message to the
//! conversation given on the command line (or, without one, a line as it would be typed), messages come out one a
//! line as `TIME FROM TO TEXT`, a group's `TO` being `#GROUP`, and the exit code is 1 if anything was refused.

mod above;
mod bar;
mod enter;
mod show;
mod talk;
mod terminal;
#[cfg(test)]
mod tests;
mod transfers;
mod typed;

use std::io::{self, IsTerminal};

use obrolan::client::Backoff;

use self::{
    enter::{Entered, enter},
    show::{Look, escaped},
    talk::{Chat, Start},
};
use crate::cli::{ChatArgs, EXIT_FAILURE, EXIT_SUCCESS};

/// The longest pause between two attempts to connect, in milliseconds.
const LONGEST_PAUSE: u64 = 30_000;

/// Chats until the end of the input. The exit code is 0, or 1 if that did not work or something was refused. Says why on standard error.
#[must_use]
pub fn run(args: &ChatArgs) -> u8 {
    match smol::block_on(chat(args)) {
        Ok(true) => EXIT_SUCCESS,
        Ok(false) => EXIT_FAILURE,
        Err(why) => {
            eprintln!("obrolan: {why}");
            EXIT_FAILURE
        }
    }
}

async fn chat(args: &ChatArgs) -> Result<bool, String> {
    let may_ask = io::stdin().is_terminal();
    let for_people = may_ask && io::stdout().is_terminal();
    let Entered { client, connection, user } = enter(args, may_ask).await?;
    let look = Look { plain: !for_people, color: args.color && for_people };
    let (screen, input, bars) = if for_people {
        println!(
            "You are {} on {}. Times are UTC. /help lists what you can type.",
            escaped(&user),
            args.server
        );
        terminal::terminal(look).map_err(|error| format!("cannot use the terminal ({error})"))?
    } else {
        let (screen, input) =
            terminal::pipes().map_err(|error| format!("cannot read standard input ({error})"))?;
        (screen, input, None)
    };
    // Its numbers only spread the attempts of many clients; they need not be secret, or there at all.
    let seed = getrandom::u64().unwrap_or_else(|_| std::process::id().into());
    let start = Start {
        server: &args.server,
        client,
        connection,
        backoff: Backoff::new(seed, LONGEST_PAUSE),
        conversation: args.conversation.clone(),
        look,
        bars,
    };
    Chat::new(start, screen, input).run().await
}
