//! Names between GraphQL and SQL: words, camelCase, PascalCase, snake_case.
//!
//! Knows nothing of a schema; uniqueness is for the caller.

/// Returns the column that a field binds to by default: `artistId` is `artist_id`.
///
/// A run of capitals is one word: `userID` is `user_id`, `HTTPServer` is `http_server`.
pub(crate) fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (index, character) in characters.iter().enumerate() {
        if character.is_uppercase() && index > 0 {
            let previous = characters[index - 1];
            let next_is_lower = characters.get(index + 1).is_some_and(|next| next.is_lowercase());
            let starts_word = previous.is_lowercase() || previous.is_ascii_digit();
            if starts_word || (previous.is_uppercase() && next_is_lower) {
                snake.push('_');
            }
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

/// Returns what a referencing column is named after: `artist_id`, `fk_artist` and `artistId` are
/// named after `artist`; `None` when the name does not show it.
pub(crate) fn reference_stem(column: &str) -> Option<String> {
    let snake = words(column).join("_");
    let stem = ["_id", "_fk", "_uuid", "_pk"]
        .iter()
        .find_map(|suffix| snake.strip_suffix(suffix))
        .or_else(|| ["fk_", "id_"].iter().find_map(|prefix| snake.strip_prefix(prefix)))?;
    let stem = stem.strip_prefix("fk_").unwrap_or(stem);
    (!stem.is_empty()).then(|| stem.to_owned())
}

/// Returns a name in capitals: `emailAddress` is `EMAIL_ADDRESS`.
pub(crate) fn upper_snake_case(name: &str) -> String {
    snake_case(name).to_ascii_uppercase()
}

/// Returns the name with its first letter in upper case.
pub(crate) fn capitalised(name: &str) -> String {
    let mut characters = name.chars();
    match characters.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + characters.as_str(),
        None => String::new(),
    }
}

/// Returns the name with its first letter in lower case.
pub(crate) fn uncapitalised(name: &str) -> String {
    let mut characters = name.chars();
    match characters.next() {
        Some(first) => first.to_ascii_lowercase().to_string() + characters.as_str(),
        None => String::new(),
    }
}

/// Returns any SQL identifier as a lower-camel GraphQL name; `fallback` when nothing is left of it.
pub(crate) fn camel_case(identifier: &str, fallback: &str) -> String {
    let mut name = String::new();
    for word in words(identifier) {
        if name.is_empty() {
            name.push_str(&word);
        } else {
            name.push_str(&capitalised(&word));
        }
    }
    valid(name, fallback)
}

/// Returns any SQL identifier as an upper-camel GraphQL name; `fallback` when nothing is left of it.
pub(crate) fn pascal_case(identifier: &str, fallback: &str) -> String {
    let name = words(identifier).iter().map(|word| capitalised(word)).collect();
    valid(name, fallback)
}

/// Returns true for what GraphQL takes as a name and does not keep for itself.
pub(crate) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text.starts_with("__")
}

/// Returns the words of an identifier in lower case, in ASCII.
///
/// Words end at anything that is no letter or digit, and before a capital that follows a small letter.
pub(crate) fn words(identifier: &str) -> Vec<String> {
    let mut words = Vec::new();
    for part in ascii(identifier).split(|c: char| !c.is_ascii_alphanumeric()) {
        words.extend(snake_case(part).split('_').filter(|word| !word.is_empty()).map(str::to_owned));
    }
    words
}

fn valid(name: String, fallback: &str) -> String {
    match name.bytes().next() {
        None => fallback.to_owned(),
        Some(first) if first.is_ascii_digit() => format!("_{name}"),
        Some(_) => name,
    }
}

/// Spells letters of Latin alphabets in ASCII; every other character becomes `u` and its code point.
fn ascii(identifier: &str) -> String {
    let mut text = String::with_capacity(identifier.len());
    for character in identifier.chars() {
        if character.is_ascii() {
            text.push(character);
        } else if let Some(spelling) = latin(character) {
            text.push_str(spelling);
        } else if character.is_alphanumeric() {
            text.push_str(&format!(" u{:x} ", u32::from(character)));
        } else {
            text.push(' ');
        }
    }
    text
}

fn latin(character: char) -> Option<&'static str> {
    Some(match character {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'À' | 'Á' | 'Â' | 'Ã' | 'Å' | 'Ā' | 'Ă' | 'Ą' => "A",
        'ä' | 'æ' => "ae",
        'Ä' | 'Æ' => "Ae",
        'ç' | 'ć' | 'č' => "c",
        'Ç' | 'Ć' | 'Č' => "C",
        'ď' | 'đ' | 'ð' => "d",
        'Ď' | 'Đ' | 'Ð' => "D",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'È' | 'É' | 'Ê' | 'Ë' | 'Ē' | 'Ę' | 'Ě' => "E",
        'ğ' => "g",
        'Ğ' => "G",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'Ì' | 'Í' | 'Î' | 'Ï' | 'Ī' | 'İ' => "I",
        'ł' => "l",
        'Ł' => "L",
        'ñ' | 'ń' | 'ň' => "n",
        'Ñ' | 'Ń' | 'Ň' => "N",
        'ò' | 'ó' | 'ô' | 'õ' | 'ō' | 'ø' | 'ő' => "o",
        'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ō' | 'Ø' | 'Ő' => "O",
        'ö' | 'œ' => "oe",
        'Ö' | 'Œ' => "Oe",
        'ř' => "r",
        'Ř' => "R",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'Ś' | 'Š' | 'Ş' | 'Ș' => "S",
        'ß' => "ss",
        'ť' | 'ț' => "t",
        'Ť' | 'Ț' => "T",
        'þ' => "th",
        'Þ' => "Th",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' => "u",
        'Ù' | 'Ú' | 'Û' | 'Ū' | 'Ů' | 'Ű' => "U",
        'ü' => "ue",
        'Ü' => "Ue",
        'ý' | 'ÿ' => "y",
        'Ý' | 'Ÿ' => "Y",
        'ź' | 'ż' | 'ž' => "z",
        'Ź' | 'Ż' | 'Ž' => "Z",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_find_their_columns() {
        for (field, column) in [
            ("artistId", "artist_id"),
            ("userID", "user_id"),
            ("HTTPServer", "http_server"),
            ("address2Line", "address2_line"),
            ("a", "a"),
            ("_hidden", "_hidden"),
            ("x_y", "x_y"),
        ] {
            assert_eq!(snake_case(field), column);
        }
    }

    #[test]
    fn any_identifier_becomes_a_name() {
        for (identifier, name) in [
            ("artist_id", "artistId"),
            ("User Name", "userName"),
            ("USER_NAME", "userName"),
            ("fooBar", "fooBar"),
            ("userID", "userId"),
            ("2fa", "_2fa"),
            ("__x", "x"),
            ("größe", "groesse"),
            ("名前", "u540dU524d"),
            ("%&$", "column"),
            ("", "column"),
            ("select", "select"),
        ] {
            assert_eq!(camel_case(identifier, "column"), name);
            assert!(is_name(name), "{name}");
        }
    }
}
