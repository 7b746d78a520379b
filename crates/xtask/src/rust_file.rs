//! One Rust file, parsed once for all rules: syntax tree, flat tokens, comments, and which lines are tests.
//!
//! Flat tokens see into macro calls, which the syntax tree does not.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::Visit;

/// A parsed file.
#[derive(Debug)]
pub(crate) struct RustFile {
    /// Path from the root, with slashes.
    pub(crate) path: String,
    /// Number of lines.
    pub(crate) lines: usize,
    /// The syntax tree.
    pub(crate) syntax: Syntax,
    /// Every token in order, brackets included.
    pub(crate) tokens: Vec<Token>,
    /// Every comment, documentation included.
    pub(crate) comments: Vec<Comment>,
    /// First and last lines of items under `#[cfg(test)]` or `#[test]`.
    test_items: Vec<(usize, usize)>,
}

/// A syntax tree; its own type because `syn::File` has no `Debug` in our feature set.
pub(crate) struct Syntax(pub(crate) syn::File);

impl std::fmt::Debug for Syntax {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} items", self.0.items.len())
    }
}

/// A token: an identifier, a literal, one bracket, or punctuation (`::` and `=>` in one piece).
#[derive(Debug)]
pub(crate) struct Token {
    /// As written.
    pub(crate) text: String,
    /// Line, from 1.
    pub(crate) line: usize,
}

/// A comment.
#[derive(Debug)]
pub(crate) struct Comment {
    /// Its text, without the slashes of a line comment.
    pub(crate) text: String,
    /// Line, from 1; a block comment is split into lines.
    pub(crate) line: usize,
}

impl RustFile {
    /// Parses `text`. Fails as the compiler would.
    pub(crate) fn parse(path: &str, text: &str) -> syn::Result<Self> {
        let syntax = syn::parse_file(text)?;
        let mut tokens = Vec::new();
        flatten(text.parse::<TokenStream>()?, &mut tokens);
        let mut tests = TestItems(Vec::new());
        tests.visit_file(&syntax);
        Ok(Self {
            path: path.to_owned(),
            lines: text.lines().count(),
            syntax: Syntax(syntax),
            tokens,
            comments: comments(text),
            test_items: tests.0,
        })
    }

    /// Returns the crate's folder, for example `fraiseql-serve`; empty outside of `crates/`.
    pub(crate) fn krate(&self) -> &str {
        self.path.strip_prefix("crates/").and_then(|rest| rest.split('/').next()).unwrap_or("")
    }

    /// Returns true for a file that holds nothing but tests or benchmarks.
    pub(crate) fn is_test_file(&self) -> bool {
        let inside = |folder: &str| self.path.contains(folder);
        inside("/tests/") || inside("/benches/") || self.path.ends_with("/tests.rs")
    }

    /// Returns true when `line` belongs to tests.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.is_test_file() || self.test_items.iter().any(|(first, last)| (*first..=*last).contains(&line))
    }

    /// Returns how many lines are not tests.
    pub(crate) fn production_lines(&self) -> usize {
        (1..=self.lines).filter(|line| !self.is_test(*line)).count()
    }

    /// Returns the indexes at which `pattern` begins in the tokens outside of tests.
    pub(crate) fn find<'a>(&'a self, pattern: &'a [&'a str]) -> impl Iterator<Item = usize> + 'a {
        self.find_anywhere(pattern).filter(|index| !self.is_test(self.tokens[*index].line))
    }

    /// Returns the indexes at which `pattern` begins in the tokens, tests included.
    pub(crate) fn find_anywhere<'a>(&'a self, pattern: &'a [&'a str]) -> impl Iterator<Item = usize> + 'a {
        let windows = self.tokens.windows(pattern.len()).enumerate();
        windows
            .filter(move |(_, window)| {
                window.iter().zip(pattern).all(|(token, wanted)| token.text == *wanted)
            })
            .map(|(index, _)| index)
    }

    /// Returns the token at `index`, or an empty string past either end.
    pub(crate) fn token(&self, index: Option<usize>) -> &str {
        index.and_then(|index| self.tokens.get(index)).map_or("", |token| token.text.as_str())
    }
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut glued = String::new();
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                tokens.push(Token { text: open.to_owned(), line });
                flatten(group.stream(), tokens);
                tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line });
            }
            TokenTree::Punct(punct) => {
                glued.push(punct.as_char());
                let goes_on = punct.spacing() == Spacing::Joint && matches!(glued.as_str(), ":" | "=");
                if !goes_on {
                    tokens.push(Token { text: std::mem::take(&mut glued), line });
                }
            }
            other => tokens.push(Token { text: other.to_string(), line }),
        }
    }
}

struct TestItems(Vec<(usize, usize)>);

impl TestItems {
    fn note(&mut self, attributes: &[syn::Attribute], item: &impl Spanned) {
        if attributes.iter().any(is_test_attribute) {
            self.0.push((item.span().start().line, item.span().end().line));
        }
    }
}

impl<'ast> Visit<'ast> for TestItems {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.note(&item.attrs, item);
        syn::visit::visit_item_mod(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.note(&item.attrs, item);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.attrs, item);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.note(&item.attrs, item);
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.note(&item.attrs, item);
    }
}

fn is_test_attribute(attribute: &syn::Attribute) -> bool {
    if attribute.path().segments.last().is_some_and(|segment| segment.ident == "test") {
        return true;
    }
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
}

/// Returns every comment of `text`: what stands in strings and characters is not one.
pub(crate) fn comments(text: &str) -> Vec<Comment> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            let words = rest[..end].trim_start_matches('/').trim_start_matches('!').trim();
            found.push(Comment { text: words.to_owned(), line });
            end
        } else if rest.starts_with("/*") {
            let end = block_comment(rest);
            let lines = rest[..end].lines().enumerate();
            found.extend(lines.map(|(index, words)| Comment { text: words.to_owned(), line: line + index }));
            end
        } else {
            literal(rest).unwrap_or(first.len_utf8())
        };
        line += rest[..taken].matches('\n').count();
        rest = &rest[taken..];
    }
    found
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Returns the length of the string, raw string, character or word that `text` begins with.
fn literal(text: &str) -> Option<usize> {
    let word = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let after = &text[word..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    if text[..word].ends_with('r') && word <= 2 && after[hashes..].starts_with('"') {
        let close = format!("\"{}", "#".repeat(hashes));
        let body = word + hashes + 1;
        return Some(text[body..].find(&close).map_or(text.len(), |end| body + end + close.len()));
    }
    if word > 0 {
        return Some(word);
    }
    match text.chars().next()? {
        '"' => Some(quoted(text, '"')),
        '\'' => {
            let mut inside = text[1..].chars();
            let (first, second) = (inside.next()?, inside.next()?);
            // A lifetime is a quote without a closing one.
            (first == '\\' || second == '\'').then(|| quoted(text, '\''))
        }
        _ => None,
    }
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &str)]) {
        let found: Vec<_> = comments(text).into_iter().map(|comment| (comment.line, comment.text)).collect();
        let found: Vec<_> = found.iter().map(|(line, text)| (*line, text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn comments_are_found_and_strings_are_not() {
        check("let a = \"// no\"; // yes", &[(1, "yes")]);
        check("let a = r#\"\n// \" no\"#;\n/// doc", &[(3, "doc")]);
        check("let a = '\"'; // one\nfn b<'a>() {} // two", &[(1, "one"), (2, "two")]);
        check("let a = '\\''; // one", &[(1, "one")]);
        check("/* a\n/* b */ c */ // d", &[(1, "/* a"), (2, "/* b */ c */"), (2, "d")]);
        check("let a = br\"\\\"; // after", &[(1, "after")]);
    }

    #[test]
    fn lines_of_tests_are_known() {
        let text = "//! A.\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        let file = RustFile::parse("crates/a/src/lib.rs", text).unwrap();
        assert_eq!(file.production_lines(), 3);
        assert!(file.is_test(6));
        assert!(RustFile::parse("crates/a/tests/it/main.rs", text).unwrap().is_test(2));
    }

    #[test]
    fn tokens_see_into_macros() {
        let file = RustFile::parse("crates/a/src/lib.rs", "fn a() { select! { _ = b::c() => {} } }").unwrap();
        assert_eq!(file.find(&["_", "=", "b", "::", "c", "("]).count(), 1);
        assert_eq!(file.find(&["=>"]).count(), 1);
    }
}
