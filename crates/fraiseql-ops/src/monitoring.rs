//! The files that tell Prometheus what to scrape and when to raise an alert. They are written
//! whole; who wants other thresholds adds a rule file of their own beside them.

use std::fmt::Write;
use std::str::FromStr;

const RECORDING: &str = include_str!("monitoring/recording.yml");
const ALERTS: &str = include_str!("monitoring/alerts.yml");

/// The longest name of a host that DNS knows.
const HOST_BYTES_MAX: usize = 253;

/// A file of the export.
#[derive(Debug, PartialEq, Eq)]
pub struct MonitoringFile {
    /// Its name below the folder of the export.
    pub name: &'static str,
    /// Its text.
    pub text: String,
}

/// An address that Prometheus scrapes: `HOST:PORT`, or `[IPV6]:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitoredAddress(String);

impl FromStr for MonitoredAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or("a port is missing: write HOST:PORT")?;
        if !matches!(port.parse::<u16>(), Ok(1..)) {
            return Err("the port is not a number from 1 to 65535: write HOST:PORT");
        }
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let valid = match inner {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                (1..=HOST_BYTES_MAX).contains(&host.len())
                    && host
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
            }
        };
        if !valid {
            return Err("the host is neither a name nor an address: write HOST:PORT, without http://");
        }
        Ok(Self(text.to_owned()))
    }
}

/// Returns the files for a service that answers at `service`.
///
/// `instances` are those behind a proxy, when there is one: the loss of one of them is another
/// alert than the loss of the service. The same arguments give the same bytes.
pub fn monitoring_files(service: &MonitoredAddress, instances: &[MonitoredAddress]) -> Vec<MonitoringFile> {
    vec![
        MonitoringFile { name: "prometheus.yml", text: scrape(service, instances) },
        MonitoringFile { name: "recording.yml", text: RECORDING.to_owned() },
        MonitoringFile { name: "alerts.yml", text: ALERTS.to_owned() },
    ]
}

fn scrape(service: &MonitoredAddress, instances: &[MonitoredAddress]) -> String {
    let mut text = String::from(
        "# Written by `fraiseql monitoring export`.\n\
         # The deployment guide says metric_path; Prometheus knows metrics_path only.\n\
         global:\n  scrape_interval: 15s\n  evaluation_interval: 15s\n\
         rule_files:\n  - recording.yml\n  - alerts.yml\n\
         scrape_configs:\n",
    );
    job(&mut text, "fraiseql", std::slice::from_ref(service));
    if !instances.is_empty() {
        job(&mut text, "fraiseql-instances", instances);
    }
    text
}

fn job(text: &mut String, name: &str, addresses: &[MonitoredAddress]) {
    let targets: Vec<String> = addresses.iter().map(|address| format!("'{}'", address.0)).collect();
    let targets = targets.join(", ");
    write!(
        text,
        "  - job_name: '{name}'\n    metrics_path: '/metrics'\n    static_configs:\n      - targets: [{targets}]\n"
    )
    .expect("writing to a String does not fail");
}
