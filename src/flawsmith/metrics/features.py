"""Feature vectors of a set of pictures, and whether two sets may be compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import BadParameter, DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """One vector per picture.

    Args:
        values: n×d.
        extractor: the network that made them, with its weights; two sets are compared only if they agree in it.
    """

    values: NDArray[Any]
    extractor: str = "given"

    def __len__(self) -> int:
        return len(self.values)


def check_features(features: FeatureSet) -> Floats:
    """The vectors as float64.

    Raises:
        DataError: not n×d, or not finite (E_SIZE, E_NOT_FINITE).
    """
    values = np.asarray(features.values)
    if values.ndim != 2 or values.shape[1] == 0 or values.dtype.kind not in "fiu":
        raise DataError("E_SIZE", f"features are {values.dtype} of shape {values.shape}; expected numbers, pictures×dimensions")
    if not np.isfinite(values).all():
        odd = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise DataError("E_NOT_FINITE", f"the features of picture {odd} are NaN or infinite; expected finite numbers: check it")
    return values.astype(np.float64)


def check_two(one: FeatureSet, other: FeatureSet) -> tuple[Floats, Floats]:
    """Both as float64.

    Raises:
        BadParameter: two extractors, or two numbers of dimensions.
        DataError: as `check_features`.
    """
    a, b = check_features(one), check_features(other)
    if one.extractor != other.extractor:
        raise BadParameter(
            f"the features come from {one.extractor} and from {other.extractor}; expected one extractor for both sets"
        )
    if a.shape[1] != b.shape[1]:
        raise BadParameter(f"the features have {a.shape[1]} and {b.shape[1]} dimensions; expected one extractor for both sets")
    return a, b
