//! A list of the system calls that computing needs; any other one kills the process.

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;

/// Allowed with any arguments: memory given back or moved, the clock, locks, ending.
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
    // Rust's last step on its way out.
    libc::SYS_sigaltstack,
];

/// Lets the calling thread read descriptor 0, write descriptor 1, take memory that is no program code, and use the few
/// calls without any effect outside the process. Everything else kills the process, sockets, files and processes among
/// it. Sets `no_new_privs`.
///
/// # Errors
/// This kernel or processor knows no such filter.
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
