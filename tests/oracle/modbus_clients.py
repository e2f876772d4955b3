"""Third-party Modbus clients drive whole cycles of a simulated device: pymodbus, minimalmodbus, mbpoll (on libmodbus).

usage: modbus_clients.py SERVER CLIENT
SERVER is the built example `modbus_server`, and CLIENT is one of the three names. A pair of pseudo-terminals of socat, which
have no parity, connects the two. Prints one line per cycle. The exit status is 0 if everything happened as expected. The
register map and its CRC-32C are implemented here from protocol/MODBUS.md, without the product's code.
"""

import os
import re
import subprocess
import sys
import tempfile
import time

UNIT, BAUD, COMMAND_ADDRESS = 17, 115200, 0x100
NONE, TRIGGER, ACKNOWLEDGE, CLEAR = range(4)
VERDICTS = {0x5A96: "PASS", 0x5566: "REVIEW", 0xA569: "REJECT"}
EXCEPTIONS = {"illegal function": 1, "illegal data address": 2, "illegal data value": 3}
READY, BUSY, VALID = 1, 2, 8
EPOCH_MISMATCH = 0x10E


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


def whole(client):
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
    expect(client.read(32, 1), -2)
    expect(client.write(0, [0, 0]), 2)
    client.more()
    cycle(client, 100, 1)


def main():
    server, name = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        ports = [os.path.join(folder, side) for side in ("device", "plc")]
        started = [subprocess.Popen(["socat", *(f"pty,raw,echo=0,link={port}" for port in ports)])]
        try:
            while not all(os.path.exists(port) for port in ports):
                expect(started[0].poll(), None)
                time.sleep(0.01)
            started.append(subprocess.Popen([server, ports[0], str(UNIT)]))
            whole({"pymodbus": Pymodbus, "minimalmodbus": Minimalmodbus, "mbpoll": Mbpoll}[name](ports[1]))
            expect(started[1].poll(), None)
        finally:
            for process in reversed(started):
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
