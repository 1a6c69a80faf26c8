//! One setting, and the macro that makes structs and table from one list of them.

use super::{ServerConfig, value::Raw};

/// What is known of one setting, whichever way it is given: its key in the file, its flag, its environment
/// variable, its help.
pub(crate) struct Setting {
    /// The key in the file: `listen`, `limits.line`.
    pub(crate) key: &'static str,
    /// What stands for a value in the help.
    pub(crate) form: &'static str,
    /// Its documentation, in lines as written.
    pub(crate) help: &'static str,
    /// A value in TOML for settings whose default is no good one.
    pub(crate) example: Option<&'static str>,
    /// The value in TOML, `None` if it is not set.
    pub(crate) get: fn(&ServerConfig) -> Option<String>,
    /// Understands a value and sets it; the error continues the sentence that the value begins.
    pub(crate) set: fn(&mut ServerConfig, &Raw<'_>, example: &str) -> Result<(), String>,
}

impl Setting {
    /// `limits`, or nothing for the settings that stand above the first section.
    pub(crate) fn section(&self) -> &'static str {
        self.key.split_once('.').map_or("", |(section, _)| section)
    }

    /// The key within its section.
    pub(crate) fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }

    /// The flag, without its dashes: `limits-line`.
    pub(crate) fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }

    /// The environment variable: `OBROLAN_LIMITS_LINE`.
    pub(crate) fn env(&self) -> String {
        format!("OBROLAN_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }

    /// The value in TOML that is in force when nothing else is said, `None` if there is none.
    pub(crate) fn default(&self) -> Option<String> {
        (self.get)(&ServerConfig::default())
    }

    /// A value in TOML, for errors and for the settings that are not set.
    pub(crate) fn example(&self) -> String {
        match self.example {
            Some(example) => example.to_owned(),
            None => self.default().unwrap_or_default(),
        }
    }

    /// The lines of its documentation.
    pub(crate) fn help_lines(&self) -> impl Iterator<Item = &'static str> {
        self.help.lines().map(str::trim)
    }
}

/// Makes, from one list, the documented struct of all settings, a struct for each section, their defaults, and
/// `SETTINGS` and `SECTIONS`, from which the file, the environment, the flags and the help are read.
macro_rules! settings {
    (
        $(#[doc = $config_doc:literal])+
        $config:ident {
            $(
                $(#[doc = $doc:literal])+
                $name:ident: $type:ty = $default:expr $(, like $example:literal)?;
            )+
        }
        $(
            $(#[doc = $section_doc:literal])+
            $section:ident: $section_type:ident {
                $(
                    $(#[doc = $inner_doc:literal])+
                    $inner:ident: $inner_type:ty = $inner_default:expr $(, like $inner_example:literal)?;
                )+
            }
        )+
    ) => {
        $(#[doc = $config_doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $config {
            $($(#[doc = $doc])+ pub $name: $type,)+
            $($(#[doc = $section_doc])+ pub $section: $section_type,)+
        }

        impl Default for $config {
            fn default() -> Self {
                $config { $($name: $default,)+ $($section: $section_type::default(),)+ }
            }
        }

        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $section_type {
                $($(#[doc = $inner_doc])+ pub $inner: $inner_type,)+
            }

            impl Default for $section_type {
                fn default() -> Self {
                    $section_type { $($inner: $inner_default,)+ }
                }
            }
        )+

        /// Every section's name and documentation.
        pub(crate) const SECTIONS: &[(&str, &str)] =
            &[$((stringify!($section), concat!($($section_doc, "\n"),+))),+];

        /// Every setting, section by section.
        pub(crate) const SETTINGS: &[Setting] = &[
            $(Setting {
                key: stringify!($name),
                form: <$type as Value>::FORM,
                help: concat!($($doc, "\n"),+),
                example: settings!(@example $($example)?),
                get: |config| config.$name.to_toml(),
                set: |config, raw, example| Value::read(raw, example).map(|value| config.$name = value),
            },)+
            $($(Setting {
                key: concat!(stringify!($section), ".", stringify!($inner)),
                form: <$inner_type as Value>::FORM,
                help: concat!($($inner_doc, "\n"),+),
                example: settings!(@example $($inner_example)?),
                get: |config| config.$section.$inner.to_toml(),
                set: |config, raw, example| Value::read(raw, example).map(|value| config.$section.$inner = value),
            },)+)+
        ];
    };
    (@example) => { None };
    (@example $example:literal) => { Some($example) };
}
pub(super) use settings;
