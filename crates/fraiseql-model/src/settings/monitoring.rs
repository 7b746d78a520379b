//! The settings that say who watches the service.

use super::{Kind, Setting, setting};

pub(super) const ALERTMANAGER_URL: Setting = setting(
    "monitoring.alertmanager_url",
    "FRAISEQL_MONITORING_ALERTMANAGER_URL",
    Kind::Text,
    None,
    "URL of the Alertmanager that sends the alerts; `preflight` asks whether it answers, and `incident page` tells it of incidents.",
);

pub(super) const PROMETHEUS_URL: Setting = setting(
    "monitoring.prometheus_url",
    "FRAISEQL_MONITORING_PROMETHEUS_URL",
    Kind::Text,
    None,
    "URL of the Prometheus that watches the service; `preflight` asks whether it scrapes and has the alerts.",
);
