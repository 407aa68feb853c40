"""IC-LPIPS of a group, of whole pictures and of the regions that their masks mark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.encoders.perceptual import PerceptualNet
from flawsmith.inspection.quality.pixels import Held, Squares, pictures_at, regions_at, vectors_of
from flawsmith.inspection.quality.recording import Counts, Measured, record_of, value_of
from flawsmith.inspection.quality.rules import Rules
from flawsmith.inspection.quality.sides import Group, Picture
from flawsmith.metrics.ic_lpips import ClusterSpread, by_area, ic_lpips
from flawsmith.metrics.lpips import Vectors
from flawsmith.metrics.records import MetricValue, ProtocolRecord, Reason


class DiversityMeter:
    """Measures groups with one network.

    Args:
        net: the network.
        rules: how; with `compat` as that released code counts.
    """

    def __init__(self, net: PerceptualNet, rules: Rules) -> None:
        self.net, self.rules = net, rules

    def measure(self, group: Group, squares: Squares, metrics: Sequence[str], details: Mapping[str, str]) -> Measured:
        """IC-LPIPS and its variants that are among `metrics`; the squares are cleared.

        Args:
            group: what to measure.
            squares: its pictures.
            metrics: ids.
            details: for the records.
        """
        centres, rule = self._centres(group)
        told = {**details, **self._details(rule)}
        label = f"{group.product} {group.defect}"
        values: dict[str, MetricValue] = {}
        counts: dict[str, Counts] = {}
        if "ic_lpips" in metrics:
            spread = self._clusters(squares.generated_vectors, self._vectors(group, squares, centres), f"{label}: clusters")
            self._put("ic_lpips", group, spread, told, 0, values, counts)
        squares.clear()  # the regions need as much memory again
        if "ic_lpips_a" in metrics or "ic_lpips_a_norm" in metrics:
            self._regions(group, centres, told, f"{label}: regions", values, counts)
        return values, counts

    def _centres(self, group: Group) -> tuple[Sequence[Picture], str]:
        if self.rules.counting.first_third:
            return group.real[: len(group.real) // 3], f"the first third of {group.real_rule}"
        return group.references, group.reference_rule

    def _details(self, rule: str) -> dict[str, str]:
        counting = self.rules.counting
        cap = "none" if counting.cap is None else f"{counting.kept} {counting.cap}"
        details = {"references": rule, "resize": self.rules.squares, "weights": self.net.weights, "cap": cap}
        return details | ({"compat": self.rules.compat} if self.rules.compat else {})

    def _vectors(self, group: Group, squares: Squares, centres: Sequence[Picture]) -> Held[NDArray[np.float32]]:
        counting = self.rules.counting
        if centres is group.real and not counting.bytes_as_is and counting.references_resize == "bilinear":
            return squares.real_vectors
        real = pictures_at(centres, self.rules.pair_side, counting.references_resize)
        return vectors_of(self.net, real, bytes_as_is=counting.bytes_as_is)

    def _regions(
        self,
        group: Group,
        centres: Sequence[Picture],
        details: Mapping[str, str],
        label: str,
        values: dict[str, MetricValue],
        counts: dict[str, Counts],
    ) -> None:
        side, counting = self.rules.pair_side, self.rules.counting
        images, shares, bare = regions_at(group.generated, side)
        real, _, unmarked = regions_at(centres, side, counting.references_resize)
        generated = vectors_of(self.net, images)
        references = vectors_of(self.net, real, bytes_as_is=counting.bytes_as_is)
        spread = self._clusters(generated, references, label) if len(images) else None
        excluded = bare + unmarked
        self._put("ic_lpips_a", group, spread, details, excluded, values, counts)
        value = by_area(spread.value, shares) if spread else math.nan
        values |= value_of(value, self._record("ic_lpips_a_norm", group, details, excluded), reason=_reason(spread, excluded))

    def _clusters(self, generated: Vectors, references: Vectors, label: str) -> ClusterSpread | None:
        """None where there are no references."""
        if not len(references):
            return None
        return ic_lpips(generated, references, rules=self.rules.counting, seed=self.rules.seed, label=label)

    def _put(
        self,
        name: str,
        group: Group,
        spread: ClusterSpread | None,
        details: Mapping[str, str],
        excluded: int,
        values: dict[str, MetricValue],
        counts: dict[str, Counts],
    ) -> None:
        """The value, the value with 0 for clusters of fewer than two, and what was counted."""
        for metric, number, singles in (
            (name, spread.value if spread else math.nan, "left out"),
            (f"{name}_zero_filled", spread.zero_filled if spread else math.nan, "count as 0"),
        ):
            record = self._record(metric, group, {**details, "clusters_below_2": singles}, excluded)
            values |= value_of(number, record, reason=_reason(spread, excluded))
            counts.setdefault(record.metric, _counts(spread, excluded) if metric == name else {})

    def _record(self, metric: str, group: Group, details: Mapping[str, str], excluded: int) -> ProtocolRecord:
        return record_of(metric, group, details, self.net, as_released=self.rules.compat is not None, excluded=excluded)


def _reason(spread: ClusterSpread | None, excluded: int) -> Reason:
    return "no_masks" if spread is None and excluded else "too_few_samples"


def _counts(spread: ClusterSpread | None, excluded: int) -> Counts:
    counts: dict[str, Any] = {"without_mask": excluded} if excluded else {}
    if spread is None:
        return counts
    told = {"references": len(spread.sizes), "cluster_sizes": list(spread.sizes), "clusters_left_out": spread.left_out}
    return counts | told | ({"over_cap": spread.over_cap} if spread.over_cap else {})
