//! What goes in and what comes out of this crate, as data.

mod author_inputs;
mod compiling;
mod families;
mod importing;
mod living;
mod persisting;
mod proposing;
mod refusing;
mod subscribing;
mod wild;
mod world;
mod writing;
