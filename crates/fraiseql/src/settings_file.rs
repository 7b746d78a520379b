//! Reads settings from flags, the environment and `fraiseql.toml`, with places for errors.

use std::path::Path;

use fraiseql_model::diagnostic::{Diagnostic, Severity, Span, line_and_column};
use fraiseql_model::errors;
use fraiseql_model::names::nearest;
use fraiseql_model::settings::{Given, Origin, SETTINGS, Setting, SettingError, Settings};
use toml_edit::{Document, Item, Value};

use crate::args::ProjectArguments;
use crate::failure::Failure;
use crate::files;

/// A value of the file, with its place.
struct FileValue {
    key: String,
    text: String,
    span: Span,
}

/// Returns the settings in force for a project.
///
/// `flags` are more values from the command line: key, value, flag.
pub(crate) fn load(
    arguments: &ProjectArguments,
    flags: &[(&str, String, &str)],
) -> Result<Settings, Failure> {
    let path = arguments.dir.join("fraiseql.toml");
    let mut given = Vec::new();
    let mut places = Vec::new();
    let mut source = String::new();
    if path.exists() {
        source = files::read_text(&path)?;
        for (value, environment) in values(&path, &source, arguments.env.as_deref())? {
            let line = line_and_column(&source, value.span.start).0;
            let file = value.span.file.clone();
            let origin = match environment {
                Some(name) => Origin::Environment { file, name, line },
                None => Origin::File { file, line },
            };
            given.push(Given { key: value.key, text: value.text, origin: origin.clone() });
            places.push((origin, value.span));
        }
    } else if let Some(name) = &arguments.env {
        return Err(unknown_environment(name, &path, &[]));
    }
    for setting in SETTINGS {
        if let Some(value) = std::env::var_os(setting.env).filter(|value| !value.is_empty()) {
            let text = value.to_string_lossy().into_owned();
            given.push(Given { key: setting.key.to_owned(), text, origin: Origin::Variable(setting.env) });
        }
    }
    given.extend(from_flags(arguments, flags)?);
    let settings = Settings::resolve(&given).map_err(|errors| failure(errors, &places, &source))?;
    refuse_plain_secrets(&settings)?;
    Ok(settings)
}

/// Fails when a secret stands in the file itself, in whichever section: the file becomes part of a release.
pub(crate) fn refuse_written_secrets(path: &Path, source: &str) -> Result<(), Failure> {
    let document = Document::parse(source).map_err(|error| {
        Failure::new(&errors::CFG_SYNTAX, format!("read {}", path.display())).because(&error)
    })?;
    let mut found = Vec::new();
    let mut keep = |value: FileValue| {
        let key = value
            .key
            .strip_prefix("env.")
            .and_then(|rest| rest.split_once('.'))
            .map_or(value.key.as_str(), |(_, key)| key);
        let setting = SETTINGS.iter().find(|setting| setting.key == key);
        if let Some(setting) = setting.filter(|setting| setting.holds_secret(&value.text)) {
            let line = line_and_column(source, value.span.start).0;
            // Without its place as a span: the line would be shown, and the secret with it.
            let message = format!("{}:{line}: \"{}\" holds a secret", value.span.file, value.key);
            let hint =
                format!("refer to it: {key} = \"env://NAME\" or \"secret://...\"; or set {}", setting.env);
            found.push(Diagnostic::error(&errors::REL_SECRET, message).hint(hint));
        }
    };
    let file = path.display().to_string();
    for (key, item) in document.iter() {
        flatten(key, item, &file, &mut keep);
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(summed(found, "", &errors::REL_SECRET, "make a release, which holds no secrets"))
}

/// In production no secret stands in the file or on the command line, where others can read it.
fn refuse_plain_secrets(settings: &Settings) -> Result<(), Failure> {
    let plain = settings.plain_secrets();
    if settings.text("server.profile") != Some("production") || plain.is_empty() {
        return Ok(());
    }
    let diagnostics = plain.into_iter().map(|(setting, origin)| {
        let Setting { key, env, .. } = setting;
        let message = format!("\"{key}\" holds a secret where others can read it");
        let hint = match *key {
            "database.url" | "database.direct_url" => format!(
                "take the password out of it, and set database.password = \"secret://vault/secret/fraiseql#db_password\"; or set {env}"
            ),
            key if key.starts_with("vault.") => {
                format!("{key} = \"file:///run/secrets/NAME\", or \"env://NAME\"; or set {env}")
            }
            key => format!("{key} = \"secret://vault/secret/fraiseql#FIELD\", or file:///run/secrets/NAME, or env://NAME; or set {env}"),
        };
        let mut diagnostic = Diagnostic::error(&errors::SEC_PLAIN, message).hint(hint);
        // Without the place in the file: its line would be shown, and the secret with it.
        diagnostic.why = Some(match origin {
            Origin::Flag(flag) => format!("it comes from {flag}, which every process of this machine can see"),
            origin => format!("it stands in {origin}"),
        });
        diagnostic
    });
    let diagnostics: Vec<Diagnostic> = diagnostics.collect();
    Err(summed(diagnostics, "", &errors::SEC_PLAIN, "use the settings in production"))
}

fn from_flags(arguments: &ProjectArguments, flags: &[(&str, String, &str)]) -> Result<Vec<Given>, Failure> {
    let flag = |key: &str, text: String, flag: &str| Given {
        key: key.to_owned(),
        text,
        origin: Origin::Flag(flag.to_owned()),
    };
    let mut given = Vec::new();
    for pair in &arguments.set {
        let Some((key, value)) = pair.split_once('=') else {
            let message = format!("understand --set {pair}: there is no = in it");
            return Err(Failure::new(&errors::CFG_BAD_VALUE, message).hint("write --set key=value"));
        };
        given.push(flag(key, value.to_owned(), "--set"));
    }
    if let Some(url) = &arguments.database_url {
        given.push(flag("database.url", url.clone(), "--database-url"));
    }
    given.extend(flags.iter().map(|(key, text, name)| flag(key, text.clone(), name)));
    Ok(given)
}

/// Returns the file's values, those of the chosen environment with its name.
fn values(
    path: &Path,
    source: &str,
    chosen: Option<&str>,
) -> Result<Vec<(FileValue, Option<String>)>, Failure> {
    let file = path.display().to_string();
    let document = Document::parse(source).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let span = Span { file: file.clone(), start: span.start, end: span.end };
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        let diagnostic = Diagnostic::error(&errors::CFG_SYNTAX, message).at(span);
        summed(vec![diagnostic], source, &errors::CFG_SYNTAX, "read the settings")
    })?;
    let mut found = Vec::new();
    let mut environments = Vec::new();
    for (key, item) in document.iter() {
        if key != "env" {
            flatten(key, item, &file, &mut |value| found.push((value, None)));
            continue;
        }
        let sections = item.as_table_like().into_iter().flat_map(toml_edit::TableLike::iter);
        for (name, section) in sections {
            environments.push(name.to_owned());
            // Of an environment that is not chosen only mistakes count.
            let mut keep = |value: FileValue| {
                let known = SETTINGS.iter().any(|setting| setting.key == value.key);
                if chosen == Some(name) || !known {
                    found.push((value, Some(name.to_owned())));
                }
            };
            for (key, item) in section.as_table_like().into_iter().flat_map(toml_edit::TableLike::iter) {
                flatten(key, item, &file, &mut keep);
            }
        }
    }
    match chosen {
        Some(name) if !environments.iter().any(|known| known == name) => {
            Err(unknown_environment(name, path, &environments))
        }
        _ => Ok(found),
    }
}

fn flatten(prefix: &str, item: &Item, file: &str, keep: &mut dyn FnMut(FileValue)) {
    if let Some(table) = item.as_table_like() {
        for (key, item) in table.iter() {
            flatten(&format!("{prefix}.{key}"), item, file, keep);
        }
        return;
    }
    let span = item.span().unwrap_or(0..0);
    let span = Span { file: file.to_owned(), start: span.start, end: span.end };
    // `[[section]]` is a list of sections: no setting is one, so its name is refused as a key.
    let text = item.as_value().map_or_else(String::new, text);
    keep(FileValue { key: prefix.to_owned(), text, span });
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.value().clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string().trim().to_owned(),
    }
}

fn unknown_environment(name: &str, path: &Path, known: &[String]) -> Failure {
    let message = format!("find the environment \"{name}\" in {}", path.display());
    let hint = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("add a section [env.{name}], or leave --env and FRAISEQL_ENV out"),
    };
    Failure::new(&errors::CFG_UNKNOWN_ENVIRONMENT, message).hint(hint)
}

fn failure(found: Vec<SettingError>, places: &[(Origin, Span)], source: &str) -> Failure {
    let diagnostics = found.into_iter().map(|error| {
        let (origin, mut diagnostic) = match error {
            SettingError::UnknownKey { key, origin, suggestion } => {
                let message = format!("there is no setting \"{key}\"");
                let diagnostic = Diagnostic::error(&errors::CFG_UNKNOWN_KEY, message);
                (
                    origin,
                    match suggestion {
                        Some(near) => diagnostic.hint(format!("did you mean \"{near}\"?")),
                        None => diagnostic.hint("see `fraiseql config show` for all of them"),
                    },
                )
            }
            SettingError::BadValue { key, shown, expected, origin } => {
                let message = format!("{shown} cannot be the value of \"{key}\"");
                let diagnostic = Diagnostic::error(&errors::CFG_BAD_VALUE, message);
                (origin, diagnostic.hint(format!("give {expected}")))
            }
        };
        match places.iter().find(|(known, _)| *known == origin) {
            Some((_, span)) => diagnostic.span = Some(span.clone()),
            None => diagnostic.why = Some(format!("it comes from {origin}")),
        }
        diagnostic
    });
    let diagnostics: Vec<Diagnostic> = diagnostics.collect();
    let code = diagnostics.first().map_or(&errors::CFG_BAD_VALUE, |first| first.code);
    summed(diagnostics, source, code, "use the settings")
}

/// Returns one failure for several diagnostics of one file.
pub(crate) fn summed(
    diagnostics: Vec<Diagnostic>,
    source: &str,
    code: &'static errors::ErrorCode,
    action: &str,
) -> Failure {
    let count = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    let shown: Vec<String> = diagnostics.iter().map(|found| found.render(Some(source))).collect();
    let plural = if count == 1 { "" } else { "s" };
    let mut failure = Failure::new(code, format!("{action}: {count} error{plural}"));
    failure.shown = Some(shown.join("\n"));
    failure.diagnostics = diagnostics.iter().filter_map(|found| serde_json::to_value(found).ok()).collect();
    failure
}
