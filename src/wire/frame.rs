//! Where a line or a response ends in the stream (protocol, section 1).

use std::fmt;

use memchr::{memchr, memmem};

/// The four bytes that end every response and event.
pub const END: &[u8; 4] = b"\r\n\r\n";

/// What [`LineDecoder::next`] found.
#[derive(PartialEq, Eq)]
pub enum Frame<'a> {
    /// A line without its line end, never empty.
    Line(&'a [u8]),
    /// A line over the limit. Told once for it, as soon as it is over; its bytes are dropped up to its LF.
    TooLong,
}

/// Without the line: it may hold a password.
impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::Line(line) => write!(f, "Line({} bytes)", line.len()),
            Frame::TooLong => f.write_str("TooLong"),
        }
    }
}

/// Takes lines off a stream that arrives in pieces.
///
/// A line that arrives whole is borrowed from the input; only an unfinished one is kept, up to the limit.
///
/// ```
/// use obrolan::wire::{Frame, LineDecoder};
/// let (mut lines, mut input) = (LineDecoder::default(), &b"PING\r\n\r\nQU"[..]);
/// assert_eq!(lines.next(&mut input, 100), Some(Frame::Line(b"PING")));
/// assert_eq!(lines.next(&mut input, 100), None, "the blank line is skipped, the unfinished one kept");
/// input = b"IT\n";
/// assert_eq!(lines.next(&mut input, 100), Some(Frame::Line(b"QUIT")));
/// ```
#[derive(Default)]
pub struct LineDecoder {
    held: Vec<u8>,
    state: State,
}

/// Without what it holds: that may be a part of a password.
impl fmt::Debug for LineDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineDecoder({} bytes)", self.held())
    }
}

#[derive(Default, PartialEq)]
enum State {
    #[default]
    Keeping,
    /// `held` was given out as a whole line and goes with the next call.
    GivenOut,
    /// Inside a line that was over the limit.
    Dropping,
}

/// Room that is kept for the next unfinished line; more is given back.
const KEEP: usize = 1024;

impl LineDecoder {
    /// Takes the next line of at most `limit` bytes, or returns `None` once `input` is used up.
    ///
    /// `input` is advanced past what was taken.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8], limit: usize) -> Option<Frame<'a>> {
        self.forget_given_out();
        loop {
            let Some(end) = memchr(b'\n', input) else {
                let rest = std::mem::take(input);
                return self.keep(rest, limit).then_some(Frame::TooLong);
            };
            let line = &input[..end];
            *input = &input[end + 1..];
            if self.state == State::Dropping {
                self.state = State::Keeping;
                continue;
            }
            if self.held.is_empty() {
                match without_cr(line) {
                    [] => continue,
                    line if line.len() > limit => return Some(Frame::TooLong),
                    line => return Some(Frame::Line(line)),
                }
            }
            // No more than what shows that it is too long, however much came at once.
            let room = limit.saturating_add(2).saturating_sub(self.held.len());
            self.held.extend_from_slice(&line[..line.len().min(room)]);
            match without_cr(&self.held).len() {
                0 => self.held.clear(),
                long if long > limit => {
                    self.held = Vec::new();
                    return Some(Frame::TooLong);
                }
                long => {
                    self.state = State::GivenOut;
                    return Some(Frame::Line(&self.held[..long]));
                }
            }
        }
    }

    /// The unterminated last line at the end of the stream: still a request.
    pub fn finish(&mut self) -> Option<Frame<'_>> {
        self.forget_given_out();
        self.state = State::GivenOut;
        Some(Frame::Line(without_cr(&self.held))).filter(|frame| *frame != Frame::Line(b""))
    }

    /// Bytes of an unfinished line kept at the moment.
    #[must_use]
    pub fn held(&self) -> usize {
        if self.state == State::Keeping { self.held.len() } else { 0 }
    }

    /// Drops the unfinished line and what is to come of it, as if it had been over the limit.
    pub fn drop_line(&mut self) {
        self.held = Vec::new();
        self.state = State::Dropping;
    }

    /// Keeps the beginning of a line; true if that takes it over the limit.
    fn keep(&mut self, rest: &[u8], limit: usize) -> bool {
        if self.state == State::Dropping {
            return false;
        }
        // One byte over the limit may still be the CR before the LF.
        let long = self.held.len() + rest.len();
        let ends_in_cr = rest.last().or(self.held.last()) == Some(&b'\r');
        if long > limit && !(long == limit + 1 && ends_in_cr) {
            self.drop_line();
            return true;
        }
        self.held.extend_from_slice(rest);
        false
    }

    /// Gives back the room of the line that was given out last.
    pub(crate) fn forget_given_out(&mut self) {
        if self.state == State::GivenOut {
            self.state = State::Keeping;
            self.held.clear();
            self.held.shrink_to(KEEP);
        }
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A response over the limit a client set for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server sent a response of more than {limit} bytes; raise the limit or ask for less at once")]
pub struct FrameTooLong {
    /// The limit in bytes.
    pub limit: usize,
}

/// Takes responses and events off a stream that arrives in pieces: what ends in CR LF CR LF.
///
/// ```
/// use obrolan::wire::FrameDecoder;
/// let mut frames = FrameDecoder::new(1 << 20);
/// frames.push(b"{\"status\":\"OK\"}\r\n\r");
/// assert_eq!(frames.next(), Ok(None));
/// frames.push(b"\n");
/// assert_eq!(frames.next(), Ok(Some(&b"{\"status\":\"OK\"}"[..])));
/// ```
pub struct FrameDecoder {
    held: Vec<u8>,
    /// What was given out already, at the front.
    start: usize,
    /// Up to where no end was found, so that no byte is searched twice.
    searched: usize,
    limit: usize,
}

/// Without what it holds: that may tell a session.
impl fmt::Debug for FrameDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrameDecoder({} bytes)", self.held.len() - self.start)
    }
}

impl FrameDecoder {
    /// A decoder that refuses frames of more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> FrameDecoder {
        FrameDecoder { held: Vec::new(), start: 0, searched: 0, limit }
    }

    /// Adds bytes from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.held.extend_from_slice(bytes);
    }

    /// The next whole frame, without its end; `None` until more bytes come.
    ///
    /// # Errors
    /// The frame is over the limit. The stream cannot be used any further.
    #[allow(clippy::should_implement_trait)] // It lends from itself, which an Iterator cannot.
    pub fn next(&mut self) -> Result<Option<&[u8]>, FrameTooLong> {
        let found = memmem::find(&self.held[self.searched..], END).map(|at| self.searched + at);
        // Without an end, the last bytes may be the beginning of one.
        let end = found.unwrap_or(self.held.len().saturating_sub(END.len() - 1));
        if end.saturating_sub(self.start) > self.limit {
            return Err(FrameTooLong { limit: self.limit });
        }
        let Some(end) = found else {
            self.searched = self.held.len().saturating_sub(END.len() - 1).max(self.start);
            return Ok(None);
        };
        let frame = &self.held[self.start..end];
        self.start = end + END.len();
        self.searched = self.start;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 10;

    fn lines<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Option<Vec<u8>>> {
        let mut decoder = LineDecoder::default();
        let mut all = Vec::new();
        let own = |frame: Frame<'_>| match frame {
            Frame::Line(line) => Some(line.to_vec()),
            Frame::TooLong => None,
        };
        for mut piece in pieces {
            while let Some(frame) = decoder.next(&mut piece, LIMIT) {
                all.push(own(frame));
            }
            assert!(decoder.held() <= LIMIT + 1);
        }
        all.extend(decoder.finish().map(own));
        all
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_taken_with_its_cr() {
        let line = [b'x'; LIMIT];
        assert_eq!(lines([&line[..], b"\r", b"\n"]), [Some(line.to_vec())]);
        assert_eq!(lines([&line[..], b"\r\r\n"]), [None]);
        assert_eq!(lines([&line[..], b"x", b"y\nPING\n"]), [None, Some(b"PING".to_vec())]);
    }

    #[test]
    fn what_is_held_is_a_line_without_its_end() {
        let mut decoder = LineDecoder::default();
        let mut held = |mut piece: &[u8]| {
            while decoder.next(&mut piece, LIMIT).is_some() {}
            decoder.held()
        };
        assert_eq!([held(b"abc"), held(b"de"), held(b"\nPING\nx"), held(b"\n")], [3, 5, 1, 0]);
        let mut decoder = LineDecoder::default();
        assert_eq!(decoder.next(&mut &b"abc"[..], LIMIT), None);
        assert_eq!(decoder.next(&mut &b"\n"[..], LIMIT), Some(Frame::Line(b"abc")));
        assert_eq!(decoder.held(), 0, "a line that was given out is no unfinished one");
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_as_soon_as_that_is_sure() {
        let mut decoder = FrameDecoder::new(LIMIT);
        // The last three bytes may be the beginning of its end.
        decoder.push(&[b'x'; LIMIT + END.len() - 1]);
        assert_eq!(decoder.next(), Ok(None));
        decoder.push(b"x");
        assert_eq!(decoder.next(), Err(FrameTooLong { limit: LIMIT }));
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            stream in prop::collection::vec(prop::sample::select(&b"ab \r\n"[..]), 0..80),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
            prop_assert_eq!(lines(pieces), lines([&stream[..]]));
        }

        #[test]
        fn frames_come_out_as_they_went_in(
            frames in prop::collection::vec("[a-z\r\n]{0,20}[a-z]", 0..8),
            size in 1_usize..9,
        ) {
            let frames: Vec<String> = frames.into_iter().filter(|f| !f.contains("\r\n\r\n")).collect();
            let stream: String = frames.iter().map(|frame| format!("{frame}\r\n\r\n")).collect();
            // No more than they need: where the stream is cut must not make one too long.
            let limit = frames.iter().map(String::len).max().unwrap_or(0);
            let mut decoder = FrameDecoder::new(limit);
            let mut out = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                decoder.push(piece);
                while let Some(frame) = decoder.next().unwrap() {
                    out.push(String::from_utf8(frame.to_vec()).unwrap());
                }
            }
            prop_assert_eq!(out, frames);
        }
    }

    #[test]
    fn frames_may_be_without_limit() {
        let mut frames = FrameDecoder::new(usize::MAX);
        frames.push(b"{}\r\n\r\n[]\r\n\r\n");
        assert_eq!(frames.next(), Ok(Some(&b"{}"[..])));
        assert_eq!(frames.next(), Ok(Some(&b"[]"[..])));
        assert_eq!(frames.next(), Ok(None));
    }

    #[test]
    fn what_is_shown_is_no_byte_of_a_stream() {
        let mut lines = LineDecoder::default();
        let mut input = &b"AUTH ann secret\nAUTH bob sec"[..];
        assert_eq!(format!("{:?}", lines.next(&mut input, 100)), "Some(Line(15 bytes))");
        assert_eq!(lines.next(&mut input, 100), None);
        assert_eq!(format!("{lines:?}"), "LineDecoder(12 bytes)");
        let mut frames = FrameDecoder::new(100);
        frames.push(b"{}\r\n\r\n[]");
        frames.next().unwrap();
        assert_eq!(format!("{frames:?}"), "FrameDecoder(2 bytes)");
    }
}
