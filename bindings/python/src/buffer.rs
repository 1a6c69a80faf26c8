//! Bytes that Python gives, and keeps.

use std::convert::Infallible;

use pyo3::{
    Borrowed, intern,
    prelude::*,
    types::{PyBytes, PyMemoryView, PyTuple},
};

use crate::errors::ApiMisuse;

/// What nobody changes any more: a `bytes` object as it is, or a copy of what any other buffer held.
///
/// A bytearray can be written to by another thread while the engine reads it, so to borrow it would be unsound.
pub(crate) struct Content(Py<PyBytes>);

impl Content {
    pub(crate) fn new(py: Python<'_>, bytes: &[u8]) -> Content {
        Content(PyBytes::new(py, bytes).unbind())
    }

    pub(crate) fn get<'a>(&'a self, py: Python<'a>) -> &'a [u8] {
        self.0.as_bytes(py)
    }
}

impl<'py> FromPyObject<'_, 'py> for Content {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Content> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Content(bytes.to_owned().unbind()));
        }
        let py = object.py();
        let view = PyMemoryView::from(&object)?;
        if !view.getattr(intern!(py, "c_contiguous"))?.is_truthy()? {
            return Err(ApiMisuse::new_err(
                "the bytes of this buffer do not stand one after the other; give a contiguous one, as bytes(buffer)",
            ));
        }
        Ok(Content(view.call_method0(intern!(py, "tobytes"))?.cast_into::<PyBytes>()?.unbind()))
    }
}

impl<'py> IntoPyObject<'py> for &Content {
    type Target = PyBytes;
    type Output = Bound<'py, PyBytes>;
    type Error = Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Bound<'py, PyBytes>, Infallible> {
        Ok(self.0.bind(py).clone())
    }
}

/// A tuple of [`Content`], from any iterable of buffers.
pub(crate) struct Contents(Py<PyTuple>);

impl Contents {
    /// The bytes, copied: the engine keeps them.
    pub(crate) fn to_vecs(&self, py: Python<'_>) -> PyResult<Vec<Vec<u8>>> {
        self.0.bind(py).iter_borrowed().map(|item| Ok(item.cast::<PyBytes>()?.as_bytes().to_vec())).collect()
    }

    pub(crate) fn len(&self, py: Python<'_>) -> usize {
        self.0.bind(py).len()
    }
}

impl<'py> FromPyObject<'_, 'py> for Contents {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Contents> {
        let items: Vec<Content> = object.try_iter()?.map(|item| item?.extract()).collect::<PyResult<_>>()?;
        Ok(Contents(PyTuple::new(object.py(), &items)?.unbind()))
    }
}

impl<'py> IntoPyObject<'py> for &Contents {
    type Target = PyTuple;
    type Output = Bound<'py, PyTuple>;
    type Error = Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Bound<'py, PyTuple>, Infallible> {
        Ok(self.0.bind(py).clone())
    }
}
