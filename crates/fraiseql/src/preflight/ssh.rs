//! The SSH keys of this machine and of who runs the service.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fraiseql_ops::checks::{Looked, SshKeyFacts};

/// Where sshd keeps the machine's keys.
const HOST_KEYS: &str = "/etc/ssh";

/// Returns the keys with a public half beside them, in the usual folders.
pub(super) fn keys() -> Looked<Vec<SshKeyFacts>> {
    let mut folders = vec![PathBuf::from(HOST_KEYS)];
    folders.extend(std::env::home_dir().map(|home| home.join(".ssh")));
    let keys: Vec<SshKeyFacts> = folders.iter().flat_map(|folder| keys_in(folder)).collect();
    match keys.is_empty() {
        true => Err(format!("there are none in {HOST_KEYS} and ~/.ssh")),
        false => Ok(keys),
    }
}

/// Returns those in a folder; of one that cannot be read none, as of one that is not there.
fn keys_in(folder: &Path) -> Vec<SshKeyFacts> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let public = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "pub"));
    public.filter_map(|path| key(path)).collect()
}

fn key(public: &Path) -> Option<SshKeyFacts> {
    let private = public.with_extension("");
    let (Ok(text), Ok(metadata)) = (fs::read_to_string(public), fs::metadata(&private)) else { return None };
    let (kind, blob) = text.trim().split_once(' ')?;
    let blob = blob.split(' ').next().unwrap_or("");
    Some(SshKeyFacts {
        path: private.display().to_string(),
        kind: kind.to_owned(),
        rsa_bits: if kind == "ssh-rsa" { rsa_bits(blob) } else { None },
        mode: metadata.permissions().mode(),
    })
}

/// Returns the length of the modulus: the third string of the blob (RFC 4253, section 6.6).
fn rsa_bits(blob: &str) -> Option<u64> {
    let Ok(bytes) = STANDARD.decode(blob) else { return None };
    let mut rest = bytes.as_slice();
    let mut modulus: &[u8] = &[];
    for _ in 0..3 {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        (modulus, rest) = after.split_at_checked(length)?;
    }
    let digits = modulus.iter().position(|byte| *byte != 0)?;
    let first = modulus.get(digits)?;
    let whole = u64::try_from(modulus.len() - digits).unwrap_or(0) * 8;
    Some(whole - u64::from(first.leading_zeros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_an_rsa_key_is_read() {
        let modulus = [&[0_u8, 0x80][..], &[1; 127]].concat();
        let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        let blob = [string(b"ssh-rsa"), string(&[1, 0, 1]), string(&modulus)].concat();
        assert_eq!(rsa_bits(&STANDARD.encode(&blob)), Some(1_024));
        assert_eq!(rsa_bits("AAAA"), None);
        assert_eq!(rsa_bits("-"), None);
    }

    #[test]
    fn a_key_is_found_with_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let private = folder.path().join("id_ed25519");
        for (path, text) in
            [(private.with_extension("pub"), "ssh-ed25519 AAAA ann@here\n"), (private.clone(), "")]
        {
            crate::files::write(&path, text.as_bytes()).unwrap();
        }
        fs::set_permissions(&private, fs::Permissions::from_mode(0o640)).unwrap();
        let keys = keys_in(folder.path());
        assert_eq!((keys.len(), keys[0].kind.as_str(), keys[0].mode & 0o777), (1, "ssh-ed25519", 0o640));
    }
}
