//! Reads the settings from where they are given, in the order of precedence: file, environment, flags.

use std::{collections::BTreeMap, ffi::OsString, fmt, fs, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{SECTIONS, SETTINGS, ServerConfig, Setting, value::Raw};

/// Environment variables of ours that are no settings.
const OTHER_VARIABLES: [&str; 3] = ["OBROLAN_CONFIG", "OBROLAN_PASSWORD", "OBROLAN_URL"];

/// A configuration and what there is to say about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration in force.
    pub config: ServerConfig,
    /// The settings that were given, by key, each with where it was given: `obrolan.toml:3:10`, `OBROLAN_LISTEN`
    /// or `--listen`.
    pub given: BTreeMap<&'static str, String>,
    /// For people: what is probably a mistake.
    pub warnings: Vec<String>,
}

/// Why a configuration is refused: everything that is wrong with it, a line each, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// Reads the configuration from `file`, if there is one, then `environment`, then `flags`, pairs of a setting's key
/// and its value. The later wins, and what none of them sets has its default.
///
/// Environment variables that do not begin with `OBROLAN_` are skipped; others that are unknown give a warning.
pub fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (OsString, OsString)>,
    flags: &[(&'static str, String)],
) -> Result<Loaded, ConfigError> {
    let mut loader = Loader::default();
    if let Some(path) = file {
        match fs::read_to_string(path) {
            Ok(text) => loader.file(&text, &path.display().to_string()),
            Err(error) => loader.problems.push(format!(
                "{}: cannot read this configuration file ({error}); check the path, or start without --config and \
                 OBROLAN_CONFIG",
                path.display()
            )),
        }
    }
    loader.environment(environment);
    for (key, value) in flags {
        let setting =
            SETTINGS.iter().find(|setting| setting.key == *key).expect("flags are made from the settings");
        loader.set(setting, &Raw::Plain(value), format!("--{}", setting.flag()), false);
    }
    loader.finish()
}

pub(super) fn from_toml(text: &str, source_name: &str) -> Result<ServerConfig, ConfigError> {
    let mut loader = Loader::default();
    loader.file(text, source_name);
    loader.finish().map(|loaded| loaded.config)
}

#[derive(Default)]
struct Loader {
    config: ServerConfig,
    given: BTreeMap<&'static str, String>,
    warnings: Vec<String>,
    problems: Vec<String>,
}

impl Loader {
    fn set(&mut self, setting: &'static Setting, raw: &Raw<'_>, place: String, name_the_key: bool) {
        match (setting.set)(&mut self.config, raw, &setting.example()) {
            Ok(()) => {
                self.given.insert(setting.key, place);
            }
            Err(why) => {
                let key = if name_the_key { format!("{}: ", setting.key) } else { String::new() };
                self.problem(&place, &format!("{key}{raw} {why}"));
            }
        }
    }

    fn problem(&mut self, place: &str, what: &str) {
        let separator = if place.is_empty() { "" } else { ": " };
        self.problems.push(format!("{place}{separator}{what}"));
    }

    fn file(&mut self, text: &str, source: &str) {
        // A byte order mark, as some editors write, is no part of the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let place = |offset: usize| {
            if source.is_empty() {
                return String::new();
            }
            let before = &text[..offset];
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let (line, column) = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
            format!("{source}:{line}:{column}")
        };
        let document = match DeTable::parse(text) {
            Ok(document) => document,
            Err(error) => {
                let at = place(error.span().map_or(0, |span| span.start));
                self.problem(&at, &format!("this is not TOML: {}", error.message()));
                return;
            }
        };
        for (key, value) in in_order(document.get_ref()) {
            let (name, at) = (key.get_ref().as_ref(), place(key.span().start));
            let is_section = SECTIONS.iter().any(|(section, _)| *section == name);
            match value.get_ref() {
                DeValue::Table(table) if is_section => {
                    for (key, value) in in_order(table) {
                        let full = format!("{name}.{}", key.get_ref());
                        self.entry(
                            &full,
                            place(key.span().start),
                            value.get_ref(),
                            place(value.span().start),
                        );
                    }
                }
                _ if is_section => self.problem(&at, &format!("{name} is a section; write [{name}]")),
                other => self.entry(name, at, other, place(value.span().start)),
            }
        }
    }

    fn entry(&mut self, key: &str, key_place: String, value: &DeValue<'_>, value_place: String) {
        match SETTINGS.iter().find(|setting| setting.key == key) {
            Some(setting) => self.set(setting, &Raw::Toml(value), value_place, true),
            None => {
                self.problem(&key_place, &format!("unknown key \"{}\"{}", key.escape_debug(), advice(key)));
            }
        }
    }

    fn environment(&mut self, environment: impl Iterator<Item = (OsString, OsString)>) {
        for (name, value) in environment {
            let Some(name) = name.to_str().filter(|name| name.starts_with("OBROLAN_")) else { continue };
            match (SETTINGS.iter().find(|setting| setting.env() == name), value.to_str()) {
                (Some(setting), Some(value)) => self.set(setting, &Raw::Plain(value), name.to_owned(), false),
                (Some(_), None) => {
                    self.problems.push(format!("{name}: this is not UTF-8; give it as UTF-8 text"))
                }
                (None, _) if OTHER_VARIABLES.contains(&name) => {}
                (None, _) => {
                    let known: Vec<String> =
                        SETTINGS.iter().map(Setting::env).chain(OTHER_VARIABLES.map(str::to_owned)).collect();
                    let suggestion = closest(name, known.iter().map(String::as_str));
                    self.warnings.push(format!(
                        "the environment variable {} is not known and does nothing{}",
                        name.escape_debug(),
                        suggestion.map(|known| format!("; did you mean {known}?")).unwrap_or_default()
                    ));
                }
            }
        }
    }

    fn finish(self) -> Result<Loaded, ConfigError> {
        if self.problems.is_empty() {
            Ok(Loaded { config: self.config, given: self.given, warnings: self.warnings })
        } else {
            Err(ConfigError { problems: self.problems })
        }
    }
}

type Entry<'a, 'i> = (&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>);

/// The entries of a table as they stand in the file; the table itself keeps them by name.
fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<Entry<'a, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// What to do about an unknown key.
fn advice(key: &str) -> String {
    let name = key.rsplit('.').next().unwrap_or(key);
    // The right name under the wrong heading: TOML puts every key that follows a heading under it.
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.name() == name) {
        return match setting.section() {
            "" => format!("; \"{name}\" belongs at the top, before the first [section]"),
            section => format!("; \"{name}\" belongs under [{section}]"),
        };
    }
    let known =
        SETTINGS.iter().map(|setting| setting.key).chain(SECTIONS.iter().map(|(section, _)| *section));
    match closest(&key.replace('-', "_"), known) {
        Some(known) => format!("; did you mean \"{known}\"?"),
        None => "; \"obrolan serve --print-config\" shows all keys".to_owned(),
    }
}

/// The known name that `given` is probably a misspelling of.
fn closest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, name) = known
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= name.len()).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Registration, Size};

    fn toml_error(text: &str) -> String {
        ServerConfig::from_toml(text, "obrolan.toml").unwrap_err().to_string()
    }

    fn environment(pairs: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn errors_of_a_file_say_where_and_what_to_do() {
        for (text, error) in [
            ("\n\nlisen = \"a\"", r#"obrolan.toml:3:1: unknown key "lisen"; did you mean "listen"?"#),
            (
                "[limits]\n  conections = 5",
                r#"obrolan.toml:2:3: unknown key "limits.conections"; did you mean "limits.connections"?"#,
            ),
            (
                "[accounts]\nmin-password-length = 5",
                "obrolan.toml:2:1: unknown key \"accounts.min-password-length\"; did you mean \
                 \"accounts.min_password_length\"?",
            ),
            ("[limit]\nline = 5", r#"obrolan.toml:1:2: unknown key "limit"; did you mean "limits"?"#),
            (
                "[limits]\nlisten = \"a\"",
                r#"obrolan.toml:2:1: unknown key "limits.listen"; "listen" belongs at the top, before the first [section]"#,
            ),
            ("users = 5", r#"obrolan.toml:1:1: unknown key "users"; "users" belongs under [limits]"#),
            (
                "\"quite\\u001bunlike\" = 5",
                "obrolan.toml:1:1: unknown key \"quite\\u{1b}unlike\"; \"obrolan serve --print-config\" shows all keys",
            ),
            (
                "[limits]\nconnections = \"many\"",
                r#"obrolan.toml:2:15: limits.connections: "many" is not a number; give a whole number, e.g. 20000"#,
            ),
            (
                "limits.connections = \"20000\"",
                r#"obrolan.toml:1:22: limits.connections: "20000" is not a number; give a whole number, e.g. 20000"#,
            ),
            (
                "limits = { users = 0 }",
                "obrolan.toml:1:20: limits.users: 0 never means unlimited here; give a whole number, e.g. 1000000",
            ),
            (
                "accounts.min_password_length = -1",
                "obrolan.toml:1:32: accounts.min_password_length: -1 is negative; give a whole number, e.g. 8",
            ),
            ("limits = 5", "obrolan.toml:1:1: limits is a section; write [limits]"),
            (
                "accounts.registration = true",
                r#"obrolan.toml:1:25: accounts.registration: true is neither; give "open" or "closed""#,
            ),
            (
                "accounts.admins = \"messi\"",
                r#"obrolan.toml:1:19: accounts.admins: "messi" is not a list of names; give e.g. ["messi"]"#,
            ),
            (
                "é = 1",
                "obrolan.toml:1:1: this is not TOML: invalid unquoted key, expected letters, numbers, `-`, `_`",
            ),
            (
                "listen = \"[::1]:x\"",
                "obrolan.toml:1:10: listen: \"[::1]:x\" has a port that is not a number; give HOST:PORT, e.g. \
                 \"127.0.0.1:8889\", or \"0.0.0.0:8889\" for all networks of this machine",
            ),
        ] {
            assert_eq!(toml_error(text), error, "{text}");
        }
    }

    #[test]
    fn errors_of_a_text_without_a_name_have_no_place() {
        for (text, error) in [
            ("lisen = 'a'", r#"unknown key "lisen"; did you mean "listen"?"#),
            (
                "[limits]\nusers = 0",
                "limits.users: 0 never means unlimited here; give a whole number, e.g. 1000000",
            ),
            ("limits = 5", "limits is a section; write [limits]"),
        ] {
            assert_eq!(ServerConfig::from_toml(text, "").unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn all_errors_come_at_once_in_the_order_of_the_file() {
        let error = toml_error("# é\nstorage = 1\nlog = \"'é\"\n[accounts]\nadmins = [1]\nx = 1\n");
        let places: Vec<_> = error.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(
            places,
            ["obrolan.toml:2:11:", "obrolan.toml:3:7:", "obrolan.toml:5:10:", "obrolan.toml:6:1:"]
        );
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.toml");
        fs::write(
            &path,
            "data = \"file\"\n[accounts]\nregistration = \"closed\"\n[limits]\nline = 1\nusers = 1\n",
        )
        .unwrap();
        let loaded = load(
            Some(&path),
            environment(&[("OBROLAN_LIMITS_USERS", "2"), ("OBROLAN_LIMITS_LINE", "2 KiB"), ("LISTEN", "x")]),
            &[("limits.line", "3 KiB".to_owned())],
        )
        .unwrap();
        let config = loaded.config;
        assert_eq!(config.data, PathBuf::from("file"));
        assert_eq!(config.accounts.registration, Registration::Closed);
        assert_eq!((config.limits.users, config.limits.line), (2, Size(3 << 10)));
        assert_eq!(config.limits.connections, ServerConfig::default().limits.connections);
        assert_eq!(loaded.warnings, [""; 0]);

        assert_eq!(loaded.given["limits.line"], "--limits-line");
        assert_eq!(loaded.given["limits.users"], "OBROLAN_LIMITS_USERS");
        assert_eq!(loaded.given["data"], format!("{}:1:8", path.display()));
        assert!(!loaded.given.contains_key("listen"));
    }

    #[test]
    fn errors_name_the_variable_or_the_flag() {
        let flags = [("limits.session_idle", "5".to_owned())];
        let error = load(None, environment(&[("OBROLAN_LIMITS_CONNECTIONS", "many")]), &flags).unwrap_err();
        assert_eq!(
            error.to_string(),
            "OBROLAN_LIMITS_CONNECTIONS: \"many\" is not a number; give a whole number, e.g. 20000\n\
             --limits-session-idle: \"5\" has no unit; give a number and ms, s, m, h or d, e.g. \"30d\""
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        let error = load(Some(Path::new("/none/such.toml")), environment(&[]), &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("/none/such.toml: cannot read this configuration file (No such file"),
            "{error}"
        );
    }

    #[test]
    fn unknown_variables_of_ours_are_warned_about() {
        let given = environment(&[
            ("OBROLAN_LISEN", "x"),
            ("OBROLAN_SERVICE_PORT_TCP_ADDR", "x"),
            ("OBROLAN_URL", "x"),
            ("OBROLAN_PASSWORD", "x"),
            ("OBROLAN_CONFIG", "x"),
            ("OBROLAN_LOG", "debug"),
        ]);
        let loaded = load(None, given, &[]).unwrap();
        assert_eq!(
            loaded.warnings,
            [
                "the environment variable OBROLAN_LISEN is not known and does nothing; did you mean OBROLAN_LISTEN?",
                "the environment variable OBROLAN_SERVICE_PORT_TCP_ADDR is not known and does nothing",
            ]
        );
        assert_eq!(loaded.config.log.as_str(), "debug");
    }
}
