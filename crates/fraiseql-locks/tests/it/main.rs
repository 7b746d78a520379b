//! The model against a real server: which locks it takes, which files it writes, what it reads.

mod reality;
