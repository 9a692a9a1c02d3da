//! The waiting program as a process. The test runs itself as the sidecar that becomes it.

use std::{
    env,
    error::Error,
    fs,
    process::{Child, Command},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{SigSet, Signal, kill, raise},
    unistd::{Pid, execve},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kube-booster-park");
/// The argument with which this program plays the sidecar; the signal that it is sent before it hands over follows.
const HAND_OVER: &str = "hand-over";
/// Of a debug build, into which the linker puts a standard library that nobody calls; what ships has a tenth.
const MOST_RESIDENT_KIBIBYTES: u64 = 128;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [first, signal] = &arguments[..]
        && first == HAND_OVER
    {
        return hand_over(signal.parse()?);
    }
    for (name, test) in [
        ("sigterm_ends_it_with_0", sigterm as fn() -> Outcome),
        ("sigint_ends_it_with_0", sigint),
        ("a_signal_sent_before_it_began_ends_it", sent_before),
        ("being_stopped_and_continued_does_not_end_it", stopped),
        ("it_holds_next_to_nothing", small),
    ] {
        test().map_err(|error| format!("{name}: {error}"))?;
        println!("test {name} ... ok");
    }
    Ok(())
}

/// As the sidecar does, but that `signal` comes in between.
fn hand_over(signal: Signal) -> Outcome {
    [Signal::SIGTERM, Signal::SIGINT].into_iter().collect::<SigSet>().thread_block()?;
    raise(signal)?;
    let program = std::ffi::CString::new(PROGRAM)?;
    execve::<_, &std::ffi::CStr>(&program, &[&program], &[])?;
    Ok(())
}

/// The program once it waits.
fn waiting() -> Result<Child, Box<dyn Error>> {
    let child = Command::new(PROGRAM).spawn()?;
    wait_until(|| Ok(state(&child)? == 'S'))?;
    Ok(child)
}

/// What the kernel says that `child` does: `S` sleeps, `T` is stopped.
fn state(child: &Child) -> Result<char, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
    let is_ours = stat.contains("(kube-booster-pa)");
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('?');
    Ok(if is_ours { state } else { '?' })
}

fn wait_until(is_so: impl Fn() -> Result<bool, Box<dyn Error>>) -> Outcome {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so()? {
        if Instant::now() > end {
            return Err("it takes too long".into());
        }
        std::thread::yield_now();
    }
    Ok(())
}

fn send(child: &Child, signal: Signal) -> Outcome {
    Ok(kill(Pid::from_raw(child.id().try_into()?), signal)?)
}

fn ends_well(mut child: Child) -> Outcome {
    let status = child.wait()?;
    if status.code() == Some(0) { Ok(()) } else { Err(format!("it ended with {status}").into()) }
}

fn sigterm() -> Outcome {
    let child = waiting()?;
    send(&child, Signal::SIGTERM)?;
    ends_well(child)
}

fn sigint() -> Outcome {
    let child = waiting()?;
    send(&child, Signal::SIGINT)?;
    ends_well(child)
}

fn sent_before() -> Outcome {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        ends_well(Command::new(env::current_exe()?).args([HAND_OVER, signal.as_str()]).spawn()?)?;
    }
    Ok(())
}

fn stopped() -> Outcome {
    let mut child = waiting()?;
    for _ in 0..3 {
        send(&child, Signal::SIGSTOP)?;
        wait_until(|| Ok(state(&child)? == 'T'))?;
        send(&child, Signal::SIGCONT)?;
        wait_until(|| Ok(state(&child)? == 'S'))?;
    }
    // Those that are ignored by default.
    for signal in [Signal::SIGCHLD, Signal::SIGURG, Signal::SIGWINCH] {
        send(&child, signal)?;
    }
    if child.try_wait()?.is_some() {
        return Err("it ended".into());
    }
    send(&child, Signal::SIGTERM)?;
    ends_well(child)
}

fn small() -> Outcome {
    let child = waiting()?;
    let map = fs::read_to_string(format!("/proc/{}/smaps_rollup", child.id()))?;
    let resident = map.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix(" kB"));
    let resident: u64 = resident.ok_or("the kernel does not tell")?.parse()?;
    send(&child, Signal::SIGTERM)?;
    ends_well(child)?;
    if resident > MOST_RESIDENT_KIBIBYTES {
        return Err(format!("{resident} KiB are resident").into());
    }
    Ok(())
}
