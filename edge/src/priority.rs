//! Lowers the priority of threads that no verdict depends on.

/// The nice value of a thread that must not delay others. On Linux, 19 is the lowest: beside a busy thread with the normal priority,
/// such a thread gets 15 / 1039 of a core.
const NICE_VALUE: i32 = 19;

/// Sets the calling thread to the lowest priority.
pub(crate) fn lower() {
    // On Linux this priority is per thread. Failure is harmless: the thread keeps the normal priority.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE_VALUE);
}
