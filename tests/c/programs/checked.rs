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
    let programs = ["every_function.c", "every_client_function.c"];
    let calls: String = programs.map(|name| fs::read_to_string(source(name)).unwrap()).concat();
    for function in header::functions() {
        assert!(calls.contains(&format!("{function}(")), "neither of {programs:?} calls {function}");
    }
    for name in programs {
        let scratch = scratch(name);
        let (file, copy) = (source(name), scratch.join("copy"));
        let run = |mut command: Command| {
            if name == "every_client_function.c" {
                run(command.arg(&file).arg(&copy));
                assert!(fs::read(&copy).unwrap() == fs::read(&file).unwrap());
            } else {
                run(&mut command);
            }
        };
        for language in LANGUAGES {
            let program = scratch.join(format!("{language:?}"));
            build(language, &file, &program, &[]);
            run(Command::new(program));
        }
        let program = scratch.join("sanitized");
        build(Language::C11, &file, &program, SANITIZED);
        run(Command::new(program));
        run(valgrind(&scratch.join("C11")));
    }
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
