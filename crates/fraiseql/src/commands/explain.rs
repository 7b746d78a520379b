//! `fraiseql explain`: the page of an error, from inside of the binary; or what an operation costs.

mod database;
mod operation;

pub(crate) use operation::plan_and_advice;

use std::path::Path;

use fraiseql_model::errors;
use serde_json::json;

use crate::args;
use crate::failure::Failure;
use crate::files;
use crate::printer::Printer;

const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Explains an error code, a file with an operation, or an operation itself.
pub(crate) async fn run(arguments: args::Explain, printer: &Printer) -> Result<(), Failure> {
    let path = Path::new(&arguments.what);
    if arguments.what.contains('{') {
        let text = arguments.what.clone();
        return operation::run(&text, &arguments, printer).await;
    }
    if path.is_file() {
        return operation::run(&files::read_text(path)?, &arguments, printer).await;
    }
    page(&arguments.what, printer)
}

fn page(code: &str, printer: &Printer) -> Result<(), Failure> {
    let page = PAGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code));
    let Some((known, page)) = page else {
        let failure = Failure::new(&errors::CFG_BAD_VALUE, format!("find an error named \"{code}\""));
        return Err(match errors::suggest(code) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None => failure.hint("codes look like FQ-SDL-007; the error itself shows its code"),
        });
    };
    if printer.is_json() {
        printer.data_json(&json!({ "code": known, "page": page }));
    } else {
        printer.data(page);
    }
    Ok(())
}
