//! Small questions to the syntax tree: which child, which name, which words.

use squawk_syntax::quote::{needs_quoting, quote_ident_always};
use squawk_syntax::{SyntaxKind, SyntaxNode};

/// Returns the first child of a kind.
pub(crate) fn child(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.children().find(|child| child.kind() == kind)
}

/// Returns the children of a kind.
pub(crate) fn children(node: &SyntaxNode, kind: SyntaxKind) -> Vec<SyntaxNode> {
    node.children().filter(|child| child.kind() == kind).collect()
}

/// Returns everything of a kind below a node, itself included.
pub(crate) fn all(node: &SyntaxNode, kind: SyntaxKind) -> Vec<SyntaxNode> {
    node.descendants().filter(|below| below.kind() == kind).collect()
}

/// Returns the first of a kind below a node, itself included.
pub(crate) fn inner(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.descendants().find(|below| below.kind() == kind)
}

/// Returns true when a node of that kind is a child.
pub(crate) fn has(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    child(node, kind).is_some()
}

/// Returns true when the keyword stands directly in the node.
pub(crate) fn word(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    node.children_with_tokens().any(|element| element.kind() == kind)
}

/// Returns the text of a node: comments out, and one space for each gap.
pub(crate) fn text(node: &SyntaxNode) -> String {
    let mut text = String::new();
    for token in node.descendants_with_tokens().filter_map(|element| element.into_token()) {
        match token.kind() {
            SyntaxKind::WHITESPACE | SyntaxKind::COMMENT => {
                if !text.is_empty() && !text.ends_with(' ') {
                    text.push(' ');
                }
            }
            _ => text.push_str(token.text()),
        }
    }
    text.trim_end().trim_end_matches(';').trim_end().to_owned()
}

/// Returns the name that a node holds, parts joined by dots, without `public` in front.
///
/// Names without quotes are folded to lower case, as PostgreSQL does.
pub(crate) fn name(node: &SyntaxNode) -> String {
    let segments: Vec<String> = node
        .descendants()
        .filter(|below| matches!(below.kind(), SyntaxKind::PATH_SEGMENT | SyntaxKind::PATH_SEGMENT_REF))
        .map(|segment| folded(segment.text().to_string().trim()))
        .collect();
    if segments.is_empty() {
        return folded(&text(node));
    }
    let joined = segments.join(".");
    match joined.strip_prefix("public.") {
        Some(rest) => rest.to_owned(),
        None => joined,
    }
}

/// Returns the name in the first node of a kind below.
pub(crate) fn name_in(node: &SyntaxNode, kind: SyntaxKind) -> Option<String> {
    inner(node, kind).map(|node| name(&node))
}

/// Returns the names in all nodes of a kind below.
pub(crate) fn names_in(node: &SyntaxNode, kind: SyntaxKind) -> Vec<String> {
    all(node, kind).iter().map(name).collect()
}

/// Returns a name as SQL, quoted where it must be.
pub(crate) fn quoted(name: &str) -> String {
    let part = |part: &str| if needs_quoting(part) { quote_ident_always(part) } else { part.to_owned() };
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

fn folded(word: &str) -> String {
    match word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inside) => inside.replace("\"\"", "\""),
        None => word.to_lowercase(),
    }
}
