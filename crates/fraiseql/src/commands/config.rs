//! `fraiseql config show`: every setting, its value and where the value came from.

use fraiseql_model::settings::{Origin, Setting, Settings};
use serde_json::{Value, json};

use crate::args::ProjectArguments;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings_file;

/// Prints the settings in force; secrets are masked.
pub(crate) fn show(arguments: &ProjectArguments, printer: &Printer) -> Result<(), Failure> {
    let settings = settings_file::load(arguments, &[])?;
    let shown = settings.shown();
    if printer.is_json() {
        printer.data_json(&json!({ "settings": listed(&settings) }));
        return Ok(());
    }
    let width = shown.iter().map(|(setting, _)| setting.key.len()).max().unwrap_or(0);
    let value_width = shown.iter().filter_map(|(_, value)| value.as_ref()).map(|(text, _)| text.len()).max();
    let value_width = value_width.unwrap_or(0).max("(not set)".len());
    for (setting, value) in &shown {
        let (text, origin) = match value {
            Some((text, origin)) => (text.as_str(), origin.to_string()),
            None => ("(not set)", String::new()),
        };
        let line = format!("{:width$}  {text:value_width$}  {origin}", setting.key);
        printer.data(&format!("{}\n", line.trim_end()));
    }
    Ok(())
}

/// Returns every setting as JSON, secrets masked.
pub(crate) fn listed(settings: &Settings) -> Value {
    let entry = |(setting, value): &(&Setting, Option<(String, &Origin)>)| {
        let origin = value.as_ref().map(|(_, origin)| origin.to_string());
        let text = value.as_ref().map(|(text, _)| text);
        json!({ "key": setting.key, "value": text, "origin": origin, "env": setting.env })
    };
    settings.shown().iter().map(entry).collect()
}
