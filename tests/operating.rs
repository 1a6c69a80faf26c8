//! docs/operating.md shows the configuration as the program prints it.
//!
//! `UPDATE_DOCS=1 cargo test -p obrolan-server --test operating` writes it anew.

use std::{env, fs};

use obrolan_server::config::ServerConfig;

#[test]
fn the_configuration_is_as_the_program_prints_it() {
    const OPERATING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
    const BEGIN: &str = "<!-- configuration: begin -->\n";
    const END: &str = "<!-- configuration: end -->\n";
    let text = fs::read_to_string(OPERATING).expect("docs/operating.md can be read");
    let (before, rest) = text.split_once(BEGIN).expect("the configuration has a beginning");
    let (shown, after) = rest.split_once(END).expect("the configuration has an end");
    let printed = format!("\n```toml\n{}```\n\n", ServerConfig::default().to_toml());
    if shown != printed && env::var_os("UPDATE_DOCS").is_some() {
        fs::write(OPERATING, [before, BEGIN, &printed, END, after].concat()).unwrap();
    } else {
        assert!(
            shown == printed,
            "it is behind; run UPDATE_DOCS=1 cargo test -p obrolan-server --test operating"
        );
    }
}
