//! The settings of `[oncall]`: how people on call are reached.

use super::{Kind, Setting, setting};

pub(super) const PAGERDUTY_KEY: Setting = Setting {
    secret: true,
    ..setting(
        "oncall.pagerduty_key",
        "FRAISEQL_ONCALL_PAGERDUTY_KEY",
        Kind::Text,
        None,
        "Routing key of a service of PagerDuty (Events API v2), best a reference.",
    )
};

pub(super) const PAGERDUTY_URL: Setting = setting(
    "oncall.pagerduty_url",
    "FRAISEQL_ONCALL_PAGERDUTY_URL",
    Kind::Text,
    Some("https://events.pagerduty.com/v2/enqueue"),
    "Where events for PagerDuty go.",
);

pub(super) const SERVICE: Setting = setting(
    "oncall.service",
    "FRAISEQL_ONCALL_SERVICE",
    Kind::Text,
    Some("fraiseql"),
    "What people on call know the service by.",
);

pub(super) const WEBHOOK_URL: Setting = Setting {
    secret: true,
    ..setting(
        "oncall.webhook_url",
        "FRAISEQL_ONCALL_WEBHOOK_URL",
        Kind::Text,
        None,
        "A webhook that takes what Slack's take. Its address is its secret: best a reference.",
    )
};
