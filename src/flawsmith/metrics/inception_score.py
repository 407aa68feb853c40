"""Inception Score: exp of the mean divergence between each picture's classes and those of all pictures.

Salimans et al. (NeurIPS 2016), as torch-fidelity computes it: softmax over the logits without their bias, shuffled with a fixed
seed, ten splits, mean and standard deviation over them. It depends on the number of pictures per split.

The shuffle is torch-fidelity's, by a `RandomState(2020)` of the call's own: a deliberate exception to the rule that chance
comes from a `Generator`, for with any other a score could not be checked against theirs. It depends on the
order of the logits, as KID does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from flawsmith.core.errors import BadParameter
from flawsmith.metrics.features import FeatureSet, Floats, check_features

SPLITS, SEED = 10, 2020


@dataclass(frozen=True)
class SplitScore:
    """The score over splits.

    Args:
        mean: 1 where all predictions agree, at most the number of classes; NaN where there are fewer pictures than splits.
        std: over the splits, ddof 1 (torch-fidelity prints ddof 0); None of a single one.
        splits: their number.
    """

    mean: float
    std: float | None
    splits: int


def inception_score(logits: NDArray[Any], *, splits: int = SPLITS, seed: int | None = SEED) -> SplitScore:
    """Inception Score of n×classes logits.

    Args:
        logits: without the bias of the last layer.
        splits: into how many parts the pictures are split.
        seed: of the shuffle before; None: they are taken in order.

    Raises:
        BadParameter: no splits.
        DataError: logits that are no table of finite numbers (E_SIZE, E_NOT_FINITE).
    """
    if splits < 1:
        raise BadParameter(f"splits is {splits}; expected at least 1")
    values = check_features(FeatureSet(logits))
    n = len(values)
    if n < splits:
        return SplitScore(math.nan, None, splits)
    if seed is not None:
        # RandomState: torch-fidelity's own shuffle; logits in the same order give the same score to the last digits
        values = values[np.random.RandomState(seed).permutation(n)]
    told = np.asarray(log_softmax(values, axis=1), np.float64)
    scores = [_score(told[i * n // splits : (i + 1) * n // splits]) for i in range(splits)]
    return SplitScore(math.fsum(scores) / splits, float(np.std(scores, ddof=1)) if splits > 1 else None, splits)


def _score(logs: Floats) -> float:
    """exp(mean KL) of log probabilities n×classes; a class that no picture gives any weight adds nothing."""
    chances = np.exp(logs)
    mean = chances.mean(axis=0)
    there = mean > 0
    divergence = chances[:, there] * (logs[:, there] - np.log(mean[there]))
    return math.exp(float(np.where(chances[:, there] > 0, divergence, 0).sum(axis=1).mean()))
