//! What can go wrong with a server and with a request.

use super::MAX_UNREAD_BYTES;
#[cfg(doc)]
use super::{Client, MAX_FRAME, MAX_UNANSWERED, MAX_UNANSWERED_BYTES};
use crate::wire::{FrameTooLong, NotEncodable};

/// The server broke the protocol. The connection is of no more use: close it and call [`Client::disconnected`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Something else than a response or an event.
    #[error("the server sent what is no response of the chat protocol: {why}; check its address and port")]
    NotAResponse {
        /// What is wrong with it.
        why: &'static str,
    },
    /// More responses than requests.
    #[error("the server answered a request that was not made; this is a fault of the server")]
    Unasked,
    /// A frame over [`MAX_FRAME`].
    #[error(transparent)]
    TooLong(#[from] FrameTooLong),
    /// Over [`MAX_UNREAD_BYTES`] wait. The host did not take events out, or gave too much at once.
    #[error(
        "over {MAX_UNREAD_BYTES} bytes of events wait; call poll_event until it is empty after every receive"
    )]
    Unread,
    /// There were bytes, but no connection to have them from.
    #[error("bytes came while not connected; call connected first")]
    NotConnected,
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It cannot be written in either form.
    #[error(transparent)]
    NotEncodable(#[from] NotEncodable),
    /// It is no single line with something on it.
    #[error("a request is one line with at least a name on it")]
    NotALine,
    /// [`MAX_UNANSWERED`] or [`MAX_UNANSWERED_BYTES`] is reached.
    #[error("too many requests wait for their answers; wait until some are answered")]
    Full,
    /// QUIT was requested.
    #[error("the client has quit; make a new one")]
    Finished,
}
