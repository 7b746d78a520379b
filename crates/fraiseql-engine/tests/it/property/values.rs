//! Random values: few enough to meet each other, odd enough to hurt.

use super::dice::Dice;
use super::document::Term;
use super::model::{Cell, Kind, decimal_text};

/// What texts are made of. Letters beyond ASCII have no other case here that would matter.
const PIECES: &[&str] = &[
    "", "a", "A", "b", "B", "ab", "aB", "Ab", "abc", "%", "%", "_", "_", "\\", "\\", "'", "\"", " ", "é",
    "É", "日本", "🎸", "\n", ",", "{", "}", "NULL", "$1", "--", ";", "0", "\u{1}", "\u{7f}", "/*", "ß",
    "a\u{301}", "<&>",
];
/// What a pattern of a regular expression may hold that means itself.
const PLAIN: &[&str] = &["a", "A", "b", "B", "ab", "c", "é", "日", "0", "N", " "];
const DATES: &[&str] = &["2026-01-31", "2024-02-29", "1999-12-31", "0001-01-01", "9999-12-31", "2026-02-01"];

/// Returns a number for the key of a row.
pub(super) fn key(dice: &mut Dice, kind: Kind) -> i64 {
    match dice.count(0, 20) {
        0 if kind == Kind::BigInt => 9_007_199_254_740_993 + dice.between(-3, 3),
        0 => i64::from(i32::MAX) - dice.between(0, 3),
        1 => -dice.between(0, 5),
        _ => dice.between(1, 60),
    }
}

/// Returns the values that a column's rows have.
pub(super) fn pool(dice: &mut Dice, kind: Kind, nullable: bool) -> Vec<Cell> {
    (0..dice.count(3, 12))
        .map(|_| match cell(dice, kind) {
            Cell::Float(value) if !nullable && !value.is_finite() => Cell::Float(0.5),
            cell => cell,
        })
        .collect()
}

/// Returns a value of a kind, never null.
pub(super) fn cell(dice: &mut Dice, kind: Kind) -> Cell {
    match kind {
        Kind::Int => Cell::Int(match dice.count(0, 12) {
            0 => i64::from(i32::MAX),
            1 => i64::from(i32::MIN),
            _ => dice.between(-4, 9),
        }),
        Kind::BigInt => Cell::Int(match dice.count(0, 10) {
            0 => i64::MAX,
            1 => i64::MIN,
            2..=4 => 9_007_199_254_740_992 + dice.between(-2, 2),
            _ => dice.between(-4, 9),
        }),
        Kind::Text => Cell::Text(text(dice)),
        Kind::Boolean => Cell::Boolean(dice.chance(50)),
        Kind::Decimal => Cell::Decimal(match dice.count(0, 10) {
            0 => 999_999_999_999_000,
            1 => -999_999_999_999_000,
            2..=5 => i128::from(dice.between(-3, 3)) * 1_000_000,
            _ => i128::from(dice.between(-5_000, 5_000)) * 1_000,
        }),
        Kind::Float => Cell::Float(match dice.count(0, 14) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => 1e15 + 0.125,
            4 => 1.0 / 1_048_576.0,
            #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
            _ => dice.between(-20, 20) as f64 / 8.0,
        }),
        Kind::Date => Cell::Date((*dice.pick(DATES)).to_owned()),
        Kind::TextList => {
            let item = |dice: &mut Dice| (!dice.chance(15)).then(|| short_text(dice));
            Cell::List((0..dice.count(0, 3)).map(|_| item(dice)).collect())
        }
    }
}

/// Returns a text that others have, too.
pub(super) fn short_text(dice: &mut Dice) -> String {
    (*dice.pick(PIECES)).to_owned()
}

fn text(dice: &mut Dice) -> String {
    (0..dice.count(0, 4)).map(|_| *dice.pick(PIECES)).collect()
}

/// Returns a text that no other row of the column has.
pub(super) fn numbered_text(dice: &mut Dice, number: usize) -> Cell {
    Cell::Text(format!("{}{number}", dice.pick(&["a", "A", "é", "'", "%", "\\", ""])))
}

/// Returns a part of a text that the operator may find, or some text.
pub(super) fn part(dice: &mut Dice, of: &str, operator: &str) -> String {
    let characters: Vec<char> = of.chars().collect();
    if characters.is_empty() || dice.chance(20) {
        return text(dice);
    }
    let mut start = dice.count(0, characters.len());
    let mut end = dice.count(start, characters.len());
    if operator.ends_with("startswith") {
        start = 0;
    } else if operator.ends_with("endswith") {
        end = characters.len();
    }
    change_case(dice, &characters[start..end])
}

fn change_case(dice: &mut Dice, characters: &[char]) -> String {
    let turn = dice.chance(40);
    let turned = |character: &char| match character {
        upper if turn && upper.is_ascii_uppercase() => upper.to_ascii_lowercase(),
        lower if turn => lower.to_ascii_uppercase(),
        other => *other,
    };
    characters.iter().map(turned).collect()
}

/// Returns a pattern for LIKE that is made from a text: wildcards, escapes, never a lone escape at the end.
pub(super) fn like_pattern(dice: &mut Dice, of: &str) -> String {
    let mut pattern = String::new();
    let characters: Vec<char> = of.chars().collect();
    for character in change_case(dice, &characters).chars() {
        match dice.count(0, 9) {
            0 => pattern.push('_'),
            1 => pattern.push('%'),
            2 => {}
            3 => pattern.extend(['\\', character]),
            _ if matches!(character, '%' | '_' | '\\') && dice.chance(60) => {
                pattern.extend(['\\', character])
            }
            _ if character == '\\' => pattern.push('_'),
            _ => pattern.push(character),
        }
    }
    if dice.chance(40) {
        pattern.push('%');
    }
    if dice.chance(30) {
        pattern.insert(0, '%');
    }
    pattern
}

/// Returns a regular expression of plain letters, dots and anchors.
pub(super) fn regex_pattern(dice: &mut Dice) -> String {
    let mut pattern = String::from(if dice.chance(40) { "^" } else { "" });
    for _ in 0..dice.count(1, 3) {
        let letter = if dice.chance(25) { &"." } else { dice.pick(PLAIN) };
        pattern.push_str(letter);
    }
    pattern.push_str(if dice.chance(40) { "$" } else { "" });
    pattern
}

/// Returns a value as one of the ways in which a client may write it.
pub(super) fn term(dice: &mut Dice, cell: &Cell, kind: Kind, id: bool) -> Term {
    match cell {
        Cell::Int(value) if kind == Kind::Int && !id => Term::Number(value.to_string()),
        Cell::Int(value) if dice.chance(50) => Term::Number(value.to_string()),
        Cell::Int(value) => Term::Text(value.to_string()),
        Cell::Text(text) | Cell::Date(text) => Term::Text(text.clone()),
        Cell::Boolean(value) => Term::Boolean(*value),
        Cell::Decimal(value) => {
            let places = match value {
                whole if whole % 1_000_000 == 0 => *dice.pick(&[0, 1, 3, 6]),
                exact if exact % 1_000 == 0 => *dice.pick(&[3, 5]),
                _ => 6,
            };
            let digits = decimal_text(*value, places);
            if dice.chance(50) { Term::Number(digits) } else { Term::Text(digits) }
        }
        Cell::Float(value) => Term::Number(value.to_string()),
        Cell::Null | Cell::List(_) => unreachable!("operands are single values"),
    }
}
