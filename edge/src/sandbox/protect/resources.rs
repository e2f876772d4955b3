//! Resource limits.

use rustix::process::{Pid, Resource, Rlimit, prlimit, setrlimit};
use std::io;
use std::time::Duration;

/// Memory for stacks, small buffers and the allocator, in bytes.
const SMALL_CHANGE_BYTES: u64 = 64 << 20;

/// Returns the memory that this process has mapped, in bytes.
///
/// # Errors
/// `/proc/self/statm` can't be read.
pub fn mapped_bytes() -> io::Result<u64> {
    // The first number is the size of all mapped memory in pages.
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').next().unwrap_or_default().parse().map_err(io::Error::other)?;
    Ok(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// Limits this process to `memory_bytes` of mapped memory plus [`SMALL_CHANGE_BYTES`]. Forbids new descriptors, file content,
/// processes and core dumps. The kernel does not limit the processes of the superuser; there `allow_few` forbids them.
///
/// # Errors
/// A limit was refused.
pub fn bound(memory_bytes: u64) -> io::Result<()> {
    for (resource, most) in [
        (Resource::As, memory_bytes.saturating_add(SMALL_CHANGE_BYTES)),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nproc, 0),
        (Resource::Memlock, 0),
        (Resource::Nofile, 0),
    ] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// Lets the process `pid` use `allowance` of processor time from now on, rounded up to whole seconds, plus a second. Then the
/// kernel kills it, even if no parent is left to enforce the deadline.
///
/// # Errors
/// There is no such process, or it belongs to another user.
pub fn allow_cpu_time(pid: Pid, allowance: Duration) -> io::Result<()> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))?;
    // Field 3 follows the program's name in brackets. Fields 14 and 15 are the user and system time.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let used = ticks / rustix::param::clock_ticks_per_second().max(1);
    let most = used.saturating_add(allowance.as_secs()).saturating_add(2);
    prlimit(Some(pid), Resource::Cpu, Rlimit { current: Some(most), maximum: None })?;
    Ok(())
}
