"""Times PyTorch's ResNet-34 with one output on the GPU: torch_latency.py CONVERSION_JSON ROUNDS.

The network's input has the size of the bundle's conversion. Random weights: they don't change how long it takes.
"""

import json
import sys
import time

import torch
from torch import nn


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


def resnet34():
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    before = 64
    for after, blocks in [(64, 3), (128, 4), (256, 6), (512, 3)]:
        for index in range(blocks):
            layers.append(Block(before, after, 2 if index == 0 and after > 64 else 1))
            before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1), nn.Sigmoid())


def measure(network, image, rounds):
    times = []
    with torch.inference_mode():
        for _ in range(10):
            network(image).item()
        for _ in range(rounds):
            start = time.perf_counter()
            network(image).item()
            times.append(1e3 * (time.perf_counter() - start))
    times.sort()
    return " ".join(f"{times[round((rounds - 1) * share)]:.2f}" for share in (0.5, 0.99, 0.999))


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        size = json.load(file)["size"]
    rounds = int(sys.argv[2])
    for kind in (torch.float32, torch.float16):
        network = resnet34().eval().to("cuda", kind)
        image = torch.rand(1, 3, size["height"], size["width"], device="cuda", dtype=kind)
        for name, run in (("eager", network), ("compiled", torch.compile(network))):
            try:
                words = measure(run, image, rounds)
            except Exception as error:  # A compiler that is missing is a finding, not the end.
                words = f"failed: {str(error).splitlines()[0]}"
            print(f"OK       PyTorch          {torch.__version__} {name} {kind}, p50 p99 p99.9 in ms: {words}", flush=True)


main()
