"""Worker processes that make the items of a set: started afresh, one thread each, in order, gone with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from flawsmith.core.errors import FlawsmithError
from flawsmith.core.memory import keep_freed_memory
from flawsmith.synthesis.sets import SyntheticSet

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
CHUNK = 8
AHEAD = 4
"""Chunks that are handed out for each worker at a time, so that none waits and nothing piles up, however many items there are."""

WriteItem = Callable[[SyntheticSet, int, Path, bool], dict[str, Any]]


class WorkerDied(FlawsmithError):
    """A worker process ended without an answer."""

    code = "E_WORKER"


def records_of_workers(
    write: WriteItem, made: SyntheticSet, indices: range, folder: Path, clean: bool, workers: int
) -> Iterator[dict[str, Any]]:
    """What `write(made, index, folder, clean)` returns for every index, in order, made by `workers` processes.

    An item that fails in a worker is made again here, so that its error is raised in full.

    Raises:
        WorkerDied: a worker was killed, as by a lack of memory.
    """
    context = multiprocessing.get_context("spawn")
    with _one_thread(), ProcessPoolExecutor(workers, context, _start, (write, made, folder, clean)) as pool:
        try:
            for index, record in _in_order(pool, indices, AHEAD * workers):
                yield record if record is not None else write(made, index, folder, clean)
        except BrokenProcessPool as error:
            raise WorkerDied("a worker process died; expected enough memory for all: run again with fewer --workers") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _in_order(pool: ProcessPoolExecutor, indices: range, ahead: int) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Every index and its answer; at most `ahead` chunks are under way."""
    chunks = (indices[first : first + CHUNK] for first in range(0, len(indices), CHUNK))
    waiting: deque[tuple[range, Future[list[dict[str, Any] | None]]]] = deque()
    with _interrupts_held_back():
        waiting.extend((chunk, pool.submit(_work, chunk)) for chunk in islice(chunks, ahead))
    while waiting:
        chunk, answers = waiting.popleft()
        found = answers.result()
        waiting.extend((following, pool.submit(_work, following)) for following in islice(chunks, 1))
        yield from zip(chunk, found, strict=True)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hold Ctrl-C back while processes are started. They inherit that, so that only the command answers it, once it goes on."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Children inherit the environment: give them one thread for linear algebra."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_JOB: dict[str, Any] = {}
"""What this worker process writes, set once when it starts."""


def _start(write: WriteItem, made: SyntheticSet, folder: Path, clean: bool) -> None:
    import cv2

    cv2.setNumThreads(1)
    keep_freed_memory()
    warnings.showwarning = _tell
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _JOB.update(write=write, made=made, folder=folder, clean=clean)


def _tell(message: Warning | str, *where: object, **more: object) -> None:
    """A warning as one line of the command, not of Python."""
    sys.stderr.write(f"flawsmith: warning: {' '.join(str(message).split())}\n")


def _end_with_parent() -> None:
    """A killed parent takes no leave: watch it, and end when it is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(chunk: range) -> list[dict[str, Any] | None]:
    return [_work_on(index) for index in chunk]


def _work_on(index: int) -> dict[str, Any] | None:
    try:
        return dict(_JOB["write"](_JOB["made"], index, _JOB["folder"], _JOB["clean"]))
    except Exception:  # the parent makes this item again, and raises what then goes wrong
        return None
