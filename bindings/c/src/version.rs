//! Version.
//!
//! OBROLAN_VERSION is the version of this header; the functions tell that of the library which the
//! program runs with.

use std::ffi::{CStr, c_char};

/// The version of the library, as "0.1.0".
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn obrolan_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Whether the library has a feature: "engine", "client" or "server". NULL and unknown names are
/// none.
///
/// Threads: any. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_has(feature: *const c_char) -> bool {
    if feature.is_null() {
        return false;
    }
    // SAFETY: it is not NULL, and the caller vouches for the NUL at its end.
    let feature = unsafe { CStr::from_ptr(feature) };
    [c"engine", c"client", c"server"].contains(&feature)
}
