//! What include/obrolan.h declares.

// Every test file includes this module and uses a part of it.
#![allow(dead_code)]

use std::{collections::BTreeSet, fs, path::Path};

/// The header's text.
pub(crate) fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../include/obrolan.h");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of its functions.
pub(crate) fn functions() -> BTreeSet<String> {
    let text = text();
    // What follows a comment goes on to the beginning of the next one.
    let code = text.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code));
    let words = code.flat_map(|code| code.split_inclusive([' ', '*', '(', '\n']));
    let called = words.filter_map(|word| word.strip_suffix('('));
    // What ends in a bracket is the type of a pointer to a function.
    let functions: BTreeSet<String> = called
        .filter(|name| name.starts_with("obrolan_") && !name.ends_with(')'))
        .map(str::to_owned)
        .collect();
    assert!(!functions.is_empty(), "the header declares no function");
    functions
}

/// The names of its enumerators that begin like this.
pub(crate) fn names_like(prefix: &str) -> BTreeSet<String> {
    let text = text();
    let lines = text.lines().filter_map(|line| line.trim().split_once(" = "));
    lines.map(|(name, _)| name.to_owned()).filter(|name| name.starts_with(prefix)).collect()
}
