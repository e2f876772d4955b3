//! Descriptors that the parent left open by mistake.

use std::io;

/// Closes every descriptor but the three standard ones. Rust's own are closed when a program is started; this is for
/// those of libraries that forget it. For a process of one thread that has opened nothing yet.
///
/// # Errors
/// `/proc/self/fd` can't be read.
pub fn close_foreign() -> io::Result<()> {
    let names = std::fs::read_dir("/proc/self/fd")?
        .map(|entry| entry?.file_name().to_string_lossy().parse::<i32>().map_err(io::Error::other))
        .collect::<io::Result<Vec<_>>>()?;
    for descriptor in names.into_iter().filter(|&descriptor| descriptor > 2) {
        // The list's own descriptor is among them, closed already: closing it again is an error without effect.
        close(descriptor);
    }
    Ok(())
}

#[expect(unsafe_code, reason = "a descriptor that nobody in this process knows has no owner that could close it")]
fn close(descriptor: i32) {
    // SAFETY: called while the process has one thread and has opened nothing itself, so no object owns `descriptor`, and
    // no other thread can have been given its number meanwhile.
    let _ = unsafe { rustix::io::try_close(descriptor) };
}
