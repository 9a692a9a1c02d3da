//! What the process takes of the machine, as the kernel says.

use std::{fs, time::Duration};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};

/// Bytes of physical memory that the process holds, the program's own pages included.
pub(super) fn resident() -> Option<u64> {
    of_status(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Read from `/proc/self/status` because `statm` counts in pages, whose size differs between machines.
fn of_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1_024)
}

/// Processor time that all threads took so far.
pub(super) fn processor_time() -> Duration {
    getrusage(UsageWho::RUSAGE_SELF)
        .map_or(Duration::ZERO, |usage| duration(usage.user_time()) + duration(usage.system_time()))
}

fn duration(time: TimeVal) -> Duration {
    let (seconds, micros) = (u64::try_from(time.tv_sec()), u64::try_from(time.tv_usec()));
    Duration::from_secs(seconds.unwrap_or_default()) + Duration::from_micros(micros.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_takes_time() {
        assert!(resident().is_some_and(|bytes| bytes > 1 << 20));
        assert!(processor_time() > Duration::ZERO);
    }

    #[test]
    fn the_kernel_counts_in_kibibytes() {
        assert_eq!(of_status("Name:\tx\nVmRSS:\t   12 kB\nRssAnon:\t 3 kB\n"), Some(12 << 10));
        assert_eq!([of_status(""), of_status("VmRSS: 12"), of_status("VmRSS: many kB")], [None; 3]);
    }
}
