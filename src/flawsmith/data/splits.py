"""Splits: one function makes them all, seeded and by whole groups, and a file keeps them.

What a method may learn from within one is drawn in `flawsmith.data.support`.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from flawsmith.core.errors import BadParameter, DamagedFile, DataError, UnknownName, nearest_of
from flawsmith.core.files import canonical_json, read_json, sha256_bytes, sha256_file, write_json
from flawsmith.core.samples import Sample
from flawsmith.core.wording import counted
from flawsmith.data.dataset import Dataset
from flawsmith.data.policies import PLACES, POLICIES, Option, Options, Place, by_hash

FORMAT = 1
AUTO = "auto"
STORED = ".json"
"""How the name of a split's file ends."""
AS_FOLDERS = ("folder", "supervised")
"""Policies that take the folder's own sides."""
FEW_TRAINED = 1 / 3
"""A split that leaves a smaller share of the normals to train on is flagged."""
LEAKS = "leaks near-duplicates: "
TESTS_NO = "tests no "
"""How the flags begin that count the sides, and are told anew when samples change sides."""


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
        options: of the policy (of a file its SHA-256), and of what was done to the split later.
    """

    policy: str
    seed: int
    dataset: str
    product: str | None
    assignment: Mapping[str, Place] = field(repr=False, hash=False)
    flags: tuple[str, ...] = ()
    options: Options = field(default_factory=dict, hash=False)

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
            split = cls(**{**content, "flags": tuple(map(str, content["flags"]))})
            if not set(split.assignment.values()) <= set(PLACES):
                raise TypeError(f"a place is none of {', '.join(PLACES)}")
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
        self.refuse_gone(dataset)
        samples = tuple(self._placed(dataset.samples))
        new = sum(sample.id not in self.assignment for sample in dataset.samples)
        notes = (f"{counted(new, 'image is', 'images are')} not in the split and left out",) if new else ()
        return replace(dataset, samples=samples, notes=(*dataset.notes, *notes))

    def refuse_gone(self, dataset: Dataset) -> None:
        """Refuse a folder that lacks images of this split.

        Raises:
            DataError: E_SPLIT, with the ids of the images that are gone, or where not one image of the folder is in the split.
        """
        there = {sample.id for sample in dataset.samples}
        products = set(dataset.products)
        kept = [name for name, place in self.assignment.items() if place != "dropped"]
        gone = [name for name in kept if name not in there and name.partition("/")[0] in products]
        if gone or (kept and there.isdisjoint(kept)):
            lost = gone or kept
            are = f"{counted(len(lost), 'image')} of the stored split {'is' if len(lost) == 1 else 'are'} gone"
            raise DataError(
                "E_SPLIT",
                f"{dataset.root} has no {lost[0]} ({are}); expected the folder that was split: restore it or make a new split",
                lost,
            )

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

    def moved(self, ids: Iterable[str], place: Place, flags: Iterable[str] = (), **options: Option) -> Split:
        """The same split with some samples elsewhere, and `flags` and `options` noted."""
        return replace(
            self,
            assignment={**self.assignment, **dict.fromkeys(ids, place)},
            flags=tuple(dict.fromkeys((*self.flags, *flags))),
            options={**self.options, **options},
        )


def make_split(dataset: Dataset, policy: str = AUTO, *, seed: int = 0, product: str | None = None, **options: Option) -> Split:
    """Split a data set.

    Args:
        dataset: what to split.
        policy: a name of `POLICIES`, or `auto`: the folder's own train and test where they are, else the data set's default.
            Options may follow it, as in `grouped:test_share=0.3`. A name that ends in `.json` is a split's file, taken as it is.
        seed: any integer, 0 among them.
        product: one product; None: all.
        options: of the policy, such as test_share=0.2.

    Raises:
        UnknownName: no such policy or product.
        BadParameter: no such option, one outside its range, or no seed.
        DamagedFile: the split's file is missing or was changed.
        DataError: a product without training normals (E_EMPTY_SPLIT), an anomaly in a training folder (E_ANOMALY_IN_TRAIN),
            fewer images than the policy asks for (E_FEW), or images that the file or the list names are gone (E_SPLIT).
    """
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise BadParameter(f"seed is {seed!r}; expected an integer, 0 among them: a split is always seeded")
    chosen = dataset.of(product=product)
    if is_stored(policy):
        return _stored(chosen, Path(policy), options)
    told, spelled = parse_policy(policy)
    name = policy_of(chosen, told)
    settings = _settings(name, {**spelled, **options})
    assignment = POLICIES[name].assign(chosen.samples, seed, settings)
    flags = _with_counts(chosen, name, assignment, (*chosen.flags, *_flags(chosen, name, assignment)))
    split = Split(name, seed, dataset.name, product, assignment, flags, _without_paths(settings))
    _refuse_untrainable(chosen, split)
    return split


def is_stored(policy: str) -> bool:
    """Whether `policy` names a split's file."""
    return policy.endswith(STORED) and "=" not in policy


def parse_policy(text: str) -> tuple[str, dict[str, Option]]:
    """(name, options) of `grouped` or `grouped:test_share=0.3`; a value that is no number stays text.

    Raises:
        BadParameter: an option without a value.
    """
    name, _, rest = text.partition(":")
    options: dict[str, Option] = {}
    for part in (part for part in rest.split(",") if part):
        key, equals, value = part.partition("=")
        if not equals:
            raise BadParameter(f"split {text!r} is malformed; expected NAME:OPTION=VALUE, as in grouped:test_share=0.3")
        options[key.strip()] = _number_or_text(value.strip())
    return name, options


def _number_or_text(value: str) -> Option:
    try:
        return int(value) if value.isdecimal() else float(value)
    except ValueError:
        return value


def refuse_unknown_policy(policy: str, more: tuple[str, ...] = ()) -> None:
    """Refuse a name that is neither a policy, `auto`, one of `more`, nor a file.

    Raises:
        UnknownName: no such policy.
        BadParameter: an option without a value.
    """
    known = (AUTO, *more, *POLICIES)
    name = parse_policy(policy)[0]
    if not is_stored(policy) and name not in known:
        listed = "" if nearest_of(name, known).startswith("known") else f"known: {', '.join(known)}, "
        raise UnknownName("split policy", name, known, f"{listed}or the file of a split, as in split{STORED}")


def with_absolute_files(policy: str) -> str:
    """The same policy with the paths of its files whole, so that a recipe means the same in every folder."""
    if is_stored(policy):
        return str(Path(policy).resolve())
    name, options = parse_policy(policy)
    if name not in POLICIES or not options:
        return policy
    told = [
        f"{key}={Path(str(value)).resolve() if isinstance(POLICIES[name].options.get(key), str) else value}"
        for key, value in options.items()
    ]
    return f"{name}:{','.join(told)}"


def policy_of(dataset: Dataset, name: str) -> str:
    """The policy that a name means for a data set.

    Raises:
        UnknownName: none.
    """
    refuse_unknown_policy(name)
    if name != AUTO:
        return name
    own = any(split in ("train", "test") for _, split, _ in dataset.counts())
    return "folder" if own and dataset.default_split != "supervised" else dataset.default_split


def _settings(policy: str, options: Options) -> dict[str, Option]:
    known = POLICIES[policy].options
    for option in options:
        if option not in known:
            raise BadParameter(f"split policy {policy} has no option {option!r}; {nearest_of(option, list(known))}")
    settings = {**known, **{option: _in_range(policy, option, value, known[option]) for option, value in options.items()}}
    missing = next((option for option, value in settings.items() if value == ""), None)
    if missing:
        raise BadParameter(f"split policy {policy} needs {missing}; expected a file, as in {policy}:{missing}=list.txt")
    return settings


def _in_range(policy: str, option: str, value: Option, default: Option) -> Option:
    """The value of an option: of a count a whole number from 0 on, of a share a number below 1, of a file its path."""
    if isinstance(default, str):
        return str(value)
    whole = isinstance(default, int)
    if not isinstance(value, str) and (0 <= value < math.inf and value == int(value) if whole else 0 <= value < 1):
        return int(value) if whole else float(value)
    limit = "a whole number of at least 0" if whole else "0 ≤ share < 1"
    raise BadParameter(f"split policy {policy}: {option} is {value!r}; expected {limit}")


def _without_paths(settings: Options) -> dict[str, Option]:
    """The options with the SHA-256 of a file in place of its path, which differs from machine to machine."""
    return {key: f"sha256:{sha256_file(Path(value))}" if isinstance(value, str) else value for key, value in settings.items()}


def recounted(split: Split, dataset: Dataset, learned: Iterable[Sample] = ()) -> Split:
    """The split with the flags that count its sides told anew, after samples have moved.

    Args:
        split: as it is now.
        dataset: the samples.
        learned: dropped ones that are learned from.
    """
    names = {sample.id for sample in learned}
    told = tuple(flag for flag in split.flags if not flag.startswith((LEAKS, TESTS_NO)))
    flags = _with_counts(dataset, split.policy, split.assignment, told, names)
    return split if flags == split.flags else replace(split, flags=flags)


def _with_counts(
    dataset: Dataset, policy: str, assignment: Mapping[str, Place], flags: Sequence[str], learned: Set[str] | None = None
) -> tuple[str, ...]:
    return (*_leaks(dataset, policy, assignment, learned), *flags, *_untested(dataset, assignment))


def _leaks(dataset: Dataset, policy: str, assignment: Mapping[str, Place], learned: Set[str] | None) -> Iterator[str]:
    if policy in POLICIES and not POLICIES[policy].whole_groups:
        torn = torn_groups(dataset, assignment, learned)
        groups = len({sample.group for sample in dataset.samples})
        are = "is" if len(torn) == 1 else "are"
        if torn:
            yield f"{LEAKS}{len(torn)} of {counted(groups, 'group')} {are} on both sides of this {policy} split"


def _untested(dataset: Dataset, assignment: Mapping[str, Place]) -> Iterator[str]:
    """A word for each product with anomalies of which no normal or no anomaly is tested."""
    for product in dataset.products:
        mine = [sample for sample in dataset.samples if sample.product == product]
        if all(sample.is_normal for sample in mine):
            continue
        tested = {sample.is_normal for sample in mine if assignment.get(sample.id) == "test"}
        missing = [kind for kind, normal in (("normal", True), ("anomaly", False)) if normal not in tested]
        if missing:
            so = "metrics that need both are undefined" if tested else "there is nothing to evaluate"
            yield f"{TESTS_NO}{' and no '.join(missing)} of {product}: {so}"


def _flags(dataset: Dataset, policy: str, assignment: Mapping[str, Place]) -> tuple[str, ...]:
    caveat = (POLICIES[policy].caveat,) if POLICIES[policy].caveat else ()
    return (*caveat, *_few_trained(dataset, policy, assignment))


def _few_trained(dataset: Dataset, policy: str, assignment: Mapping[str, Place]) -> Iterator[str]:
    """A word for each product that keeps few normals to train on, where the policy and not the folder chose them."""
    if policy in AS_FOLDERS:
        return
    for product in dataset.products:
        normals = [sample for sample in dataset.samples if sample.is_normal and sample.product == product]
        trained = sum(assignment[sample.id] == "train" for sample in normals)
        if trained < FEW_TRAINED * len(normals):
            yield f"leaves only {trained} of {len(normals)} normals of {product} to train on"


def torn_groups(dataset: Dataset, assignment: Mapping[str, Place], learned: Set[str] | None = None) -> frozenset[str]:
    """The groups that are tested and learned from; of what is dropped, `learned` is learned from, or all where that is None."""
    sides: dict[str, set[bool]] = defaultdict(set)
    for sample in dataset.samples:
        place = assignment.get(sample.id, "dropped")
        if place != "dropped" or learned is None or sample.id in learned:
            sides[sample.group].add(place == "test")
    return frozenset(group for group, tested in sides.items() if len(tested) > 1)


def _stored(dataset: Dataset, path: Path, options: Options) -> Split:
    """The split in a file, if it is one of this data set."""
    if options:
        raise BadParameter(f"{path} is a stored split and takes no options (such as {next(iter(options))}); expected it alone")
    split = Split.load(path)
    split.refuse_gone(dataset)
    stray = [sample.source.location for sample in split.on(dataset, "train") if not sample.is_normal]
    if stray:
        raise DataError(
            "E_ANOMALY_IN_TRAIN",
            f"{path} trains on {stray[0]}, an anomaly ({len(stray)} such images); expected normals: make the split again",
            stray,
        )
    _refuse_untrainable(dataset, split)
    return split


def _refuse_untrainable(dataset: Dataset, split: Split) -> None:
    for product in dataset.products:
        if not any(sample.is_normal for sample in split.on(dataset, "train", product)):
            raise DataError(
                "E_EMPTY_SPLIT",
                f"{product} in {dataset.root} has no training normal under the split {split.policy}; expected at least one good "
                f"image (of a group without defects): add good images, or check what the good folder is called",
                [dataset.root],
            )


def record_of(split: Split) -> dict[str, Any]:
    """What every result says of its split: policy, seed, digest, options, flags and the number of images on each side."""
    return {
        "policy": split.policy,
        "seed": split.seed,
        "digest": split.digest,
        "options": dict(split.options),
        "flags": list(split.flags),
        **split.counts(),
    }


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
