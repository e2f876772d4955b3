"""Computes the verdicts of bundles with reference parts again, from the exported journal, the model and the images, by models/FORMAT.md,
edge/README.md and edge/JOURNAL.md alone.

  bundles.py MODEL ROWS.jsonl EVENTS.jsonl IMAGES
      ROWS.jsonl and EVENTS.jsonl are the output of `cellgate-edge journal export --format jsonl`, without and with --events. IMAGES is a
      folder with the images of all parts. An image is found by its digest in the row.

The events only say which bundle was started, which parts were confirmed, and between which rows. All numbers come from rows, policy.json
and images: offset, guard and centre from the raw logits and whitened features of the confirmed parts, the envelope from the images.
Only a part that was judged with an offset has its distance from the row, because rows have features in the reference phase only.

Prints one JSON line per bundle and one at the end. Exit status 1 with the differences if a row or an event differs. Verdicts, reasons,
thresholds and the guard's decision must be equal, numbers up to the rounding of f64 (TOLERANCE).
"""

import collections
import hashlib
import json
import math
import pathlib
import statistics
import struct
import sys

import numpy as np
from PIL import Image

TOLERANCE = 1e-12
# The score is an f32: half a unit in its last place is a relative error of 6e-8.
SCORE_TOLERANCE = 1e-7
POINT = ["review_from", "reject_from", "slope", "intercept", "largest_distance"]


# Quantiles of Student's t and of F


def incomplete_beta(x, a, b):
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x > 0)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(1 - x)) / a
    fraction = 1.0
    for m in range(200, 0, -1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m - 1) * (a + b + m - 1) * x / ((a + 2 * m - 2) * (a + 2 * m - 1))
        fraction = 1 + odd / (1 + even / fraction)
    return front / fraction


def quantile(cumulative, share):
    low, high = 0.0, 1.0
    while cumulative(high) < share:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if cumulative(middle) < share else (low, middle)
    return high


def t_quantile(freedom, share):
    return quantile(lambda t: 1 - incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2, share)


def f_quantile(above, below, share):
    return quantile(lambda f: incomplete_beta(above * f / (above * f + below), above / 2, below / 2), share)


# Offset and guard: models/FORMAT.md, policy.json


def features_of(row):
    return np.frombuffer(bytes.fromhex(row["features"]), "<f4").astype(np.float64)


def offset_of(logits, reference):
    m, between, within = (reference[name] for name in ("mean", "between_variance", "within_variance"))
    k, x = len(logits), statistics.median(logits)
    total = k * between + within
    weight = k * between / total if total > 0 else 0.0
    return m + weight * min(x - m, math.sqrt(between))


def guard_refuses(logits, centre, policy):
    reference = policy["reference"]
    m, between, within = (reference[name] for name in ("mean", "between_variance", "within_variance"))
    k, bundles, freedom = len(logits), reference["bundles"], min(reference["degrees_of_freedom"], 5000)
    spread = math.sqrt(between * (1 + 1 / bundles) + within / k)
    largest = policy["without"]["largest_distance"]
    return {
        "median": abs(statistics.median(logits) - m) > t_quantile(bundles - 1, 0.995) * spread,
        "variance": k > 1 and statistics.variance(logits) > within * f_quantile(k - 1, freedom, 0.99),
        "distance": largest is not None and math.hypot(*centre) > largest,
    }


# The envelope: models/FORMAT.md, envelope.json


def measures(path):
    with Image.open(path) as image:
        levels = np.asarray(image).astype(np.int64)
    height, width = levels.shape
    rows = levels[::2]
    count, ordered = rows.size, np.sort(rows, axis=None)
    saturated = rows >= 65520
    for largest in (4095, 8191, 16383, 32767):
        if np.count_nonzero(rows > largest) * 10_000 <= count:
            saturated |= rows >= largest
    total = int(rows.sum())
    return {
        "height": height,
        "width": width,
        "zeros_ppm": np.count_nonzero(rows == 0) * 1_000_000 // count,
        "saturated_ppm": np.count_nonzero(saturated) * 1_000_000 // count,
        "level_p50": ordered[(count + 1) // 2 - 1],
        "level_p1": ordered[(count + 99) // 100 - 1],
        "level_p99": ordered[(99 * count + 99) // 100 - 1],
        "sharpness_ppm": int(np.abs(np.diff(rows, axis=1)).sum()) * 1_000_000 // total if total else 0,
    }


def outside(found, envelope):
    return {name for name, value in found.items() if not envelope[name]["low"] <= value <= envelope[name]["high"]}


# The journal


class Bundle:
    """A bundle between its start and its end."""

    def __init__(self, start):
        self.number = start["bundle"]
        self.wanted = start["figures"]["reference_parts"]
        self.confirmed = []
        self.refused = None
        self.offset, self.centre = None, None

    def step(self):
        if self.refused is None:
            return "REFERENCE"
        return "UNLIKE_TRAINING" if self.refused else "OFFSET"


class Check:
    def __init__(self, model, images):
        self.policy = json.loads((model / "policy.json").read_text())
        self.envelope = json.loads((model / "envelope.json").read_text())
        self.images = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in images.rglob("*.tif")}
        self.bundle = None
        self.differences = []
        self.verdicts = collections.Counter()
        self.rows = {}
        self.largest_difference = 0.0

    def equal(self, where, found, expected):
        if found != expected:
            self.differences.append(f"{where}: found {found}, expected {expected}")

    def close(self, where, found, expected, tolerance=TOLERANCE):
        difference = abs(found - expected) / (1 + abs(expected))
        self.largest_difference = max(self.largest_difference, difference if tolerance == TOLERANCE else 0.0)
        if not difference <= tolerance:
            self.differences.append(f"{where}: found {found}, expected {expected}")

    def event(self, event):
        kind, figures, where = event["kind"], event["figures"], f"event {event['number']}"
        if kind == "BUNDLE_STARTED":
            self.bundle = Bundle(event)
        elif kind == "REFERENCE_CONFIRMED":
            row = self.rows[figures["seq"]]
            self.equal(where, (event["bundle"], figures["part"]), (row["bundle"], row["part"]))
            self.equal(f"{where}: logit", logit_of(figures), logit_of(row))
            is_other_reject = row["verdict"] == "REJECT" and row["reason"] != "SCORE_FROM_REJECT"
            self.equal(f"{where}: a REJECT, not by its score", is_other_reject, False)
            self.bundle.confirmed.append(row)
        elif kind == "OFFSET":
            self.offset(where, figures)
        elif kind == "BUNDLE_ENDED":
            self.equal(where, event["bundle"], self.bundle.number)
            self.bundle = None

    def offset(self, where, figures):
        """Compares what the bundle's confirmed parts give with the event."""
        bundle = self.bundle
        self.equal(f"{where}: parts", sorted(figures["parts"]), sorted(row["seq"] for row in bundle.confirmed))
        self.equal(f"{where}: number of parts", len(bundle.confirmed), bundle.wanted)
        logits, reference = [logit_of(row) for row in bundle.confirmed], self.policy["reference"]
        centre = np.median([features_of(row) for row in bundle.confirmed], axis=0)
        rules = guard_refuses(logits, centre, self.policy)
        bundle.refused = sorted(rule for rule, refuses in rules.items() if refuses)
        self.equal(f"{where}: refused", figures["refused"] is not None, bool(bundle.refused))
        bundle.offset, bundle.centre = 0.0, np.zeros(len(centre))
        if not bundle.refused:
            bundle.offset, bundle.centre = offset_of(logits, reference), centre
            self.close(f"{where}: offset", figures["offset"], bundle.offset)
            for found, expected in zip(figures["centre"], centre, strict=True):
                self.close(f"{where}: centre", found, expected)
        print(json.dumps({
            "bundle": bundle.number,
            "parts": [row["part"] for row in bundle.confirmed],
            "offset": bundle.offset,
            "limited": statistics.median(logits) - reference["mean"] > math.sqrt(reference["between_variance"]),
            "refused": bundle.refused,
        }))  # fmt: skip

    def row(self, row):
        self.rows[row["seq"]] = row
        where = f"part {row['part']}"
        self.equal(f"{where}: bundle", row["bundle"], self.bundle.number if self.bundle else 0)
        step = self.bundle.step() if self.bundle else "NONE"
        found_outside = outside(measures(self.images[row["image"]]), self.envelope)
        if found_outside & {"height", "width", "zeros_ppm", "saturated_ppm"}:
            verdict, reason = "REJECT", "IMAGE_OUT_OF_ENVELOPE"
            self.equal(f"{where}: logit", row["raw_logit"], None)
        else:
            verdict, reason = self.judged(where, row, step)
            if found_outside and verdict != "REJECT":
                verdict, reason = "REVIEW", "IMAGE_UNLIKE_TRAINING"
        self.equal(where, (row["verdict"], row["reason"]), (verdict, reason))
        self.verdicts[row["bundle"], step, verdict, reason] += 1

    def judged(self, where, row, step):
        """Verdict and reason of a part that the network judged, apart from the envelope."""
        point = self.policy["with" if step == "OFFSET" else "without"]
        for name in POINT:
            self.equal(f"{where}: {name}", row[name], point[name])
        offset = self.bundle.offset if step == "OFFSET" else 0.0
        self.close(f"{where}: offset", row["offset"], offset)
        self.equal(f"{where}: has features", row["features"] is not None, step == "REFERENCE")
        distance = row["distance"]
        if step == "REFERENCE":
            distance = float(np.linalg.norm(features_of(row)))
            self.close(f"{where}: distance", row["distance"], distance)
        logit = logit_of(row) - offset
        score = 1 / (1 + math.exp(-(point["slope"] * logit + point["intercept"])))
        self.close(f"{where}: score", row["score"], score, SCORE_TOLERANCE)
        if logit >= point["reject_from"]:
            return "REJECT", "SCORE_FROM_REJECT"
        if step == "REFERENCE":
            return "REVIEW", "REFERENCE_PART"
        if step == "UNLIKE_TRAINING":
            return "REVIEW", "BUNDLE_UNLIKE_TRAINING"
        if logit >= point["review_from"]:
            return "REVIEW", "SCORE_FROM_REVIEW"
        if point["largest_distance"] is not None and distance > point["largest_distance"]:
            return "REVIEW", "UNLIKE_TRAINING"
        return "PASS", "SCORE_BELOW_REVIEW"


def logit_of(entry):
    """The raw logit as the f32 that it is; JSON has the shortest digits that give it."""
    return struct.unpack("<f", struct.pack("<f", entry["raw_logit"]))[0]


def lines(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


def main(model, rows, events, images):
    check = Check(pathlib.Path(model), pathlib.Path(images))
    # An event comes after the row that it names as the newest one.
    entries = [(row["seq"], 0, row["seq"], check.row, row) for row in lines(rows)]
    entries += [(event["newest_seq"], 1, event["number"], check.event, event) for event in lines(events)]
    for *_, handle, entry in sorted(entries, key=lambda entry: entry[:3]):
        handle(entry)
    for difference in check.differences:
        print(difference)
    counts = [[*key, count] for key, count in sorted(check.verdicts.items())]
    print(json.dumps({
        "rows": len(check.rows), "counts": counts, "largest_difference": check.largest_difference,
        "differences": len(check.differences),
    }))  # fmt: skip
    return bool(check.differences)


sys.exit(main(*sys.argv[1:]))
