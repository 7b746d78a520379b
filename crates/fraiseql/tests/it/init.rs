//! `init` of a database, then `compile` of what it wrote, unchanged, then `serve`.
