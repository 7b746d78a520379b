//! `fraiseql explain`: the page of an error, from inside of the binary.

use fraiseql_model::errors;
use serde_json::json;

use crate::failure::Failure;
use crate::printer::Printer;

const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Prints the page of `code`.
pub(crate) fn run(code: &str, printer: &Printer) -> Result<(), Failure> {
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
