//! Descriptors of the kernel, as tokio waits for them.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, RawFd},
};

use tokio::io::{Interest, unix::AsyncFd};

/// Something that owns its descriptor for as long as it lives.
#[derive(Debug)]
pub(crate) struct Descriptor<T>(pub(crate) T);

impl<T: AsFd> AsRawFd for Descriptor<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Registers `inner`, to wait until it is readable.
#[expect(
    deprecated,
    reason = "the successor is unsafe, for types that may lose their descriptor; this cannot"
)]
pub(crate) fn watch<T: AsFd>(inner: T) -> io::Result<AsyncFd<Descriptor<T>>> {
    AsyncFd::with_interest(Descriptor(inner), Interest::READABLE)
}
