//! File descriptors, of which each connection takes one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// As many as all our connections can take, with room for the API server's and for files.
const WANTED: u64 = 16_384;

/// Raises our limit, which many systems set to 1,024, as far as it is needed and permitted.
pub(super) fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| setrlimit(Resource::RLIMIT_NOFILE, soft.max(WANTED.min(hard)), hard));
    if let Err(error) = raised {
        warn!(%error, "cannot raise the limit of open files");
    }
}
