"""The oracle of the conversion: computes with NumPy and Pillow what the Rust code must match byte for byte.

  convert.py cases FOLDER
      tests/offline/convert_oracle.rs writes FOLDER/cases.json: the levels of an image and the results for them, which are
      percentiles, bounds, 8-bit images and tensors. Each result is computed again and compared.

  convert.py command TEMPLATE IMAGE...
      Runs a program on each TIFF for each method and size, and compares its PNG. {image}, {out}, {method} and {options}
      in the template are replaced. {options} are --bounds LO,HI and --size HxW, if they apply:
      convert.py command 'cellgate-trainer convert {image} {out} --method {method} {options}' a.tif b.tif

Exit status: 0 all equal, 1 a result differs, 2 misuse.
"""

import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

METHODS = ["naive", "global", "local", "mixed"]
SIZES = [None, (2000, 1000), (224, 224)]
MEAN = np.float32([0.485, 0.456, 0.406])
STD = np.float32([0.229, 0.224, 0.225])


def global_bounds(images):
    """The paper's global bounds over several images."""
    percentiles = np.array([np.percentile(levels, [0.01, 99.99]) for levels in images])
    return np.round(percentiles[:, 0].min(), -2), np.round(percentiles[:, 1].max(), -2)


def local_bounds(levels):
    """The paper's local bounds."""
    return tuple(np.round(np.percentile(levels, [0.01, 99.99])))


def between(levels, bounds):
    """The paper's formula in double precision. With equal bounds, levels above them are 255, all others 0."""
    lo, hi = (np.float64(bound) for bound in bounds)
    if lo == hi:
        return np.where(levels > lo, 255, 0).astype(np.uint8)
    spread = (np.clip(levels, lo, hi) - lo) / (hi - lo) * 256
    return np.minimum(np.trunc(spread), 255).astype(np.uint8)


def channels(levels, method, bounds):
    """The 8-bit channels at the image's own size."""
    made = {
        "naive": lambda: (levels // 256).astype(np.uint8),
        "global": lambda: between(levels, bounds),
        "local": lambda: between(levels, local_bounds(levels)),
    }
    return [made[name]() for name in (["naive", "global", "local"] if method == "mixed" else [method])]


def convert(levels, method, bounds, size):
    """The 8-bit channels at `size` (height, width), stacked."""
    made = [Image.fromarray(channel) for channel in channels(levels, method, bounds)]
    if size is not None:
        made = [image.resize((size[1], size[0]), Image.Resampling.BILINEAR) for image in made]
    return np.stack([np.asarray(image) for image in made])


def tensor(levels8):
    """The network's input, computed as by torchvision's to_tensor and normalize."""
    shares = np.broadcast_to(levels8, (3, *levels8.shape[1:])).astype(np.float32) / np.float32(255)
    return (shares - MEAN[:, None, None]) / STD[:, None, None]


def difference(found, expected):
    """A description of the difference of two arrays, or None if they are equal."""
    if found.shape != expected.shape:
        return f"shape {found.shape}, expected {expected.shape}"
    if found.tobytes() == expected.tobytes():
        return None
    places = np.argwhere(found != expected)
    first = tuple(places[0])
    return f"{len(places)} of {found.size} differ, the first at {first}: {found[first]}, expected {expected[first]}"


def check_cases(folder):
    """Yields the differences in the cases of one folder."""
    case = json.loads((folder / "cases.json").read_text())
    levels = np.fromfile(folder / "levels", np.uint16).reshape(case["height"], case["width"])
    for percent, found in case["percentiles"]:
        expected = float(np.percentile(levels, percent))
        if found != expected:
            yield f"percentile {percent}: {found!r}, expected {expected!r}"
    if tuple(case["local_bounds"]) != local_bounds(levels):
        yield f"local bounds: {case['local_bounds']}, expected {local_bounds(levels)}"
    expected = global_bounds([levels])
    if tuple(case["global_bounds"]) != expected:
        yield f"global bounds: {case['global_bounds']}, expected {expected}"
    for made in case["images"]:
        name = f"{made['method']} at {made['size']}, bounds {made['bounds']}"
        expected = convert(levels, made["method"], made["bounds"], made["size"])
        found = np.fromfile(folder / made["levels8"], np.uint8)
        if found.size == expected.size:
            found = found.reshape(expected.shape)
        if said := difference(found, expected):
            yield f"{name}: {said}"
        elif made["tensor"] is not None:
            expected = tensor(expected)
            found = np.fromfile(folder / made["tensor"], np.float32).reshape(expected.shape)
            if said := difference(found, expected):
                yield f"{name}: tensor: {said}"


def read_tiff(path):
    """Returns the levels of a radiograph as Pillow reads them, and None; or None and the reason.

    Tags: 258 bits per sample, 262 photometric interpretation (0: white is zero), 339 sample format (1: unsigned)."""
    try:
        with Image.open(path) as image:
            if not image.mode.startswith("I;16"):
                return None, f"Pillow reads it as mode {image.mode}"
            bits, kind = image.tag_v2.get(258, (1,))[0], image.tag_v2.get(339, (1,))[0]
            if getattr(image, "n_frames", 1) > 1 or bits != 16 or kind != 1:
                return None, f"{getattr(image, 'n_frames', 1)} pages, {bits} bits, sample format {kind}"
            levels = np.asarray(image).astype(np.uint16)
            return (65535 - levels if image.tag_v2.get(262) == 0 else levels), None
    except Exception as error:  # Pillow has no common base class for the errors of broken files.
        return None, f"Pillow: {error}"


def check_command(template, paths):
    """Yields the differences between a program's PNGs and the oracle. Prints skipped files."""
    images = {}
    for path in paths:
        levels, reason = read_tiff(path)
        if levels is None:
            print(f"skipped {path}: {reason}")
        else:
            images[path] = levels
    if not images:
        yield "no image that can be compared"
        return
    bounds = tuple(int(bound) for bound in global_bounds(images.values()))
    print(f"{len(images)} images, bounds {bounds[0]},{bounds[1]}")
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out.png"
        for path, levels in images.items():
            for method in METHODS:
                for size in SIZES:
                    options = [] if method in ("naive", "local") else ["--bounds", f"{bounds[0]},{bounds[1]}"]
                    options += [] if size is None else ["--size", f"{size[0]}x{size[1]}"]
                    words = {"{image}": [str(path)], "{out}": [str(out)], "{method}": [method], "{options}": options}
                    command = [argument for word in shlex.split(template) for argument in words.get(word, [word])]
                    out.unlink(missing_ok=True)
                    ran = subprocess.run(command, capture_output=True, text=True)
                    if ran.returncode != 0:
                        yield f"{path}: {shlex.join(command)}: status {ran.returncode}: {ran.stderr.strip()}"
                        continue
                    found = np.asarray(Image.open(out))
                    found = found[None] if found.ndim == 2 else np.moveaxis(found, -1, 0)
                    if said := difference(found, convert(levels, method, bounds, size)):
                        yield f"{path}: {method} at {size}: {said}"


def main(arguments):
    Image.MAX_IMAGE_PIXELS = None
    match arguments:
        case ["cases", folder]:
            found = check_cases(pathlib.Path(folder))
        case ["command", template, *paths] if paths:
            found = check_command(template, paths)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    differences = 0
    for said in found:
        differences += 1
        print(said)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
