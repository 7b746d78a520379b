//! `health`: a server that is well, one that is not ready, and none at all.

use rustix::process::Signal;

use crate::process::wait_until;
use crate::project::{MUSIC, Project, chinook, free_port};

#[test]
fn it_tells_a_server_that_is_well_from_one_that_is_not() {
    let project = Project::new(MUSIC);
    project.compile(&chinook().url()).ok();
    let away = format!("postgres://app@127.0.0.1:{}/shop", free_port());
    let (serve, port) = project.serve(&away);
    let url = format!("http://127.0.0.1:{port}/health");
    // It lives, though it has no database: its answer is 200, and is shown.
    let lives = project.run(&["health", &url]).ok();
    assert!(lives.contains("\"version\":"), "{lives}");

    let ready = format!("{url}/ready");
    wait_until("it is known that the database is away", || {
        project.run(&["health", &ready]).stderr.contains("503").then_some(())
    });
    let unready = project.run(&["health", &ready]);
    assert_eq!(unready.status.code(), Some(5), "{}", unready.shown(&[]));
    assert!(unready.stderr.contains("FQ-NET-006"), "{}", unready.shown(&[]));

    serve.signal(Signal::TERM);
    serve.end();
    let none = project.run(&["health", &url]);
    assert_eq!(none.status.code(), Some(5), "{}", none.shown(&[]));
    assert!(none.stderr.contains("it cannot be reached"), "{}", none.shown(&[]));
}
