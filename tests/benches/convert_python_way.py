"""The paper's way from a TIFF to the network's input in Python. benches/convert.rs starts it and requests timings.

Usage: convert_python_way.py IMAGE HEIGHTxWIDTH LO,HI
Reads one request per line and answers each with one line:
  time METHOD    milliseconds of one conversion (global or local)
  digest METHOD  SHA-256 of the tensor's bytes
"""

import hashlib
import sys
import time

import numpy as np
import torch
from PIL import Image

torch.set_num_threads(1)
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def tensor(path, size, bounds, method):
    with Image.open(path) as image:
        levels = np.asarray(image)
    lo, hi = bounds if method == "global" else (np.round(np.percentile(levels, percent)) for percent in (0.01, 99.99))
    spread = (np.clip(levels, lo, hi) - lo) / (hi - lo) * 256
    levels8 = np.minimum(spread, 255).astype(np.uint8)
    resized = Image.fromarray(levels8).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    grey = torch.from_numpy(np.array(resized)).to(torch.float32).div(255)
    return grey.expand(3, -1, -1).sub(MEAN).div_(STD)


def main():
    path = sys.argv[1]
    size = tuple(int(side) for side in sys.argv[2].split("x"))
    bounds = tuple(int(bound) for bound in sys.argv[3].split(","))
    for line in sys.stdin:
        request, method = line.split()
        start = time.perf_counter()
        result = tensor(path, size, bounds, method)
        milliseconds = (time.perf_counter() - start) * 1e3
        print(milliseconds if request == "time" else hashlib.sha256(result.numpy().tobytes()).hexdigest(), flush=True)


if __name__ == "__main__":
    main()
