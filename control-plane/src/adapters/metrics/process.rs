//! The process itself, by the names that everybody gives: looked at whenever somebody asks.

use std::{
    fs,
    sync::atomic::AtomicU64,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::sys::{
    resource::{Resource, UsageWho, getrlimit, getrusage},
    time::{TimeVal, TimeValLike},
};
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};

#[derive(Debug, Default)]
pub(super) struct Process {
    cpu: Counter<f64, AtomicU64>,
    resident_memory: Gauge,
    virtual_memory: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
}

impl Process {
    /// Registers what is named without our prefix.
    pub(super) fn register(all: &mut Registry) -> Self {
        let own = Self::default();
        let cpu = "Processor time that was spent, in the kernel's mode included";
        all.register_with_unit("process_cpu", cpu, Unit::Seconds, own.cpu.clone());
        let memory = "Memory that is resident";
        all.register_with_unit("process_resident_memory", memory, Unit::Bytes, own.resident_memory.clone());
        let memory = "Memory that has addresses";
        all.register_with_unit("process_virtual_memory", memory, Unit::Bytes, own.virtual_memory.clone());
        all.register("process_open_fds", "Files and sockets that are open", own.open_fds.clone());
        all.register("process_max_fds", "Files and sockets that may be open", own.max_fds.clone());
        all.register("process_threads", "Threads", own.threads.clone());
        let start: Gauge<f64, AtomicU64> = Gauge::default();
        start.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        all.register_with_unit("process_start_time", "When it started, since 1970", Unit::Seconds, start);
        own
    }

    /// Asks the kernel; what it does not say stays as it was.
    pub(super) fn look(&self) {
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let spent = seconds(usage.user_time()) + seconds(usage.system_time());
            self.cpu.inc_by((spent - self.cpu.get()).max(0.0));
        }
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            for (line, gauge, unit) in [
                ("VmRSS:", &self.resident_memory, 1024),
                ("VmSize:", &self.virtual_memory, 1024),
                ("Threads:", &self.threads, 1),
            ] {
                number(&status, line).map(|number| gauge.set(number * unit));
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // Without the folder itself.
            self.open_fds.set(i64::try_from(open.count()).unwrap_or(i64::MAX) - 1);
        }
        if let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            self.max_fds.set(i64::try_from(limit).unwrap_or(i64::MAX));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "285 years of microseconds are exact")]
fn seconds(time: TimeVal) -> f64 {
    time.num_microseconds() as f64 / 1e6
}

/// The number behind `name` in `/proc/self/status`, memory in KiB.
fn number(status: &str, name: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{super::Metrics, *};

    #[test]
    fn the_kernel_s_numbers_are_read() {
        let status = "Name:\tcontrol-plane\nVmSize:\t  204800 kB\nVmRSS:\t   15360 kB\nThreads:\t3\n";
        assert_eq!(
            [number(status, "VmRSS:"), number(status, "Threads:"), number(status, "VmSwap:")],
            [Some(15360), Some(3), None]
        );
    }

    #[test]
    fn all_of_the_process_is_seen_under_its_usual_names() {
        let text = Metrics::default().encode();
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_open_fds",
            "process_max_fds",
            "process_threads",
            "process_start_time_seconds",
        ] {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let value: f64 = value.expect(name).parse().expect("a number");
            assert!(value > 0.0, "{name} {value}");
        }
    }
}
