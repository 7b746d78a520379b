//! Fields that lead to an interface or a union whose object types have relations of their own.

use fraiseql_model::artifact::{ColumnPair, NonNull, PolymorphicMember, PolymorphicReference};
use fraiseql_model::catalog::Nullability;
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;

use crate::column::{Side, non_null, spelled};
use crate::database::Database;
use crate::directive::Usage;
use crate::draft::{Draft, DraftField, Drafts, unknown_column};
use crate::family::Family;
use crate::findings::Findings;
use crate::inherit::check_value;
use crate::reference::{self, Ends, comparable};
use crate::shape::Shape;

/// A field and where it leads.
pub(crate) struct Way<'a> {
    /// The field, for messages: `Comment.subject`.
    pub(crate) owner: &'a str,
    pub(crate) local: &'a Draft<'a, 'a>,
    pub(crate) family: &'a Family<'a>,
    pub(crate) drafts: &'a Drafts<'a, 'a>,
    pub(crate) database: &'a Database<'a>,
}

impl<'a> Way<'a> {
    /// Binds the field, or adds why it cannot be.
    pub(crate) fn bind(
        &self,
        findings: &mut Findings,
        field: &DraftField<'_>,
        shape: &Shape<'_>,
    ) -> Option<PolymorphicReference> {
        if self.family.members.is_empty() {
            findings.add(shape.name.location(), self.family.empty(self.owner));
            return None;
        }
        let local = self.local.relation?;
        let usage = field.applied.get("reference");
        let discriminator = usage.and_then(|usage| usage.text("discriminator"));
        let members = match (usage, discriminator) {
            (Some(usage), Some(_)) if shape.list => {
                let message = format!("{} is a list, and its rows are of one type each", self.owner);
                let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
                    .hint("leave \"discriminator\" away");
                findings.add(usage.place_of("discriminator"), error);
                return None;
            }
            (Some(usage), Some(column)) => self.named(findings, usage, column)?,
            _ => self.followed(findings, field, shape)?,
        };
        let non_null = if shape.list {
            NonNull::Proven
        } else {
            let sql_type = &local.columns.first()?.sql_type;
            let side = Side { owner: self.owner, source: "the row that it leads to", sql_type, input: false };
            let trusted = field.applied.get("neverNull").and_then(|usage| usage.place);
            non_null(findings, shape, &side, Nullability::Nullable, trusted, shape.name.location())
        };
        Some(PolymorphicReference {
            target: self.family.name.to_owned(),
            list: shape.list,
            discriminator: discriminator.map(str::to_owned),
            members,
            non_null,
        })
    }

    /// Every object type has its own foreign key, or the same columns lead to all.
    fn followed(
        &self,
        findings: &mut Findings,
        field: &DraftField<'_>,
        shape: &Shape<'_>,
    ) -> Option<Vec<PolymorphicMember>> {
        let mut members = Vec::with_capacity(self.family.members.len());
        for name in &self.family.members {
            let target = self.drafts.get(name)?;
            let ends = Ends { owner: self.owner, local: self.local, target, database: self.database };
            let found = if shape.list {
                reference::to_many(findings, &ends, field)?
            } else {
                reference::one_row(findings, &ends, field)?.0
            };
            members.push(PolymorphicMember { value: None, on: found.on });
        }
        Some(members)
    }

    /// A column names the type of the row that the others lead to.
    fn named(
        &self,
        findings: &mut Findings,
        usage: &Usage<'_>,
        discriminator: &str,
    ) -> Option<Vec<PolymorphicMember>> {
        let local = self.local.relation?;
        let Some(column) = local.column(discriminator) else {
            findings.add(usage.place_of("discriminator"), unknown_column(local, discriminator));
            return None;
        };
        let columns = usage.texts("columns")?;
        let mut members = Vec::with_capacity(self.family.members.len());
        for name in &self.family.members {
            let target = self.drafts.get(name)?;
            let given = target.applied.get("variant").and_then(|usage| usage.text("value"));
            let value = given.unwrap_or(name);
            check_value(findings, self.database, column, value, usage.place_of("discriminator"));
            let key: Vec<&str> = match usage.texts("target") {
                Some(target) => target.to_vec(),
                None => target.key.iter().map(String::as_str).collect(),
            };
            let on = self.pairs(findings, usage, columns, (target, &key))?;
            members.push(PolymorphicMember { value: Some(value.to_owned()), on });
        }
        Some(members)
    }

    fn pairs(
        &self,
        findings: &mut Findings,
        usage: &Usage<'_>,
        columns: &[&str],
        (target, key): (&Draft<'_, '_>, &[&str]),
    ) -> Option<Vec<ColumnPair>> {
        let (local, relation) = (self.local.relation?, target.relation?);
        if columns.len() != key.len() {
            let name = target.object.name;
            let message =
                format!("\"columns\" names {}, but {name} is found by {}", columns.len(), key.len());
            let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message)
                .hint("name the columns of every type's relation with \"target\"");
            findings.add(usage.place, error);
            return None;
        }
        let mut on = Vec::with_capacity(columns.len());
        for (column, remote) in columns.iter().zip(key) {
            let (Some(left), Some(right)) = (local.column(column), relation.column(remote)) else {
                let missing =
                    if local.column(column).is_none() { (local, column) } else { (relation, remote) };
                findings.add(usage.place, unknown_column(missing.0, missing.1));
                return None;
            };
            if !comparable(self.database, &left.sql_type, &right.sql_type) {
                let (left, right) = (spelled(&left.sql_type), spelled(&right.sql_type));
                let message = format!("{column} is {left}, and {remote} of {} is {right}", relation.name);
                let error = Diagnostic::error(&errors::SDL_TYPE_MISMATCH, message)
                    .why("PostgreSQL has no = for these two");
                findings.add(usage.place, error);
                return None;
            }
            on.push(ColumnPair { local: (*column).to_owned(), remote: (*remote).to_owned() });
        }
        Some(on)
    }
}
