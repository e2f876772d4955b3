//! Closes descriptors inherited from the parent.

use std::io;

/// Closes every descriptor except the three standard ones. Descriptors that the parent's Rust code opened are not inherited, as
/// Rust sets close-on-exec; those of libraries may be. The process must have one thread and must not have opened anything yet.
///
/// # Errors
/// `/proc/self/fd` can't be read.
pub fn close_foreign() -> io::Result<()> {
    let names = std::fs::read_dir("/proc/self/fd")?
        .map(|entry| entry?.file_name().to_string_lossy().parse::<i32>().map_err(io::Error::other))
        .collect::<io::Result<Vec<_>>>()?;
    for descriptor in names.into_iter().filter(|&descriptor| descriptor > 2) {
        // One descriptor of the list is the one that the list was read with. That one is closed already, so closing it again has
        // no effect.
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
