"""Watching what a call does beside its answer: files it opens, connections it tries, global generators it touches."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_LISTENERS: list[list[tuple[str, tuple[Any, ...]]]] = []
_INSTALLED: list[bool] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    for heard in _LISTENERS:
        heard.append((event, arguments))


@contextmanager
def watched_events() -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
    """Gather Python's audit events (`open`, `socket.connect` …) raised inside the block."""
    if not _INSTALLED:
        sys.addaudithook(_hear)
        _INSTALLED.append(True)
    heard: list[tuple[str, tuple[Any, ...]]] = []
    _LISTENERS.append(heard)
    try:
        yield heard
    finally:
        _LISTENERS[:] = [listener for listener in _LISTENERS if listener is not heard]


def opened_files(call: Callable[[], object]) -> list[str]:
    """The files that `call` opens or lists."""
    with watched_events() as heard:
        call()
    return [str(arguments[0]) for event, arguments in heard if event in ("open", "os.listdir", "os.scandir")]


def connections(call: Callable[[], object]) -> list[str]:
    """The addresses that `call` tries to reach or looks up."""
    with watched_events() as heard:
        call()
    return [str(arguments[1:]) for event, arguments in heard if event in ("socket.connect", "socket.getaddrinfo")]


def global_states() -> tuple[object, ...]:
    """The state of every global generator: Python's, NumPy's, and torch's where it is loaded."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 - the global generator is what is watched
    torch = sys.modules.get("torch")
    torch_state = torch.get_rng_state().numpy().tobytes() if torch is not None else b""
    return random.getstate(), repr(numpy_state), torch_state


def seed_globals(seed: int) -> None:
    """Seed every global generator."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the global generator is what is watched
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
