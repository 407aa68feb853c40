"""Pixels for conformance checks: writable, so that a method that changes them is caught, or forbidden to be read."""

from __future__ import annotations

from dataclasses import dataclass

from flawsmith.core.arrays import Image
from flawsmith.core.samples import ArraySource, Region


@dataclass(frozen=True, eq=False)
class WatchedSource(ArraySource):
    """Pixels that a method could change, so that it is seen when it does; or that raise when they are read.

    Args:
        refusal: raised by `image` and `regions`; None: they answer.
    """

    location: str = "conformance picture"
    refusal: Exception | None = None

    def image(self) -> Image:
        """The very array, writable."""
        if self.refusal is not None:
            raise self.refusal
        return self.pixels

    def regions(self) -> tuple[Region, ...]:
        """The labelled regions."""
        if self.refusal is not None:
            raise self.refusal
        return super().regions()
