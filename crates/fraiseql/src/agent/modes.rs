//! Tells instances whether they may write: those that start learn it from their arguments, those that
//! run over their control sockets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fraiseql_agent::{InstanceView, ask};
use hyper::Method;
use serde_json::json;
use tokio::task::JoinSet;

/// A switch waits for requests that write.
const LIMIT: Duration = Duration::from_secs(60);

/// What instances were told.
#[derive(Debug)]
pub(crate) struct InstanceModes {
    /// The folder with the control sockets of instances.
    folder: PathBuf,
    read_only: Arc<AtomicBool>,
    /// By pid: what it does now.
    told: BTreeMap<u32, bool>,
    /// By pid: who is being told.
    telling: JoinSet<(u32, bool, Result<(), String>)>,
    under_way: BTreeMap<u32, bool>,
}

impl InstanceModes {
    /// `read_only` is shared with whoever starts instances.
    pub(crate) fn new(folder: PathBuf, read_only: Arc<AtomicBool>) -> Self {
        let (told, telling, under_way) = (BTreeMap::new(), JoinSet::new(), BTreeMap::new());
        Self { folder, read_only, told, telling, under_way }
    }

    /// Tells those that do something else than is wanted. Returns what did not work, and is tried again.
    pub(crate) fn look_after(&mut self, views: &[InstanceView], read_only: bool) -> Vec<String> {
        self.read_only.store(read_only, Ordering::Release);
        let mut faults = Vec::new();
        while let Some(ended) = self.telling.try_join_next() {
            let Ok((pid, mode, outcome)) = ended else { continue };
            self.under_way.remove(&pid);
            match outcome {
                Ok(()) => drop(self.told.insert(pid, mode)),
                Err(fault) => faults.push(fault),
            }
        }
        self.told.retain(|pid, _| views.iter().any(|view| view.pid == Some(*pid)));
        for view in views.iter().filter(|view| view.ready) {
            let Some(pid) = view.pid else { continue };
            if self.told.get(&pid) == Some(&read_only) || self.under_way.contains_key(&pid) {
                continue;
            }
            self.under_way.insert(pid, read_only);
            let (socket, name) = (self.folder.join(format!("{}.sock", view.name)), view.name.clone());
            self.telling.spawn(async move {
                let body = json!(if read_only { "read-only" } else { "normal" });
                let outcome = match ask(&socket, (Method::PUT, "/mode"), Some(&body), LIMIT).await {
                    Ok((200, _)) => Ok(()),
                    Ok((_, answer)) => Err(format!("switch {name}: {}", answer["error"])),
                    Err(error) => Err(format!("switch {name}: {error}")),
                };
                (pid, read_only, outcome)
            });
        }
        faults
    }

    /// Returns true when every instance does what is wanted.
    pub(crate) fn is_done(&self, views: &[InstanceView], read_only: bool) -> bool {
        let mut ready = views.iter().filter(|view| view.ready);
        ready.all(|view| view.pid.is_some_and(|pid| self.told.get(&pid) == Some(&read_only)))
    }
}
