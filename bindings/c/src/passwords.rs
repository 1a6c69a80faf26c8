//! Passwords.
//!
//! For programs that answer OBROLAN_ASK_HASH_PASSWORD and OBROLAN_ASK_VERIFY_PASSWORD, on a thread
//! of their own. They need no handle.

use std::ffi::c_char;

use obrolan::{Password, passwords};

use crate::{
    arguments::{Out, fixed, text},
    result::{
        Error, ffi,
        obrolan_result::{self, OBROLAN_ERR_ARGUMENT},
    },
};

/// Bytes of a password's hash, its NUL included.
pub const OBROLAN_PASSWORD_HASH_SIZE: usize = 128;

/// Hashes a password to a PHC string, by argon2id. Takes some 20 ms and 19 MiB.
///
/// Errors: OBROLAN_ERR_ARGUMENT if it is no password: it is empty, or holds a control character.
/// OBROLAN_ERR_UTF8. Threads: any number at once. Since 0.1.0.
///
/// cbindgen:ptrs-as-arrays=[[salt;16], [hash;OBROLAN_PASSWORD_HASH_SIZE]]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_password_hash(
    password: *const c_char,
    salt: *const u8,
    hash: *mut c_char,
) -> obrolan_result {
    ffi(|| {
        // SAFETY: the caller vouches for its pointers.
        let (password, salt, hash) =
            unsafe { (read(password)?, fixed(salt, "salt")?, Out::new(hash.cast(), "hash")?) };
        let mut padded = [0; OBROLAN_PASSWORD_HASH_SIZE];
        let phc = passwords::hash(&password, &salt);
        padded[..phc.len()].copy_from_slice(phc.as_bytes());
        hash.set(padded);
        Ok(())
    })
}

/// Whether a password has this hash. Takes as long as to hash it. A string that is no hash fits no
/// password.
///
/// Errors: as of obrolan_password_hash. Threads: any number at once. Since 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn obrolan_password_verify(
    password: *const c_char,
    hash: *const c_char,
    out: *mut bool,
) -> obrolan_result {
    ffi(|| {
        // SAFETY: the caller vouches for its pointers.
        let (password, hash, out) = unsafe { (read(password)?, text(hash, "hash")?, Out::new(out, "out")?) };
        out.set(passwords::verify(&password, hash));
        Ok(())
    })
}

/// # Safety
/// As for [`text`].
unsafe fn read(password: *const c_char) -> Result<Password, Error> {
    // SAFETY: the caller's promise.
    let password = unsafe { text(password, "password") }?;
    let why = "the text is no password: it is empty, or holds a character that no password may hold";
    Password::new(password).ok_or_else(|| Error::new(OBROLAN_ERR_ARGUMENT, why))
}
