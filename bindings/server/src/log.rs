//! Logging: to standard error, for people.
//!
//! What a peer sent never reaches a log as it is: it could end the line and forge the next one, or carry commands to
//! the terminal it is read on. It goes through [`escaped`]:
//!
//! ```
//! # let name = "a\nb";
//! tracing::info!(user = %obrolan_server::log::escaped(name), "registered");
//! ```
//!
//! Passwords and session ids are never logged, escaped or not.

use std::{
    env, fmt,
    io::{self, IsTerminal},
};

use tracing_subscriber::EnvFilter;

use crate::config::LogFilter;

/// Sends the program's log to standard error, in color if that is a terminal and `NO_COLOR` is not set.
///
/// A second call changes nothing.
pub fn init(filter: &LogFilter) {
    // An error means that a log is set up already, by whoever embeds the server.
    let _ = tracing_subscriber::fmt()
        .compact()
        .with_ansi(may_color(&io::stderr()))
        .with_writer(io::stderr)
        .with_env_filter(EnvFilter::new(filter.as_str()))
        // It would be told of with eprintln!, which panics where standard error cannot be written: on a full disk, a
        // closed pipe. A log that is lost is no reason to stop serving.
        .log_internal_errors(false)
        .try_init();
}

/// Whether `stream` may be colored: it is a terminal, and `NO_COLOR` is not set (no-color.org).
pub(crate) fn may_color(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Shows `text` with control characters, line ends, terminal escapes, direction marks, quotes and backslashes
/// escaped, so that it stays within its line and cannot be taken for anything else.
pub fn escaped(text: &str) -> impl fmt::Display {
    text.escape_debug()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_terminal_gets_through() {
        assert_eq!(
            escaped("é\u{1b}[2J\r\n\0\u{9b}\u{202e}\u{2028}\"\\").to_string(),
            r#"é\u{1b}[2J\r\n\0\u{9b}\u{202e}\u{2028}\"\\"#
        );
    }
}
