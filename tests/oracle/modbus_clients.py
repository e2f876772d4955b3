"""Third-party Modbus clients drive whole cycles of a simulated device: pymodbus, minimalmodbus, mbpoll (on libmodbus).

usage: modbus_clients.py SERVER CLIENT [bundles]
SERVER is the built example `modbus_server`, and CLIENT is one of the three names. A pair of pseudo-terminals of socat, which
have no parity, connects the two. Prints one line per cycle. With `bundles`, the server has bundles: after the cycles of a client
without bundles, the script runs a bundle with reference parts. The exit status is 0 if everything happened as expected. The
register map and its CRC-32C are implemented here from protocol/MODBUS.md, without the product's code.
"""

import os
import re
import subprocess
import sys
import tempfile
import time

UNIT, BAUD, COMMAND_ADDRESS, BUNDLE_COMMAND_ADDRESS = 17, 115200, 0x100, 0x120
NONE, TRIGGER, ACKNOWLEDGE, CLEAR, BUNDLE_TRIGGER, CONFIRM, GATE_ACKNOWLEDGE = range(7)
VERDICTS = {0x5A96: "PASS", 0x5566: "REVIEW", 0xA569: "REJECT"}
EXCEPTIONS = {"illegal function": 1, "illegal data address": 2, "illegal data value": 3}
READY, BUSY, VALID = 1, 2, 8
EPOCH_MISMATCH, REFERENCE_PART = 0x10E, 0xF
REFERENCE, OFFSET = 1, 2
CONFIRMED, NOT_IN_BUNDLE, REFUSED = 1, 2, 3


def crc32c(registers):
    crc = 0xFFFFFFFF
    for byte in b"".join(register.to_bytes(2, "big") for register in registers):
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return words(crc, 2)


def words(value, count):
    """Registers of a number, the high word first."""
    return [value >> 16 * at & 0xFFFF for at in reversed(range(count))]


def number(registers):
    return sum(register << 16 * at for at, register in enumerate(reversed(registers)))


def block(heartbeat, command, nonce=0, part_id=0, argument=0):
    """The registers of a command block. `argument` is the boot epoch for a trigger or the sequence for an acknowledgement."""
    registers = [heartbeat, command, nonce, *words(part_id, 4), *words(argument, 2), *words(argument ^ 0xFFFFFFFF, 2)]
    return registers + crc32c(registers)


def bundle_block(heartbeat, command, nonce, part_id, argument, bundle=0, gate=0):
    """The registers of a bundle block."""
    registers = block(heartbeat, command, nonce, part_id, argument)[:11] + words(bundle, 2) + [gate]
    return registers + crc32c(registers)


class Pymodbus:
    def __init__(self, port):
        from pymodbus.client import ModbusSerialClient

        self.client = ModbusSerialClient(port, baudrate=BAUD, timeout=1, retries=0)
        assert self.client.connect()

    def read(self, address, count):
        return self.checked(self.client.read_input_registers(address, count=count, device_id=UNIT))

    def read_holding(self, address, count):
        return self.checked(self.client.read_holding_registers(address, count=count, device_id=UNIT))

    def write(self, address, registers):
        result = self.client.write_registers(address, registers, device_id=UNIT)
        return result.exception_code if result.isError() else 0

    @staticmethod
    def checked(result):
        return -result.exception_code if result.isError() else result.registers

    def more(self):
        """Tests functions 06 and 23, and exceptions, which a cycle does not use."""
        registers = block(500, NONE)
        read = self.client.readwrite_registers(
            read_address=0, read_count=32, write_address=COMMAND_ADDRESS, values=registers, device_id=UNIT
        )
        snapshot(self.checked(read))
        for at, register in enumerate(block(501, NONE)):
            result = self.client.write_register(COMMAND_ADDRESS + at, register, device_id=UNIT)
            assert not result.isError() and result.registers == [register], result
        expect(self.read_holding(COMMAND_ADDRESS, 13), block(501, NONE))
        expect(self.client.read_coils(0, count=1, device_id=UNIT).exception_code, 1)
        from pymodbus.exceptions import ModbusIOException

        self.client.comm_params.timeout_connect = 0.2
        try:
            answer = self.client.read_input_registers(0, count=1, device_id=UNIT + 1)
            raise AssertionError(f"a request to another unit was answered: {answer}")
        except ModbusIOException:
            pass
        finally:
            self.client.comm_params.timeout_connect = 1


class Minimalmodbus:
    def __init__(self, port):
        import minimalmodbus

        self.error = minimalmodbus.IllegalRequestError
        self.instrument = minimalmodbus.Instrument(port, UNIT)
        self.instrument.serial.baudrate = BAUD
        # If the answer is an exception, the client always waits for this timeout, since it expects a longer answer.
        self.instrument.serial.timeout = 1

    def refused(self, ask):
        """Returns the result of `ask()`, or the negative exception code if the device refused."""
        try:
            return ask()
        except self.error as error:
            return -next(code for text, code in EXCEPTIONS.items() if text in str(error).lower())

    def read(self, address, count):
        return self.refused(lambda: self.instrument.read_registers(address, count, functioncode=4))

    def read_holding(self, address, count):
        return self.refused(lambda: self.instrument.read_registers(address, count, functioncode=3))

    def write(self, address, registers):
        return -(self.refused(lambda: self.instrument.write_registers(address, registers)) or 0)

    def more(self):
        for at, register in enumerate(block(501, NONE)):
            self.instrument.write_register(COMMAND_ADDRESS + at, register, functioncode=6)
        expect(self.read_holding(COMMAND_ADDRESS, 13), block(501, NONE))
        expect(self.refused(lambda: self.instrument.read_bit(0)), -1)


class Mbpoll:
    def __init__(self, port):
        self.port = port

    def run(self, *arguments):
        command = ["mbpoll", "-m", "rtu", "-a", str(UNIT), "-b", str(BAUD), "-P", "none", "-0", "-1", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        for text, code in EXCEPTIONS.items():
            if text in (done.stdout + done.stderr).lower():
                return -code
        assert done.returncode == 0, (command, done)
        return done.stdout

    def values(self, kind, address, count):
        text = self.run("-t", f"{kind}:hex", "-r", str(address), "-c", str(count), self.port)
        if isinstance(text, int):
            return text
        return [int(value, 16) for value in re.findall(r"^\[\d+\]:\s*(0x[0-9A-F]+)", text, re.MULTILINE)]

    def read(self, address, count):
        return self.values(3, address, count)

    def read_holding(self, address, count):
        return self.values(4, address, count)

    def write(self, address, registers):
        values = [f"0x{register:04X}" for register in registers]
        result = self.run("-t", "4:hex", "-r", str(address), self.port, *values)
        return -result if isinstance(result, int) else 0

    def more(self):
        expect(self.run("-t", "0", "-r", "0", "-c", "1", self.port), -1)
        # mbpoll writes a single value with function 06.
        expect(self.write(COMMAND_ADDRESS, [502]), 0)
        expect(self.read_holding(COMMAND_ADDRESS, 1), [502])


def expect(found, expected):
    assert found == expected, f"found {found}, expected {expected}"


def snapshot(registers):
    """Checks a snapshot's CRC-32C, the map's version and mark, and the verdict's complement. Returns the registers."""
    expect(len(registers), 32)
    expect(registers[30:], crc32c(registers[:30]))
    expect(registers[:2], [2, 0x4367])
    expect(registers[17] ^ registers[18], 0xFFFF)
    return registers


def epoch(client):
    return number(snapshot(client.read(0, 32))[6:8])


def stale(client, nonce, part_id):
    """A trigger for another start of the device is refused with its reason, and nothing is judged."""
    expect(client.write(COMMAND_ADDRESS, block(nonce, TRIGGER, nonce, part_id, epoch(client) ^ 1)), 0)
    seen = snapshot(client.read(0, 32))
    expect((seen[16], number(seen[12:16])), (nonce, part_id))
    expect((seen[8] & (BUSY | VALID), seen[19]), (0, EPOCH_MISMATCH))


def cycle(client, nonce, part_id):
    """Trigger, busy, verdict and acknowledgement, as in MODBUS.md."""
    expect(client.write(COMMAND_ADDRESS, block(nonce, TRIGGER, nonce, part_id, epoch(client))), 0)
    heartbeat = nonce
    deadline = time.monotonic() + 5
    while True:
        seen = snapshot(client.read(0, 32))
        expect((seen[16], number(seen[12:16])), (nonce, part_id))
        if seen[8] & VALID:
            break
        expect(seen[17], 0)
        assert time.monotonic() < deadline, "no verdict within 5 s"
        heartbeat += 0x100
        expect(client.write(COMMAND_ADDRESS, block(heartbeat, NONE)), 0)
    verdict = VERDICTS[seen[17]]
    expect(verdict, ["PASS", "REVIEW", "REJECT"][part_id % 3])
    sequence = number(seen[10:12])
    expect(client.write(COMMAND_ADDRESS, block(heartbeat + 0x80, ACKNOWLEDGE, nonce, part_id, sequence)), 0)
    expect(snapshot(client.read(0, 32))[8] & (VALID | BUSY), 0)
    print(f"part {part_id:#018x}: {verdict}, sequence {sequence}")


def bundle_snapshot(client):
    """Reads registers 0 to 41. Returns the snapshot, and bundle, step, confirmed, missing, result and sequence."""
    seen = client.read(0, 42)
    expect(len(seen), 42)
    expect(seen[40:], crc32c(seen[:40]))
    return snapshot(seen[:32]), (number(seen[32:34]), *seen[34:38], number(seen[38:40]))


class Bundle:
    """Runs the parts of one bundle. Each write has another heartbeat."""

    def __init__(self, client, bundle, first_nonce):
        self.client, self.bundle = client, bundle
        self.nonce, self.heartbeat = first_nonce, 0x4000

    def write(self, command, *fields, **more):
        self.heartbeat += 1
        expect(self.client.write(BUNDLE_COMMAND_ADDRESS, bundle_block(self.heartbeat, command, *fields, **more)), 0)

    def until(self, is_there):
        deadline = time.monotonic() + 20
        while True:
            registers, bundle = bundle_snapshot(self.client)
            if is_there(registers, bundle):
                return registers, bundle
            assert time.monotonic() < deadline, f"waited 20 s: {registers}, {bundle}"
            self.heartbeat += 1
            expect(self.client.write(COMMAND_ADDRESS, block(self.heartbeat, NONE)), 0)

    def part(self, part_id):
        """One part, from its trigger to its acknowledgement. Returns its sequence, verdict and reason."""
        self.nonce += 1
        self.write(BUNDLE_TRIGGER, self.nonce, part_id, epoch(self.client), bundle=self.bundle)
        seen, (running, *_) = self.until(lambda registers, _: registers[8] & VALID)
        expect((seen[16], number(seen[12:16]), running), (self.nonce, part_id, self.bundle))
        sequence, verdict, reason = number(seen[10:12]), VERDICTS[seen[17]], seen[19]
        self.write(GATE_ACKNOWLEDGE, self.nonce, part_id, sequence, gate=reason)
        self.until(lambda registers, _: registers[8] & READY)
        print(f"part {part_id:#018x}: {verdict}, sequence {sequence}, bundle {self.bundle}")
        return sequence, verdict, reason

    def confirm(self, part_id, sequence, result, bundle=None):
        """Confirms a part twice, and expects this result each time."""
        for _ in range(2):
            self.write(CONFIRM, 0, part_id, sequence, bundle=self.bundle if bundle is None else bundle)
            _, shown = self.until(lambda _, bundle: bundle[4])
            expect(shown[4:], (result, sequence))


def in_bundle(client):
    """A bundle with three reference parts and ten parts, then another bundle."""
    run = Bundle(client, 0xABCD_0005, 1000)
    expect(bundle_snapshot(client)[1], (0,) * 6)
    confirmed = 0
    for part_id in range(3000, 3005):
        sequence, verdict, reason = run.part(part_id)
        if part_id % 3 == 2:
            expect(verdict, "REJECT")
            run.confirm(part_id, sequence, REFUSED)
        else:
            expect((verdict, reason), ("REVIEW", REFERENCE_PART))
            run.confirm(part_id, sequence, NOT_IN_BUNDLE, bundle=6)
            if confirmed < 3:
                run.confirm(part_id, sequence, CONFIRMED)
                confirmed += 1
        step = OFFSET if confirmed == 3 else REFERENCE
        expect(bundle_snapshot(client)[1][:4], (run.bundle, step, confirmed, 3 - confirmed))
        if confirmed == 3:
            break
    verdicts = [run.part(part_id)[1] for part_id in range(4002, 4012)]
    expect(verdicts, [["PASS", "REVIEW", "REJECT"][part_id % 3] for part_id in range(4002, 4012)])
    # The same part and nonce with another bundle.
    stale = bundle_block(1, BUNDLE_TRIGGER, run.nonce, 4011, epoch(client), bundle=6)
    expect(client.write(BUNDLE_COMMAND_ADDRESS, stale), 3)
    run.bundle = 6
    expect(run.part(6000)[1:], ("REVIEW", REFERENCE_PART))
    expect(bundle_snapshot(client)[1][:4], (6, REFERENCE, 0, 3))


def whole(client, has_bundles):
    seen = snapshot(client.read(0, 32))
    expect(seen[8] & READY, 0)
    # Each heartbeat must differ from the previous one, and the first cycle begins with heartbeat 1.
    expect(client.write(COMMAND_ADDRESS, block(0xFFFF, NONE)), 0)
    expect(snapshot(client.read(0, 32))[8] & READY, READY)
    expect(client.read_holding(0, 2), [2, 0x4367])
    for nonce in range(1, 10):
        cycle(client, nonce, 0xFEDC_BA98_7654_3210 + nonce)
    stale(client, 50, 5)
    # A block with a wrong CRC-32C, a register beyond the map, and a register that can't be written.
    wrong = block(1, CLEAR, 1)
    wrong[2] ^= 1
    expect(client.write(COMMAND_ADDRESS, wrong), 3)
    expect(client.read(42 if has_bundles else 32, 1), -2)
    expect(client.write(0, [0, 0]), 2)
    if not has_bundles:
        expect(client.read(0, 42), -2)
        expect(client.write(BUNDLE_COMMAND_ADDRESS, bundle_block(2, CONFIRM, 0, 1, 1)), 2)
    client.more()
    cycle(client, 100, 1)
    if has_bundles:
        in_bundle(client)


def main():
    server, name, *bundles = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        ports = [os.path.join(folder, side) for side in ("device", "plc")]
        started = [subprocess.Popen(["socat", *(f"pty,raw,echo=0,link={port}" for port in ports)])]
        try:
            while not all(os.path.exists(port) for port in ports):
                expect(started[0].poll(), None)
                time.sleep(0.01)
            started.append(subprocess.Popen([server, ports[0], str(UNIT), *bundles]))
            client = {"pymodbus": Pymodbus, "minimalmodbus": Minimalmodbus, "mbpoll": Mbpoll}[name](ports[1])
            whole(client, bool(bundles))
            expect(started[1].poll(), None)
        finally:
            for process in reversed(started):
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
