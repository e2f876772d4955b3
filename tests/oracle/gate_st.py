"""Runs the gate in structured text, protocol/gate.st, on cases: gate_st.py GATE CASES

CASES is a file with one JSON object per line: the inputs of a block or function, whose name is under "block". For each line the
script prints a JSON object with the outputs of the block or the value of the function. TON is simulated: each case of
CELLGATE_HEARTBEAT is one scan at the time "now_ms", and the block keeps its memory from case to case.

Structured text is translated to Python line by line. A line of an unknown form is an error.
"""

import json
import pathlib
import re
import sys


class Ton:
    """The on-delay timer of IEC 61131-3: Q once IN has been true for PT."""

    def __init__(self):
        self.since, self.Q = None, False

    def __call__(self, on, pt, now_ms):
        self.since = (now_ms if self.since is None else self.since) if on else None
        self.Q = on and now_ms - self.since >= pt


def condition(text):
    text = re.sub(r"(?<![<>:])=", "==", text).replace("<>", "!=")
    text = re.sub(r"\bNOT ([\w.]+)", r"(True ^ \1)", text)
    for word, python in [("AND", "&"), ("OR", "|"), ("TRUE", "True"), ("FALSE", "False")]:
        text = re.sub(rf"\b{word}\b", python, text)
    # In structured text, comparisons bind tighter than AND. In Python, & binds tighter than comparisons, so they get parentheses.
    return re.sub(r"(?<![\w.\]])([A-Z_][\w.]*(?:\[I\])?) (==|!=|<|>) (\w+(?:\[I\])?)", r"(\1 \2 \3)", text)


# The forms of a statement. Each has a function that returns the change of indentation before the statement, the statement in
# Python, and the change of indentation after the statement.
FORMS = [
    (r"IF (.*) THEN", lambda m: (0, f"if {condition(m[1])}:", 1)),
    (r"ELSIF (.*) THEN", lambda m: (-1, f"elif {condition(m[1])}:", 1)),
    (r"ELSE", lambda m: (-1, "else:", 1)),
    (r"FOR I := 0 TO (\d+) DO", lambda m: (0, f"for I in range({m[1]} + 1):", 1)),
    (r"END_(?:IF|FOR);", lambda m: (-1, "", 0)),
    (r"(\w+)\(IN := (\w+), PT := T#(\d+)ms\);", lambda m: (0, f"{m[1]}({m[2].title()}, {m[3]}, NOW_MS)", 0)),
    (r"(\w+) := (.*);", lambda m: (0, f"{m[1]} = {condition(m[2])}", 0)),
]


def python_of(lines):
    """Translates the statements to Python."""
    depth, out = 0, []
    for line in lines:
        for form, make in FORMS:
            if found := re.fullmatch(form, line):
                before, text, after = make(found)
                depth += before
                out.append("    " * depth + text)
                depth += after
                break
        else:
            raise SystemExit(f"gate.st: found `{line}`, expected a form that gate_st.py knows")
    return "\n".join(out)


class Block:
    """A function, or a function block with its memory."""

    def __init__(self, name, is_function, text):
        self.name, self.is_function = name, is_function
        sections = re.findall(r"VAR(_INPUT|_OUTPUT|)\n(.*?)END_VAR", text, re.S)
        variables = {kind: re.findall(r"(\w+) : (.*?);", body) for kind, body in sections}
        self.outputs = [name for name, _ in variables.get("_OUTPUT", [])] or [name]
        self.memory = {name: Ton() if kind == "TON" else 0 for names in variables.values() for name, kind in names}
        statements = re.sub(r"VAR(?:_INPUT|_OUTPUT|)\n.*?END_VAR", "", text, flags=re.S)
        lines = [line.strip() for line in statements.splitlines() if line.strip()]
        self.code = compile(python_of(lines), name, "exec")

    def run(self, inputs, now_ms):
        unknown = set(inputs) - set(self.memory)
        assert not unknown, f"{self.name} has no input {unknown}"
        self.memory |= inputs | {"NOW_MS": now_ms}
        exec(self.code, self.memory)
        return {name: int(self.memory[name]) for name in self.outputs}


def blocks(source):
    text = re.sub(r"\(\*.*?\*\)", "", source, flags=re.S)
    text = re.sub(r"16#([0-9A-F]+)", r"0x\1", text)
    found = re.findall(r"^(FUNCTION(?:_BLOCK)?) (\w+)(?: : \w+)?\n(.*?)^END_\1$", text, re.S | re.M)
    return {name: Block(name, kind == "FUNCTION", body) for kind, name, body in found}


def main():
    gate, cases = (pathlib.Path(name) for name in sys.argv[1:])
    known = blocks(gate.read_text())
    for line in cases.read_text().splitlines():
        case = json.loads(line)
        block, now_ms = known[case.pop("block")], case.pop("now_ms", 0)
        print(json.dumps(block.run(case, now_ms)))


if __name__ == "__main__":
    main()
