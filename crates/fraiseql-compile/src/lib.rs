//! A schema and a catalog become an artifact; a catalog becomes a first schema. Pure: no I/O, no clock.
//!
//! [`compile`] binds the author's SDL to what the database has, says everything that is wrong with
//! it, and generates filters, orders and writes. [`init`] goes the other way: it proposes the SDL for
//! a database. [`DIRECTIVES`] documents the language in which the two speak.

mod access;
mod aggregate;
mod alike;
mod analysis;
mod author_input;
mod call;
mod casing;
mod column;
mod compile;
mod database;
mod directive;
mod document;
mod draft;
mod enumeration;
mod family;
mod filter;
mod findings;
mod grants;
mod import;
mod inherit;
mod init;
mod input;
mod json;
mod manifest;
mod nesting;
mod object;
mod operations;
mod outcome;
mod plural;
mod polymorphic;
mod public;
mod reading;
mod reference;
mod roles;
mod root;
mod row_rule;
mod rows;
mod scalar;
mod shape;
mod syntax;
mod text;
mod version;
mod write;

pub use compile::{Compiled, Source, compile};
pub use directive::DIRECTIVES;
pub use grants::grants;
pub use import::{ImportError, Imported, import};
pub use init::{InitOptions, InitOutput, init};
pub use operations::with_operations;
