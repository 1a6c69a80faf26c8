//! What C programs pass, checked as far as it can be.

use std::{
    ffi::{CStr, OsStr, c_char},
    mem::{MaybeUninit, align_of, size_of},
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr::{self, NonNull},
    slice,
};

use crate::result::{
    Error,
    obrolan_result::{self, OBROLAN_ERR_ARGUMENT, OBROLAN_ERR_UTF8},
};

fn is_null(name: &str) -> Error {
    Error::new(OBROLAN_ERR_ARGUMENT, format!("{name} is NULL"))
}

/// A text.
///
/// # Safety
/// Unless it is NULL, it ends with NUL and stays as it is for `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<&'a str, Error> {
    if text.is_null() {
        return Err(is_null(name));
    }
    // SAFETY: it is not NULL; the rest is the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|error| Error::new(OBROLAN_ERR_UTF8, format!("{name} is not UTF-8: {error}")))
}

/// A text that may be left out.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn optional_text<'a>(given: *const c_char, name: &str) -> Result<Option<&'a str>, Error> {
    // SAFETY: the caller's promise.
    if given.is_null() { Ok(None) } else { unsafe { text(given, name) }.map(Some) }
}

/// The path of a file: what the system takes as one, whether it is UTF-8 or not.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn path<'a>(given: *const c_char, name: &str) -> Result<&'a Path, Error> {
    if given.is_null() {
        return Err(is_null(name));
    }
    // SAFETY: it is not NULL; the rest is the caller's promise.
    Ok(Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(given) }.to_bytes())))
}

/// So many things of a kind, one after the other.
///
/// # Safety
/// Unless it is NULL, so many are there, whatever their bits say they are things of the kind, and they stay as they are for `'a`.
pub(crate) unsafe fn array<'a, T>(first: *const T, count: usize, name: &str) -> Result<&'a [T], Error> {
    if count == 0 {
        return Ok(&[]);
    }
    if first.is_null() {
        return Err(is_null(name));
    }
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(Error::new(
            OBROLAN_ERR_ARGUMENT,
            format!("{name} cannot be {count}: no memory holds so many"),
        ));
    }
    // SAFETY: it is not NULL, and not too large; the rest is the caller's promise.
    Ok(unsafe { slice::from_raw_parts(first, count) })
}

/// An array of a fixed length.
///
/// # Safety
/// As for [`array`].
pub(crate) unsafe fn fixed<const N: usize>(first: *const u8, name: &str) -> Result<[u8; N], Error> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { array(first, N, name) }?;
    Ok(bytes.try_into().expect("so many were asked for"))
}

/// Where a result goes.
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// # Safety
    /// Unless it is NULL, a `T` can be written there for as long as this is there.
    pub(crate) unsafe fn new(place: *mut T, name: &str) -> Result<Out<T>, Error> {
        NonNull::new(place).map(Out).ok_or_else(|| is_null(name))
    }

    /// One that may be left out.
    ///
    /// # Safety
    /// As for [`new`](Self::new).
    pub(crate) unsafe fn optional(place: *mut T) -> Option<Out<T>> {
        NonNull::new(place).map(Out)
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: it was promised that a T can be written there.
        unsafe { self.0.write(value) }
    }
}

/// Where so many results go.
///
/// # Safety
/// Unless it is NULL, so many can be written there for as long as these are there.
pub(crate) unsafe fn places<T>(
    first: *mut T,
    count: usize,
    name: &str,
) -> Result<impl Iterator<Item = Out<T>>, Error> {
    if count > 0 && first.is_null() {
        return Err(is_null(name));
    }
    // SAFETY: so many are there, and none of them is NULL, as the first is not.
    Ok((0..count).map(move |at| Out(unsafe { NonNull::new_unchecked(first.add(at)) })))
}

/// A struct that begins with its size, to which newer versions add fields at the end.
///
/// # Safety
/// It is `repr(C)`, begins with a `usize`, and any bytes make a valid one.
pub(crate) unsafe trait Versioned: Copy {
    /// What it is called, and the code for one that is not understood.
    const NAME: &str;
    const REFUSED: obrolan_result;
    /// The size it had when it first came out.
    const FIRST_SIZE: usize;

    /// One of the library's own size, to whose values fields that the program does not know are set.
    fn preset() -> Self;
}

/// Fills a program's struct, which may be of an older version than the library's.
///
/// # Safety
/// Unless it is NULL, so many bytes can be written there.
pub(crate) unsafe fn init<T: Versioned>(
    place: *mut T,
    size: usize,
    value: &T,
    name: &str,
) -> Result<(), Error> {
    // SAFETY: the caller's promise.
    let place = unsafe { Out::new(place, name) }?;
    check_size::<T>(size)?;
    let value = ptr::from_ref(value).cast::<u8>();
    // SAFETY: the size is not larger than T, and so many bytes can be written.
    unsafe { value.copy_to_nonoverlapping(place.0.as_ptr().cast(), size) };
    Ok(())
}

/// Reads a program's struct, which may be of an older version than the library's.
///
/// # Safety
/// Unless it is NULL, it begins with a size, and so many bytes can be read.
pub(crate) unsafe fn versioned<T: Versioned>(given: *const T, name: &str) -> Result<T, Error> {
    if given.is_null() {
        return Err(is_null(name));
    }
    // SAFETY: it is not NULL, and begins with its size.
    let size = unsafe { given.cast::<usize>().read() };
    check_size::<T>(size)?;
    let mut value = MaybeUninit::new(T::preset());
    // SAFETY: the size is not larger than T, so many bytes can be read, and any bytes make a valid T.
    unsafe {
        given.cast::<u8>().copy_to_nonoverlapping(value.as_mut_ptr().cast(), size);
        Ok(value.assume_init())
    }
}

fn check_size<T: Versioned>(size: usize) -> Result<(), Error> {
    let (name, own) = (T::NAME, size_of::<T>());
    if size > own {
        let text = format!(
            "the program knows {name} with {size} bytes and this library, {}, with {own}: it is older than what the program was built \
             with; install the version of its header, or a newer one",
            env!("CARGO_PKG_VERSION")
        );
        return Err(Error::new(T::REFUSED, text));
    }
    // Fields do not end in between.
    if size < T::FIRST_SIZE || !size.is_multiple_of(align_of::<usize>()) {
        let text = format!(
            "{size} is not the size of {name}, which its field size has to tell: have it set by the library"
        );
        return Err(Error::new(T::REFUSED, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::obrolan_result::OBROLAN_ERR_CONFIG;

    /// A struct as the first version had it.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct First {
        size: usize,
        limit: u64,
    }

    /// As this version has it.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Second {
        size: usize,
        limit: u64,
        added: u64,
    }

    // SAFETY: numbers.
    unsafe impl Versioned for Second {
        const NAME: &str = "Second";
        const REFUSED: obrolan_result = OBROLAN_ERR_CONFIG;
        const FIRST_SIZE: usize = size_of::<First>();

        fn preset() -> Second {
            Second { size: size_of::<Second>(), limit: 1, added: 2 }
        }
    }

    #[test]
    fn an_older_program_goes_on_working() {
        // With something behind it that is not the library's.
        let mut places = [First { size: 0, limit: 0 }; 2];
        let size = size_of::<First>();
        let preset = Second { size, ..Second::preset() };
        // SAFETY: so many bytes are there.
        let filled = unsafe { init(places.as_mut_ptr().cast::<Second>(), size, &preset, "it") };
        assert!(filled.is_ok());
        assert_eq!(places, [First { size, limit: 1 }, First { size: 0, limit: 0 }]);
        places[0].limit = 7;
        // SAFETY: so many bytes are there as the size says.
        let read = unsafe { versioned(places.as_ptr().cast::<Second>(), "it") };
        assert!(read.is_ok_and(|read| read == Second { size, limit: 7, added: 2 }));
    }

    #[test]
    fn a_newer_program_is_refused() {
        #[repr(C)]
        struct Third(Second, u64);
        let size = size_of::<Third>();
        let third = Third(Second { size, ..Second::preset() }, 3);
        // SAFETY: so many bytes are there as the size says.
        let read = unsafe { versioned((&raw const third).cast::<Second>(), "it") };
        assert!(read.is_err_and(|error| error.code == OBROLAN_ERR_CONFIG));
    }
}
