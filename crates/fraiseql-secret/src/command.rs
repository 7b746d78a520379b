//! A command that prints a secret. Started without a shell, with a limit of time and of output; what
//! it says on standard error is not read, since it may hold anything.

use std::process::Stdio;

use fraiseql_model::secret::Secret;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::error::SecretError;
use crate::local::{SECRET_BYTES_MAX, text};
use crate::options::CommandOptions;

/// Runs the command for a name and returns what it printed.
pub(crate) async fn run(options: &CommandOptions, name: &str) -> Result<Secret, SecretError> {
    let failed = |reason: String| SecretError::Command { reference: format!("secret://exec/{name}"), reason };
    let Some((program, arguments)) = options.words.split_first() else {
        return Err(failed("it has no words".to_owned()));
    };
    let mut command = Command::new(program);
    command.args(arguments).arg(name).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child =
        command.kill_on_drop(true).spawn().map_err(|error| failed(format!("{program}: {error}")))?;
    let mut bytes = Vec::new();
    let running = async {
        if let Some(stdout) = child.stdout.take() {
            stdout.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).await?;
        }
        if bytes.len() as u64 > SECRET_BYTES_MAX {
            return Ok(None);
        }
        child.wait().await.map(Some)
    };
    match tokio::time::timeout(options.timeout, running).await {
        Err(_) => Err(failed(format!("it did not end within {} ms", options.timeout.as_millis()))),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Ok(Ok(None)) => Err(failed("it printed more than a million bytes".to_owned())),
        Ok(Ok(Some(status))) if !status.success() => Err(failed(format!("it ended with {status}"))),
        Ok(Ok(Some(_))) => {
            text(bytes).map_err(|reason| failed(format!("what it printed cannot be used: {reason}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(words: &[&str], name: &str, expected: &str) {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let options = CommandOptions { words, timeout: Duration::from_millis(300) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let shown = match runtime.block_on(run(&options, name)) {
            Ok(secret) => secret.expose().to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_name_is_an_argument_and_no_shell_reads_it() {
        check(&["printf", "%s|%s", "a b"], "x", "a b|x");
        check(&["echo"], "$(id)", "$(id)");
    }

    #[test]
    fn what_fails_is_told_without_what_was_printed() {
        let said = |reason: &str| format!("run the command for secret://exec/x: {reason}");
        check(&["sh", "-c", "echo hunter2; exit 3"], "x", &said("it ended with exit status: 3"));
        check(&["sh", "-c", "sleep 60"], "x", &said("it did not end within 300 ms"));
        check(&["sh", "-c", "exec cat /dev/zero"], "x", &said("it printed more than a million bytes"));
        check(&["true"], "x", &said("what it printed cannot be used: it is empty"));
        check(
            &["/nonexistent/program"],
            "x",
            &said("/nonexistent/program: No such file or directory (os error 2)"),
        );
    }
}
