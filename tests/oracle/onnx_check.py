"""Runs ONNX's own checker, including shapes, on each file. Prints the types of the initialisers and the metadata.

    onnx_check.py FILE...
"""
import collections
import sys

import onnx

for path in sys.argv[1:]:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    types = collections.Counter(onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in model.graph.initializer)
    print(path, dict(types), {entry.key: entry.value for entry in model.metadata_props})
