//! Finds out which process holds a TCP port, from `/proc`. Best effort: for a hint, never for a decision.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortHolder {
    /// Its process id.
    pub pid: u32,
    /// Its name, as the kernel knows it.
    pub name: String,
}

/// The state LISTEN in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// Returns the process that listens on the port of `address`.
///
/// `None` when there is no `/proc`, or when the process belongs to somebody else.
pub(crate) fn find(address: SocketAddr) -> Option<PortHolder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let inodes: Vec<&str> = tables.iter().flat_map(|table| listeners(table, address.port())).collect();
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    if links.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.map(|entry| entry.path()).find_map(|process| holder(&process, &links))
}

/// Returns the inodes of the sockets that listen on a port, in a table of proc(5).
fn listeners(table: &str, port: u16) -> Vec<&str> {
    let port = format!(":{port:04X}");
    let mut inodes = Vec::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [_, local, _, LISTEN, _, _, _, _, _, inode, ..] = fields.as_slice()
            && local.ends_with(&port)
        {
            inodes.push(*inode);
        }
    }
    inodes
}

fn holder(process: &Path, links: &[String]) -> Option<PortHolder> {
    let Ok(pid) = process.file_name()?.to_str()?.parse() else { return None };
    let mut files = fs::read_dir(process.join("fd")).ok()?.flatten();
    let holds = files.any(|file| {
        fs::read_link(file.path()).is_ok_and(|target| links.iter().any(|link| target == Path::new(link)))
    });
    if !holds {
        return None;
    }
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default().trim().to_owned();
    Some(PortHolder { pid, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_of_a_port_is_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:0FA0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4242 1 0\n   \
                     1: 0100007F:0FA0 0100007F:1234 01 00000000:00000000 00:00000000 00000000  0  0 4243 1 0\n   \
                     2: 0100007F:0FA1 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4244 1 0\n";
        assert_eq!(listeners(table, 4_000), ["4242"]);
        assert_eq!(listeners(table, 4_002), [""; 0]);
        assert_eq!(listeners("nonsense\nmore", 1), [""; 0]);
    }

    #[test]
    fn a_process_finds_itself() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = find(listener.local_addr().unwrap()).unwrap();
        assert_eq!(found.pid, std::process::id());
        assert!(!found.name.is_empty());
    }
}
