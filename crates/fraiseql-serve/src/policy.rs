//! What of a request is allowed beyond what GraphQL itself says. Made once, from settings.

use fraiseql_model::identity::Identity;

/// How requests are let in and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPolicy {
    /// Only the persisted operations of the artifact run.
    pub persisted_only: bool,
    /// Clients may register a text by its hash (automatic persisted queries). Without effect when
    /// only persisted operations run.
    pub automatic_persisted: bool,
    /// How many GraphQL requests one HTTP request may carry as an array; 0 refuses arrays.
    pub batch_max: usize,
    /// Who may ask for the schema itself.
    pub introspection: IntrospectionPolicy,
    /// Pages of these origins may ask.
    pub origins: Origins,
    /// Answers are compressed for clients that want it.
    pub compression: bool,
}

impl Default for RequestPolicy {
    fn default() -> Self {
        let origins = Origins::default();
        let introspection = IntrospectionPolicy::Everybody;
        Self {
            persisted_only: false,
            automatic_persisted: false,
            batch_max: 0,
            introspection,
            origins,
            compression: true,
        }
    }
}

/// Who may ask for `__schema` and `__type`; persisted operations may always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntrospectionPolicy {
    /// Whoever may ask at all.
    Everybody,
    /// Callers who are known.
    Known,
    /// Nobody.
    Nobody,
}

impl IntrospectionPolicy {
    pub(crate) fn admits(self, caller: &Identity) -> bool {
        match self {
            Self::Everybody => true,
            Self::Known => caller.subject.is_some(),
            Self::Nobody => false,
        }
    }
}

/// Origins of pages (RFC 6454), other than our own, that may ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    any: bool,
    listed: Vec<String>,
}

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("understand \"{0}\" as an origin")]
pub struct BadOrigin(pub String);

impl Origins {
    /// Reads origins, each `scheme://host` or `scheme://host:port` in lower case, or `*` for any.
    ///
    /// Fails with the first text that no browser would send.
    pub fn parse(texts: &[String]) -> Result<Self, BadOrigin> {
        let mut origins = Self::default();
        for text in texts {
            if text == "*" {
                origins.any = true;
            } else if is_origin(text) {
                origins.listed.push(text.clone());
            } else {
                return Err(BadOrigin(text.clone()));
            }
        }
        Ok(origins)
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.any && self.listed.is_empty()
    }

    pub(crate) fn any(&self) -> bool {
        self.any
    }

    pub(crate) fn contains(&self, origin: &str) -> bool {
        self.any || self.listed.iter().any(|listed| listed == origin)
    }
}

fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (host, port) = match rest.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let lower = |allowed: &'static str| {
        move |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || allowed.contains(letter)
    };
    !scheme.is_empty()
        && scheme.chars().all(lower("+-."))
        && !host.is_empty()
        && host.chars().all(lower("-._[]:"))
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
        && !matches!((scheme, port), ("http", Some("80")) | ("https", Some("443")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: bool) {
        assert_eq!(Origins::parse(&[text.to_owned()]).is_ok(), expected, "{text}");
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        check("*", true);
        check("https://shop.example", true);
        check("http://localhost:3000", true);
        check("http://[::1]:3000", true);
        check("http://[::1]", true);
        check("capacitor://localhost", true);
        check("https://shop.example/", false);
        check("https://Shop.example", false);
        check("shop.example", false);
        check("https://*.shop.example", false);
        check("https://shop.example:443", false);
        check("https://shop.example:x", false);
        check("null", false);
    }
}
