"""IC-LPIPS: how different the generated pictures are that resemble one real picture.

Ojha et al. (CVPR 2021): each of n generated pictures joins the real one with the least LPIPS; the score is the mean over these
clusters of the mean pairwise LPIPS within. LPIPS is a squared Euclidean distance, so that the mean over all pairs of a cluster is
2/(n−1)·Σ‖f_i − f̄‖²: one running mean (Welford), no pairs, no random part of them.

The implementations differ (metrics' specification, section 7.4): AnomalyDiffusion's takes 50 random pictures of a cluster,
DFMGAN's the first 200, SeaS's the first 140; DFMGAN's and SeaS's hand the real pictures over as 0…255, which makes the assignment
arbitrary. `COMPAT` names them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import BadParameter
from flawsmith.core.progress import track
from flawsmith.core.seeding import Seed
from flawsmith.metrics.lpips import Vector, Vectors, nearest


@dataclass(frozen=True)
class IcRules:
    """How one implementation counts.

    Args:
        cap: most pictures of a cluster that count; None: all.
        kept: which ones: the `first` come, or a `random` draw.
        bytes_as_is: real pictures enter the network as 0…255 where −1…1 is expected.
        references_resize: how real pictures are resized.
        first_third: the references are the first third of the real pictures, those that the generator learned from.
        network: the one that it used.
    """

    cap: int | None = None
    kept: Literal["first", "random"] = "first"
    bytes_as_is: bool = False
    references_resize: Literal["bilinear", "nearest"] = "bilinear"
    first_third: bool = False
    network: str = "vgg16"

    def __post_init__(self) -> None:
        if self.cap is not None and self.cap < 2:
            raise BadParameter(f"cap is {self.cap}; expected at least 2 pictures of a cluster, or None for all")


COMPAT: Mapping[str, IcRules] = {
    "anomalydiffusion": IcRules(cap=50, kept="random", first_third=True),
    "dfmgan": IcRules(cap=200, bytes_as_is=True, network="alexnet"),
    "seas": IcRules(cap=140, bytes_as_is=True, references_resize="nearest"),
}
"""Released implementations by name: sjtuplayer/anomalydiffusion `cal_ic_lpips.py`, Ldhlwh/DFMGAN `metrics/lpips.py`,
HUST-SLOW/SeaS `utils/metrics/metrics_lpips.py`."""


@dataclass(frozen=True)
class ClusterSpread:
    """IC-LPIPS and what it is made of.

    Args:
        value: mean over the clusters of at least two pictures; NaN where there is none.
        zero_filled: mean over all clusters, those of fewer than two counted as 0.
        sizes: pictures of each cluster, before any cap, in the order of the references.
        spreads: mean pairwise LPIPS of each; NaN of fewer than two.
        left_out: number of clusters of fewer than two.
        over_cap: number of pictures that the cap left out.
    """

    value: float
    zero_filled: float
    sizes: tuple[int, ...]
    spreads: tuple[float, ...]
    left_out: int
    over_cap: int


def mean_pairwise(vectors: Iterable[Vector]) -> tuple[int, float]:
    """(number, mean squared distance over all pairs) of vectors, each read once; NaN of fewer than two.

    The mean runs in float64, whatever the vectors are.
    """
    n, spread = 0, 0.0
    mean: NDArray[np.float64] | None = None
    for vector in vectors:
        n += 1
        if mean is None:
            mean = vector.astype(np.float64)
            continue
        away = vector - mean
        mean += away / n
        spread += float(away @ (vector - mean))
    return n, (2 * spread / (n - 1) if n > 1 else math.nan)


def ic_lpips(
    generated: Vectors, references: Vectors, *, rules: IcRules | None = None, seed: int = 0, label: str = "clusters"
) -> ClusterSpread:
    """IC-LPIPS of generated pictures around real ones.

    Args:
        generated, references: their vectors; each generated one is read once for the assignment (more often where the references
            do not fit memory) and once for the means.
        rules: None: no cap.
        seed: of the draw under a cap with `random`.
        label: what to call it where progress is shown.

    Raises:
        BadParameter: no references.
    """
    rules = rules or IcRules()
    assigned = nearest(generated, references, label)
    return spread_of(generated, assigned, len(references), rules=rules, seed=seed, label=label)


def spread_of(
    generated: Vectors,
    assigned: NDArray[np.int64],
    clusters: int,
    *,
    rules: IcRules | None = None,
    seed: int = 0,
    label: str = "spread",
) -> ClusterSpread:
    """IC-LPIPS under a given assignment.

    Args:
        generated: vectors.
        assigned: cluster of each.
        clusters: their number.
        rules, seed, label: as in `ic_lpips`.
    """
    rules = rules or IcRules()
    rng = Seed(seed).numpy("ic_lpips")
    members = [np.flatnonzero(assigned == cluster) for cluster in range(clusters)]
    kept = [_capped(each, rules, rng) for each in members]
    spreads = [mean_pairwise(generated[int(i)] for i in each)[1] if len(each) > 1 else math.nan for each in track(kept, label)]
    found = [value for value in spreads if not math.isnan(value)]
    return ClusterSpread(
        value=math.fsum(found) / len(found) if found else math.nan,
        zero_filled=math.fsum(found) / clusters if len(assigned) else math.nan,
        sizes=tuple(len(each) for each in members),
        spreads=tuple(spreads),
        left_out=clusters - len(found),
        over_cap=sum(len(every) - len(each) for every, each in zip(members, kept, strict=True)),
    )


def _capped(members: NDArray[np.int64], rules: IcRules, rng: np.random.Generator) -> NDArray[np.int64]:
    if rules.cap is None or len(members) <= rules.cap:
        return members
    if rules.kept == "first":
        return members[: rules.cap]
    return np.sort(rng.choice(members, rules.cap, replace=False))


def by_area(value: float, fractions: Sequence[float]) -> float:
    """IC-LPIPS(a) divided by the mean share of the picture that the masks cover; NaN of no masks.

    Args:
        value: IC-LPIPS of pictures that are black outside their masks: its mean over positions shrinks with the defects.
        fractions: share of each generated picture's mask, above 0.
    """
    return value / float(np.mean(fractions)) if fractions else math.nan
