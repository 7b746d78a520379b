//! The limits that only a request's values decide, and what is told of limits that only warn.

use std::sync::atomic::Ordering;

use fraiseql_engine::{Limit, Variables, check_rows, check_values};
use fraiseql_model::response::GraphqlError;

use crate::generation::{Generation, KeptDocument};
use crate::observe::Event;
use crate::params::Params;
use crate::request_id::RequestId;
use crate::serving::Serving;

/// Coerces a request's variables and checks what they ask for.
pub(crate) fn coerce(
    serving: &Serving,
    generation: &Generation,
    kept: &KeptDocument,
    params: &Params<'_>,
    request_id: &RequestId,
) -> Result<Variables, Vec<GraphqlError>> {
    let (document, operation) = (&kept.document, params.operation.as_deref());
    let mut exceeded = check_values(&params.variables, &generation.limits).map_err(|error| vec![error])?;
    let variables = Variables::coerce(&generation.schema, document, operation, &params.variables)?;
    let variables = variables.asked_by(&params.identity);
    let rows = check_rows(document, operation, &variables, &generation.limits);
    exceeded.extend(rows.map_err(|error| vec![error])?);
    exceeded.extend(document.exceeded());
    for limit in exceeded {
        warn(serving, kept, limit, params, request_id);
    }
    Ok(variables)
}

/// Counts a limit that was passed and only warns; tells it once for each text and limit.
fn warn(serving: &Serving, kept: &KeptDocument, limit: Limit, params: &Params<'_>, request_id: &RequestId) {
    serving.metrics.limit_warned(limit);
    let bit = 1_u32 << Limit::ALL.iter().position(|known| *known == limit).unwrap_or(0);
    if kept.told.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
        let persisted_name = kept.counts.as_ref().map(|counts| &*counts.name);
        serving.observer.observe(&Event::LimitPassed {
            request_id: request_id.as_str(),
            operation: params.operation.as_deref().or(persisted_name),
            setting: limit.setting(),
        });
    }
}
