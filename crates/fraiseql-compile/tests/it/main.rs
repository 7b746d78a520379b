//! What goes in and what comes out of this crate, as data.

mod compiling;
mod living;
mod persisting;
mod proposing;
mod refusing;
mod wild;
mod world;
