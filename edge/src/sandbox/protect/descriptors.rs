//! Closes descriptors that the parent leaked.

use std::io;

/// Closes every descriptor but the three standard ones. Rust marks its descriptors close-on-exec; some libraries do not. The
/// process must have one thread and must have opened nothing yet.
///
/// # Errors
/// `/proc/self/fd` can't be read.
pub fn close_foreign() -> io::Result<()> {
    let names = std::fs::read_dir("/proc/self/fd")?
        .map(|entry| entry?.file_name().to_string_lossy().parse::<i32>().map_err(io::Error::other))
        .collect::<io::Result<Vec<_>>>()?;
    for descriptor in names.into_iter().filter(|&descriptor| descriptor > 2) {
        // The list contains its own descriptor, which is closed already. Closing it again fails without effect.
        close(descriptor);
    }
    Ok(())
}

#[expect(unsafe_code, reason = "a leaked descriptor has no owner in this process that could close it")]
fn close(descriptor: i32) {
    // SAFETY: called while the process has one thread and has opened nothing itself, so no object owns `descriptor`, and
    // no other thread can have been given its number meanwhile.
    let _ = unsafe { rustix::io::try_close(descriptor) };
}
