//! Counts which client asks for which fields: for `fraiseql usage`, and to tell whom a change would break.
//!
//! Bounded: at most [`CLIENTS_MAX`] clients and [`FIELDS_MAX`] fields; what is more counts as "other".
//! A request costs a look-up of its client and one atomic addition for each field.

mod store;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use fraiseql_engine::{Schema, asked_fields};
use hyper::HeaderMap;
use hyper::header::HeaderValue;

use crate::generation::KeptDocument;

pub use store::usage_ddl;
pub(crate) use store::{finish, run};

/// The most clients, by name and version, of one process.
const CLIENTS_MAX: usize = 100;
/// The most fields of all schemas that one process has served.
const FIELDS_MAX: usize = 5_000;
/// The longest name or version of a client, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Stands for clients or fields beyond the limits.
const OTHER: &str = "(other)";
/// The headers with a client's name and version, in the order in which they are looked at.
const HEADERS: [(&str, &str); 2] = [
    ("graphql-client-name", "graphql-client-version"),
    ("apollographql-client-name", "apollographql-client-version"),
];

/// Returns the name that a client gives itself, if it is a sane one.
pub(crate) fn client_name(headers: &HeaderMap) -> Option<HeaderValue> {
    let name = HEADERS.iter().find_map(|(name, _)| headers.get(*name))?;
    (!name.is_empty() && name.len() <= NAME_BYTES_MAX && name.to_str().is_ok()).then(|| name.clone())
}

/// Whether and where usage is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageRecording {
    /// Nothing is counted.
    Off,
    /// Counted, and forgotten at the end of the process.
    Memory,
    /// Written to the table of [`usage_ddl`] every minute and at the end.
    Database,
}

/// The fields that the operations of a document ask for, as numbers.
pub(crate) type Asked = Vec<(Option<Box<str>>, Box<[u32]>)>;

/// Clients by name, then version.
type Clients = BTreeMap<Box<str>, BTreeMap<Box<str>, Arc<Client>>>;

/// Everything that is counted.
pub(crate) struct Usage {
    recording: UsageRecording,
    /// Replaced as a whole when a client is new.
    clients: ArcSwap<Clients>,
    fields: Mutex<Fields>,
    /// Whether it was said that usage cannot be stored.
    said: AtomicBool,
}

/// A client and its counts, by the number of the field.
pub(crate) struct Client {
    name: Box<str>,
    version: Box<str>,
    counts: Box<[AtomicU64]>,
}

/// Numbers of fields. Number 0 is "other"; a number never changes its meaning.
struct Fields {
    numbers: BTreeMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

/// A count on its way to the database.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Counted {
    pub(crate) client: Box<str>,
    pub(crate) version: Box<str>,
    pub(crate) field: Arc<str>,
    pub(crate) count: u64,
}

impl Usage {
    pub(crate) fn new(recording: UsageRecording) -> Self {
        let fields = Fields { numbers: BTreeMap::new(), names: vec![Arc::from(OTHER)] };
        Self {
            recording,
            clients: ArcSwap::default(),
            fields: Mutex::new(fields),
            said: AtomicBool::new(false),
        }
    }

    /// Returns the client that a request is of, by its headers; `None` when nothing is counted.
    pub(crate) fn client(&self, headers: &HeaderMap) -> Option<Arc<Client>> {
        if self.recording == UsageRecording::Off {
            return None;
        }
        let value = |header: &str| headers.get(header).and_then(|value| value.to_str().ok());
        let told = HEADERS.iter().find_map(|(name, version)| Some((value(name)?, value(version))));
        let (name, version) =
            told.map_or(("", ""), |(name, version)| (name.trim(), version.unwrap_or("").trim()));
        let known = |name: &str, version: &str| {
            self.clients.load().get(name).and_then(|versions| versions.get(version)).cloned()
        };
        let sane = name.len() <= NAME_BYTES_MAX && version.len() <= NAME_BYTES_MAX;
        let (name, version) = if sane { (name, version) } else { (OTHER, "") };
        Some(known(name, version).unwrap_or_else(|| self.meet(name, version)))
    }

    /// Returns a client that was not there a moment ago.
    fn meet(&self, name: &str, version: &str) -> Arc<Client> {
        // Also the lock that lets one request at a time add a client.
        let _adding = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        let mut clients = Clients::clone(&self.clients.load());
        let count: usize = clients.values().map(BTreeMap::len).sum();
        let known = clients.get(name).is_some_and(|versions| versions.contains_key(version));
        let (name, version) = if known || count < CLIENTS_MAX { (name, version) } else { (OTHER, "") };
        let versions = clients.entry(Box::from(name)).or_default();
        let client =
            versions.entry(Box::from(version)).or_insert_with(|| Arc::new(Client::new(name, version)));
        let client = Arc::clone(client);
        self.clients.store(Arc::new(clients));
        client
    }

    /// Returns the numbers of the fields that a document asks for, found once for each document.
    pub(crate) fn asked<'d>(&self, schema: &Schema, kept: &'d KeptDocument) -> &'d Asked {
        kept.asked.get_or_init(|| {
            let asked = asked_fields(schema, &kept.document);
            let mut fields = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
            let numbers = asked.into_iter().map(|(operation, names)| {
                let numbers: Vec<u32> = names.iter().map(|name| fields.number(name)).collect();
                (operation.map(String::into_boxed_str), numbers.into_boxed_slice())
            });
            numbers.collect()
        })
    }

    /// Returns true when there is nothing to store.
    pub(crate) fn is_empty(&self) -> bool {
        let clients = self.clients.load();
        let mut counts = clients.values().flat_map(BTreeMap::values).flat_map(|client| &client.counts);
        counts.all(|count| count.load(Ordering::Relaxed) == 0)
    }

    /// Takes every count away, sorted, so that several servers lock rows in one order.
    pub(crate) fn take(&self) -> Vec<Counted> {
        let names = self.fields.lock().unwrap_or_else(PoisonError::into_inner).names.clone();
        let clients = self.clients.load_full();
        let mut taken = Vec::new();
        for client in clients.values().flat_map(BTreeMap::values) {
            for (field, count) in names.iter().zip(&client.counts) {
                let count = count.swap(0, Ordering::Relaxed);
                if count > 0 {
                    let (client, version) = (client.name.clone(), client.version.clone());
                    taken.push(Counted { client, version, field: Arc::clone(field), count });
                }
            }
        }
        taken.sort();
        taken
    }

    /// Puts counts back that could not be stored.
    pub(crate) fn put_back(&self, counted: Vec<Counted>) {
        let fields = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        let clients = self.clients.load();
        for one in counted {
            let number = fields.numbers.get(&one.field).copied().unwrap_or(0);
            let client = clients.get(&one.client).and_then(|versions| versions.get(&one.version));
            if let Some(count) = client.and_then(|client| client.counts.get(number as usize)) {
                count.fetch_add(one.count, Ordering::Relaxed);
            }
        }
    }
}

impl Client {
    fn new(name: &str, version: &str) -> Self {
        let counts = (0..=FIELDS_MAX).map(|_| AtomicU64::new(0)).collect();
        Self { name: Box::from(name), version: Box::from(version), counts }
    }

    /// Counts one run of an operation.
    pub(crate) fn count(&self, asked: &Asked, operation: Option<&str>) {
        let meant = asked.iter().find(|(name, _)| operation.is_none() || name.as_deref() == operation);
        for number in meant.into_iter().flat_map(|(_, numbers)| numbers) {
            if let Some(count) = self.counts.get(*number as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Fields {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(known) = self.numbers.get(name) {
            return *known;
        }
        let Some(number) = u32::try_from(self.names.len()).ok().filter(|_| self.names.len() <= FIELDS_MAX)
        else {
            return 0;
        };
        let name: Arc<str> = Arc::from(name);
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn headers(name: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("graphql-client-name", HeaderValue::from_str(name).unwrap());
        headers.insert("graphql-client-version", HeaderValue::from_static("1.2"));
        headers
    }

    fn count(usage: &Usage, client: &str, field: &str) {
        let number = usage.fields.lock().unwrap().number(field);
        let asked = vec![(None, Box::from([number]))];
        usage.client(&headers(client)).unwrap().count(&asked, None);
    }

    #[test]
    fn counts_are_kept_by_client_and_field_and_put_back() {
        let usage = Usage::new(UsageRecording::Memory);
        count(&usage, "web", "A.b");
        count(&usage, "web", "A.b");
        count(&usage, "app", "A.c");
        let taken = usage.take();
        let shown: Vec<String> = taken
            .iter()
            .map(|one| format!("{} {} {} {}", one.client, one.version, one.field, one.count))
            .collect();
        assert_eq!(shown, ["app 1.2 A.c 1", "web 1.2 A.b 2"]);
        assert!(usage.is_empty() && usage.take().is_empty());
        usage.put_back(taken);
        count(&usage, "web", "A.b");
        assert_eq!(usage.take().iter().map(|one| one.count).sum::<u64>(), 4);
    }

    #[test]
    fn what_is_beyond_the_limits_counts_as_other() {
        let usage = Usage::new(UsageRecording::Memory);
        for client in 0..CLIENTS_MAX + 10 {
            count(&usage, &format!("client {client}"), "A.b");
        }
        count(&usage, &"x".repeat(NAME_BYTES_MAX + 1), "A.b");
        let taken = usage.take();
        assert_eq!(taken.len(), CLIENTS_MAX + 1);
        assert_eq!(taken.iter().find(|one| &*one.client == OTHER).map(|one| one.count), Some(11));
        for field in 0..FIELDS_MAX + 10 {
            count(&usage, "client 1", &format!("A.f{field}"));
        }
        let taken = usage.take();
        assert_eq!(taken.len(), FIELDS_MAX, "A.b was not asked for again, and one is for the others");
        assert_eq!(taken.iter().find(|one| &*one.field == OTHER).map(|one| one.count), Some(11));
    }

    #[test]
    fn nothing_is_counted_when_it_is_off() {
        assert!(Usage::new(UsageRecording::Off).client(&headers("web")).is_none());
    }
}
