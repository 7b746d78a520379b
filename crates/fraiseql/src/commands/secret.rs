//! `fraiseql secret check`: does every reference lead to a secret? Never says which.

use fraiseql_model::errors::ErrorCode;
use fraiseql_model::secret::{SecretRef, SecretSource};
use fraiseql_model::settings::{SETTINGS, Settings};
use fraiseql_secret::{Resolver, SecretError};
use serde_json::json;

use crate::args::ProjectArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::secrets::{patience, resolver};
use crate::settings_file;

/// Shown for a value that is no reference.
const PLAIN: &str = "(as it is)";

/// What became of one setting.
struct Checked {
    key: &'static str,
    /// The reference, or that it is none.
    shown: String,
    origin: String,
    failed: Option<Failure>,
}

/// Follows every reference.
pub(crate) async fn check(arguments: &ProjectArguments, printer: &Printer) -> Result<(), Failure> {
    let settings = settings_file::load(arguments, &[])?;
    let resolver = resolver(&settings)?;
    let mut checked = Vec::new();
    for setting in SETTINGS.iter().filter(|setting| setting.secret) {
        let Some(source) = settings.secret(setting.key) else { continue };
        let (shown, failed) = match &source {
            SecretSource::Plain(_) => (PLAIN.to_owned(), None),
            SecretSource::Reference(reference) => {
                let failed = follow(&resolver, &settings, setting.key, reference).await.err();
                (reference.to_string(), failed.map(Failure::from))
            }
        };
        let origin = settings.origin(setting.key).map(ToString::to_string).unwrap_or_default();
        checked.push(Checked { key: setting.key, shown, origin, failed });
    }
    resolver.release_all().await;
    print(&checked, printer);
    let failures: Vec<&Failure> = checked.iter().filter_map(|one| one.failed.as_ref()).collect();
    let Some(first) = failures.first() else { return Ok(()) };
    let code: &'static ErrorCode = first.code;
    let all = checked.iter().filter(|one| one.shown != PLAIN).count();
    let count = failures.len();
    Err(Failure::new(code, format!("follow {count} of {all} references")))
}

async fn follow(
    resolver: &Resolver,
    settings: &Settings,
    key: &str,
    reference: &SecretRef,
) -> Result<(), SecretError> {
    let found = resolver.find_patiently(reference, patience(settings), &mut |_| ()).await?;
    match key {
        "database.credentials" => found.login().map(drop),
        _ => found.take(reference.key()).map(drop),
    }
}

fn print(checked: &[Checked], printer: &Printer) {
    if printer.is_json() {
        let entries = checked.iter().map(|one| {
            let failed = one.failed.as_ref();
            json!({
                "setting": one.key, "reference": one.shown, "origin": one.origin, "ok": failed.is_none(),
                "code": failed.map(|failure| failure.code.code),
                "message": failed.map(|failure| &failure.message),
                "causes": failed.map(|failure| &failure.causes),
                "hint": failed.map(|failure| &failure.hint),
            })
        });
        printer.data_json(&json!({ "secrets": entries.collect::<Vec<_>>() }));
        return;
    }
    if checked.is_empty() {
        printer.say("no setting holds a secret or a reference to one");
    }
    let width = checked.iter().map(|one| one.key.len()).max().unwrap_or(0);
    for one in checked {
        let verdict = match &one.failed {
            None if one.shown == PLAIN => String::new(),
            None => "ok".to_owned(),
            Some(failure) => {
                let causes: String = failure.causes.iter().map(|cause| format!(": {cause}")).collect();
                format!("{}: cannot {}{causes}", failure.code.code, failure.message)
            }
        };
        let line = format!("{:width$}  {}  {verdict}", one.key, one.shown);
        printer.data(&format!("{}\n", line.trim_end()));
        if let Some(hint) = one.failed.as_ref().and_then(|failure| failure.hint.as_ref()) {
            printer.say(&format!("  = help: {hint}"));
        }
    }
}
