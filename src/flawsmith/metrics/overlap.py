"""Regions of a mask and the area under the per-region overlap curve (AUPRO), variant `mvtec`.

Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, section 5.2. Every region weighs alike whatever its size, so
AUPRO is a ROC whose positives weigh 1/|region|. Variants in circulation are told apart in `docs/metrics.md`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Mask
from flawsmith.core.errors import BadParameter
from flawsmith.metrics.parameters import above_zero, whole
from flawsmith.metrics.steps import Counts, Floats, Steps

FPR_LIMIT = 0.3
"""Right end of the PRO curve unless told otherwise, share of the background."""


def label_regions(mask: Mask, connectivity: int = 8) -> tuple[NDArray[np.int32], int]:
    """Number the connected regions of a mask from 1; 0 is background.

    Args:
        mask: bool H×W.
        connectivity: 8: pixels that touch at a corner are one region; 4: they are two.

    Raises:
        BadParameter: connectivity is neither 4 nor 8.
    """
    joined = check_connectivity(connectivity)
    count, labels = cv2.connectedComponents(np.ascontiguousarray(mask, np.uint8), connectivity=joined, ltype=cv2.CV_32S)
    return labels.astype(np.int32, copy=False), count - 1


def region_sizes(mask: Mask, connectivity: int = 8) -> tuple[Counts, int]:
    """|region| for every pixel of the mask in row order, and the number of regions."""
    labels, count = label_regions(mask, connectivity)
    inside = labels[mask]
    return np.bincount(inside, minlength=count + 1)[inside], count


def region_weights(mask: Mask, connectivity: int = 8) -> tuple[Floats, int]:
    """1/|region| for every pixel of the mask in row order, and the number of regions."""
    sizes, count = region_sizes(mask, connectivity)
    return 1.0 / sizes, count


def overlap_area(steps: Steps, limit: float = FPR_LIMIT) -> float:
    """Area under the PRO curve up to `limit`, divided by it. Chance is limit/2.

    Args:
        steps: pixels, with `region_weights` as their mass.
        limit: share of the background at which the curve ends, above 0, at most 1.
    """
    return steps.area(steps.mass, limit)


def check_limit(limit: Any) -> float:
    """A limit in 0…1 (0 excluded) as a float.

    Raises:
        BadParameter: naming it.
    """
    return above_zero("fpr_limit", limit, most=1, example=FPR_LIMIT)


def check_connectivity(connectivity: Any) -> int:
    """A connectivity of 4 or 8 as an int.

    Raises:
        BadParameter: naming it.
    """
    if whole("connectivity", connectivity, example=8) not in (4, 8):
        raise BadParameter(f"connectivity is {connectivity}; expected 8 (corners touch) or 4 (edges only)")
    return int(connectivity)
