//! GraphiQL at `/`: everything it needs is in the binary, nothing is fetched from elsewhere.
//!
//! The assets are named by their content, so browsers may keep them for ever.

use bytes::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};

use crate::body::Reply;
use crate::route::page;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Scripts only from here; styles and fonts also inline, which CodeMirror and GraphiQL's own style
/// sheet need; requests only to here; in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      font-src 'self' data:; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// How much of a digest stands in a path.
const DIGEST_DIGITS: usize = 16;
const FOLDER: &str = "/graphiql/";
const INDEX: &str = include_str!("../assets/graphiql/index.html");

/// A file of the page.
struct File {
    name: &'static str,
    content_type: &'static str,
    gzipped: bool,
    content: &'static [u8],
    /// Of the content as it is here.
    sha256: &'static str,
}

const FILES: [File; 6] = [
    File {
        name: "graphiql.min.js",
        content_type: SCRIPT,
        gzipped: true,
        content: include_bytes!("../assets/graphiql/graphiql.min.js.gz"),
        sha256: "47ad41df3578930c4710353f370ae7bce5f9234eb62eb27bcec003c9080c4c0e",
    },
    File {
        name: "graphiql.min.css",
        content_type: STYLE,
        gzipped: true,
        content: include_bytes!("../assets/graphiql/graphiql.min.css.gz"),
        sha256: "bdba08b190c020af634c05c75a8f5aaa9fd960a1a2ccd6e0610041d7a5c55f48",
    },
    File {
        name: "react.production.min.js",
        content_type: SCRIPT,
        gzipped: true,
        content: include_bytes!("../assets/graphiql/react.production.min.js.gz"),
        sha256: "3f6165c6704e98b7d0b64a088e6dc50e72591bd52026c7e873d8fcb8845d5ab1",
    },
    File {
        name: "react-dom.production.min.js",
        content_type: SCRIPT,
        gzipped: true,
        content: include_bytes!("../assets/graphiql/react-dom.production.min.js.gz"),
        sha256: "e8dfc1d3d2ac69518fbc29ba5dc5799f7ed43a7ec189c82bc9c5cd5e424f6a95",
    },
    File {
        name: "start.js",
        content_type: SCRIPT,
        gzipped: false,
        content: include_bytes!("../assets/graphiql/start.js"),
        sha256: "02ac173a616097a83e23d4c68d83baeb150e5cbbb08edbea55ca34d11c1b47c9",
    },
    File {
        name: "start.css",
        content_type: STYLE,
        gzipped: false,
        content: include_bytes!("../assets/graphiql/start.css"),
        sha256: "397456a271e2c2af8d031090ea8aa038aadd1b9400be42b4154a082bbbc64f31",
    },
];

/// The page, or a file of it.
pub(crate) enum Asset {
    /// `/`
    Index,
    /// A file below `/graphiql/`, by its index.
    File(usize),
}

/// Returns what a path stands for.
pub(crate) fn find(path: &str) -> Option<Asset> {
    if path == "/" {
        return Some(Asset::Index);
    }
    let (digest, name) = path.strip_prefix(FOLDER)?.split_once('/')?;
    let is_it = |file: &File| file.name == name && digest == &file.sha256[..DIGEST_DIGITS];
    FILES.iter().position(is_it).map(Asset::File)
}

impl Asset {
    /// Returns the response for it.
    pub(crate) fn response(self) -> Response<Reply> {
        match self {
            Self::Index => index(),
            Self::File(index) => {
                let file = &FILES[index];
                let content = Reply::whole(Bytes::from_static(file.content));
                let mut response = page(StatusCode::OK, file.content_type, content);
                let headers = response.headers_mut();
                headers.insert(CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
                if file.gzipped {
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
                response
            }
        }
    }
}

fn index() -> Response<Reply> {
    let mut html = INDEX.to_owned();
    for File { name, sha256, .. } in &FILES {
        // Relative, so that the page also works below a path of a proxy.
        let path = format!("{}{}/{name}", &FOLDER[1..], &sha256[..DIGEST_DIGITS]);
        html = html.replace(&format!("{{{name}}}"), &path);
    }
    let mut response = page(StatusCode::OK, HTML, Reply::whole(html));
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_files_are_the_ones_that_were_vendored() {
        for file in &FILES {
            let digest: String =
                Sha256::digest(file.content).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(digest, file.sha256, "{}", file.name);
        }
    }

    #[tokio::test]
    async fn the_page_names_files_that_are_there_and_nothing_else() {
        let html = index().into_body().collect().await.unwrap().to_bytes();
        let html = String::from_utf8(html.to_vec()).unwrap();
        let links: Vec<&str> =
            html.split(['"']).filter(|part| part.ends_with(".js") || part.ends_with(".css")).collect();
        assert_eq!(links.len(), FILES.len());
        for link in links {
            assert!(matches!(find(&format!("/{link}")), Some(Asset::File(_))), "{link}");
        }
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains('{'), "{html}");
        assert!(find("/graphiql/0000000000000000/start.js").is_none());
        assert!(find("/graphiql/start.js").is_none());
    }
}
