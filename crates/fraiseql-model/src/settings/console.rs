//! The settings of `[console]`: the operator's page.

use super::{Kind, Setting, setting};

pub(super) const PORT: Setting = setting(
    "console.port",
    "FRAISEQL_CONSOLE_PORT",
    Kind::Integer { min: 0, max: 65_535 },
    Some("0"),
    "Port of the agent's console on the loopback, 4001 by custom; 0 for none. `fraiseql console` prints its address.",
);
