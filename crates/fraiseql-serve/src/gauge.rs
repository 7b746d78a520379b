//! Numbers that are measured outside of the server and told on its page of metrics.

use std::sync::Arc;

use crate::exposition::Exposition;

/// Returns the numbers of now. Asked at each scrape: it must answer from memory.
pub type GaugeSource = Arc<dyn Fn() -> Vec<Gauge> + Send + Sync>;

/// One number. Those of one name stand one after another and have the same kind and help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gauge {
    /// The metric's name.
    pub name: &'static str,
    /// What it does over time.
    pub kind: GaugeKind,
    /// One sentence.
    pub help: &'static str,
    /// Labels; their values come from settings, so that there are few.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: u64,
}

/// What a number does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GaugeKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Level,
}

/// Writes the numbers, with a head for each name.
pub(crate) fn render(gauges: &[Gauge], page: &mut Exposition) {
    let mut last = "";
    for gauge in gauges {
        if gauge.name != last {
            let kind = match gauge.kind {
                GaugeKind::Counter => "counter",
                GaugeKind::Level => "gauge",
            };
            page.head(gauge.name, kind, gauge.help);
            last = gauge.name;
        }
        let labels: Vec<(&str, &str)> =
            gauge.labels.iter().map(|(name, text)| (*name, text.as_str())).collect();
        page.sample(gauge.name, &labels, gauge.value);
    }
}
