//! How fresh backups are: asked for before a deployment, shown by the health detail and the metrics.

use serde_json::Value;

use crate::http::get;
use crate::process::{Running, fraiseql, wait_until};
use crate::project::{MUSIC, Project, TABLES};
use crate::up::interrupt;

const SETTINGS: &str =
    "[embedded]\nseed = [\"seed.sql\"]\n[admin]\nport = 0\n[backup]\nrepository = \"../backups\"\n";

#[test]
fn a_recent_backup_is_taken_once_and_its_age_is_shown() {
    let project = Project::seeded(MUSIC, TABLES);
    project.write("fraiseql.toml", SETTINGS);
    let (up, _) = project.up();
    let status = project.run(&["backup", "status", "shop"]).ok();
    assert!(status.contains("backup  never") && status.contains("drill   never"), "{status}");

    let ensure = || -> Value {
        let told = project.run(&["backup", "ensure", "shop", "--json"]).ok();
        serde_json::from_str(&told).expect("JSON")
    };
    let (first, second) = (ensure(), ensure());
    assert_eq!((&first["taken"], &second["taken"]), (&Value::Bool(true), &Value::Bool(false)));
    assert_eq!(first["backup"]["label"], second["backup"]["label"]);
    let status = project.run(&["backup", "status", "shop", "--json"]).ok();
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["freshness"]["backup_at"], first["backup"]["stopped_at"]);
    assert!(status["freshness"]["wal_at"].is_string() && status["freshness"]["drill_at"].is_null());

    project.compile(&project.url()).ok();
    let arguments = ["serve", "shop", "--port", "0", "--database-url", &project.url()];
    let mut serve = Running::spawn(fraiseql(project.root(), arguments));
    let admin = serve.port("admin listener on http://127.0.0.1:");
    let page = |path: &str| get(admin, path).expect("an answer").1;
    let shown = wait_until("it has looked", || {
        let health: Value = serde_json::from_str(&page("/health")).expect("JSON");
        (health["backups"]["status"] == "known").then(|| health["backups"].clone())
    });
    assert_eq!(shown["backupAt"], first["backup"]["stopped_at"]);
    assert_eq!(shown["drillAt"], Value::Null);
    let metrics = page("/metrics");
    assert!(metrics.contains("fraiseql_backup_repository_up 1\n"), "{metrics}");
    assert!(
        metrics.contains("fraiseql_backup_age_seconds ") && !metrics.contains("backup_drill"),
        "{metrics}"
    );
    drop(serve);
    interrupt(&project, up);
}
