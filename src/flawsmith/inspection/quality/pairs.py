"""SSIM, PSNR, VIF and LPIPS of a group: generated pictures, each beside a real one.

Generated and real pictures are no pairs by nature, so that who is compared with whom is part of the number: `PAIRINGS`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image
from flawsmith.core.progress import track
from flawsmith.core.seeding import Seed
from flawsmith.encoders.perceptual import PerceptualNet
from flawsmith.inspection.quality.pixels import SIDE_BYTES, Held, Squares, sources_at, vectors_of
from flawsmith.inspection.quality.recording import Counts, Measured, record_of, value_of
from flawsmith.inspection.quality.rules import PAIRINGS, Rules
from flawsmith.inspection.quality.sides import Group
from flawsmith.metrics.lpips import distance, nearest
from flawsmith.metrics.psnr import mean_psnr, psnr
from flawsmith.metrics.records import MetricValue
from flawsmith.metrics.ssim import SIGMA, TAPS, SsimSide, ssim_of
from flawsmith.metrics.vif import VifSide, vif_of

MOST_PAIRS = 1000

Pair = tuple[int, int]
"""(generated, real) by number."""


def measure_pairs(
    group: Group, squares: Squares, net: PerceptualNet, rules: Rules, metrics: Sequence[str], details: Mapping[str, str]
) -> Measured:
    """The metrics of pairs that are among `metrics`.

    Args:
        group: what to measure.
        squares: its pictures.
        net: behind LPIPS.
        rules: how.
        metrics: ids.
        details: for the records.

    Raises:
        DataError: a picture's source is asked for and not known (E_PAIRS).
    """
    by_source = rules.pairing == "source"
    generated, mine = squares.generated, squares.generated_vectors
    real, theirs = squares.real, squares.real_vectors
    if by_source:
        real = sources_at(group.generated, rules.pair_side)
        theirs = vectors_of(net, real)
        pairs = [(i, i) for i in range(len(generated))]
    elif rules.pairing == "nearest":
        label = f"{group.product} {group.defect}: nearest"
        pairs = list(enumerate(nearest(mine, theirs, label).tolist())) if len(real) else []
    else:
        pairs = random_pairs(len(generated), len(real), rules.seed)
    found = _compare(generated, real, (mine, theirs), pairs, metrics, f"{group.product} {group.defect}: pairs")
    told = {**details, "resize": rules.squares, "pairing": _pairing(rules, net)}
    if by_source:
        told["real"] = PAIRINGS["source"]
    return _values(group, net, metrics, found, told)


def random_pairs(generated: int, real: int, seed: int, most: int = MOST_PAIRS) -> list[Pair]:
    """All pairs, or `most` different ones at random where there are more; by generated picture, then by real one."""
    total = generated * real
    chosen = np.arange(total) if total <= most else np.sort(Seed(seed).numpy("pairs").choice(total, most, replace=False))
    return [(int(number) // real, int(number) % real) for number in chosen]


def _pairing(rules: Rules, net: PerceptualNet) -> str:
    asides = {"all": f", seed {rules.seed}", "nearest": f" ({net.label})"}
    return PAIRINGS[rules.pairing] + asides.get(rules.pairing, "")


def _compare(
    generated: Held[Image],
    real: Held[Image],
    vectors: tuple[Held[NDArray[np.float32]], Held[NDArray[np.float32]]],
    pairs: Sequence[Pair],
    metrics: Sequence[str],
    label: str,
) -> dict[str, list[float]]:
    """Id → one value per pair; the real picture is the reference of VIF."""
    sides: dict[str, tuple[Held[Any], Held[Any]]] = {
        "ssim": (_sides(SsimSide, generated), _sides(SsimSide, real)),
        "vif": (_sides(VifSide, generated), _sides(VifSide, real)),
    }
    found: dict[str, list[float]] = {name: [] for name in metrics}
    for i, j in track(pairs, label):
        if "ssim" in found:
            found["ssim"].append(ssim_of(sides["ssim"][0][i], sides["ssim"][1][j]))
        if "psnr" in found:
            found["psnr"].append(psnr(generated[i], real[j]))
        if "vif" in found:
            found["vif"].append(vif_of(sides["vif"][1][j], sides["vif"][0][i]))
        if "lpips" in found:
            found["lpips"].append(distance(vectors[0][i], vectors[1][j]))
    return found


def _sides(make: type[SsimSide] | type[VifSide], images: Held[Image]) -> Held[Any]:
    return Held(lambda i: make(images[i]), len(images), SIDE_BYTES, lambda side: int(side.bytes))


def _values(
    group: Group, net: PerceptualNet, metrics: Sequence[str], found: Mapping[str, list[float]], details: Mapping[str, str]
) -> Measured:
    values: dict[str, MetricValue] = {}
    counts: dict[str, Counts] = {}
    for name in metrics:
        numbers = [number for number in found[name] if not math.isnan(number)]
        undefined = len(found[name]) - len(numbers)
        finite = [number for number in numbers if math.isfinite(number)]
        mean, identical = mean_psnr(numbers)  # only a PSNR is ever infinite
        if name == "lpips":
            told = {**details, "weights": net.weights}
            record = record_of(name, group, told, net)
        else:
            own = {"window": f"gaussian {TAPS}, sigma {SIGMA}"} if name == "ssim" else {}
            record = record_of(name, group, {**details, **own})
        spread = float(np.std(finite, ddof=1)) if len(finite) > 1 else None
        values |= value_of(mean, record, spread, "constant" if undefined else "too_few_samples")
        aside = {"psnr": {"identical": identical}, "vif": {"constant": undefined}}
        counts[record.metric] = {"pairs": len(found[name]), **aside.get(name, {})}
    return values, counts
