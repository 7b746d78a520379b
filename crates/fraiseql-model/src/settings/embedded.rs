//! The settings of `[embedded]`: the PostgreSQL that `up` runs.

use super::{Kind, Setting, setting};

pub(super) const BIN_DIR: Setting = setting(
    "embedded.bin_dir",
    "FRAISEQL_EMBEDDED_BIN_DIR",
    Kind::Text,
    None,
    "Folder with `postgres` and `initdb` for the embedded PostgreSQL.",
);

pub(super) const DATA_DIR: Setting = setting(
    "embedded.data_dir",
    "FRAISEQL_EMBEDDED_DATA_DIR",
    Kind::Text,
    None,
    "Data directory of the embedded PostgreSQL; chosen and recorded in `.fraiseql/` when not set.",
);

pub(super) const SEED: Setting = setting(
    "embedded.seed",
    "FRAISEQL_EMBEDDED_SEED",
    Kind::List,
    Some(""),
    "SQL files, relative to the project, that fill a new embedded database once.",
);
