//! Limits the memory, processor time, files and processes of a process.

use rustix::process::{Pid, Resource, Rlimit, prlimit, setrlimit};
use std::io;
use std::time::Duration;

/// Memory that [`bound`] adds for stacks, small buffers and the allocator, in bytes.
const RESERVE_BYTES: u64 = 64 << 20;

/// The memory that this process has mapped, in bytes.
///
/// # Errors
/// `/proc/self/statm` can't be read.
pub fn mapped_bytes() -> io::Result<u64> {
    // The first number is the size of all mapped memory in pages.
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').next().unwrap_or_default().parse().map_err(io::Error::other)?;
    Ok(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// Limits the mapped memory of this process to `memory_bytes` and a reserve of 64 MiB. Denies new descriptors, file writes, locked
/// memory, processes and core dumps. Linux does not limit the number of root's processes. For root, only
/// [`allow_few`](super::allow_few) denies processes.
///
/// # Errors
/// The system refused a limit.
pub fn bound(memory_bytes: u64) -> io::Result<()> {
    for (resource, most) in [
        (Resource::As, memory_bytes.saturating_add(RESERVE_BYTES)),
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

/// Lets the process `pid` use a further `allowance` of processor time, and up to 2 s more because the limit counts whole
/// seconds. After that the Linux kernel kills the process, even if its parent has ended.
///
/// # Errors
/// There is no such process, or it belongs to another user.
pub fn allow_cpu_time(pid: Pid, allowance: Duration) -> io::Result<()> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))?;
    // Field 2 is the program's name in brackets. The text after it starts with field 3. Fields 14 and 15 are the ticks that the
    // process has used in user and in system mode.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let used = ticks / rustix::param::clock_ticks_per_second().max(1);
    let most = used.saturating_add(allowance.as_secs()).saturating_add(2);
    prlimit(Some(pid), Resource::Cpu, Rlimit { current: Some(most), maximum: None })?;
    Ok(())
}
