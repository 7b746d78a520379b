//! `serve`: a database that is away, and the signal to stop.

use rustix::process::Signal;
use serde_json::json;

use crate::http::{data, get};
use crate::process::wait_until;
use crate::project::{MUSIC, Project, chinook, free_port};

fn status(port: u16, path: &str) -> Option<u16> {
    get(port, path).map(|(status, _)| status)
}

#[test]
fn it_starts_while_the_database_is_away() {
    let project = Project::new(MUSIC);
    project.compile(&chinook().url()).ok();
    let away = format!("postgres://app@127.0.0.1:{}/shop", free_port());
    let (serve, port) = project.serve(&away);
    assert_eq!(status(port, "/health"), Some(200));
    wait_until("readiness tells", || (status(port, "/health/ready") == Some(503)).then_some(()));
    assert_eq!(status(port, "/health"), Some(200));
    serve.signal(Signal::TERM);
    let ended = serve.end();
    assert!(ended.status.success(), "{}", ended.shown(&[]));
}

#[test]
fn sigterm_ends_it_with_success() {
    let project = Project::new(MUSIC);
    let database = chinook();
    project.compile(&database.url()).ok();
    let (serve, port) = project.serve(&database.url());
    let answer =
        data(port, "{ artist(artistId: 1) { name albums(limit: 1, orderBy: {albumId: ASC}) { title } } }");
    let title = "For Those About To Rock We Salute You";
    assert_eq!(answer, json!({ "artist": { "name": "AC/DC", "albums": [{ "title": title }] } }));
    wait_until("it is ready", || (status(port, "/health/ready") == Some(200)).then_some(()));
    serve.signal(Signal::TERM);
    let ended = serve.end();
    assert!(ended.status.success(), "{}", ended.shown(&[]));
    assert_eq!(ended.stdout, "");
    assert_eq!(get(port, "/health"), None);
}
