//! include/obrolan.h against the library: it is written from the sources of bindings/c, and kept in the repository.
//!
//! `UPDATE_HEADER=1 cargo test -p obrolan-c --test header` writes it anew.

use std::{env, fs, path::Path};

/// The sections of the header, in order, each written from a source file. A type has to come before what names it.
const SECTIONS: [&str; 17] = [
    "version",
    "result",
    "code",
    "response",
    "event",
    "client/options",
    "client",
    "client/requests",
    "client/files",
    "client/parts",
    "server",
    "config",
    "output",
    "answer",
    "engine",
    "recovery",
    "passwords",
];

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn the_header_is_of_the_sources() {
    let path = repository().join("include/obrolan.h");
    let header = header();
    let kept = fs::read_to_string(&path).unwrap_or_default();
    if kept != header && env::var_os("UPDATE_HEADER").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &header).unwrap();
    } else {
        assert!(
            kept == header,
            "include/obrolan.h is behind; run UPDATE_HEADER=1 cargo test -p obrolan-c --test header"
        );
    }
}

fn header() -> String {
    let [major, minor, patch] =
        env!("CARGO_PKG_VERSION").split('.').map(|number| number.parse::<u32>().unwrap()).collect::<Vec<_>>()
            [..]
    else {
        panic!("a version has three numbers");
    };
    let mut header = comment(&about("lib"));
    header += &format!(
        "
#ifndef OBROLAN_H
#define OBROLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of this header, as a text and as a number that grows: 0.1.0 is 1000, 1.2.3 is 1002003. */
#define OBROLAN_VERSION \"{major}.{minor}.{patch}\"
#define OBROLAN_VERSION_NUMBER {}

#ifdef __cplusplus
extern \"C\" {{
#endif
",
        major * 1_000_000 + minor * 1000 + patch
    );
    for section in SECTIONS {
        header += "\n\n";
        header += &comment(&about(section));
        header += "\n";
        header += &declarations(section);
    }
    header += "
#ifdef __cplusplus
}
#endif

#endif
";
    header
}

fn source(module: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/{module}.rs"));
    fs::read_to_string(path).unwrap()
}

/// What a source file says of itself.
fn about(module: &str) -> Vec<String> {
    let source = source(module);
    let about = source.lines().map_while(|line| line.strip_prefix("//!"));
    about.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned()).collect()
}

fn comment(lines: &[String]) -> String {
    let mut comment = String::from("/*\n");
    for line in lines {
        comment += format!(" * {line}").trim_end();
        comment += "\n";
    }
    comment + " */\n"
}

fn declarations(module: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).unwrap();
    let source = folder.join(format!("src/{module}.rs"));
    let bindings = cbindgen::Builder::new().with_config(config).with_src(source).generate().unwrap();
    let mut written = Vec::new();
    bindings.write(&mut written);
    tidied(&String::from_utf8(written).unwrap())
}

/// Comments of one line on one line, and no empty line at the end of a comment.
fn tidied(written: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in written.lines() {
        if line.trim() == "*/" {
            while lines.last().is_some_and(|line| line.trim() == "*") {
                lines.pop();
            }
            if let [.., begin, text] = &lines[..]
                && begin.trim() == "/**"
                && let Some(text) = text.trim().strip_prefix("* ")
            {
                let whole = format!("{begin} {text} */");
                lines.truncate(lines.len() - 2);
                lines.push(whole);
                continue;
            }
        }
        lines.push(line.to_owned());
    }
    lines.join("\n").trim_start().to_owned() + "\n"
}
