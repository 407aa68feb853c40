"""Fréchet distance of two sets of features, the FID where the features are those of the Inception network.

Heusel et al. (NeurIPS 2017): ‖μ₁−μ₂‖² + Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½), covariances with n−1. With A the centred features
over √(n−1), Σ = AᵀA, and the last trace is the sum of the singular values of A₁A₂ᵀ: real and exact, where a matrix square root
is neither.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.linalg

from flawsmith.metrics.features import FeatureSet, Floats, check_two

FEW = 2048
"""Below this number of pictures the bias upwards cannot be neglected, so every such value is flagged."""


def frechet_distance(one: FeatureSet, other: FeatureSet) -> float:
    """The distance, at least 0; symmetric. NaN where a set has fewer than two pictures.

    Raises:
        BadParameter: different extractors.
        DataError: features that are no table of finite numbers (E_SIZE, E_NOT_FINITE).
    """
    a, b = check_two(one, other)
    if min(len(a), len(b)) < 2:
        return math.nan
    shift = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    root, other_root = _root(a), _root(b)
    spread = float((root**2).sum() + (other_root**2).sum())
    common = float(scipy.linalg.svdvals(root @ other_root.T).sum())
    return max(shift + spread - 2 * common, 0.0)


def _root(values: Floats) -> Floats:
    """A with AᵀA the covariance, no more rows than columns: an orthogonal factor in front changes no singular value."""
    centred = (values - values.mean(axis=0)) / math.sqrt(len(values) - 1)
    if len(centred) <= centred.shape[1]:
        return np.asarray(centred)
    return np.asarray(scipy.linalg.qr(centred, mode="r")[0][: centred.shape[1]], np.float64)
