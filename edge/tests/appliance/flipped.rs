//! Flips a bit in the memory of another process through /proc, so that the process needs no code for the test.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::process::Child;

/// Four weights of a network in the memory of a process.
pub(crate) struct Weights {
    memory: fs::File,
    bytes: [u8; 16],
    addresses: Vec<u64>,
}

impl Weights {
    /// Finds the weights in the writable memory of `process`, where an engine or an allocator may have put them: at multiples of 16
    /// bytes.
    pub(crate) fn find(process: &Child, weights: [f32; 4]) -> Self {
        let folder = format!("/proc/{}", process.id());
        let memory = fs::File::options().read(true).write(true).open(format!("{folder}/mem"));
        let memory = memory.unwrap_or_else(|error| {
            panic!("/proc/PID/mem was refused: {error}; this test needs it, and a container needs CAP_SYS_PTRACE")
        });
        let bytes: [u8; 16] = weights.map(f32::to_le_bytes).concat().try_into().unwrap();
        let mut addresses = Vec::new();
        for line in fs::read_to_string(format!("{folder}/maps")).unwrap().lines() {
            let mut fields = line.split_whitespace();
            let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
            let (start, end) = range.split_once('-').unwrap();
            let address = |text: &str| u64::from_str_radix(text, 16).unwrap();
            let (start, end) = (address(start), address(end));
            let mut content = vec![0; (end - start) as usize];
            // Some mappings, such as those of devices, can't be read.
            if rights.starts_with("rw") && memory.read_exact_at(&mut content, start).is_ok() {
                let places = content.chunks_exact(16).zip((start..).step_by(16));
                addresses.extend(places.filter(|(chunk, _)| *chunk == bytes).map(|(_, address)| address));
            }
        }
        Self { memory, bytes, addresses }
    }

    /// Flips the sign of the first weight in each place that still has the weights. Returns the number of places.
    pub(crate) fn flip_first_sign(&self) -> usize {
        let mut places = 0;
        for &address in &self.addresses {
            let mut found = [0; 16];
            if self.memory.read_exact_at(&mut found, address).is_ok() && found == self.bytes {
                self.memory.write_all_at(&[self.bytes[3] ^ 0x80], address + 3).unwrap();
                places += 1;
            }
        }
        places
    }
}
