"""Times PyTorch's ResNet-34 with one output on the GPU: torch_latency.py CONVERSION_JSON ROUNDS [--json].

The network's input has the size of the model's conversion and is on the GPU already. A time ends when the score is on the host. The
weights are random, which does not change the time. Prints rows in gpu-check's format. Exit status: 3 if one of them is a failure.
"""

import importlib.util
import json
import os
import shutil
import sys
import sysconfig
import textwrap
import time

# The exit status if a row is a failure. It is not 1, which is Python's exit status after an uncaught exception.
FAILED = 3
# The column at which a row's text begins, and the table's width.
INDENT, COLUMNS = 30, 120


def row(state, precision, found, **more):
    """Prints one row in gpu-check's format; `more` has additional fields for JSON."""
    what = "PyTorch"
    if "--json" in sys.argv:
        fields = {"what": what, "precision": precision, "state": state.lower(), "found": found, **more}
        print(json.dumps({name: value for name, value in fields.items() if value is not None}), flush=True)
        return
    name = f"{what} {precision}" if precision else what
    lines = textwrap.wrap(found, COLUMNS - INDENT, break_long_words=False) if len(found) > COLUMNS - INDENT else [found]
    print(f"{state:<8} {name:<20} " + ("\n" + " " * INDENT).join(lines), flush=True)


def in_a_line(error):
    """The error as one line of text of limited length."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def resnet34():
    class Block(nn.Module):
        def __init__(self, before, after, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(after)
            self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(after)
            same = stride == 1 and before == after
            shortcut = [] if same else [nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)]
            self.shortcut = nn.Sequential(*shortcut)

        def forward(self, x):
            y = torch.relu(self.bn1(self.conv1(x)))
            return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))

    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    before = 64
    for after, blocks in [(64, 3), (128, 4), (256, 6), (512, 3)]:
        for index in range(blocks):
            layers.append(Block(before, after, 2 if index == 0 and after > 64 else 1))
            before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1), nn.Sigmoid())


def measure(network, image, rounds):
    """The 50th, 99th and 99.9th percentile of `rounds` times in milliseconds, after 10 rounds that are not timed."""
    times = []
    with torch.inference_mode():
        for _ in range(10):
            network(image).item()
        for _ in range(rounds):
            start = time.perf_counter()
            network(image).item()
            times.append(1e3 * (time.perf_counter() - start))
    times.sort()
    return [times[int((rounds - 1) * share + 0.5)] for share in (0.5, 0.99, 0.999)]


def lacks_for_compiling():
    """What torch.compile needs and this machine lacks: Triton, or what Triton needs to compile its launcher. None if complete."""
    if importlib.util.find_spec("triton") is None:
        return "the Python package triton"
    if not (os.environ.get("CC") or any(shutil.which(name) for name in ("cc", "gcc", "clang"))):
        return "a C compiler (Debian: gcc)"
    header = os.path.join(sysconfig.get_path("include"), "Python.h")
    return None if os.path.exists(header) else f"{header} (Debian: python3-dev)"


def time_network(size, rounds, device):
    """Prints rows for f32 without and with TF32 and for f16, each eager and compiled. Returns whether there was no failure."""
    lacks = lacks_for_compiling()
    is_sound = True
    for kind, precision, tf32 in [
        (torch.float32, "f32", False),
        (torch.float32, "f32", True),
        (torch.float16, "f16", False),
    ]:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        words = f", TF32 {'on' if tf32 else 'off'}" if precision == "f32" else ""
        for name in ("eager", "compiled"):
            mode = {"mode": name, "tf32": tf32}
            if name == "compiled" and lacks:
                row("SKIPPED", precision, f"compiled{words}: torch.compile needs {lacks}", **mode)
                continue
            try:
                torch.compiler.reset()
                network = resnet34().eval().to(device, kind)
                image = torch.rand(1, 3, size["height"], size["width"], device=device, dtype=kind)
                run = torch.compile(network) if name == "compiled" else network
                p50, p99, p999 = measure(run, image, rounds)
            except Exception as error:
                is_sound = False
                row("FAILURE", precision, f"{name}{words}: {in_a_line(error)}", **mode)
                continue
            times = f"p50 {p50:8.2f}  p99 {p99:8.2f}  p99.9 {p999:8.2f} ms of {rounds}"
            figures = {"p50_ms": p50, "p99_ms": p99, "p99.9_ms": p999}
            row("OK", precision, f"{times}; {name}{words}", **mode, figures=figures)
    return is_sound


def main():
    global torch, nn
    if importlib.util.find_spec("torch") is None:
        row("SKIPPED", None, "python3 has no torch")
        return 0
    import torch
    from torch import nn

    if not torch.cuda.is_available():
        row("SKIPPED", None, f"torch {torch.__version__} finds no GPU")
        return 0
    with open(sys.argv[1], encoding="utf-8") as file:
        size = json.load(file)["size"]
    row("OK", None, f"torch {torch.__version__}; ResNet-34 alone, its input on the GPU, 1x3x{size['height']}x{size['width']}")
    return 0 if time_network(size, int(sys.argv[2]), "cuda") else FAILED


if __name__ == "__main__":
    try:
        status = main()
    except Exception as error:
        row("FAILURE", None, in_a_line(error))
        status = FAILED
    sys.exit(status)
