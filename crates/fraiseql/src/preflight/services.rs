//! What Redis, the issuers of tokens, Prometheus and Alertmanager answer.

use std::time::Duration;

use fraiseql_model::settings::Settings;
use fraiseql_ops::checks::{Answer, IssuerFacts, Looked, MonitoringFacts, RedisFacts};
use reqwest::{Client, Response, Url};
use serde_json::Value;

use crate::{clock, secrets};

/// How long one request may take.
const TIME: Duration = Duration::from_secs(3);
/// The largest answer.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Asks the Redis of the response cache.
pub(super) async fn redis(settings: &Settings) -> Looked<Answer<RedisFacts>> {
    if settings.text("cache.mode") != Some("redis") {
        return Err("cache.mode is not redis".to_owned());
    }
    let followed = secrets::followed(settings).await.map_err(|failure| failure.message)?;
    let url = followed.text("cache.redis_url").unwrap_or_default();
    let asked = tokio::time::timeout(TIME, ask_redis(url)).await;
    Ok(match asked {
        Ok(Ok(facts)) => Answer::Given(facts),
        // The URL may hold a password: only the kind of the error is told.
        Ok(Err(error)) => Answer::Refused(error.category().to_owned()),
        Err(_elapsed) => Answer::Refused(format!("nothing within {} s", TIME.as_secs())),
    })
}

async fn ask_redis(url: &str) -> Result<RedisFacts, redis::RedisError> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").query_async(&mut connection).await?;
    let field = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or("").trim().to_owned()
    };
    // Who may not ask for the configuration knows of the log only.
    let saves: Vec<String> =
        redis::cmd("CONFIG").arg("GET").arg("save").query_async(&mut connection).await.unwrap_or_default();
    Ok(RedisFacts {
        version: field("redis_version"),
        maxmemory: field("maxmemory").parse().unwrap_or(0),
        policy: field("maxmemory_policy"),
        persistent: field("aof_enabled") == "1" || saves.get(1).is_some_and(|saves| !saves.is_empty()),
    })
}

/// Returns the port of a Redis on this machine.
pub(super) fn local_port(url: &str) -> Option<u16> {
    let Ok(url) = url.parse::<Url>() else { return None };
    is_loopback(&url).then(|| url.port().unwrap_or(6_379))
}

/// Asks each issuer for its description and its keys (OpenID Connect Discovery 1.0, section 4).
pub(super) async fn oidc(settings: &Settings) -> Looked<Vec<IssuerFacts>> {
    let issuers = settings.list("identity.issuers");
    if issuers.is_empty() {
        return Err("identity.issuers is not set".to_owned());
    }
    let mut facts = Vec::new();
    for issuer in issuers {
        let answer = match keys_of(&issuer).await {
            Ok(found) => Answer::Given(found),
            Err(reason) => Answer::Refused(reason),
        };
        facts.push(IssuerFacts { issuer, answer });
    }
    Ok(facts)
}

async fn keys_of(issuer: &str) -> Result<(usize, Option<i64>), String> {
    let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let (described, ahead) = json(&place).await?;
    if described["issuer"].as_str() != Some(issuer) {
        return Err(format!("{place} names another issuer: {}", described["issuer"]));
    }
    let keys = described["jwks_uri"].as_str().ok_or_else(|| format!("{place} has no jwks_uri"))?;
    let (keys, _) = json(keys).await?;
    Ok((keys["keys"].as_array().map_or(0, Vec::len), ahead))
}

/// Asks who watches.
pub(super) async fn monitoring(settings: &Settings) -> Looked<Answer<MonitoringFacts>> {
    let Some(prometheus) = settings.text("monitoring.prometheus_url") else {
        return Err("monitoring.prometheus_url is not set".to_owned());
    };
    let alertmanager = match settings.text("monitoring.alertmanager_url") {
        None => None,
        Some(url) => Some(match get(&format!("{}/-/ready", url.trim_end_matches('/'))).await {
            Ok(_ready) => Answer::Given(()),
            Err(reason) => Answer::Refused(reason),
        }),
    };
    Ok(match watched(prometheus.trim_end_matches('/')).await {
        Ok((targets, alerts)) => Answer::Given(MonitoringFacts { targets, alerts, alertmanager }),
        Err(reason) => Answer::Refused(reason),
    })
}

type Watched = (Vec<(String, bool)>, Vec<String>);

async fn watched(prometheus: &str) -> Result<Watched, String> {
    let each = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (targets, _) = json(&format!("{prometheus}/api/v1/targets?state=active")).await?;
    let targets = each(&targets["data"]["activeTargets"]);
    let target = |target: &Value| {
        let job = target["labels"]["job"].as_str().unwrap_or("").to_owned();
        (job, target["health"].as_str() == Some("up"))
    };
    let (rules, _) = json(&format!("{prometheus}/api/v1/rules?type=alert")).await?;
    let rules =
        each(&rules["data"]["groups"]).iter().flat_map(|group| each(&group["rules"])).collect::<Vec<_>>();
    let name = |rule: &Value| rule["name"].as_str().map(str::to_owned);
    Ok((targets.iter().map(target).collect(), rules.iter().filter_map(name).collect()))
}

/// Returns a document, and by how many seconds the clock of who sent it is ahead where it tells.
async fn json(url: &str) -> Result<(Value, Option<i64>), String> {
    let mut response = get(url).await?;
    let told = response.headers().get(reqwest::header::DATE).and_then(|date| match date.to_str() {
        Ok(text) => http_date_s(text),
        Err(_unreadable) => None,
    });
    let here = i64::try_from(clock::now_s()).unwrap_or(i64::MAX);
    let ahead = told.map(|told| i64::try_from(told).unwrap_or(i64::MAX).saturating_sub(here));
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| chain(&error))? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(format!("{url} sends more than {ANSWER_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&piece);
    }
    let document = serde_json::from_slice(&body).map_err(|error| format!("{url} sends no JSON: {error}"))?;
    Ok((document, ahead))
}

async fn get(url: &str) -> Result<Response, String> {
    let url: Url = url.parse().map_err(|error| format!("{url:?} is no URL: {error}"))?;
    let builder = Client::builder().timeout(TIME).redirect(reqwest::redirect::Policy::none());
    let builder = if is_loopback(&url) { builder.no_proxy() } else { builder };
    let client = builder.build().map_err(|error| chain(&error))?;
    let response = client.get(url.clone()).send().await.map_err(|error| chain(&error))?;
    match response.status() {
        reqwest::StatusCode::OK => Ok(response),
        status => Err(format!("{url} answers {status}")),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_matches(|bracket| matches!(bracket, '[' | ']'));
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7) as seconds since the epoch of Unix.
fn http_date_s(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split(' ').collect();
    let [_weekday, day, month, year, time, "GMT"] = words.as_slice() else { return None };
    let number = |text: &str| -> Option<u64> {
        let Ok(number) = text.parse() else { return None };
        Some(number)
    };
    let month = MONTHS.iter().position(|name| name == month)?;
    let parts: Option<Vec<u64>> = time.split(':').map(number).collect();
    let parts = parts?;
    let [hour, minute, second] = parts.as_slice() else { return None };
    let day = clock::day_s(number(year)?, u64::try_from(month + 1).unwrap_or(0), number(day)?)?;
    Some(day + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(http_date_s("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        for text in ["", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT"] {
            assert_eq!(http_date_s(text), None, "{text}");
        }
    }

    #[test]
    fn only_a_redis_on_this_machine_has_a_local_port() {
        assert_eq!(local_port("redis://localhost"), Some(6_379));
        assert_eq!(local_port("redis://:secret@127.0.0.1:7000/1"), Some(7_000));
        assert_eq!(local_port("redis://cache.example:6379"), None);
    }
}
