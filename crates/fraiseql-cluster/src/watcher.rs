//! Ends a scratch server and removes its folder when its owner dies, however it dies.
//!
//! A shell reads a pipe whose other end only we hold: the pipe closes with us. It runs as the
//! server's user, which may do what is needed here and nothing else, and it is there before the
//! server, so that no instant is left uncovered.

use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::account::Account;
use crate::error::{ClusterError, file};

/// `$1` is the folder. The server is found by its own pid file and proven by its working directory;
/// one that has not yet written that file ends when it finds its folder gone.
const SCRIPT: &str = r#"
while read -r _; do :; done
serves() { [ -n "$pid" ] && [ "/proc/$pid/cwd" -ef "$1/data" ]; }
wait_for_end() { n=0; while serves "$1" && [ $n -lt 250 ]; do n=$((n+1)); sleep 0.02; done; }
pid=
read -r pid < "$1/data/postmaster.pid"
serves "$1" && kill -QUIT "$pid"
wait_for_end "$1"
serves "$1" && kill -KILL "$pid"
n=0
while [ -e "$1" ] && [ $n -lt 100 ]; do rm -rf "$1" || sleep 0.1; n=$((n+1)); done
"#;

/// The shell. Dropping it makes it do its work, and waits for that.
#[derive(Debug)]
pub(crate) struct Watcher {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Watcher {
    /// Starts to watch over a folder that belongs to the account and holds a data directory `data`.
    pub(crate) fn start(folder: &Path, account: &Account) -> Result<Self, ClusterError> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "fraiseql-watcher"]).arg(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        account.dress(&mut command);
        let mut child = command.spawn().map_err(file("run", "sh"))?;
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.pipe.take());
        drop(self.child.wait());
    }
}
