"""Kernel distance of two sets of features, the KID where the features are those of the Inception network.

Bińkowski et al. (ICLR 2018): the unbiased squared MMD with k(x, y) = (xᵀy/d + 1)³. It may be negative. torch-fidelity takes the
mean over 100 random subsets of 1000 and refuses smaller sets; the subset here is min(1000, n₁, n₂), and the estimate of all
pictures at once comes along.

The subsets are drawn as torch-fidelity draws them, by a `RandomState(2020)` of the call's own: a deliberate exception to the
rule that chance comes from a `Generator`, for with any other a KID could not be checked against theirs. They depend on the order
of the vectors; whoever measures files chooses one that does not hang on their names (`inspection.quality.features`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from flawsmith.core.errors import BadParameter
from flawsmith.metrics.features import FeatureSet, Floats, check_two

SUBSET, SUBSETS, SEED = 1000, 100, 2020
BLOCK = 1024


@dataclass(frozen=True)
class KernelDistance:
    """The estimates.

    Args:
        mean: over the subsets; NaN where a set has fewer than two pictures.
        std: over the subsets, ddof 1; None of a single one.
        full: of all pictures.
        subset: pictures of each set in a subset.
        subsets: their number.
    """

    mean: float
    std: float | None
    full: float
    subset: int
    subsets: int


def kernel_distance(
    one: FeatureSet, other: FeatureSet, *, subset: int = SUBSET, subsets: int = SUBSETS, seed: int = SEED
) -> KernelDistance:
    """KID by subsets and of the whole sets.

    Args:
        one, other: features of the two sets.
        subset: most pictures of each set in a subset.
        subsets: how many are drawn.
        seed: of the draws.

    Raises:
        BadParameter: different extractors, a subset below 2, or no subsets.
        DataError: features that are no table of finite numbers (E_SIZE, E_NOT_FINITE).
    """
    if subset < 2 or subsets < 1:
        raise BadParameter(f"{subsets} subsets of {subset} pictures; expected at least one of at least 2")
    a, b = check_two(one, other)
    size = min(subset, len(a), len(b))
    if size < 2:
        return KernelDistance(math.nan, None, math.nan, size, subsets)
    # RandomState: frozen by NumPy, and torch-fidelity's own; vectors in the same order give the same KID to the last digits
    rng = np.random.RandomState(seed)
    found = []
    for _ in range(subsets):
        rows, others = rng.choice(len(a), size, replace=False), rng.choice(len(b), size, replace=False)
        found.append(unbiased_mmd(a[rows], b[others]))
    std = float(np.std(found, ddof=1)) if subsets > 1 else None
    return KernelDistance(math.fsum(found) / subsets, std, unbiased_mmd(a, b), size, subsets)


def unbiased_mmd(a: Floats, b: Floats) -> float:
    """The unbiased squared MMD of two float64 tables of at least two rows each."""
    n, m = len(a), len(b)
    own = (_kernel_sum(a, a) - _self_sum(a)) / (n * (n - 1))
    others = (_kernel_sum(b, b) - _self_sum(b)) / (m * (m - 1))
    return own + others - 2 * _kernel_sum(a, b) / (n * m)


def _kernel_sum(a: Floats, b: Floats) -> float:
    """Sum of the kernel over all pairs, in blocks of rows."""
    return math.fsum(float(((a[start : start + BLOCK] @ b.T / a.shape[1] + 1) ** 3).sum()) for start in range(0, len(a), BLOCK))


def _self_sum(a: Floats) -> float:
    return float((((a**2).sum(axis=1) / a.shape[1] + 1) ** 3).sum())
