//! Opens the listening socket. What comes in through it is `connection`'s business.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::error::ServeError;
use crate::holder;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1_024;

/// Listens on `address`. Must be called within a runtime.
///
/// Fails with [`ServeError::PortTaken`] when somebody listens there already, else with
/// [`ServeError::Bind`].
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    open(address).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ServeError::PortTaken { address, holder: holder::find(address) },
        _ => ServeError::Bind { address, source },
    })
}

/// Takes a socket that listens already. Must be called within a runtime.
pub(crate) fn adopt(listener: std::net::TcpListener) -> Result<TcpListener, ServeError> {
    let address = listener.local_addr();
    let address = address.map_err(|source| ServeError::Adopt { source })?;
    let adopted = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
    adopted.map_err(|source| ServeError::Bind { address, source })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A port of which only closed connections are left can be taken at once: a restart does not wait.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_who_has_it() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = listen(first.local_addr().unwrap()).unwrap_err();
        let hint = error.hint();
        let ServeError::PortTaken { holder, .. } = error else { panic!("{error:?}") };
        assert_eq!(holder.unwrap().pid, std::process::id());
        assert!(hint.contains(&format!("process {}", std::process::id())), "{hint}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused() {
        let error = listen("192.0.2.1:0".parse().unwrap()).unwrap_err();
        assert!(matches!(error, ServeError::Bind { .. }), "{error:?}");
        assert_eq!(error.code().code, "FQ-NET-002");
    }

    #[tokio::test]
    async fn a_port_is_free_again_at_once() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let (accepted, _) = first.accept().await.unwrap();
        drop((first, accepted));
        let again = listen(address);
        drop(client);
        assert!(again.is_ok(), "{again:?}");
    }
}
