//! What tests/install-c lays out, and that programs find it.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    os::unix,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    c::{LANGUAGES, Language, build, compiler, output, pkg_config, prefix, repository, run, said, scratch},
    header,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Says with which versions it was compiled and runs.
const PROGRAM: &str = r#"
#include <obrolan.h>
#include <stdio.h>

int main(void) {
    printf("%s %d %s\n", OBROLAN_VERSION, OBROLAN_VERSION_NUMBER, obrolan_version());
    return obrolan_has("engine") ? 0 : 1;
}
"#;

fn says() -> String {
    let numbers: Vec<u32> = VERSION.split('.').map(|number| number.parse().unwrap()).collect();
    let number = numbers[0] * 1_000_000 + numbers[1] * 1000 + numbers[2];
    format!("{VERSION} {number} {VERSION}\n")
}

fn program(folder: &Path) -> PathBuf {
    let source = folder.join("main.c");
    fs::write(&source, PROGRAM).unwrap();
    source
}

/// The values of a kind in a file's dynamic section.
fn dynamic(file: &Path, kind: &str) -> Vec<String> {
    let told = run(Command::new("readelf").arg("--dynamic").arg(file));
    let lines = told.lines().filter(|line| line.contains(&format!("({kind})")));
    lines.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())).collect()
}

#[test]
fn the_shared_library_has_its_name_and_needs_the_system_alone() {
    let lib = prefix().join("lib");
    let major = VERSION.split('.').next().unwrap();
    let links = ["libobrolan.so".to_owned(), format!("libobrolan.so.{major}")];
    let file = lib.join(format!("libobrolan.so.{VERSION}"));
    assert!(file.symlink_metadata().unwrap().is_file());
    assert_eq!(fs::read_link(lib.join(&links[0])).unwrap(), Path::new(&links[1]));
    assert_eq!(lib.join(&links[1]).canonicalize().unwrap(), file);
    assert_eq!(dynamic(&file, "SONAME"), [links[1].clone()]);
    let system = ["libc.so", "libgcc_s.so", "libm.so", "ld-linux"];
    for needed in dynamic(&file, "NEEDED") {
        assert!(system.iter().any(|name| needed.starts_with(name)), "it needs {needed}");
    }
}

#[test]
fn the_symbols_are_the_functions_of_the_header() {
    let library = prefix().join("lib/libobrolan.so");
    let told = run(Command::new("nm").args(["--dynamic", "--defined-only", "--format=posix"]).arg(library));
    let symbols: BTreeSet<_> = told.lines().filter_map(|line| line.split(' ').next()).collect();
    let functions = header::functions();
    assert_eq!(symbols, functions.iter().map(String::as_str).collect());
}

#[test]
fn all_tell_the_same_version() {
    assert_eq!(pkg_config(prefix(), &["--modversion"]), [VERSION]);
    let cmake = prefix().join("lib/cmake/obrolan/obrolanConfigVersion.cmake");
    assert!(fs::read_to_string(cmake).unwrap().contains(&format!("set(PACKAGE_VERSION \"{VERSION}\")")));
    let scratch = scratch("version");
    for language in LANGUAGES {
        let built = scratch.join(format!("{language:?}"));
        build(language, &program(&scratch), &built, &[]);
        assert_eq!(run(&mut Command::new(&built)), says(), "in {language:?}");
        assert_eq!(dynamic(&built, "NEEDED").iter().filter(|name| name.starts_with("libobrolan")).count(), 1);
    }
}

#[test]
fn a_static_program_needs_no_library_of_ours() {
    let scratch = scratch("static");
    // As it is found where the shared library is not installed.
    let (from, lib) = (prefix().join("lib"), scratch.join("lib"));
    fs::create_dir_all(lib.join("pkgconfig")).unwrap();
    unix::fs::symlink(from.join("libobrolan.a"), lib.join("libobrolan.a")).unwrap();
    fs::copy(from.join("pkgconfig/obrolan.pc"), lib.join("pkgconfig/obrolan.pc")).unwrap();
    unix::fs::symlink(prefix().join("include"), scratch.join("include")).unwrap();
    let built = scratch.join("main");
    let mut compiler = compiler(Language::C11);
    compiler.arg("-o").arg(&built).arg(program(&scratch));
    run(compiler.args(pkg_config(&scratch, &["--static", "--cflags", "--libs"])));
    assert_eq!(run(&mut Command::new(&built)), says());
    let needed = dynamic(&built, "NEEDED");
    assert!(needed.iter().all(|name| !name.starts_with("libobrolan")), "it needs {needed:?}");
}

#[test]
fn cmake_finds_both_libraries_and_no_newer_version() {
    let scratch = scratch("cmake");
    program(&scratch);
    let lists = |version: &str| {
        format!(
            "cmake_minimum_required(VERSION 3.16)
project(program C)
find_package(obrolan {version} REQUIRED)
foreach(kind obrolan static)
  add_executable(${{kind}} main.c)
  target_link_libraries(${{kind}} PRIVATE obrolan::${{kind}})
endforeach()
"
        )
    };
    let configure = |version: &str| {
        fs::write(scratch.join("CMakeLists.txt"), lists(version)).unwrap();
        let build = scratch.join(format!("build-{version}"));
        let mut cmake = Command::new("cmake");
        cmake.arg("-S").arg(&scratch).arg("-B").arg(&build);
        cmake.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display()));
        (output(&mut cmake), build)
    };
    for (major, minor) in [(0, 2), (1, 0)] {
        let (refused, _) = configure(&format!("{major}.{minor}"));
        assert!(!refused.status.success() && said(&refused).contains("version: 0.1.0"), "{}", said(&refused));
    }
    let (configured, build) = configure(VERSION);
    assert!(configured.status.success(), "{}", said(&configured));
    run(Command::new("cmake").arg("--build").arg(&build));
    for (kind, shared) in [("obrolan", 1), ("static", 0)] {
        let built = build.join(kind);
        assert_eq!(run(&mut Command::new(&built)), says());
        let needed = dynamic(&built, "NEEDED");
        assert_eq!(needed.iter().filter(|name| name.starts_with("libobrolan")).count(), shared, "{needed:?}");
    }
}

#[test]
fn install_c_says_how_it_is_used() {
    let install = repository().join("tests/install-c");
    for args in [&[][..], &["--help"], &["one", "two"], &["--built"]] {
        let refused = output(Command::new(&install).args(args));
        assert_eq!(refused.status.code(), Some(2), "{args:?}");
        assert!(said(&refused).contains("usage: tests/install-c"));
    }
    let empty = scratch("empty");
    let refused = output(Command::new(&install).arg("--built").arg(&empty).arg(empty.join("prefix")));
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("leave out --built to have it made"), "{}", said(&refused));
}

/// What the header says of the defaults in a struct, as checks of a variable in C.
fn defaults(variable: &str, of: &str) -> String {
    let text = header::text();
    let (fields, _) = text.split_once(&format!("}} {of};")).expect("the struct ends");
    let (_, fields) = fields.rsplit_once("size_t size;").expect("and begins with its size");
    let (mut checks, mut comment) = (String::new(), String::new());
    for line in fields.lines() {
        let line = line.trim();
        let Some(field) = line.strip_suffix(';').and_then(|field| field.rsplit([' ', '*']).next()) else {
            comment += line.trim_matches(['/', '*', ' ']);
            comment += " ";
            continue;
        };
        let default = comment.split_once("Default: ").and_then(|(_, text)| text.trim().strip_suffix('.'));
        let check = match default {
            Some(text) if text.starts_with('"') => format!("!strcmp({variable}.{field}, {text})"),
            Some(number) => format!("{variable}.{field} == {number}"),
            None => format!("{variable}.{field} == NULL"),
        };
        writeln!(checks, "    CHECK({check});").unwrap();
        comment.clear();
    }
    checks
}

/// What the header says of defaults and of layouts, compiled.
#[test]
fn the_header_says_what_is_so() {
    let checks = defaults("config", "obrolan_config") + &defaults("options", "obrolan_client_options");
    assert!(checks.lines().count() > 34, "the header's defaults were not found:\n{checks}");
    let source = format!(
        r#"
#include <obrolan.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#define CHECK(it) if (!(it)) {{ puts(#it); wrong = 1; }}

int main(void) {{
    int wrong = 0;
    obrolan_config config;
    memset(&config, 0xff, sizeof config);
    if (obrolan_config_default(&config, sizeof config) != OBROLAN_OK) return 2;
    CHECK(config.size == sizeof config);
    obrolan_client_options options;
    memset(&options, 0xff, sizeof options);
    if (obrolan_client_options_default(&options, sizeof options) != OBROLAN_OK) return 2;
    CHECK(options.size == sizeof options);
{checks}
    CHECK(sizeof(obrolan_slice) == sizeof(struct iovec));
    CHECK(offsetof(obrolan_slice, data) == offsetof(struct iovec, iov_base));
    CHECK(offsetof(obrolan_slice, len) == offsetof(struct iovec, iov_len));
    CHECK(sizeof(obrolan_result) == sizeof(int) && sizeof(obrolan_output_type) == sizeof(int));
    return wrong;
}}
"#
    );
    let scratch = scratch("says");
    fs::write(scratch.join("main.c"), source).unwrap();
    for language in LANGUAGES {
        let built = scratch.join(format!("{language:?}"));
        build(language, &scratch.join("main.c"), &built, &[]);
        assert_eq!(run(&mut Command::new(&built)), "");
    }
}
