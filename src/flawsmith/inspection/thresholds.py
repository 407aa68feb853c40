"""From raw scores to a verdict: one named, stored number, found without a test image.

The threshold is the conformal quantile of the scores of normals that were held out of training: with n of them and an accepted
share of false alarms α, the ⌈(n+1)(1-α)⌉-th smallest. A good part then exceeds it with probability at most α, whatever the
detector (Vovk et al., "Algorithmic Learning in a Random World", 2005, section 2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np

from flawsmith.core.arrays import Image
from flawsmith.core.detector import Detector
from flawsmith.core.errors import BadParameter


@dataclass(frozen=True)
class Threshold:
    """Above `value` an image is called defective.

    Args:
        value: in the detector's raw score.
        source: where it came from, in words.
        n: how many scores it rests on.
        false_alarms: accepted share of good parts called defective.
    """

    value: float
    source: str
    n: int
    false_alarms: float

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The inverse of `to_json`.

        Raises:
            ValueError: the value is no finite number.
            TypeError: a field is missing or unknown.
        """
        if not math.isfinite(value["value"]):
            raise ValueError(f"the threshold is {value['value']}")
        return cls(**value)


def normal_quantile(scores: Sequence[float], false_alarms: float, of_what: str) -> Threshold:
    """The conformal quantile of normal scores.

    Args:
        scores: raw scores of normals that the detector has not seen.
        false_alarms: accepted share, 0 < share < 1.
        of_what: what the scores were taken from, for the record.

    Raises:
        BadParameter: no scores, or a share out of range.
    """
    if not scores or not 0 < false_alarms < 1:
        raise BadParameter(
            f"{len(scores)} normal scores, false-alarm share {false_alarms}; expected at least one score and 0 < share < 1"
        )
    if not np.isfinite(scores).all():
        raise BadParameter(f"scores of {of_what} hold {next(s for s in scores if not math.isfinite(s))}; expected finite numbers")
    rank = math.ceil((len(scores) + 1) * (1 - Fraction(str(false_alarms))))  # as a fraction: rounding must not move the rank
    value = float(np.sort(np.asarray(scores, np.float64))[min(rank, len(scores)) - 1])
    if rank > len(scores):
        least = 1 / (len(scores) + 1)
        source = f"largest score of {of_what} (n = {len(scores)}, too few for {false_alarms:.0%}; expect about {least:.0%})"
    else:
        source = f"{1 - false_alarms:.0%} quantile of {of_what} (n = {len(scores)})"
    return Threshold(value, source, len(scores), false_alarms)


def turned_copies(images: Iterable[Image]) -> list[Image]:
    """Mirror images and half turns: the nearest thing to unseen normals where too few exist to hold one out."""
    return [np.ascontiguousarray(turned) for image in images for turned in (image[::-1], image[:, ::-1], image[::-1, ::-1])]


def find_threshold(detector: Detector, held_out: Sequence[Image], seen: Sequence[Image], false_alarms: float) -> Threshold:
    """The threshold from held-out normals; where there are none, from turned copies of the seen ones, and says so."""
    images, of_what = (
        (held_out, "held-out normals") if held_out else (turned_copies(seen[:30]), "turned copies of the training normals")
    )
    return normal_quantile([prediction.score for prediction in detector.predict(images)], false_alarms, of_what)
