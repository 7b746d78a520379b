//! Reads settings and schema again while serving. Everything is taken over in one step, or nothing.

use fraiseql_model::settings::{SETTINGS, Settings};
use fraiseql_serve::{Reload, ServerHandle};

use crate::args;
use crate::failure::Failure;
use crate::log::Log;
use crate::project::{Project, open_artifact};

use super::{flags, life, tuning};

/// Settings that take effect at a reload: whole keys, or what they begin with. TLS has files that
/// are watched by themselves; their names wait for a restart.
const HOT: [&str; 9] = [
    "cors.",
    "graphql.",
    "limits.",
    "maintenance.",
    "server.compression",
    "server.graphiql",
    "server.mode",
    "server.profile",
    "server.request_timeout_ms",
];

/// Reads again and takes over. Returns what to say; on a failure everything stays as it was.
pub(super) async fn run(
    arguments: &args::Serve,
    in_force: &mut Settings,
    at_start: &Settings,
    handle: &ServerHandle,
    log: &Log,
) -> Result<String, String> {
    handle.look_at_certificate();
    let before = in_force.clone();
    match take_over(arguments, in_force, handle) {
        Ok(()) => {
            let waiting = waiting(at_start, in_force);
            handle.note_reload(Reload::Done { waiting: waiting.len() as u64 });
            let told = match waiting.as_slice() {
                [] => "settings and schema were read again".to_owned(),
                waiting => format!("read again; a restart is needed for {}", waiting.join(", ")),
            };
            log.line(if waiting.is_empty() { "info" } else { "warn" }, &told);
            if life::mode(&before) != life::mode(in_force) {
                switch(in_force, handle, log).await;
            }
            Ok(told)
        }
        Err(failure) => {
            handle.note_reload(Reload::Refused);
            let causes: String = failure.causes.iter().map(|cause| format!(": {cause}")).collect();
            let shown = failure.shown.as_deref().map(|shown| format!("\n{shown}")).unwrap_or_default();
            let told = format!("{}: {}{causes}{shown}", failure.code.code, failure.message);
            log.line("error", &format!("everything stays as it was, for the reload failed: {told}"));
            Err(told)
        }
    }
}

fn take_over(arguments: &args::Serve, in_force: &mut Settings, handle: &ServerHandle) -> Result<(), Failure> {
    let project = Project::open(&arguments.project, &flags(arguments))?;
    let artifact = open_artifact(&project.artifact())?;
    let notice = life::notice(&project.settings, &project.dir)?;
    let tuning = tuning(&project.settings)?;
    let loading = handle.reload_with(artifact, tuning);
    loading.map_err(|error| Failure::internal("load the artifact", &error))?;
    handle.set_notice(notice);
    *in_force = project.settings;
    Ok(())
}

/// Switches the mode when the setting has another value than at the last reload, so that a reload
/// for something else does not undo what an operator did through the control socket.
async fn switch(in_force: &Settings, handle: &ServerHandle, log: &Log) {
    let wanted = life::mode(in_force);
    if let Err(still) = handle.switch(wanted).await {
        log.line("warn", &format!("{wanted}, but {} requests that began before still write", still.writing));
    }
}

/// Returns the keys that differ from those that the process began with and that a reload cannot change.
fn waiting(at_start: &Settings, now: &Settings) -> Vec<&'static str> {
    let differs = |key: &&str| at_start.text(key) != now.text(key);
    let is_hot = |key: &str| HOT.iter().any(|hot| key.starts_with(hot));
    SETTINGS.iter().map(|setting| setting.key).filter(|key| !is_hot(key)).filter(differs).collect()
}
