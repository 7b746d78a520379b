//! A GraphQL request and an artifact become SQL and the shape of the response. Pure: no I/O, no clock.
//!
//! The way through: [`Schema::load`] once per artifact; [`Document::parse`] once per text;
//! [`Variables::coerce`] for each request; [`plan`] once per text, operation and
//! [`Variables::shape`]; [`bind`] for each request. After an SQL error of a query,
//! [`plan_singles`] tells how to run its root fields one by one and [`complete`] bubbles nulls.

mod abstract_type;
mod argument;
mod bind;
mod collect;
mod complete;
mod document;
mod expansion;
mod filter;
mod global_id;
mod ir;
mod mutation;
mod node;
mod order;
mod plan;
mod planner;
mod poly;
mod query;
mod scalar;
mod schema;
mod select;
mod shape;
mod sql;
mod sql_poly;
mod variables;
mod write;

pub use bind::bind;
pub use complete::{Completed, complete};
pub use document::{Document, Limits, OperationKind};
pub use plan::*;
pub use planner::{plan, plan_singles};
pub use schema::{LoadError, Schema};
pub use shape::{ResponseShape, ShapeKind};
pub use variables::Variables;
