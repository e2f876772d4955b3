//! Filters system calls: only those that computing needs are allowed. Every other call kills the process.

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;

/// Calls allowed with any arguments: freeing and moving memory, the clock, locks, exit.
const ALLOWED: [libc::c_long; 13] = [
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_gettimeofday,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    // Rust's runtime calls this at exit.
    libc::SYS_sigaltstack,
];

/// Allows the calling thread to read descriptor 0, write descriptor 1, map memory that is not executable, and make a few calls
/// that have no effect outside the process. Any other call kills the process, including those for sockets, files and processes.
/// Sets `no_new_privs`.
///
/// # Errors
/// The Linux kernel or the processor does not support such a filter.
pub fn allow_few() -> Result<(), seccompiler::Error> {
    seccompiler::apply_filter(&filter()?)
}

fn filter() -> Result<BpfProgram, BackendError> {
    let only = |condition: SeccompCondition| Ok::<_, BackendError>(vec![SeccompRule::new(vec![condition])?]);
    let descriptor = |number| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, number);
    let no_code =
        || SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.into_iter().map(|call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_read, only(descriptor(0)?)?);
    rules.insert(libc::SYS_write, only(descriptor(1)?)?);
    rules.insert(libc::SYS_mmap, only(no_code()?)?);
    rules.insert(libc::SYS_mprotect, only(no_code()?)?);
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?.try_into()
}
