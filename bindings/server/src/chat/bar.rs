//! How far a file is: a bar in the row above the prompt.

use std::{
    fmt, io, mem,
    sync::{Arc, Mutex, MutexGuard},
};

use anstyle::{AnsiColor, Style};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

use super::{
    above::Above,
    show::{Look, bytes},
};

/// So many times a second, at most, a bar is drawn anew.
const RATE: u8 = 10;
/// Columns of a bar: the most of which the terminal has more. A terminal that gets narrower may break longer lines in two, and
/// then one half of the bar stays behind; with few widths that seldom happens.
const WIDTHS: [u16; 5] = [118, 98, 78, 58, 38];
/// From so many columns on it says how much of the file is there,
const AMOUNT: u16 = 58;
/// and from so many how fast it goes.
const SPEED: u16 = 78;

/// Makes bars.
pub(super) struct Bars {
    above: Arc<Above>,
    columns: Columns,
    look: Look,
}

/// How many columns the terminal has.
type Columns = Arc<dyn Fn() -> u16 + Send + Sync>;

/// The bar of a file. Dropped, it is gone from the screen.
pub(super) struct Bar(ProgressBar);

impl Bars {
    pub(super) fn new(above: Arc<Above>, look: Look) -> Bars {
        // Some terminals do not know: the usual size then.
        let columns = || terminal_size::terminal_size().map_or(80, |(columns, _)| columns.0);
        Bars { above, columns: Arc::new(columns), look }
    }

    /// A bar for a file of so many bytes, of which none is there yet; 0 if nobody knows how many.
    pub(super) fn begin(&self, title: String, size: u64) -> Bar {
        let bar = self.look.styled(Style::new().fg_color(Some(AnsiColor::Cyan.into())), "{bar:14}");
        let template = format!("[{bar}] {{so_far}}{{prefix}} {{wide_msg}}");
        let columns = Arc::clone(&self.columns);
        let style = ProgressStyle::with_template(&template)
            .expect("the template is one")
            .progress_chars("#>-")
            .with_key("so_far", move |state: &ProgressState, out: &mut dyn fmt::Write| {
                // It is a String, which takes all.
                let _ = so_far(state, width(columns()).unwrap_or_default(), out);
            });
        let (above, columns) = (Arc::clone(&self.above), Arc::clone(&self.columns));
        let row = Box::new(Row { above, columns, text: Mutex::default() });
        let target = ProgressDrawTarget::term_like_with_hz(row, RATE);
        let bar = Bar(ProgressBar::with_draw_target(None, target).with_style(style).with_message(title));
        bar.advance(0, size);
        bar
    }
}

impl Bar {
    /// So many bytes are there, of so many.
    pub(super) fn advance(&self, so_far: u64, size: u64) {
        if size > 0 && self.0.length() != Some(size) {
            self.0.set_length(size);
        }
        self.0.set_position(so_far);
    }

    /// There is no connection. The bar stays, and says so.
    pub(super) fn stop(&self) {
        self.remark(", no connection");
    }

    /// There is one again. How fast it goes is measured anew.
    pub(super) fn go_on(&self) {
        self.remark("");
    }

    fn remark(&self, remark: &'static str) {
        self.0.reset_eta();
        self.0.set_prefix(remark);
        self.0.force_draw();
    }
}

/// Columns of a bar on a terminal of so many; none if that is too narrow.
fn width(columns: u16) -> Option<u16> {
    WIDTHS.into_iter().find(|width| *width < columns)
}

fn so_far(state: &ProgressState, width: u16, out: &mut dyn fmt::Write) -> fmt::Result {
    if width < AMOUNT {
        return write!(out, "{:.0}%", state.fraction() * 100.0);
    }
    write!(out, "{}", bytes(state.pos()))?;
    let Some(size) = state.len() else { return Ok(()) };
    write!(out, " of {}", bytes(size))?;
    // Less is none, or not known.
    let speed = state.per_sec();
    if speed >= 1.0 && width >= SPEED {
        write!(out, ", {}/s", bytes(speed as u64))?;
    }
    if speed >= 1.0 {
        write!(out, ", {:#} left", HumanDuration(state.eta()))?;
    }
    Ok(())
}

/// What indicatif draws on: one row, whatever it does. It is drawn by the editor.
struct Row {
    above: Arc<Above>,
    columns: Columns,
    text: Mutex<String>,
}

impl Row {
    fn text(&self) -> MutexGuard<'_, String> {
        self.text.lock().expect("nobody panics with the text in hand")
    }
}

impl TermLike for Row {
    fn width(&self) -> u16 {
        width((self.columns)()).unwrap_or(WIDTHS[WIDTHS.len() - 1])
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.text().push_str(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.text().clear();
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let text = mem::take(&mut *self.text());
        let fits = width((self.columns)()).is_some();
        self.above.set_bar(if fits { text.trim_end() } else { "" });
        Ok(())
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        borrow::Cow,
        sync::atomic::{AtomicU16, Ordering},
    };

    use rustyline::highlight::Highlighter;

    use super::{super::above::Prompt, *};

    const MIB: u64 = 1 << 20;

    /// Begins a bar on a terminal of so many columns for a file of so many bytes, and lets `watch` see its row.
    fn bar(color: bool, columns: u16, size: u64, watch: impl FnOnce(Bar, &AtomicU16, &dyn Fn() -> String)) {
        let above = Arc::new(Above::new(|_| Ok(()), || ()));
        let columns = Arc::new(AtomicU16::new(columns));
        let read = Arc::clone(&columns);
        let bars = Bars {
            above: Arc::clone(&above),
            columns: Arc::new(move || read.load(Ordering::Relaxed)),
            look: Look { plain: false, color },
        };
        let prompt = Prompt(Arc::clone(&above));
        above.while_editing(|| {
            let bar = bars.begin("foto kucing.jpg to bob".to_owned(), size);
            watch(bar, &columns, &|| {
                let text: Cow<'_, str> = prompt.highlight_prompt("", true);
                let text = text.trim_start_matches("\x1b[A\x1b[2K").trim_start_matches("\x1b[?7l");
                text.trim_end_matches("\x1b[?7h\n").to_owned()
            });
        });
    }

    #[test]
    fn a_bar_says_how_far_it_is_and_how_fast() {
        bar(false, 120, 64 * MIB, |bar, _, row| {
            assert_eq!(row(), "[--------------] 0 bytes of 64 MiB foto kucing.jpg to bob");
            bar.advance(16 * MIB, 64 * MIB);
            let text = row();
            let rest =
                text.strip_prefix("[###>----------] 16 MiB of 64 MiB, ").unwrap_or_else(|| panic!("{text}"));
            let rest = rest.strip_suffix(" left foto kucing.jpg to bob").unwrap_or_else(|| panic!("{text}"));
            assert!(rest.contains("B/s, ") && rest.ends_with('s'), "{text}");
            drop(bar);
            assert_eq!(row(), "");
        });
    }

    #[test]
    fn a_bar_without_a_connection_says_so_and_goes_on() {
        bar(false, 80, 64 * MIB, |bar, _, row| {
            bar.advance(16 * MIB, 64 * MIB);
            bar.stop();
            let stopped = "[###>----------] 16 MiB of 64 MiB, no connection foto kucing.jpg to bob";
            assert_eq!(row(), stopped);
            bar.go_on();
            assert_eq!(row(), "[###>----------] 16 MiB of 64 MiB foto kucing.jpg to bob");
            bar.advance(32 * MIB, 64 * MIB);
            assert!(row().starts_with("[#######>------] 32 MiB of 64 MiB, "), "{}", row());
            // The server has lost it.
            bar.advance(0, 64 * MIB);
            assert_eq!(row(), "[--------------] 0 bytes of 64 MiB foto kucing.jpg to bob");
        });
    }

    #[test]
    fn a_file_of_unknown_size_has_a_bar_too() {
        bar(false, 80, 0, |bar, _, row| {
            assert_eq!(row(), "[--------------] 0 bytes foto kucing.jpg to bob");
            bar.advance(512, 1024);
            assert!(row().starts_with("[#######>------] 512 bytes of 1.0 KiB"), "{}", row());
        });
    }

    #[test]
    fn a_bar_is_never_as_wide_as_the_terminal() {
        bar(false, 200, 64 * MIB, |bar, columns, row| {
            for (wide, is) in [
                (200, "[###>----------] 16 MiB of 64 MiB, no connection foto kucing.jpg to bob"),
                (79, "[###>----------] 16 MiB of 64 MiB, no connection foto kucing.jpg to bob"),
                (78, "[###>----------] 16 MiB of 64 MiB, no connection foto kuci"),
                (59, "[###>----------] 16 MiB of 64 MiB, no connection foto kuci"),
                (58, "[###>----------] 25%, no connection fo"),
                (39, "[###>----------] 25%, no connection fo"),
                (38, ""),
                (1, ""),
                (0, ""),
                (80, "[###>----------] 16 MiB of 64 MiB, no connection foto kucing.jpg to bob"),
            ] {
                columns.store(wide, Ordering::Relaxed);
                bar.advance(16 * MIB, 64 * MIB);
                bar.stop();
                assert_eq!(row(), is, "{wide}");
            }
        });
    }

    #[test]
    fn there_is_color_only_where_it_is_wanted() {
        bar(true, 80, 10, |_bar, _, row| {
            assert_eq!(row(), "[\x1b[36m--------------\x1b[0m] 0 bytes of 10 bytes foto kucing.jpg to bob");
        });
        bar(false, 80, 10, |_bar, _, row| {
            assert!(!row().contains('\x1b'), "{:?}", row());
        });
    }
}
