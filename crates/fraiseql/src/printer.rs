//! The one place that prints: stdout is data, stderr is talk.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use fraiseql_model::diagnostic::Diagnostic;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::failure::Failure;

/// Prints for people, or for programs with `--json`.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    json: bool,
    colour: bool,
}

impl Printer {
    /// Makes a printer; colour only on a terminal, and not where NO_COLOR is set.
    pub(crate) fn new(json: bool) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, colour: !plain && !json && std::io::stderr().is_terminal() }
    }

    /// Returns true when results go out as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result.
    pub(crate) fn data(&self, text: &str) {
        write_all(&mut std::io::stdout().lock(), text);
    }

    /// Prints a result as JSON, one line.
    pub(crate) fn data_json(&self, value: &Value) {
        write_all(&mut std::io::stdout().lock(), &format!("{value}\n"));
    }

    /// Begins a page anew on a terminal; elsewhere what follows is one page more.
    pub(crate) fn clear(&self) {
        if std::io::stdout().is_terminal() {
            write_all(&mut std::io::stdout().lock(), "\x1b[H\x1b[2J");
        }
    }

    /// Says something to a person.
    pub(crate) fn say(&self, text: &str) {
        if !self.json {
            write_all(&mut std::io::stderr().lock(), &format!("{text}\n"));
        }
    }

    /// Writes a line of the log.
    pub(crate) fn log(&self, line: &str) {
        write_all(&mut std::io::stderr().lock(), &format!("{line}\n"));
    }

    /// Shows a diagnostic.
    pub(crate) fn diagnostic(&self, diagnostic: &Diagnostic, source: Option<&str>) {
        if !self.json {
            let shown = self.painted(&diagnostic.render(source));
            write_all(&mut std::io::stderr().lock(), &format!("{shown}\n"));
        }
    }

    /// Shows why the command ended, and returns its exit code.
    pub(crate) fn failed(&self, failure: &Failure) -> ExitCode {
        self.failure(failure);
        ExitCode::from(failure.code.exit as u8)
    }

    /// Shows a failure that does not end the command.
    pub(crate) fn failure(&self, failure: &Failure) {
        let text = if self.json {
            let error = json!({
                "code": failure.code.code,
                "message": failure.message,
                "causes": failure.causes,
                "hint": failure.hint,
                "diagnostics": failure.diagnostics,
            });
            format!("{}\n", json!({ "error": error }))
        } else {
            self.failure_text(failure)
        };
        write_all(&mut std::io::stderr().lock(), &text);
    }

    fn failure_text(&self, failure: &Failure) -> String {
        let mut text =
            failure.shown.as_ref().map_or_else(String::new, |shown| format!("{}\n", self.painted(shown)));
        let mut head = format!("error[{}]: {}\n", failure.code.code, failure.message);
        for cause in &failure.causes {
            head.push_str(&format!("  = cause: {cause}\n"));
        }
        if let Some(hint) = &failure.hint {
            head.push_str(&format!("  = help: {hint}\n"));
        }
        text.push_str(&self.painted(&head));
        text
    }

    /// Colours the first words of diagnostics; the words themselves carry the meaning.
    fn painted(&self, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let paint = |line: &str| {
            for (word, colour) in [("error[", "31"), ("warning[", "33")] {
                if line.starts_with(word) {
                    return format!("\x1b[1;{colour}m{line}\x1b[0m");
                }
            }
            line.to_owned()
        };
        let mut painted: String = text.lines().map(paint).collect::<Vec<_>>().join("\n");
        if text.ends_with('\n') {
            painted.push('\n');
        }
        painted
    }

    /// Returns a bar over `total` of something, drawn only on a terminal; elsewhere one line says it.
    pub(crate) fn progress(&self, what: &str, total: u64) -> ProgressBar {
        let bar = if self.json || !std::io::stderr().is_terminal() {
            self.say(what);
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden())
        } else {
            ProgressBar::new(total)
        };
        let style = "{msg} [{bar:30}] {percent}% {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.with_message(what.to_owned())
    }
}

/// A reader that went away (`| head`) is no error of ours.
fn write_all(target: &mut impl Write, text: &str) {
    if target.write_all(text.as_bytes()).is_ok() {
        drop(target.flush());
    }
}
