//! A connection that speaks another protocol now: bytes both ways until one side ends.

use std::sync::Arc;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::backend::InFlight;
use crate::server::Shared;

/// Passes bytes on between a client and an instance.
pub(crate) async fn run(shared: Arc<Shared>, client: OnUpgrade, instance: OnUpgrade, open: InFlight) {
    let (Ok(client), Ok(instance)) = tokio::join!(client, instance) else { return };
    let (mut client, mut instance) = (TokioIo::new(client), TokioIo::new(instance));
    tokio::select! {
        // However it ends, both sides see their connection end.
        _ended = tokio::io::copy_bidirectional(&mut client, &mut instance) => {}
        () = shared.cut.cancelled() => {}
    }
    drop(open);
}
