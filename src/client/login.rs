//! As whom a client logs in.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    secret::SessionId,
    wire::{NotEncodable, Request},
};

/// As whom a client logs in after every connect.
#[derive(Clone)]
pub struct Login(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    Nothing,
    Session(SessionId),
    Password {
        user: String,
        /// The AUTH line.
        line: Zeroizing<Vec<u8>>,
    },
}

impl Login {
    /// As nobody: requests go out as they are.
    #[must_use]
    pub fn nothing() -> Login {
        Login(Kind::Nothing)
    }

    /// With a session that was opened before; when it has ended on the server, the login fails.
    #[must_use]
    pub fn session(sid: SessionId) -> Login {
        Login(Kind::Session(sid))
    }

    /// With a password, which is kept for when the session has ended on the server; wiped from memory when dropped.
    ///
    /// # Errors
    /// The name or the password cannot be written on a line: it is empty or has a space or a line break in it.
    pub fn password(user: &str, password: &str) -> Result<Login, NotEncodable> {
        // All of its room at once: a buffer that grows leaves copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(user.len() + password.len() + 16));
        Request::Auth { user, password }.encode(&mut line)?;
        Ok(Login(Kind::Password { user: user.to_owned(), line }))
    }

    /// Whether it is nobody's.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        matches!(self.0, Kind::Nothing)
    }

    pub(super) fn user(&self) -> Option<&str> {
        match &self.0 {
            Kind::Password { user, .. } => Some(user),
            Kind::Nothing | Kind::Session(_) => None,
        }
    }
}

/// Shows the user alone.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Nothing => f.write_str("Login(nothing)"),
            Kind::Session(_) => f.write_str("Login(session)"),
            Kind::Password { user, .. } => write!(f, "Login({user:?}, …)"),
        }
    }
}

/// The line that resumes a session.
pub(super) fn resume_line(sid: &SessionId) -> Zeroizing<Vec<u8>> {
    let mut line = Zeroizing::new(Vec::with_capacity(sid.expose().len() + 16));
    Request::Resume { sid: sid.expose() }.encode(&mut line).expect("a session id is one word");
    line
}
