//! Tells when a file of the project has changed and has been quiet for a moment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fraiseql_model::errors;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{Receiver, channel};

use crate::failure::Failure;
use crate::operation_files;

/// Editors write a file in several steps; this is how long they may take between two.
const QUIET: Duration = Duration::from_millis(150);

/// Watches a project's folder.
pub(crate) struct Watch {
    changes: Receiver<()>,
    /// True while a change waits for quiet, also when [`Watch::changed`] was dropped meanwhile.
    pending: bool,
    watcher: RecommendedWatcher,
    operations: PathBuf,
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn begin(dir: &Path) -> Result<Self, Failure> {
        Self::of(dir, is_source)
    }

    /// Begins to watch what `serve` reads: the artifact and the settings.
    pub(crate) fn of_compiled(dir: &Path) -> Result<Self, Failure> {
        let served = ["schema.compiled.json", "fraiseql.toml"];
        Self::of(dir, move |path| {
            served.iter().any(|name| path.file_name().is_some_and(|file| file == *name))
        })
    }

    fn of(dir: &Path, concerns: impl Fn(&Path) -> bool + Send + 'static) -> Result<Self, Failure> {
        let (sender, changes) = channel(1);
        let told = move |event: notify::Result<Event>| {
            let relevant = event.is_ok_and(|event| {
                !matches!(event.kind, EventKind::Access(_))
                    && event.paths.iter().any(|path| concerns(path.as_path()))
            });
            // A full channel already says that something changed.
            if relevant && sender.try_send(()).is_err() {}
        };
        let failed = |error: notify::Error| {
            Failure::new(&errors::IO_READ, format!("watch {}", dir.display())).because(&error)
        };
        let mut watcher = notify::recommended_watcher(told).map_err(failed)?;
        watcher.watch(dir, RecursiveMode::NonRecursive).map_err(failed)?;
        let mut watch =
            Self { changes, pending: false, watcher, operations: dir.join(operation_files::FOLDER) };
        watch.follow();
        Ok(watch)
    }

    /// Waits for a change, then for quiet. Dropping the call loses no change.
    pub(crate) async fn changed(&mut self) {
        if !self.pending && self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        self.pending = true;
        while tokio::time::timeout(QUIET, self.changes.recv()).await.is_ok_and(|change| change.is_some()) {}
        self.pending = false;
        self.follow();
    }

    /// Watches the folder of operations too, which may come, go and come again. Nothing else of the
    /// project is watched below its top: a database may lie there.
    fn follow(&mut self) {
        // Where it is not there the folder above tells when it comes.
        if self.watcher.watch(&self.operations, RecursiveMode::Recursive).is_err() {}
    }
}

fn is_source(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "schema.graphql") || operation_files::concerns(path)
}
