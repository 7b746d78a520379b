//! What this machine is and has, as the kernel tells it.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use fraiseql_ops::checks::{ClockFacts, DiskFacts, Looked};
use rustix::process::{Resource, getrlimit};
use tokio::process::Command;

/// How many small writes are measured.
const SYNCS: usize = 15;
const BLOCK_BYTES: usize = 4_096;

pub(super) fn cpus() -> Looked<usize> {
    match std::thread::available_parallelism() {
        Ok(count) => Ok(count.get()),
        Err(error) => Err(format!("the kernel does not tell: {error}")),
    }
}

/// Returns the machine's memory, or the limit of the control group when that is less.
pub(super) fn memory() -> Looked<u64> {
    let told = "/proc/meminfo does not tell";
    let text = fs::read_to_string("/proc/meminfo").map_err(|error| format!("{told}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).ok_or(told)?;
    let kib: u64 =
        line.split_whitespace().next().ok_or(told)?.parse().map_err(|error| format!("{told}: {error}"))?;
    // Without control groups, or with the limit "max", there is no limit.
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default();
    Ok(match limit.trim().parse::<u64>() {
        Ok(limit) => limit.min(kib << 10),
        Err(_no_limit) => kib << 10,
    })
}

pub(super) fn disk(state: &Path) -> Looked<DiskFacts> {
    let place = existing(state);
    let disk = rustix::fs::statvfs(place).map_err(|error| format!("{}: {error}", place.display()))?;
    Ok(DiskFacts {
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
    })
}

/// Measures how long a small write takes down to the disk, in microseconds: the median.
pub(super) fn disk_sync(state: &Path) -> Looked<u64> {
    let place = existing(state);
    let failed = |error: std::io::Error| format!("{} cannot be written: {error}", place.display());
    let mut file: File = tempfile::tempfile_in(place).map_err(failed)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.rewind().map_err(failed)?;
        file.write_all(&[0; BLOCK_BYTES]).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        times.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    times.sort_unstable();
    Ok(times[SYNCS / 2])
}

/// Returns the folder, or the one above it while it is not made.
fn existing(state: &Path) -> &Path {
    match state.parent() {
        Some(above) if !state.exists() => above,
        _ => state,
    }
}

pub(super) fn open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// Asks systemd whether the clock follows a time server.
pub(super) async fn clock(database_ahead_ms: Looked<i64>) -> ClockFacts {
    let asked = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .kill_on_drop(true)
        .output()
        .await;
    let synchronised = match asked {
        Err(error) => Err(format!("timedatectl does not run: {error}")),
        Ok(output) => match String::from_utf8_lossy(&output.stdout).trim() {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err("timedatectl does not tell whether the clock follows a time server".to_owned()),
        },
    };
    ClockFacts { synchronised, database_ahead_ms }
}

/// Returns where something listens for TCP.
pub(super) fn sockets() -> Looked<Vec<SocketAddr>> {
    let mut sockets = Vec::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match fs::read_to_string(path) {
            Ok(text) => sockets.extend(text.lines().filter_map(listening)),
            // A kernel without IPv6 has no such file.
            Err(error) if path.ends_with('6') && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{path}: {error}")),
        }
    }
    Ok(sockets)
}

/// Reads a line of `/proc/net/tcp` (proc_pid_net(5)); `None` for the head and for what does not listen.
fn listening(line: &str) -> Option<SocketAddr> {
    const LISTEN: &str = "0A";
    let mut words = line.split_whitespace().skip(1);
    let local = words.next()?;
    if words.nth(1)? != LISTEN {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let hexadecimal = |text: &str| -> Option<u32> {
        let Ok(number) = u32::from_str_radix(text, 16) else { return None };
        Some(number)
    };
    // Each group of four bytes stands in the machine's order.
    let groups: Option<Vec<[u8; 4]>> = (0..address.len() / 8)
        .map(|index| Some(hexadecimal(address.get(index * 8..index * 8 + 8)?)?.to_ne_bytes()))
        .collect();
    let bytes = groups?.concat();
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_longer) => {
            let Ok(bytes) = <[u8; 16]>::try_from(bytes.as_slice()) else { return None };
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
    };
    let Ok(port) = u16::try_from(hexadecimal(port)?) else { return None };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(sockets().unwrap().contains(&address), "{address}");
    }

    #[test]
    fn lines_of_the_kernel_are_read() {
        let line =
            |local: &str, state: &str| format!("   0: {local} 00000000:0000 {state} 00000000:00000000");
        assert_eq!(listening(&line("00000000:1538", "0A")), Some("0.0.0.0:5432".parse().unwrap()));
        assert_eq!(listening(&line("00000000:1538", "01")), None);
        assert_eq!(
            listening(&line(&format!("{}:0FA0", "0".repeat(32)), "0A")),
            Some("[::]:4000".parse().unwrap())
        );
        assert_eq!(listening("  sl  local_address rem_address   st tx_queue"), None);
    }
}
