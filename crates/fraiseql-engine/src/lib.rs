//! A GraphQL request and an artifact become SQL and the shape of the response. Pure: no I/O, no clock.
//!
//! The way through: [`Schema::load`] once per artifact; [`Document::parse`] once per text;
//! [`Variables::coerce`] for each request; [`plan`] once per text, operation and
//! [`Variables::shape`]; [`bind`] for each request. After an SQL error of a query,
//! [`plan_singles`] tells how to run its root fields one by one and [`complete`] bubbles nulls.

mod abstract_type;
mod aggregate;
mod argument;
mod bind;
mod collect;
mod complete;
mod connection;
mod document;
mod expansion;
mod filter;
mod global_id;
mod ir;
mod mutation;
mod nested;
mod node;
mod operator;
mod order;
mod outcome;
mod plan;
mod planner;
mod poly;
mod query;
mod reads;
mod scalar;
mod schema;
mod select;
mod shape;
mod sql;
mod sql_aggregate;
mod sql_connection;
mod sql_document;
mod sql_poly;
mod variables;
mod version;
mod write;

pub use bind::bind;
pub use complete::{Completed, complete};
pub use document::{Document, Limits, OperationKind};
pub use plan::*;
pub use planner::{plan, plan_singles};
pub use reads::{Reads, reads};
pub use schema::{LoadError, Schema};
pub use shape::{ResponseShape, ShapeKind};
pub use variables::Variables;
