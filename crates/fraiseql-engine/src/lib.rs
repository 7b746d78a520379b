//! A GraphQL request and an artifact become SQL and the shape of the response. Pure: no I/O, no clock.
//!
//! The way through: [`Schema::load`] once per artifact; [`Document::parse`] once per text;
//! [`Variables::coerce`] for each request; [`plan`] once per text, operation and
//! [`Variables::shape`]; [`bind`] for each request. After an SQL error of a query,
//! [`plan_singles`] tells how to run its root fields one by one and [`complete`] bubbles nulls.

mod abstract_type;
mod aggregate;
mod argument;
mod asked;
mod bind;
mod collect;
mod complete;
mod connection;
mod denial;
mod descriptions;
mod diff;
mod document;
mod estimate;
mod expansion;
mod explain;
mod filter;
mod global_id;
mod hidden;
mod input_document;
mod introspected;
mod introspection;
mod ir;
mod limits;
mod mutation;
mod nested;
mod node;
mod operator;
mod order;
mod outcome;
mod persisted;
mod plan;
mod planner;
mod poly;
mod query;
mod reader;
mod reads;
mod rows;
mod scalar;
mod scan;
mod schema;
mod select;
mod shape;
mod spec;
mod sql;
mod sql_aggregate;
mod sql_connection;
mod sql_document;
mod sql_keys;
mod sql_operand;
mod sql_poly;
mod tokens;
mod validate;
mod variables;
mod version;
mod view;
mod write;

pub use asked::asked_fields;
pub use bind::bind;
pub use complete::{Completed, complete};
pub use diff::{Change, ChangeKind, ChangeSeverity, PublicSchema, SdlError, affected, diff};
pub use document::{Document, OperationKind};
pub use estimate::check_rows;
pub use explain::{Advice, ExplainError, Measured, PlanNode, TableFacts, advice, read_plan};
pub use introspected::{
    INTROSPECTION_QUERY, INTROSPECTION_QUERY_OLD, IntrospectionError, introspect, sdl_of_introspection,
};
pub use limits::{Limit, LimitMode, Limits, WARN_FACTOR, check_values};
pub use persisted::persisted_documents;
pub use plan::*;
pub use planner::{plan, plan_singles};
pub use reads::{Reads, reads, writes};
pub use schema::{LoadError, Schema};
pub use shape::{ResponseShape, ShapeKind};
pub use sql::KEYS_SETTING;
pub use variables::Variables;
