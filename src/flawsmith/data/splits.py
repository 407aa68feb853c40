"""Splits: one function makes them all, seeded and by whole groups, and a file keeps them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from flawsmith.core.errors import BadParameter, DamagedFile, DataError, UnknownName, nearest_of
from flawsmith.core.files import canonical_json, read_json, sha256_bytes, write_json
from flawsmith.core.samples import Sample, SupportSet
from flawsmith.data.dataset import Dataset
from flawsmith.data.policies import POLICIES, Place, by_hash

FORMAT = 1
AUTO = "auto"
PLACES: tuple[Place, ...] = ("train", "val", "test", "dropped")


@dataclass(frozen=True)
class Split:
    """Which sample is on which side.

    Args:
        policy: how it was made.
        seed: of its draws.
        dataset: the data set's name.
        product: the product, or None for all.
        assignment: sample id → train, val, test or dropped.
        flags: what a reader of results must know, such as a leak that the policy permits.
        options: of the policy, and of what was done to the split later.
    """

    policy: str
    seed: int
    dataset: str
    product: str | None
    assignment: Mapping[str, Place] = field(repr=False, hash=False)
    flags: tuple[str, ...] = ()
    options: Mapping[str, float] = field(default_factory=dict, hash=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content: equal splits have equal digests."""
        return sha256_bytes(canonical_json(self._content()).encode())

    @property
    def whole_groups(self) -> bool:
        """Whether the policy keeps groups together."""
        return self.policy not in POLICIES or POLICIES[self.policy].whole_groups

    def counts(self) -> dict[str, int]:
        """Number of samples on each side."""
        found = Counter(self.assignment.values())
        return {place: found[place] for place in PLACES}

    def _content(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "policy": self.policy,
            "seed": self.seed,
            "dataset": self.dataset,
            "product": self.product,
            "flags": list(self.flags),
            "options": dict(self.options),
            "assignment": dict(sorted(self.assignment.items())),
        }

    def save(self, path: Path) -> None:
        """Write as JSON with its own SHA-256.

        Raises:
            OutputError: `path` cannot be written.
        """
        write_json(path, {**self._content(), "sha256": self.digest})

    @classmethod
    def load(cls, path: Path) -> Split:
        """Read what `save` wrote.

        Raises:
            DamagedFile: missing, changed, or of another format.
        """
        content = read_json(path)
        try:
            told = content.pop("sha256")
            if content.pop("format") != FORMAT:
                raise DamagedFile(f"{path} has another format; expected format {FORMAT}: make the split again")
            split = cls(**{**content, "flags": tuple(content["flags"])})
        except (AttributeError, KeyError, TypeError) as error:
            raise DamagedFile(f"{path} is no split ({error}); expected a file written by flawsmith: make it again") from error
        if split.digest != told:
            raise DamagedFile(
                f"{path} was changed since it was written; expected SHA-256 {told}: restore it or make the split again"
            )
        return split

    def apply(self, dataset: Dataset) -> Dataset:
        """The data set with every sample on its side; dropped ones, and ones the split does not know, are left out.

        Under a policy that ignores groups each sample becomes its own group.

        Raises:
            DataError: E_SPLIT: the split names images that the data set no longer has.
        """
        there = {sample.id for sample in dataset.samples}
        products = set(dataset.products)
        gone = [
            name
            for name, place in self.assignment.items()
            if place != "dropped" and name not in there and name.partition("/")[0] in products
        ]
        if gone:
            raise DataError(
                "E_SPLIT",
                f"{dataset.root} has no {gone[0]} ({len(gone)} images of the stored split are gone); expected the folder that "
                f"was split: restore it or make a new split",
                gone,
            )
        samples = tuple(self._placed(dataset.samples))
        new = sum(sample.id not in self.assignment for sample in dataset.samples)
        notes = (f"{new} images are not in the split and were left out",) if new else ()
        return replace(dataset, samples=samples, notes=(*dataset.notes, *notes))

    def _placed(self, samples: Iterable[Sample]) -> Iterable[Sample]:
        for sample in samples:
            place = self.assignment.get(sample.id, "dropped")
            if place != "dropped":
                yield replace(sample, split=place, group=self.group_of(sample))

    def group_of(self, sample: Sample) -> str:
        """The sample's group under this split's policy."""
        return sample.group if self.whole_groups else sample.id

    def on(self, dataset: Dataset, place: Place, product: str | None = None) -> list[Sample]:
        """The samples on one side, in the data set's order."""
        mine = (sample for sample in dataset.samples if product in (None, sample.product))
        return [sample for sample in mine if self.assignment.get(sample.id) == place]

    def moved(self, ids: Iterable[str], place: Place, **options: float) -> Split:
        """The same split with some samples elsewhere, and `options` noted."""
        return replace(self, assignment={**self.assignment, **dict.fromkeys(ids, place)}, options={**self.options, **options})


def make_split(dataset: Dataset, policy: str = AUTO, *, seed: int = 0, product: str | None = None, **options: float) -> Split:
    """Split a data set.

    Args:
        dataset: what to split.
        policy: a name of `POLICIES`, or `auto`: the folder's own train and test where they are, else the data set's default.
        seed: any integer, 0 among them.
        product: one product; None: all.
        options: of the policy, such as test_share=0.2.

    Raises:
        UnknownName: no such policy or product.
        BadParameter: no such option, one outside its range, or no seed.
        DataError: a product without training normals (E_EMPTY_SPLIT), or an anomaly in a training folder (E_ANOMALY_IN_TRAIN).
    """
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise BadParameter(f"seed is {seed!r}; expected an integer, 0 among them: a split is always seeded")
    chosen = dataset.of(product=product)
    name = _policy_name(chosen, policy)
    settings = _settings(name, options)
    assignment = POLICIES[name].assign(chosen.samples, seed, settings)
    flags = (*chosen.flags, *_flags(chosen, name, assignment))
    split = Split(name, seed, dataset.name, product, assignment, flags, settings)
    _refuse_untrainable(chosen, split)
    return split


def _policy_name(dataset: Dataset, policy: str) -> str:
    if policy == AUTO:
        own = any(sample.split in ("train", "test") for sample in dataset.samples)
        return "folder" if own else dataset.default_split
    if policy not in POLICIES:
        raise UnknownName("split policy", policy, (AUTO, *POLICIES))
    return policy


def _settings(policy: str, options: Mapping[str, float]) -> dict[str, float]:
    known = POLICIES[policy].options
    for option, value in options.items():
        if option not in known:
            raise BadParameter(f"split policy {policy} has no option {option!r}; {nearest_of(option, list(known))}")
        if not value >= 0 or (option == "test_share" and value >= 1):
            limit = "0 ≤ share < 1" if option == "test_share" else "a number of at least 0"
            raise BadParameter(f"split policy {policy}: {option} is {value!r}; expected {limit}")
    return {**known, **options}


def _flags(dataset: Dataset, policy: str, assignment: Mapping[str, Place]) -> tuple[str, ...]:
    if POLICIES[policy].whole_groups:
        return ()
    sides: dict[str, set[str]] = defaultdict(set)
    for sample in dataset.samples:
        sides[sample.group].add(assignment[sample.id])
    torn = sum(len(places) > 1 for places in sides.values())
    return (f"leaks near-duplicates: {torn} of {len(sides)} groups are on both sides of this {policy} split",) if torn else ()


def _refuse_untrainable(dataset: Dataset, split: Split) -> None:
    for product in dataset.products:
        if not any(sample.is_normal for sample in split.on(dataset, "train", product)):
            raise DataError(
                "E_EMPTY_SPLIT",
                f"{product} in {dataset.root} has no training normal under the split {split.policy}; expected at least one good "
                f"image (of a group without defects): add good images, or check what the good folder is called",
                [dataset.root],
            )


def hold_out(split: Split, dataset: Dataset, share: float, seed: int = 0, *, support: Iterable[Sample] = ()) -> Split:
    """Move whole groups of training normals to `val`, for the threshold.

    Groups are taken in a seeded order. One is left where it is if it would overshoot the share by more than it closes the gap, or
    put more than a third of the normals (or the share, where that is more) into `val`. Where every group is too large, the
    smallest one moves. At least one group of each product stays in training; where there are two or more and `share` > 0, at
    least one moves. A product that has validation normals already (validation/good) keeps those and gives no more; a group that
    several products share stays, and so does one of `support`.

    Args:
        split: what to take from.
        dataset: the samples.
        share: of the training normals, 0 ≤ share < 1.
        seed: of the draw.
        support: real anomalies that are trained on; their groups stay in training.

    Raises:
        BadParameter: `share` outside its range.
    """
    if not 0 <= share < 1:
        raise BadParameter(f"validation share is {share!r}; expected 0 ≤ share < 1")
    trained = {split.group_of(sample) for sample in support}
    moving = [name for product in dataset.products for name in _held_out(split, dataset, product, share, seed, trained)]
    return split.moved(moving, "val", validation_share=share) if moving else split


def _held_out(split: Split, dataset: Dataset, product: str, share: float, seed: int, trained: set[str]) -> list[str]:
    groups: dict[str, list[str]] = defaultdict(list)
    staying = trained | {split.group_of(sample) for sample in dataset.samples if sample.product != product}
    for sample in split.on(dataset, "train", product):
        groups[split.group_of(sample)].append(sample.id)
    has_own = any(sample.is_normal for sample in split.on(dataset, "val", product))
    ready = by_hash([group for group in groups if group not in staying], seed, "hold-out")
    if has_own or share == 0 or len(groups) < 2:
        return []
    chosen = _nearest_to(share, sum(map(len, groups.values())), {group: len(groups[group]) for group in ready})
    return [name for group in chosen for name in groups[group]]


def _nearest_to(share: float, total: int, sizes: Mapping[str, int]) -> list[str]:
    """Groups, taken in their order, whose sizes add up to about `share` of `total`; the smallest where all are too large."""
    wanted = share * total
    most = max(total / 3, wanted)
    held = 0
    chosen = []
    for group, size in sizes.items():
        if held + size <= most and abs(held + size - wanted) < abs(held - wanted):
            chosen.append(group)
            held += size
    return chosen or sorted(sizes, key=lambda group: sizes[group])[:1]


def support_set(
    dataset: Dataset, split: Split, *, product: str, shots: int | None = None, defect_shots: int = 0, seed: int = 0
) -> tuple[SupportSet, Split]:
    """What a method may learn from, and the split without it.

    `shots` normals are drawn from the training normals, and the others leave training. `defect_shots` anomalies of each defect
    are drawn, first from dropped ones whose groups are trained on anyway, then from the tested ones; of these the whole group
    leaves the test.

    Args:
        dataset: the samples.
        split: which of them are trained on.
        product: whose.
        shots: number of normals; None: all.
        defect_shots: number of real anomalies of each defect.
        seed: of the draw; a smaller number of shots is a part of a larger one.

    Raises:
        DataError: E_FEW, with the numbers.
        UnknownName: no such product.
    """
    mine = dataset.of(product=product)
    normals = [sample for sample in split.on(mine, "train") if sample.is_normal]
    chosen = normals if shots is None else _draw(normals, shots, seed, f"training normals of {product}", "--shots")
    anomalies = [drawn for defect in mine.defects() for drawn in _draw_defect(mine, split, defect, defect_shots, seed)]
    kept = {sample.id for sample in chosen}
    if shots is not None:
        split = split.moved((sample.id for sample in normals if sample.id not in kept), "dropped", shots=shots)
    if anomalies:
        split = _without(dataset, split, anomalies, defect_shots)
    return SupportSet(tuple(chosen), tuple(anomalies), product=product, dataset=dataset.name), split


def draw_anomalies(samples: list[Sample], k: int, seed: int, defect: str) -> list[Sample]:
    """`k` of the anomalies of one kind, in the order of the hash that shots are drawn by.

    Raises:
        DataError: E_FEW: there are fewer.
    """
    return _draw(samples, k, seed, f"anomalies of the kind {defect}", "--defect-shots")


def _draw(samples: list[Sample], k: int, seed: int, what: str, option: str) -> list[Sample]:
    if k < 0 or len(samples) < k:
        raise DataError(
            "E_FEW",
            f"{k} {what} were asked for and there are {len(samples)}; expected at most that: lower {option} or add images",
        )
    wanted = set(by_hash([sample.id for sample in samples], seed, "shots")[:k])
    return [sample for sample in samples if sample.id in wanted]


def _draw_defect(dataset: Dataset, split: Split, defect: str, k: int, seed: int) -> list[Sample]:
    if k == 0:
        return []
    trained = {split.group_of(sample) for sample in split.on(dataset, "train")}
    dropped = [sample for sample in split.on(dataset, "dropped") if sample.defect == defect and split.group_of(sample) in trained]
    tested = [sample for sample in split.on(dataset, "test") if sample.defect == defect]
    if len(dropped) + len(tested) < k:
        return draw_anomalies(dropped + tested, k, seed, defect)
    first = draw_anomalies(dropped, min(k, len(dropped)), seed, defect)
    return first + draw_anomalies(tested, k - len(first), seed, defect)


def _without(dataset: Dataset, split: Split, anomalies: list[Sample], k: int) -> Split:
    groups = {split.group_of(sample) for sample in anomalies}
    tested = split.on(dataset, "test")
    leaving = [sample.id for sample in tested if split.group_of(sample) in groups]
    left = [sample for sample in tested if split.group_of(sample) not in groups]
    if not any(not sample.is_normal for sample in left):
        raise DataError(
            "E_FEW",
            f"{k} shots of each defect leave no anomaly to test on in {dataset.root}; expected some: lower --defect-shots",
        )
    return split.moved(leaving, "dropped", defect_shots=k)
