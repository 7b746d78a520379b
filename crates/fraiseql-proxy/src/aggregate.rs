//! One page of metrics for the service: the sum over instances, which never falls when one of them
//! begins anew or goes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The most series of one instance.
const SERIES_MAX: usize = 50_000;

/// What instances have told so far.
#[derive(Debug, Default)]
pub(crate) struct Aggregate {
    /// By instance.
    instances: BTreeMap<String, Instance>,
    /// Counted by instances that are gone.
    gone: BTreeMap<String, f64>,
    /// Head lines by family.
    families: BTreeMap<String, Family>,
}

#[derive(Debug, Default)]
struct Instance {
    /// Counted before it last began anew.
    before: BTreeMap<String, f64>,
    now: BTreeMap<String, f64>,
    gauges: BTreeMap<String, f64>,
}

#[derive(Clone, Debug)]
struct Family {
    kind: String,
    help: String,
}

impl Aggregate {
    /// Takes the page of an instance. `None` is an instance that did not answer: what it counted stays.
    pub(crate) fn take(&mut self, instance: &str, page: Option<&str>) {
        let known = self.instances.entry(instance.to_owned()).or_default();
        let Some(page) = page else {
            known.gauges.clear();
            return;
        };
        let (mut counted, mut gauges) = (BTreeMap::new(), BTreeMap::new());
        for line in page.lines().take(SERIES_MAX) {
            if let Some(head) = line.strip_prefix("# HELP ") {
                let (name, help) = head.split_once(' ').unwrap_or((head, ""));
                let family = Family { kind: "untyped".to_owned(), help: help.to_owned() };
                self.families.entry(name.to_owned()).or_insert(family);
            } else if let Some((name, kind)) =
                line.strip_prefix("# TYPE ").and_then(|head| head.split_once(' '))
            {
                let family = self.families.entry(name.to_owned());
                let family = family.or_insert_with(|| Family { kind: String::new(), help: String::new() });
                kind.clone_into(&mut family.kind);
            } else if let Some((series, value)) = sample(line) {
                let kind =
                    family_of(&self.families, series).map_or("untyped", |name| &self.families[name].kind);
                let into = if matches!(kind, "counter" | "histogram") { &mut counted } else { &mut gauges };
                into.insert(series.to_owned(), value);
            }
        }
        for (series, value) in &known.now {
            // It has begun anew: what it had counted until then is kept.
            if counted.get(series).is_none_or(|now| now < value) {
                *known.before.entry(series.clone()).or_default() += value;
            }
        }
        (known.now, known.gauges) = (counted, gauges);
    }

    /// Forgets instances that are none of these; what they counted stays.
    pub(crate) fn keep(&mut self, instances: &BTreeSet<&str>) {
        let gone: Vec<String> =
            self.instances.keys().filter(|name| !instances.contains(name.as_str())).cloned().collect();
        for name in gone {
            let Some(instance) = self.instances.remove(&name) else { continue };
            for (series, value) in instance.before.into_iter().chain(instance.now) {
                *self.gone.entry(series).or_default() += value;
            }
        }
    }

    /// Adds to a counter of the proxy's own.
    fn sums(&self) -> BTreeMap<String, f64> {
        let mut sums = self.gone.clone();
        for instance in self.instances.values() {
            for (series, value) in instance.before.iter().chain(&instance.now) {
                *sums.entry(series.clone()).or_default() += value;
            }
            for (series, value) in &instance.gauges {
                let sum = sums.entry(series.clone()).or_default();
                // What describes a program is the same on all instances.
                *sum = if is_info(series) { value.max(*sum) } else { *sum + value };
            }
        }
        sums
    }

    /// Returns the page, with `own` requests that the proxy itself refused by status.
    pub(crate) fn page(&self, own: &BTreeMap<u16, u64>) -> String {
        let mut sums = self.sums();
        for (status, count) in own {
            #[expect(clippy::cast_precision_loss, reason = "the format's numbers are of that precision")]
            let count = *count as f64;
            *sums.entry(format!("http_requests_total{{status=\"{status}\"}}")).or_default() += count;
        }
        let mut by_family: BTreeMap<&str, Vec<(&String, f64)>> = BTreeMap::new();
        for (series, value) in &sums {
            let family = family_of(&self.families, series).unwrap_or_else(|| name_of(series));
            by_family.entry(family).or_default().push((series, *value));
        }
        let mut text = String::new();
        for (name, mut samples) in by_family {
            let known = self.families.get(name).cloned();
            let family = known.unwrap_or_else(|| Family {
                kind: "counter".to_owned(),
                help: "Requests by status.".to_owned(),
            });
            writeln!(text, "# HELP {name} {}", family.help).expect("a String takes every write");
            writeln!(text, "# TYPE {name} {}", family.kind).expect("a String takes every write");
            samples.sort_by(|(left, _), (right, _)| order(left).total_cmp_with(&order(right)));
            for (series, value) in samples {
                writeln!(text, "{series} {value}").expect("a String takes every write");
            }
        }
        text
    }
}

/// Where a series stands in its family: buckets by their bound.
struct Order<'s>(&'s str, f64);

impl Order<'_> {
    fn total_cmp_with(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(other.0).then(self.1.total_cmp(&other.1))
    }
}

fn order(series: &str) -> Order<'_> {
    match series.split_once("le=\"") {
        Some((head, rest)) => {
            let bound = rest.split('"').next().unwrap_or("");
            let number = bound.parse();
            Order(head, number.unwrap_or(f64::INFINITY))
        }
        None => Order(series, 0.0),
    }
}

fn sample(line: &str) -> Option<(&str, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let number = value.parse();
    Some((series, number.ok()?))
}

fn name_of(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

fn is_info(series: &str) -> bool {
    name_of(series).ends_with("_info")
}

fn family_of<'f>(families: &'f BTreeMap<String, Family>, series: &str) -> Option<&'f str> {
    let name = name_of(series);
    let plain = || ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let found = families.get_key_value(name).or_else(|| families.get_key_value(plain()?));
    found.map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(requests: u64, open: u64) -> String {
        format!(
            "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n\
             http_requests_total{{status=\"200\"}} {requests}\n\
             # HELP connections Open.\n# TYPE connections gauge\nconnections {open}\n\
             # HELP build_info Build.\n# TYPE build_info gauge\nbuild_info{{version=\"1\"}} 1\n\
             # HELP seconds Time.\n# TYPE seconds histogram\nseconds_bucket{{le=\"0.5\"}} {requests}\n\
             seconds_bucket{{le=\"10\"}} {requests}\nseconds_bucket{{le=\"2\"}} {requests}\n\
             seconds_bucket{{le=\"+Inf\"}} {requests}\nseconds_sum 1.5\nseconds_count {requests}\n"
        )
    }

    #[track_caller]
    fn check(aggregate: &Aggregate, line: &str) {
        let page = aggregate.page(&BTreeMap::from([(502, 3)]));
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }

    #[test]
    fn counters_never_fall_and_gauges_are_of_now() {
        let mut aggregate = Aggregate::default();
        aggregate.take("a", Some(&page(10, 2)));
        aggregate.take("b", Some(&page(5, 1)));
        check(&aggregate, "http_requests_total{status=\"200\"} 15");
        check(&aggregate, "connections 3");
        check(&aggregate, "build_info{version=\"1\"} 1");
        check(&aggregate, "seconds_sum 3");
        check(&aggregate, "http_requests_total{status=\"502\"} 3");
        // It began anew.
        aggregate.take("a", Some(&page(4, 1)));
        check(&aggregate, "http_requests_total{status=\"200\"} 19");
        // It does not answer.
        aggregate.take("a", None);
        check(&aggregate, "http_requests_total{status=\"200\"} 19");
        check(&aggregate, "connections 1");
        // It is gone.
        aggregate.keep(&BTreeSet::from(["b"]));
        check(&aggregate, "http_requests_total{status=\"200\"} 19");
    }

    #[test]
    fn buckets_stay_in_order() {
        let mut aggregate = Aggregate::default();
        aggregate.take("a", Some(&page(1, 1)));
        let page = aggregate.page(&BTreeMap::new());
        let buckets: Vec<&str> = page.lines().filter(|line| line.starts_with("seconds_bucket")).collect();
        let bounds: Vec<&str> = buckets.iter().map(|line| line.split('"').nth(1).unwrap()).collect();
        assert_eq!(bounds, ["0.5", "2", "10", "+Inf"]);
    }
}
