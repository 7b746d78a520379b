//! Data directories that others make or move: who must own them, and which servers run in them.

use std::path::Path;

use fraiseql_process::ProcessId;

use crate::account::Account;
use crate::error::ClusterError;
use crate::process::serving;
use crate::takeover;

/// Who owns the files of a server, and the right to end what runs in a data directory of theirs.
#[derive(Clone, Copy, Debug)]
pub struct Custody {
    account: Account,
}

impl Custody {
    /// Returns the custody of a data directory, whether it is there or not: as root its owner, else
    /// the user that new servers run as; ourselves when we are not root.
    pub fn of(data_dir: &Path) -> Result<Self, ClusterError> {
        Ok(Self { account: Account::for_data(data_dir)? })
    }

    /// Gives a file or folder, never what a link leads to, to the server's user.
    pub fn give(&self, path: &Path) -> Result<(), ClusterError> {
        self.account.give(path)
    }

    /// Returns true when the server's user may pass through every folder above `path`.
    pub fn can_reach(&self, path: &Path) -> bool {
        !self.account.switch || self.account.can_reach(path)
    }

    /// Returns the processes of servers that run in a data directory, whose path has no links.
    pub fn servers(&self, data_dir: &Path) -> Vec<ProcessId> {
        serving(data_dir, &self.account)
    }

    /// Ends what runs in a data directory, without a checkpoint: for data that nobody needs.
    pub async fn end_servers(&self, data_dir: &Path) -> Result<(), ClusterError> {
        takeover::clear(data_dir, data_dir, &self.account, || ()).await
    }
}
