//! Waivers: who takes a failing check upon themselves, why, and until when. One line of JSON each,
//! never rewritten: the file is its own audit.

use serde::{Deserialize, Serialize};

/// That a check may fail for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckWaiver {
    /// The version of this line.
    pub format: u32,
    /// The check's name.
    pub check: String,
    /// Why that is acceptable.
    pub reason: String,
    /// Who says so.
    pub by: String,
    /// When they said it, in seconds since the epoch of Unix.
    pub at_s: u64,
    /// From when on it does not hold any more, in seconds since the epoch of Unix.
    pub until_s: u64,
}

impl CheckWaiver {
    /// The version that this program writes and reads.
    pub const FORMAT: u32 = 1;

    /// Returns whether it holds for a check now.
    pub fn holds(&self, check: &str, now_s: u64) -> bool {
        self.check == check && now_s < self.until_s
    }
}

/// Reads all lines. Of two for the same check the later counts, so that a short one takes a long one back.
///
/// Fails at the first line that cannot be understood, with its number: a gate must not guess.
pub fn read_waivers(text: &str) -> Result<Vec<CheckWaiver>, String> {
    let mut waivers: Vec<CheckWaiver> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let read: Result<CheckWaiver, _> = serde_json::from_str(line);
        let waiver = read.map_err(|error| format!("line {number}: {error}"))?;
        if waiver.format != CheckWaiver::FORMAT {
            return Err(format!("line {number} has format {}, this version reads 1", waiver.format));
        }
        waivers.retain(|earlier| earlier.check != waiver.check);
        waivers.push(waiver);
    }
    Ok(waivers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(check: &str, until_s: u64) -> String {
        format!(
            r#"{{"format":1,"check":"{check}","reason":"small","by":"ann","at_s":1,"until_s":{until_s}}}"#
        )
    }

    #[test]
    fn the_later_line_counts_until_it_ends() {
        let text = [line("cpus", 90), line("memory", 90), line("cpus", 20)].join("\n");
        let waivers = read_waivers(&text).unwrap();
        assert_eq!(waivers.len(), 2);
        let held = |now_s: u64| waivers.iter().any(|waiver| waiver.holds("cpus", now_s));
        assert!(held(19) && !held(20));
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_line() {
        let text = format!("{}\n{{}}", line("cpus", 1));
        assert!(read_waivers(&text).unwrap_err().starts_with("line 2: missing field"));
        let newer = line("cpus", 1).replace("\"format\":1", "\"format\":2");
        assert_eq!(read_waivers(&newer).unwrap_err(), "line 1 has format 2, this version reads 1");
    }
}
