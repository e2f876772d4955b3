"""Compares cross-validation from cached features with a forward pass of every image in every epoch, for the paper's recipe.

  crossval.py PROGRAM

PROGRAM is cellgate-trainer. It cross-validates synthetic electrodes with one conversion twice: with an empty cache, then from
the cache. The paper's way, in PyTorch, uses the same weights, image size and number of images, and also all cores. It is
measured over a few steps on random images (forward through the frozen network, backward through the head, Adam) and
extrapolated to training images of a fold x epochs x folds. This time does not include reading and converting images, which
favours the paper's way.

If cross-validation from the cache is not 100 times as fast, the exit status is 1 and a message says so.
"""

import pathlib
import subprocess
import sys
import tempfile
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "oracle"))
import resnet34

PARTS, BUNDLES, EPOCHS, SIDE, BATCH = 120, 6, 50, 224, 32
ASKED = 100


def crossval(program, folder, out):
    command = [program, "crossval", folder / "data", "--out", folder / out, "--backbone", folder / "weights.pth"]
    command += ["--cache", folder / "cache", "--methods", "global", "--recipe", "paper", "--epochs", str(EPOCHS)]
    start = time.perf_counter()
    subprocess.run([*command, "--size", f"{SIDE}x{SIDE}"], check=True, capture_output=True)
    return time.perf_counter() - start


def seconds_an_image(weights):
    state = {name: value.detach() for name, value in torch.load(weights).items()}
    head = torch.nn.Sequential(
        torch.nn.Linear(512, 1000), torch.nn.ReLU(), torch.nn.Linear(1000, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 256), torch.nn.ReLU(), torch.nn.Linear(256, 2),
    )
    optimiser = torch.optim.Adam(head.parameters(), lr=0.001)
    images, labels = torch.randn(BATCH, 3, SIDE, SIDE), torch.randint(0, 2, (BATCH,))
    steps = []
    for _ in range(4):
        start = time.perf_counter()
        with torch.no_grad():
            features = list(resnet34.stages(state, images))[3].mean((2, 3))
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(head(features), labels).backward()
        optimiser.step()
        steps.append(time.perf_counter() - start)
    return min(steps[1:]) / BATCH


def main(program):
    program = pathlib.Path(program).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        synth = [program, "synth", folder / "data", "--parts", str(PARTS), "--bundles", str(BUNDLES), "--scale", "0.2"]
        subprocess.run(synth, check=True, capture_output=True)
        resnet34.make_weights(1, folder / "weights.pth", folder / "legacy.pth")
        empty = crossval(program, folder, "first")
        image = seconds_an_image(folder / "weights.pth")
        cached = crossval(program, folder, "second")
    passes = PARTS * (BUNDLES - 1) * EPOCHS
    python = passes * image
    print(f"{PARTS} images of {SIDE} x {SIDE}, {BUNDLES} folds, {EPOCHS} epochs, {torch.get_num_threads()} threads")
    print(f"  forward passes in every epoch  {python:8.1f} s  ({passes} x {1000 * image:.1f} ms, extrapolated)")
    print(f"  ours, empty cache              {empty:8.1f} s  {python / empty:6.1f} times as fast")
    print(f"  ours, from cached features     {cached:8.1f} s  {python / cached:6.1f} times as fast, asked: {ASKED}")
    if python / cached < ASKED:
        print(f"missed: from cached features {python / cached:.1f} times as fast, asked: {ASKED}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(sys.argv[1]))
