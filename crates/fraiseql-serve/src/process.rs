//! The process's own numbers, from `/proc`: memory, processor time, open files, start time.
//!
//! Where there is no `/proc` they are left out, as Prometheus' clients do; nothing is made up.

use std::fs;

use crate::exposition::Exposition;

/// Numbers of the process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Numbers {
    resident_bytes: u64,
    cpu_us: u64,
    start_us: u64,
    open_fds: u64,
}

/// Adds the process's numbers to a page.
pub(crate) fn render(page: &mut Exposition) {
    let Some(numbers) = read() else { return };
    page.gauge("process_resident_memory_bytes", "Memory in use, in bytes.", numbers.resident_bytes);
    page.head("process_cpu_seconds_total", "counter", "Processor time used, in seconds.");
    page.micros("process_cpu_seconds_total", &[], numbers.cpu_us);
    page.head("process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.");
    page.micros("process_start_time_seconds", &[], numbers.start_us);
    page.gauge("process_open_fds", "Open file descriptors.", numbers.open_fds);
}

fn read() -> Option<Numbers> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let open_fds = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    let page_bytes = rustix::param::page_size() as u64;
    let numbers = parse(&stat, &boot, rustix::param::clock_ticks_per_second(), page_bytes)?;
    // The descriptor of the folder being read is counted in the folder.
    Some(Numbers { open_fds: open_fds.saturating_sub(1), ..numbers })
}

/// Reads the fields of proc(5) by their numbers there; the name in field 2 may hold anything.
fn parse(stat: &str, boot: &str, ticks_per_second: u64, page_bytes: u64) -> Option<Numbers> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let field = |number: usize| number_of(fields.get(number.checked_sub(3)?)?);
    let ticks_us = |ticks: u64| ticks.checked_mul(1_000_000)?.checked_div(ticks_per_second);
    let boot_s = boot.lines().find_map(|line| number_of(line.strip_prefix("btime ")?.trim()))?;
    Some(Numbers {
        resident_bytes: field(24)?.checked_mul(page_bytes)?,
        cpu_us: ticks_us(field(14)?.checked_add(field(15)?)?)?,
        start_us: boot_s.checked_mul(1_000_000)?.checked_add(ticks_us(field(22)?)?)?,
        open_fds: 0,
    })
}

/// Returns digits as a number; anything else is left out of the page.
fn number_of(digits: &str) -> Option<u64> {
    let add = |number: u64, digit: u8| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    };
    if digits.is_empty() { None } else { digits.bytes().try_fold(0, add) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_a_name_with_brackets() {
        let mut stat = String::from("7 (a) b (c) S");
        for number in 4..=52 {
            stat.push_str(&format!(" {number}"));
        }
        let numbers = parse(&stat, "cpu 1\nbtime 1000\n", 100, 4_096).unwrap();
        let expected = Numbers {
            resident_bytes: 24 * 4_096,
            cpu_us: 29 * 10_000,
            start_us: 1_000_000_000 + 220_000,
            open_fds: 0,
        };
        assert_eq!(numbers, expected);
        assert_eq!(parse("7 (a) S 1 2", "btime 1", 100, 4_096), None);
    }

    #[test]
    fn this_process_has_numbers() {
        let mut page = Exposition::default();
        render(&mut page);
        assert!(page.finish().contains("process_resident_memory_bytes "));
    }
}
