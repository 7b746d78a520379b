//! What the settings say, and whether what they name is there.

use fraiseql_model::secret::SecretSource;
use fraiseql_model::settings::{Origin, SETTINGS, Settings};
use fraiseql_net::{ListenerTls, TlsFault};
use fraiseql_ops::checks::{
    Answer, CertificateFacts, FollowedReference, Looked, PlainSecret, RateLimitFacts, SettingsFacts,
};

use crate::commands::serve::{is_production, tls};
use crate::project::Project;
use crate::secrets::resolver;

/// Variables that begin as ours and are read without being settings.
const OTHER_VARIABLES: &[&str] = &["FRAISEQL_ENV"];
const OTHER_PREFIXES: &[&str] = &["FRAISEQL_TEST_"];

pub(super) fn settings(settings: &Settings) -> SettingsFacts {
    let ours = |name: &String| {
        name.starts_with("FRAISEQL_")
            && !SETTINGS.iter().any(|setting| setting.env == name)
            && !OTHER_VARIABLES.contains(&name.as_str())
            && !OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut unknown_variables: Vec<String> =
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).filter(ours).collect();
    unknown_variables.sort();
    SettingsFacts { production: is_production(settings), unknown_variables }
}

pub(super) fn rate_limits(settings: &Settings) -> RateLimitFacts {
    RateLimitFacts {
        address_per_minute: settings.integer("rate_limit.address_per_minute"),
        caller_per_minute: settings.integer("rate_limit.caller_per_minute"),
    }
}

/// Returns the settings that hold a secret themselves; never the secret.
pub(super) fn plain_secrets(settings: &Settings) -> Vec<PlainSecret> {
    let plain = SETTINGS.iter().filter_map(|setting| {
        let text = settings.text(setting.key)?;
        let origin = settings.origin(setting.key)?;
        setting.holds_secret(text).then(|| PlainSecret {
            key: setting.key,
            place: origin.to_string(),
            in_variable: matches!(origin, Origin::Variable(_)),
        })
    });
    plain.collect()
}

/// Follows every reference; the secrets are dropped at once, and leases given back.
pub(super) async fn followed_references(settings: &Settings) -> Looked<Vec<FollowedReference>> {
    let resolver = resolver(settings).map_err(|failure| failure.message)?;
    let mut followed = Vec::new();
    for setting in SETTINGS.iter().filter(|setting| setting.secret) {
        let Some(SecretSource::Reference(reference)) = settings.secret(setting.key) else { continue };
        let failed = match resolver.find(&reference).await {
            Err(error) => Some(error.to_string()),
            Ok(found) if setting.key == "database.credentials" => {
                found.login().err().map(|error| error.to_string())
            }
            Ok(found) => found.take(reference.key()).err().map(|error| error.to_string()),
        };
        followed.push(FollowedReference { key: setting.key, failed });
    }
    resolver.release_all().await;
    match followed.is_empty() {
        true => Err("no setting refers to a store of secrets".to_owned()),
        false => Ok(followed),
    }
}

/// Loads certificate, chain and key as the listener would.
pub(super) fn certificate(project: &Project) -> Looked<Answer<CertificateFacts>> {
    let options = match tls(&project.settings, &project.dir) {
        Err(failure) => return Ok(Answer::Refused(failure.message)),
        Ok(None) => return Err("tls.certificate is not set: TLS ends before this service".to_owned()),
        Ok(Some(options)) => options,
    };
    Ok(match ListenerTls::load(options) {
        Ok(listener) => Answer::Given(CertificateFacts { days_left: listener.days_left() }),
        Err(fault) => Answer::Refused(told(&fault)),
    })
}

fn told(fault: &TlsFault) -> String {
    format!("{fault}; {}", fault.hint())
}
