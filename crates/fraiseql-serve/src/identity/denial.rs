//! Why a caller is not let in, and how HTTP and WebSockets say so (RFC 6750, section 3).

use fraiseql_model::errors::{self, ErrorCode};
use fraiseql_model::response::{Code, GraphqlError};
use hyper::StatusCode;
use hyper::header::HeaderValue;

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No token where one is needed.
    Required,
    /// Not a token, or several of them.
    Malformed,
    /// More bytes than a token may have.
    Oversize,
    /// `alg: none`.
    Unsigned,
    /// The settings or the key do not allow the algorithm.
    Algorithm,
    /// Not one of the issuers.
    Issuer,
    /// The issuer does not have the key.
    Key,
    /// The signature does not fit.
    Signature,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    Early,
    /// Meant for somebody else.
    Audience,
    /// Introspection says no.
    Inactive,
    /// Nobody can tell now: the issuer or the table of keys is away.
    Provider,
    /// An API key that is unknown, revoked or expired.
    ApiKey,
    /// No end, or a claim of a wrong form.
    Claims,
}

impl Denial {
    /// Every reason, in the order of the reference.
    pub const ALL: [Self; 15] = [
        Self::Required,
        Self::Malformed,
        Self::Oversize,
        Self::Unsigned,
        Self::Algorithm,
        Self::Issuer,
        Self::Key,
        Self::Signature,
        Self::Expired,
        Self::Early,
        Self::Audience,
        Self::Inactive,
        Self::Provider,
        Self::ApiKey,
        Self::Claims,
    ];

    /// Returns its code, which is stable.
    pub fn code(self) -> &'static ErrorCode {
        match self {
            Self::Required => &errors::AUTH_REQUIRED,
            Self::Malformed => &errors::AUTH_MALFORMED,
            Self::Oversize => &errors::AUTH_OVERSIZE,
            Self::Unsigned => &errors::AUTH_UNSIGNED,
            Self::Algorithm => &errors::AUTH_ALGORITHM,
            Self::Issuer => &errors::AUTH_ISSUER,
            Self::Key => &errors::AUTH_KEY,
            Self::Signature => &errors::AUTH_SIGNATURE,
            Self::Expired => &errors::AUTH_EXPIRED,
            Self::Early => &errors::AUTH_EARLY,
            Self::Audience => &errors::AUTH_AUDIENCE,
            Self::Inactive => &errors::AUTH_INACTIVE,
            Self::Provider => &errors::AUTH_PROVIDER,
            Self::ApiKey => &errors::AUTH_API_KEY,
            Self::Claims => &errors::AUTH_CLAIMS,
        }
    }

    /// Returns the status: 503 when nobody can tell, else 401.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Provider => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// Returns the error that a client is told.
    pub(crate) fn error(self) -> GraphqlError {
        let code = if self == Self::Provider { Code::Unavailable } else { Code::Unauthenticated };
        let mut error = GraphqlError::new(code, self.code().title);
        error.extensions.reason = Some(self.code().code);
        error
    }

    /// Returns the challenge of a 401. A request without any token is told no error (section 3.1).
    pub(crate) fn challenge(self) -> HeaderValue {
        let ErrorCode { code, title, .. } = self.code();
        let text = match self {
            Self::Required => "Bearer realm=\"fraiseql\"".to_owned(),
            _ => format!(
                "Bearer realm=\"fraiseql\", error=\"invalid_token\", error_description=\"{code}: {title}\""
            ),
        };
        HeaderValue::try_from(text).expect("titles of the registry are plain text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_code_of_its_own_and_a_header() {
        let codes: std::collections::BTreeSet<_> = Denial::ALL.map(|denial| denial.code().code).into();
        assert_eq!(codes.len(), Denial::ALL.len());
        for denial in Denial::ALL {
            let challenge = denial.challenge();
            let text = challenge.to_str().unwrap();
            assert_eq!(text.matches('"').count() % 2, 0, "{text}");
            assert_eq!(text.contains(denial.code().code), denial != Denial::Required, "{text}");
        }
    }
}
