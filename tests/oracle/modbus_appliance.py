"""Third-party Modbus clients drive the appliance through whole cycles.

usage: modbus_appliance.py PORT UNIT CLIENT FOLDER IMAGE...
PORT is the PLC's end of the link, CLIENT is pymodbus, minimalmodbus or mbpoll, and FOLDER is the folder that the appliance
watches. For each image there is one part: the script puts the file into FOLDER under the part's number, triggers the part,
polls for the verdict and acknowledges it. It prints one JSON line per part with the values of the registers. The exit status is
0 if everything happened as in protocol/MODBUS.md.
"""

import json
import os
import shutil
import sys
import time

import modbus_clients
from modbus_clients import ACKNOWLEDGE, BUSY, COMMAND_ADDRESS, NONE, READY, TRIGGER, VALID, VERDICTS
from modbus_clients import block, expect, number, snapshot

DONE = 4
FIRST_PART = 0x7EDC_BA98_7654_3210
PATIENCE_S = 20


# The registers of a snapshot, as in protocol/MODBUS.md: 6-7 boot epoch, 8 status bits, 9 backlog, 10-11 sequence, 12-15 part id,
# 16 nonce, 17 verdict, 20 score, 22-25 model, 26-29 image.


class Plc:
    """A PLC that speaks with the appliance through one client. Each write changes the heartbeat."""

    def __init__(self, client):
        self.client = client
        self.heartbeat = 0

    def write(self, command, **what):
        self.heartbeat = (self.heartbeat + 1) % 0x10000
        expect(self.client.write(COMMAND_ADDRESS, block(self.heartbeat, command, **what)), 0)

    def wait(self, for_what, is_there):
        """Sends heartbeats and reads until `is_there` accepts a snapshot of the registers. Returns that snapshot."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.write(NONE)
            seen = snapshot(self.client.read(0, 32))
            if is_there(seen):
                return seen
            assert time.monotonic() < deadline, f"waited {PATIENCE_S} s for {for_what}: {seen}"

    def cycle(self, part_id, image, folder):
        """One part, from its image to the acknowledged verdict."""
        seen = self.wait("readiness", lambda seen: seen[8] & READY)
        nonce = (seen[16] + 1) % 0x10000
        shutil.copy(image, os.path.join(folder, ".image"))
        os.rename(os.path.join(folder, ".image"), os.path.join(folder, f"{part_id}.tif"))
        self.write(TRIGGER, nonce=nonce, part_id=part_id, argument=number(seen[6:8]))
        seen = self.wait("a verdict", lambda seen: seen[8] & VALID)
        expect((number(seen[12:16]), seen[16], seen[8] & BUSY), (part_id, nonce, 0))
        sequence = number(seen[10:12])
        self.write(ACKNOWLEDGE, nonce=nonce, part_id=part_id, argument=sequence)
        after = self.wait("the end of the part", lambda seen: not seen[8] & (VALID | DONE))
        # The registers no longer show this verdict, and no other verdict is pending.
        expect((after[17], after[9]), (0, 0))
        return {
            "part": part_id,
            "nonce": nonce,
            "boot_epoch": number(seen[6:8]),
            "seq": sequence,
            "verdict": VERDICTS[seen[17]],
            "score_e4": seen[20],
            "model": b"".join(register.to_bytes(2, "big") for register in seen[22:26]).hex(),
            "image": b"".join(register.to_bytes(2, "big") for register in seen[26:30]).hex(),
        }


def main():
    port, unit, name, folder, *images = sys.argv[1:]
    modbus_clients.UNIT = int(unit)
    client = {
        "pymodbus": modbus_clients.Pymodbus,
        "minimalmodbus": modbus_clients.Minimalmodbus,
        "mbpoll": modbus_clients.Mbpoll,
    }[name]
    plc = Plc(client(port))
    for index, image in enumerate(images):
        print(json.dumps(plc.cycle(FIRST_PART + index, image, folder)), flush=True)


if __name__ == "__main__":
    main()
