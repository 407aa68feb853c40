"""The anomaly stream: training items from normals, synthesizers, and perhaps a few real anomalies, in a chosen ratio.

Item i is a pure function of (seed, i): random access, resumable anywhere, the same with any number of workers. The coin falls
first, and an item that stays normal costs no synthesis. The stream owns rotation and global photometry; a synthesizer inside it
does neither.

Mixing `concat` is ASBench's: an epoch is a seeded permutation of all (method, normal) pairs, so that every method meets every
normal once before any pair comes again; each item still flips its own coin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image, freeze
from flawsmith.core.detector import StreamItem
from flawsmith.core.errors import BadParameter, DataError, NeedUnmet
from flawsmith.core.recipes import Mixing, RatioMode, Rotation
from flawsmith.core.requests import Anomaly, Request
from flawsmith.core.samples import GOOD, Sample
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import Synthesizer
from flawsmith.data.resize import resize_image, resize_mask
from flawsmith.learning.rotation import FILL, draw_angle, draw_tone_curve, rotate_image, rotate_mask

ATTEMPTS = 10


@dataclass(frozen=True, eq=False)
class AnomalyStream:
    """An endless sequence of `StreamItem`s.

    Args:
        normals: training normals; one is drawn per item, uniformly with replacement, under mixing `choice`.
        sources: synthesizers with their weights; empty only where the ratio is 0 or every anomaly is real.
        ratio: probability that an item is anomalous, 0…1.
        size: (H, W) of every item.
        seed: root of every draw.
        ratio_mode: `bernoulli`, an independent coin; `stratified`, exact to 1 in every prefix.
        mixing: `choice` draws normal and synthesizer of each item; `concat` takes every pair of them once per epoch.
        real: real anomalies with masks.
        real_share: share of the anomalous items that are real, 0…1.
        rotation: policy for clean images.
        photometry: strength of the brightness and contrast jitter that image and clean twin share, 0…1.
        pool: number of distinct items, which then repeat; None: endless.
        max_area: largest share of the image that a mask may cover; above it the draw is repeated.
        cache_bytes: memory for resized normals.

    Raises:
        BadParameter: ratio, real_share, photometry or a weight out of range, or unequal weights under `concat`.
        DataError: no normals (E_EMPTY_SPLIT).
        NeedUnmet: a ratio above 0 without any source, or a real share without real anomalies with masks.
    """

    normals: Sequence[Sample]
    sources: Sequence[tuple[Synthesizer, float]]
    ratio: float
    size: tuple[int, int]
    seed: Seed
    ratio_mode: RatioMode = "bernoulli"
    mixing: Mixing = "choice"
    real: Sequence[Sample] = ()
    real_share: float = 0.0
    rotation: Rotation = "none"
    photometry: float = 0.0
    pool: int | None = None
    max_area: float = 0.95
    cache_bytes: int = 256 * 2**20
    _cache: dict[str, Image] = field(default_factory=dict, init=False, repr=False)
    _orders: dict[int, NDArray[np.int64]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, value in (("ratio", self.ratio), ("real_share", self.real_share), ("photometry", self.photometry)):
            if not 0 <= value <= 1:
                raise BadParameter(f"{name} is {value}; expected a share between 0 and 1, as in {name}=0.5")
        if any(not weight > 0 for _, weight in self.sources):
            raise BadParameter(f"synthesizer weights are {[w for _, w in self.sources]}; expected numbers above 0")
        if self.mixing == "concat" and len({weight for _, weight in self.sources}) > 1:
            raise BadParameter(f"synthesizer weights are {[w for _, w in self.sources]}; expected equal ones under mixing concat")
        if not self.normals:
            raise DataError("E_EMPTY_SPLIT", "the training split has no normal image; expected at least one: check the split")
        if self.real_share > 0 and not all(sample.has_mask for sample in self.real):
            raise NeedUnmet("a stream with real anomalies", "a mask for each of them", "add masks or set the real share to 0")
        self._refuse_without_source()

    def _refuse_without_source(self) -> None:
        if self.ratio > 0 and self.real_share > 0 and not self.real:
            raise NeedUnmet("a real share above 0", "real anomalies", "give some with --defect-shots or set the share to 0")
        if self.ratio > 0 and self.real_share < 1 and not self.sources:
            raise NeedUnmet("a ratio above 0", "a synthesizer", "name one with --synth or set the ratio to 0")

    @property
    def epoch(self) -> int:
        """How many (synthesizer, normal) pairs there are: the items of one epoch under `concat`."""
        return max(1, len(self.sources)) * len(self.normals)

    def __getitem__(self, index: int) -> StreamItem:
        """The item at `index` ≥ 0: uint8 image and twin, bool mask, all of `size`."""
        if index < 0:
            raise IndexError(f"stream index is {index}; expected 0 or more")
        index = index if self.pool is None else index % self.pool
        seed = self.seed.child("item", index)
        item = self._anomalous(index, seed) if self._is_anomalous(index, seed) else self._normal(index, seed)
        return self._toned(item, seed)

    def _is_anomalous(self, index: int, seed: Seed) -> bool:
        if self.ratio_mode == "stratified":
            return int((index + 1) * self.ratio) > int(index * self.ratio)
        return bool(seed.numpy("coin").random() < self.ratio)

    def _normal(self, index: int, seed: Seed, empty_draws: int = 0) -> StreamItem:
        sample = self._draw_normal(index, seed)
        image = self._prepared(sample, seed)
        mask = np.zeros(self.size, bool)
        return StreamItem(image, image, mask, GOOD, sample.origin, "normal", sample.id, index, empty_draws)

    def _anomalous(self, index: int, seed: Seed) -> StreamItem:
        if self.real_share > 0 and seed.numpy("real").random() < self.real_share:
            return self._real(index, seed)
        return self._synthetic(index, seed)

    def _real(self, index: int, seed: Seed) -> StreamItem:
        rng = seed.numpy("real", "choice")
        kinds = sorted({sample.defect for sample in self.real})
        kind = kinds[int(rng.integers(len(kinds)))]
        of_kind = [sample for sample in self.real if sample.defect == kind]
        sample = of_kind[int(rng.integers(len(of_kind)))]
        angle = self._angle(seed)
        image = rotate_image(self._resized(sample), angle, FILL.get(self.rotation, 0))
        mask = rotate_mask(resize_mask(sample.mask(), self.size), angle)
        if not mask.any():
            return self._normal(index, seed, empty_draws=1)
        return StreamItem(image, None, mask, sample.defect, sample.origin, "real", sample.id, index)

    def _synthetic(self, index: int, seed: Seed) -> StreamItem:
        sample = self._draw_normal(index, seed)
        prepared = sample.with_pixels(self._prepared(sample, seed))
        synthesizer = self._draw_source(index, seed)
        for attempt in range(ATTEMPTS):
            anomaly = synthesizer.synthesize([Request(prepared, seed.child("synthesis", attempt))])[0]
            self._check(anomaly, synthesizer)
            self._check_label(anomaly, synthesizer)
            anomaly = self._turned(anomaly, seed)
            if 0 < float(anomaly.mask.mean()) <= self.max_area:
                maker = anomaly.provenance.component or synthesizer.name
                return StreamItem(
                    anomaly.image, anomaly.clean, anomaly.mask, anomaly.defect, "synthetic", maker, sample.id, index, attempt
                )
        return self._normal(index, seed, empty_draws=ATTEMPTS)

    def _turned(self, anomaly: Anomaly, seed: Seed) -> Anomaly:
        """An anomaly that did not start from the turned normal gets the same turn afterwards, or the angle would give it away."""
        angle = self._angle(seed)
        if anomaly.twin == "normal" or angle == 0:
            return anomaly
        fill = FILL.get(self.rotation, 0)
        clean = None if anomaly.clean is None else rotate_image(anomaly.clean, angle, fill)
        mask = rotate_mask(anomaly.mask, angle)
        return replace(anomaly, image=rotate_image(anomaly.image, angle, fill), mask=mask, clean=clean, soft_mask=None)

    def _check(self, anomaly: Anomaly, synthesizer: Synthesizer) -> None:
        image, mask = anomaly.image, anomaly.mask
        if image.shape != (*self.size, 3) or image.dtype != np.uint8 or mask.shape != self.size or mask.dtype != np.bool_:
            raise BadParameter(
                f"synthesizer {synthesizer.name} returned an image {image.shape} {image.dtype} and a mask {mask.shape} "
                f"{mask.dtype}; "
                f"expected ({self.size[0]}, {self.size[1]}, 3) uint8 and {self.size} bool: mend the synthesizer"
            )

    @staticmethod
    def _check_label(anomaly: Anomaly, synthesizer: Synthesizer) -> None:
        if anomaly.is_normal == bool(anomaly.mask.any()):
            raise BadParameter(
                f"synthesizer {synthesizer.name} called a mask of {int(anomaly.mask.sum())} pixels {anomaly.defect!r}; expected "
                f"good exactly where the mask is empty: mend the synthesizer"
            )

    def _draw_normal(self, index: int, seed: Seed) -> Sample:
        if self.mixing == "concat":
            return self.normals[self._pair(index)[1]]
        return self.normals[int(seed.numpy("normal").integers(len(self.normals)))]

    def _draw_source(self, index: int, seed: Seed) -> Synthesizer:
        if self.mixing == "concat":
            return self.sources[self._pair(index)[0]][0]
        weights = np.array([weight for _, weight in self.sources], float)
        return self.sources[seed.numpy("source").choice(len(weights), p=weights / weights.sum())][0]

    def _pair(self, index: int) -> tuple[int, int]:
        """Numbers of the synthesizer and the normal whose turn it is."""
        epoch, place = divmod(index, self.epoch)
        return divmod(int(self._order(epoch)[place]), len(self.normals))

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """The order of an epoch's pairs; the two used last are kept."""
        if epoch not in self._orders:
            if len(self._orders) > 1:
                del self._orders[next(iter(self._orders))]
            self._orders[epoch] = self.seed.child("epoch", epoch).numpy("order").permutation(self.epoch)
        return self._orders[epoch]

    def _angle(self, seed: Seed) -> float:
        return draw_angle(self.rotation, seed.numpy("rotation"))

    def _prepared(self, sample: Sample, seed: Seed) -> Image:
        return rotate_image(self._resized(sample), self._angle(seed), FILL.get(self.rotation, 0))

    def _resized(self, sample: Sample) -> Image:
        if sample.id in self._cache:
            return self._cache[sample.id]
        image = freeze(np.ascontiguousarray(resize_image(sample.image(), self.size)))
        if (len(self._cache) + 1) * image.nbytes <= self.cache_bytes:
            self._cache[sample.id] = image
        return image

    def _toned(self, item: StreamItem, seed: Seed) -> StreamItem:
        if self.photometry == 0:
            return item
        curve = draw_tone_curve(self.photometry, seed.numpy("photometry"))
        clean = None if item.clean is None else np.asarray(cv2.LUT(item.clean, curve), np.uint8)
        return replace(item, image=np.asarray(cv2.LUT(item.image, curve), np.uint8), clean=clean)
