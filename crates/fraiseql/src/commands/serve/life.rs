//! Settings of the server's life: TLS, the mode, what is told in maintenance, a socket handed over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fraiseql_model::errors;
use fraiseql_model::settings::Settings;
use fraiseql_serve::{LifeOptions, Mode, Notice, TlsOptions, TlsVersion};
use listenfd::ListenFd;

use crate::failure::Failure;
use crate::files;

/// The largest body of maintenance: it is sent to whoever asks for anything.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Returns what a server begins with; files are relative to the project in `dir`.
pub(crate) fn options(settings: &Settings, dir: &Path) -> Result<LifeOptions, Failure> {
    Ok(LifeOptions {
        listener: None,
        tls: tls(settings, dir)?,
        mode: mode(settings),
        notice: notice(settings, dir)?,
    })
}

/// Returns the mode that the settings ask for.
pub(crate) fn mode(settings: &Settings) -> Mode {
    Mode::parse(settings.text("server.mode").unwrap_or("")).unwrap_or(Mode::Normal)
}

/// Returns what clients are told who have to wait.
pub(crate) fn notice(settings: &Settings, dir: &Path) -> Result<Notice, Failure> {
    let retry_after_s = u32::try_from(settings.integer("maintenance.retry_after_s")).unwrap_or(u32::MAX);
    let Some(file) = settings.text("maintenance.body_file") else {
        return Ok(Notice { retry_after_s, body: None });
    };
    let path = dir.join(file);
    let refused = |why: &str| {
        let message = format!("use {} as maintenance.body_file: {why}", path.display());
        Failure::new(&errors::CFG_BAD_VALUE, message)
    };
    let content_type = match path.extension().and_then(std::ffi::OsStr::to_str) {
        Some("html") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => return Err(refused("its kind is not known").hint("name it .html, .json or .txt")),
    };
    let body = files::read_bytes(&path)?;
    if body.len() > BODY_BYTES_MAX {
        return Err(refused("it is larger than 1 MiB").hint("link to images instead of holding them"));
    }
    let content_type = hyper::header::HeaderValue::from_static(content_type);
    Ok(Notice { retry_after_s, body: Some((content_type, body.into())) })
}

/// Returns how a listener speaks TLS; `None` when it does not.
pub(crate) fn tls(settings: &Settings, dir: &Path) -> Result<Option<TlsOptions>, Failure> {
    // Behind a proxy that speaks it, an agent sets them to nothing.
    let path = |key: &str| settings.text(key).filter(|file| !file.is_empty()).map(|file| dir.join(file));
    let (certificate, key) = match (path("tls.certificate"), path("tls.key")) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if path("tls.client_ca").is_none() => return Ok(None),
        (certificate, _) => {
            let lacking = if certificate.is_none() { "tls.certificate" } else { "tls.key" };
            let message = format!("speak TLS: {lacking} is not set");
            return Err(Failure::new(&errors::CFG_MISSING, message)
                .hint("give both tls.certificate and tls.key, or none of the settings of TLS"));
        }
    };
    Ok(Some(TlsOptions {
        certificate,
        key,
        client_ca: path("tls.client_ca"),
        min_version: match settings.text("tls.min_version") {
            Some("1.3") => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        },
        look_every: Duration::from_millis(settings.integer("tls.look_interval_ms")),
        hsts_s: settings.integer("tls.hsts_s"),
    }))
}

/// Returns the socket that systemd or a supervisor holds for us: the first of `LISTEN_FDS`.
pub(crate) fn handed_over() -> Result<Option<std::net::TcpListener>, Failure> {
    let mut sockets = ListenFd::from_env();
    sockets.take_tcp_listener(0).map_err(|error| {
        Failure::new(&errors::NET_ACTIVATION, "listen on the socket that was handed over in LISTEN_FDS")
            .because(&error)
            .hint("the first socket must be of TCP: ListenStream=4000 in the unit of the socket")
    })
}

/// Returns where the control socket is; `None` when there shall be none.
pub(crate) fn control_socket(settings: &Settings, dir: &Path) -> Option<PathBuf> {
    let path = settings.text("server.control_socket").filter(|path| !path.is_empty() && *path != "none")?;
    Some(dir.join(path))
}
