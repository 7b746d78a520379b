//! What PostgreSQL's EXPLAIN says of a statement: its plan as a tree, and indexes that are missing.
//!
//! Pure: whoever talks to the database hands in the JSON of EXPLAIN (with VERBOSE) and facts on tables.

mod advice;
mod condition;

use serde_json::Value;

pub use advice::{Advice, TableFacts, advice};

/// A node of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanNode {
    /// For example `Seq Scan`.
    pub kind: String,
    /// Schema and name of the table that it reads.
    pub table: Option<(String, String)>,
    /// The table's name within the statement.
    pub alias: Option<String>,
    /// The index that it uses.
    pub index: Option<String>,
    /// What rows must fulfil: what it is called, and the condition.
    pub conditions: Vec<(&'static str, String)>,
    /// How many rows PostgreSQL expects each time.
    pub rows: f64,
    /// What was measured, with ANALYZE.
    pub measured: Option<Measured>,
    /// Its own part of the whole, from 0 to 1: of the time where it was measured, else of the cost.
    pub share: f64,
    /// True when it runs again and again: below a nested loop or in a subquery of each row.
    pub repeated: bool,
    /// What it reads from.
    pub children: Vec<PlanNode>,
}

/// What ANALYZE measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Rows each time, on average.
    pub rows: f64,
    /// How often it ran.
    pub loops: f64,
    /// Milliseconds in all, those of its children included.
    pub total_ms: f64,
}

/// EXPLAIN's answer is not of the shape that PostgreSQL gives it.
#[derive(Debug, thiserror::Error)]
#[error("understand the answer of EXPLAIN")]
pub struct ExplainError {
    /// What the parser met, where it is JSON's fault.
    #[source]
    source: Option<serde_json::Error>,
}

/// Names of conditions in EXPLAIN, and how they are shown.
const CONDITIONS: [(&str, &str); 7] = [
    ("Index Cond", "index"),
    ("Recheck Cond", "recheck"),
    ("Hash Cond", "hash"),
    ("Merge Cond", "merge"),
    ("Join Filter", "join filter"),
    ("Filter", "filter"),
    ("One-Time Filter", "once"),
];

/// Reads the answer of `EXPLAIN (VERBOSE, FORMAT JSON)`, with or without ANALYZE.
pub fn read_plan(json: &[u8]) -> Result<PlanNode, ExplainError> {
    let explained: Value =
        serde_json::from_slice(json).map_err(|source| ExplainError { source: Some(source) })?;
    let Some(plan) = explained.pointer("/0/Plan") else { return Err(ExplainError { source: None }) };
    let whole = effort(plan, 1.0).max(f64::MIN_POSITIVE);
    Ok(node(plan, whole, 1.0, false))
}

/// Time where it was measured, for all loops; else the cost of running it so many times.
fn effort(plan: &Value, times: f64) -> f64 {
    match measured(plan) {
        Some(measured) => measured.total_ms,
        None => number(plan, "Total Cost").unwrap_or(0.0) * times,
    }
}

/// How often a child runs each time its parent does, as PostgreSQL expects it.
fn runs(plan: &Value, child: &Value) -> f64 {
    let rows = |plan: &Value| number(plan, "Plan Rows").unwrap_or(1.0).max(1.0);
    match relationship(child) {
        Some("Inner") if is_nested_loop(plan) => {
            let mut children = plan.get("Plans").and_then(Value::as_array).into_iter().flatten();
            children.find(|child| relationship(child) == Some("Outer")).map_or(1.0, rows)
        }
        Some("SubPlan") => rows(plan),
        _ => 1.0,
    }
}

fn relationship(child: &Value) -> Option<&str> {
    child.get("Parent Relationship").and_then(Value::as_str)
}

fn is_nested_loop(plan: &Value) -> bool {
    plan.get("Node Type").and_then(Value::as_str) == Some("Nested Loop")
}

fn measured(plan: &Value) -> Option<Measured> {
    let loops = number(plan, "Actual Loops")?;
    let total_ms = number(plan, "Actual Total Time")? * loops;
    Some(Measured { rows: number(plan, "Actual Rows")?, loops, total_ms })
}

fn node(plan: &Value, whole: f64, times: f64, repeated: bool) -> PlanNode {
    let text = |key: &str| plan.get(key).and_then(Value::as_str).map(str::to_owned);
    let kind = text("Node Type").unwrap_or_default();
    let kind = text("Operation").filter(|_| kind == "ModifyTable").unwrap_or(kind);
    let below: Vec<&Value> = plan.get("Plans").and_then(Value::as_array).into_iter().flatten().collect();
    // Estimates of what is run again do not always add up: no share is below zero.
    let below_it: f64 = below.iter().map(|child| effort(child, times * runs(plan, child))).sum();
    let own = effort(plan, times) - below_it;
    let children = below.into_iter().map(|child| {
        let again = match relationship(child) {
            Some("Inner") => is_nested_loop(plan),
            Some("SubPlan") => true,
            _ => false,
        };
        node(child, whole, times * runs(plan, child), repeated || again)
    });
    let conditions = CONDITIONS.iter().filter_map(|(key, shown)| Some((*shown, text(key)?)));
    PlanNode {
        table: text("Schema").zip(text("Relation Name")),
        alias: text("Alias"),
        index: text("Index Name"),
        conditions: conditions.collect(),
        rows: number(plan, "Plan Rows").unwrap_or(0.0),
        measured: measured(plan),
        share: (own / whole).clamp(0.0, 1.0),
        repeated,
        children: children.collect(),
        kind,
    }
}

fn number(plan: &Value, key: &str) -> Option<f64> {
    plan.get(key).and_then(Value::as_f64)
}

impl PlanNode {
    /// Returns the tree as indented text, a line for each node and for each condition.
    pub fn render(&self) -> String {
        let mut text = String::new();
        self.render_into(&mut text, 0);
        text
    }

    fn render_into(&self, text: &mut String, depth: usize) {
        let indent = "  ".repeat(depth);
        let table = self.table.as_ref().map_or_else(String::new, |(_, name)| format!(" on {name}"));
        let index = self.index.as_ref().map_or_else(String::new, |index| format!(" by {index}"));
        let rows = match &self.measured {
            Some(Measured { rows, loops, total_ms }) => {
                let times = if *loops > 1.0 { format!(", {loops} times") } else { String::new() };
                format!("rows {rows} (expected {}){times}, {total_ms:.3} ms", self.rows)
            }
            None => format!("rows {}", self.rows),
        };
        let share = format!("{:.0}%", self.share * 100.0);
        text.push_str(&format!("{share:>5}  {indent}{}{table}{index}  {rows}\n", self.kind));
        for (name, condition) in &self.conditions {
            text.push_str(&format!("{:>5}  {indent}    {name}: {condition}\n", ""));
        }
        for child in &self.children {
            child.render_into(text, depth + 1);
        }
    }

    /// Returns the tables that it and its children read, each once.
    pub fn tables(&self) -> Vec<(String, String)> {
        let mut tables: Vec<(String, String)> = self.nodes().filter_map(|node| node.table.clone()).collect();
        tables.sort();
        tables.dedup();
        tables
    }

    /// Returns it and everything below it.
    pub(crate) fn nodes(&self) -> Box<dyn Iterator<Item = &PlanNode> + '_> {
        Box::new(std::iter::once(self).chain(self.children.iter().flat_map(PlanNode::nodes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_for_each_row_takes_its_share() {
        let scan = |relationship: &str, table: &str, rows: f64, cost: f64| {
            serde_json::json!({
                "Node Type": "Seq Scan", "Schema": "public", "Relation Name": table, "Plan Rows": rows,
                "Total Cost": cost, "Parent Relationship": relationship, "Filter": "(a = 1)",
            })
        };
        let plan = serde_json::json!([{ "Plan": {
            "Node Type": "Nested Loop", "Plan Rows": 100.0, "Total Cost": 100.0,
            "Plans": [scan("Outer", "few", 10.0, 10.0), scan("Inner", "many", 10.0, 8.0)],
        } }]);
        let plan = read_plan(plan.to_string().as_bytes()).unwrap();
        let expected = "  10%  Nested Loop  rows 100\n  10%    Seq Scan on few  rows 10\n             filter: (a = 1)\n  \
                        80%    Seq Scan on many  rows 10\n             filter: (a = 1)\n";
        assert_eq!(plan.render(), expected);
        assert!(plan.children[1].repeated && !plan.children[0].repeated);
        assert!(read_plan(b"[]").is_err() && read_plan(b"nonsense").is_err());
    }
}
