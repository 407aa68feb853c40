"""How samples are put on the sides of a split.

Every order is that of hash(seed, group), so that adding files elsewhere moves nothing. No policy trains on an anomaly.

* `folder`: as the folders say.
* `supervised`: the same; anomalies on the train side are dropped, for whoever learns from real ones.
* `grouped`: anomalies are tested, and with them every normal of their groups; enough of the other groups join them.
* `stratified`: whole groups go to either side, the largest first, balanced in every class; anomalies of the training groups are
  dropped, for whoever learns from real ones.
* `mtd-group`: as `grouped`, until 60 further normals are tested (docs/data.md).
* `mtd-902-50`: ASBench's numbers: 50 normals drawn one by one are tested, the others (902) trained on.
* `mtd-list`: a list of names says which normals are trained on (DifferNet's `mtd_train_filenames.txt`).
* `first-half`: of each defect the first half is dropped, for whoever learns from real ones, and the rest tested; so are the
  normals halved where the folder does not place them (UniADC on MTD and MVTec-FS).
* `elpv-blocks`: whole blocks go to either side, balanced in both classes; anomalies of the training blocks are dropped.
* `random`: image by image, whatever the groups; flagged where that leaks.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from flawsmith.core.errors import DataError
from flawsmith.core.samples import Sample
from flawsmith.core.seeding import Seed
from flawsmith.data.naming import ends_of, meant_by
from flawsmith.data.tree import natural_key

LARGEST_LIST = 64 << 20
"""Bytes of a list of names that are read."""

Place = Literal["train", "val", "test", "dropped"]
PLACES: tuple[Place, ...] = get_args(Place)
Option = float | str
Options = Mapping[str, Option]
Assignment = dict[str, Place]
Assign = Callable[[Sequence[Sample], int, Options], Assignment]


@dataclass(frozen=True)
class Policy:
    """One way to split.

    Args:
        assign: (samples, seed, options) → place of each sample id.
        options: its options with their defaults; one that is text is a file's path.
        whole_groups: whether a group always stays together.
        caveat: what a reader of results must know of every such split, after "The split".
    """

    assign: Assign
    options: Options = field(default_factory=dict)
    whole_groups: bool = True
    caveat: str = ""


def by_hash(keys: Sequence[str], seed: int, *stream: str) -> list[str]:
    """`keys` in the order of hash(seed, stream, key)."""
    root = Seed(seed, stream)
    return sorted(keys, key=lambda key: (root.entropy(key), key))


def _products(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[sample.product].append(sample)
    return found


def _as_folders(samples: Sequence[Sample], seed: int, options: Options, policy: str = "folder") -> Assignment:
    stray = [sample.source.location for sample in samples if sample.split == "train" and not sample.is_normal]
    if stray:
        raise DataError(
            "E_ANOMALY_IN_TRAIN",
            f"{stray[0]} is an anomaly in a training folder ({len(stray)} such images); expected good images there: move them to "
            f"test, choose the split policy grouped, or supervised to learn from them",
            stray,
        )
    pool = [sample.source.location for sample in samples if sample.split == "pool"]
    if pool:
        raise DataError(
            "E_EMPTY_SPLIT",
            f"{pool[0]} lies in no train or test folder ({len(pool)} such images); expected train/ and test/ for the split "
            f"policy {policy}: choose grouped",
            pool,
        )
    return {sample.id: sample.split for sample in samples if sample.split != "pool"}


def _grouped(samples: Sequence[Sample], seed: int, options: Options) -> Assignment:
    share = float(options["test_share"])

    def wanted(normals: int, shared: int) -> int:
        return math.ceil(share * normals) - shared

    return _anomalies_tested(samples, seed, wanted)


def _mtd(samples: Sequence[Sample], seed: int, options: Options) -> Assignment:
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


def _blocks(samples: Sequence[Sample], seed: int, options: Options) -> Assignment:
    placed: dict[str, Place] = {}
    for product in _products(samples).values():
        _balance(product, by_hash(sorted({sample.group for sample in product}), seed, "split"), options, placed, _whether_normal)
    return _without_trained_anomalies(samples, placed)


def _stratified(samples: Sequence[Sample], seed: int, options: Options) -> Assignment:
    placed: dict[str, Place] = {}
    for product in _products(samples).values():
        sizes = Counter(sample.group for sample in product)
        largest_first = sorted(by_hash(list(sizes), seed, "split"), key=lambda group: -sizes[group])
        _balance(product, largest_first, options, placed, _defect)
    return _without_trained_anomalies(samples, placed)


def _whether_normal(sample: Sample) -> str:
    return str(sample.is_normal)


def _defect(sample: Sample) -> str:
    return sample.defect


def _without_trained_anomalies(samples: Sequence[Sample], placed: Mapping[str, Place]) -> Assignment:
    return {
        sample.id: "dropped" if placed[sample.group] == "train" and not sample.is_normal else placed[sample.group]
        for sample in samples
    }


def _balance(
    samples: Sequence[Sample],
    groups: Sequence[str],
    options: Options,
    placed: dict[str, Place],
    class_of: Callable[[Sample], str],
) -> None:
    """Put each group where the tested shares of the classes stay nearest to the share wanted, in the order given."""
    share = float(options["test_share"])
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        sizes[sample.group][class_of(sample)] += 1
    seen: Counter[str] = Counter()
    tested: Counter[str] = Counter()
    for group in groups:
        seen.update(sizes[group])
        if group not in placed:
            off = {
                side: _distance(tested, sizes[group] if side == "test" else Counter(), seen, share) for side in ("train", "test")
            }
            placed[group] = "test" if off["test"] < off["train"] else "train"
        if placed[group] == "test":
            tested.update(sizes[group])


def _distance(tested: Counter[str], more: Counter[str], seen: Counter[str], share: float) -> float:
    return sum((tested[kind] + more[kind] - share * seen[kind]) ** 2 for kind in seen)


def _random(samples: Sequence[Sample], seed: int, options: Options) -> Assignment:
    share = float(options["test_share"])
    return _normals_one_by_one(samples, seed, lambda normals: min(math.ceil(share * normals), max(normals - 1, 0)))


def _so_many_normals(samples: Sequence[Sample], seed: int, options: Options) -> Assignment:
    asked = int(options["test_normals"])

    def tested(normals: int) -> int:
        if normals <= asked:
            raise DataError(
                "E_FEW",
                f"{asked} normals were asked for the test and there are {normals}; expected more than that: add good images, or "
                f"choose another split policy",
            )
        return asked

    return _normals_one_by_one(samples, seed, tested)


def _normals_one_by_one(samples: Sequence[Sample], seed: int, tested: Callable[[int], int]) -> Assignment:
    """Test every anomaly, and of each product's normals the first `tested(number)` in the order of the hash."""
    assignment: Assignment = {}
    for product in _products(samples).values():
        normals = by_hash([sample.id for sample in product if sample.is_normal], seed, "split")
        first = tested(len(normals))
        assignment.update({sample.id: "test" for sample in product if not sample.is_normal})
        assignment.update({name: "test" if index < first else "train" for index, name in enumerate(normals)})
    return assignment


def _supervised(samples: Sequence[Sample], seed: int, options: Options) -> Assignment:
    aside = {sample.id for sample in samples if sample.split == "train" and not sample.is_normal}
    rest = _as_folders([sample for sample in samples if sample.id not in aside], seed, options, "supervised")
    return {sample.id: "dropped" if sample.id in aside else rest[sample.id] for sample in samples}


def _first_half(samples: Sequence[Sample], seed: int, options: Options) -> Assignment:
    assignment: Assignment = {}
    for product in _products(samples).values():
        for defect in sorted({sample.defect for sample in product}):
            mine = [sample for sample in product if sample.defect == defect]
            free = sorted(_unplaced(mine), key=lambda sample: (natural_key(sample.id.split("/", 3)[-1]), sample.id))
            first: Place = "train" if mine[0].is_normal else "dropped"
            assignment.update({sample.id: sample.split for sample in mine if sample.split != "pool"})
            assignment.update({s.id: first if 2 * index < len(free) else "test" for index, s in enumerate(free)})
    return {sample.id: assignment[sample.id] for sample in samples}


def _unplaced(samples: Sequence[Sample]) -> list[Sample]:
    """What is to be halved: every anomaly, and the normals that the folder does not place."""
    return [sample for sample in samples if not sample.is_normal or sample.split == "pool"]


def _listed(samples: Sequence[Sample], seed: int, options: Options) -> Assignment:
    path = Path(str(options["names"]))
    chosen = _named_in(path, samples)
    strays = [sample.source.location for sample in chosen if not sample.is_normal]
    if strays:
        raise DataError(
            "E_ANOMALY_IN_TRAIN",
            f"{path} lists {strays[0]}, an anomaly ({len(strays)} such names); expected names of good images: take them out",
            strays,
        )
    trained = {sample.id for sample in chosen}
    return {sample.id: "train" if sample.id in trained else "test" for sample in samples}


def _named_in(path: Path, samples: Sequence[Sample]) -> list[Sample]:
    """The samples that a list names, one per line.

    Raises:
        DataError: no such list (E_ROOT), names that no sample has (E_SPLIT), or that several have (E_AMBIGUOUS_PAIR).
    """
    try:
        if path.stat().st_size > LARGEST_LIST:
            raise ValueError(f"it has more than {LARGEST_LIST >> 20} MiB")
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise DataError(
            "E_ROOT", f"{path} cannot be read ({error}); expected a text file with one name a line: check the path", [path]
        ) from error
    ends = ends_of(samples)
    found = {name: meant_by(name, ends) for name in names}
    for code, wrong, what, remedy in (
        ("E_SPLIT", [n for n in names if not found[n]], "is no image here", "copy the rest of the data, or mend the list"),
        ("E_AMBIGUOUS_PAIR", [n for n in names if len(found[n]) > 1], "is the name of several images", "list it with its folder"),
    ):
        if wrong:
            told = f"{path} lists {wrong[0]}, which {what} ({len(wrong)} such names); expected one image for each name: {remedy}"
            raise DataError(code, told, wrong)
    return [found[name][0] for name in names]


POLICIES: Mapping[str, Policy] = {
    "folder": Policy(_as_folders),
    "supervised": Policy(_supervised),
    "grouped": Policy(_grouped, {"test_share": 0.2}),
    "stratified": Policy(_stratified, {"test_share": 0.5}),
    "random": Policy(_random, {"test_share": 0.2}, whole_groups=False),
    "first-half": Policy(_first_half, whole_groups=False),
    "mtd-group": Policy(_mtd, {"more_normals": 60}),
    "mtd-902-50": Policy(
        _so_many_normals,
        {"test_normals": 50},
        whole_groups=False,
        caveat="has not the authors' images: ASBench does not say which 50 normals it tests",
    ),
    "mtd-list": Policy(_listed, {"names": ""}, whole_groups=False),
    "elpv-blocks": Policy(_blocks, {"test_share": 0.5}),
}
