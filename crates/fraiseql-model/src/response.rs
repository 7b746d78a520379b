//! Errors of a GraphQL response: section 7.1.2 of the specification of September 2025.

use std::fmt;

use serde::{Serialize, Serializer};

/// One entry of `errors`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GraphqlError {
    /// For a developer; never contains values, SQL or internal text.
    pub message: String,
    /// Where in the document.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// Which field of the response.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<PathSegment>,
    /// Code and, for internal errors, the id to look for in the log.
    pub extensions: Box<Extensions>,
}

/// A place in a document, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Location {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// A step of a response path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", untagged)]
pub enum PathSegment {
    /// A response key.
    Key(String),
    /// An index of a list, from 0.
    Index(usize),
}

/// The `extensions` of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Extensions {
    /// Stable; clients may switch on it.
    pub code: Code,
    /// The constraint that refused a write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// The id under which the details are in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_id: Option<String>,
    /// The setting that limits what was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<&'static str>,
    /// Why a caller was not let in: a code of the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// After how many seconds to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What went wrong, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the code as it stands in `extensions.code`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

codes! {
    /// The document is not GraphQL.
    ParseFailed = "GRAPHQL_PARSE_FAILED",
    /// The document does not fit the schema.
    ValidationFailed = "GRAPHQL_VALIDATION_FAILED",
    /// The request body is not a GraphQL request.
    BadRequest = "BAD_REQUEST",
    /// No such operation, or several and no name.
    OperationResolution = "OPERATION_RESOLUTION_FAILURE",
    /// No persisted operation has this id.
    PersistedOperationNotFound = "PERSISTED_OPERATION_NOT_FOUND",
    /// Only persisted operations may run here.
    PersistedOperationRequired = "PERSISTED_OPERATION_REQUIRED",
    /// Automatic persisted queries: this one is not known yet, send its text.
    PersistedQueryNotFound = "PERSISTED_QUERY_NOT_FOUND",
    /// Automatic persisted queries are switched off.
    PersistedQueryNotSupported = "PERSISTED_QUERY_NOT_SUPPORTED",
    /// A variable or argument has a value that its type does not allow.
    BadUserInput = "BAD_USER_INPUT",
    /// A limit on what a client may send.
    LimitExceeded = "LIMIT_EXCEEDED",
    /// Requests came too often.
    RateLimited = "RATE_LIMITED",
    /// The caller may not do this.
    Forbidden = "FORBIDDEN",
    /// A unique constraint refused a write.
    UniqueViolation = "UNIQUE_VIOLATION",
    /// A foreign key refused a write.
    ForeignKeyViolation = "FOREIGN_KEY_VIOLATION",
    /// A NOT NULL constraint refused a write.
    NotNullViolation = "NOT_NULL_VIOLATION",
    /// A CHECK constraint refused a write.
    CheckViolation = "CHECK_VIOLATION",
    /// An EXCLUDE constraint refused a write.
    ExclusionViolation = "EXCLUSION_VIOLATION",
    /// A field that the schema promises not to be null was null.
    NullInNonNull = "NULL_IN_NON_NULL_FIELD",
    /// A function raised an error for the user (`RAISE EXCEPTION`).
    Raised = "RAISED",
    /// Nobody is known by the token or the key, or there is none where one is needed; `reason` tells why.
    Unauthenticated = "UNAUTHENTICATED",
    /// The database role may not do this.
    PermissionDenied = "PERMISSION_DENIED",
    /// Another transaction was in the way, or the row has another version by now: read and try again.
    Conflict = "CONFLICT",
    /// The request took longer than it may.
    Timeout = "TIMEOUT",
    /// The database is away or full: try again later.
    Unavailable = "UNAVAILABLE",
    /// Writing is switched off.
    ReadOnly = "READ_ONLY",
    /// Anything else; the log has the details under `logId`.
    Internal = "INTERNAL_SERVER_ERROR",
}

impl Code {
    /// Returns true for what is no fault of the client: ours, the schema's or the database's.
    pub fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Internal | Self::Timeout | Self::Unavailable | Self::NullInNonNull | Self::PermissionDenied
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl GraphqlError {
    /// Makes an error without place or path.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            locations: Vec::new(),
            path: Vec::new(),
            extensions: Box::new(Extensions {
                code,
                constraint: None,
                log_id: None,
                limit: None,
                reason: None,
                retry_after_seconds: None,
            }),
        }
    }

    /// Names the setting that was passed.
    pub fn exceeding(mut self, setting: &'static str) -> Self {
        self.extensions.limit = Some(setting);
        self
    }

    /// Adds a place in the document.
    pub fn at(mut self, location: Option<Location>) -> Self {
        self.locations.extend(location);
        self
    }

    /// Sets the response path.
    pub fn on(mut self, path: Vec<PathSegment>) -> Self {
        self.path = path;
        self
    }
}
