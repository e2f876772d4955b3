"""The table of a run of checks: rows, the time that is left, and commands that are stopped at their limit.

gpu_check_small.py uses it. Needs only Python 3.9 or newer.
"""

import json
import os
import select
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

# Widths of the table's columns and of the whole table.
STATE, WHAT, SECONDS, COLUMNS = 8, 20, 6, 120
# A step does not start with fewer seconds than this.
LEAST = 5
# How long a command that is stopped gets to end by itself, and how long the run then waits for its end, in seconds.
GRACE = 3


class Skip(Exception):
    """The reason why a step can't be carried out on this machine."""


class Failed(Exception):
    """The reason why a step failed."""


def in_a_line(text, most=300):
    """The text as one line of limited length."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else line[: most - 3] + "..."


class Run:
    """The table under construction. `results` is the folder for `results.json` and `log.txt`, `seconds` the time for all steps."""

    def __init__(self, results, seconds):
        results.mkdir(parents=True, exist_ok=True)
        self.results = results
        self.start = self.last_row = time.monotonic()
        self.end = self.step_end = self.start + seconds
        self.limit, self.is_short = 0, False
        self.is_finished = False
        self.stopped_by = None
        self.rows = []
        self.step_name = None
        self.log = open(results / "log.txt", "wb", buffering=0)
        # Where in the log the output of the last command begins and ends.
        self.output_start = self.output_end = 0
        print(f"{'STATE':<{STATE}} {'WHAT':<{WHAT}} {'SECONDS':>{SECONDS + 1}}  FOUND", flush=True)

    def has_failure(self):
        return any(row["state"] == "failure" for row in self.rows)

    def row(self, state, what, found, **more):
        """Adds a row. Its seconds are those since the row before. `more` has additional fields for JSON."""
        now = time.monotonic()
        seconds, self.last_row = now - self.last_row, now
        fields = {"step": self.step_name, "what": what, "state": state.lower(), "found": found, "seconds": round(seconds, 2)}
        self.rows.append({**fields, **more})
        self.write()
        indent = STATE + 1 + WHAT + 1 + SECONDS + 1 + 2
        lines = textwrap.wrap(found, COLUMNS - indent, break_long_words=False, break_on_hyphens=False) or [""]
        text = ("\n" + " " * indent).join(lines)
        print(f"{state:<{STATE}} {what:<{WHAT}} {seconds:>{SECONDS}.1f}s  {text}", flush=True)

    def write(self):
        """Writes results.json. It is complete after each row, so that a run that is killed leaves the rows so far."""
        whole = {"finished": self.is_finished, "seconds": round(time.monotonic() - self.start, 1), "rows": self.rows}
        half = self.results / "results.json.half"
        half.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
        half.replace(self.results / "results.json")

    def step(self, name, limit, action):
        """Runs `action` as a step of at most `limit` seconds. If the whole run has less time left, the step has that."""
        self.exit_if_stopped()
        self.step_name = name
        left = self.end - time.monotonic()
        if left < LEAST:
            self.row("SKIPPED", name, "no time is left")
            return
        self.limit, self.is_short = limit, left < limit
        self.step_end = time.monotonic() + min(limit, left)
        try:
            action()
        except Skip as why:
            self.row("SKIPPED", name, str(why))
        except Failed as why:
            self.row("FAILURE", name, str(why))
        except Exception as error:
            self.row("FAILURE", name, in_a_line(f"{type(error).__name__}: {error}"))

    def stop(self, number, _frame):
        """A handler of signals: the run ends soon. It does not end here, because the command may be half started."""
        self.stopped_by = number

    def exit_if_stopped(self):
        if self.stopped_by:
            sys.exit(128 + self.stopped_by)

    def finish(self):
        self.is_finished = True
        self.write()

    def command(self, arguments, environment, each_line=lambda line: None):
        """Runs a command to its end. Returns its exit status and stdout, and passes each line of stdout to `each_line` at once.

        Stdout and stderr go to the log. A command that outlasts the step is killed, with all processes that it started in its
        session; then this raises Failed, or Skip if the step had less than its own limit.
        """
        arguments = [str(argument) for argument in arguments]
        self.log.write(f"\n=== {self.step_name}: {shlex.join(arguments)}\n".encode())
        self.output_start = self.output_end = self.log.tell()
        begin = time.monotonic()
        process = subprocess.Popen(
            arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, start_new_session=True
        )
        try:
            output, is_whole = self.read(process, each_line)
            seconds = time.monotonic() - begin
        finally:
            kill(process)
        status = process.poll()
        self.output_end = self.log.tell()
        self.log.write(f"=== ended with status {status} after {seconds:.1f} s\n".encode())
        name = Path(arguments[0]).name
        if is_whole:
            return status, output
        if self.is_short:
            raise Skip(f"{name} was stopped after {seconds:.0f} s, because the time for the whole run was over")
        raise Failed(f"{name} was stopped after {seconds:.0f} s, at the end of the step's {self.limit} s; see log.txt")

    def read(self, process, each_line):
        """The stdout of the process until its end, and whether it ended before the step's end."""
        stdout, output, rest = process.stdout.fileno(), b"", b""
        while time.monotonic() < self.step_end:
            self.exit_if_stopped()
            # A child of the process may keep stdout open, so the end of the process is looked for too.
            has_ended = process.poll() is not None
            if not select.select([stdout], [], [], 0.0 if has_ended else 0.1)[0]:
                if has_ended:
                    return output.decode(errors="replace"), True
                continue
            data = os.read(stdout, 1 << 16)
            if not data:
                break
            self.log.write(data)
            output += data
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                each_line(line.decode(errors="replace"))
        try:
            process.wait(max(0.0, self.step_end - time.monotonic()))
        except subprocess.TimeoutExpired:
            return output.decode(errors="replace"), False
        return output.decode(errors="replace"), True

    def checked(self, arguments, environment):
        """The stdout of a command that must succeed."""
        status, output = self.command(arguments, environment)
        if status != 0:
            raise Failed(f"{Path(arguments[0]).name} {arguments[1]} ended with status {status}: {self.last_words()}")
        return output

    def last_words(self):
        """The last line of text that the last command printed: usually its error."""
        lines = [line for line in self.last_output().splitlines() if line.strip()]
        return in_a_line(lines[-1]) if lines else "no output"

    def last_output(self):
        """What the last command printed, on stdout and stderr."""
        log = (self.results / "log.txt").read_bytes()
        return log[self.output_start : self.output_end].decode(errors="replace")


def kill(process):
    """Ends what is left of the process and of its session. Does not wait longer than twice GRACE: the kernel may wait for a GPU."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
    process.stdout.close()
