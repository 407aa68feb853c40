"""Whether two columns of numbers go together: Pearson's r and Spearman's, each with how likely chance alone would do it.

Sources: metrics' specification, section 8; ASBench, table IX (n = 12 synthesis methods, two-sided p of t = r√((n−2)/(1−r²))).
Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flawsmith.core.errors import BadParameter
from flawsmith.core.seeding import Seed
from flawsmith.metrics.records import Reason

LEAST = 3
"""Fewest pairs that a correlation is given for."""

PERMUTATIONS = 10_000
"""Random permutations behind a p-value, and the most that are counted out one by one."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Correlation:
    """A coefficient with its p-values.

    Args:
        r: in −1…1; NaN where it is undefined.
        p: two-sided, from Student's t with n − 2 degrees of freedom.
        p_permutation: share of the permutations of one column that give at least |r|.
        exact: whether these were all permutations, not a draw of `PERMUTATIONS`.
        n: number of pairs.
        reason: why r is NaN.
    """

    r: float
    p: float
    p_permutation: float
    exact: bool
    n: int
    reason: Reason | None = None


def pearson(x: ArrayLike, y: ArrayLike, *, seed: int = 0) -> Correlation:
    """Pearson's r.

    Args:
        x, y: n numbers each, finite.
        seed: of the random permutations, where there are too many to try all.

    Returns:
        NaN with a reason for fewer than three pairs (`too_few_samples`) and for a constant column (`constant`).

    Raises:
        BadParameter: the lengths differ, or a number is not finite.
    """
    return _correlation(*_columns(x, y), seed)


def spearman(x: ArrayLike, y: ArrayLike, *, seed: int = 0) -> Correlation:
    """Spearman's rank correlation: Pearson's r of the ranks, ties sharing their mean rank. As `pearson` otherwise."""
    from scipy.stats import rankdata

    one, other = _columns(x, y)
    return _correlation(np.asarray(rankdata(one), np.float64), np.asarray(rankdata(other), np.float64), seed)


def p_of(r: float, n: int) -> float:
    """Two-sided p of a coefficient from n pairs: t = r√((n−2)/(1−r²)) with n − 2 degrees of freedom; NaN for n < 3."""
    from scipy.stats import t

    if n < LEAST or math.isnan(r):
        return math.nan
    if abs(r) >= 1:
        return 0.0
    return float(2 * t.sf(abs(r) * math.sqrt((n - 2) / (1 - r * r)), n - 2))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm-adjusted p-values of a family of tests, in the order given; NaN stays NaN and counts for none of the family.

    Raises:
        BadParameter: a number outside 0…1.
    """
    odd = [p for p in p_values if p < 0 or p > 1]
    if odd:
        raise BadParameter(f"{odd[0]:g} is no p-value; expected 0…1, or NaN for a test without one")
    order = sorted((i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i])
    adjusted, highest = [math.nan] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[i]))
        adjusted[i] = highest
    return tuple(adjusted)


def _columns(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    one, other = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise BadParameter(f"the columns have shapes {one.shape} and {other.shape}; expected two of one length")
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise BadParameter("a column holds NaN or infinity; expected finite numbers: leave those pairs out")
    return one, other


def _correlation(one: Floats, other: Floats, seed: int) -> Correlation:
    n = len(one)
    if n < LEAST:
        return Correlation(math.nan, math.nan, math.nan, True, n, "too_few_samples")
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return Correlation(math.nan, math.nan, math.nan, True, n, "constant")
    a, b = _unit(one), _unit(other)
    r = float(np.clip(a @ b, -1, 1))
    share, exact = _permutation_p(a, b, abs(r), seed)
    return Correlation(r, p_of(r, n), share, exact, n)


def _unit(values: Floats) -> Floats:
    centred = values - values.mean()
    scaled = centred / np.abs(centred).max()  # before squaring: columns of 1e-200 or 1e200 are columns too
    return np.asarray(scaled / np.linalg.norm(scaled), np.float64)


def _permutation_p(a: Floats, b: Floats, least: float, seed: int) -> tuple[float, bool]:
    """Share of permutations at least as extreme; a draw counts the order that was found among them, so it is never 0."""
    n, rounding = len(a), 1e-12
    exact = math.factorial(n) <= PERMUTATIONS
    if exact:
        orders = np.array(list(itertools.permutations(range(n))))
        return float(np.mean(np.abs(a[orders] @ b) >= least - rounding)), True
    rng = Seed(seed, ("permutations",)).numpy("order")
    orders = np.argsort(rng.random((PERMUTATIONS, n)), axis=1)
    return float((1 + np.count_nonzero(np.abs(a[orders] @ b) >= least - rounding)) / (PERMUTATIONS + 1)), False
