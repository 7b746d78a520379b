//! A repository in a bucket of S3, or of a server that speaks like it.
//!
//! The rest of this crate waits for each object, so this has a runtime of its own. Nothing is written
//! twice under a name: S3 itself refuses, by a condition on the request.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use fraiseql_model::secret::Secret;
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    PutPayload, RetryConfig, UpdateVersion,
};
use tokio::runtime::Runtime;

use crate::error::BackupError;
use crate::storage::Upload;

/// S3 takes parts of 5 MiB and more, and 10,000 of them.
const PART_BYTES: usize = 16 << 20;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES_MAX: usize = 5;
const LOCK: &str = "lock";
/// Whoever holds the lock writes it again so often; one that stays the same for longer is nobody's.
const LOCK_RENEWAL: Duration = Duration::from_secs(5);
const LOCK_LOOK: Duration = Duration::from_secs(1);
const LOCK_STALE: Duration = Duration::from_secs(30);

/// Which bucket, and how it is reached.
#[derive(Clone, Debug)]
pub struct BucketOptions {
    /// Its name.
    pub bucket: String,
    /// What the names of all objects begin with; may be empty.
    pub prefix: String,
    /// The URL of the server; `None` is AWS.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Id and secret of an access key; `None` asks the environment and the machine's role.
    pub credentials: Option<(Secret, Secret)>,
    /// How many parts or objects are moved at once.
    pub parallel: NonZeroUsize,
}

/// A bucket.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    store: Arc<AmazonS3>,
    name: String,
    prefix: String,
    parallel: NonZeroUsize,
    runtime: Arc<OwnRuntime>,
}

#[derive(Debug)]
struct OwnRuntime(Option<Runtime>);

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        // Waiting for it is not allowed where the caller itself runs in another.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Bucket {
    pub(crate) fn open(options: &BucketOptions) -> Result<Self, BackupError> {
        let place = format!("s3://{}", options.bucket);
        let failed = |error: Error| storage("open", &place, error);
        let mut builder = match options.credentials {
            Some(_) => AmazonS3Builder::new(),
            None => AmazonS3Builder::from_env(),
        };
        let client = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_connect_timeout(CONNECT_TIMEOUT);
        let retry =
            RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
        builder = builder.with_bucket_name(&options.bucket).with_client_options(client).with_retry(retry);
        if let Some(region) = &options.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &options.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        if let Some((id, secret)) = &options.credentials {
            builder = builder.with_access_key_id(id.expose()).with_secret_access_key(secret.expose());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| storage("open", &place, error))?;
        Ok(Self {
            store: Arc::new(builder.build().map_err(failed)?),
            name: options.bucket.clone(),
            prefix: options.prefix.trim_matches('/').to_owned(),
            parallel: options.parallel,
            runtime: Arc::new(OwnRuntime(Some(runtime))),
        })
    }

    pub(crate) fn parallel(&self) -> NonZeroUsize {
        self.parallel
    }

    pub(crate) fn shown(&self) -> String {
        format!("s3://{}/{}", self.name, self.prefix)
    }

    fn path(&self, name: &str) -> Path {
        match self.prefix.is_empty() {
            true => Path::from(name),
            false => Path::from(format!("{}/{name}", self.prefix)),
        }
    }

    /// Begins a task on the runtime; its result comes through what is returned.
    fn begin<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Receiver<T> {
        let (sender, receiver) = sync_channel(1);
        if let Some(runtime) = &self.runtime.0 {
            runtime.spawn(async move {
                // Who asked may be gone: then nobody needs the answer.
                drop(sender.send(task.await));
            });
        }
        receiver
    }

    fn ask<T: Send + 'static>(
        &self,
        action: &'static str,
        name: &str,
        task: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, BackupError> {
        let place = || format!("{}/{name}", self.shown());
        let answer = self.begin(task).recv().map_err(|error| storage(action, place(), error))?;
        answer.map_err(|error| storage(action, place(), error))
    }

    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, BackupError> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        self.ask("read", name, async move {
            match store.get_opts(&path, GetOptions::default()).await {
                Ok(found) => Ok(Some(Vec::from(found.bytes().await?))),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    pub(crate) fn add(&self, name: &str, bytes: Vec<u8>) -> Result<bool, BackupError> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        self.ask("write", name, async move {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            match store.put_opts(&path, PutPayload::from(bytes), options).await {
                Ok(_) => Ok(true),
                Err(Error::AlreadyExists { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), BackupError> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        self.ask("remove", name, async move {
            match store.delete(&path).await {
                Err(Error::NotFound { .. }) => Ok(()),
                other => other,
            }
        })
    }

    pub(crate) fn remove_below(&self, name: &str) -> Result<(), BackupError> {
        self.list(name)?.iter().try_for_each(|(name, _)| self.remove(name))
    }

    pub(crate) fn list(&self, below: &str) -> Result<Vec<(String, u64)>, BackupError> {
        let (store, path) = (Arc::clone(&self.store), self.path(below));
        let found = self.ask("list", below, async move {
            let objects = store.list(Some(&path));
            objects.map_ok(|object| (object.location.to_string(), object.size)).try_collect::<Vec<_>>().await
        })?;
        let root = if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) };
        let mut names: Vec<(String, u64)> = found
            .into_iter()
            .filter_map(|(name, bytes)| Some((name.strip_prefix(&root)?.to_owned(), bytes)))
            .collect();
        names.sort();
        Ok(names)
    }

    pub(crate) fn has(&self, name: &str) -> Result<bool, BackupError> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        self.ask("look for", name, async move {
            match store.head(&path).await {
                Ok(_) => Ok(true),
                Err(Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        })
    }

    pub(crate) fn upload(&self, name: &str) -> Result<Box<dyn Upload>, BackupError> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        let upload = self.ask("write", name, async move { store.put_multipart(&path).await })?;
        Ok(Box::new(PartsUpload {
            bucket: self.clone(),
            name: name.to_owned(),
            upload: Some(upload),
            buffer: Vec::with_capacity(PART_BYTES),
            moving: VecDeque::new(),
        }))
    }

    pub(crate) fn download(&self, name: &str) -> Result<Box<dyn Read>, BackupError> {
        let (store, path) = (Arc::clone(&self.store), self.path(name));
        let bytes = self.ask("read", name, async move { store.head(&path).await })?.size;
        Ok(Box::new(PartsDownload {
            bucket: self.clone(),
            name: name.to_owned(),
            bytes,
            asked: 0,
            moving: VecDeque::new(),
            part: Bytes::new(),
        }))
    }

    /// Takes the lock, also from a holder who died: one who does not renew it for [`LOCK_STALE`].
    pub(crate) fn lock(&self) -> Result<BucketLock, BackupError> {
        let busy = || BackupError::Busy { root: self.shown() };
        let token = std::process::id().to_string();
        let version = match self.put_lock(PutMode::Create, &token)? {
            Some(version) => version,
            None => self.take_stale_lock(&token)?.ok_or_else(busy)?,
        };
        let (ended, end) = tokio::sync::oneshot::channel();
        let (store, path) = (Arc::clone(&self.store), self.path(LOCK));
        let renewed = self.begin(renew(store, path, version, end));
        Ok(BucketLock { ended: Some(ended), renewed })
    }

    /// Takes the lock of a holder who died; `None` once somebody is seen to renew it.
    fn take_stale_lock(&self, token: &str) -> Result<Option<UpdateVersion>, BackupError> {
        let held = self.lock_version()?;
        let begun = std::time::Instant::now();
        while begun.elapsed() < LOCK_STALE {
            std::thread::sleep(LOCK_LOOK);
            match (&held, self.lock_version()?) {
                (Some(before), Some(now)) if before.e_tag == now.e_tag => {}
                (_, Some(_)) => return Ok(None),
                (_, None) => return self.put_lock(PutMode::Create, token),
            }
        }
        match held {
            Some(held) => self.put_lock(PutMode::Update(held), token),
            None => self.put_lock(PutMode::Create, token),
        }
    }

    fn lock_version(&self) -> Result<Option<UpdateVersion>, BackupError> {
        let (store, path) = (Arc::clone(&self.store), self.path(LOCK));
        self.ask("read", LOCK, async move {
            match store.head(&path).await {
                Ok(found) => Ok(Some(UpdateVersion { e_tag: found.e_tag, version: found.version })),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    /// Writes the lock; `None` when somebody else did.
    fn put_lock(&self, mode: PutMode, token: &str) -> Result<Option<UpdateVersion>, BackupError> {
        let (store, path) = (Arc::clone(&self.store), self.path(LOCK));
        let text = format!("{token} 0");
        self.ask("write", LOCK, async move {
            let options = PutOptions { mode, ..PutOptions::default() };
            match store.put_opts(&path, PutPayload::from(text), options).await {
                Ok(put) => Ok(Some(put.into())),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        })
    }
}

/// Writes the lock again and again, each time with other content, until it is given back.
async fn renew(
    store: Arc<AmazonS3>,
    path: Path,
    mut version: UpdateVersion,
    mut end: tokio::sync::oneshot::Receiver<()>,
) {
    for count in 1_u64.. {
        if tokio::time::timeout(LOCK_RENEWAL, &mut end).await.is_ok() {
            break;
        }
        let text = format!("{} {count}", std::process::id());
        let options = PutOptions { mode: PutMode::Update(version.clone()), ..PutOptions::default() };
        match store.put_opts(&path, PutPayload::from(text), options).await {
            Ok(put) => version = put.into(),
            // It is somebody else's now, who must keep it.
            Err(Error::Precondition { .. }) => return,
            // The next attempt may succeed.
            Err(_) => {}
        }
    }
    // Left behind it is taken from us after a while.
    drop(store.delete(&path).await);
}

/// The lock of a bucket.
#[derive(Debug)]
pub(crate) struct BucketLock {
    ended: Option<tokio::sync::oneshot::Sender<()>>,
    renewed: Receiver<()>,
}

impl Drop for BucketLock {
    fn drop(&mut self) {
        drop(self.ended.take());
        // The next command should not find it: its removal is waited for.
        match self.renewed.recv_timeout(RETRY_TIMEOUT) {
            // It is taken from us after a while where it could not be removed.
            Ok(()) | Err(_) => {}
        }
    }
}

/// An object that goes to the bucket in parts, several at once.
struct PartsUpload {
    bucket: Bucket,
    name: String,
    /// `None` once it was finished.
    upload: Option<Box<dyn MultipartUpload>>,
    buffer: Vec<u8>,
    moving: VecDeque<Receiver<Result<(), Error>>>,
}

impl PartsUpload {
    fn send(&mut self) -> io::Result<()> {
        let part = std::mem::replace(&mut self.buffer, Vec::with_capacity(PART_BYTES));
        if let Some(upload) = &mut self.upload {
            let task = upload.put_part(PutPayload::from(part));
            self.moving.push_back(self.bucket.begin(task));
        }
        self.wait(self.bucket.parallel.get())
    }

    /// Waits until fewer than so many parts are on their way.
    fn wait(&mut self, fewer: usize) -> io::Result<()> {
        while self.moving.len() >= fewer {
            let Some(part) = self.moving.pop_front() else { break };
            part.recv().map_err(io::Error::other)?.map_err(io::Error::other)?;
        }
        Ok(())
    }
}

impl Write for PartsUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PART_BYTES {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for PartsUpload {
    fn finish(mut self: Box<Self>) -> Result<(), BackupError> {
        let place = format!("{}/{}", self.bucket.shown(), self.name);
        self.send().and_then(|()| self.wait(1)).map_err(|error| storage("write", place, error))?;
        let Some(mut upload) = self.upload.take() else { return Ok(()) };
        self.bucket.ask("write", &self.name, async move { upload.complete().await.map(|_| ()) })
    }
}

impl Drop for PartsUpload {
    fn drop(&mut self) {
        if let Some(mut upload) = self.upload.take() {
            // Parts that stay behind cost money and are in nobody's way.
            drop(self.bucket.begin(async move { upload.abort().await }).recv_timeout(RETRY_TIMEOUT));
        }
    }
}

/// An object that comes in parts, several at once, in order.
struct PartsDownload {
    bucket: Bucket,
    name: String,
    bytes: u64,
    asked: u64,
    moving: VecDeque<Receiver<Result<Bytes, Error>>>,
    part: Bytes,
}

impl PartsDownload {
    fn ask_ahead(&mut self) {
        while self.asked < self.bytes && self.moving.len() < self.bucket.parallel.get() {
            let range = self.asked..self.bytes.min(self.asked + PART_BYTES as u64);
            self.asked = range.end;
            let (store, path) = (Arc::clone(&self.bucket.store), self.bucket.path(&self.name));
            self.moving.push_back(self.bucket.begin(async move { store.get_range(&path, range).await }));
        }
    }
}

impl Read for PartsDownload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() {
            self.ask_ahead();
            let Some(next) = self.moving.pop_front() else { return Ok(0) };
            self.part = next.recv().map_err(io::Error::other)?.map_err(io::Error::other)?;
        }
        let taken = buffer.len().min(self.part.len());
        buffer[..taken].copy_from_slice(&self.part.split_to(taken));
        Ok(taken)
    }
}

fn storage(
    action: &'static str,
    place: impl Into<String>,
    source: impl std::error::Error + Send + Sync + 'static,
) -> BackupError {
    BackupError::Storage { action, place: place.into(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use fraiseql_testkit::S3Server;

    use super::*;
    use crate::storage::{BackupPlace, Storage};

    /// `None` where there is no server of S3; the setup script has said so.
    async fn bucket(secret: &str) -> Option<(S3Server, Result<Bucket, BackupError>)> {
        let server = S3Server::start().await?;
        let credentials = (Secret::new(S3Server::ACCESS_KEY.to_owned()), Secret::new(secret.to_owned()));
        let options = BucketOptions {
            bucket: "backups".to_owned(),
            prefix: "shop/one".to_owned(),
            endpoint: Some(server.url()),
            region: None,
            credentials: Some(credentials),
            parallel: NonZeroUsize::new(3).unwrap(),
        };
        Some((server, Bucket::open(&options)))
    }

    #[tokio::test]
    async fn a_bucket_keeps_what_a_folder_keeps_and_writes_no_name_twice() {
        let Some((_server, bucket)) = bucket(S3Server::SECRET_KEY).await else { return };
        let bucket = bucket.unwrap();
        assert!(bucket.add("wal/1/a", b"first".to_vec()).unwrap());
        assert!(!bucket.add("wal/1/a", b"second".to_vec()).unwrap());
        assert_eq!(bucket.read("wal/1/a").unwrap().unwrap(), b"first");
        assert_eq!(bucket.read("wal/1/b").unwrap(), None);

        let content: Vec<u8> = (0..PART_BYTES as u32 * 5 / 8).flat_map(u32::to_le_bytes).collect();
        let mut upload = bucket.upload("base/x/files").unwrap();
        upload.write_all(&content).unwrap();
        assert!(!bucket.has("base/x/files").unwrap(), "half of it is there");
        upload.finish().unwrap();
        let mut read = Vec::new();
        bucket.download("base/x/files").unwrap().read_to_end(&mut read).unwrap();
        assert!(read == content, "{} bytes of {}", read.len(), content.len());

        let names = vec![("base/x/files".to_owned(), content.len() as u64)];
        assert_eq!(bucket.list("base").unwrap(), names);
        bucket.remove_below("base/x").unwrap();
        bucket.remove("base/x/files").unwrap();
        assert_eq!(bucket.list("base").unwrap(), []);
    }

    #[tokio::test]
    async fn one_command_at_a_time_has_the_lock_of_a_bucket() {
        let Some((_server, bucket)) = bucket(S3Server::SECRET_KEY).await else { return };
        let bucket = bucket.unwrap();
        let lock = bucket.lock().unwrap();
        let second = bucket.lock();
        assert!(matches!(second, Err(BackupError::Busy { .. })), "{second:?}");
        drop(lock);
        drop(bucket.lock().unwrap());
    }

    #[tokio::test]
    async fn a_wrong_secret_is_said_without_being_shown() {
        let Some((_server, bucket)) = bucket("something-else").await else { return };
        let error = bucket.unwrap().read("wal/1/a").unwrap_err();
        let shown = format!("{error}: {:?}", std::error::Error::source(&error));
        assert!(
            shown.contains("read s3://backups/shop/one/wal/1/a") && shown.contains("SignatureDoesNotMatch"),
            "{shown}"
        );
        assert!(!shown.contains("something-else"), "{shown}");
    }

    #[test]
    fn a_server_that_is_away_is_no_damage() {
        let options = BucketOptions {
            bucket: "backups".to_owned(),
            prefix: String::new(),
            endpoint: Some("http://127.0.0.1:1".to_owned()),
            region: None,
            credentials: Some((Secret::new("a".to_owned()), Secret::new("b".to_owned()))),
            parallel: NonZeroUsize::MIN,
        };
        let opened = crate::Repository::open(&BackupPlace::Bucket(options.clone()), crate::BackupKey::Open);
        assert!(matches!(opened, Err(BackupError::Storage { .. })));
        assert_eq!(Storage::Bucket(Bucket::open(&options).unwrap()).shown(), "s3://backups/");
    }
}
