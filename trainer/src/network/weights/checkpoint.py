"""Converts a PyTorch checkpoint to safetensors. cellgate-trainer runs this program with the Python of its libtorch.

    python -I -c "$(cat checkpoint.py)" CHECKPOINT OUT.safetensors

torch.load(weights_only=True) creates tensors and plain containers only. It runs no code from the file. The program prints one
JSON object:

    {"other": [...], "not_plain": [...]}   other content of the file; tensors that were left out because of their form
    {"error": KIND, "found": TEXT}         the reason why nothing was converted
"""
import ctypes
import json
import pickle
import re
import resource
import struct
import sys
import zipfile

# A hostile file must not exhaust the machine's memory, disk or time.
MAX_MEMORY_BYTES = 8 << 30
MAX_OUT_BYTES = 1 << 30
MAX_CPU_S = 240
MAX_DEPTH = 16
MAX_TENSORS = 20_000


def answer_with(**answer):
    json.dump(answer, sys.stdout)
    sys.stdout.flush()


def allow_plain_data(torch):
    """Allows what training scripts save beside the tensors: NumPy numbers and parsed arguments. They are data, not code."""
    import argparse

    allowed = [argparse.Namespace]
    try:
        import numpy

        allowed.append(numpy.dtype)
        allowed += [type(numpy.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "u1", "?")]
        is_old = numpy.lib.NumpyVersion(numpy.__version__) < "2.0.0"
        scalar = (numpy.core if is_old else numpy._core).multiarray.scalar
        allowed += [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    except (ImportError, AttributeError):
        pass
    torch.serialization.add_safe_globals(allowed)


def other_form(tensor, torch):
    """Returns the form of a tensor that can't be converted, None for a plain tensor, and "" for a counter, which is no weight."""
    if tensor.is_meta:
        return "without data, on the meta device"
    if tensor.layout != torch.strided:
        return f"sparse, {tensor.layout}"
    if tensor.is_quantized:
        return f"quantised, {tensor.dtype}"
    if not tensor.is_floating_point():
        # Single integers are counters such as num_batches_tracked, not weights.
        return f"{tensor.dtype}" if tensor.numel() > 1 else ""
    return None


def flatten(value, name, depth, tensors, other, not_plain, torch):
    """Collects the tensors below `value`. A tensor's name is its keys, joined with full stops. Items whose keys are not strings
    are skipped, because optimizers number their tensors. `other` gets descriptions of the other values in the two outer levels."""
    if isinstance(value, torch.Tensor):
        form = other_form(value, torch)
        if form:
            not_plain.append(f"{name} ({form})")
        elif form is None:
            if name in tensors or len(tensors) == MAX_TENSORS:
                raise ValueError(f"two tensors called {name}, or more than {MAX_TENSORS}")
            tensors[name] = value
    elif isinstance(value, dict) and depth < MAX_DEPTH:
        for key, item in value.items():
            if isinstance(key, str):
                flatten(item, f"{name}.{key}" if name else key, depth + 1, tensors, other, not_plain, torch)
    elif depth <= 1:
        text = f"{value!r}"[:60] if isinstance(value, (str, int, float, bool)) else type(value).__name__
        other.append(f"{name} {text}" if name else text)


def limit_resources():
    limits = {
        resource.RLIMIT_DATA: MAX_MEMORY_BYTES,
        resource.RLIMIT_FSIZE: 2 * MAX_OUT_BYTES,  # with room for the header
        resource.RLIMIT_CPU: MAX_CPU_S,
    }
    for kind, limit in limits.items():
        _, hard = resource.getrlimit(kind)
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, limit))


def refusal(text):
    """Describes what weights_only refused. torch's own text advises to switch weights_only off, so it is not passed on."""
    name = re.search(r"GLOBAL (\S+)", text)
    if name:
        return f"the Python object {name[1]}, which is code and not a tensor"
    reason = re.search(r"WeightsUnpickler error:\s*(.*)", text)
    return f"a pickle that holds more than tensors and plain containers ({reason[1] if reason else 'no reason given'})"


def is_torchscript(path):
    """Whether torch.jit.save wrote the file: a zip archive with code and its constants."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except Exception:
        return False


def write(path, tensors, torch):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        end = offset + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    if offset > MAX_OUT_BYTES:
        raise ValueError(f"{offset} bytes of tensors, more than {MAX_OUT_BYTES}")
    header = json.dumps(header).encode()
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(header)) + header)
        for tensor in tensors.values():
            plain = tensor.detach().to(torch.float32).contiguous()
            # Tensor.numpy() is not used, because not every environment has NumPy.
            out.write(ctypes.string_at(plain.data_ptr(), 4 * plain.numel()) if plain.numel() else b"")


def main(source, target):
    try:
        import torch
    except Exception as error:
        return answer_with(error="no-torch", found=f"{type(error).__name__}: {error}")
    limit_resources()
    allow_plain_data(torch)
    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
        tensors, other, not_plain = {}, [], []
        flatten(content, "", 0, tensors, other, not_plain, torch)
        write(target, tensors, torch)
    except pickle.UnpicklingError as error:
        answer_with(error="refused", found=refusal(str(error)))
    except Exception as error:
        if is_torchscript(source):
            return answer_with(error="torch-script")
        answer_with(error="malformed", found=f"{type(error).__name__}: {error}")
    else:
        answer_with(other=other, not_plain=not_plain)


if __name__ == "__main__":
    main(*sys.argv[1:])
