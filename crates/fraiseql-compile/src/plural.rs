//! English plurals and singulars of table and type names, good enough for API names.
//!
//! A wrong guess is a matter of taste, never of correctness: the author can rename everything.

/// Nouns whose plural no rule gives, as (singular, plural).
const IRREGULAR: &[(&str, &str)] = &[
    ("alumnus", "alumni"),
    ("analysis", "analyses"),
    ("axis", "axes"),
    ("basis", "bases"),
    ("cactus", "cacti"),
    ("child", "children"),
    ("crisis", "crises"),
    ("criterion", "criteria"),
    ("curriculum", "curricula"),
    ("datum", "data"),
    ("diagnosis", "diagnoses"),
    ("foot", "feet"),
    ("goose", "geese"),
    ("half", "halves"),
    ("hero", "heroes"),
    ("hypothesis", "hypotheses"),
    ("index", "indexes"),
    ("knife", "knives"),
    ("leaf", "leaves"),
    ("life", "lives"),
    ("louse", "lice"),
    ("man", "men"),
    ("matrix", "matrices"),
    ("menu", "menus"),
    ("mouse", "mice"),
    ("ox", "oxen"),
    ("person", "people"),
    ("phenomenon", "phenomena"),
    ("potato", "potatoes"),
    ("quiz", "quizzes"),
    ("self", "selves"),
    ("shelf", "shelves"),
    ("synthesis", "syntheses"),
    ("thesis", "theses"),
    ("tomato", "tomatoes"),
    ("tooth", "teeth"),
    ("vertex", "vertices"),
    ("wife", "wives"),
    ("wolf", "wolves"),
    ("woman", "women"),
];

/// Nouns that have no plural of their own, or whose plural looks the same.
const UNCHANGED: &[&str] = &[
    "advice",
    "audio",
    "bison",
    "deer",
    "equipment",
    "evidence",
    "feedback",
    "fish",
    "furniture",
    "hardware",
    "info",
    "information",
    "knowledge",
    "luggage",
    "means",
    "media",
    "merchandise",
    "metadata",
    "moose",
    "money",
    "music",
    "news",
    "offspring",
    "payroll",
    "police",
    "rice",
    "salmon",
    "series",
    "sheep",
    "shrimp",
    "software",
    "species",
    "staff",
    "swine",
    "traffic",
    "weather",
];

/// Words in -s that are singular although no rule says so.
const SINGULAR_IN_S: &[&str] = &[
    "alias", "atlas", "bias", "bonus", "bus", "campus", "canvas", "census", "chaos", "chorus", "circus",
    "corpus", "cosmos", "focus", "gas", "genius", "iris", "lens", "minus", "nexus", "plus", "radius",
    "status", "surplus", "virus",
];

/// Returns the plural of a name in camelCase, by its last word.
pub(crate) fn plural(name: &str) -> String {
    with_last_word(name, plural_word)
}

/// Returns the singular of a name in camelCase, by its last word.
pub(crate) fn singular(name: &str) -> String {
    with_last_word(name, singular_word)
}

/// Returns the plural, or the name with `Many` behind it when the plural looks the same.
pub(crate) fn plural_or_many(name: &str) -> String {
    let plural = plural(name);
    if plural == name { format!("{name}Many") } else { plural }
}

fn with_last_word(name: &str, change: impl Fn(&str) -> String) -> String {
    let last = name
        .char_indices()
        .filter(|(_, character)| character.is_ascii_uppercase() || *character == '_')
        .map(|(at, character)| if character == '_' { at + 1 } else { at })
        .next_back()
        .unwrap_or(0);
    let (head, word) = name.split_at(last);
    let lower = word.to_ascii_lowercase();
    let changed = change(&lower);
    if changed == lower {
        return name.to_owned();
    }
    let capital = word.starts_with(|first: char| first.is_ascii_uppercase());
    let changed = if capital { crate::casing::capitalised(&changed) } else { changed };
    format!("{head}{changed}")
}

fn plural_word(word: &str) -> String {
    if word.is_empty() || UNCHANGED.contains(&word) {
        return word.to_owned();
    }
    if let Some((_, plural)) = IRREGULAR.iter().find(|(singular, _)| *singular == word) {
        return (*plural).to_owned();
    }
    if singular_word(word) != word {
        return word.to_owned();
    }
    let ends = |endings: &[&str]| endings.iter().any(|ending| word.ends_with(ending));
    if let Some(stem) = word.strip_suffix('y')
        && !stem.ends_with(['a', 'e', 'i', 'o', 'u'])
        && !stem.is_empty()
    {
        return format!("{stem}ies");
    }
    if ends(&["s", "x", "z", "ch", "sh"]) {
        return format!("{word}es");
    }
    format!("{word}s")
}

fn singular_word(word: &str) -> String {
    if UNCHANGED.contains(&word) || SINGULAR_IN_S.contains(&word) {
        return word.to_owned();
    }
    if let Some((singular, _)) = IRREGULAR.iter().find(|(_, plural)| *plural == word) {
        return (*singular).to_owned();
    }
    if IRREGULAR.iter().any(|(singular, _)| *singular == word) {
        return word.to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies")
        && stem.len() > 1
    {
        return if matches!(stem, "mov" | "cook" | "zomb" | "rook") {
            format!("{stem}ie")
        } else {
            format!("{stem}y")
        };
    }
    if let Some(stem) = word.strip_suffix("es")
        && ["ss", "x", "ch", "sh", "zz"].iter().any(|ending| stem.ends_with(ending))
    {
        return stem.to_owned();
    }
    if let Some(stem) = word.strip_suffix("es")
        && SINGULAR_IN_S.contains(&stem)
    {
        return stem.to_owned();
    }
    match word.strip_suffix('s') {
        Some(stem) if stem.len() > 1 && !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for (one, many) in [
            ("artist", "artists"),
            ("InvoiceLine", "InvoiceLines"),
            ("mediaType", "mediaTypes"),
            ("category", "categories"),
            ("day", "days"),
            ("bus", "buses"),
            ("box", "boxes"),
            ("batch", "batches"),
            ("wish", "wishes"),
            ("address", "addresses"),
            ("status", "statuses"),
            ("person", "people"),
            ("child", "children"),
            ("analysis", "analyses"),
            ("movie", "movies"),
            ("house", "houses"),
            ("case", "cases"),
            ("user", "users"),
            ("userId", "userIds"),
            ("User_account", "User_accounts"),
        ] {
            assert_eq!(plural(one), many);
            assert_eq!(singular(many), one);
            assert_eq!(singular(one), one, "already singular");
            assert_eq!(plural(many), many, "already plural");
        }
    }

    #[test]
    fn words_without_a_plural_get_many() {
        for word in ["media", "series", "SocialMedia", "news"] {
            assert_eq!(plural(word), word);
            assert_eq!(singular(word), word);
        }
        assert_eq!(plural_or_many("media"), "mediaMany");
        assert_eq!(plural_or_many("artist"), "artists");
    }
}
