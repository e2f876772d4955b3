"""Computes with NumPy, Pillow and ONNX Runtime for Python where a model's network looks, and compares the figures with those of
`cellgate-trainer localize`.

  localize.py MODEL DATASET FOUND.json
      FOUND.json is the output of `localize --json`. The maps of the network, and a map that falls with the distance from the
      centre, are compared with the masks. AUPRO is computed from all pixels without thresholds. Exit status 1 if a number of
      images or pieces or a pointing game differs, or AUPRO by more than 0.002.

It supports the paper's four conversions and TIFFs that Pillow reads.
"""

import collections
import csv
import json
import pathlib
import sys

import numpy as np
import onnxruntime
from PIL import Image

from convert import channels

STEP = 16
LIMIT = 0.3


def network_input(levels, spec, size):
    """The network's input."""
    bounds = spec.get("bounds")
    made = channels(levels, spec["method"], (bounds["lo"], bounds["hi"]) if bounds else None)
    made = [np.asarray(Image.fromarray(channel).resize(size[::-1], Image.Resampling.BILINEAR)) for channel in made]
    planes = np.stack(made if len(made) == 3 else made * 3).astype(np.float32) / np.float32(255)
    mean, std = (np.float32(spec[name]).reshape(3, 1, 1) for name in ("mean", "std"))
    return ((planes - mean) / std)[None].astype(np.float32)


def around(cells, length, pixels):
    """For each pixel the cell before it, the cell after it, and the way between them."""
    at = np.clip(((np.arange(pixels) + 0.5) * length / pixels - 0.5) / STEP, 0, None)
    before = np.minimum(np.floor(at).astype(int), cells - 1)
    return before, np.minimum(before + 1, cells - 1), at - np.floor(at)


def upsample(shares, size, shape):
    """The shares of the cells at each pixel of an image of `shape`."""
    shares = shares.astype(np.float64)
    before, after, way = around(shares.shape[0], size[0], shape[0])
    shares = shares[before] + (shares[after] - shares[before]) * way[:, None]
    before, after, way = around(shares.shape[1], size[1], shape[1])
    return (shares[:, before] + (shares[:, after] - shares[:, before]) * way).astype(np.float32)


def pieces(mask):
    """The connected pieces of a mask (sides or corners), each as an array of the indices of its pixels."""
    left, found = mask.copy(), []
    for start in zip(*np.nonzero(mask)):
        waiting, piece = [start], []
        while waiting:
            row, column = waiting.pop()
            if 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and left[row, column]:
                left[row, column] = False
                piece.append(row * mask.shape[1] + column)
                waiting += [(row + y, column + x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        if piece:
            found.append(np.array(piece))
    return found


def points(shares, size, mask):
    """Whether the cell with the highest share touches the mask."""
    cell = np.unravel_index(np.argmax(shares), shares.shape)
    ranges = []
    for at, cells, length, pixels in zip(cell, shares.shape, size, mask.shape):
        # The edges are half a pixel away from the middle between two centres.
        begin = 0 if at == 0 else int(np.floor((STEP * at - 7.5) * pixels / length))
        end = pixels if at == cells - 1 else int(np.ceil((STEP * at + 8.5) * pixels / length))
        ranges.append(slice(begin, end))
    return bool(mask[tuple(ranges)].any())


def aupro(outside, of_pieces):
    """The area under the mean overlap over the false positive rate, from the values outside of masks and those of each piece."""
    values = np.unique(np.concatenate([outside, *of_pieces]))[::-1]
    above = lambda some: np.searchsorted(np.sort(-some), -values, side="right") / len(some)
    rates, overlaps = above(outside), sum(above(piece) for piece in of_pieces) / len(of_pieces)
    rates, overlaps = np.concatenate([[0], rates]), np.concatenate([[0], overlaps])
    inside = rates < LIMIT
    rates, overlaps = np.append(rates[inside], LIMIT), np.append(overlaps[inside], np.interp(LIMIT, rates, overlaps))
    return float(np.sum(np.diff(rates) * (overlaps[1:] + overlaps[:-1]) / 2) / LIMIT)


def main(model, dataset, found):
    model, dataset = pathlib.Path(model), pathlib.Path(dataset)
    found = json.loads(pathlib.Path(found).read_text())
    spec = json.loads((model / "conversion.json").read_text())
    size = (spec["size"]["height"], spec["size"]["width"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model / "network.onnx"), options, providers=["CPUExecutionProvider"])
    y, x = ((STEP * np.arange(-(-length // STEP)) + 0.5) / length * 2 - 1 for length in size)
    centre = (1 - np.hypot(y[:, None], x[None])).astype(np.float32)

    outside, of_kind, hits = (collections.defaultdict(list) for _ in range(3))
    images = collections.Counter()
    for row in csv.DictReader((dataset / "manifest.csv").open(newline="")):
        levels = np.asarray(Image.open(dataset / row["image"])).astype(np.int64)
        kinds = row["anomalies"].split(";") if row["masks"] else []
        masks = [np.asarray(Image.open(dataset / name)) > 0 for name in row["masks"].split(";") if name]
        everything = np.any([np.zeros(levels.shape, bool), *masks], axis=0)
        if row["label"] == "abnormal" and not everything.any():
            continue
        images[row["label"]] += 1
        network = session.run(["map"], {"image": network_input(levels, spec, size)})[0][0]
        for name, shares in (("network", network), ("centre", centre)):
            values = upsample(shares, size, levels.shape)
            outside[name].append(values[~everything])
            if row["label"] == "normal":
                continue
            hits[name, None].append(points(shares, size, everything))
            for kind in {kind for kind, mask in zip(kinds, masks) if mask.any()}:
                mask = np.any([mask for other, mask in zip(kinds, masks) if other == kind], axis=0)
                hits[name, kind].append(points(shares, size, mask))
            for kind, mask in zip(kinds, masks):
                of_kind[name, kind] += [values.ravel()[piece] for piece in pieces(mask)]

    differences, largest = [], 0.0
    compare = lambda what, here, there: here == there or differences.append(f"{what}: found {there}, expected {here}")
    for label in ("normal", "abnormal"):
        compare(label, images[label], found[label])
    for name in ("network", "centre"):
        values = np.concatenate(outside[name])
        names = sorted({kind for _, kind in of_kind if of_kind[name, kind]})
        compare("kinds", names, [kind["anomaly"] for kind in found["kinds"]])
        everything = [piece for kind in names for piece in of_kind[name, kind]]
        rows = [(None, everything, found[name])]
        rows += [(kind, of_kind[name, kind], row) for kind, row in zip(names, found[name]["kinds"])]
        for kind, of_pieces, row in rows:
            expected = aupro(values, of_pieces)
            largest = max(largest, abs(expected - row["aupro"]))
            if not abs(expected - row["aupro"]) <= 0.002:
                differences.append(f"{name}, {kind}: found AUPRO {row['aupro']}, expected {expected}")
            compare(f"{name}, {kind}, pointing", sum(hits[name, kind]), row["pointing"]["count"])
            compare(f"{name}, {kind}, images", len(hits[name, kind]), row["pointing"]["of"])
        compare("pieces", [len(of_kind[name, kind]) for kind in names], [kind["pieces"] for kind in found["kinds"]])
    print("\n".join(differences) or f"{sum(images.values())} images, largest difference of AUPRO {largest:.1e}")
    return 1 if differences else 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
