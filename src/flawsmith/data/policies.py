"""How samples are put on the sides of a split.

Every order is that of hash(seed, group), so that adding files elsewhere moves nothing. No policy trains on an anomaly.

* `folder`: as the folders say.
* `grouped`: anomalies are tested, and with them every normal of their groups; enough of the other groups join them.
* `mtd-group`: the same, until 60 further normals are tested (docs/data.md).
* `elpv-blocks`: whole blocks go to either side, balanced in both classes; anomalies of the training blocks are dropped.
* `random`: image by image, whatever the groups; flagged where that leaks.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from flawsmith.core.errors import DataError
from flawsmith.core.samples import Sample
from flawsmith.core.seeding import Seed

Place = Literal["train", "val", "test", "dropped"]
Assignment = dict[str, Place]
Assign = Callable[[Sequence[Sample], int, Mapping[str, float]], Assignment]


@dataclass(frozen=True)
class Policy:
    """One way to split.

    Args:
        assign: (samples, seed, options) → place of each sample id.
        options: its options with their defaults.
        whole_groups: whether a group always stays together.
    """

    assign: Assign
    options: Mapping[str, float] = field(default_factory=dict)
    whole_groups: bool = True


def by_hash(keys: Sequence[str], seed: int, *stream: str) -> list[str]:
    """`keys` in the order of hash(seed, stream, key)."""
    root = Seed(seed, stream)
    return sorted(keys, key=lambda key: (root.entropy(key), key))


def _products(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[sample.product].append(sample)
    return found


def _as_folders(samples: Sequence[Sample], seed: int, options: Mapping[str, float]) -> Assignment:
    stray = [sample.source.location for sample in samples if sample.split == "train" and not sample.is_normal]
    if stray:
        raise DataError(
            "E_ANOMALY_IN_TRAIN",
            f"{stray[0]} is an anomaly in a training folder ({len(stray)} such images); expected good images there: move them to "
            f"test, or choose the split policy grouped",
            stray,
        )
    pool = [sample.source.location for sample in samples if sample.split == "pool"]
    if pool:
        raise DataError(
            "E_EMPTY_SPLIT",
            f"{pool[0]} lies in no train or test folder ({len(pool)} such images); expected train/ and test/ for the split "
            f"policy folder: choose grouped",
            pool,
        )
    return {sample.id: sample.split for sample in samples if sample.split != "pool"}


def _grouped(samples: Sequence[Sample], seed: int, options: Mapping[str, float]) -> Assignment:
    share = options["test_share"]

    def wanted(normals: int, shared: int) -> int:
        return math.ceil(share * normals) - shared

    return _anomalies_tested(samples, seed, wanted)


def _mtd(samples: Sequence[Sample], seed: int, options: Mapping[str, float]) -> Assignment:
    return _anomalies_tested(samples, seed, lambda normals, shared: int(options["more_normals"]))


def _anomalies_tested(samples: Sequence[Sample], seed: int, wanted: Callable[[int, int], int]) -> Assignment:
    """Test every group with an anomaly, and others until `wanted(normals, normals tested already)` normals more are there."""
    tainted = {sample.group for sample in samples if not sample.is_normal}
    placed: dict[str, Place] = dict.fromkeys(tainted, "test")
    for product in _products(samples).values():
        sizes = Counter(sample.group for sample in product if sample.is_normal)
        shared = sum(size for group, size in sizes.items() if group in tainted)
        missing = wanted(sum(sizes.values()), shared)
        free = by_hash([group for group in sizes if group not in tainted], seed, "split")
        for index, group in enumerate(free):
            fresh = group not in placed
            last = index == len(free) - 1 and not any(placed.get(other) == "train" for other in free)
            if fresh:
                placed[group] = "test" if missing > 0 and not last else "train"
            if placed[group] == "test":
                missing -= sizes[group]
    return {sample.id: placed[sample.group] for sample in samples}


def _blocks(samples: Sequence[Sample], seed: int, options: Mapping[str, float]) -> Assignment:
    placed: dict[str, Place] = {}
    for product in _products(samples).values():
        _balance(product, by_hash(sorted({sample.group for sample in product}), seed, "split"), options["test_share"], placed)
    return {
        sample.id: "dropped" if placed[sample.group] == "train" and not sample.is_normal else placed[sample.group]
        for sample in samples
    }


def _balance(samples: Sequence[Sample], groups: Sequence[str], share: float, placed: dict[str, Place]) -> None:
    """Put each group where the tested shares of normals and anomalies stay nearest to `share`."""
    sizes: dict[str, Counter[bool]] = defaultdict(Counter)
    for sample in samples:
        sizes[sample.group][sample.is_normal] += 1
    seen: Counter[bool] = Counter()
    tested: Counter[bool] = Counter()
    for group in groups:
        seen.update(sizes[group])
        if group not in placed:
            off = {
                side: _distance(tested, sizes[group] if side == "test" else Counter(), seen, share) for side in ("train", "test")
            }
            placed[group] = "test" if off["test"] < off["train"] else "train"
        if placed[group] == "test":
            tested.update(sizes[group])


def _distance(tested: Counter[bool], more: Counter[bool], seen: Counter[bool], share: float) -> float:
    return sum((tested[kind] + more[kind] - share * seen[kind]) ** 2 for kind in (True, False))


def _random(samples: Sequence[Sample], seed: int, options: Mapping[str, float]) -> Assignment:
    assignment: Assignment = {}
    for product in _products(samples).values():
        normals = by_hash([sample.id for sample in product if sample.is_normal], seed, "split")
        tested = min(math.ceil(options["test_share"] * len(normals)), max(len(normals) - 1, 0))
        assignment.update({sample.id: "test" for sample in product if not sample.is_normal})
        assignment.update({name: "test" if index < tested else "train" for index, name in enumerate(normals)})
    return assignment


POLICIES: Mapping[str, Policy] = {
    "folder": Policy(_as_folders),
    "grouped": Policy(_grouped, {"test_share": 0.2}),
    "random": Policy(_random, {"test_share": 0.2}, whole_groups=False),
    "mtd-group": Policy(_mtd, {"more_normals": 60}),
    "elpv-blocks": Policy(_blocks, {"test_share": 0.5}),
}
