#!/usr/bin/env python3
"""Compares the levels that Cellgate reads from TIFFs with those of independent readers.

    cargo run -p cellgate-models --example dump_levels FOLDER OUT
    python tests/oracle/tiff_levels.py FOLDER OUT

FOLDER contains the TIFFs, OUT the output of the example. The readers are Pillow and, if installed, tifffile (with imagecodecs).
This script inverts WhiteIsZero files, since neither reader inverts the depths compared here (9 to 16 bits). Without a
PhotometricInterpretation, levels are used as stored.
Exit status 1 if levels differ, or if there is an image that no reader could read.
"""

import struct
import sys
from pathlib import Path

import numpy as np
from PIL import Image

try:
    import tifffile
except ImportError:
    tifffile = None

PHOTOMETRIC, BITS = 262, 258


def cellgate_levels(path):
    data = path.read_bytes()
    width, height = struct.unpack("<II", data[:8])
    return np.frombuffer(data, "<u2", offset=8).reshape(height, width)


def inverted_if_white_is_zero(levels, photometric, bits):
    return (2**bits - 1 - levels.astype(np.int64)) if photometric == 0 else levels


def pillow_levels(path):
    with Image.open(path) as image:
        if not image.mode.startswith("I;16"):
            raise ValueError(f"mode {image.mode}")
        bits = image.tag_v2[BITS][0]
        if bits != 16:
            raise ValueError(f"{bits} bits")
        return inverted_if_white_is_zero(np.asarray(image), image.tag_v2.get(PHOTOMETRIC, 1), bits)


def tifffile_levels(path):
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        return inverted_if_white_is_zero(page.asarray(), page.tags.valueof(PHOTOMETRIC, default=1), page.bitspersample)


def main(folder, out):
    readers = {"Pillow": pillow_levels}
    if tifffile is None:
        print("skipped: tifffile is not installed")
    else:
        readers["tifffile"] = tifffile_levels
    failures = 0
    for dump in sorted(out.glob("*.levels")):
        name = dump.name.removesuffix(".levels")
        ours = cellgate_levels(dump)
        outcomes = {}
        for reader, levels in readers.items():
            try:
                equal = np.array_equal(levels(folder / name), ours)
                outcomes[reader] = "equal" if equal else "DIFFERENT"
            except Exception as error:  # The reader can't read this file, for whatever reason.
                outcomes[reader] = f"cannot read ({error})"
        failures += "DIFFERENT" in outcomes.values() or "equal" not in outcomes.values()
        print(name, "; ".join(f"{reader}: {outcome}" for reader, outcome in outcomes.items()), sep="\t")
    print(f"{failures} failures")
    return int(failures > 0)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
