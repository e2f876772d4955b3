"""Writes checkpoints as training scripts do, with the ResNet-34 of resnet34.py in f16.

    checkpoints.py FOLDER       writes the files listed in main()
"""
import argparse
import collections
import os
import pickle
import sys

import numpy as np
import torch

import resnet34


class Code:
    """Creates a folder when it is unpickled by a reader that runs code."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def prefixed(state, prefix):
    return collections.OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def halves(state):
    return collections.OrderedDict((name, t.detach().half() if t.is_floating_point() else t) for name, t in state.items())


def optimizer_state(state):
    trained = [torch.nn.Parameter(state["bn1.weight"].float())]
    optimizer = torch.optim.Adam(trained, lr=0.1)
    trained[0].sum().backward()
    optimizer.step()
    return optimizer.state_dict()


def main(folder):
    os.chdir(folder)
    resnet34.make_weights(1, "plain.pth", "legacy.pth")
    state = halves(torch.load("plain.pth", weights_only=True))
    for name in ("plain.pth", "legacy.pth"):
        os.remove(name)
    torch.save(state, "plain.pth")
    torch.save(state, "legacy.pth", _use_new_zipfile_serialization=False)
    # The form of PyTorch's ImageNet example on several GPUs.
    epoch = {"epoch": 90, "arch": "resnet34", "best_acc1": np.float64(73.3), "args": argparse.Namespace(lr=0.1)}
    optimizer = optimizer_state(state)
    torch.save({**epoch, "state_dict": prefixed(state, "module."), "optimizer": optimizer}, "example.pth")
    encoder = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    torch.save({"model": prefixed(encoder, "encoder.backbone."), "optimizers": [optimizer]}, "encoder.ckpt")
    torch.save({"state_dict": state, "state_dict_ema": state}, "ema.pth")
    torch.save({**epoch, "state_dict": {"module.conv1.weight": state["conv1.weight"]}}, "one.pth")
    resnet18 = {name: tensor for name, tensor in state.items() if name.split(".")[1] not in ("2", "3", "4", "5")}
    torch.save(prefixed(resnet18, "module."), "resnet18.pth")
    torch.save({"state_dict": {"conv1.weight": state["conv1.weight"]}, "x": Code(os.path.abspath("code"))}, "code.pth")
    with open("code.pkl", "wb") as file:
        pickle.dump(Code(os.path.abspath("code")), file, protocol=2)
    torch.save(torch.nn.Linear(3, 4), "module.pth")
    others = {name: tensor for name, tensor in state.items() if name != "conv1.weight"}
    weight = state["conv1.weight"].float()
    torch.save({**others, "conv1.weight": weight.to_sparse()}, "sparse.pth")
    torch.save({**others, "conv1.weight": torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8)}, "quantised.pth")
    torch.save({**others, "conv1.weight": weight.to(torch.int8)}, "integers.pth")
    torch.save({**state, "layer1.0.bn1.bias": state["layer1.0.bn1.bias"].to(torch.int8)}, "bias.pth")
    torch.save({**others, "conv1.weight": weight.to("meta")}, "meta.pth")
    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 4)), "script.pt")
    # Nine numbers with a declared shape of a million times a million.
    torch.save({"conv1.weight": torch.zeros(9)[:1].expand(1_000_000, 1_000_000)}, "bomb.pth")
    with open("torn.pth", "wb") as torn, open("plain.pth", "rb") as whole:
        torn.write(whole.read(100_000))


if __name__ == "__main__":
    main(*sys.argv[1:])
