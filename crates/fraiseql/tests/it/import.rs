//! `import`: an authoring file of FraiseQL 2 becomes a folder with a project.

use crate::project::Project;

const AUTHORED: &str = r#"{ "version": "2.0.0",
  "types": [{ "name": "User", "sql_source": "app.v_user", "fields": [{ "name": "full_name", "type": "String", "nullable": true }] }],
  "queries": [{ "name": "users", "return_type": "User", "returns_list": true, "sql_source": "app.v_user", "requires_role": "admin" }] }"#;

#[test]
fn a_project_is_written_with_a_report() {
    let project = Project::new("");
    project.write("schema.json", AUTHORED);
    insta::assert_snapshot!(project.run(&["import", "shop/schema.json", "new"]).shown(&[]), @r"
    exit status: 0
    -- stdout
    -- stderr
    wrote new/schema.graphql
    wrote new/directives.graphql
    wrote new/fraiseql.toml
    wrote new/import-report.md
    wrote new/.gitignore
    wrote new/scripts/rollback-to-previous.sh
    wrote new/scripts/declare-incident
    wrote new/scripts/page-oncall
    wrote new/scripts/create-postmortem
    what has no equal or wants a look (1): read new/import-report.md
    then: DATABASE_URL=... fraiseql compile new
    ");
    let read = |name: &str| std::fs::read_to_string(project.root().join("new").join(name)).expect("written");
    assert!(read("schema.graphql").contains(
        "type User @relation(name: \"v_user\", schema: \"app\") @json(column: \"data\") {\n  fullName: String\n}\n"
    ));
    assert!(read("fraiseql.toml").contains("schemas = [\"app\", \"public\"]"));
    assert!(read("import-report.md").contains("- **query users requires_role**: "));
    assert!(project.run(&["config", "show", "new"]).ok().contains("app,public"));
    let again = project.run(&["import", "shop/schema.json", "new"]);
    assert!(again.stderr.contains("FQ-IO-004"), "{}", again.shown(&[]));
}

#[test]
fn another_file_is_refused() {
    let project = Project::new("");
    project.write("schema.json", "{\"version\": \"1\"}");
    insta::assert_snapshot!(project.run(&["import", "shop/schema.json", "new"]).shown(&[]), @r#"
    exit status: 3
    -- stdout
    -- stderr
    error[FQ-IMP-001]: import shop/schema.json
      = cause: read the authoring file: its version is "1", this command reads 2.0.0
      = help: name the authoring file of FraiseQL 2, usually schema.json, with "version": "2.0.0"
    "#);
}
