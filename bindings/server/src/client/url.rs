//! `obrolan://USER:PASSWORD@HOST:PORT`, as programs are told where to log in.

use std::fmt;

use fluent_uri::{Uri, component::Authority, pct_enc::EStr};
use obrolan::Password;

use crate::config::Address;

/// Where a server is reached and, if it says so, as whom.
///
/// ```
/// use obrolan_server::client::Url;
/// let url = Url::parse("obrolan://echo:p%40ss@chat.example.org").unwrap();
/// assert_eq!(url.server.to_string(), "chat.example.org:8889");
/// assert_eq!(url.user.as_deref(), Some("echo"));
/// assert_eq!(url.password.unwrap().expose(), "p@ss");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The server.
    pub server: Address,
    /// The user's name.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Password>,
}

/// Why a text is no [`Url`]. Shows nothing of it: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the URL {why}; write obrolan://USER:PASSWORD@HOST:PORT, with %40 for an @ and %25 for a % in a name or password"
)]
pub struct UrlError {
    why: String,
}

impl Url {
    /// Reads a URL. The port may be left out, and so may the password, or user and password both. What a URL cannot hold as it is
    /// stands as `%` and two hex digits.
    ///
    /// # Errors
    /// It is none, or not one of this protocol.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        let error = |why: &str| UrlError { why: why.to_owned() };
        // The scheme comes first, so that "localhost:8889" is not told something about an unknown scheme "localhost".
        if !text.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("obrolan://")) {
            return Err(error("does not begin with obrolan://"));
        }
        let uri =
            Uri::parse(text).map_err(|_| error("is not one, or has characters that no URL may have"))?;
        if !matches!(uri.path().as_str(), "" | "/") || uri.query().is_some() || uri.fragment().is_some() {
            return Err(error("goes on after the port"));
        }
        let authority = uri.authority().ok_or_else(|| error("has no host"))?;
        let server = address(&authority).map_err(|why| error(&why))?;
        let (user, password) = match authority.userinfo() {
            None => (None, None),
            Some(userinfo) => match userinfo.split_once(':') {
                Some((user, password)) => (Some(user), Some(password)),
                None => (Some(userinfo), None),
            },
        };
        let user = user.map(decoded).transpose().map_err(|()| error("has a user that is not UTF-8"))?;
        if user.as_deref() == Some("") {
            return Err(error("has an empty user"));
        }
        let no_password = || error("has a password that is none");
        let password = match password {
            None => None,
            Some(password) => {
                let text = decoded(password).map_err(|()| no_password())?;
                Some(Password::new(&text).ok_or_else(no_password)?)
            }
        };
        Ok(Url { server, user, password })
    }
}

fn address(authority: &Authority<'_>) -> Result<Address, String> {
    let port = authority.port().map_or("", |port| port.as_str());
    let colon = if port.is_empty() { "" } else { ":" };
    Address::parse(&format!("{}{colon}{port}", authority.host()))
}

fn decoded<E: fluent_uri::pct_enc::Encoder>(text: &EStr<E>) -> Result<String, ()> {
    text.decode().to_string().map(|text| text.into_owned()).map_err(|_| ())
}

/// The URL without its password.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "obrolan://{}", self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_url() {
        for (text, server, user, password) in [
            ("obrolan://127.0.0.1", "127.0.0.1:8889", None, None),
            ("OBROLAN://localhost:7000/", "localhost:7000", None, None),
            ("obrolan://[::1]:7000", "[::1]:7000", None, None),
            ("obrolan://[::1]", "[::1]:8889", None, None),
            ("obrolan://ann@home", "home:8889", Some("ann"), None),
            ("obrolan://ann:secret99@home:1", "home:1", Some("ann"), Some("secret99")),
            ("obrolan://d%C3%A9d%C3%A9:a:b%2F@home", "home:8889", Some("d\u{e9}d\u{e9}"), Some("a:b/")),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.server.to_string(), server, "{text}");
            assert_eq!(url.user.as_deref(), user, "{text}");
            assert_eq!(url.password.as_ref().map(Password::expose), password, "{text}");
        }
    }

    #[test]
    fn what_is_no_url() {
        for (text, why) in [
            ("", "does not begin with obrolan://"),
            ("localhost:8889", "does not begin with obrolan://"),
            ("http://localhost", "does not begin with obrolan://"),
            ("obrolan://", "has no host"),
            ("obrolan://a b", "is not one, or has characters that no URL may have"),
            ("obrolan://ann:p@ss@home", "is not one, or has characters that no URL may have"),
            ("obrolan://home:99999", "has a port that is not from 0 to 65535"),
            ("obrolan://home/chat", "goes on after the port"),
            ("obrolan://home?tls", "goes on after the port"),
            ("obrolan://:secret@home", "has an empty user"),
            ("obrolan://ann:@home", "has a password that is none"),
            ("obrolan://ann:%FF@home", "has a password that is none"),
            ("obrolan://%FF@home", "has a user that is not UTF-8"),
        ] {
            assert_eq!(Url::parse(text), Err(UrlError { why: why.to_owned() }), "{text:?}");
        }
    }

    #[test]
    fn passwords_do_not_show() {
        let url = Url::parse("obrolan://ann:secret99@home").unwrap();
        assert!(!format!("{url} {url:?}").contains("secret99"));
    }
}
