"""Computes logits, scores and distances from TIFFs and a model with NumPy, Pillow and ONNX Runtime for Python, and compares them with the
device's.

  logit.py MODEL JUDGED.jsonl
      JUDGED.jsonl is the output of `cellgate-edge inspect` without --reference. Each image is decoded, converted, resized, normalised and sent
      through the model's network, without any code of the device. Prints the largest difference. Exit status 1 if a
      score differs by more than 1e-4, a logit or the sum of its map by so much that the score could, or a distance by more than 0.1 % of
      itself (of 1 if it is smaller).

It supports the paper's four conversions and TIFFs that Pillow reads.
"""

import json
import math
import pathlib
import sys

import numpy as np
import onnxruntime
from PIL import Image

from convert import channels


def main(model, judged):
    model = pathlib.Path(model)
    conversion = json.loads((model / "conversion.json").read_text())
    bounds = conversion.get("bounds")
    bounds = (bounds["lo"], bounds["hi"]) if bounds else None
    point = json.loads((model / "policy.json").read_text())["without"]
    size = (conversion["size"]["width"], conversion["size"]["height"])
    mean, std = (np.float32(conversion[name]).reshape(3, 1, 1) for name in ("mean", "std"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model / "network.onnx"), options, providers=["CPUExecutionProvider"])

    largest = 0.0
    lines = [json.loads(line) for line in pathlib.Path(judged).read_text().splitlines()]
    for line in lines:
        levels = np.asarray(Image.open(line["path"])).astype(np.int64)
        made = channels(levels, conversion["method"], bounds)
        resized = [np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BILINEAR)) for channel in made]
        planes = np.stack(resized if len(resized) == 3 else resized * 3).astype(np.float32) / np.float32(255)
        tensor = ((planes - mean) / std)[None].astype(np.float32)
        logit, shares, features = session.run(["logit", "map", "features"], {"image": tensor})
        logit, total = float(logit.reshape(-1)[0]), float(shares.astype(np.float64).sum())
        score = 1 / (1 + math.exp(-(point["slope"] * logit + point["intercept"])))
        # A logit's difference times slope / 4 is the largest difference of the score.
        of_logits = np.array([logit - line["logit"], total - logit])
        # NumPy's maximum of numbers with a NaN is NaN.
        difference = np.abs([score - line["score"], *(of_logits * point["slope"] / 4)]).max()
        if not difference <= 1e-4:
            print(f"{line['path']}: device {line['logit']} ({line['score']}), Python {logit} ({score}), sum of the map {total}")
            return 1
        largest = max(largest, difference)
        distance = float(np.linalg.norm(features.astype(np.float64)))
        if not abs(distance - line["distance"]) <= 1e-3 * max(distance, 1.0):
            print(f"{line['path']}: distance on the device {line['distance']}, Python {distance}")
            return 1
    print(f"{len(lines)} images, largest difference {largest:.2e}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
