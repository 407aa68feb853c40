"""How pixels are counted, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import UnknownName
from flawsmith.metrics.bounds import Bounds, bounds_of
from flawsmith.metrics.overlap import FPR_LIMIT
from flawsmith.metrics.parameters import above_zero, whole
from flawsmith.metrics.steps import Steps

MEMORY_BUDGET = 4 * 2**30
"""Bytes that counting may take beside the maps, unless told otherwise."""

MOST_SORTED = 50_000_000
"""Pixels up to which `auto` keeps all of them where the maps could be read twice."""

TOLERANCE = 1e-4
"""Width of a certified interval that is good enough."""

ENGINES = ("auto", "sort", "anchored", "histogram")


@dataclass(frozen=True)
class Plan:
    """How pixels are counted.

    Args:
        engine: `auto`, `sort`, `anchored` or `histogram`.
        memory: bytes that counting may take beside the maps, within a sixth and 2 MiB; see docs/metrics.md.
        workers: threads; None: `FLAWSMITH_THREADS`, else the cores.
        connectivity: 8 or 4 neighbours join defect pixels to a region.
        fpr_limit: right end of the AUPRO curve whose interval is made narrow.
        tolerance: width of a certified interval that is good enough; above 0.
        chunk: pixels per chunk; None: as memory allows. No result depends on it.
        bins: occupied bins of a histogram at most; None: as memory allows, and not above 2^20.

    Raises:
        BadParameter: a value outside its range.
        UnknownName: no such engine.
    """

    engine: str = "auto"
    memory: int = MEMORY_BUDGET
    workers: int | None = None
    connectivity: int = 8
    fpr_limit: float = FPR_LIMIT
    tolerance: float = TOLERANCE
    chunk: int | None = None
    bins: int | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise UnknownName("engine", self.engine, ENGINES)
        for name, example in {"memory": MEMORY_BUDGET, "workers": 2, "chunk": 1 << 20, "bins": 1 << 20}.items():
            value = getattr(self, name)
            if value is not None or name == "memory":
                object.__setattr__(self, name, whole(name, value, 1, example=example))
        above_zero("tolerance", self.tolerance, example=TOLERANCE)


def size_text(count: int) -> str:
    """Bytes in the largest unit that leaves a number of 1 or more: `512 KiB`, `1.5 GiB`."""
    power = min(3, max(0, count.bit_length() - 1) // 10)
    return f"{count / 1024**power:.4g} {('B', 'KiB', 'MiB', 'GiB')[power]}"


@dataclass
class Counts:
    """How much there is in a group of images: `normals` are images without a defect, `hits` defect pixels."""

    images: int = 0
    normals: int = 0
    pixels: int = 0
    hits: int = 0
    regions: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class Counted:
    """Pixels of some groups of images.

    Args:
        steps: their step function; its mass is the PRO mass.
        mixed: which steps are bins of several scores; None: the steps are exact.
        engine: how they were counted, for the record.
        counts: how much there is.
    """

    steps: Steps
    mixed: NDArray[np.bool_] | None
    engine: str
    counts: Counts

    def bounds(self, compute: Callable[[Steps], float]) -> Bounds | None:
        """Certified ends of a metric of `flawsmith.metrics.bounds`; None where the engine is always exact."""
        return None if self.mixed is None else bounds_of(self.steps, self.mixed, compute)
