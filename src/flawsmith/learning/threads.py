"""The one place that decides how many threads compute.

Small tensors run many times faster with one thread than with two, so workers and tests use one; the commands use the
physical cores.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch

from flawsmith.core.errors import BadParameter
from flawsmith.core.memory import keep_freed_memory


def physical_cores() -> int:
    """How many cores this process may use, at least 1."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@contextmanager
def use_threads(threads: int | None = None) -> Iterator[int]:
    """Compute with `threads` threads (None: `FLAWSMITH_THREADS`, else the cores) in torch and OpenCV, and restore after.

    Raises:
        BadParameter: fewer than one.
    """
    wanted = threads if threads is not None else _from_environment()
    if wanted < 1:
        raise BadParameter(f"threads is {wanted}; expected at least 1")
    before = torch.get_num_threads(), cv2.getNumThreads()
    keep_freed_memory()
    torch.set_num_threads(wanted)
    cv2.setNumThreads(wanted)
    try:
        yield wanted
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _from_environment() -> int:
    text = os.environ.get("FLAWSMITH_THREADS", "")
    if not text:
        return physical_cores()
    if not text.isdecimal():
        raise BadParameter(f"FLAWSMITH_THREADS is {text!r}; expected a whole number above 0")
    return int(text)
