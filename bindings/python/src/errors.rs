//! The exceptions of python/obrolan/errors.py, and which of them an error of Rust becomes.

use pyo3::{PyErr, import_exception};

import_exception!(obrolan.errors, ApiMisuse);
import_exception!(obrolan.errors, AuthError);
import_exception!(obrolan.errors, ConfigError);
import_exception!(obrolan.errors, ConnectionLost);
import_exception!(obrolan.errors, Poisoned);
import_exception!(obrolan.errors, RateLimited);
import_exception!(obrolan.errors, RecoveryError);
import_exception!(obrolan.errors, Refused);
import_exception!(obrolan.errors, ServerError);
import_exception!(obrolan.errors, Timeout);

pub(crate) fn misuse(error: obrolan::ApiError) -> PyErr {
    ApiMisuse::new_err(error.to_string())
}

pub(crate) fn config(error: obrolan::ConfigError) -> PyErr {
    ConfigError::new_err(error.to_string())
}

pub(crate) fn recovery(error: obrolan::RecoveryError) -> PyErr {
    RecoveryError::new_err(error.to_string())
}

pub(crate) fn refused(refused: obrolan::Refused) -> PyErr {
    let reason = match refused {
        obrolan::Refused::TooMany => "too_many",
        obrolan::Refused::Stopping => "stopping",
    };
    Refused::new_err((reason, refused.to_string()))
}
