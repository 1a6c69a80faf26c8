//! The program `obrolan`, entered from Python.

use std::ffi::OsString;

use pyo3::prelude::*;

use crate::shared::caught;

/// Run the program obrolan with a command line, argv[0] being its name, and return its exit code.
///
/// It watches for signals by itself, so Python should not: the script obrolan sets SIGINT to the system's default first.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, argv: Vec<OsString>) -> PyResult<u8> {
    py.detach(|| caught(|| obrolan_server::cli::run(argv)))
}
