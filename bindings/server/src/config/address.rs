//! `HOST:PORT`, as people write it.

use std::{
    fmt, io,
    net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    vec,
};

/// A host and a port: where a server listens or is reached.
///
/// The host is an IP address or a name. A name is looked up only when the address is used, through
/// [`ToSocketAddrs`], so `TcpListener::bind(&address)` and `TcpStream::connect(&address)` work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// The port of the protocol (section 1).
    pub const DEFAULT_PORT: u16 = 8889;

    /// Reads `HOST`, `HOST:PORT`, `[IPV6]:PORT` or a bare IPv6 address; without a port it is
    /// [`DEFAULT_PORT`](Self::DEFAULT_PORT). The error continues a sentence that begins with the text.
    pub fn parse(text: &str) -> Result<Address, String> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) if is_ipv6(host) => (host, None),
            Some((host, rest)) if is_ipv6(host) && rest.starts_with(':') => (host, Some(&rest[1..])),
            None if is_ipv6(text) => (text, None),
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
            Some(_) => return Err("has no IPv6 address in its brackets".to_owned()),
        };
        if host.is_empty() {
            return Err("has no host".to_owned());
        }
        let in_hosts = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !is_ipv6(host) && !host.chars().all(in_hosts) {
            return Err("has a host that is neither an IP address nor a name".to_owned());
        }
        let port = match port {
            None => Address::DEFAULT_PORT,
            // `u16::from_str` would also take "+5".
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| "has a port that is not from 0 to 65535".to_owned())?
            }
            Some(_) => return Err("has a port that is not a number".to_owned()),
        };
        Ok(Address { host: host.to_owned(), port })
    }

    /// The host, IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; when listening, 0 lets the system choose one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is certain, without looking a name up, that only this machine is meant.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback(),
            // RFC 6761, section 6.3: these never leave the machine.
            Err(_) => {
                let name = self.host.to_ascii_lowercase();
                name == "localhost" || name.ends_with(".localhost")
            }
        }
    }
}

impl Default for Address {
    /// `127.0.0.1:8889`: reachable from this machine alone.
    fn default() -> Address {
        Address { host: "127.0.0.1".to_owned(), port: Address::DEFAULT_PORT }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl ToSocketAddrs for Address {
    type Iter = vec::IntoIter<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        (self.host.as_str(), self.port).to_socket_addrs()
    }
}

/// Whether `host` is an IPv6 address, with or without a zone (`fe80::1%eth0`).
fn is_ipv6(host: &str) -> bool {
    let (address, zone) = host.split_once('%').unwrap_or((host, "0"));
    address.parse::<Ipv6Addr>().is_ok()
        && !zone.is_empty()
        && zone.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_an_address() {
        for (text, host, port) in [
            ("127.0.0.1:0", "127.0.0.1", 0),
            ("chat.example.org", "chat.example.org", 8889),
            ("chat.example.org:65535", "chat.example.org", 65535),
            ("[::1]:7000", "::1", 7000),
            ("[::1]", "::1", 8889),
            ("::1", "::1", 8889),
            ("[fe80::1%eth0]:1", "fe80::1%eth0", 1),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.host(), address.port()), (host, port), "{text}");
            assert_eq!(Address::parse(&address.to_string()), Ok(address), "{text}: shown and read again");
        }
    }

    #[test]
    fn what_is_no_address() {
        for (text, why) in [
            ("", "has no host"),
            (":8889", "has no host"),
            ("[]:1", "has no IPv6 address in its brackets"),
            ("[::1", "has a host that is neither an IP address nor a name"),
            ("[::1]8", "has no IPv6 address in its brackets"),
            ("a b", "has a host that is neither an IP address nor a name"),
            ("*:8889", "has a host that is neither an IP address nor a name"),
            ("bob@home", "has a host that is neither an IP address nor a name"),
            ("home:65536", "has a port that is not from 0 to 65535"),
            ("home:", "has a port that is not from 0 to 65535"),
            ("home:+1", "has a port that is not a number"),
            ("home:http", "has a port that is not a number"),
        ] {
            assert_eq!(Address::parse(text), Err(why.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn a_name_counts_as_loopback_only_when_it_is_certain() {
        for (text, loopback) in [
            ("127.0.0.1", true),
            ("127.8.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("LocalHost", true),
            ("chat.localhost", true),
            ("0.0.0.0", false),
            ("::", false),
            ("192.168.1.5", false),
            ("mylocalhost", false),
            ("chat.example.org", false),
        ] {
            assert_eq!(Address::parse(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }

    #[test]
    fn an_address_can_be_bound() {
        let listener = std::net::TcpListener::bind(Address::parse("localhost:0").unwrap()).unwrap();
        assert!(listener.local_addr().unwrap().ip().is_loopback());
    }
}
