//! From settings to how often somebody may ask.

use fraiseql_model::errors;
use fraiseql_model::settings::Settings;
use fraiseql_serve::{Rate, RateOptions};

use crate::cache::redis;
use crate::failure::Failure;

/// A burst that is not set is what ten seconds bring.
const BURST_SHARE: u32 = 6;

/// Makes the options of `[rate_limit]`. Fails when a proxy is neither an address nor a network.
pub(crate) fn options(settings: &Settings) -> Result<RateOptions, Failure> {
    let number = |key: &str| u32::try_from(settings.integer(key)).unwrap_or(u32::MAX);
    let rate = |who: &str| {
        let per_minute = number(&format!("rate_limit.{who}_per_minute"));
        let burst = match number(&format!("rate_limit.{who}_burst")) {
            0 => per_minute.div_ceil(BURST_SHARE),
            burst => burst,
        };
        (per_minute > 0).then_some(Rate { per_minute, burst })
    };
    Ok(RateOptions {
        address: rate("address"),
        caller: rate("caller"),
        trusted_proxies: trusted_proxies(settings)?,
        entries: usize::try_from(settings.integer("rate_limit.entries")).unwrap_or(usize::MAX),
        shared: match settings.text("rate_limit.store") {
            Some("redis") => Some(redis(settings, "rate_limit.store", "local")?),
            _ => None,
        },
    })
}

/// Returns the load balancers whose word on the client counts. Fails when one is neither an address
/// nor a network.
pub(crate) fn trusted_proxies(settings: &Settings) -> Result<Vec<ipnet::IpNet>, Failure> {
    let networks = RateOptions::networks(&settings.list("rate_limit.trusted_proxies"));
    networks.map_err(|error| {
        let hint = "write rate_limit.trusted_proxies as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32";
        Failure::new(&errors::CFG_BAD_VALUE, error.to_string()).hint(hint)
    })
}
