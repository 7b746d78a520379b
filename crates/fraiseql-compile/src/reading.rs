//! `@read`: what is generated for the lists of a type beside the lists themselves.

use fraiseql_model::artifact::{Derived, Form};
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::draft::Draft;
use crate::findings::Findings;

/// What is generated for the lists of a type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) aggregate: bool,
    pub(crate) connection: bool,
    pub(crate) distinct: bool,
    /// True when there is a column by which rows can be told apart.
    pub(crate) grouped: bool,
}

impl Reading {
    /// Reads the directive; what cannot be is in `findings`. `grouped` tells whether there is a column
    /// by which rows can be told apart.
    pub(crate) fn of(findings: &mut Findings, draft: &Draft<'_, '_>, grouped: bool) -> Self {
        let Some(usage) = draft.applied.get("read") else { return Self::default() };
        let [aggregate, connection, distinct] =
            ["aggregate", "connection", "distinct"].map(|name| usage.flag(name));
        if !(aggregate || connection || distinct) {
            let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, "@read asks for nothing")
                .hint("say what: @read(aggregate: true, connection: true, distinct: true)");
            findings.add(usage.place, error);
        }
        if connection && draft.key.is_empty() && draft.relation.is_some() {
            let message = format!("{} has no key to find its rows again by", draft.object.name);
            let error = Diagnostic::error(&errors::SDL_NO_KEY, message)
                .why("a cursor is the place of a row in an order, which only a key makes total")
                .hint("say it: @relation(name: ..., key: [...]), or take connection out of @read");
            findings.add(usage.place_of("connection"), error);
        }
        Self { aggregate, connection, distinct: distinct && grouped, grouped }
    }

    /// Returns the fields that stand beside a list, by name.
    pub(crate) fn fields(self, list: &str) -> Vec<(String, Derived)> {
        let mut forms = Vec::new();
        if self.aggregate {
            forms.push(("Aggregate", Form::Aggregate));
        }
        if self.aggregate && self.grouped {
            forms.push(("Groups", Form::Groups));
        }
        if self.connection {
            forms.push(("Connection", Form::Connection));
        }
        let derived = |(suffix, form)| (format!("{list}{suffix}"), Derived { list: list.to_owned(), form });
        forms.into_iter().map(derived).collect()
    }
}
