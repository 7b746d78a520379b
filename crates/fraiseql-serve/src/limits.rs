//! The limits that only a request's values decide, and what is told of limits that only warn.

use std::sync::atomic::Ordering;

use fraiseql_engine::{Limit, Variables, check_rows, check_values};
use fraiseql_model::response::GraphqlError;

use crate::generation::{Generation, KeptDocument};
use crate::observe::Event;
use crate::params::Params;
use crate::record::Record;
use crate::serving::Serving;

/// Coerces a request's variables and checks what they ask for.
pub(crate) fn coerce(
    serving: &Serving,
    generation: &Generation,
    kept: &KeptDocument,
    params: &Params<'_>,
    record: &Record,
) -> Result<Variables, Vec<GraphqlError>> {
    let (document, operation) = (&kept.document, params.operation.as_deref());
    let mut exceeded = check_values(&params.variables, &generation.limits).map_err(|error| vec![error])?;
    let variables = Variables::coerce(&generation.schema, document, operation, &params.variables)?;
    let rows = check_rows(document, operation, &variables, &generation.limits);
    exceeded.extend(rows.map_err(|error| vec![error])?);
    exceeded.extend(document.exceeded());
    for limit in exceeded {
        warn(serving, kept, limit, record);
    }
    Ok(variables)
}

/// Counts a limit that was passed and only warns; tells it once for each text and limit.
fn warn(serving: &Serving, kept: &KeptDocument, limit: Limit, record: &Record) {
    serving.metrics.limit_warned(limit);
    let bit = 1_u32 << Limit::ALL.iter().position(|known| *known == limit).unwrap_or(0);
    if kept.told.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
        serving.observer.observe(&Event::LimitPassed {
            request_id: record.request_id.as_str(),
            operation: record.operation.as_deref(),
            setting: limit.setting(),
        });
    }
}
