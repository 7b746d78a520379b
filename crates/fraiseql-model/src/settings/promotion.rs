//! The settings of `[promotion]`: from which environment releases come, and who must want them.

use super::{Kind, Setting, setting};

pub(super) const APPROVALS_MIN: Setting = setting(
    "promotion.approvals_min",
    "FRAISEQL_PROMOTION_APPROVALS_MIN",
    Kind::Integer { min: 0, max: 20 },
    Some("0"),
    "So many different people must have approved a release (`fraiseql release approve`) before it is deployed.",
);

pub(super) const FROM: Setting = setting(
    "promotion.from",
    "FRAISEQL_PROMOTION_FROM",
    Kind::Text,
    None,
    "The folder `.fraiseql` of the environment before this one: only releases that were stable there are deployed.",
);
