//! Structured requests in the plainest way: what an object says, read without the table of its parser.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// The members of an object in their order, repeated ones too.
pub(super) struct Members(pub(super) Vec<(String, Member)>);

/// A member's value.
pub(super) enum Member {
    /// A text, a number, a truth value or null.
    Plain(Value),
    /// A list or an object, which no request has a use for.
    Nested,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Member, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Member, E> {
                Ok(Member::Plain(text.into()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Member, E> {
                Ok(Member::Plain(number.into()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Member, E> {
                Ok(Member::Plain(number.into()))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Member, E> {
                Ok(Member::Plain(number.into()))
            }

            fn visit_bool<E: Error>(self, truth: bool) -> Result<Member, E> {
                Ok(Member::Plain(truth.into()))
            }

            fn visit_unit<E: Error>(self) -> Result<Member, E> {
                Ok(Member::Plain(Value::Null))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Member, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Member::Nested)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Member::Nested)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// Whether a tag or a dedupe key may be this text.
pub(super) fn is_short(text: &str) -> bool {
    (1..=64).contains(&text.len())
}

/// The tag that the response to a line repeats, if it is an object with one.
pub(super) fn tag(line: &[u8]) -> Option<Value> {
    let Members(members) = serde_json::from_slice(line).ok()?;
    let mut tags = members.into_iter().filter(|(name, _)| name == "tag").map(|(_, value)| value);
    match (tags.next()?, tags.next()) {
        (Member::Plain(tag), None) if tag.is_u64() || tag.as_str().is_some_and(is_short) => Some(tag),
        _ => None,
    }
}
