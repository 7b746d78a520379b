//! From what a request names to the document that runs: its text, a persisted operation, or a text
//! that was registered by its hash.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use fraiseql_engine::{Document, LoadError, Schema, persisted_documents};
use fraiseql_model::digest::sha256_hex;
use fraiseql_model::response::{Code, GraphqlError};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::generation::{Generation, KeptDocument};
use crate::metrics::{Metrics, OperationCounts};
use crate::params::Params;
use crate::serving::Serving;

/// The prefix of an id that is a hash: appendix A of the GraphQL over HTTP draft.
const SHA256: &str = "sha256:";
/// The most texts that clients may register, and the most bytes of them.
const REGISTERED_MAX: u64 = 1_000;
const REGISTERED_BYTES_MAX: u64 = 8 << 20;

/// Returns the document that a request means, parsed now or before.
pub(crate) fn resolve(
    serving: &Serving,
    generation: &Generation,
    params: &Params<'_>,
) -> Result<Arc<KeptDocument>, Vec<GraphqlError>> {
    let Params { query, document_id, automatic, .. } = params;
    let named = match (document_id, automatic) {
        (Some(_), _) if !query.is_empty() => {
            let message = "send either \"query\" or \"documentId\", not both";
            return Err(single(Code::BadRequest, message));
        }
        (Some(id), _) => {
            let found = generation.persisted.find(id.strip_prefix(SHA256).unwrap_or(id));
            return found.ok_or_else(|| single(Code::PersistedOperationNotFound, not_found(id)));
        }
        (None, Some(hash)) if query.is_empty() => return registered(serving, generation, hash),
        (None, hash) => hash.as_deref(),
    };
    if let Some(found) = generation.persisted.find_text(query) {
        return Ok(found);
    }
    if serving.tuning().policy.persisted_only {
        let message =
            "only persisted operations run here: send a documentId that `fraiseql operations list` shows";
        return Err(single(Code::PersistedOperationRequired, message));
    }
    let Some(hash) = named.filter(|_| serving.tuning().policy.automatic_persisted) else {
        return generation.document(query, &serving.metrics);
    };
    if sha256_hex(query.as_bytes()) != *hash {
        let message = "\"extensions.persistedQuery.sha256Hash\" is not the SHA-256 of \"query\"";
        return Err(single(Code::BadRequest, message));
    }
    let document = generation.document(query, &serving.metrics)?;
    serving.registered.insert(hash, query);
    Ok(document)
}

fn registered(
    serving: &Serving,
    generation: &Generation,
    hash: &str,
) -> Result<Arc<KeptDocument>, Vec<GraphqlError>> {
    if let Some(found) = generation.persisted.find(hash) {
        return Ok(found);
    }
    if serving.tuning().policy.persisted_only || !serving.tuning().policy.automatic_persisted {
        // The words that clients of this protocol look for.
        return Err(single(Code::PersistedQueryNotSupported, "PersistedQueryNotSupported"));
    }
    match serving.registered.find(hash) {
        Some(text) => generation.document(&text, &serving.metrics),
        None => Err(single(Code::PersistedQueryNotFound, "PersistedQueryNotFound")),
    }
}

fn single(code: Code, message: impl Into<String>) -> Vec<GraphqlError> {
    vec![GraphqlError::new(code, message)]
}

fn not_found(id: &str) -> Cow<'static, str> {
    let hash = id.strip_prefix(SHA256).unwrap_or(id);
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    Cow::Borrowed(if is_hash {
        "no persisted operation of this schema has that documentId"
    } else {
        "a documentId is \"sha256:\" and 64 lower-case hexadecimal digits"
    })
}

/// The persisted operations of one artifact, parsed.
#[derive(Default)]
pub(crate) struct Persisted {
    by_id: HashMap<String, Arc<KeptDocument>>,
    by_text: HashMap<String, Arc<KeptDocument>>,
}

impl Persisted {
    /// Parses all of them; `keep` makes documents that can be found again.
    pub(crate) fn load(
        schema: &Schema,
        metrics: &Metrics,
        mut keep: impl FnMut(Document, Arc<OperationCounts>) -> Arc<KeptDocument>,
    ) -> Result<Self, LoadError> {
        // First: what fails to load must not change what is counted.
        let documents = persisted_documents(schema)?;
        let operations = &schema.artifact().operations;
        let counts = metrics.operations(operations.iter().map(|operation| operation.name.as_str()));
        let mut persisted = Self::default();
        for ((operation, document), counts) in operations.iter().zip(documents).zip(counts) {
            let kept = keep(document, counts);
            persisted.by_id.insert(operation.id.clone(), Arc::clone(&kept));
            persisted.by_text.insert(operation.text.clone(), kept);
        }
        Ok(persisted)
    }

    /// Parses those that a view of the schema still has; each is counted where it is counted here.
    pub(crate) fn of_view(
        &self,
        view: &Schema,
        mut keep: impl FnMut(Document, Option<Arc<OperationCounts>>) -> Arc<KeptDocument>,
    ) -> Result<Self, LoadError> {
        let documents = persisted_documents(view)?;
        let mut persisted = Self::default();
        for (operation, document) in view.artifact().operations.iter().zip(documents) {
            let counts = self.by_id.get(&operation.id).and_then(|kept| kept.counts.clone());
            let kept = keep(document, counts);
            persisted.by_id.insert(operation.id.clone(), Arc::clone(&kept));
            persisted.by_text.insert(operation.text.clone(), kept);
        }
        Ok(persisted)
    }

    /// Returns all of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<KeptDocument>> {
        self.by_id.values()
    }

    fn find(&self, id: &str) -> Option<Arc<KeptDocument>> {
        self.by_id.get(id).cloned()
    }

    fn find_text(&self, text: &str) -> Option<Arc<KeptDocument>> {
        if self.by_text.is_empty() {
            return None;
        }
        self.by_text.get(text).cloned()
    }
}

/// Texts that clients registered by their hash. A full store forgets the ones that nobody asks for.
pub(crate) struct Registered(Cache<String, Arc<str>, ByText>);

#[derive(Clone)]
struct ByText;

impl Weighter<String, Arc<str>> for ByText {
    fn weight(&self, _hash: &String, text: &Arc<str>) -> u64 {
        (text.len() as u64).max(REGISTERED_BYTES_MAX / REGISTERED_MAX)
    }
}

impl Registered {
    /// Returns an empty store.
    pub(crate) fn new() -> Self {
        let entries = usize::try_from(REGISTERED_MAX).unwrap_or(usize::MAX);
        Self(Cache::with_weighter(entries, REGISTERED_BYTES_MAX, ByText))
    }

    fn insert(&self, hash: &str, text: &str) {
        self.0.insert(hash.to_owned(), Arc::from(text));
    }

    fn find(&self, hash: &str) -> Option<Arc<str>> {
        self.0.get(hash)
    }
}
