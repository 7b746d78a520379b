//! Where a journal may lie.

use std::path::Path;

use crate::error::FlowError;

/// File systems of the network, by the numbers of statfs(2).
const NETWORK: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB 2"),
    (0x517b, "SMB"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x7461_636f, "OCFS2"),
    (0x0116_1970, "GFS2"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
];

/// Fails for a folder on a file system of the network: locks and syncs mean something else there.
pub(crate) fn check(folder: &Path) -> Result<(), FlowError> {
    let path = folder.to_owned();
    let found = rustix::fs::statfs(folder).map_err(|error| FlowError::File {
        action: "look at",
        path: path.clone(),
        source: error.into(),
    })?;
    match network(found.f_type.cast_unsigned()) {
        Some(kind) => Err(FlowError::NotLocal { path, kind }),
        None => Ok(()),
    }
}

fn network(number: u64) -> Option<&'static str> {
    // On some machines the number is sign-extended.
    let number = number & 0xffff_ffff;
    NETWORK.iter().find(|(known, _)| *known == number).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_one_and_the_network_is_none() {
        check(&std::env::temp_dir()).unwrap();
        assert_eq!(network(0x6969), Some("NFS"));
        assert_eq!(network(0xffff_ffff_ff53_4d42), Some("CIFS"));
        assert_eq!(network(0xef53), None);
    }
}
