//! What the allocator has handed out, and what it gives back.

use tikv_jemalloc_ctl::{Access, AsName, Mib, Result, arenas, epoch, stats};

/// Bytes that the program's code holds; `None` where the allocator does not say.
pub(super) fn allocated() -> Option<u64> {
    let read = || {
        epoch::advance()?;
        stats::allocated::read()
    };
    read().ok().and_then(|bytes| u64::try_from(bytes).ok())
}

/// Gives all pages back that hold nothing: no arena keeps any for a moment.
pub(super) fn purge() -> Result<()> {
    let mut decay: Mib<[usize; 3]> = b"arena.0.dirty_decay_ms\0"[..].name().mib()?;
    for arena in 0..arenas::narenas::read()? {
        decay[1] = arena as usize;
        // Most arenas are never used, and a later one can be made meanwhile.
        let kept_for: Result<isize> = decay.update(0);
        if let Ok(kept_for) = kept_for {
            decay.write(kept_for)?;
        }
    }
    Ok(())
}
