"""What a method may learn from within a split: some normals, perhaps a few real anomalies, and the split without them.

How many and which is told as `flawsmith.core.shots` spells it. First thirds are those of the generators that learn from
anomalies: DFMGAN, AnomalyDiffusion (sjtuplayer/anomalydiffusion, `ldm/data/personalized.py`, `unet_utils/data_loader.py`) and
SeaS (HUST-SLOW/SeaS, `datasets/seas_dataset.py`).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.core.samples import Sample, SupportSet
from flawsmith.core.shots import THIRDS, Shots
from flawsmith.core.wording import counted
from flawsmith.data.dataset import Dataset
from flawsmith.data.fingerprints import turned_digest
from flawsmith.data.naming import without_suffix
from flawsmith.data.policies import by_hash
from flawsmith.data.splits import Split, recounted
from flawsmith.data.tree import natural_key


def support_set(
    dataset: Dataset,
    split: Split,
    *,
    product: str,
    shots: int | str | None = None,
    defect_shots: int | str = 0,
    seed: int = 0,
) -> tuple[SupportSet, Split]:
    """What a method may learn from, and the split without it.

    `shots` normals are drawn from the training normals, and the others leave training. `defect_shots` anomalies of each defect
    are drawn, first from dropped ones whose groups are not tested, then from the tested ones; of these the whole group leaves
    the test. A first third is one of all anomalies of a defect, made of whole groups where the split keeps them together; the
    whole third leaves the test, even where fewer are learned from. Defects that stand for several at once (`Dataset.combined`)
    are drawn for first thirds, and where all is learned from that the split sets aside. What leaves the test is told by a
    flag, and the flags that count the sides are told anew.

    Args:
        dataset: the samples.
        split: which of them are trained on.
        product: whose.
        shots: number of normals, or `first:K`; None: all.
        defect_shots: number of real anomalies of each defect, or words (`flawsmith.core.shots`).
        seed: of the draw; a smaller number of shots is a part of a larger one.

    Raises:
        BadParameter: shots that cannot be read.
        DataError: E_FEW, with the numbers, or no anomaly left to test on.
        UnknownName: no such product.
    """
    mine = dataset.of(product=product)
    normals = [sample for sample in split.on(mine, "train") if sample.is_normal]
    wanted = None if shots is None else shots_of(shots, Shots.of_normals)
    chosen = normals if wanted is None else _draw(normals, wanted, seed, f"training normals of {product}", "--shots")
    real = shots_of(defect_shots)
    kept = {sample.id for sample in chosen}
    if wanted is not None:
        unused = (sample.id for sample in normals if sample.id not in kept)
        split = split.moved(unused, "dropped", shots=wanted.spelled())
    anomalies: list[Sample] = []
    if real and mine.defects():
        taken = [_taken(mine, split, defect, real, seed) for defect in _drawn_defects(mine, real)]
        anomalies = [sample for of_defect in taken for sample in of_defect.learned]
        if real.aside and not anomalies:
            raise DataError(
                "E_FEW",
                f"the split {split.policy} of {dataset.root} sets no anomaly of {product} aside; expected some to learn from: "
                f"choose a split that does (supervised, first-half, stratified, elpv-blocks), or {OPTION} with a number",
            )
        split = _without(dataset, split, taken, real)
    return SupportSet(tuple(chosen), tuple(anomalies), product=product, dataset=dataset.name), recounted(
        split, dataset, anomalies
    )


def shots_of(value: int | str, read: Callable[[object], Shots] = Shots.parse) -> Shots:
    """Shots from a number or words.

    Raises:
        BadParameter: neither.
    """
    try:
        return read(value)
    except ValueError as error:
        raise BadParameter(f"shots are {value!r}; expected {error}") from error


def split_third(names: Iterable[str], policy: str = "floor") -> tuple[list[str], list[str]]:
    """(the first third, the rest) of the files of one defect, by the first number in each stem, then by the stem as people sort.

    Nothing is drawn, and the order of the input does not count. One name at least is learned from, and of two or more one at
    least is left, unless the policy is `all`.

    Args:
        names: of files, or ids; with or without their suffix.
        policy: `floor` max(⌊n/3⌋, 1), `ceil` ⌈n/3⌉, `inclusive` ⌊n/3⌋ + 1 (as AnomalyDiffusion's released code takes them, whose
            test holds the last of them too), `all` n.

    Raises:
        BadParameter: no such policy.
        DataError: no names (E_FEW), or one stem twice (E_AMBIGUOUS_PAIR).
    """
    if policy not in THIRDS:
        raise BadParameter(f"first third {policy!r} is unknown; expected one of: {', '.join(THIRDS)}")
    given = list(names)
    if not given:
        raise DataError("E_FEW", "the first third of 0 images was asked for; expected at least 1: add images of the defect")
    twice = [stem for stem, count in Counter(map(without_suffix, given)).items() if count > 1]
    if twice:
        raise DataError(
            "E_AMBIGUOUS_PAIR",
            f"{twice[0]} is the stem of several images ({len(twice)} such stems); expected one image of each stem: remove one",
            twice,
        )
    order = sorted(given, key=_by_number)
    n = len(order)
    size = {"floor": max(n // 3, 1), "ceil": -(-n // 3), "inclusive": n // 3 + 1, "all": n}[policy]
    return order[:size], order[size:]


def _by_number(name: str) -> tuple[float, tuple[tuple[bool, int, str], ...], str]:
    stem = without_suffix(name).rpartition("/")[2]
    digits = re.search(r"[0-9]+", stem)
    return (int(digits[0]) if digits else float("inf"), natural_key(stem), name)


@dataclass(frozen=True)
class _Taken:
    """The anomalies of one defect that are learned from, those that leave the test, how many there are, whether by groups."""

    defect: str
    learned: list[Sample]
    leaving: list[Sample]
    of: int
    by_groups: bool = False


def _drawn_defects(dataset: Dataset, real: Shots) -> tuple[str, ...]:
    return tuple(defect for defect in dataset.defects() if real.third or real.aside or defect not in dataset.combined)


def _taken(dataset: Dataset, split: Split, defect: str, real: Shots, seed: int) -> _Taken:
    mine = [sample for sample in dataset.samples if sample.defect == defect]
    free = [sample for sample in mine if split.assignment.get(sample.id) in ("test", "dropped")]
    if real.third:
        third = _third_of(free, real, split.group_of)
        learned = third if real.number is None else _draw(third, real, seed, f"anomalies of the first third of {defect}", OPTION)
        return _Taken(defect, learned, third, len(free), len(set(map(split.group_of, free))) < len(free))
    held_out = {split.group_of(sample) for place in ("test", "val") for sample in split.on(dataset, place)}
    aside = [s for s in free if split.assignment[s.id] == "dropped" and split.group_of(s) not in held_out]
    if real.aside:
        return _Taken(defect, aside, aside, len(free))
    tested = [sample for sample in free if split.assignment[sample.id] == "test"]
    asked = int(real.number or 0)
    if len(aside) + len(tested) < asked:
        draw_anomalies(aside + tested, real, seed, defect)  # says so
    learned = draw_anomalies(aside, Shots(min(asked, len(aside)), real.first), seed, defect)
    learned += draw_anomalies(tested, Shots(asked - len(learned), real.first), seed, defect)
    return _Taken(defect, learned, learned, len(free))


OPTION = "--defect-shots"


def _third_of(samples: Sequence[Sample], real: Shots, group_of: Callable[[Sample], str]) -> list[Sample]:
    """The first third of one defect's anomalies, in the order of their numbers; nothing of their groups is in the rest.

    Groups are taken whole, that of the first image first, until the next one would make more than a third; one is taken at least.
    """
    if not samples:
        return []
    by_id = {sample.id: sample for sample in samples}
    first, rest = split_third(by_id, real.third or "floor")
    order = [by_id[name] for name in (*first, *rest)]
    sizes = Counter(map(group_of, order))  # in the order of each group's first image
    so_far = itertools.accumulate(sizes.values())
    taken = {group for index, (group, total) in enumerate(zip(sizes, so_far, strict=True)) if index == 0 or total <= len(first)}
    return [sample for sample in order if group_of(sample) in taken]


def draw_anomalies(samples: Sequence[Sample], shots: Shots, seed: int, defect: str) -> list[Sample]:
    """So many of the anomalies of one kind: in the order of the hash that shots are drawn by, the first in file order, or all.

    Raises:
        DataError: E_FEW: there are fewer.
    """
    if shots.aside:
        return list(samples)
    if shots.third:
        third = _third_of(samples, shots, lambda sample: sample.group)
        return third if shots.number is None else _draw(third, shots, seed, f"anomalies of the first third of {defect}", OPTION)
    return _draw(samples, shots, seed, f"anomalies of the kind {defect}", OPTION)


def _draw(samples: Sequence[Sample], shots: Shots, seed: int, what: str, option: str) -> list[Sample]:
    k = int(shots.number or 0)
    if len(samples) < k:
        raise DataError(
            "E_FEW",
            f"{k} {what} were asked for and there are {len(samples)}; expected at most that: lower {option} or add images",
        )
    if shots.first:
        return list(samples[:k])
    wanted = set(by_hash([sample.id for sample in samples], seed, "shots")[:k])
    return [sample for sample in samples if sample.id in wanted]


def _without(dataset: Dataset, split: Split, taken: Sequence[_Taken], real: Shots) -> Split:
    """The split once the groups of the anomalies taken have left the test."""
    groups = {split.group_of(sample) for of_defect in taken for sample in of_defect.leaving}
    tested = split.on(dataset, "test")
    leaving = [sample for sample in tested if split.group_of(sample) in groups]
    left = [sample for sample in tested if split.group_of(sample) not in groups]
    if taken and real.third != "all" and not real.aside and not any(not sample.is_normal for sample in left):
        raise DataError(
            "E_FEW",
            f"{real.spelled()} shots of each defect leave no anomaly to test on in {dataset.root}; expected some: lower {OPTION}",
        )
    flags = (*_flags_of_thirds(taken, real, leaving, left), *_flags_of_few(tested, left))
    return split.moved((sample.id for sample in leaving), "dropped", flags, defect_shots=real.spelled())


def _flags_of_thirds(taken: Sequence[_Taken], real: Shots, leaving: Sequence[Sample], left: Sequence[Sample]) -> Iterator[str]:
    """What a reader of results must know of a first third."""
    if not real.third or not taken:
        return
    number = sum(len(of_defect.learned) for of_defect in taken)
    normals = sum(sample.is_normal for sample in leaving)
    whole = ", by whole groups" if any(of_defect.by_groups for of_defect in taken) else ""
    limit = ": comparable only with results that leave them out too" if leaving else ""
    yield (
        f"gives the first third of each defect ({real.third}{whole}) to learn from: {number} learned from; "
        f"{counted(len(leaving) - normals, 'anomaly', 'anomalies')} and {counted(normals, 'normal')} leave the test{limit}"
    )
    seen = sum(of_defect.of > 1 and len(of_defect.leaving) == of_defect.of // 3 + 1 for of_defect in taken)
    if real.third == "inclusive" and seen:
        yield (
            f"takes one image more of each defect than AnomalyDiffusion leaves out of its test: its released generator has seen "
            f"{counted(seen, 'image')} of its own test, which {'is' if seen == 1 else 'are'} not tested here"
        )
    bare = [of_defect.defect for of_defect in taken if not any(sample.defect == of_defect.defect for sample in left)]
    if bare:
        yield f"has no image left to test of {', '.join(bare)}"


def _flags_of_few(tested: Sequence[Sample], left: Sequence[Sample]) -> Iterator[str]:
    """A word where what is learned from, and its groups, takes more than half of the anomalies out of the test."""
    before, after = (sum(not sample.is_normal for sample in side) for side in (tested, left))
    if 0 < 2 * after < before:
        yield f"has only {after} of {before} anomalies left to test"


def refuse_copies(learned: Iterable[Sample], tested: Iterable[Sample]) -> None:
    """Refuse anomalies to learn from that are, perhaps turned, among those that are tested; every picture is decoded once.

    Raises:
        DataError: E_DUPLICATE, with the files.
    """
    known = {turned_digest(sample.image()): sample for sample in learned}
    twice = [(known[digest], sample) for sample in tested if (digest := turned_digest(sample.image())) in known]
    if twice:
        first, other = twice[0]
        raise DataError(
            "E_DUPLICATE",
            f"{first.source.location} is learned from and, perhaps turned, the same picture as {other.source.location}, which is "
            f"tested ({len(twice)} such); expected each picture on one side of the split: remove one",
            [sample.source.location for pair in twice for sample in pair],
        )
