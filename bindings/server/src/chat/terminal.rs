//! Lines in, text out: a terminal, or pipes.

use std::{
    io::{self, BufRead, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use rustyline::{
    Cmd, ColorMode, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler,
    ExternalPrinter, KeyEvent, RepeatCount, error::ReadlineError, history::DefaultHistory,
};
use signal_hook::{consts::SIGINT, low_level};
use smol::{
    Timer,
    channel::{Receiver, Sender, bounded},
    future,
};

use super::{
    above::{Above, Prompt},
    bar::Bars,
    show::Look,
};

/// How long a line waits for what follows from it before the next can be typed.
const SETTLE: Duration = Duration::from_millis(200);
/// What the printer is given: a text that changes nothing, with the line end that each has to have.
const NOTHING: &str = "\x1b[A\n";

/// Lines from standard input, read on a thread of their own.
pub(super) struct Input {
    /// What was typed, or what is wrong with it. The end of the channel is the end of the input.
    lines: Receiver<Result<String, String>>,
    /// What to ask for the next line with, on a terminal, and how long to wait for something better.
    prompts: Option<mpsc::Sender<(String, Duration)>>,
    interrupt: Arc<Interrupt>,
}

/// Ctrl-C, on a terminal: the end of the input, unless something is under way that it can end instead.
struct Interrupt {
    under_way: AtomicBool,
    pressed: Sender<()>,
    presses: Receiver<()>,
}

impl Interrupt {
    fn new() -> Arc<Interrupt> {
        let (pressed, presses) = bounded(1);
        Arc::new(Interrupt { under_way: AtomicBool::new(false), pressed, presses })
    }
}

/// The editor's way to it.
struct OnCtrlC(Arc<Interrupt>);

impl ConditionalEventHandler for OnCtrlC {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        if !self.0.under_way.swap(false, Ordering::Relaxed) {
            return Some(Cmd::Interrupt);
        }
        // If it is full, it was pressed already.
        let _ = self.0.pressed.try_send(());
        Some(Cmd::Noop)
    }
}

impl Input {
    #[cfg(test)]
    pub(super) fn of(lines: Receiver<Result<String, String>>) -> Input {
        Input { lines, prompts: None, interrupt: Interrupt::new() }
    }

    /// Whether something is under way that Ctrl-C is to end.
    pub(super) fn set_under_way(&self, is: bool) {
        self.interrupt.under_way.store(is, Ordering::Relaxed);
    }

    /// Waits until Ctrl-C is pressed while something [is under way](Self::set_under_way).
    pub(super) async fn interrupted(&self) {
        // Its sender lives as long.
        let _ = self.interrupt.presses.recv().await;
    }

    /// The next line (what was pasted may be several), or what is wrong with it; `None` after the last.
    pub(super) async fn next(&self) -> Option<Result<String, String>> {
        self.lines.recv().await.ok()
    }

    /// Asks for the next line, on a terminal; `wait` is how long this may be called again before it does.
    pub(super) fn prompt(&self, prompt: String, wait: Duration) {
        if let Some(prompts) = &self.prompts {
            // It is gone only after the last line, and nobody asks for more then.
            let _ = prompts.send((prompt, wait));
        }
    }

    /// Stops reading, and leaves the terminal as it was.
    pub(super) async fn end(self) {
        let Input { lines, prompts: Some(prompts), .. } = self else { return };
        drop(prompts);
        let over = async { while lines.recv().await.is_ok() {} };
        let late = async {
            Timer::after(SETTLE).await;
            // The editor waits for a key, and only a signal makes it give the terminal back.
            let _ = low_level::raise(SIGINT);
            future::pending().await
        };
        future::or(over, late).await;
    }
}

/// Where text goes. What was printed stays whole, whatever is being typed.
pub(super) struct Screen(Write);

type Write = Box<dyn FnMut(Kind, &str) -> io::Result<()>>;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// What was asked for: messages and answers.
    Output,
    /// A remark.
    Notice,
}

impl Screen {
    pub(super) fn new(write: impl FnMut(Kind, &str) -> io::Result<()> + 'static) -> Screen {
        Screen(Box::new(write))
    }

    /// Shows whole lines of what was asked for.
    pub(super) fn print(&mut self, lines: &str) -> Result<(), String> {
        (self.0)(Kind::Output, lines)
            .map_err(|error| format!("cannot write to standard output ({error}); is its reader gone?"))
    }

    /// Shows a remark: one line, without its end.
    pub(super) fn notice(&mut self, line: &str) {
        // Nothing hangs on it, and there is nowhere else to say that it failed.
        let _ = (self.0)(Kind::Notice, &format!("{line}\n"));
    }
}

/// A screen and an input for programs: lines as they are, remarks on standard error.
pub(super) fn pipes() -> io::Result<(Screen, Input)> {
    let (sender, lines) = bounded(16);
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let line = match stdin.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => text(line),
                Err(error) => {
                    let _ = sender.send_blocking(Err(format!("cannot read standard input ({error})")));
                    return;
                }
            };
            if sender.send_blocking(line).is_err() {
                return;
            }
        }
    })?;
    let screen = Screen::new(|kind, lines| match kind {
        Kind::Output => write(lines),
        Kind::Notice => io::stderr().write_all(format!("obrolan: {lines}").as_bytes()),
    });
    Ok((screen, Input { lines, prompts: None, interrupt: Interrupt::new() }))
}

fn write(lines: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines.as_bytes())?;
    stdout.flush()
}

fn text(line: Vec<u8>) -> Result<String, String> {
    let mut line = String::from_utf8(line).map_err(|_| "a line is not UTF-8; it was left out".to_owned())?;
    if line.ends_with('\n') {
        line.pop();
        if line.ends_with('\r') {
            line.pop();
        }
    }
    Ok(line)
}

/// A screen, an input and bars for people: lines can be edited, and what is printed goes above the one being typed. A
/// terminal that cannot move its cursor has no bars.
pub(super) fn terminal(look: Look) -> Result<(Screen, Input, Option<Bars>), ReadlineError> {
    // The prompt brings what goes above it. The editor takes that for a color, and has no say in those.
    let config = Config::builder().max_history_size(1000)?.color_mode(ColorMode::Forced).build();
    let mut editor: Editor<Prompt, DefaultHistory> = Editor::with_config(config)?;
    // A terminal that cannot move its cursor has no such printer.
    let above = editor.create_external_printer().ok().map(|printer| {
        let printer = Mutex::new(printer);
        let wake = move || {
            let mut printer = printer.lock().expect("nobody panics with the printer in hand");
            // It fails when the editor is gone, and then others have the screen.
            let _ = printer.print(NOTHING.to_owned());
        };
        Arc::new(Above::new(write, wake))
    });
    let interrupt = Interrupt::new();
    let on_ctrl_c = Box::new(OnCtrlC(Arc::clone(&interrupt)));
    editor.bind_sequence(KeyEvent::ctrl('c'), EventHandler::Conditional(on_ctrl_c));
    editor.set_helper(above.clone().map(Prompt));
    let bars = above.clone().map(|above| Bars::new(above, look));
    let shown = above.clone();
    let screen = Screen::new(move |_, lines| match &shown {
        Some(above) => above.print(lines),
        None => write(lines),
    });
    let (sender, lines) = bounded(64);
    let (prompts, wanted) = mpsc::channel::<(String, Duration)>();
    thread::Builder::new().name("input".to_owned()).spawn(move || {
        let Ok((mut prompt, _)) = wanted.recv() else { return };
        loop {
            let line = match &above {
                Some(above) => above.while_editing(|| editor.readline(&prompt)),
                None => editor.readline(&prompt),
            };
            // Anything but a line is the end: Ctrl-D, Ctrl-C, a terminal that is gone.
            let Ok(line) = line else { return };
            // History is a convenience: without it a line is still a line.
            let _ = editor.add_history_entry(&line);
            // A prompt that came late is not the one that follows from this line.
            prompt = wanted.try_iter().last().map_or(prompt, |(late, _)| late);
            if sender.send_blocking(Ok(line)).is_err() {
                return;
            }
            // Not for ever: the printer may wait for the editor to take a text that came in the moment a line ended.
            let mut patience = SETTLE;
            loop {
                match wanted.recv_timeout(patience) {
                    Ok(next) => (prompt, patience) = next,
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        }
    })?;
    Ok((screen, Input { lines, prompts: Some(prompts), interrupt }, bars))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_without_their_ends() {
        for (line, is) in
            [("a\n", "a"), ("a\r\n", "a"), ("a", "a"), ("\n", ""), ("a\r", "a\r"), ("a\r\r\n", "a\r")]
        {
            assert_eq!(text(line.into()), Ok(is.to_owned()), "{line:?}");
        }
        assert!(text(b"\xff\n".to_vec()).is_err());
    }
}
