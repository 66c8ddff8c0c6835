"""Sessions of ONNX Runtime and how many threads they run on, found by trying."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from latent_tts.engine.passage import ROOM, Passage
from latent_tts.engine.store import GraphStore

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SECONDS = 2.0  # that a calibration may take
MOST = 8  # threads; a step is too small for more
GAIN = 0.9  # of the time on fewer threads that more must save


def start(graph: bytes, threads: int) -> InferenceSession:
    """A session that runs ``graph``, already optimised, on so many threads, idle between two runs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def choose_threads(step: bytes, store: GraphStore) -> int:
    """How many threads make ``step``, the graph of a step, fastest here; found once and kept in the ``store``."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = [count for count in (1, 2, 4, MOST) if count <= cores]
    if len(counts) == 1:
        return 1
    name = f"threads-{platform.node()}-{cores}"
    return int(store.get(name, lambda: {name: str(_fastest(step, counts)).encode()}))


def _fastest(step: bytes, counts: list[int]) -> int:
    """The counts take turns; a higher one has to earn its place."""
    walks = {count: _walk(start(step, count)) for count in counts}
    times: dict[int, list[float]] = {count: [] for count in counts}
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for count, walk in walks.items():
            begin = time.perf_counter()
            next(walk)
            times[count].append(time.perf_counter() - begin)
    best = counts[0]
    for count in counts[1:]:
        if statistics.median(times[count]) < GAIN * statistics.median(times[best]):
            best = count
    return best


def _walk(session: InferenceSession) -> Iterator[None]:
    """A step of a stream at each ``next``."""
    width = session.get_inputs()[0].shape[2]
    x = np.random.default_rng(0).standard_normal((1, 1, width), np.float32)
    while True:
        passage = Passage(session, x, np.zeros(1, np.int64))
        for _ in range(4 * ROOM):
            passage.step(x[:, 0])
            yield
