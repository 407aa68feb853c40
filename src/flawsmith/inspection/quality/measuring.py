"""A folder of generated pictures against real ones: every kind of defect, then the means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flawsmith.core.errors import BadParameter
from flawsmith.core.samples import GOOD
from flawsmith.data.dataset import Dataset
from flawsmith.encoders.quality_nets import AUTO, QualityNets, quality_nets
from flawsmith.inspection.quality.cautions import Digests, cautions
from flawsmith.inspection.quality.diversity import DiversityMeter
from flawsmith.inspection.quality.features import SetMeter
from flawsmith.inspection.quality.pairs import measure_pairs
from flawsmith.inspection.quality.pixels import Squares
from flawsmith.inspection.quality.recording import Counts, Measured, formats_of, means_of, metrics_to_json
from flawsmith.inspection.quality.rules import (
    ALONG,
    DIVERSITY_METRICS,
    PAIR_METRICS,
    QUALITY_METRICS,
    SET_METRICS,
    Rules,
    check_side,
)
from flawsmith.inspection.quality.sides import Group, match, read_generated
from flawsmith.learning.threads import use_threads
from flawsmith.metrics.records import MetricValue


@dataclass(frozen=True)
class TypeQuality:
    """One kind of defect of one product.

    Args:
        product, defect: which.
        generated, real: number of pictures.
        real_rule: which real ones.
        metrics: by id, with the suffix of the network behind it.
        counts: by id, what else was counted: pairs, clusters, pictures left out.
        notes: what to beware of in these values.
    """

    product: str
    defect: str
    generated: int
    real: int
    real_rule: str
    metrics: Mapping[str, MetricValue]
    counts: Mapping[str, Counts] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values; infinity is the text `inf`."""
        told = {"product": self.product, "defect": self.defect, "generated": self.generated, "real": self.real}
        counts = {name: dict(each) for name, each in self.counts.items() if each}
        measured = {"metrics": metrics_to_json(self.metrics), "counts": counts, "notes": list(self.notes)}
        return {**told, "real_rule": self.real_rule, **measured}


@dataclass(frozen=True)
class Quality:
    """All kinds of all products.

    Args:
        types: each, products and kinds in natural order.
        products: product → mean over its kinds of defect; `good` is none of them.
        mean: over products.
        notes: what a reader must know.
    """

    types: tuple[TypeQuality, ...]
    products: Mapping[str, Mapping[str, MetricValue]]
    mean: Mapping[str, MetricValue]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values; infinity is the text `inf`."""
        return {
            "types": [each.to_json() for each in self.types],
            "products": {product: metrics_to_json(metrics) for product, metrics in self.products.items()},
            "mean": metrics_to_json(self.mean),
            "notes": list(self.notes),
        }


def measure_quality(
    synthetic: Path,
    data: Dataset,
    rules: Rules | None = None,
    *,
    extractor: str = AUTO,
    weights: Sequence[Path] = (),
    layout: str = "auto",
    product: str | None = None,
) -> Quality:
    """Measure a folder of generated pictures against real ones.

    Args:
        synthetic: a set that `flawsmith synth` or another tool wrote, or a plain folder.
        data: the real pictures, from `flawsmith.load`.
        rules: None: the defaults.
        extractor, weights: see `flawsmith.encoders.quality_nets.quality_nets`.
        layout: of the synthetic set: `auto`, `plain`, or one of those that `precomputed` reads.
        product: leave the set's other products aside; None: all must be in `data`.

    Raises:
        UnknownName, UsageError, BadParameter: a name or a number out of range, or files that nothing needs.
        NeedUnmet: a network was asked for whose weights were not given.
        DataError: pictures cannot be read or do not pair (E_CORRUPT, E_MODE, E_LAYOUT, E_PAIRS, E_ROOT, E_SIZE).
        DamagedFile: weights, or a file that describes the set, cannot be read.
    """
    rules = rules or Rules()
    generated = read_generated(synthetic, data, layout).of(product)
    groups, notes = match(generated, data)
    with use_threads():
        nets = quality_nets(extractor, weights)
        metrics = _possible(rules, nets)
        digests = Digests()
        sets, diversity = SetMeter(nets.sets, rules, digests), DiversityMeter(nets.pairs, rules)
        types = tuple(_measure(group, metrics, nets, rules, sets, diversity, digests) for group in groups)
    products = {product: _of_product(types, product) for product in dict.fromkeys(each.product for each in types)}
    known = {product: metrics for product, metrics in products.items() if metrics}
    return Quality(types, known, means_of(known), (*generated.notes, *notes, *_notes(nets, rules)))


def _possible(rules: Rules, nets: QualityNets) -> tuple[str, ...]:
    """The metrics that were asked for; of all, those that the networks can give."""
    if rules.metrics and "inception_score" in rules.metrics and not nets.sets.classes:
        raise BadParameter(
            f"inception_score needs classes, and {nets.sets.label} has none; expected an extractor that has, such as "
            "efficientnet-lite0 or inception-v3-fid"
        )
    asked = rules.metrics or QUALITY_METRICS
    possible = tuple(name for name in QUALITY_METRICS if name in asked and (name != "inception_score" or nets.sets.classes))
    check_side(rules.pair_side, possible, nets.pairs.least)
    return possible


def _measure(
    group: Group,
    metrics: Sequence[str],
    nets: QualityNets,
    rules: Rules,
    sets: SetMeter,
    diversity: DiversityMeter,
    digests: Digests,
) -> TypeQuality:
    details = {
        "generated_format": formats_of(group.generated),
        "real_format": formats_of(group.real),
        "real": group.real_rule,
    }
    squares = Squares(group, nets.pairs, rules.pair_side)
    values: dict[str, MetricValue] = {}
    counts: dict[str, Counts] = {}
    measures: tuple[tuple[Sequence[str], Callable[[Sequence[str]], Measured]], ...] = (
        (SET_METRICS, lambda asked: sets.measure(group, asked, details)),
        (PAIR_METRICS, lambda asked: measure_pairs(group, squares, nets.pairs, rules, asked, details)),
        (DIVERSITY_METRICS, lambda asked: diversity.measure(group, squares, asked, details)),
    )
    for kind, measure in measures:
        if chosen := [name for name in kind if name in metrics]:
            found, told = measure(chosen)
            values |= found
            counts |= told
    wanted = {name: value for name, value in values.items() if _base(name) in metrics}
    notes = cautions(group, wanted, counts, digests.copies(group))
    sizes = (len(group.generated), len(group.real))
    return TypeQuality(group.product, group.defect, *sizes, group.real_rule, wanted, counts, notes)


def _base(name: str) -> str:
    """The metric that a value belongs to, without the suffix of its network."""
    plain = name.partition("@")[0]
    return ALONG.get(plain, plain)


def _of_product(types: Sequence[TypeQuality], product: str) -> dict[str, MetricValue]:
    return means_of({each.defect: each.metrics for each in types if each.product == product and each.defect != GOOD})


def _notes(nets: QualityNets, rules: Rules) -> list[str]:
    notes = [
        f"values @{suffix} come from other weights than those that define the metric: do not put them beside published ones"
        for suffix in dict.fromkeys((nets.sets.suffix, nets.pairs.suffix))
        if suffix
    ]
    if rules.compat and rules.counting.network not in nets.pairs.label:
        notes.append(f"{rules.compat} measured with {rules.counting.network}, this run with {nets.pairs.label}")
    if not nets.sets.classes:
        notes.append(f"{nets.sets.label} has no classes, so there is no inception_score")
    return notes
