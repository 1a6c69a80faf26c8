//! What fuzzers run: for each target a plain function of bytes, which panics where something else happens than is promised. Each looks
//! for an equality. Any bytes will do; what they mean may change, but for scenarios.

mod classic;
mod client;
mod recovery;
#[cfg(test)]
mod tests;
mod wire;

pub use self::{
    classic::classic,
    client::client,
    recovery::recovery,
    wire::{requests, responses, structured},
};

use super::{
    scenario::Scenario,
    terms::{Feed, Happened},
};

/// A target with its name, which is that of its seeds in fuzz/seeds too.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("classic", classic),
    ("client", client),
    ("cuts", cuts),
    ("model", model),
    ("recovery", recovery),
    ("requests", requests),
    ("responses", responses),
    ("structured", structured),
];

/// Whatever is random in a target is the same in every run.
const SEED: [u8; 32] = [3; 32];

/// The engine does what the [model](super::Scenario::judge) of the protocol does. The bytes are a scenario.
pub fn model(bytes: &[u8]) {
    Scenario::decode(bytes).judge(SEED);
}

/// Bytes on many connections in any pieces: the same outputs in the same order, and the same state. The bytes are the sizes of pieces,
/// then a scenario.
pub fn cuts(bytes: &[u8]) {
    let (long, sizes, rest) = pieces(bytes);
    cut(Scenario::decode(rest), long, sizes);
}

/// Plays a scenario in whole and in pieces of these sizes.
///
/// Two things are left out by their nature. A line that comes whole needs no memory for unfinished lines, so that limit is wide. And a
/// line that is too long is told of before its end, so that an output buffer that is full by then stops the peer earlier; so
/// either no line is too `long` or no buffer is full.
///
/// # Panics
/// If it is not the same.
pub fn cut(mut scenario: Scenario, long: bool, sizes: Vec<usize>) {
    if long {
        scenario.config.limits.output_buffer = 1 << 20;
    } else {
        scenario.config.limits.line = 1 << 20;
        scenario.config.limits.line_before_session = 1 << 20;
    }
    let play = |feed| {
        let mut world = scenario.play(SEED, feed);
        world.settle();
        world
    };
    let mut whole = play(Feed::Whole);
    for feed in [Feed::Lines, Feed::Pieces(sizes)] {
        let mut cut = play(feed);
        assert_eq!(whole.first_difference(&cut, Happened::eq), None);
        assert_eq!(whole.engine().digest(), cut.engine().digest());
    }
}

/// A choice, one to four sizes of pieces, and the bytes after those.
fn pieces(bytes: &[u8]) -> (bool, Vec<usize>, &[u8]) {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let (sizes, rest) = rest.split_at(rest.len().min(1 + usize::from(first % 4)));
    let mut sizes: Vec<usize> = sizes.iter().map(|size| 1 + usize::from(size % 40)).collect();
    if sizes.is_empty() {
        sizes.push(1);
    }
    (*first >= 128, sizes, rest)
}

/// Bytes in pieces of these sizes, over and over.
fn in_pieces<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut sizes = sizes.iter().cycle();
    std::iter::from_fn(move || {
        let size = sizes.next().map_or(1, |size| bytes.len().min(*size));
        let (piece, rest) = bytes.split_at(size);
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}
