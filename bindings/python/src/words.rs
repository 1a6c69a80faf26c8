//! Small sets of words, which Python writes as strings and types as `Literal`.

use pyo3::{Borrowed, intern, prelude::*, types::PyString};

use crate::errors::ApiMisuse;

/// Makes an enum that Python sees as one of some strings.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name {
            $($variant),+
        }

        impl<'py> FromPyObject<'_, 'py> for $name {
            type Error = PyErr;

            fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<$name> {
                match object.extract::<&str>()? {
                    $($word => Ok($name::$variant),)+
                    other => Err(no_word(other, &[$($word),+])),
                }
            }
        }

        impl<'py> IntoPyObject<'py> for &$name {
            type Target = PyString;
            type Output = Bound<'py, PyString>;
            type Error = std::convert::Infallible;

            fn into_pyobject(self, py: Python<'py>) -> Result<Bound<'py, PyString>, Self::Error> {
                Ok(match self {
                    $($name::$variant => intern!(py, $word),)+
                }.clone())
            }
        }
    };
}

words! {
    /// Who does the work of an ask.
    Service { Inside = "inside", Host = "host" }
}

words! {
    /// How a connection ended at the peer's side.
    Closed { Eof = "eof", Gone = "gone" }
}

words! {
    /// Why the engine closes a connection.
    CloseReason { Quit = "quit", PeerClosed = "peer_closed", Idle = "idle", Stopping = "stopping" }
}

impl From<Service> for obrolan::Service {
    fn from(service: Service) -> obrolan::Service {
        match service {
            Service::Inside => obrolan::Service::Inside,
            Service::Host => obrolan::Service::Host,
        }
    }
}

impl From<obrolan::Service> for Service {
    fn from(service: obrolan::Service) -> Service {
        match service {
            obrolan::Service::Inside => Service::Inside,
            obrolan::Service::Host => Service::Host,
        }
    }
}

impl From<Closed> for obrolan::Closed {
    fn from(closed: Closed) -> obrolan::Closed {
        match closed {
            Closed::Eof => obrolan::Closed::Eof,
            Closed::Gone => obrolan::Closed::Gone,
        }
    }
}

impl From<obrolan::CloseReason> for CloseReason {
    fn from(reason: obrolan::CloseReason) -> CloseReason {
        match reason {
            obrolan::CloseReason::Quit => CloseReason::Quit,
            obrolan::CloseReason::PeerClosed => CloseReason::PeerClosed,
            obrolan::CloseReason::Idle => CloseReason::Idle,
            obrolan::CloseReason::Stopping => CloseReason::Stopping,
            reason => unreachable!("the engine closes for {reason:?}, which Python has no word for"),
        }
    }
}

fn no_word(word: &str, words: &[&str]) -> PyErr {
    ApiMisuse::new_err(format!("{word:?} is not known here; give one of {words:?}"))
}
