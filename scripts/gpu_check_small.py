#!/usr/bin/env python3
"""Checks the GPU path in ten minutes, on a machine that is lent for a short time: gpu-check RESULTS [SECONDS].

`scripts/gpu-check pack --small` packs it. Start it with the Python whose packages have PyTorch: NVRTC, libtorch, TensorRT and ONNX
Runtime are taken from there. Each step has its own limit, and the whole run SECONDS (570 by default); the most valuable step comes first.
Prints a table, and writes it to RESULTS/results.json; what the commands print goes to RESULTS/log.txt. A step that needs something that
is missing is SKIPPED. Without a GPU, `train`, `export` and `pretrain` run small on the CPU, and the other steps say why they can't run.
Exit status: 0 no failure, 1 a failure, for example no GPU, 2 misuse, 130 and 143 ended by SIGINT and SIGTERM.
"""

import csv
import io
import json
import re
import signal
import sys
import tempfile
from pathlib import Path

# The run leaves no compiled modules beside this file.
sys.dont_write_bytecode = True

from gpu_check_host import Host
from gpu_check_run import Failed, Run, Skip, in_a_line

HERE = Path(__file__).resolve().parent
SECONDS = 570
# How often gpu-check judges an image, and how often PyTorch's network is timed.
ROUNDS = 200
NO_TENSORRT = (
    "TensorRT for RTX is neither packed nor in this Python's packages; it could not build plans for GPUs of compute capability 9.0 "
    "(H100, H200)"
)


class Recipe:
    """The sizes of the training: on a GPU the paper's input size, on a CPU small ones, which prove only that the commands work."""

    def __init__(self, has_gpu):
        self.device = "cuda" if has_gpu else "cpu"
        steps, batch, crop = (20, 64, "160x160") if has_gpu else (2, 8, "64x64")
        self.backbone = ["--steps", steps, "--batch", batch, "--crop", crop]
        self.data = ["--parts", 48, "--bundles", 4, "--scale", 1] if has_gpu else ["--parts", 24, "--bundles", 4, "--scale", 0.1]
        self.size = "2000x1000" if has_gpu else "160x96"
        self.pretrain = ["--minutes", 0.5, "--crop", "224x224"] if has_gpu else ["--steps", 2, "--batch", 8, "--crop", "64x64"]


class Check:
    """The steps of the run. `work` is a temporary folder for data set, backbone and model."""

    def __init__(self, run, host, work):
        self.run, self.host, self.work = run, host, work
        self.has_gpu = False
        self.edge = HERE / "cellgate-edge"
        self.trainer = HERE / "cellgate-trainer"
        self.model = HERE / "model"

    def steps(self):
        """Name, limit in seconds and function of each step, the most valuable one first."""
        return [
            ("inventory", 20, self.inventory),
            ("kernels", 60, self.kernels),
            ("memcheck", 60, lambda: self.sanitizer("memcheck")),
            ("racecheck", 90, lambda: self.sanitizer("racecheck")),
            ("train", 120, self.train),
            ("export", 150, self.export),
            ("gpu-check", 90, self.gpu_check),
            ("PyTorch", 180, self.pytorch),
            ("pretrain", 75, self.pretrain),
            ("ncu", 60, self.ncu),
        ]

    def inventory(self):
        host, row = self.host, self.run.row
        row(*host.machine(HERE / "needs"))
        row(*host.packages())
        row(*host.tools())
        if not host.tool("nvidia-smi"):
            return
        fields = "name,compute_cap,driver_version,memory.total,clocks.max.sm,clocks.max.memory,power.limit"
        status, output = self.run.command([host.tool("nvidia-smi"), f"--query-gpu={fields}", "--format=csv,noheader"], host.environment)
        row("OK" if status == 0 else "FAILURE", "nvidia-smi", in_a_line(output) or self.run.last_words())

    def compare_kernels(self):
        """The command that compares the kernels with the CPU."""
        return [self.edge, "gpu-check", "--json", "--kernels", "--model", HERE / "model"]

    def edge_rows(self, command, show):
        """Runs `cellgate-edge gpu-check` and passes each row to `show`."""
        status, _ = self.run.command(command, self.host.environment, of_rows(show))
        if status not in (0, 1):
            raise Failed(f"cellgate-edge ended with status {status} before all checks were done: {self.run.last_words()}")

    def show(self, found):
        """Adds a row of cellgate-edge or of torch_latency.py. What can't be checked without a GPU is SKIPPED."""
        what, state, text = found.pop("what"), found.pop("state").upper(), found.pop("found")
        precision = found.get("precision")
        name = f"{what} {precision}" if precision else what
        if what == "GPU":
            self.has_gpu = state == "OK"
        if state == "FAILURE" and not self.has_gpu and what not in ("driver", "GPU"):
            state = "SKIPPED"
        self.run.row(state, name, text, **found)

    def kernels(self):
        def show(found):
            # This comparison is on generated images only.
            if found["what"] != "images":
                self.show(found)

        self.edge_rows(self.compare_kernels(), show)

    def needs_gpu(self):
        if not self.has_gpu:
            raise Skip("cellgate-edge found no GPU")

    def needs_tool(self, name):
        self.needs_gpu()
        tool = self.host.tool(name)
        if not tool:
            raise Skip(f"found no {name}")
        return tool

    def sanitizer(self, tool):
        """Compares the kernels with the CPU again, under compute-sanitizer."""
        command = [self.needs_tool("compute-sanitizer"), "--tool", tool, *self.compare_kernels()]
        status, output = self.run.command(command, self.host.environment)
        summaries = re.findall(r"[A-Z ]*SUMMARY: .*", output)
        if not summaries:
            raise Failed(f"compute-sanitizer ended with status {status} without a summary: {self.run.last_words()}")
        rows = []
        for line in output.splitlines():
            of_rows(rows.append)(line)
        kernels = [row["found"] for row in rows if row["what"] == "kernels"]
        compared = kernels[0] if kernels else "the kernels were not compared"
        is_clean = status == 0 and kernels and all(re.search(r"SUMMARY: 0 (errors|hazards)", text) for text in summaries)
        self.run.row("OK" if is_clean else "FAILURE", tool, f"{summaries[-1].strip()}; {compared}")

    def trainer_command(self, *arguments):
        """Runs the trainer, which must succeed, with the libtorch of this Python. Returns its stdout."""
        if self.host.no_libtorch:
            raise Skip(self.host.no_libtorch)
        return self.run.checked([self.trainer, *arguments], self.host.trainer_environment)

    def train(self):
        """Makes a backbone and a data set, and trains on it: the recipe of a real model."""
        recipe, work = Recipe(self.has_gpu), self.work
        self.trainer_command("pretrain", "--out", work / "backbone", "--device", recipe.device, *recipe.backbone)
        self.trainer_command("synth", work / "electrodes", *recipe.data)
        backbone = work / "backbone/resnet34-electrodes.safetensors"
        options = ["--size", recipe.size, "--device", recipe.device, "--backbone", backbone, "--cache", work / "features", "--json"]
        self.trainer_command("train", work / "electrodes", "--out", work / "run", *options)
        found = f"on {self.device()}: {recipe.data[1]} synthetic electrodes, input {recipe.size}, f32 without TF32"
        self.run.row("OK", "train", found, device=recipe.device)

    def device(self):
        return "the GPU" if self.has_gpu else "the CPU, because there is no GPU"

    def export(self):
        """Exports the model. The export compares the logits of the training, computed on the GPU, with the CPU's."""
        training, model = self.work / "run/run.json", self.work / "model"
        if not training.exists():
            raise Skip("there is no training run")
        if not self.host.onnxruntime:
            raise Skip("this Python has no package onnxruntime")
        command = ["export", self.work / "run", "--out", model, "--json", "--precision"]
        output = None
        # f16 is for TensorRT.
        if self.host.tensorrt:
            try:
                output = self.trainer_command(*command, "f32,f16")
            except Failed:
                # The logits of a backbone that knows little may be too sensitive for f16.
                if "export only `--precision f32`" not in self.run.last_output():
                    raise
                self.run.row("SKIPPED", "export f16", self.run.last_words())
        if output is None:
            output = self.trainer_command(*command, "f32")
        figures = parity(*map(json.loads, (training.read_text(), (model / "manifest.json").read_text(), output)))
        largest, tolerance = figures["largest_difference"], figures["tolerance"]
        onnx = ", ".join(f"{precision} {difference:.1e}" for precision, difference in sorted(figures["onnxruntime"].items()))
        found = (
            f"golden images: {figures['images']}; the training's logits, on {self.device()}, differ from libtorch's on the CPU by at most "
            f"{largest:.1e}, tolerance {tolerance:.1e}; ONNX Runtime's by {onnx}"
        )
        self.run.row("OK" if largest <= tolerance else "FAILURE", "export", found, figures=figures)
        self.model = model

    def gpu_check(self):
        """All checks of cellgate-edge: with the model that was exported, otherwise with the packed one."""
        self.needs_gpu()
        images = sorted(self.work.glob("electrodes/images/*.tif"))[:3]
        manifest = json.loads((self.model / "manifest.json").read_text())
        precisions = [network["precision"] for network in manifest["networks"]]
        without = []

        def show(found):
            if found["what"] == "TensorRT" and found["state"] == "failure" and not self.host.tensorrt:
                without.append(found)
                self.run.row("SKIPPED", "TensorRT", NO_TENSORRT)
            elif found["what"] in ("driver", "GPU", "NVRTC") and found["state"] == "ok":
                # The step `kernels` has these rows.
                return
            elif found.get("precision") and (without or found["precision"] not in precisions):
                # There is no TensorRT, or no such network.
                return
            else:
                self.show(found)

        self.edge_rows([self.edge, "gpu-check", "--json", "--model", self.model, "--rounds", ROUNDS, *images], show)
        if without:
            self.run.row("SKIPPED", "plans and latencies", "they need TensorRT")
        elif "f16" not in precisions:
            self.run.row("SKIPPED", "plan, latencies f16", "the model has no network of f16")

    def pytorch(self):
        """PyTorch's ResNet-34, eager and compiled, beside the latencies of the appliance."""
        command = [sys.executable, HERE / "torch_latency.py", self.model / "conversion.json", ROUNDS, "--json"]
        status, _ = self.run.command(command, self.host.environment, of_rows(self.show))
        if status not in (0, 3):
            raise Failed(f"torch_latency.py ended with status {status}: {self.run.last_words()}")

    def pretrain(self):
        recipe = Recipe(self.has_gpu)
        folder = self.work / "pretrain"
        output = self.trainer_command("pretrain", "--out", folder, "--device", recipe.device, *recipe.pretrain, "--json")
        summary = json.loads(output)
        found = (
            f"on {self.device()}: {summary['images_per_s']:.0f} crops/s, {summary['images']} crops in {summary['seconds']:.0f} s; "
            f"training waited for crops {100 * summary['waiting_share']:.0f} % of the time"
        )
        self.run.row("OK", "pretrain", found, figures=summary)

    def ncu(self):
        """Nsight Compute on the first launches of convert_tile. The clocks of the GPU are left as they are."""
        metrics = {
            "gpu__time_duration.sum": "time",
            "dram__throughput.avg.pct_of_peak_sustained_elapsed": "DRAM",
            "lts__throughput.avg.pct_of_peak_sustained_elapsed": "L2",
            "sm__throughput.avg.pct_of_peak_sustained_elapsed": "SM",
            "sm__warps_active.avg.pct_of_peak_sustained_active": "occupancy",
            "launch__registers_per_thread": "registers",
        }
        command = [
            *(self.needs_tool("ncu"), "--csv", "--clock-control", "none", "--metrics", ",".join(metrics)),
            *("--kernel-name", "regex:convert_tile", "--launch-count", 3),
            *self.compare_kernels(),
        ]
        status, output = self.run.command(command, self.host.environment)
        if "ERR_NVGPUCTRPERM" in self.run.last_output():
            raise Skip("this user may not read the GPU's performance counters (ERR_NVGPUCTRPERM)")
        lines = output.splitlines()
        start = next((at for at, line in enumerate(lines) if line.startswith('"ID"')), None)
        if start is None:
            raise Failed(f"ncu ended with status {status} without a table: {self.run.last_words()}")
        launches = {}
        for line in csv.DictReader(io.StringIO("\n".join(lines[start:]))):
            if line["Metric Name"] in metrics:
                figures = launches.setdefault((line["ID"], line["Kernel Name"].split("(")[0], line["Grid Size"]), [])
                figures.append(f"{metrics[line['Metric Name']]} {line['Metric Value']} {line['Metric Unit']}".strip())
        for (_, kernel, grid), figures in launches.items():
            self.run.row("OK", "ncu", f"{kernel}, grid {grid}: {', '.join(figures)}")
        if not launches:
            raise Failed("ncu reported no launch of convert_tile; see log.txt")


def parity(training, manifest, exported):
    """The figures of an export, from run.json, manifest.json and the output of `export --json`.

    The export selects the golden images from the candidates of the training. The digest of an image says which candidate it was.
    """
    trained = {candidate["digest"]: candidate["logit"] for candidate in training["candidates"]}
    pairs = [(trained[manifest["members"][golden["member"]]["sha256"]], golden["expected"]["f32"]) for golden in manifest["golden"]]
    return {
        "images": len(pairs),
        "largest_difference": max(abs(logit - expected["logit"]) for logit, expected in pairs),
        "tolerance": pairs[0][1]["tolerance"],
        "onnxruntime": {precision: of["largest_difference"] for precision, of in exported["parity"].items()},
    }


def of_rows(show):
    """A function that passes each row among the lines of an output to `show`."""

    def each_line(line):
        if line.startswith('{"what":'):
            show(json.loads(line))

    return each_line


def main(arguments):
    seconds = arguments[1] if len(arguments) == 2 else str(SECONDS)
    if not 1 <= len(arguments) <= 2 or not seconds.isdecimal() or arguments[0].startswith("-"):
        print(f"usage: {sys.argv[0]} RESULTS [SECONDS]", file=sys.stderr)
        return 2
    run = Run(Path(arguments[0]), int(seconds))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, run.stop)
    with tempfile.TemporaryDirectory(prefix="cellgate-gpu-check-") as work:
        check = Check(run, Host(work), Path(work))
        for name, limit, action in check.steps():
            run.step(name, limit, action)
    run.finish()
    return int(run.has_failure())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
