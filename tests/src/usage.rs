//! What a process takes of this machine, as the kernel counts it.

use std::{fs, time::Duration};

use anyhow::Context;

/// The kernel counts processor time in these, on every machine that Rust knows (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// In use and resident, the program's own pages included.
    pub resident: u64,
    /// Of these, what no file backs.
    pub anonymous: u64,
    /// The most that was ever resident, or since [`forget_peak`].
    pub peak: u64,
}

/// The memory of process `pid`.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let bytes = |field| {
        let kibibytes = number(&status, field);
        anyhow::Ok(
            1_024 * kibibytes.with_context(|| format!("the kernel tells no {field} of process {pid}"))?,
        )
    };
    Ok(Memory { resident: bytes("VmRSS")?, anonymous: bytes("RssAnon")?, peak: bytes("VmHWM")? })
}

/// Pages of a process, in bytes, counted one by one: the kernel's own counts, of [`memory`], lag behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapped {
    /// Resident, the program's own pages included.
    pub resident: u64,
    /// Of these, what no file backs: they are this process's alone.
    pub anonymous: u64,
}

/// The pages of process `pid`.
pub fn mapped(pid: u32) -> anyhow::Result<Mapped> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let bytes = |field| number(&rollup, field).map(|kibibytes| 1_024 * kibibytes);
    let mapped = bytes("Rss").zip(bytes("Anonymous"));
    let (resident, anonymous) =
        mapped.with_context(|| format!("the kernel tells no pages of process {pid}"))?;
    Ok(Mapped { resident, anonymous })
}

/// The threads of process `pid`.
pub fn threads(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    number(&status, "Threads").with_context(|| format!("the kernel tells no threads of process {pid}"))
}

/// The number on the line of `field`.
fn number(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line?.split_whitespace().next()?.parse().ok()
}

/// Begins a new peak of the memory of process `pid`.
pub fn forget_peak(pid: u32) -> anyhow::Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

/// The processor time that all threads of process `pid` took so far, to 10 ms.
pub fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    ticks(&stat).map(|ticks| TICK * ticks).with_context(|| format!("not understood: {stat}"))
}

/// User and system time of a line of `/proc/PID/stat`; a program's name may hold spaces and brackets.
fn ticks(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_uses_memory_and_time() {
        let pid = std::process::id();
        let memory = memory(pid).unwrap();
        assert!(memory.anonymous <= memory.resident && memory.resident <= memory.peak, "{memory:?}");
        processor_time(pid).unwrap();
        let mapped = mapped(pid).unwrap();
        assert!(mapped.anonymous <= mapped.resident, "{mapped:?}");
        assert!(threads(pid).unwrap() >= 1);
    }

    #[test]
    fn user_and_system_time_are_added_whatever_the_programs_name_is() {
        let stat = "7 (a) b 9) S 1 7 7 0 -1 4194304 1 0 0 0 250 50 9 9 20 0 3 0 100 1 1";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a"), None);
    }
}
