"""The same models faster on a CPU: parts of them as graphs for ONNX Runtime, behind the interfaces they had in torch."""
