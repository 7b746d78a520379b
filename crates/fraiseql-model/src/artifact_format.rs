//! Looks at the format of an artifact of any version, and at nothing else in it.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// Returns the `format` of a document, `None` when there is none that is a whole number.
///
/// Reads the document to its end, so that one that was cut short is an error, and keeps none of it.
pub(crate) fn format_of(bytes: &[u8]) -> Result<Option<u64>, serde_json::Error> {
    let mut document = serde_json::Deserializer::from_slice(bytes);
    let format = document.deserialize_map(Head)?;
    document.end()?;
    Ok(format)
}

/// Returns what the parser met, without the place, which is told beside it.
pub(crate) fn reason_without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

struct Head;

impl<'de> Visitor<'de> for Head {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an artifact")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut format = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == "format" {
                format = map.next_value::<Value>()?.as_u64();
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(format)
    }
}
