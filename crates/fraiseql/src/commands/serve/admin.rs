//! The admin listener of one server, and the metrics of the secrets in use.

use std::net::SocketAddr;
use std::sync::Arc;

use fraiseql_model::settings::Settings;
use fraiseql_secret::{KeeperView, SecretStatus};
use fraiseql_serve::{Admin, AdminOptions, Gauge, GaugeKind, ServerHandle};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::backups::Backups;
use super::ip;
use crate::commands::config::listed;
use crate::database::Access;
use crate::failure::Failure;
use crate::log::Log;

/// Listens when `admin.port` is set, and tells the metrics of secrets and backups on every page of metrics.
pub(super) fn bind(
    handle: &ServerHandle,
    settings: &Settings,
    (access, backups, more): (&Access, &Backups, impl Fn() -> Vec<Gauge> + Send + Sync + 'static),
    log: &Log,
) -> Result<Option<Admin>, Failure> {
    let view = access.view();
    let (of_secrets, of_backups) = (view.clone(), backups.clone());
    handle.gauges_from(Arc::new(move || {
        let mut all = of_secrets.as_ref().map(|view| gauges(&view.status())).unwrap_or_default();
        all.extend(of_backups.gauges());
        all.extend(more());
        all
    }));
    if settings.text("admin.port").is_none() {
        return Ok(None);
    }
    let port = u16::try_from(settings.integer("admin.port")).unwrap_or(0);
    let options = AdminOptions {
        address: SocketAddr::new(ip(settings, "admin.address")?, port),
        settings: listed(settings),
        backups: {
            let backups = backups.clone();
            Arc::new(move || backups.shown())
        },
        secrets: Arc::new(move || secrets(view.as_ref())),
    };
    let admin = Admin::bind(handle, options)?;
    log.line("info", &format!("admin listener on http://{}", admin.local_addr()));
    Ok(Some(admin))
}

/// Answers until `ended`; without a listener it only waits.
pub(super) async fn run(admin: Option<Admin>, ended: CancellationToken) {
    if let Some(admin) = admin {
        admin.run(ended).await;
    }
    std::future::pending().await
}

fn secrets(view: Option<&KeeperView>) -> Value {
    let shown = |status: SecretStatus| {
        json!({
            "reference": status.reference,
            "leaseSecondsLeft": status.lease_left.map(|left| left.as_secs()),
            "renewals": status.renewals,
            "rotations": status.rotations,
            "failures": status.failures,
            "failing": status.failing,
        })
    };
    view.map(|view| shown(view.status())).into_iter().collect()
}

fn gauges(status: &SecretStatus) -> Vec<Gauge> {
    let gauge = |name, kind, help, value| {
        let labels = vec![("secret", status.reference.clone())];
        Gauge { name, kind, help, labels, value }
    };
    let mut gauges = vec![
        gauge(
            "fraiseql_secret_up",
            GaugeKind::Level,
            "1 when the last attempt to read or renew the secret succeeded.",
            u64::from(status.failing.is_none()),
        ),
        gauge(
            "fraiseql_secret_failures_total",
            GaugeKind::Counter,
            "Attempts to read or renew the secret that failed.",
            status.failures,
        ),
        gauge(
            "fraiseql_secret_renewals_total",
            GaugeKind::Counter,
            "Leases of the secret that were renewed.",
            status.renewals,
        ),
        gauge(
            "fraiseql_secret_rotations_total",
            GaugeKind::Counter,
            "New values of the secret that were taken into use.",
            status.rotations,
        ),
    ];
    if let Some(left) = status.lease_left {
        let help = "Seconds until the secret's lease ends.";
        gauges.push(gauge("fraiseql_secret_lease_seconds", GaugeKind::Level, help, left.as_secs()));
    }
    gauges
}
