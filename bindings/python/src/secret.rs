//! Passwords, and the hashing of them.

use std::convert::Infallible;

use pyo3::{Borrowed, prelude::*, types::PyString};

use crate::{
    buffer::Content,
    errors::ApiMisuse,
    shared::caught,
    value::{Shown, field_class},
};

/// A password, prepared as the protocol says (section 2). Its repr shows nothing of it.
///
/// Raises obrolan.ApiMisuse if the text is empty or has characters that no password may have.
#[pyclass(frozen, eq, module = "obrolan.engine")]
#[derive(Clone, PartialEq)]
pub(crate) struct Password(pub(crate) obrolan::Password);

#[pymethods]
impl Password {
    #[new]
    fn new(typed: &str) -> PyResult<Password> {
        obrolan::Password::new(typed).map(Password).ok_or_else(|| {
            ApiMisuse::new_err(
                "this is no password: it is empty or has control characters; give at least one other character",
            )
        })
    }

    /// The prepared text, for a hash function alone.
    fn expose(&self) -> &str {
        self.0.expose()
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyString::new(py, self.0.expose()).hash()
    }

    fn __repr__(&self) -> String {
        format!("{:?}", self.0)
    }
}

field_class!(Password);

/// The PHC string of a password: text in Python, hidden in the repr of the object that holds it.
pub(crate) struct Phc(pub(crate) String);

impl<'py> FromPyObject<'_, 'py> for Phc {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Phc> {
        object.extract().map(Phc)
    }
}

impl<'py> IntoPyObject<'py> for &Phc {
    type Target = PyString;
    type Output = Bound<'py, PyString>;
    type Error = Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Bound<'py, PyString>, Infallible> {
        self.0.as_str().into_pyobject(py)
    }
}

impl Shown for Phc {
    fn shown(&self, _py: Python<'_>) -> PyResult<String> {
        Ok("<hidden>".to_owned())
    }
}

/// Hash a password with argon2id to a PHC string, with a salt of 16 bytes: what AskHashPassword wants.
///
/// Takes some 20 ms and 19 MiB; other Python threads run meanwhile.
#[pyfunction]
pub(crate) fn hash_password(
    py: Python<'_>,
    password: &Bound<'_, Password>,
    salt: Content,
) -> PyResult<String> {
    let salt = salt.get(py);
    let salt: [u8; 16] = salt.try_into().map_err(|_| {
        ApiMisuse::new_err(format!("the salt has {} bytes; give the 16 of AskHashPassword", salt.len()))
    })?;
    let password = &password.get().0;
    py.detach(|| caught(|| obrolan::passwords::hash(password, &salt)))
}

/// Whether a password has this PHC string: what AskVerifyPassword wants. Takes as long as hash_password.
#[pyfunction]
pub(crate) fn verify_password(py: Python<'_>, password: &Bound<'_, Password>, hash: &str) -> PyResult<bool> {
    let password = &password.get().0;
    py.detach(|| caught(|| obrolan::passwords::verify(password, hash)))
}
