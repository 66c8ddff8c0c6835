"""Which products get 8-bit weights, and how near they are."""

from __future__ import annotations

import numpy as np
import pytest

from latent_tts.engine.quantize import NARROW, quantized

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def product(weight: np.ndarray) -> bytes:
    """The graph of x @ weight."""
    floats = onnx.TensorProto.FLOAT
    inputs, outputs = (
        [onnx.helper.make_tensor_value_info(name, floats, [None, width])] for name, width in zip("xy", weight.shape)
    )
    node, initializer = onnx.helper.make_node("MatMul", ["x", "w"], ["y"]), onnx.numpy_helper.from_array(weight, "w")
    graph = onnx.helper.make_graph([node], "product", inputs, outputs, [initializer])
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("com.microsoft", 1)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def run(graph: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": x})[0]


def error(weight: np.ndarray) -> float:
    """Of the product with unit noise, by 8 bits, in proportion to it."""
    x = np.random.default_rng(1).standard_normal((20, len(weight)), np.float32)
    return np.linalg.norm(run(quantized(product(weight)), x) - x @ weight) / np.linalg.norm(x @ weight)


@pytest.mark.parametrize("inputs", [2 * NARROW, NARROW + 32])
def test_a_wide_product_is_rounded(inputs):
    weight = np.random.default_rng(0).standard_normal((inputs, 48), np.float32)
    assert len(quantized(product(weight))) < 0.5 * len(product(weight))
    assert 1e-4 < error(weight) < 0.02


def test_a_narrow_product_stays_as_it_is():
    assert error(np.random.default_rng(0).standard_normal((NARROW, 48), np.float32)) < 1e-6
