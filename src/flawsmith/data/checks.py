"""What is in a folder, what is wrong with it, and what to type next: every image and mask is opened once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flawsmith.core.errors import DataError
from flawsmith.core.progress import track
from flawsmith.core.wording import counted
from flawsmith.data.dataset import ANY_DEFECT, Dataset, missing_mask
from flawsmith.data.groups import GroupReport, group_report
from flawsmith.data.layouts import AUTO
from flawsmith.data.leakage import LeakageReport, find_leaks, proposal
from flawsmith.data.loading import Opened, open_folder
from flawsmith.data.looking import Looked, MasksSeen
from flawsmith.data.problems import SHOWN, Problem, collect, first_of
from flawsmith.data.splits import AUTO as AUTO_SPLIT
from flawsmith.data.splits import Split, make_split, record_of

IMBALANCE = 10
"""A defect with this many times fewer images than another is told."""


@dataclass(frozen=True)
class CheckReport:
    """What `check` found.

    Args:
        dataset: as read.
        why: what made the layout fit.
        sizes: (H, W) → number of images.
        modes: Pillow's mode → number of images.
        problems: errors first, then warnings; each names all its files.
        unmatched: image files that are neither an image nor a mask of it.
        hidden: hidden files and folders that were ignored.
        split: the split that was asked for; None where it cannot be made.
        leaks: the leakage test on that split, without pixels where they were not decoded; None where there is no split.
        full: whether every pixel was decoded.
        masks: what the masks of anomalies hold.
        groups: photographs of one piece; None where each image is its own group.
        notes: what a reader of the data should know.
    """

    dataset: Dataset
    why: str
    sizes: dict[tuple[int, int], int]
    modes: dict[str, int]
    problems: tuple[Problem, ...]
    unmatched: tuple[str, ...]
    hidden: tuple[str, ...]
    split: Split | None
    leaks: LeakageReport | None
    full: bool
    masks: MasksSeen
    groups: GroupReport | None
    notes: tuple[str, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop the work."""
        return tuple(problem for problem in self.problems if problem.is_error)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that do not."""
        return tuple(problem for problem in self.problems if not problem.is_error)

    def counts(self) -> list[dict[str, Any]]:
        """One row per product, split and defect."""
        with_mask = Counter((s.product, s.split, s.defect) for s in self.dataset.samples if s.has_mask and not s.is_normal)
        return [
            {"product": key[0], "split": key[1], "defect": key[2], "images": images, "masks": with_mask[key]}
            for key, images in self.dataset.counts().items()
        ]

    def sides(self) -> list[dict[str, Any]]:
        """One row per product: how many images the split puts on each side."""
        if self.split is None:
            return []
        rows: dict[str, Counter[str]] = {product: Counter() for product in self.dataset.products}
        for sample in self.dataset.samples:
            place = self.split.assignment.get(sample.id, "dropped")
            rows[sample.product][f"{place}_{'normals' if sample.is_normal else 'anomalies'}"] += 1
        return [{"product": product, **dict(sorted(row.items()))} for product, row in rows.items()]

    def shares(self) -> list[dict[str, Any]]:
        """One row per product: the achieved shares of its normals and anomalies that are tested; None where it has none."""
        return [
            {
                "product": row["product"],
                **{f"tested_{kind}": _share_tested(row, kind) for kind in ("normals", "anomalies")},
            }
            for row in self.sides()
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values; file lists are cut after the first 20, with their full number beside."""
        return {
            "root": str(self.dataset.root),
            "ok": not self.errors,
            "layout": self.dataset.layout,
            "why": self.why,
            "name": self.dataset.name,
            "licence": self.dataset.licence,
            "citation": self.dataset.citation,
            "images": len(self.dataset),
            "counts": self.counts(),
            "sizes": [{"height": h, "width": w, "images": n} for (h, w), n in self.sizes.items()],
            "modes": self.modes,
            "split": {
                **(record_of(self.split) if self.split else {"policy": None, "flags": []}),
                "sides": self.sides(),
                "shares": self.shares(),
            },
            "masks": self.masks.to_json(),
            "groups": self.groups.to_json() if self.groups else None,
            "errors": [problem.to_json() for problem in self.errors],
            "warnings": [problem.to_json() for problem in self.warnings],
            "unmatched": {"count": len(self.unmatched), "files": list(self.unmatched[:SHOWN])},
            "hidden": {"count": len(self.hidden), "files": list(self.hidden[:SHOWN])},
            "notes": list(self.notes),
            "near_groups": proposal(self.leaks.near) if self.leaks else {},
            "full": self.full,
        }


def _share_tested(row: Mapping[str, int], kind: str) -> float | None:
    total = sum(count for side, count in row.items() if side.endswith(f"_{kind}"))
    return row.get(f"test_{kind}", 0) / total if total else None


def check(
    root: str | Path,
    layout: str = AUTO,
    *,
    full: bool = True,
    product: str | None = None,
    masks: bool = False,
    split: str = AUTO_SPLIT,
    seed: int = 0,
    strict: bool = False,
) -> CheckReport:
    """Look at everything in a folder.

    Args:
        root: the folder, or `elpv`.
        layout: as for `load`.
        full: decode every image and mask, and look for leaks; otherwise only headers are read.
        product: one product; None: all.
        masks: a mask is required for every anomaly.
        split: policy or file of the split to look at.
        seed: of the split.
        strict: an incomplete known data set (W_COUNT) is an error.

    Raises:
        DataError: the folder cannot be read at all (E_ROOT), or fits no layout or several (E_LAYOUT).
        UnknownName: no such layout, product or split policy.
        BadParameter: no such option.
        DamagedFile: the split's file is missing or was changed.
    """
    opened = open_folder(root, layout)
    dataset = opened.found.dataset.of(product=product)
    looked = Looked()
    for sample in track(dataset.samples, "looking at images"):
        looked.at(sample, full)
    made, refused = _split(dataset, split, seed)
    leaks = _leaks(dataset, made, looked) if made is not None else None
    problems = collect(
        (
            *(replace(problem, fatal=strict and problem.code == "W_COUNT") for problem in opened.found.problems),
            *looked.problems,
            *refused,
            *_missing_masks(dataset, masks),
            *(leaks.problems if leaks else ()),
            *_as_a_whole(opened, dataset, looked),
            *_counts(dataset, whole=product is None, strict=strict),
            *(_empty_classes(dataset, looked) if full else ()),
        )
    )
    return CheckReport(
        dataset,
        opened.found.why,
        dict(looked.sizes.most_common()),
        dict(looked.modes.most_common()),
        problems,
        opened.found.unmatched,
        opened.tree.hidden,
        made,
        leaks,
        full,
        looked.masks,
        group_report(dataset),
        (*dataset.notes, *_soft_labels(dataset)),
    )


def _split(dataset: Dataset, policy: str, seed: int) -> tuple[Split | None, tuple[Problem, ...]]:
    try:
        return make_split(dataset, policy, seed=seed), ()
    except DataError as error:
        return None, (Problem(error.code, str(error), error.files, whole=True),)


def _leaks(dataset: Dataset, split: Split, looked: Looked) -> LeakageReport:
    aside = (sample for sample in dataset.samples if split.assignment.get(sample.id, "dropped") == "dropped")
    return find_leaks(split.apply(dataset), looked.prints, aside)


def _soft_labels(dataset: Dataset) -> Iterator[str]:
    weights = [sample.weight for sample in dataset.samples if sample.weight != 1]
    if weights:
        yield (
            f"{counted(len(weights), 'image has', 'images have')} a weight below 1 (from {min(weights):.2f}): how certain the "
            f"label is, kept as Sample.weight; training and metrics take every label as certain"
        )


def _missing_masks(dataset: Dataset, required: bool) -> Iterator[Problem]:
    """Anomalies without a mask: an error where masks are required, or where their neighbours have one."""
    if required:
        try:
            dataset.require_masks()
        except DataError as error:
            yield Problem(error.code, str(error), error.files, whole=True)
    elif dataset.has_masks:
        bare = dataset.without_masks()
        if bare:
            yield Problem("E_MISSING_MASK", missing_mask(bare), tuple(bare), whole=True)


def _as_a_whole(opened: Opened, dataset: Dataset, looked: Looked) -> Iterator[Problem]:
    """Warnings about the folder rather than about one file."""
    if opened.tree.hidden:
        many = counted(len(opened.tree.hidden), "hidden file or folder was", "hidden files or folders were")
        told = f"{many} ignored, such as {opened.tree.hidden[0]}"
        yield Problem("W_HIDDEN", told, opened.tree.hidden, whole=True)
    if len(looked.sizes) > 1:
        sides = [side for size in looked.sizes for side in size]
        told = (
            f"images have {len(looked.sizes)} sizes with sides of {min(sides)} to {max(sides)} px; expected one size: a detector "
            f"resizes all to its own"
        )
        yield Problem("W_SIZES", told, whole=True)
    if looked.odd:
        mask, odd = max(looked.odd, key=lambda item: item[1])
        told = f"{mask} has {odd:.2%} grey pixels, read as marked; expected 0 and 255: fine for antialiased edges"
        yield Problem("W_GREY_MASK", told, tuple(name for name, _ in looked.odd))
    yield from _imbalance(dataset)


def _imbalance(dataset: Dataset) -> Iterator[Problem]:
    for product in dataset.products:
        kinds = Counter(sample.defect for sample in dataset.samples if sample.product == product and not sample.is_normal)
        most, least = max(kinds.items(), key=_size, default=None), min(kinds.items(), key=_size, default=None)
        if most and least and most[1] >= IMBALANCE * least[1]:
            told = (
                f"{product} has {most[1]} images of {most[0]} and {least[1]} of {least[0]}; figures of {least[0]} will be rough"
            )
            yield Problem("W_CLASS_IMBALANCE", told, whole=True)


def _size(item: tuple[str, int]) -> int:
    return item[1]


def _counts(dataset: Dataset, *, whole: bool, strict: bool) -> Iterator[Problem]:
    """A known data set that differs from its published counts; products that are not there are told where `whole` is asked."""
    found = Counter((sample.product, sample.defect) for sample in dataset.samples)
    found.update((sample.product, ANY_DEFECT) for sample in dataset.samples if not sample.is_normal)
    here = {key: count for key, count in dataset.expected.items() if key[0] in dataset.products}
    several = len({product for product, _ in dataset.expected}) > 1
    told = [
        f"{f'{key[0]} ' if several else ''}{key[1]} {found[key]}/{count}" for key, count in here.items() if found[key] != count
    ]
    absent = dict.fromkeys(product for product, _ in dataset.expected if product not in dataset.products) if whole else {}
    told += [f"{product} 0/{sum(count for key, count in dataset.expected.items() if key[0] == product)}" for product in absent]
    if told:
        every, brief = (
            f"{dataset.root} is not the whole of {dataset.name} (found/expected: {named}); expected all to compare with others: "
            f"copy the rest"
            for named in (", ".join(told), first_of(told))
        )
        yield Problem("W_COUNT", every, whole=True, fatal=strict, brief=brief)


def _empty_classes(dataset: Dataset, looked: Looked) -> Iterator[Problem]:
    """Classes that the user's data declare and no image shows; a part of a published set may lack some."""
    if dataset.classes_released:
        return
    shown = {(product, defect) for product, _, defect in dataset.counts()} | looked.marked
    empty = [(product, name) for product, names in dataset.classes.items() for name in names if (product, name) not in shown]
    empty = [(product, name) for product, name in empty if product in dataset.products]
    if empty:
        product, name = empty[0]
        yield Problem(
            "E_EMPTY_SPLIT",
            f"{dataset.root} declares the class {name} of {product} and has no image of it ({len(empty)} such classes); expected "
            f"at least one image: add it, or take the class out of the declaration",
            (str(dataset.root),),
            whole=True,
        )
