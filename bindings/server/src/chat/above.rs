//! What goes above the line being typed: lines that stay, and below them one row that does not, for a bar.
//!
//! Only the editor knows where its line is on the screen, and it draws when it sees fit, on a thread of its own. But whenever it
//! draws, it asks how the prompt is to look, with the cursor where the prompt begins. So what goes above the prompt comes
//! as a part of it: in that moment it is known what is on the screen, and everything has one order.

use std::{
    borrow::Cow,
    io, mem,
    sync::{Arc, Mutex, MutexGuard},
};

use rustyline::{
    Helper, Result,
    completion::Completer,
    highlight::Highlighter,
    hint::Hinter,
    validate::{ValidationContext, ValidationResult, Validator},
};

/// Goes to the row above, and empties it.
const BACK: &str = "\x1b[A\x1b[2K";
/// What does not fit into its row is cut from here on,
const CUT: &str = "\x1b[?7l";
/// and goes on in the next from here on.
const WRAP: &str = "\x1b[?7h";

/// Lines and a bar on their way to the screen.
pub(super) struct Above {
    state: Mutex<State>,
    wake: Box<dyn Fn() + Send + Sync>,
}

struct State {
    write: Write,
    /// The editor has the screen; nobody else may write to it.
    editing: bool,
    /// The editor was asked to draw, and has not yet.
    woken: bool,
    /// Whole lines that are to be shown.
    lines: String,
    /// The bar as it is to be shown; none if it is empty.
    bar: String,
    /// The row above the prompt has a bar in it.
    drawn: bool,
    /// The line is complete, and stays where it is drawn next.
    submitted: bool,
}

type Write = Box<dyn FnMut(&str) -> io::Result<()> + Send>;

impl Above {
    /// While nobody edits, lines are written with `write`. `wake` has the editor draw its prompt; it may wait until that has
    /// happened the last time.
    pub(super) fn new(
        write: impl FnMut(&str) -> io::Result<()> + Send + 'static,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Above {
        let state = State {
            write: Box::new(write),
            editing: false,
            woken: false,
            lines: String::new(),
            bar: String::new(),
            drawn: false,
            submitted: false,
        };
        Above { state: Mutex::new(state), wake: Box::new(wake) }
    }

    /// Shows whole lines.
    pub(super) fn print(&self, lines: &str) -> io::Result<()> {
        let mut state = self.state();
        if !state.editing {
            return (state.write)(lines);
        }
        state.lines.push_str(lines);
        state.woken = true;
        drop(state);
        // Each time: who prints faster than the terminal shows has to wait.
        (self.wake)();
        Ok(())
    }

    /// Shows a bar in place of the last; none if it is empty.
    pub(super) fn set_bar(&self, bar: &str) {
        let mut state = self.state();
        if state.bar == bar {
            return;
        }
        bar.clone_into(&mut state.bar);
        if state.editing && !state.woken {
            state.woken = true;
            drop(state);
            (self.wake)();
        }
    }

    /// Gives the screen to the editor while it reads a line.
    pub(super) fn while_editing<T>(&self, read: impl FnOnce() -> T) -> T {
        self.state().editing = true;
        let line = read();
        let mut state = self.state();
        (state.editing, state.drawn, state.submitted) = (false, false, false);
        let lines = mem::take(&mut state.lines);
        // If the terminal is gone, the editor says so.
        let _ = (state.write)(&lines);
        line
    }

    /// What to write where the prompt begins, before it.
    fn take(&self) -> String {
        let mut state = self.state();
        state.woken = false;
        let mut text = if state.drawn { BACK.to_owned() } else { String::new() };
        text.push_str(&mem::take(&mut state.lines));
        state.drawn = !state.bar.is_empty() && !state.submitted;
        if state.drawn {
            for part in [CUT, &state.bar, WRAP, "\n"] {
                text.push_str(part);
            }
        }
        text
    }

    /// The line is complete. True if it is to be drawn once more: it takes the place of the bar, which could not be found
    /// any more below a line of any number of rows.
    fn submit(&self) -> bool {
        let mut state = self.state();
        state.submitted = true;
        state.drawn
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the state in hand")
    }
}

/// The editor's way to what goes above its line.
pub(super) struct Prompt(pub(super) Arc<Above>);

impl Highlighter for Prompt {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        (self.0.take() + prompt).into()
    }
}

impl Validator for Prompt {
    /// The line is complete. With a message, even an empty one, the editor draws it once more.
    fn validate(&self, _: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        Ok(ValidationResult::Valid(self.0.submit().then(String::new)))
    }
}

impl Completer for Prompt {
    type Candidate = String;
}

impl Hinter for Prompt {
    type Hint = String;
}

impl Helper for Prompt {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A terminal of 8 rows, and an editor that draws on it as the real one does.
    struct Terminal {
        emulator: Arc<Mutex<vt100::Parser>>,
        wakes: Arc<AtomicUsize>,
        above: Arc<Above>,
        typed: String,
    }

    impl Terminal {
        fn new() -> Terminal {
            let size = |number| std::num::NonZeroU16::new(number).unwrap();
            let emulator = Arc::new(Mutex::new(vt100::Parser::new(size(8), size(40), 0)));
            let wakes = Arc::new(AtomicUsize::new(0));
            let (screen, count) = (Arc::clone(&emulator), Arc::clone(&wakes));
            let write = move |text: &str| {
                show(&screen, text);
                Ok(())
            };
            let wake = move || {
                count.fetch_add(1, Ordering::Relaxed);
            };
            Terminal { emulator, wakes, above: Arc::new(Above::new(write, wake)), typed: String::new() }
        }

        /// Draws the line where it is.
        fn draw(&self) {
            let prompt = Prompt(Arc::clone(&self.above));
            let prompt = prompt.highlight_prompt("> ", true);
            show(&self.emulator, &format!("\r\x1b[K{prompt}{}", self.typed));
        }

        fn edit(&mut self, edit: impl FnOnce(&mut Terminal)) {
            let above = Arc::clone(&self.above);
            above.while_editing(|| {
                self.draw();
                edit(self);
                if above.submit() {
                    self.draw();
                }
                show(&self.emulator, "\n");
                self.typed.clear();
            });
        }

        #[track_caller]
        fn shows(&self, rows: &[&str]) {
            let emulator = self.emulator.lock().unwrap();
            let screen = emulator.screen().contents();
            assert_eq!(screen.lines().map(str::trim_end).collect::<Vec<_>>(), rows);
        }
    }

    /// Between program and terminal the system makes a line break of a line feed.
    fn show(emulator: &Mutex<vt100::Parser>, text: &str) {
        emulator.lock().unwrap().process(text.replace('\n', "\r\n").as_bytes());
    }

    #[test]
    fn lines_come_above_the_bar_which_stays_in_its_row() {
        Terminal::new().edit(|terminal| {
            terminal.typed.push_str("hal");
            for (bar, line) in [("[>  ]", "one\n"), ("[#> ]", ""), ("[## ]", "two\nthree\n"), ("[###]", "")] {
                terminal.above.set_bar(bar);
                terminal.above.print(line).unwrap();
                terminal.draw();
                // The editor draws when it likes.
                terminal.draw();
            }
            terminal.shows(&["one", "two", "three", "[###]", "> hal"]);
            terminal.above.set_bar("");
            terminal.above.print("sent\n").unwrap();
            terminal.draw();
            terminal.shows(&["one", "two", "three", "sent", "> hal"]);
        });
    }

    #[test]
    fn a_line_that_is_complete_takes_the_place_of_the_bar() {
        let mut terminal = Terminal::new();
        terminal.edit(|terminal| {
            terminal.above.set_bar("[>  ]");
            terminal.typed.push_str("halo");
            terminal.draw();
            terminal.shows(&["[>  ]", "> halo"]);
            // The editor is not asked to draw any more.
            terminal.above.print("in between\n").unwrap();
        });
        terminal.shows(&["in between", "> halo"]);
        terminal.above.print("one\n").unwrap();
        terminal.above.set_bar("[#> ]");
        terminal.shows(&["in between", "> halo", "one"]);
        terminal.edit(|terminal| {
            terminal.shows(&["in between", "> halo", "one", "[#> ]", ">"]);
        });
        terminal.shows(&["in between", "> halo", "one", ">"]);
    }

    #[test]
    fn what_the_editor_did_not_draw_any_more_is_written_after_its_line() {
        let mut terminal = Terminal::new();
        terminal.edit(|terminal| terminal.above.print("one\n").unwrap());
        terminal.above.print("two\n").unwrap();
        terminal.shows(&[">", "one", "two"]);
        assert_eq!(terminal.wakes.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_screen_scrolls_and_is_cleared_with_a_bar() {
        Terminal::new().edit(|terminal| {
            for number in 1..=20 {
                terminal.above.set_bar(&format!("[{number}]"));
                terminal.above.print(&format!("line {number}\n")).unwrap();
                terminal.draw();
            }
            let lines = ["line 15", "line 16", "line 17", "line 18", "line 19", "line 20"];
            terminal.shows(&[&lines[..], &["[20]", ">"]].concat());
            show(&terminal.emulator, "\x1b[H\x1b[J");
            terminal.draw();
            terminal.shows(&["[20]", ">"]);
        });
    }

    #[test]
    fn every_line_asks_the_editor_to_draw_and_a_bar_if_nothing_else_has() {
        Terminal::new().edit(|terminal| {
            let wakes = || terminal.wakes.load(Ordering::Relaxed);
            terminal.above.set_bar("[>  ]");
            terminal.above.set_bar("[#> ]");
            assert_eq!(wakes(), 1);
            terminal.draw();
            terminal.above.set_bar("[#> ]");
            assert_eq!(wakes(), 1, "it is there");
            terminal.above.set_bar("[## ]");
            assert_eq!(wakes(), 2);
            terminal.above.print("one\n").unwrap();
            terminal.above.print("two\n").unwrap();
            assert_eq!(wakes(), 4, "who prints waits for the editor");
        });
    }
}
