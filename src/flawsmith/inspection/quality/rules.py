"""What is measured, and how: checked before any picture is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.metrics import ssim, vif
from flawsmith.metrics.ic_lpips import COMPAT, IcRules

SET_METRICS = ("inception_score", "fid", "kid")
PAIR_METRICS = ("ssim", "psnr", "vif", "lpips")
DIVERSITY_METRICS = ("ic_lpips", "ic_lpips_a", "ic_lpips_a_norm")
QUALITY_METRICS = (*SET_METRICS, *PAIR_METRICS, *DIVERSITY_METRICS)
"""Ids, in the order of tables."""

ALONG: Mapping[str, str] = {
    "kid_full": "kid",
    "ic_lpips_zero_filled": "ic_lpips",
    "ic_lpips_a_zero_filled": "ic_lpips_a",
}
"""Values that come along with another: the other."""

PAIRINGS: Mapping[str, str] = {
    "all": "all pairs, at most 1000 of them at random",
    "source": "each with what it was made from",
    "nearest": "each with the nearest real one by LPIPS",
}
"""Who is compared with whom, in words."""

SIDE = 256
LARGEST_SIDE = 4096
LEAST_SIDE: Mapping[str, int] = {"ssim": ssim.LEAST, "vif": vif.LEAST}
"""Shortest side of a picture by metric."""


@dataclass(frozen=True)
class Rules:
    """How quality is measured.

    Args:
        metrics: ids out of `QUALITY_METRICS`; empty: all that the networks can give.
        pairing: one of `PAIRINGS`.
        side: every picture is resized to a square of this side first; None: sets are seen as they are, pairs at 256.
        compat: released implementation of IC-LPIPS to count as; None: none of them.
        seed: of the random pairs.

    Raises:
        UnknownName: a metric, pairing or implementation that does not exist.
        BadParameter: a side that a metric cannot take.
    """

    metrics: tuple[str, ...] = ()
    pairing: str = "all"
    side: int | None = None
    compat: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.metrics:
            if name not in QUALITY_METRICS:
                raise UnknownName("metric of quality", name, QUALITY_METRICS)
        if self.pairing not in PAIRINGS:
            raise UnknownName("pairing", self.pairing, PAIRINGS)
        if self.compat is not None and self.compat not in COMPAT:
            raise UnknownName("released implementation", self.compat, COMPAT)
        check_side(self.pair_side, self.metrics or QUALITY_METRICS)

    @property
    def pair_side(self) -> int:
        """Side of the squares that pairs and IC-LPIPS are measured on."""
        return SIDE if self.side is None else self.side

    @property
    def squares(self) -> str:
        """Those squares in words."""
        return f"{self.pair_side}×{self.pair_side} bilinear, no antialias, of uint8 RGB"

    @property
    def counting(self) -> IcRules:
        """How IC-LPIPS is counted."""
        return COMPAT[self.compat] if self.compat else IcRules()


def check_side(side: int, metrics: Collection[str], least: int = 1) -> None:
    """Refuse squares that a metric cannot take.

    Args:
        side: of the squares.
        metrics: ids.
        least: shortest side that the network behind LPIPS can take.

    Raises:
        BadParameter: naming the metric.
    """
    if not 1 <= side <= LARGEST_SIDE:
        raise BadParameter(f"size is {side}; expected 1 to {LARGEST_SIDE} pixels")
    for name in metrics:
        shortest = LEAST_SIDE.get(name, least if "lpips" in name else 1)
        if side < shortest:
            raise BadParameter(f"size is {side}, and {name} needs at least {shortest} pixels; expected a larger --size")
