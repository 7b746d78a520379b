//! Which PostgreSQL the statements are for.

/// The first and the last major version whose locks are known.
const KNOWN: std::ops::RangeInclusive<u32> = 10..=18;

/// A version of PostgreSQL, 10 to 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerVersion {
    major: u32,
    minor: Option<u32>,
}

impl ServerVersion {
    /// The newest version that is known.
    pub const NEWEST: Self = Self { major: *KNOWN.end(), minor: None };

    /// Returns the version that `text` writes, `16` or `14.2`; `None` when it is none that is known.
    pub fn read(text: &str) -> Option<Self> {
        let (major, minor) = match text.split_once('.') {
            Some((major, minor)) => (major, Some(digits(minor)?)),
            None => (text, None),
        };
        let major = digits(major)?;
        KNOWN.contains(&major).then_some(Self { major, minor })
    }

    /// Returns the major version.
    pub fn major(self) -> u32 {
        self.major
    }

    /// Returns true where CREATE INDEX CONCURRENTLY can build a wrong index: 14.0 to 14.3.
    pub(crate) fn corrupts_concurrent_indexes(self) -> bool {
        self.major == 14 && self.minor.is_some_and(|minor| minor <= 3)
    }
}

fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.bytes().fold(0, |number, byte| number * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::ServerVersion;

    #[test]
    fn only_versions_with_known_locks_are_taken() {
        for (text, expected) in
            [("10", Some(10)), ("18", Some(18)), ("14.2", Some(14)), ("9", None), ("19", None), ("x", None)]
        {
            assert_eq!(ServerVersion::read(text).map(ServerVersion::major), expected, "{text}");
        }
        assert!(ServerVersion::read("14.2").is_some_and(ServerVersion::corrupts_concurrent_indexes));
        assert!(!ServerVersion::read("14").is_some_and(ServerVersion::corrupts_concurrent_indexes));
    }
}
