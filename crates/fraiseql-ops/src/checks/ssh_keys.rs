//! The machine's SSH keys are strong, and only their owner reads them.

use super::{CheckFinding, CheckList, Looked, PreflightCheck, fail, judged, pass};

pub(super) const CHECK: PreflightCheck = PreflightCheck {
    name: "ssh-keys",
    list: CheckList::Security,
    title: "SSH keys of a good kind, readable by their owner alone",
    why: "who has a key of the machine can be the machine",
    help: "ssh-keygen -t ed25519 for a new key; chmod 600 for a private one; ssh-keygen -R HOST at those who knew the old one",
    mild: true,
};

const RSA_BITS_MIN: u64 = 3_072;

/// A key in a file.
#[derive(Clone, Debug)]
pub struct SshKeyFacts {
    /// The file of the private key.
    pub path: String,
    /// `ssh-ed25519`, `ssh-rsa`...
    pub kind: String,
    /// The length of an RSA key.
    pub rsa_bits: Option<u64>,
    /// The permissions of the private key.
    pub mode: u32,
}

/// Fails for weak kinds and for private keys that others may read.
pub fn ssh_keys(keys: &Looked<Vec<SshKeyFacts>>) -> CheckFinding {
    judged(keys, |keys| {
        let wrong: Vec<String> = keys.iter().filter_map(wrong).collect();
        if !wrong.is_empty() {
            return fail(wrong.join("; "));
        }
        let kinds: Vec<&str> = keys.iter().map(|key| key.kind.as_str()).collect();
        pass(format!("{} keys: {}", keys.len(), kinds.join(", ")))
    })
}

fn wrong(key: &SshKeyFacts) -> Option<String> {
    let path = &key.path;
    match (key.kind.as_str(), key.rsa_bits) {
        _ if key.mode & 0o077 != 0 => Some(format!("{path} has the permissions {:03o}", key.mode & 0o777)),
        ("ssh-dss", _) => Some(format!("{path} is a DSA key")),
        ("ssh-rsa", Some(bits @ 0..RSA_BITS_MIN)) => Some(format!("{path} is an RSA key of {bits} bits")),
        ("ssh-rsa", None) => Some(format!("{path} is an RSA key of unknown length")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, rsa_bits: Option<u64>, mode: u32, expected: &str) {
        let key = SshKeyFacts { path: "key".into(), kind: kind.into(), rsa_bits, mode };
        assert_eq!(ssh_keys(&Ok(vec![key])).to_string(), expected);
    }

    #[test]
    fn weak_and_open_keys_fail() {
        check("ssh-ed25519", None, 0o600, "pass: 1 keys: ssh-ed25519");
        check("ssh-rsa", Some(4_096), 0o600, "pass: 1 keys: ssh-rsa");
        check("ssh-rsa", Some(2_048), 0o600, "fail: key is an RSA key of 2048 bits");
        check("ssh-dss", None, 0o600, "fail: key is a DSA key");
        check("ssh-ed25519", None, 0o644, "fail: key has the permissions 644");
    }
}
