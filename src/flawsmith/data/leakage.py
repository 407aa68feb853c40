"""The leakage test: whether one picture, one piece or one label is where it must not be.

| level | test | outcome |
|---|---|---|
| exact | equal pixels in two splits, or one file under two names once links are followed | error E_DUPLICATE |
| turned | equal pixels in two splits after one of the 8 rotations and flips | error E_DUPLICATE |
| near | nearly equal pictures in training and elsewhere, well above what the normals show among themselves | warning W_NEAR |
| group | one group in two splits | error E_GROUP |
| label | equal pixels under two labels, anywhere | error E_LABEL_CONFLICT |
| synthetic | a synthetic picture in the test split, or one made from a test picture | error E_SYNTHETIC |

`check_heritage` is the last level for pictures that were made before and come with a synthesizer: they are known by the names of
what they were made from.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from flawsmith.core.errors import DataError
from flawsmith.core.progress import track
from flawsmith.core.samples import Sample
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import Heritage
from flawsmith.data.dataset import Dataset
from flawsmith.data.fingerprints import Fingerprint, NearIndex, fingerprint, turned_digest
from flawsmith.data.naming import ends_of, meant_by
from flawsmith.data.problems import Problem, collect, raise_errors

BACKGROUND_PAIRS = 4000
LEAST_RATIO = 5.0
"""Near hits are told where they are this many times more frequent than among random training pairs."""


@dataclass(frozen=True)
class NearReport:
    """Near-duplicates between training and the held-out sides.

    Args:
        hits: number of held-out images with a near-duplicate in training.
        held_out: number of held-out images.
        background: share of near hits among randomly drawn pairs of training images.
        groups: proposed groups of ids across the sides, largest first.
        searched: whether hits were looked for; not where the background is so high that they would say nothing.
    """

    hits: int
    held_out: int
    background: float
    groups: tuple[tuple[str, ...], ...]
    searched: bool = True

    @property
    def rate(self) -> float:
        """Share of held-out images with a near-duplicate in training."""
        return self.hits / self.held_out if self.held_out else 0.0


@dataclass(frozen=True)
class LeakageReport:
    """What the leakage test found.

    Args:
        problems: errors first.
        near: the figures of the near level.
    """

    problems: tuple[Problem, ...]
    near: NearReport

    @property
    def errors(self) -> tuple[str, ...]:
        """One line per error."""
        return tuple(f"{problem.code}: {problem.line()}" for problem in self.problems if problem.is_error)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One line per warning."""
        return tuple(f"{problem.code}: {problem.line()}" for problem in self.problems if not problem.is_error)


def check_leakage(dataset: Dataset, support: Iterable[Sample] = ()) -> LeakageReport:
    """Run the test on a data set whose samples are on their sides; each image is decoded once.

    Args:
        dataset: the samples on their sides.
        support: samples that are trained on though the split dropped them, such as the real anomalies of a support set.

    Raises:
        DataError: the first error, with every file of its kind (E_DUPLICATE, E_GROUP, E_LABEL_CONFLICT, E_SYNTHETIC).
    """
    trained = {sample.id for sample in dataset.samples if sample.split == "train"}
    more = tuple(sample.moved_to("train") for sample in support if sample.id not in trained)
    report = find_leaks(replace(dataset, samples=(*dataset.samples, *more)))
    raise_errors(report.problems)
    return report


def check_heritage(dataset: Dataset, heritage: Heritage, who: str) -> tuple[str, ...]:
    """Refuse what a synthesizer brings from before this run, where it was made from photographs that are tested on now.

    A photograph is known by its id, or by as much of its path as was told; where several photographs fit a part of a path, one of
    them outside the test side is enough to let it pass.

    Args:
        dataset: the samples on their sides.
        heritage: what the synthesizer tells.
        who: its name, for messages.

    Returns:
        What a reader of the results must know.

    Raises:
        DataError: E_SYNTHETIC, with every such photograph.
    """
    ends = ends_of(dataset.samples)
    found = [*(ends.get(name, []) for name in sorted(heritage.ids)), *(meant_by(name, ends) for name in sorted(heritage.names))]
    known = [photographs for photographs in found if photographs]
    learned = [s for s in dataset.samples if s.split == "test" and (s.defect, s.id.split("/", 3)[-1]) in heritage.real]
    tested = [photographs[0] for photographs in known if _sides(photographs) == {"test"}] + learned
    if tested:
        raise DataError(
            "E_SYNTHETIC",
            f"{who} brings pictures made from {tested[0].source.location} ({len(tested)} such photographs), which is on the test "
            f"side of this split; expected pictures made from what is trained on: use the split and seed that they were made "
            f"with, or make them again with those of this training",
            _files(tested),
        )
    held_out = sum(_sides(photographs) == {"val"} for photographs in known)
    if not held_out:
        return heritage.warnings
    of = sum(sample.split == "val" and sample.is_normal for sample in dataset.samples)
    told = f"{who} brings pictures made from {held_out} of the {of} normals that are held out for the threshold"
    return (*heritage.warnings, told)


def find_leaks(dataset: Dataset, prints: Mapping[str, Fingerprint] | None = None, aside: Iterable[Sample] = ()) -> LeakageReport:
    """`check_leakage` that lists errors instead of raising.

    Args:
        dataset: the samples on their sides.
        prints: fingerprints by sample id, where they are known already; of samples without one only files, groups
            and where they come from are compared.
        aside: samples on no side, whose labels are compared all the same, where they have a fingerprint.
    """
    files = _one_file(dataset.samples)
    cheap = [problem for bucket in files for problem in _twice(bucket, "the same file as")]
    cheap += _groups(dataset.samples)
    if prints is None:
        prints = {sample.id: fingerprint(sample.image()) for sample in track(dataset.samples, "looking for leaks")}
    samples = [sample for sample in dataset.samples if sample.id in prints]
    labelled = (*samples, *(sample for sample in aside if sample.id in prints))
    near, warning = _near(samples, prints)
    found = (
        *_labels(labelled, prints),
        *_exact(samples, prints),
        *cheap,
        *_turned(samples, prints),
        *_synthetic(dataset.samples, prints),
        *warning,
    )
    return LeakageReport(collect(found), near)


def _one_file(samples: Iterable[Sample]) -> list[list[Sample]]:
    """The samples that are one file once links are followed, where there are several of one."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        with suppress(OSError):
            found[os.path.realpath(sample.source.location, strict=True)].append(sample)
    return [bucket for bucket in found.values() if len(bucket) > 1]


def _twice(bucket: Sequence[Sample], how: str) -> Iterator[Problem]:
    if len(_sides(bucket)) > 1:
        yield _duplicate(bucket, how)


def _buckets(samples: Iterable[Sample], keys: Mapping[str, str]) -> Iterator[list[Sample]]:
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[keys[sample.id]].append(sample)
    return (bucket for bucket in found.values() if len(bucket) > 1)


def _files(samples: Iterable[Sample]) -> tuple[str, ...]:
    return tuple(sample.source.location for sample in samples)


def _sides(samples: Iterable[Sample]) -> set[str]:
    return {sample.split for sample in samples}


def _other_side(bucket: Sequence[Sample]) -> Sample:
    return next(sample for sample in bucket if sample.split != bucket[0].split)


def _labels(samples: Sequence[Sample], prints: Mapping[str, Fingerprint]) -> Iterator[Problem]:
    for bucket in _buckets(samples, {name: item.digest for name, item in prints.items()}):
        labels = {sample.defect for sample in bucket}
        if len(labels) > 1:
            other = next(sample for sample in bucket if sample.defect != bucket[0].defect)
            told = (
                f"{bucket[0].source.location} is labelled {bucket[0].defect}, the same picture {other.source.location} "
                f"{other.defect}; expected one label for one picture: remove one"
            )
            yield _set_of(bucket, "E_LABEL_CONFLICT", told)


def _exact(samples: Sequence[Sample], prints: Mapping[str, Fingerprint]) -> Iterator[Problem]:
    for bucket in _buckets(samples, {name: item.digest for name, item in prints.items()}):
        yield from _twice(bucket, "the same picture as")


def _set_of(bucket: Sequence[Sample], code: str, told: str) -> Problem:
    return Problem(code, told, _files(bucket), sets=(_files(bucket),))


def _duplicate(bucket: Sequence[Sample], how: str) -> Problem:
    first, other = bucket[0], _other_side(bucket)
    told = (
        f"{first.source.location} ({first.split}) is {how} {other.source.location} ({other.split}); expected each picture on one "
        f"side of the split: remove one"
    )
    return _set_of(bucket, "E_DUPLICATE", told)


def _turned(samples: Sequence[Sample], prints: Mapping[str, Fingerprint]) -> Iterator[Problem]:
    for candidates in _buckets(samples, {name: item.turned for name, item in prints.items()}):
        if len(_sides(candidates)) == 1 or len({prints[sample.id].digest for sample in candidates}) == 1:
            continue
        exact = {sample.id: turned_digest(sample.image()) for sample in candidates}
        for bucket in _buckets(candidates, exact):
            if len(_sides(bucket)) > 1 and len({prints[sample.id].digest for sample in bucket}) > 1:
                yield _duplicate(bucket, "a turned or mirrored copy of")


def _groups(samples: Sequence[Sample]) -> Iterator[Problem]:
    for bucket in _buckets(samples, {sample.id: sample.group for sample in samples}):
        if len(_sides(bucket)) > 1:
            first, other = bucket[0], _other_side(bucket)
            told = (
                f"{first.source.location} ({first.split}) and {other.source.location} ({other.split}) are of one group "
                f"({first.group}); expected groups on one side of the split: choose the split policy grouped"
            )
            yield _set_of(bucket, "E_GROUP", told)


def _synthetic(samples: Sequence[Sample], prints: Mapping[str, Fingerprint]) -> Iterator[Problem]:
    tested = {prints[sample.id].digest for sample in samples if sample.split == "test" and sample.id in prints}
    for sample in samples:
        if sample.origin != "synthetic":
            continue
        references = sample.tags.get("reference_sha256", "").split(";")
        if sample.split == "test" or not tested.isdisjoint(references):
            what = "is synthetic and in the test split" if sample.split == "test" else "was made from a picture of the test split"
            told = f"{sample.source.location} {what}; expected tests on real, unseen pictures: remove it"
            yield Problem("E_SYNTHETIC", told, _files([sample]))


def _near(samples: Sequence[Sample], prints: Mapping[str, Fingerprint]) -> tuple[NearReport, tuple[Problem, ...]]:
    trained = [index for index, sample in enumerate(samples) if sample.split == "train"]
    held_out = sum(sample.split in ("val", "test") for sample in samples)
    if not trained or not held_out:
        return NearReport(0, held_out, 0.0, ()), ()
    index = NearIndex([prints[sample.id] for sample in samples])
    background = _background(index, trained)
    if background * LEAST_RATIO >= 1:
        return NearReport(0, held_out, background, (), searched=False), ()
    pairs = index.pairs()
    pictures = np.unique([prints[sample.id].digest for sample in samples], return_inverse=True)[1]
    pairs = pairs[pictures[pairs[:, 0]] != pictures[pairs[:, 1]]]
    training = np.array([sample.split == "train" for sample in samples])
    outside = np.array([sample.split in ("val", "test") for sample in samples])
    first, second = pairs[:, 0], pairs[:, 1]
    across = (training[first] & outside[second]) | (training[second] & outside[first])
    found = np.unique(pairs[across])
    hit = [int(i) for i in found[outside[found]]]
    report = NearReport(len(hit), held_out, background, _components(samples, pairs, across))
    warned = report.hits > 0 and report.rate > LEAST_RATIO * background
    return report, (_near_problem(samples, hit, report),) if warned else ()


def _background(index: NearIndex, trained: Sequence[int]) -> float:
    if len(trained) < 2:
        return 0.0
    rng = Seed(0, ("leakage",)).numpy("background")
    first = rng.integers(0, len(trained), BACKGROUND_PAIRS)
    second = (first + rng.integers(1, len(trained), BACKGROUND_PAIRS)) % len(trained)
    members = np.array(trained)
    return float(index.are_near(members[first], members[second]).mean())


def _components(samples: Sequence[Sample], pairs: np.ndarray, across: np.ndarray) -> tuple[tuple[str, ...], ...]:
    """Connected pictures that lie on both sides, largest first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(len(samples), len(samples)))
    labels = connected_components(graph, directed=False)[1]
    torn = {int(label) for label in np.unique(labels[pairs[across].ravel()])}
    members: dict[int, list[str]] = defaultdict(list)
    for sample, label in zip(samples, labels, strict=True):
        if int(label) in torn:
            members[int(label)].append(sample.id)
    return tuple(sorted((tuple(ids) for ids in members.values()), key=lambda ids: (-len(ids), ids)))


def _near_problem(samples: Sequence[Sample], hit: Sequence[int], report: NearReport) -> Problem:
    largest = ", ".join(str(len(group)) for group in report.groups[:3])
    told = (
        f"{report.hits} of {report.held_out} held-out images ({report.rate:.1%}) nearly equal a training image, random training "
        f"pairs {report.background:.1%} of the time; expected such pictures on one side if they show one piece: split by group "
        f"(the largest of {len(report.groups)} proposed groups hold {largest} images)"
    )
    return Problem("W_NEAR", told, _files(samples[index] for index in hit), whole=True)


def proposal(report: NearReport) -> dict[str, list[str]]:
    """The proposed groups as JSON values: a `group_id` → the ids of its images, the largest groups first."""
    return {f"near-{number}": list(ids) for number, ids in enumerate(report.groups)}
