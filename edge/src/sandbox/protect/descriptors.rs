//! Closes descriptors inherited from the parent.

use std::io;

/// Closes every descriptor except the three standard ones. Rust opens its own with close-on-exec; this closes those of libraries
/// that don't. The process must have one thread and must not have opened anything yet.
///
/// # Errors
/// `/proc/self/fd` can't be read.
pub fn close_foreign() -> io::Result<()> {
    let names = std::fs::read_dir("/proc/self/fd")?
        .map(|entry| entry?.file_name().to_string_lossy().parse::<i32>().map_err(io::Error::other))
        .collect::<io::Result<Vec<_>>>()?;
    for descriptor in names.into_iter().filter(|&descriptor| descriptor > 2) {
        // The list contains the descriptor that it was read with. That one is closed already, so closing it has no effect.
        close(descriptor);
    }
    Ok(())
}

#[expect(unsafe_code, reason = "an inherited descriptor has no owner in this process that could close it")]
fn close(descriptor: i32) {
    // SAFETY: the process has one thread and has opened nothing itself. So no object owns `descriptor`, and no other thread
    // can have opened a file with the same number meanwhile.
    let _ = unsafe { rustix::io::try_close(descriptor) };
}
