//! The programs of tests/c/checked, under a sanitizer and under valgrind.

use std::{fs, path::PathBuf, process::Command};

use crate::{
    c::{LANGUAGES, Language, SANITIZED, build, output, repository, run, said, scratch, valgrind},
    header,
};

fn source(name: &str) -> PathBuf {
    repository().join("tests/c/checked").join(name)
}

#[test]
fn every_function_is_called_from_c() {
    let calls = fs::read_to_string(source("every_function.c")).unwrap();
    for function in header::functions() {
        assert!(calls.contains(&format!("{function}(")), "every_function.c does not call {function}");
    }
    let scratch = scratch("every_function");
    for language in LANGUAGES {
        let program = scratch.join(format!("{language:?}"));
        build(language, &source("every_function.c"), &program, &[]);
        run(&mut Command::new(program));
    }
    let program = scratch.join("sanitized");
    build(Language::C11, &source("every_function.c"), &program, SANITIZED);
    run(&mut Command::new(program));
    run(&mut valgrind(&scratch.join("C11")));
}

/// A checker that sees nothing would find every program right.
#[test]
fn the_checkers_see_what_is_wrong() {
    let scratch = scratch("wrong");
    let (plain, sanitized) = (scratch.join("plain"), scratch.join("sanitized"));
    build(Language::C11, &source("wrong.c"), &plain, &[]);
    build(Language::C11, &source("wrong.c"), &sanitized, SANITIZED);
    let seen = |mut command: Command, what: &str, as_what: &str| {
        let output = output(command.arg(what));
        assert!(!output.status.success() && said(&output).contains(as_what), "{what}: {}", said(&output));
    };
    run(&mut Command::new(&plain));
    run(&mut Command::new(&sanitized));
    run(&mut valgrind(&plain));
    seen(Command::new(&sanitized), "lent", "AddressSanitizer: heap-use-after-free");
    seen(Command::new(&sanitized), "overflow", "signed integer overflow");
    seen(valgrind(&plain), "lent", "Invalid read");
    seen(valgrind(&plain), "leak", "obrolan_engine_new");
}
