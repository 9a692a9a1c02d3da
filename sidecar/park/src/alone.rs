//! The program in four calls of the kernel.
#![expect(unsafe_code, reason = "without a C library the kernel is called, and calls, by hand")]

use core::arch::{asm, naked_asm};

/// Numbers of the kernel's calls.
#[cfg(target_arch = "x86_64")]
mod call {
    pub(super) const SIGPROCMASK: isize = 14;
    pub(super) const SIGTIMEDWAIT: isize = 128;
    pub(super) const EXIT_GROUP: isize = 231;
    pub(super) const PPOLL: isize = 271;
}

/// Numbers of the kernel's calls.
#[cfg(target_arch = "aarch64")]
mod call {
    pub(super) const SIGPROCMASK: isize = 135;
    pub(super) const SIGTIMEDWAIT: isize = 137;
    pub(super) const EXIT_GROUP: isize = 94;
    pub(super) const PPOLL: isize = 73;
}

/// SIGINT (2) and SIGTERM (15): signal n is bit n - 1 of a set.
const ENDING: u64 = 1 << 1 | 1 << 14;
/// Bytes of a set.
const SET: usize = size_of::<u64>();
const SIG_BLOCK: usize = 0;
/// A call that a signal of another kind broke off.
const EINTR: isize = -4;

/// Where the kernel starts the program: no return address on the stack, which functions rely on.
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    #[cfg(target_arch = "x86_64")]
    naked_asm!("and rsp, -16", "call {wait}", wait = sym wait);
    #[cfg(target_arch = "aarch64")]
    naked_asm!("b {wait}", wait = sym wait);
}

/// Waits for one of the ending signals. The sidecar has blocked them, so one that it was sent in its last moment is
/// pending; PID 1 would be spared any that is neither blocked nor handled.
extern "C" fn wait() -> ! {
    let ending = ENDING;
    let set = (&raw const ending).addr();
    system_call(call::SIGPROCMASK, SIG_BLOCK, set, 0, SET);
    loop {
        match system_call(call::SIGTIMEDWAIT, set, 0, 0, SET) {
            EINTR => {}
            1.. => _ = system_call(call::EXIT_GROUP, 0, 0, 0, 0),
            // A kernel that refuses the call is not asked again and again: sleep until it kills.
            _ => _ = system_call(call::PPOLL, 0, 0, 0, 0),
        }
    }
}

/// Calls the kernel with up to four arguments; what it gives below 0 is an error.
#[cfg(target_arch = "x86_64")]
fn system_call(number: isize, first: usize, second: usize, third: usize, fourth: usize) -> isize {
    let result;
    // SAFETY: the calls above read a set of signals and write no memory.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") first, in("rsi") second, in("rdx") third, in("r10") fourth,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Calls the kernel with up to four arguments; what it gives below 0 is an error.
#[cfg(target_arch = "aarch64")]
fn system_call(number: isize, first: usize, second: usize, third: usize, fourth: usize) -> isize {
    let result;
    // SAFETY: the calls above read a set of signals and write no memory.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") first => result,
            in("x1") second, in("x2") third, in("x3") fourth,
            options(nostack),
        );
    }
    result
}

/// Nothing above panics; a program without the standard library must say what would follow.
#[cfg(panic = "abort")]
#[panic_handler]
fn never(_: &core::panic::PanicInfo<'_>) -> ! {
    wait()
}
