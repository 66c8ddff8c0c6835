"""8-bit weights for a graph's matrix products."""

from __future__ import annotations

import numpy as np

BLOCKS = (64, 32, 16)  # inputs that share a scale; the largest that divides a layer's width is taken
NARROW = 64  # products of no more inputs than this stay as they are


def quantized(graph: bytes) -> bytes:
    """The graph with the constant matrices of its wider products as 8-bit integers, a scale for every block of inputs.

    The narrow ones, which take a frame or noise in, are a few hundredths of the work and bear rounding worst: a codec
    may give its frames in a basis whose inverse magnifies errors (``codec/rebase.py``).

    ONNX Runtime rounds the inputs of a product as well, block by block and row by row (MatMulNBits, accuracy level 4):
    a row of a batch does not hang on its neighbours.
    """
    import onnx

    model = onnx.load_model_from_string(graph)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    added = {}
    for node in model.graph.node:
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in weights:
            continue
        weight = onnx.numpy_helper.to_array(weights[node.input[1]])
        if any(a.name == "transB" and a.i for a in node.attribute):
            weight = weight.T
        block = next((b for b in BLOCKS if len(weight) % b == 0), 0)
        if weight.ndim == 2 and block and len(weight) > NARROW:
            codes, scales = _rounded(weight, block)
            names = [f"{node.input[1]}.{part}" for part in ("codes", "scales")]
            added |= dict(zip(names, (codes, scales)))
            node.CopyFrom(_product(node, names, weight.shape, block))
    _settle(model.graph, added)
    return model.SerializeToString()


def _rounded(weight: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """(K, N) -> codes (N, K / block, block) uint8, 128 for zero, and scales (N, K / block)."""
    blocks = weight.T.reshape(weight.shape[1], -1, block)
    scales = np.maximum(np.abs(blocks).max(axis=2), 1e-12) / 127
    return (np.round(blocks / scales[..., None]) + 128).astype(np.uint8), scales.astype(np.float32)


def _product(node, names: list[str], shape: tuple[int, int], block: int):
    """The 8-bit product in the place of ``node``, a MatMul or a Gemm with its bias."""
    import onnx

    bias = ["", "", node.input[2]] if len(node.input) > 2 else []
    sizes = {"K": shape[0], "N": shape[1], "bits": 8, "block_size": block, "accuracy_level": 4}
    inputs = [node.input[0], *names, *bias]
    return onnx.helper.make_node("MatMulNBits", inputs, node.output, node.name, domain="com.microsoft", **sizes)


def _settle(graph, added: dict[str, np.ndarray]) -> None:
    """Put new constants in, take those out that nothing reads any more."""
    import onnx

    graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in added.items())
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
