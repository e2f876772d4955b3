"""What gpu_check_small.py finds on the machine: processor, memory, tools, and the libraries in this Python's packages."""

import os
import platform
import re
import shutil
import sys
from pathlib import Path


class Host:
    """The machine, and the environments in which the programs find their libraries. `work` is a folder for caches."""

    def __init__(self, work):
        self.nvrtc = in_packages("nvidia/cu13/lib/libnvrtc.so.13*")
        self.tensorrt = in_packages("tensorrt_rtx_libs/libtensorrt_rtx.so*")
        self.onnxruntime = in_packages("onnxruntime/capi/libonnxruntime.so*")
        self.torch = in_packages("torch/version.py")
        self.torch_version = version_in(self.torch) if self.torch else None
        self.no_libtorch = "this Python has no package torch"
        caches = {"CUDA_CACHE_PATH": f"{work}/cuda", "TORCHINDUCTOR_CACHE_DIR": f"{work}/inductor"}
        self.environment = {**os.environ, **caches}
        named = {
            "CELLGATE_NVRTC": self.nvrtc,
            "CELLGATE_TENSORRT": self.tensorrt and self.tensorrt.parent,
            "CELLGATE_ONNXRUNTIME": self.onnxruntime,
        }
        for variable, path in named.items():
            if path:
                self.environment.setdefault(variable, str(path))
        # Without this, libtorch's threads spin while they wait for each other, which takes several times as long on a busy machine.
        self.trainer_environment = {"OMP_WAIT_POLICY": "passive", **self.environment}
        if self.torch:
            libraries = [str(self.torch.parent / "lib"), os.environ.get("LD_LIBRARY_PATH")]
            self.trainer_environment["LD_LIBRARY_PATH"] = ":".join(filter(None, libraries))

    def machine(self, needs):
        """A row about the machine. The file `needs` has the processor architecture, glibc and torch of the packed programs."""
        architecture, glibc, torch = needs.read_text(encoding="utf-8").split()
        found = f"{platform.machine()}, {libc()}, {os.cpu_count()} processors, {memory_gib():.0f} GiB, Python {platform.python_version()}"
        self.no_libtorch = self.libtorch_obstacle(torch)
        if platform.machine() != architecture:
            return "FAILURE", "machine", f"{found}; the programs need a processor of {architecture}: pack them on such a machine"
        if numbers(libc()) < numbers(glibc):
            return "FAILURE", "machine", f"{found}; the programs need glibc {glibc} or newer: pack them on a machine with an older one"
        return "OK", "machine", found

    def libtorch_obstacle(self, needed):
        """Why the trainer can't use this Python's libtorch. None if it can. libtorch keeps its binary interface in one release only."""
        if not self.torch_version:
            return f"this Python ({sys.executable}) has no package torch; the trainer was built with torch {needed}"
        if numbers(self.torch_version)[:2] != numbers(needed)[:2]:
            return f"this Python has torch {self.torch_version}; the trainer was built with torch {needed} and needs the same release"
        return None

    def packages(self):
        """A row about the libraries in this Python's packages."""
        named = [("torch", self.torch_version), ("NVRTC", self.nvrtc), ("ONNX Runtime", self.onnxruntime), ("TensorRT", self.tensorrt)]
        found = ", ".join(f"{name}: {path.name if isinstance(path, Path) else path or 'none'}" for name, path in named)
        found = f"{sys.executable}: {found}"
        return ("SKIPPED", "packages", f"{found}; {self.no_libtorch}") if self.no_libtorch else ("OK", "packages", found)

    def tools(self):
        """A row about NVIDIA's tools."""
        tools = {name: self.tool(name) for name in ("nvidia-smi", "compute-sanitizer", "ncu")}
        found = ", ".join(f"{name}: {path or 'none'}" for name, path in tools.items())
        return ("OK" if all(tools.values()) else "SKIPPED"), "tools", found

    def tool(self, name):
        """The path of one of NVIDIA's tools: from PATH, otherwise from the folders of CUDA and Nsight Compute. None if it is missing."""
        found = shutil.which(name)
        if found:
            return found
        newest_first = sorted(Path("/opt/nvidia/nsight-compute").glob("*"), reverse=True)
        return shutil.which(name, path=":".join(["/usr/local/cuda/bin", "/usr/local/nvidia/bin", *map(str, newest_first)]))


def in_packages(pattern):
    """The first file of this pattern in the folders of this Python's packages, or None."""
    for folder in filter(None, sys.path):
        found = sorted(Path(folder).glob(pattern))
        if found:
            return found[-1]
    return None


def version_in(file):
    """The version that torch/version.py states. The file is not imported, because importing torch takes seconds."""
    found = re.search(r"^__version__ = '([^']*)'", file.read_text(encoding="utf-8"), re.MULTILINE)
    return found and found.group(1)


def numbers(version):
    """The numbers of a version, which can be compared."""
    return [int(number) for number in re.findall(r"\d+", version.split("+")[0])]


def libc():
    """The C library, such as `glibc 2.36`."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "no glibc"
    except (AttributeError, ValueError, OSError):
        return "no glibc"


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
