//! The first lines of a server: what somebody who has just started one needs to know.

use std::{fmt::Write, net::SocketAddr, path::Path};

use crate::{config::Name, server::reachable};

/// What the first lines tell of.
pub(super) struct Facts<'a> {
    /// Where clients connect to.
    pub(super) address: SocketAddr,
    pub(super) kept: Kept<'a>,
    /// How many accounts there are.
    pub(super) accounts: usize,
    pub(super) registration_open: bool,
    /// The admins of the configuration.
    pub(super) admins: &'a [Name],
}

/// Where everything is kept.
pub(super) enum Kept<'a> {
    Memory,
    Folder { path: &'a Path, created: bool },
}

/// The lines, each ended.
pub(super) fn banner(facts: &Facts<'_>) -> String {
    let mut out = format!("obrolan {}\n", env!("CARGO_PKG_VERSION"));
    let mut line =
        |label: &str, text: &str| writeln!(out, "{label:<10}{text}").expect("a String takes everything");

    line("listening", &facts.address.to_string());
    let ip = facts.address.ip().to_canonical();
    if ip.is_loopback() {
        let port = facts.address.port();
        line("reach", &format!("this machine alone; to let others in: --listen 0.0.0.0:{port}"));
    } else if ip.is_unspecified() {
        line("reach", "everyone on any network of this machine");
    } else {
        line("reach", &format!("everyone who can reach {ip}"));
    }
    match facts.kept {
        Kept::Memory => line("storage", "memory: accounts and messages are gone when the server stops"),
        Kept::Folder { path, created: true } => line("storage", &format!("{}, created now", path.display())),
        Kept::Folder { path, created: false } => line("storage", &format!("{}, opened", path.display())),
    }
    line("accounts", &accounts(facts));
    if !ip.is_loopback() {
        line(
            "WARNING",
            "Passwords and messages cross the network unencrypted; anyone on their way can read them.",
        );
        line(
            "",
            "Stay within a network you trust, or listen on 127.0.0.1 and let people in through a VPN, an SSH",
        );
        line("", "tunnel or a TLS proxy.");
    }
    if !ip.is_loopback() && facts.registration_open {
        line("WARNING", "Registration is open: anyone who can connect can make an account.");
        if facts.accounts == 0 && facts.admins.is_empty() {
            line(
                "",
                "The first account becomes the admin: make yours before you let others know of the server.",
            );
        }
        line("", "--accounts-registration closed leaves further accounts to admins.");
    }
    let register = if facts.accounts == 0 { "--register " } else { "" };
    line(
        "next",
        &format!("obrolan chat {register}NAME@{}   (in another terminal)", reachable(facts.address)),
    );
    line("stop", "Ctrl-C");
    out
}

fn accounts(facts: &Facts<'_>) -> String {
    let count = match facts.accounts {
        0 => "none yet".to_owned(),
        count => count.to_string(),
    };
    let names: Vec<_> = facts.admins.iter().map(Name::as_str).collect();
    match (facts.accounts, names.is_empty()) {
        (0, true) => format!("{count}; the first to register becomes the admin"),
        (0, false) => format!("{count}; admin is who registers as {}", names.join(" or ")),
        _ => count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(
        address: &str,
        kept: Kept<'_>,
        accounts: usize,
        registration_open: bool,
        admins: &[&str],
    ) -> String {
        let admins: Vec<_> = admins.iter().map(|name| Name::new(name).unwrap()).collect();
        let address = address.parse().unwrap();
        let text = banner(&Facts { address, kept, accounts, registration_open, admins: &admins });
        let (version, rest) = text.split_once('\n').unwrap();
        assert_eq!(version, concat!("obrolan ", env!("CARGO_PKG_VERSION")));
        rest.to_owned()
    }

    const FOLDER: &str = "/srv/obrolan-data";

    #[test]
    fn a_first_start_on_this_machine() {
        let kept = Kept::Folder { path: Path::new(FOLDER), created: true };
        assert_eq!(
            lines("127.0.0.1:7000", kept, 0, true, &[]),
            "\
listening 127.0.0.1:7000
reach     this machine alone; to let others in: --listen 0.0.0.0:7000
storage   /srv/obrolan-data, created now
accounts  none yet; the first to register becomes the admin
next      obrolan chat --register NAME@127.0.0.1:7000   (in another terminal)
stop      Ctrl-C
"
        );
    }

    #[test]
    fn a_later_start_on_this_machine() {
        let kept = Kept::Folder { path: Path::new(FOLDER), created: false };
        assert_eq!(
            lines("[::1]:8889", kept, 12, true, &["ann"]),
            "\
listening [::1]:8889
reach     this machine alone; to let others in: --listen 0.0.0.0:8889
storage   /srv/obrolan-data, opened
accounts  12
next      obrolan chat NAME@[::1]:8889   (in another terminal)
stop      Ctrl-C
"
        );
    }

    #[test]
    fn a_first_start_open_to_all_networks() {
        assert_eq!(
            lines("0.0.0.0:8889", Kept::Memory, 0, true, &[]),
            "\
listening 0.0.0.0:8889
reach     everyone on any network of this machine
storage   memory: accounts and messages are gone when the server stops
accounts  none yet; the first to register becomes the admin
WARNING   Passwords and messages cross the network unencrypted; anyone on their way can read them.
          Stay within a network you trust, or listen on 127.0.0.1 and let people in through a VPN, an SSH
          tunnel or a TLS proxy.
WARNING   Registration is open: anyone who can connect can make an account.
          The first account becomes the admin: make yours before you let others know of the server.
          --accounts-registration closed leaves further accounts to admins.
next      obrolan chat --register NAME@127.0.0.1:8889   (in another terminal)
stop      Ctrl-C
"
        );
    }

    #[test]
    fn one_network_closed_registration() {
        assert_eq!(
            lines("192.168.1.5:8889", Kept::Memory, 3, false, &[]),
            "\
listening 192.168.1.5:8889
reach     everyone who can reach 192.168.1.5
storage   memory: accounts and messages are gone when the server stops
accounts  3
WARNING   Passwords and messages cross the network unencrypted; anyone on their way can read them.
          Stay within a network you trust, or listen on 127.0.0.1 and let people in through a VPN, an SSH
          tunnel or a TLS proxy.
next      obrolan chat NAME@192.168.1.5:8889   (in another terminal)
stop      Ctrl-C
"
        );
    }

    #[test]
    fn admins_of_the_configuration_are_named_until_there_are_accounts() {
        let text = lines("[::]:8889", Kept::Memory, 0, true, &["ann", "bob"]);
        assert!(text.contains("\naccounts  none yet; admin is who registers as ann or bob\n"), "{text}");
        assert!(!text.contains("The first account"), "{text}");
        assert!(text.contains("NAME@[::1]:8889 "), "{text}");
    }
}
