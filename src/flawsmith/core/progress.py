"""Progress on stderr for work over two seconds; silent when stderr is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

T = TypeVar("T")
DELAY_SECONDS = 2.0


def track(items: Iterable[T], label: str, total: int | None = None, start: int = 0) -> Iterator[T]:
    """Yield `items`, drawing a bar with the time left once two seconds have passed.

    Args:
        items: what to go through.
        label: what is being done.
        total: how many there are; None: `len(items)` where it has one.
        start: how many were done before (a resumed run).
    """
    if not sys.stderr.isatty():
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    yield from _drawn(items, label, total, start)


def _drawn(items: Iterable[T], label: str, total: int | None, start: int) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(label, total=total, completed=start)
    try:
        for item in items:
            yield item
            if not bar.live.is_started and time.monotonic() - began > DELAY_SECONDS:
                bar.start()
            bar.advance(task)
    finally:
        if bar.live.is_started:
            bar.stop()
