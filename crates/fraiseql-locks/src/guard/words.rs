//! A text of SQL as words: enough to tell which names occur in the body of a function.

/// A word, with its case folded as PostgreSQL does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A name or a keyword.
    Plain(String),
    /// A name in double quotes.
    Quoted(String),
    /// A constant in single quotes.
    Text(String),
    /// A sign.
    Sign(char),
}

impl Word {
    /// Returns true for that keyword, in lower case.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Plain(word) if word == keyword)
    }

    /// Returns what is named.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Plain(word) | Self::Quoted(word) | Self::Text(word) => word.clone(),
            Self::Sign(sign) => sign.to_string(),
        }
    }
}

/// Returns the words of a text; comments are left out.
pub(super) fn read(text: &str) -> Vec<Word> {
    let chars: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(&first) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        if first == '-' && next == Some('-') {
            at += chars[at..].iter().take_while(|c| **c != '\n').count();
        } else if first == '/' && next == Some('*') {
            let end =
                (at + 2..chars.len()).find(|end| chars[*end] == '*' && chars.get(end + 1) == Some(&'/'));
            at = end.map_or(chars.len(), |end| end + 2);
        } else if first == '"' || first == '\'' {
            let (inside, end) = quoted(&chars, at, first);
            words.push(if first == '"' { Word::Quoted(inside) } else { Word::Text(inside) });
            at = end;
        } else if first.is_alphanumeric() || first == '_' {
            let word: String =
                chars[at..].iter().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '$')).collect();
            at += word.chars().count();
            words.push(Word::Plain(word.to_lowercase()));
        } else {
            if !first.is_whitespace() {
                words.push(Word::Sign(first));
            }
            at += 1;
        }
    }
    words
}

fn quoted(chars: &[char], start: usize, quote: char) -> (String, usize) {
    let mut inside = String::new();
    let mut at = start + 1;
    while let Some(&found) = chars.get(at) {
        if found == quote {
            if chars.get(at + 1) != Some(&quote) {
                return (inside, at + 1);
            }
            at += 1;
        }
        inside.push(found);
        at += 1;
    }
    (inside, at)
}

/// Returns where keywords stand one behind the other.
pub(super) fn find(words: &[Word], sequence: &[&str]) -> Option<usize> {
    let same = |window: &[Word]| window.iter().zip(sequence).all(|(word, keyword)| word.is(keyword));
    words.windows(sequence.len()).position(same)
}

/// Returns true when a text ends with these keywords.
pub(super) fn ends_with(text: &str, sequence: &[&str]) -> bool {
    let words = read(text);
    words.len() >= sequence.len() && find(&words[words.len() - sequence.len()..], sequence).is_some()
}

/// Returns the names of a list, `public` and what stands in parentheses left out, from that word on.
pub(super) fn listed(words: &[Word], from: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut depth = 0_u32;
    let mut fresh = true;
    let mut rest = words.get(from..).unwrap_or_default();
    if rest.first().is_some_and(|word| word.is("if")) {
        rest = rest
            .get(if rest.get(1).is_some_and(|word| word.is("not")) { 3 } else { 2 }..)
            .unwrap_or_default();
    }
    for word in rest {
        match word {
            Word::Sign('(') => depth += 1,
            Word::Sign(')') => depth = depth.saturating_sub(1),
            Word::Sign(',') if depth == 0 => fresh = true,
            Word::Sign('.') if depth == 0 => {
                if let Some(last) = names.last_mut() {
                    last.push('.');
                }
            }
            Word::Plain(part) | Word::Quoted(part) if depth == 0 => {
                if let Some(last) = names.last_mut().filter(|last| last.ends_with('.')) {
                    last.push_str(part);
                } else if fresh {
                    names.push(part.clone());
                    fresh = false;
                }
            }
            _ => {}
        }
    }
    names.iter().map(|name| name.strip_prefix("public.").unwrap_or(name).to_owned()).collect()
}

/// Returns the column of `column IS NOT NULL`, when an expression is only that.
pub(super) fn is_not_null(expression: &str) -> Option<String> {
    let words: Vec<Word> = read(expression);
    let words: Vec<Word> = words.into_iter().filter(|word| !matches!(word, Word::Sign('(' | ')'))).collect();
    match words.as_slice() {
        [column, is, not, null] if is.is("is") && not.is("not") && null.is("null") => Some(column.name()),
        _ => None,
    }
}
