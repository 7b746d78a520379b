//! What the service uses is noted, told, and measured to its end; a plan follows from what was measured.

use serde_json::Value;

use crate::load::Way;
use crate::managed::Managed;
use crate::process::wait_until;

impl Managed {
    fn capacity(&self) -> Value {
        serde_json::from_str(&self.tell(&["capacity", "--json"]).ok()).expect("JSON")
    }
}

fn metric<'a>(report: &'a Value, name: &str) -> &'a Value {
    let found = report["metrics"].as_array().and_then(|all| all.iter().find(|row| row["metric"] == name));
    found.unwrap_or_else(|| panic!("{name}: {report}"))
}

#[test]
fn what_the_service_uses_is_noted_measured_and_planned_with() {
    let managed = Managed::with_settings("sample_interval_ms = 200\n", "");
    let ended = managed.tell(&["capacity"]);
    assert!(ended.stderr.contains("there are no samples"), "{}", ended.stderr);
    managed.deploy(&["--bake", "0s"]).ok();
    let refused = managed.tell(&["capacity", "plan", "--rps", "100"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stderr.contains("error[FQ-CAP-001]"), "{}", refused.stderr);

    let clients = managed.clients(&[Way::KeepAlive]);
    let report = wait_until("requests are seen", || {
        let report = managed.capacity();
        let rate = metric(&report, "requests")["now"].as_f64();
        rate.is_some_and(|rate| rate > 1.0).then_some(report)
    });
    clients.end();
    assert_eq!(report["instances"], 1, "{report}");
    for name in ["cpu", "memory", "disk", "connections", "latency", "errors"] {
        let value = metric(&report, name)["now"].as_f64().expect("a number");
        assert!(value >= 0.0 && (name == "latency" || value <= 1.0), "{name}: {report}");
    }
    assert_eq!(metric(&report, "requests")["forecast"]["when"], "unknown", "{report}");
    let triggers: Vec<&str> = report["triggers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|trigger| trigger["metric"].as_str().expect("a name"))
        .collect();
    assert_eq!(triggers, ["cpu", "memory", "requests", "connections"]);
    assert_eq!(report["triggers"][2]["state"], "not_configured", "{report}");

    let url = format!("http://127.0.0.1:{}/graphql", managed.port);
    let words = ["load", "--to-saturation", "--for", "300ms", "--url", &url, "--json"];
    let measured: Value = serde_json::from_str(&managed.tell(&words).ok()).expect("JSON");
    let points = measured["points"].as_array().expect("a list");
    assert!(points.len() >= 3 && points.iter().all(|point| point["failed"] == 0), "{measured}");
    let knee = metric(&managed.capacity(), "requests")["limit"].clone();
    if measured["fit"].is_null() {
        assert!(points.len() < 4 && knee.is_null(), "{measured}");
        return;
    }
    let highest = measured["fit"]["highest"].as_f64().expect("a number");
    assert!((knee.as_f64().expect("a limit") - 0.7 * highest).abs() < 1.0, "{knee} of {highest}");
    let rps = format!("{:.0}", 7.0 * highest);
    let plan: Value =
        serde_json::from_str(&managed.tell(&["capacity", "plan", "--rps", &rps, "--json"]).ok())
            .expect("JSON");
    assert!((9..=11).contains(&plan["instances"].as_u64().expect("a number")), "{plan}");
    let told = managed.tell(&["capacity", "plan", "--rps", &rps]).ok();
    assert!(told.contains(" requests a second: ") && told.contains(" connections (pools of "), "{told}");
    let shown = managed.tell(&["capacity"]).ok();
    for text in ["requests a second", "database connections", "scale up if", "CPU > 70 % for 10 minutes"] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
}
