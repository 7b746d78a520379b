//! One loaded artifact with its caches of documents and plans. A reload makes another; requests that
//! run keep theirs, and nothing of an old schema can be found in the caches of a new one.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use fraiseql_engine::{Document, Limits, LoadError, Schema, Variables, plan};
use fraiseql_model::artifact::Artifact;
use fraiseql_model::identity::Identity;
use fraiseql_model::response::GraphqlError;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use serde_json::Map;

use crate::metrics::{Metrics, OperationCounts};
use crate::operations::Persisted;
use crate::prepared::Prepared;
use crate::tuning::Tuning;
use crate::usage::Asked;

/// The most entries of each cache.
const ENTRIES_MAX: u64 = 10_000;
/// The most bytes of each cache, as estimated.
const BYTES_MAX: u64 = 64 << 20;
/// The most views of a schema that are kept.
const VIEWS_MAX: usize = 64;
/// A parsed document takes about so many times the bytes of its text.
const DOCUMENT_FACTOR: u64 = 16;

/// A schema that is being served.
pub(crate) struct Generation {
    pub(crate) schema: Schema,
    pub(crate) limits: Limits,
    pub(crate) tuning: Tuning,
    documents: Cache<Arc<str>, Arc<KeptDocument>, ByBytes>,
    plans: Cache<PlanKey, Prepared, ByBytes>,
    next_document: AtomicU64,
    pub(crate) persisted: Persisted,
    /// What callers may use, by the rules that they hold. Least recently used ones are made again.
    views: Cache<Box<[bool]>, Arc<Generation>>,
}

/// A document that was parsed before.
pub(crate) struct KeptDocument {
    /// Stands for the text in the keys of plans; never used twice.
    number: u64,
    pub(crate) document: Document,
    /// The fields that its operations ask for, once somebody wants to count them.
    pub(crate) asked: OnceLock<Asked>,
    /// The limits that were told of it already, a bit for each.
    pub(crate) told: AtomicU32,
    /// Where requests of a persisted operation are counted.
    pub(crate) counts: Option<Arc<OperationCounts>>,
}

#[derive(Hash, PartialEq, Eq)]
struct PlanKey {
    document: u64,
    operation: Option<Box<str>>,
    shape: Box<str>,
}

/// Hashes as [`PlanKey`] does, without owning anything.
#[derive(Hash)]
struct PlanKeyRef<'a> {
    document: u64,
    operation: Option<&'a str>,
    shape: &'a str,
}

impl Equivalent<PlanKey> for PlanKeyRef<'_> {
    fn equivalent(&self, key: &PlanKey) -> bool {
        self.document == key.document
            && self.operation == key.operation.as_deref()
            && self.shape == &*key.shape
    }
}

/// Weighs entries so that both [`ENTRIES_MAX`] and [`BYTES_MAX`] hold.
#[derive(Clone)]
struct ByBytes;

impl Weighter<Arc<str>, Arc<KeptDocument>> for ByBytes {
    fn weight(&self, text: &Arc<str>, _document: &Arc<KeptDocument>) -> u64 {
        (text.len() as u64 * DOCUMENT_FACTOR).max(BYTES_MAX / ENTRIES_MAX)
    }
}

impl Weighter<PlanKey, Prepared> for ByBytes {
    fn weight(&self, key: &PlanKey, plan: &Prepared) -> u64 {
        (plan.bytes() + key.shape.len() as u64).max(BYTES_MAX / ENTRIES_MAX)
    }
}

impl Generation {
    /// Loads an artifact, its persisted operations parsed and, as far as their variables allow,
    /// planned. Fails when it contradicts itself.
    pub(crate) fn load(artifact: Artifact, tuning: Tuning, metrics: &Metrics) -> Result<Self, LoadError> {
        let entries = usize::try_from(ENTRIES_MAX).unwrap_or(usize::MAX);
        let schema = Schema::load(artifact)?;
        let mut number = 0;
        let persisted = Persisted::load(&schema, metrics, |document, counts| {
            number += 1;
            Arc::new(KeptDocument {
                number,
                document,
                asked: OnceLock::new(),
                told: AtomicU32::new(0),
                counts: Some(counts),
            })
        })?;
        let generation = Self {
            schema,
            limits: tuning.limits,
            tuning,
            documents: Cache::with_weighter(entries, BYTES_MAX, ByBytes),
            plans: Cache::with_weighter(entries, BYTES_MAX, ByBytes),
            next_document: AtomicU64::new(number + 1),
            persisted,
            views: Cache::new(VIEWS_MAX),
        };
        generation.plan_persisted();
        Ok(generation)
    }

    /// Returns what a caller may use: this, or the part of it for the rules that the caller holds.
    ///
    /// Fails when the part contradicts itself, which only a faulty compiler can cause.
    pub(crate) fn for_caller(self: &Arc<Self>, caller: &Identity) -> Result<Arc<Self>, LoadError> {
        let access = &self.schema.artifact().access;
        if access.is_empty() {
            return Ok(Arc::clone(self));
        }
        let held = access.held(caller).into_boxed_slice();
        self.views.get_or_insert_with(&held, || self.view(&held).map(Arc::new))
    }

    fn view(&self, held: &[bool]) -> Result<Self, LoadError> {
        let entries = usize::try_from(ENTRIES_MAX).unwrap_or(usize::MAX);
        let schema = self.schema.view(held)?;
        let mut number = 0;
        let persisted = self.persisted.of_view(&schema, |document, counts| {
            number += 1;
            Arc::new(KeptDocument {
                number,
                document,
                asked: OnceLock::new(),
                told: AtomicU32::new(0),
                counts,
            })
        })?;
        Ok(Self {
            schema,
            limits: self.limits,
            tuning: self.tuning.clone(),
            documents: Cache::with_weighter(entries, BYTES_MAX, ByBytes),
            plans: Cache::with_weighter(entries, BYTES_MAX, ByBytes),
            next_document: AtomicU64::new(number + 1),
            persisted,
            views: Cache::new(1),
        })
    }

    /// Plans every persisted operation that needs no variables; the others are planned by their
    /// first request, because the shape of the variables decides the plan.
    fn plan_persisted(&self) {
        let uncounted = Metrics::new();
        for kept in self.persisted.all() {
            if let Ok(variables) = Variables::coerce(&self.schema, &kept.document, None, &Map::new()) {
                // What cannot be planned is told to whoever asks for it.
                self.plan(kept, None, &variables, &uncounted).map_or_else(drop, drop);
            }
        }
    }

    /// Returns the document of a text, parsed now or before. One with errors is not kept.
    pub(crate) fn document(
        &self,
        text: &str,
        metrics: &Metrics,
    ) -> Result<Arc<KeptDocument>, Vec<GraphqlError>> {
        if let Some(kept) = self.documents.get(text) {
            metrics.document_hits.increment();
            return Ok(kept);
        }
        metrics.document_misses.increment();
        let document = Document::parse(&self.schema, text, &self.limits)?;
        let number = self.next_document.fetch_add(1, Ordering::Relaxed);
        let (told, asked) = (AtomicU32::new(0), OnceLock::new());
        let kept = Arc::new(KeptDocument { number, document, asked, told, counts: None });
        self.documents.insert(Arc::from(text), Arc::clone(&kept));
        Ok(kept)
    }

    /// Returns the plan of an operation for variables of this shape, made now or before.
    pub(crate) fn plan(
        &self,
        kept: &KeptDocument,
        operation: Option<&str>,
        variables: &Variables,
        metrics: &Metrics,
    ) -> Result<Prepared, Vec<GraphqlError>> {
        let (document, shape) = (kept.number, variables.shape());
        if let Some(plan) = self.plans.get(&PlanKeyRef { document, operation, shape }) {
            metrics.plan_hits.increment();
            return Ok(plan);
        }
        metrics.plan_misses.increment();
        let plan = plan(&self.schema, &kept.document, operation, variables, &self.limits_for(kept))?;
        let prepared = Prepared::new(plan);
        let key = PlanKey { document, operation: operation.map(Box::from), shape: Box::from(shape) };
        self.plans.insert(key, prepared.clone());
        Ok(prepared)
    }

    /// Returns the limits for planning a document; a persisted one only has to keep those that a
    /// client's values decide.
    pub(crate) fn limits_for(&self, kept: &KeptDocument) -> Limits {
        match kept.counts {
            Some(_) => Limits { bulk_rows: self.limits.bulk_rows, ..Limits::CEILING },
            None => self.limits,
        }
    }

    /// Returns how many documents and plans are kept.
    pub(crate) fn entries(&self) -> (usize, usize) {
        (self.documents.len(), self.plans.len())
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    #[test]
    fn a_borrowed_key_finds_the_owned_one() {
        let hasher = RandomState::new();
        for (operation, shape) in [(None, ""), (Some("A"), "a=1"), (Some(""), "x")] {
            let borrowed = PlanKeyRef { document: 7, operation, shape };
            let owned = PlanKey { document: 7, operation: operation.map(Box::from), shape: Box::from(shape) };
            assert_eq!(hasher.hash_one(&borrowed), hasher.hash_one(&owned));
            assert!(borrowed.equivalent(&owned));
        }
    }
}
