//! `@auth(rows: ...)`, `@rowRule` and `@preset`: conditions over columns, related rows and claims.

use std::collections::BTreeMap;

use apollo_compiler::Node;
use apollo_compiler::ast::{Directive, Value};
use fraiseql_model::catalog::Column;
use fraiseql_model::diagnostic::Diagnostic;
use fraiseql_model::errors;
use fraiseql_model::row_rule::{Preset, RowCondition, RowOperator, RowValue, RowValues};

use crate::analysis::Analysis;
use crate::database::{Database, Element};
use crate::draft::unknown_column;
use crate::findings::{Findings, Place, suggesting};
use crate::object::{Binding, BoundObject};
use crate::scalar::Comparison;

/// How deep conditions may stand within conditions.
const DEPTH_MAX: usize = 16;

/// What combines conditions, named as in filters.
const JUNCTIONS: [&str; 3] = ["_and", "_or", "_not"];

/// What compares a column, named as in filters.
const OPERATORS: [&str; 9] = ["eq", "neq", "in", "nin", "isnull", "gt", "gte", "lt", "lte"];

/// The key of a value that the caller's token has.
const CLAIM: &str = "claim";

/// Reads conditions on rows; what is wrong with them is in the findings.
pub(crate) struct Reader<'r, 'a> {
    pub(crate) analysis: &'r Analysis<'r, 'a>,
    pub(crate) findings: &'r mut Findings,
}

impl<'a> Reader<'_, 'a> {
    /// Returns the condition that a value says of rows of `object`.
    pub(crate) fn condition(
        &mut self,
        object: &BoundObject<'a>,
        value: &Node<Value>,
    ) -> Option<RowCondition> {
        self.within(object, value, DEPTH_MAX)
    }

    fn within(
        &mut self,
        object: &BoundObject<'a>,
        value: &Node<Value>,
        depth: usize,
    ) -> Option<RowCondition> {
        if depth == 0 {
            return self.refuse(
                value.location(),
                "conditions are nested too deep",
                "split it into two types",
            );
        }
        let Value::Object(entries) = &**value else {
            return self.refuse(
                value.location(),
                "a condition on rows is an object",
                "rows: {owner: {eq: {claim: \"sub\"}}}",
            );
        };
        let mut all = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            all.push(match name.as_str() {
                "_and" => RowCondition::All(self.several(object, value, depth)?),
                "_or" => RowCondition::Any(self.several(object, value, depth)?),
                "_not" => RowCondition::Not(Box::new(self.within(object, value, depth - 1)?)),
                name => self.named(object, name, value, depth)?,
            });
        }
        Some(if all.len() == 1 { all.remove(0) } else { RowCondition::All(all) })
    }

    fn several(
        &mut self,
        object: &BoundObject<'a>,
        value: &Node<Value>,
        depth: usize,
    ) -> Option<Vec<RowCondition>> {
        match &**value {
            Value::List(items) => items.iter().map(|item| self.within(object, item, depth - 1)).collect(),
            // One value stands for a list of it: section 3.11 of the specification.
            _ => Some(vec![self.within(object, value, depth - 1)?]),
        }
    }

    /// A column, or rows that a field leads to.
    fn named(
        &mut self,
        object: &BoundObject<'a>,
        name: &str,
        value: &Node<Value>,
        depth: usize,
    ) -> Option<RowCondition> {
        if let Some(column) = object.relation.column(name) {
            return self.column(column, value);
        }
        let field = object.fields.iter().find(|field| field.name == name);
        // Names of columns that GraphQL cannot spell are those of their fields.
        if let Some(Binding::Column(shown)) = field.map(|field| &field.binding)
            && shown.key.is_none()
        {
            return self.column(shown.column, value);
        }
        let reference = field.and_then(|field| match &field.binding {
            Binding::ToOne(reference) | Binding::ToMany(reference) => Some(reference),
            _ => None,
        });
        let target = reference.and_then(|found| self.analysis.by_name.get(found.target.as_str()));
        if let (Some(reference), Some(target)) = (reference, target.filter(|target| !target.draft.restricted))
        {
            let condition = Box::new(self.within(target, value, depth - 1)?);
            let relation = target.relation.name.clone();
            return Some(RowCondition::Exists { relation, on: reference.on.clone(), condition });
        }
        let error = unknown_column(object.relation, name)
            .why("a condition on rows names columns, and fields that lead to rows of a relation");
        let known = object.relation.columns.iter().map(|column| column.name.as_str()).chain(JUNCTIONS);
        self.findings.add(value.location(), suggesting(error, name, known));
        None
    }

    fn column(&mut self, column: &Column, value: &Node<Value>) -> Option<RowCondition> {
        let place = value.location();
        let Value::Object(entries) = &**value else {
            let hint = format!("{}: {{eq: ...}}", column.name);
            return self.refuse(place, "a column is compared by operators", &hint);
        };
        let element = self.analysis.database.element(&column.sql_type).filter(|element| !element.list);
        let mut all = Vec::with_capacity(entries.len());
        for (operator, operand) in entries {
            let place = operand.location().or(place);
            if !OPERATORS.contains(&operator.as_str()) {
                let error = Diagnostic::error(
                    &errors::SDL_DIRECTIVE_ARGUMENT,
                    format!("\"{operator}\" does not compare columns"),
                );
                self.findings.add(place, suggesting(error, operator, OPERATORS));
                return None;
            }
            all.push(match (operator.as_str(), element.as_ref()) {
                ("isnull", _) => {
                    let Value::Boolean(null) = **operand else {
                        return self.refuse(place, "isnull is true or false", "isnull: true");
                    };
                    RowCondition::IsNull { column: column.name.clone(), null }
                }
                (operator, Some(element)) => self.compared(column, element, operator, operand)?,
                (_, None) => {
                    let message = format!("{} is a list and cannot be compared here", column.name);
                    return self.refuse(place, &message, "use row-level security for it");
                }
            });
        }
        Some(if all.len() == 1 { all.remove(0) } else { RowCondition::All(all) })
    }

    fn compared(
        &mut self,
        column: &Column,
        element: &Element,
        operator: &str,
        operand: &Node<Value>,
    ) -> Option<RowCondition> {
        let place = operand.location();
        let comparison = element.class.comparison();
        let ordering = matches!(operator, "gt" | "gte" | "lt" | "lte");
        if comparison == Comparison::None || (ordering && comparison != Comparison::Ordered) {
            let message = format!("{} cannot be compared by {operator}", column.sql_type.sql());
            return self.refuse(place, &message, "compare another column, or use row-level security");
        }
        let (column, sql_type) = (column.name.clone(), element.sql.clone());
        if matches!(operator, "in" | "nin") {
            let values = match (claim(operand), &**operand) {
                (Some(claim), _) => RowValues::Claim(claim),
                (None, Value::List(items)) => {
                    let texts: Option<Vec<String>> = items.iter().map(text).collect();
                    match texts {
                        Some(texts) => RowValues::Texts(texts),
                        None => return self.refuse_value(place),
                    }
                }
                _ => return self.refuse(place, "\"in\" takes a list or a claim", "in: {claim: \"teams\"}"),
            };
            return Some(RowCondition::Among { column, none: operator == "nin", sql_type, values });
        }
        let operator = match operator {
            "eq" => RowOperator::Eq,
            "neq" => RowOperator::Ne,
            "lt" => RowOperator::Lt,
            "lte" => RowOperator::Lte,
            "gt" => RowOperator::Gt,
            _ => RowOperator::Gte,
        };
        let value = match (claim(operand), text(operand)) {
            (Some(claim), _) => RowValue::Claim(claim),
            (None, Some(text)) => RowValue::Text(text),
            (None, None) => return self.refuse_value(place),
        };
        Some(RowCondition::Compare { column, operator, sql_type, value })
    }

    fn refuse_value<T>(&mut self, place: Place) -> Option<T> {
        self.refuse(
            place,
            "a column is compared with a value or with a claim",
            "{eq: \"open\"} or {eq: {claim: \"sub\"}}; for null use isnull",
        )
    }

    fn refuse<T>(&mut self, place: Place, message: &str, hint: &str) -> Option<T> {
        let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message.to_owned());
        self.findings.add(place, error.hint(hint.to_owned()));
        None
    }
}

/// Returns the keys of `{claim: "sub"}` or `{claim: ["realm", "groups"]}`.
fn claim(value: &Node<Value>) -> Option<Vec<String>> {
    let Value::Object(entries) = &**value else { return None };
    let [(name, path)] = entries.as_slice() else { return None };
    let keys: Vec<String> = match &**path {
        Value::String(key) => vec![key.clone()],
        Value::List(items) => {
            items.iter().map(|item| Some(item.as_str()?.to_owned())).collect::<Option<_>>()?
        }
        _ => return None,
    };
    (name == CLAIM && !keys.is_empty()).then_some(keys)
}

/// Returns a literal in PostgreSQL's text format.
fn text(value: &Node<Value>) -> Option<String> {
    match &**value {
        Value::String(text) => Some(text.clone()),
        Value::Int(number) => Some(number.as_str().to_owned()),
        Value::Float(number) => Some(number.as_str().to_owned()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Enum(name) => Some(name.to_string()),
        _ => None,
    }
}

/// Returns the named conditions of `extend schema @rowRule(...)`.
pub(crate) fn named_rules<'d>(
    findings: &mut Findings,
    directives: &[&'d Node<Directive>],
) -> BTreeMap<&'d str, &'d Node<Value>> {
    let mut rules = BTreeMap::new();
    for directive in directives.iter().filter(|directive| directive.name == "rowRule") {
        let argument = |name: &str| directive.arguments.iter().find(|argument| argument.name == name);
        let name = argument("name").and_then(|argument| argument.value.as_str());
        let (Some(name), Some(rows)) = (name, argument("rows")) else { continue };
        if rules.insert(name, &rows.value).is_some() {
            let message = format!("there are two row rules \"{name}\"");
            findings.add(directive.location(), Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message));
        }
    }
    rules
}

/// Returns the columns that claims fill; what is wrong with them is in the findings.
pub(crate) fn presets(
    findings: &mut Findings,
    object: &BoundObject<'_>,
    database: &Database<'_>,
) -> Vec<Preset> {
    let mut presets: Vec<Preset> = Vec::new();
    for usage in object.draft.applied.all("preset") {
        let (Some(name), Some(claim)) = (usage.text("column"), usage.texts("claim")) else { continue };
        let Some(column) = object.relation.column(name) else {
            findings.add(usage.place_of("column"), unknown_column(object.relation, name));
            continue;
        };
        let refused = if presets.iter().any(|preset| preset.column == name) {
            Some(format!("{name} is preset twice"))
        } else if database.writing(object.relation, column) == crate::database::Writing::Never {
            Some(format!("{name} is computed by the database"))
        } else {
            None
        };
        let element = database.element(&column.sql_type).filter(|element| !element.list);
        match (refused, element) {
            (None, Some(element)) => presets.push(Preset {
                column: name.to_owned(),
                sql_type: element.sql,
                claim: claim.iter().map(|key| (*key).to_owned()).collect(),
                update: usage.flag("update"),
            }),
            (refused, _) => {
                let message = refused.unwrap_or_else(|| format!("{name} is a list and cannot be preset"));
                let error = Diagnostic::error(&errors::SDL_DIRECTIVE_ARGUMENT, message);
                findings.add(usage.place_of("column"), error);
            }
        }
    }
    presets
}
