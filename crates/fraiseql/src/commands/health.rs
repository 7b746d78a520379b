//! `fraiseql health`: asks a running server whether it is well, where there is no other tool to ask with.

use std::time::Duration;

use clap::Args;
use fraiseql_model::errors;
use hyper::StatusCode;

use crate::clock;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::printer::Printer;

/// How much of an answer is shown; ours are shorter.
const SHOWN_CHARS_MAX: usize = 200;

/// Arguments of `health`.
#[derive(Debug, Args)]
pub(crate) struct Health {
    /// What to ask: /health is answered by a server that lives, /health/ready by one that can be sent requests
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:4000/health")]
    pub(crate) url: String,
    /// How long to wait for the answer
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = clock::duration)]
    pub(crate) timeout: Duration,
}

/// Asks once, and prints the answer; fails when it is another one than 200.
pub(crate) async fn run(arguments: &Health, printer: &Printer) -> Result<(), Failure> {
    let endpoint = Endpoint::new(&arguments.url, &[])?;
    let unwell = |failure: Failure| Failure { code: &errors::NET_UNHEALTHY, ..failure }.hint(HINT);
    let (status, body) = endpoint.get(arguments.timeout).await.map_err(unwell)?;
    let said: String = String::from_utf8_lossy(&body).trim().chars().take(SHOWN_CHARS_MAX).collect();
    if status != StatusCode::OK {
        return Err(unwell(endpoint.failed(&format!("it answered {status}: {said:?}"))));
    }
    if printer.is_json() {
        printer.data_json(&serde_json::json!({ "status": status.as_u16(), "body": said }));
    } else {
        printer.data(&format!("{said}\n"));
    }
    Ok(())
}

const HINT: &str =
    "check the URL; the server's log tells why, and `fraiseql explain FQ-NET-006` what else to look at";
