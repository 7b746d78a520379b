//! TLS of the server: what the log and the metrics tell of it.

use std::sync::Arc;

use fraiseql_net::{CertificateNews, ListenerTls};

use crate::exposition::Exposition;
use crate::observe::Event;
use crate::serving::Serving;

/// Adds the numbers of TLS to a page of metrics.
pub(crate) fn render(tls: &ListenerTls, page: &mut Exposition) {
    let counts = tls.counts();
    let name = "fraiseql_tls_certificate_not_after_seconds";
    page.gauge(name, "When the certificate ends, in seconds since 1970.", tls.not_after_s());
    let name = "fraiseql_tls_certificate_days_left";
    page.gauge(name, "Whole days until the certificate ends; 0 when it has.", tls.days_left());
    let name = "fraiseql_tls_reloads_total";
    page.head(name, "counter", "New certificate files by what became of them.");
    page.sample(name, &[("outcome", "loaded")], counts.reloads);
    page.sample(name, &[("outcome", "refused")], counts.refusals);
    let name = "fraiseql_tls_handshakes_failed_total";
    page.counter(name, "Connections that did not come to speak TLS.", counts.failed);
}

/// Looks at the files again and again; to be dropped when the server ends.
pub(crate) async fn watch(serving: Arc<Serving>) {
    let Some(tls) = &serving.life.tls else { return };
    let tell = |news: CertificateNews<'_>| match news {
        CertificateNews::Loaded { days_left, soon } => {
            serving.observer.observe(&Event::CertificateLoaded { days_left, soon });
        }
        CertificateNews::Refused { fault } => {
            serving.observer.observe(&Event::CertificateRefused { fault });
        }
    };
    tls.watch(tell).await;
}
