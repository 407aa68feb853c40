"""Inception Score, FID and KID of a group.

The splits of the Inception Score and the subsets of KID are drawn by number. So that neither the names of files nor their order
decides them, pictures are numbered by the digest of their pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.progress import track
from flawsmith.encoders.set_nets import Seen, SetNet
from flawsmith.inspection.quality.cautions import Digests
from flawsmith.inspection.quality.pixels import resized
from flawsmith.inspection.quality.recording import Measured, record_of, value_of
from flawsmith.inspection.quality.rules import Rules
from flawsmith.inspection.quality.sides import Group, Picture
from flawsmith.metrics.features import FeatureSet
from flawsmith.metrics.frechet import FEW, frechet_distance
from flawsmith.metrics.inception_score import SPLITS, inception_score
from flawsmith.metrics.kid import SUBSETS, KernelDistance, kernel_distance
from flawsmith.metrics.records import MetricValue


class SetMeter:
    """Measures groups with one network; what it saw of a picture is kept for the next group.

    Args:
        net: the network.
        rules: how.
        digests: of the pictures' pixels, for their order.
    """

    def __init__(self, net: SetNet, rules: Rules, digests: Digests) -> None:
        self.net, self.rules, self.digests = net, rules, digests
        self._seen: dict[str, Seen] = {}

    def measure(self, group: Group, metrics: Sequence[str], details: Mapping[str, str]) -> Measured:
        """The metrics of sets that are among `metrics`.

        Args:
            group: what to measure.
            metrics: ids.
            details: for the records.
        """
        resize = self.net.resize if self.rules.side is None else f"{self.rules.squares}, then {self.net.resize}"
        told = {**details, "resize": resize, "weights": self.net.weights}
        generated = self._look(group.generated, f"{group.product} {group.defect}: generated pictures")
        values: dict[str, MetricValue] = {}
        if "inception_score" in metrics:
            values |= self._inception_score(group, generated, told)
        if "fid" in metrics or "kid" in metrics:
            real = self._look(group.real, f"{group.product} {group.defect}: real pictures")
            values |= self._distances(group, metrics, [self._pooled(generated), self._pooled(real)], told)
        return values, {}

    def _look(self, pictures: Sequence[Picture], label: str) -> list[Seen]:
        """What the network saw of each, in the order of their digests."""
        for picture in track(pictures, label):
            if picture.name not in self._seen:
                image = self.digests.read(picture)
                side = self.rules.side
                self._seen[picture.name] = self.net.see([image if side is None else resized(image, side)])
        return [self._seen[picture.name] for picture in sorted(pictures, key=self.digests.of)]

    def _pooled(self, seen: Sequence[Seen]) -> FeatureSet:
        rows: list[NDArray[np.float32]] = [each.pooled for each in seen]
        return FeatureSet(np.concatenate(rows) if rows else np.zeros((0, 1), np.float32), f"{self.net.label} {self.net.weights}")

    def _inception_score(self, group: Group, seen: Sequence[Seen], details: Mapping[str, str]) -> dict[str, MetricValue]:
        logits = np.concatenate([each.logits for each in seen if each.logits is not None])
        score = inception_score(logits)
        own = {key: value for key, value in details.items() if not key.startswith("real")} | {"splits": str(SPLITS)}
        record = record_of("inception_score", group, own, self.net, alone=True)
        return value_of(score.mean, record, score.std)

    def _distances(
        self, group: Group, metrics: Sequence[str], sets: Sequence[FeatureSet], details: Mapping[str, str]
    ) -> dict[str, MetricValue]:
        values: dict[str, MetricValue] = {}
        enough = min(map(len, sets)) > 1
        few = {"flag": f"a set has fewer than {FEW} pictures: biased upwards"} if min(map(len, sets)) < FEW else {}
        if "fid" in metrics:
            distance = frechet_distance(*sets) if enough else math.nan
            values |= value_of(distance, record_of("fid", group, {**details, **few}, self.net))
        if "kid" in metrics:
            kid = kernel_distance(*sets) if enough else KernelDistance(math.nan, None, math.nan, 0, SUBSETS)
            subsets = {"subset": str(kid.subset), "subsets": str(kid.subsets)}
            values |= value_of(kid.mean, record_of("kid", group, {**details, **subsets}, self.net), kid.std)
            values |= value_of(kid.full, record_of("kid_full", group, details, self.net))
        return values
