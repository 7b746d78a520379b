//! Operations as a tree, as text, and as JSON for their variables.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value};

use super::model::graphql_string;

/// An operation with its fragments and the variables sent with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Operation {
    pub(super) variables: Vec<Variable>,
    pub(super) fragments: Vec<Fragment>,
    pub(super) selections: Vec<Selection>,
}

#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) of: String,
    pub(super) default: Option<Term>,
    /// What the client sends; `None` sends nothing.
    pub(super) sent: Option<Term>,
}

#[derive(Clone, Debug)]
pub(super) struct Fragment {
    pub(super) name: String,
    pub(super) on: String,
    pub(super) selections: Vec<Selection>,
}

#[derive(Clone, Debug)]
pub(super) enum Selection {
    Field(Asked),
    Inline { on: Option<String>, directives: Vec<Directive>, selections: Vec<Selection> },
    Spread { name: String, directives: Vec<Directive> },
}

/// A field that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) alias: Option<String>,
    pub(super) name: String,
    pub(super) arguments: Vec<(String, Term)>,
    pub(super) directives: Vec<Directive>,
    pub(super) selections: Vec<Selection>,
}

/// `@include` or `@skip`.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    pub(super) include: bool,
    pub(super) condition: Term,
}

/// A value in a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    Null,
    Boolean(bool),
    /// A number, as it is written.
    Number(String),
    Text(String),
    Enum(String),
    List(Vec<Term>),
    Object(Vec<(String, Term)>),
    Variable(String),
}

impl Asked {
    pub(super) fn key(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

impl Term {
    pub(super) fn has_variable(&self) -> bool {
        match self {
            Self::Variable(_) => true,
            Self::List(items) => items.iter().any(Self::has_variable),
            Self::Object(fields) => fields.iter().any(|(_, value)| value.has_variable()),
            _ => false,
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Null | Self::Variable(_) => Value::Null,
            Self::Boolean(value) => Value::Bool(*value),
            Self::Number(digits) => Value::Number(digits.parse::<Number>().expect("a number of JSON")),
            Self::Text(text) | Self::Enum(text) => Value::String(text.clone()),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Object(fields) => {
                fields.iter().map(|(key, value)| (key.clone(), value.json())).collect::<Map<_, _>>().into()
            }
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Boolean(value) => value.to_string(),
            Self::Number(text) | Self::Enum(text) => text.clone(),
            Self::Text(text) => graphql_string(text),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::text).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Object(fields) => format!("{{{}}}", pairs(fields)),
            Self::Variable(name) => format!("${name}"),
        }
    }
}

fn pairs(entries: &[(String, Term)]) -> String {
    let entries: Vec<String> =
        entries.iter().map(|(key, value)| format!("{key}: {}", value.text())).collect();
    entries.join(", ")
}

impl Operation {
    /// Returns the variables as a client sends them.
    pub(super) fn sent(&self) -> String {
        let sent = self.variables.iter().filter_map(|variable| {
            let value = variable.sent.as_ref()?;
            Some((variable.name.clone(), value.json()))
        });
        Value::Object(sent.collect()).to_string()
    }

    /// Returns the document.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if !self.variables.is_empty() {
            let variables: Vec<String> = self
                .variables
                .iter()
                .map(|variable| {
                    let default = variable.default.as_ref().map(|value| format!(" = {}", value.text()));
                    format!("${}: {}{}", variable.name, variable.of, default.unwrap_or_default())
                })
                .collect();
            text.push_str(&format!("query({}) ", variables.join(", ")));
        }
        write_selections(&mut text, &self.selections, 0);
        for fragment in &self.fragments {
            text.push_str(&format!("\nfragment {} on {} ", fragment.name, fragment.on));
            write_selections(&mut text, &fragment.selections, 0);
        }
        text
    }

    /// Takes away what nothing refers to any more.
    pub(super) fn prune(&mut self) {
        loop {
            let mut used = Uses::default();
            used.selections(&self.selections);
            for fragment in &self.fragments {
                used.selections(&fragment.selections);
            }
            let before = self.fragments.len();
            self.fragments.retain(|fragment| used.fragments.contains(&fragment.name));
            if self.fragments.len() == before {
                self.variables.retain(|variable| used.variables.contains(&variable.name));
                return;
            }
        }
    }
}

fn write_selections(text: &mut String, selections: &[Selection], depth: usize) {
    let indent = "  ".repeat(depth + 1);
    text.push_str("{\n");
    for selection in selections {
        text.push_str(&indent);
        let below = match selection {
            Selection::Field(field) => {
                if let Some(alias) = &field.alias {
                    text.push_str(&format!("{alias}: "));
                }
                text.push_str(&field.name);
                if !field.arguments.is_empty() {
                    text.push_str(&format!("({})", pairs(&field.arguments)));
                }
                write_directives(text, &field.directives);
                &field.selections
            }
            Selection::Inline { on, directives, selections } => {
                text.push_str("...");
                if let Some(on) = on {
                    text.push_str(&format!(" on {on}"));
                }
                write_directives(text, directives);
                selections
            }
            Selection::Spread { name, directives } => {
                text.push_str(&format!("...{name}"));
                write_directives(text, directives);
                text.push('\n');
                continue;
            }
        };
        if below.is_empty() {
            text.push('\n');
        } else {
            text.push(' ');
            write_selections(text, below, depth + 1);
        }
    }
    text.push_str(&"  ".repeat(depth));
    text.push_str("}\n");
}

fn write_directives(text: &mut String, directives: &[Directive]) {
    for directive in directives {
        let name = if directive.include { "include" } else { "skip" };
        text.push_str(&format!(" @{name}(if: {})", directive.condition.text()));
    }
}

#[derive(Default)]
struct Uses {
    fragments: BTreeSet<String>,
    variables: BTreeSet<String>,
}

impl Uses {
    fn selections(&mut self, selections: &[Selection]) {
        for selection in selections {
            let (directives, below): (_, &[Selection]) = match selection {
                Selection::Field(field) => {
                    for (_, value) in &field.arguments {
                        self.term(value);
                    }
                    (&field.directives, &field.selections)
                }
                Selection::Inline { directives, selections, .. } => (directives, selections),
                Selection::Spread { name, directives } => {
                    self.fragments.insert(name.clone());
                    (directives, &[])
                }
            };
            for directive in directives {
                self.term(&directive.condition);
            }
            self.selections(below);
        }
    }

    fn term(&mut self, term: &Term) {
        match term {
            Term::Variable(name) => {
                self.variables.insert(name.clone());
            }
            Term::List(items) => items.iter().for_each(|item| self.term(item)),
            Term::Object(fields) => fields.iter().for_each(|(_, value)| self.term(value)),
            _ => {}
        }
    }
}
