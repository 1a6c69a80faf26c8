//! docs/embedding-c.md: its programs are compiled, its commands run, and its excerpts are of programs that other tests run.

use std::{fs, path::Path, process::Command};

use crate::c::{files, prefix, repository, run, scratch};

/// A block of the page.
pub(crate) struct Block {
    line: usize,
    pub(crate) language: String,
    pub(crate) text: String,
    /// What stands before it.
    before: String,
}

pub(crate) fn blocks() -> Vec<Block> {
    let page = fs::read_to_string(repository().join("docs/embedding-c.md")).unwrap();
    let (mut blocks, mut before): (Vec<Block>, _) = (Vec::new(), String::new());
    let mut lines = (1..).zip(page.lines());
    while let Some((line, text)) = lines.next() {
        let Some(language) = text.strip_prefix("```") else {
            before += text;
            continue;
        };
        let inside = lines.by_ref().map(|(_, text)| text).take_while(|text| *text != "```");
        let text = inside.map(|text| format!("{text}\n")).collect();
        blocks.push(Block { line, language: language.to_owned(), text, before: std::mem::take(&mut before) });
    }
    blocks
}

#[test]
fn the_programs_do_what_the_page_says() {
    let folder = scratch("embedding");
    let lib = prefix().join("lib");
    let mut printed = String::new();
    let mut shown = 0;
    for Block { line, language, text, before } in blocks() {
        match &*language {
            "c" if text.contains("int main(") => {
                // Its name stands last before it.
                let name = before
                    .rsplit('`')
                    .nth(1)
                    .unwrap_or_else(|| panic!("the program in line {line} has no name"));
                fs::write(folder.join(name), text).unwrap();
            }
            "cmake" => fs::write(folder.join("CMakeLists.txt"), text).unwrap(),
            // The library is installed, elsewhere.
            "sh" if text == "tests/install-c /usr/local\n" => {}
            "sh" => {
                let mut sh = Command::new("sh");
                sh.args(["-e", "-c", &text]).current_dir(&folder);
                sh.env("PKG_CONFIG_PATH", lib.join("pkgconfig")).env("LD_LIBRARY_PATH", &lib);
                printed = run(sh.env("CMAKE_PREFIX_PATH", prefix()));
            }
            "text" => {
                let came = printed.replace("\r\n\r\n", "\n");
                assert_eq!(came, text, "what the commands before line {line} print");
                shown += 1;
            }
            _ => {}
        }
    }
    assert_eq!(shown, 1);
    let hello = run(Command::new(folder.join("hello")).env("LD_LIBRARY_PATH", lib));
    assert!(printed.ends_with(&hello), "what CMake has built prints something else");
}

#[test]
fn the_excerpts_are_of_programs_that_are_run() {
    let whole = |path: &Path| without_indent(&fs::read_to_string(path).unwrap());
    let examples = repository().join("tests/c/examples");
    let mut sources: Vec<_> = [files(&examples, "c"), files(&examples, "h")].concat();
    sources.extend(files(&repository().join("tests/c/checked"), "c"));
    let sources: Vec<String> = sources.iter().map(|path| whole(path)).collect();
    let mut found = 0;
    for Block { line, language, text, .. } in blocks() {
        if language == "c" && !text.contains("int main(") {
            let excerpt = without_indent(&text);
            assert!(
                sources.iter().any(|source| source.contains(&excerpt)),
                "line {line} is in no program:\n{text}"
            );
            found += 1;
        }
    }
    assert!(found >= 10, "only {found} excerpts were found");
}

fn without_indent(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_start())).collect()
}
