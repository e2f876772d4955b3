//! ResNet-34 in libtorch, its weights, and the same network as ONNX.
