//! A GraphQL request and an artifact become SQL and the shape of the response. Pure: no I/O, no clock.
//!
//! The way through: [`Schema::load`] once per artifact; [`Document::parse`] once per text;
//! [`Variables::coerce`] for each request; [`plan`] once per text, operation and
//! [`Variables::shape`]; [`bind`] for each request. After an SQL error of a query,
//! [`plan_singles`] tells how to run its root fields one by one and [`complete`] bubbles nulls.

mod plan;
mod shape;

pub use plan::*;
pub use shape::ResponseShape;
