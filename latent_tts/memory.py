"""How much memory a process has held."""

from __future__ import annotations

import resource
import sys


def peak_resident() -> float:
    """The most memory this process has held so far, in GiB. (The system counts KiB, but macOS bytes.)"""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
