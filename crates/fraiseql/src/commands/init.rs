//! `fraiseql init`: a project for a database that exists.

use std::path::PathBuf;

use fraiseql_compile::{InitOptions, InitOutput, init};
use fraiseql_model::errors;
use serde_json::json;

use crate::args;
use crate::failure::Failure;
use crate::files;
use crate::printer::Printer;

use super::compile::{live_catalog, snapshot_bytes};

/// What `fraiseql.toml` begins with; `SCHEMAS` stands for quoted names.
pub(crate) const SETTINGS: &str = "\
# Settings of this project. `fraiseql config show` prints what is in force and why.
# No secrets here, only references to them: the connection string comes from DATABASE_URL, or stands
# here without its password, beside password = \"secret://vault/secret/fraiseql#db_password\".

[database]
schemas = [SCHEMAS]

[server]
port = 4000

[env.production.server]
profile = \"production\"
address = \"0.0.0.0\"
";

/// What is made again by commands and belongs to no repository.
pub(crate) const IGNORED: &str = "/.fraiseql/\n/schema.compiled.json\n";

/// What runs in an emergency, found in the project without a manual: name and content.
pub(crate) const SCRIPTS: &[(&str, &str)] = &[
    (
        "scripts/rollback-to-previous.sh",
        "\
#!/bin/sh
# Takes all traffic back to the release before: by the agent, or by the proxy alone when the agent is dead.
exec fraiseql rollback -C \"$(dirname \"$0\")/..\" \"$@\"
",
    ),
    (
        "scripts/declare-incident",
        "\
#!/bin/sh
# declare-incident TITLE: writes down that something is wrong.
title=${1:?what is wrong}
shift
exec fraiseql incident declare -C \"$(dirname \"$0\")/..\" --title \"$title\" \"$@\"
",
    ),
    (
        "scripts/page-oncall",
        "\
#!/bin/sh
# page-oncall SERVICE: pages people on call about the newest incident.
service=${1:?which service}
shift
exec fraiseql incident page -C \"$(dirname \"$0\")/..\" --service \"$service\" \"$@\"
",
    ),
    (
        "scripts/create-postmortem",
        "\
#!/bin/sh
# create-postmortem TITLE: the newest incident as a document that people finish, here as TITLE.md.
title=${1:?what it is called}
shift
exec fraiseql incident postmortem -C \"$(dirname \"$0\")/..\" --output \"$title.md\" \"$@\"
",
    ),
];

/// Writes a project.
pub(crate) async fn run(arguments: args::Init, printer: &Printer) -> Result<(), Failure> {
    let url = connection_string(&arguments)?;
    let catalog = live_catalog(&url, &arguments.schema).await?;
    if catalog.relations.is_empty() {
        let message =
            format!("find relations in schema {} that this role may read", arguments.schema.join(", "));
        let hint = "name schemas with --schema, or grant SELECT to the role";
        let mut failure = Failure::new(&errors::CAT_NOTHING, message).hint(hint);
        failure.causes = catalog.left_out.iter().map(|left| format!("{}: {}", left.what, left.why)).collect();
        return Err(failure);
    }
    let options = InitOptions {
        role: arguments.role.clone(),
        reads: !arguments.no_reads,
        writes: !arguments.no_writes,
    };
    let output = init(&catalog, &options);
    let files = contents(&arguments, &output, snapshot_bytes(&catalog)?);
    if !arguments.force {
        refuse_to_overwrite(&files)?;
    }
    if !arguments.dry_run {
        for (path, content) in &files {
            files::write(path, content)?;
        }
    }
    report(&arguments, &output, &files, printer);
    Ok(())
}

fn connection_string(arguments: &args::Init) -> Result<String, Failure> {
    let given = arguments.from_database.clone().filter(|url| !url.is_empty());
    let variable = || std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty());
    given.or_else(variable).ok_or_else(|| {
        let hint = "fraiseql init --from-database postgres://user:password@host:5432/database DIR";
        Failure::new(&errors::CFG_MISSING, "make a project: no database was named").hint(hint)
    })
}

fn contents(arguments: &args::Init, output: &InitOutput, catalog: Vec<u8>) -> Vec<(PathBuf, Vec<u8>)> {
    let schemas: Vec<String> = arguments.schema.iter().map(|name| format!("{name:?}")).collect();
    let settings = SETTINGS.replace("SCHEMAS", &schemas.join(", "));
    let file = |name: &str, content: Vec<u8>| (arguments.dir.join(name), content);
    let mut files = vec![
        file("schema.graphql", output.schema.clone().into_bytes()),
        file("directives.graphql", output.directives.clone().into_bytes()),
        file("grants.sql", output.grants.clone().into_bytes()),
        file("catalog.json", catalog),
        file("fraiseql.toml", settings.into_bytes()),
        file(".gitignore", IGNORED.as_bytes().to_vec()),
    ];
    files.extend(SCRIPTS.iter().map(|(name, text)| file(name, text.as_bytes().to_vec())));
    files
}

/// Fails when one of the files is there.
pub(crate) fn refuse_to_overwrite(files: &[(PathBuf, Vec<u8>)]) -> Result<(), Failure> {
    let present: Vec<String> =
        files.iter().filter(|(path, _)| path.exists()).map(|(path, _)| path.display().to_string()).collect();
    if present.is_empty() {
        return Ok(());
    }
    let message = format!("write the project: {} would be overwritten", present.join(", "));
    Err(Failure::new(&errors::IO_EXISTS, message).hint("name another folder, or say --force"))
}

fn report(arguments: &args::Init, output: &InitOutput, files: &[(PathBuf, Vec<u8>)], printer: &Printer) {
    let names: Vec<String> = files.iter().map(|(path, _)| path.display().to_string()).collect();
    if printer.is_json() {
        let left = output.notes.iter().map(|left| json!({ "what": left.what, "why": left.why }));
        let left: Vec<_> = left.collect();
        printer.data_json(&json!({ "files": names, "written": !arguments.dry_run, "leftOut": left }));
        return;
    }
    let verb = if arguments.dry_run { "would write" } else { "wrote" };
    for name in &names {
        printer.say(&format!("{verb} {name}"));
    }
    if !output.notes.is_empty() {
        printer.say("\nLeft out:");
        for left in &output.notes {
            printer.say(&format!("  {}: {}", left.what, left.why));
        }
    }
    let dir = arguments.dir.display();
    printer.say(&format!(
        "\nNext:\n  psql \"$DATABASE_URL\" -f {dir}/grants.sql   # a least-privileged role for the service\n  \
         fraiseql compile {dir}\n  fraiseql serve {dir}"
    ));
}
