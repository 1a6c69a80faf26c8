//! What a client tells its host.

use serde_json::{Map, Value};

#[cfg(doc)]
use super::Client;
use super::{Message, RequestId, Response};

/// What happened, from [`Client::poll_event`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The client is logged in; what was held back is on its way.
    LoggedIn {
        /// It went on with the session it had.
        resumed: bool,
    },
    /// The server refused the login. Requests are held back until [`Client::login`] or the next
    /// [`Client::connected`], which tries again.
    LoginFailed {
        /// What it answered.
        response: Response,
    },
    /// A request was answered. There is exactly one such event a request, in the order of the requests.
    Response {
        /// Which request.
        id: RequestId,
        /// The answer.
        response: Response,
    },
    /// A message came in. It stays in the mailbox until ACK is requested.
    Message(Message),
    /// Messages were lost because the mailbox was full.
    Gap {
        /// How many.
        count: u64,
    },
    /// The server stops and is about to close the connection.
    Closing,
    /// The server refused to send messages.
    SubscribeFailed {
        /// What it answered.
        response: Response,
    },
    /// An event that this version does not know.
    Other {
        /// The server's name for it.
        event: String,
        /// Its other fields.
        body: Map<String, Value>,
    },
}
