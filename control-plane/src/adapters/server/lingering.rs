//! Closes connections so that a client is never reset while it still writes.
//!
//! A socket that is closed while a request is on its way resets the connection. The client's writing fails, perhaps
//! before it has read the GOAWAY that would have told it to try elsewhere.

use std::{os::fd::AsFd, time::Duration};

use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

/// For the peer to read what was said last, and to close its side.
const LINGER: Duration = Duration::from_secs(1);

/// A second handle of the socket, which stays open when the first is closed; `None` where there are no more.
pub(super) fn keep(stream: &TcpStream) -> Option<std::net::TcpStream> {
    Some(stream.as_fd().try_clone_to_owned().ok()?.into())
}

/// Waits, within bounds, until the peer has closed its side, then closes the socket.
pub(super) async fn close(kept: Option<std::net::TcpStream>) {
    let Some(mut stream) = kept.and_then(|kept| TcpStream::from_std(kept).ok()) else { return };
    let mut unread = [0; 1_024];
    let until_closed = async { while stream.read(&mut unread).await.is_ok_and(|count| count > 0) {} };
    let _ = timeout(LINGER, until_closed).await;
}
