//! Global ids: which row of which type, in a text that clients do not look into.
//!
//! Version `1` is the character 1, then the name of the type and the text of each key column, each as
//! its number of characters, a colon, and itself; all of that in base64url without padding (RFC 4648,
//! section 5). PostgreSQL writes it, this module reads it.

use fraiseql_model::names::quote_literal;

use crate::schema::{Object, column_sql};

const VERSION: char = '1';
/// Bytes of a global id that are looked at: no key of ours is longer.
const LENGTH_MAX: usize = 8_192;

/// Returns the global id of a row as SQL; NULL where part of the key is NULL.
pub(crate) fn global_id(object: &Object, base: &str) -> String {
    let start = format!("{VERSION}{}:{}", object.name.chars().count(), object.name);
    let mut text = format!("{}::pg_catalog.text", quote_literal(&start));
    for key in &object.key {
        let value = format!("{}::pg_catalog.text", column_sql(base, &key.column));
        text.push_str(&format!(" || length({value})::pg_catalog.text || ':' || {value}"));
    }
    format!("translate(encode(convert_to({text}, 'UTF8'), 'base64'), E'+/=\\n', '-_')")
}

/// A global id, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GlobalId {
    pub(crate) type_name: String,
    pub(crate) key: Vec<String>,
}

/// Reads what [`global_id`] wrote; `None` for anything else, be it one character off.
pub(crate) fn read(id: &str) -> Option<GlobalId> {
    let Ok(text) = String::from_utf8(decode(id)?) else { return None };
    let mut parts = Vec::new();
    let mut rest = text.strip_prefix(VERSION)?;
    while !rest.is_empty() {
        let (count, tail) = rest.split_once(':')?;
        let length = match count.parse::<usize>() {
            Ok(length) if length.to_string() == count => length,
            _ => return None,
        };
        let end = match tail.char_indices().nth(length) {
            Some((end, _)) => end,
            None if tail.chars().count() == length => tail.len(),
            None => return None,
        };
        parts.push(tail[..end].to_owned());
        rest = &tail[end..];
    }
    let mut parts = parts.into_iter();
    let type_name = parts.next()?;
    let key: Vec<String> = parts.collect();
    // PostgreSQL's text has no NUL.
    let clean = !key.is_empty() && !text.contains('\0');
    clean.then_some(GlobalId { type_name, key })
}

fn decode(id: &str) -> Option<Vec<u8>> {
    if id.len() > LENGTH_MAX || id.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(id.len());
    let mut buffer: u32 = 0;
    let mut bits = 0;
    for byte in id.bytes() {
        buffer = ((buffer << 6) | u32::from(value(byte)?)) & 0xfff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).ok()?);
        }
    }
    // Bits that encode nothing are zero, else two ids would mean one row.
    (buffer & ((1 << bits) - 1) == 0).then_some(bytes)
}

fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: &str, expected: Option<(&str, &[&str])>) {
        let expected = expected.map(|(type_name, key)| GlobalId {
            type_name: type_name.to_owned(),
            key: key.iter().map(|part| (*part).to_owned()).collect(),
        });
        assert_eq!(read(id), expected);
    }

    #[test]
    fn what_was_written_is_read() {
        // 15:Album1:7
        check("MTU6QWxidW0xOjc", Some(("Album", &["7"])));
        // 13:Tag2:a:0:
        check("MTM6VGFnMjphOjA6", Some(("Tag", &["a:", ""])));
        // 11:T2:äö
        check("MTE6VDI6w6TDtg", Some(("T", &["äö"])));
    }

    #[test]
    fn anything_else_is_refused() {
        for id in
            ["", "MQ", "7", "MTU6QWxidW0xOjc=", "MTU6QWxidW0xOjd", "MjU6QWxidW0xOjc", "MTU6QWxidW0", "%"]
        {
            check(id, None);
        }
        // A count with a sign or a zero before it, one that is too long, one that is missing.
        for id in ["MSs1OkFsYnVtMTo3", "MTA1OkFsYnVtMTo3", "MTk6QWxidW0xOjc", "MTU6QWxidW0xNw"] {
            check(id, None);
        }
    }
}
