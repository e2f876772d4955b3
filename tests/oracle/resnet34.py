"""ResNet-34 in plain PyTorch with torchvision's tensor names: the oracle for the trainer's backbone.

    resnet34.py make-weights SEED ZIP.pth LEGACY.pth       random weights in both formats of torch.save
    resnet34.py stages WEIGHTS INPUT.f32 HEIGHT WIDTH OUT.f32   the maps of the four stages, one after the other
"""
import collections
import json
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

STAGES = [(3, 64), (4, 128), (6, 256), (3, 512)]


def convolutions():
    """Yields (name of the convolution, name of its batch normalisation, outputs, inputs, kernel) for all 36."""
    yield "conv1", "bn1", 64, 3, 7
    inputs = 64
    for stage, (depth, channels) in enumerate(STAGES, 1):
        for block in range(depth):
            prefix = f"layer{stage}.{block}"
            yield f"{prefix}.conv1", f"{prefix}.bn1", channels, inputs, 3
            yield f"{prefix}.conv2", f"{prefix}.bn2", channels, channels, 3
            if inputs != channels:
                yield f"{prefix}.downsample.0", f"{prefix}.downsample.1", channels, inputs, 1
            inputs = channels


def make_weights(seed, zip_path, legacy_path):
    torch.manual_seed(seed)
    state = collections.OrderedDict()
    for conv, norm, outputs, inputs, kernel in convolutions():
        spread = (2.0 / (inputs * kernel * kernel)) ** 0.5
        # Trained tensors are Parameters, as in torchvision's own file.
        state[f"{conv}.weight"] = torch.nn.Parameter(torch.randn(outputs, inputs, kernel, kernel) * spread)
        scale = 0.3 if norm.endswith("bn2") else 1.0
        state[f"{norm}.weight"] = torch.nn.Parameter((0.8 + 0.4 * torch.rand(outputs)) * scale)
        state[f"{norm}.bias"] = torch.nn.Parameter(0.1 * torch.randn(outputs))
        state[f"{norm}.running_mean"] = 0.2 * torch.randn(outputs)
        state[f"{norm}.running_var"] = 0.5 + torch.rand(outputs)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(1234)
    state["fc.weight"] = torch.nn.Parameter(0.05 * torch.randn(1000, 512))
    state["fc.bias"] = torch.nn.Parameter(0.05 * torch.randn(1000))
    torch.save(state, zip_path)
    torch.save(state, legacy_path, _use_new_zipfile_serialization=False)


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        content = file.read()
    types = {"F32": np.float32, "F16": np.float16}
    state = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            values = np.frombuffer(content[start:end], types[entry["dtype"]]).reshape(entry["shape"])
            state[name] = torch.from_numpy(values.astype(np.float32))
    return state


def stages(state, x):
    def conv(x, conv, norm, stride=1):
        weight = state[f"{conv}.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        numbers = (state[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *numbers, training=False)

    x = F.max_pool2d(F.relu(conv(x, "conv1", "bn1", 2)), 3, 2, 1)
    for stage, (depth, _) in enumerate(STAGES, 1):
        for block in range(depth):
            prefix = f"layer{stage}.{block}"
            down = f"{prefix}.downsample.0.weight" in state
            out = F.relu(conv(x, f"{prefix}.conv1", f"{prefix}.bn1", 2 if down else 1))
            out = conv(out, f"{prefix}.conv2", f"{prefix}.bn2")
            shortcut = conv(x, f"{prefix}.downsample.0", f"{prefix}.downsample.1", 2) if down else x
            x = F.relu(out + shortcut)
        yield x


def main(command, *arguments):
    if command == "make-weights":
        make_weights(int(arguments[0]), *arguments[1:])
        return
    weights, source, height, width, target = arguments
    state = read_safetensors(weights) if weights.endswith(".safetensors") else torch.load(weights, weights_only=True)
    x = torch.from_numpy(np.fromfile(source, np.float32).reshape(1, 3, int(height), int(width)))
    with torch.no_grad():
        np.concatenate([maps.numpy().ravel() for maps in stages(state, x)]).tofile(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
