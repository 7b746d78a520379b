//! Reads HAProxy's tables: places, and what came of their requests. Pure.

use crate::driver::HaProxyAbout;
use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use crate::plan::{Place, Turn};

/// Bits of `srv_admin_state`: maintenance and drain, however they came about. That a server was disabled
/// in the configuration (4) is remembered there and says nothing of now.
const MAINTENANCE: u64 = 0x01 | 0x02 | 0x20 | 0x40;
const DRAIN: u64 = 0x08 | 0x10;
/// `srv_op_state` of a server that runs.
const RUNNING: u64 = 2;

/// What came of the requests of one place since HAProxy has begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlaceCounts {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) in_flight: u64,
}

/// Returns the places of `show servers state`. Fails with what is missing in it.
pub(crate) fn places(table: &str) -> Result<Vec<Place>, String> {
    let rows = rows(table, ' ')?;
    let place = |row: &BTreeMap<&str, &str>| {
        let number = |name: &str| number(row, name);
        let port = u16::try_from(number("srv_port")?).map_err(|error| error.to_string())?;
        let ip: Result<IpAddr, _> = text(row, "srv_addr")?.parse();
        let admin = number("srv_admin_state")?;
        let turn = match (admin & MAINTENANCE != 0, admin & DRAIN != 0) {
            (true, _) => Turn::Maintenance,
            (false, true) => Turn::Drain,
            (false, false) => Turn::Ready,
        };
        Ok(Place {
            name: text(row, "srv_name")?.to_owned(),
            // A place that never had an instance has no address.
            address: ip.map_or(None, |ip| Some(SocketAddr::new(ip, port))),
            turn,
            weight: number("srv_uweight")?,
            up: number("srv_op_state")? == RUNNING,
        })
    };
    rows.iter().map(place).collect()
}

/// Returns what came of the requests of each place of a backend, from `show stat`.
pub(crate) fn counts(table: &str, backend: &str) -> Result<BTreeMap<String, PlaceCounts>, String> {
    let mut counts = BTreeMap::new();
    for row in rows(table, ',')? {
        let name = text(&row, "svname")?;
        if text(&row, "pxname")? != backend || matches!(name, "FRONTEND" | "BACKEND") {
            continue;
        }
        let sum = |names: &[&str]| names.iter().map(|name| number(&row, name)).sum::<Result<u64, String>>();
        let answered = sum(&["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other"])?;
        let broken = sum(&["econ", "eresp"])?;
        let failed = sum(&["hrsp_5xx"])? + broken;
        let found = PlaceCounts { requests: answered + broken, failed, in_flight: sum(&["scur"])? };
        counts.insert(name.to_owned(), found);
    }
    Ok(counts)
}

fn rows(table: &str, separator: char) -> Result<Vec<BTreeMap<&str, &str>>, String> {
    let mut lines = table.lines().skip_while(|line| !line.starts_with("# "));
    let head = lines.next().ok_or_else(|| format!("it has answered {:?}", table.trim()))?;
    let names: Vec<&str> = head.trim_start_matches("# ").split(separator).collect();
    let row = lines.filter(|line| !line.trim().is_empty());
    Ok(row.map(|line| names.iter().copied().zip(line.split(separator)).collect()).collect())
}

fn text<'t>(row: &BTreeMap<&str, &'t str>, name: &str) -> Result<&'t str, String> {
    row.get(name).copied().ok_or_else(|| format!("its table has no column {name}"))
}

/// An empty cell is a number that has not begun.
fn number(row: &BTreeMap<&str, &str>, name: &str) -> Result<u64, String> {
    match text(row, name)? {
        "" => Ok(0),
        text => text.parse().map_err(|error| format!("{name} is {text:?}: {error}")),
    }
}

/// Reads what `show info` answers.
pub(crate) fn about(table: &str) -> Result<HaProxyAbout, String> {
    let field = |name: &str| {
        let mut lines = table.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim());
        found.ok_or_else(|| format!("show info does not tell its {name}"))
    };
    let pid = field("Pid")?.parse().map_err(|error| format!("show info names no process: {error}"))?;
    Ok(HaProxyAbout { pid, version: field("Version")?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_by_the_names_of_columns() {
        let table = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port\n\
             3 be 1 fq1 10.0.0.1 2 4 19 4100\n3 be 2 fq2 10.0.0.2 2 8 1 4101\n3 be 3 fq3 - 0 5 1 0\n\n";
        let places = places(table).unwrap();
        assert_eq!(
            places.iter().map(|place| place.turn).collect::<Vec<_>>(),
            [Turn::Ready, Turn::Drain, Turn::Maintenance]
        );
        assert_eq!(places[0].address, Some("10.0.0.1:4100".parse().unwrap()));
        assert_eq!(
            (places[0].weight, places[0].up, places[2].up, places[2].address),
            (19, true, false, None)
        );
        assert!(super::places("Can't find backend.\n").unwrap_err().contains("Can't find backend"));
    }

    #[test]
    fn counts_are_of_servers_only() {
        let head = "# pxname,svname,scur,econ,eresp,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,";
        let table = format!(
            "{head}\nbe,fq1,2,1,1,0,90,0,5,3,0,\nbe,BACKEND,2,1,1,0,90,0,5,3,0,\nother,fq1,0,0,0,,,,,,,\n"
        );
        let counts = counts(&table, "be").unwrap();
        assert_eq!(
            counts,
            BTreeMap::from([("fq1".to_owned(), PlaceCounts { requests: 100, failed: 5, in_flight: 2 })])
        );
    }
}
