//! Looks for an NVIDIA GPU in the files of the Linux kernel, and checks whether this user can use its device files. Needs neither
//! driver nor TensorRT.

use rustix::fs::{Access, access};
use rustix::io::Errno;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The NVIDIA GPU of this machine, as the Linux kernel's files show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuFiles {
    /// The file that shows that there is a GPU.
    pub sign: PathBuf,
    /// Why this user can't use the GPU's device files. `None` if nothing is wrong with them.
    pub fault: Option<GpuFilesFault>,
}

/// Why a user can't use the GPU's device files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuFilesFault {
    /// The driver's Linux kernel module is not loaded.
    #[error(
        "{} is an NVIDIA GPU, but its driver's Linux kernel module is not loaded: install the NVIDIA driver 580 or newer and restart \
         the machine",
        sign.display()
    )]
    NoModule {
        /// The GPU on the PCI bus.
        sign: PathBuf,
    },
    /// A device file is missing. After the machine has started, somebody with root's rights must create it.
    #[error(
        "found no {}: run `nvidia-modprobe -c 255 -c 0 && nvidia-modprobe -c 0 -u` as root; at each start of the service \
         /usr/lib/cellgate/nvidia.conf does that",
        path.display()
    )]
    Missing {
        /// The missing file.
        path: PathBuf,
    },
    /// This user may not use a device file.
    #[error(
        "{}: {error}; let this user read and write it: on a Jetson `usermod -aG video,render USER`, and /usr/lib/cellgate/jetson.conf for \
         the service",
        path.display()
    )]
    NotAllowed {
        /// The device file.
        path: PathBuf,
        /// The error.
        error: Errno,
    },
}

/// Device files of a GPU with the driver for PCI cards. CUDA needs all of them.
const CARD_FILES: [&str; 3] = ["dev/nvidiactl", "dev/nvidia0", "dev/nvidia-uvm"];
/// Device files of a Jetson's GPU. Which of them exist depends on the kind of Jetson. Their groups are video and render.
const JETSON_FILES: [&str; 6] =
    ["dev/nvhost-gpu", "dev/nvhost-ctrl-gpu", "dev/nvidia0", "dev/nvidiactl", "dev/nvmap", "dev/dri/renderD128"];
/// Names the kind of computer that has no BIOS, among others NVIDIA's Tegra, the processor of a Jetson.
const DEVICE_TREE: &str = "proc/device-tree/compatible";
/// The version of the driver's Linux kernel module. Exists while the module is loaded.
const MODULE: &str = "proc/driver/nvidia/version";

impl GpuFiles {
    /// The GPU of the machine whose root folder is `root` (`/`). `None` if there is no NVIDIA GPU.
    pub(crate) fn find(root: &Path) -> Option<Self> {
        let existing = |name: &&str| root.join(name).exists();
        if fs::read_to_string(root.join(DEVICE_TREE)).is_ok_and(|kinds| kinds.contains("nvidia,tegra")) {
            let files: Vec<_> = JETSON_FILES.into_iter().filter(existing).map(|name| root.join(name)).collect();
            let fault = files.iter().find_map(|file| not_allowed(file));
            return Some(Self { sign: files.into_iter().next().unwrap_or_else(|| root.join(DEVICE_TREE)), fault });
        }
        let wsl = root.join("dev/dxg");
        if wsl.exists() {
            return Some(Self { fault: not_allowed(&wsl), sign: wsl });
        }
        let is_loaded = existing(&MODULE);
        let signs = ["dev/nvidia0", MODULE].into_iter().filter(existing).map(|name| root.join(name));
        let sign = signs.chain(pci_gpu(root)).next()?;
        let fault = if is_loaded {
            CARD_FILES.iter().map(|name| root.join(name)).find_map(|path| missing(&path).or_else(|| not_allowed(&path)))
        } else {
            Some(GpuFilesFault::NoModule { sign: sign.clone() })
        };
        Some(Self { sign, fault })
    }
}

/// Says what is wrong with the device files, otherwise which file shows the GPU.
impl fmt::Display for GpuFiles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Some(fault) => fault.fmt(out),
            None => write!(out, "{} exists", self.sign.display()),
        }
    }
}

fn missing(path: &Path) -> Option<GpuFilesFault> {
    (!path.exists()).then(|| GpuFilesFault::Missing { path: path.to_owned() })
}

fn not_allowed(path: &Path) -> Option<GpuFilesFault> {
    let error = access(path, Access::READ_OK | Access::WRITE_OK).err()?;
    Some(GpuFilesFault::NotAllowed { path: path.to_owned(), error })
}

/// The first NVIDIA GPU on the PCI bus: vendor 10de, and the class of a display controller, which a card without a display has too.
fn pci_gpu(root: &Path) -> Option<PathBuf> {
    let devices = fs::read_dir(root.join("sys/bus/pci/devices")).ok()?;
    let is_gpu = |device: &PathBuf| {
        let has =
            |file: &str, start: &str| fs::read_to_string(device.join(file)).is_ok_and(|text| text.starts_with(start));
        has("vendor", "0x10de") && has("class", "0x03")
    };
    devices.flatten().map(|device| device.path()).filter(is_gpu).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The root folder of a machine.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn with(files: &[&str]) -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            files.iter().for_each(|file| machine.add(file, ""));
            machine
        }

        fn add(&self, file: &str, text: &str) {
            let path = self.path(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn add_pci(&self, vendor: &str, class: &str) {
            let device = format!("sys/bus/pci/devices/{vendor}.{class}");
            self.add(&format!("{device}/vendor"), &format!("0x{vendor}\n"));
            self.add(&format!("{device}/class"), &format!("0x{class}\n"));
        }

        fn path(&self, file: &str) -> PathBuf {
            self.0.path().join(file)
        }

        fn fault(&self) -> Option<GpuFilesFault> {
            GpuFiles::find(self.0.path()).unwrap().fault
        }
    }

    #[test]
    fn a_machine_without_an_nvidia_gpu_has_none() {
        let machine = Machine::with(&["dev/null"]);
        // Another maker's graphics card, and NVIDIA's sound device.
        machine.add_pci("8086", "030000");
        machine.add_pci("10de", "040300");
        assert_eq!(GpuFiles::find(machine.0.path()), None);
    }

    #[test]
    fn a_card_without_its_kernel_module_is_found_on_the_pci_bus() {
        let machine = Machine::with(&[]);
        machine.add_pci("10de", "030200");
        let sign = machine.path("sys/bus/pci/devices/10de.030200");
        let fault = Some(GpuFilesFault::NoModule { sign: sign.clone() });
        assert_eq!(GpuFiles::find(machine.0.path()), Some(GpuFiles { sign, fault }));
    }

    #[test]
    fn each_missing_device_file_of_a_card_is_a_fault() {
        let machine = Machine::with(&["proc/driver/nvidia/version"]);
        for file in ["dev/nvidiactl", "dev/nvidia0", "dev/nvidia-uvm"] {
            assert_eq!(machine.fault(), Some(GpuFilesFault::Missing { path: machine.path(file) }));
            machine.add(file, "");
        }
        let gpu = GpuFiles { sign: machine.path("dev/nvidia0"), fault: None };
        assert_eq!(GpuFiles::find(machine.0.path()), Some(gpu));
    }

    #[test]
    fn a_jetson_needs_no_unified_memory_file_and_windows_one_file_only() {
        for files in [&["dev/nvmap", "dev/nvidia0"][..], &["dev/nvhost-gpu"], &[]] {
            let machine = Machine::with(files);
            machine.add(DEVICE_TREE, "nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0");
            assert_eq!(machine.fault(), None, "{files:?}");
        }
        assert_eq!(Machine::with(&["dev/dxg"]).fault(), None);
    }

    #[test]
    fn the_faults_say_what_to_do() {
        let path = PathBuf::from("/dev/nvidia-uvm");
        let faults = [
            GpuFilesFault::NoModule { sign: "/sys/bus/pci/devices/0000:01:00.0".into() },
            GpuFilesFault::Missing { path },
            GpuFilesFault::NotAllowed { path: "/dev/nvmap".into(), error: Errno::ACCESS },
        ];
        insta::assert_snapshot!("faults", faults.map(|fault| fault.to_string()).join("\n"));
    }
}
