//! The configuration as a file a person can read and change.

use std::fmt::Write;

use super::{SECTIONS, SETTINGS, ServerConfig};

pub(super) fn to_toml(config: &ServerConfig) -> String {
    let mut out = String::from(
        "# The settings of \"obrolan serve\". Each is also an environment variable and a flag;\n",
    );
    out.push_str("# a flag wins over the environment, and that over this file.\n");
    let mut section = "";
    for setting in SETTINGS {
        if setting.section() != section {
            section = setting.section();
            out.push('\n');
            let about = SECTIONS.iter().find(|(name, _)| *name == section).map_or("", |(_, about)| about);
            comment(&mut out, about.lines());
            writeln!(out, "[{section}]").expect("a String takes everything");
        }
        out.push('\n');
        comment(&mut out, setting.help_lines());
        let default = setting.default().map(|default| format!("; default {default}")).unwrap_or_default();
        let (env, flag, name) = (setting.env(), setting.flag(), setting.name());
        let line = match (setting.get)(config) {
            Some(value) => format!("{name} = {value}"),
            None => format!("# {name} = {}", setting.example()),
        };
        writeln!(out, "# {env}, --{flag}{default}\n{line}").expect("a String takes everything");
    }
    out
}

fn comment<'a>(out: &mut String, lines: impl Iterator<Item = &'a str>) {
    for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
        writeln!(out, "# {line}").expect("a String takes everything");
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::*;
    use crate::config::{Address, Name, Registration, Size, Storage};

    #[test]
    fn what_is_printed_reads_back_equal() {
        let mut config = ServerConfig::default();
        assert_eq!(ServerConfig::from_toml(&config.to_toml(), "printed"), Ok(config.clone()));

        config.listen = Address::parse("[::1]:1").unwrap();
        config.data = PathBuf::from("a \"quoted\" \\ path\n'''");
        config.storage = Storage::Memory;
        config.ready_file = Some(PathBuf::from("r"));
        config.accounts.registration = Registration::Closed;
        config.accounts.min_password_length = Some(12);
        config.accounts.admins = ["messi", "o'\"neil\\"].map(|name| Name::new(name).unwrap()).into();
        config.accounts.throttle_loopback = true;
        config.limits.line = Size(1_000_001);
        config.limits.session_idle = Duration::from_millis(1_500);
        assert_eq!(ServerConfig::from_toml(&config.to_toml(), "printed"), Ok(config));
    }

    #[test]
    fn each_setting_is_printed_with_its_other_names() {
        let printed = ServerConfig::default().to_toml();
        let line = concat!(
            "\n# The longest request line of a connection that has a session.\n",
            "# OBROLAN_LIMITS_LINE, --limits-line; default \"1 MiB\"\n",
            "line = \"1 MiB\"\n"
        );
        assert!(printed.contains(line), "{printed}");
        assert!(printed.contains("--ready-file\n# ready_file = \"obrolan.ready\"\n"), "{printed}");
    }
}
