//! The library installed as its users have it, and C programs built with it.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output},
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

use crate::client::PATIENCE;

/// The repository's folder.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A folder of this test run, empty at first.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c").join(name);
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).unwrap();
    scratch
}

/// Where the library is installed that cargo has built for the tests; OBROLAN_C_BUILT names the folder of another build.
pub(crate) fn prefix() -> &'static Path {
    static PREFIX: LazyLock<PathBuf> = LazyLock::new(|| {
        let prefix = scratch("prefix");
        let own = || env::current_exe().unwrap().parent().unwrap().to_owned();
        let built = env::var_os("OBROLAN_C_BUILT").map_or_else(own, PathBuf::from);
        run(Command::new(repository().join("tests/install-c")).arg("--built").arg(built).arg(&prefix));
        prefix
    });
    &PREFIX
}

/// What pkg-config tells of a library that is installed there.
pub(crate) fn pkg_config(prefix: &Path, args: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")).args(args).arg("obrolan");
    let told = run(&mut command);
    told.split_whitespace().map(str::to_owned).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    C11,
    Cpp17,
}

pub(crate) const LANGUAGES: [Language; 2] = [Language::C11, Language::Cpp17];

/// A compiler that takes a warning for an error, and the flags that a user would give it.
pub(crate) fn compiler(language: Language) -> Command {
    let (command, flags): (_, &[_]) = match language {
        Language::C11 => ("cc", &["-std=c11"]),
        Language::Cpp17 => ("c++", &["-x", "c++", "-std=c++17"]),
    };
    let mut command = Command::new(command);
    command.args(flags).args(["-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    command
}

/// Builds a program from a source file, to be run from where it is built.
pub(crate) fn build(language: Language, source: &Path, program: &Path, flags: &[&str]) {
    let mut compiler = compiler(language);
    compiler.args(flags).arg("-o").arg(program).arg(source);
    if language == Language::Cpp17 {
        // What follows are libraries, not sources.
        compiler.args(["-x", "none"]);
    }
    compiler.args(pkg_config(prefix(), &["--cflags", "--libs"]));
    compiler.arg(format!("-Wl,-rpath,{}", prefix().join("lib").display()));
    run(&mut compiler);
}

/// Flags for a program that ends with an error when it, or the library on its behalf, uses memory wrongly or leaves some behind.
pub(crate) const SANITIZED: &[&str] = &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

/// A command that runs a program under valgrind, which makes it fail for the same.
pub(crate) fn valgrind(program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--leak-check=full", "--errors-for-leak-kinds=all", "--show-leak-kinds=all"]);
    let known = format!("--suppressions={}", repository().join("tests/c/valgrind.supp").display());
    // So many frames that what is known is seen in them.
    command.args([&known, "--num-callers=50", "--error-exitcode=99"]).arg(program);
    command
}

/// Runs a command that has to succeed, and returns what it wrote to standard output.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?} ended with {}:\n{}", output.status, said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!("{:?} does not start ({error}); tests/run installs what is missing", command.get_program())
    })
}

/// Sends a process SIGTERM.
#[track_caller]
pub(crate) fn terminate(child: &Child) {
    let kill = Command::new("sh").arg("-c").arg(format!("kill -TERM {}", child.id())).status();
    assert!(kill.unwrap().success(), "the process was gone before SIGTERM");
}

/// Waits until a process has ended by itself.
#[track_caller]
pub(crate) fn ended(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "the process does not end");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a command wrote.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The files of a folder that end like this, by name.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension() == Some(OsStr::new(extension))).collect();
    files.sort();
    files
}
