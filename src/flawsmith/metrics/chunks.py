"""Pixels of many maps, handed on in chunks of one size, and threads that work on them while the next maps are read."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import BadParameter
from flawsmith.metrics.steps import Scores1D

LARGEST_CHUNK = 1 << 22
"""Pixels per chunk where memory allows: larger ones leave the processor's cache and sort slower."""

SMALLEST_CHUNK = 1 << 12


def chunk_pixels(memory: int, buffers: int) -> int:
    """Pixels per chunk so that `buffers` of them take no more than an eighth of the memory."""
    return int(np.clip(memory // (8 * 8 * buffers), SMALLEST_CHUNK, LARGEST_CHUNK))


def default_workers() -> int:
    """`FLAWSMITH_THREADS`, else the cores that this process may use.

    Raises:
        BadParameter: the variable is no whole number above 0.
    """
    text = os.environ.get("FLAWSMITH_THREADS", "")
    if text and (not text.isdecimal() or not int(text)):
        raise BadParameter(f"FLAWSMITH_THREADS is {text!r}; expected a whole number above 0")
    if text:
        return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Crew:
    """Threads for work in any order; with one worker everything is done by the caller, at once.

    NumPy sorts and searches without the interpreter's lock, so threads share the pixels and nothing is copied. At most one task
    waits for a free worker, which bounds the chunks in flight.

    Args:
        workers: number of threads, at least 1.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool = ThreadPoolExecutor(workers, "pixels") if workers > 1 else None
        self._free = threading.Semaphore(workers + 1)
        self._tasks: list[Future[None]] = []

    def do(self, task: Callable[..., None], *arguments: Any) -> None:
        """Do a task now or soon."""
        if self._pool is None:
            task(*arguments)
            return
        self._free.acquire()
        future = self._pool.submit(task, *arguments)
        future.add_done_callback(lambda _: self._free.release())
        self._tasks = [each for each in self._tasks if not each.done() or each.exception()] + [future]

    def wait(self) -> None:
        """Wait until everything is done.

        Raises:
            Exception: what a task raised.
        """
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.result()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=kind is not None)


class Chunks:
    """Fills buffers of one group of images and hands each on when it is full.

    Args:
        pixels: size of a buffer.
        hand_on: takes a full buffer for its own.
    """

    def __init__(self, pixels: int, hand_on: Callable[[Scores1D], None]) -> None:
        self.pixels, self.hand_on = pixels, hand_on
        self._buffer: Scores1D | None = None
        self._filled = 0

    def add(self, values: NDArray[Any]) -> None:
        """Take the pixels of a map, as float32 where that holds them, else as float64."""
        flat = values.ravel()
        kind = np.float32 if np.can_cast(values.dtype, np.float32) else np.float64
        if self._buffer is not None and self._buffer.dtype != kind:
            self.flush()
        while len(flat):
            if self._buffer is None:
                self._buffer, self._filled = np.empty(self.pixels, kind), 0
            taken = flat[: self.pixels - self._filled]
            self._buffer[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            flat = flat[len(taken) :]
            if self._filled == self.pixels:
                self.flush()

    def flush(self) -> None:
        """Hand on what is there."""
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            self.hand_on(buffer[: self._filled])
