//! argon2id, as the protocol's section 2 sets it: 19 MiB of memory, 2 passes, 1 lane.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

use crate::secret::Password;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What an unknown user's password is verified against, so that it takes as long as a known one's. The hash is 32 zero bytes: no
/// password has it.
pub(crate) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$b2Jyb2xhbjogbm9ib2R5IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are in argon2's range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a password to a PHC string. Takes some 20 ms and 19 MiB.
///
/// # Panics
/// If the machine has no 19 MiB left.
#[must_use]
pub fn hash(password: &Password, salt: &[u8; 16]) -> String {
    let hash = argon2().hash_password_with_salt(password.expose().as_bytes(), salt);
    hash.expect("a password below the line limit and a salt of 16 bytes are in argon2's range").to_string()
}

/// Whether a password has this PHC string. Takes as long as [`hash`]. A string that is none fits no password.
///
/// ```
/// use obrolan::{Password, passwords};
/// let password = Password::new("correct horse").unwrap();
/// let hash = passwords::hash(&password, &[7; 16]);
/// assert!(passwords::verify(&password, &hash));
/// assert!(!passwords::verify(&Password::new("battery staple").unwrap(), &hash));
/// ```
#[must_use]
pub fn verify(password: &Password, hash: &str) -> bool {
    argon2().verify_password(password.expose().as_bytes(), hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_are_the_protocols() {
        let password = Password::new("x").unwrap();
        let hash = hash(&password, &[1; 16]);
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    }

    #[test]
    fn nobody_costs_the_same_and_has_no_password() {
        let parsed = NOBODY.split('$').take(4).collect::<Vec<_>>();
        let real = hash(&Password::new("x").unwrap(), &[1; 16]);
        assert_eq!(parsed, real.split('$').take(4).collect::<Vec<_>>());
        assert!(!verify(&Password::new("x").unwrap(), NOBODY));
        assert_eq!(NOBODY.len(), real.len());
    }
}
