//! What of a request is allowed beyond what GraphQL itself says. Made once, from settings.

/// How requests are let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestPolicy {
    /// Only the persisted operations of the artifact run.
    pub persisted_only: bool,
    /// Clients may register a text by its hash (automatic persisted queries). Without effect when
    /// only persisted operations run.
    pub automatic_persisted: bool,
}
