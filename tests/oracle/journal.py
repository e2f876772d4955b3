"""Computes the hashes of a journal from edge/JOURNAL.md alone.

usage: journal.py JOURNAL    prints a JSON line for each row, event and anchor: table, number, previous hash and hash
       journal.py --golden   prints the hashes of the golden rows and events in edge/src/journal/hash/tests.rs
"""

import hashlib
import json
import sqlite3
import struct
import sys

KINDS = {"PLC": 1, "FREE_RUNNING": 2}
VERDICTS = {"PASS": 1, "REVIEW": 2, "REJECT": 3}


def sha256(data):
    return hashlib.sha256(data).digest()


def unsigned(number):
    """The unsigned number with the bits of the signed number that SQLite stores."""
    return struct.pack("<Q", number % 2**64)


def text(value):
    return struct.pack("<I", len(value.encode())) + value.encode()


def optional(layout, *values):
    return b"\0" if values[0] is None else b"\1" + struct.pack("<" + layout, *values)


def row_hash(row):
    """The hash of a row, by the section "Bytes that are hashed"."""
    model, image = row["model"], row["image"]
    data = b"cellgate journal %d row\0" % row["form"]
    data += row["previous"] + unsigned(row["seq"]) + struct.pack("<I", row["boot_epoch"])
    data += unsigned(row["trigger_id"]) + bytes([KINDS[row["kind"]]]) + unsigned(row["part"])
    data += struct.pack("<II", row["nonce"], row["deadline_ms"])
    data += struct.pack("<qq", row["received_unix_ms"], row["committed_unix_ms"])
    data += struct.pack("<I", row["age_ms"]) + bytes([VERDICTS[row["verdict"]]]) + text(row["reason"])
    data += optional("f", row["score"])
    data += optional("32s", model) + optional("32s", image) + text(row["image_name"])
    data += optional("HH", row["bounds_low"], row["bounds_high"])
    data += struct.pack("<IIII", row["read_us"], row["convert_us"], row["infer_us"], row["decide_us"])
    data += bytes([row["simulated"] | row["degraded"] << 1]) + text(row["detail"])
    if row["form"] == 2:
        data += struct.pack("<I", row["bundle"]) + optional("f", row["raw_logit"])
        for name in ["offset", "review_from", "reject_from", "slope", "intercept", "distance", "largest_distance"]:
            data += optional("d", row[name])
        data += b"\0" if row["regions"] is None else b"\1" + text(row["regions"])
        data += optional("256s", row["features"])
    return sha256(data)


def event_hash(event):
    data = b"cellgate journal 2 event\0" + event["previous"]
    data += unsigned(event["number"]) + struct.pack("<qI", event["committed_unix_ms"], event["boot_epoch"])
    data += text(event["kind"]) + struct.pack("<I", event["bundle"])
    data += optional("32s", event["model"]) + optional("32s", event["model_before"])
    data += text(event["who"]) + text(event["why"]) + text(event["figures"])
    data += unsigned(event["newest_seq"]) + event["newest_hash"]
    return sha256(data)


def anchor_hash(anchor):
    data = b"cellgate journal 1 anchor\0" + anchor["previous"]
    data += unsigned(anchor["number"]) + unsigned(anchor["first_kept"]) + anchor["last_pruned"]
    data += unsigned(anchor["pruned_rows"]) + struct.pack("<q", anchor["pruned_unix_ms"])
    return sha256(data)


def journal(path):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    (identity,) = database.execute("SELECT identity FROM state").fetchone()
    genesis = sha256(b"cellgate journal 1 genesis\0" + identity)
    event_genesis = sha256(b"cellgate journal 2 event genesis\0" + identity)
    tables = [
        ("anchor", "number", anchor_hash, genesis),
        ("verdict", "seq", row_hash, genesis),
        ("event", "number", event_hash, event_genesis),
    ]
    removed = None
    for table, number, hash_of, previous in tables:
        if table == "verdict" and removed:
            previous = removed
        for row in database.execute(f"SELECT * FROM {table} ORDER BY {number}"):
            if table == "anchor":
                removed = row["last_pruned"]
            found = hash_of(row)
            print(json.dumps({"table": table, "number": row[number], "previous": previous.hex(), "hash": found.hex()}))
            previous = found


def golden():
    regions = '[{"x":23,"y":24,"width":25,"height":26,"share":0.75,"peak":{"x":28,"y":29}}]'
    row = {
        "seq": 0x102, "boot_epoch": 3, "trigger_id": 8, "kind": "FREE_RUNNING", "part": 2**64 - 5, "nonce": 5,
        "deadline_ms": 6, "received_unix_ms": 7, "committed_unix_ms": -19, "age_ms": 13, "verdict": "REVIEW",
        "reason": "SCORE_FROM_REVIEW", "score": 0.5, "model": bytes([9] * 32), "image": None, "image_name": "10.tif",
        "bounds_low": 11, "bounds_high": 12, "read_us": 14, "convert_us": 15, "infer_us": 16, "decide_us": 17,
        "simulated": 1, "degraded": 0, "detail": "eighteen", "previous": bytes([20] * 32), "form": 1,
        "bundle": 2**32 - 1, "raw_logit": -1.25, "offset": 0.1, "review_from": -2.5, "reject_from": 3.5,
        "slope": 0.75, "intercept": 0.3, "distance": 21.5, "largest_distance": 22.5, "regions": regions,
        "features": struct.pack("<64f", 30.5, *[0.0] * 63),
    }  # fmt: skip
    numbers = ["score", "bounds_low", "raw_logit", "offset", "review_from", "reject_from", "slope", "intercept"]
    missing = dict.fromkeys([*numbers, "distance", "largest_distance", "regions", "features"])
    event = {
        "number": 0x102, "committed_unix_ms": -3, "boot_epoch": 4, "kind": "OFFSET", "bundle": 5,
        "model": bytes([6] * 32), "model_before": None, "who": "seven", "why": "eight", "figures": '{"nine":10}',
        "newest_seq": 11, "newest_hash": bytes([12] * 32), "previous": bytes([13] * 32),
    }  # fmt: skip
    print("row of form 1:", row_hash(row).hex())
    print("row of form 2:", row_hash(row | {"form": 2}).hex())
    print("row of form 2, only the bundle 0:", row_hash(row | missing | {"form": 2, "bundle": 0}).hex())
    print("event:", event_hash(event).hex())
    print("genesis of events:", sha256(b"cellgate journal 2 event genesis\0" + bytes([7] * 16)).hex())


if sys.argv[1] == "--golden":
    golden()
else:
    journal(sys.argv[1])
