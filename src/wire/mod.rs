//! Bytes to typed requests and back: the protocol's text form, usable without the engine, in both directions.
//!
//! A server takes lines off the stream with [`LineDecoder`] and reads them with [`Line::parse`] or [`Structured::parse`]; a client writes them with
//! [`Request::encode`] and takes responses off with [`FrameDecoder`]. What requests there are, with their parameters
//! and texts, stands once, in [`REQUESTS`]. Clients that write names in lower case are understood by way of a [`Dialect`].

mod code;
mod dialect;
mod frame;
mod json;
mod request;
mod structured;
mod table;

pub use code::Code;
pub(crate) use dialect::error as classic_error;
pub use dialect::{CanonicalLine, ClassicAnswer, Dialect};
pub use frame::{END, Frame, FrameDecoder, FrameTooLong, LineDecoder};
pub use json::Object;
pub(crate) use json::append_field;
pub use request::{Line, NotEncodable, ParseError, Request};
pub use structured::{MAX_TAG, Structured, Tag};
pub use table::{Kind, Param, REQUESTS, SessionParam, Shape, Spec, UNKNOWN};
