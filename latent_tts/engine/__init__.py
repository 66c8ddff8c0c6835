"""The same models, faster on a CPU: parts of them as graphs for ONNX Runtime, in the place of torch modules."""
