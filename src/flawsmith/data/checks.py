"""What is in a folder, what is wrong with it, and what to type next: every image and mask is opened once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawsmith.core.errors import DataError
from flawsmith.core.progress import track
from flawsmith.core.samples import Sample
from flawsmith.data.dataset import ANY_DEFECT, Dataset, missing_mask
from flawsmith.data.fingerprints import Fingerprint, fingerprint
from flawsmith.data.layouts import AUTO
from flawsmith.data.leakage import LeakageReport, find_leaks, proposal
from flawsmith.data.loading import Opened, open_folder
from flawsmith.data.problems import SHOWN, Problem, collect
from flawsmith.data.reading import FileSource
from flawsmith.data.splits import Split, make_split

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
        split: the split that `auto` makes with seed 0; None where none can be made.
        leaks: the leakage test on that split; None where it was not run.
        full: whether every pixel was decoded.
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
        """One row per product: how many images the default split puts on each side."""
        if self.split is None:
            return []
        rows: dict[str, Counter[str]] = {product: Counter() for product in self.dataset.products}
        for sample in self.dataset.samples:
            place = self.split.assignment[sample.id]
            rows[sample.product][f"{place}_{'normals' if sample.is_normal else 'anomalies'}"] += 1
        return [{"product": product, **dict(sorted(row.items()))} for product, row in rows.items()]

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
                "policy": self.split.policy if self.split else None,
                "flags": list(self.split.flags) if self.split else [],
                "sides": self.sides(),
            },
            "errors": [problem.to_json() for problem in self.errors],
            "warnings": [problem.to_json() for problem in self.warnings],
            "unmatched": {"count": len(self.unmatched), "files": list(self.unmatched[:SHOWN])},
            "hidden": {"count": len(self.hidden), "files": list(self.hidden[:SHOWN])},
            "notes": list(self.dataset.notes),
            "near_groups": proposal(self.leaks.near) if self.leaks else {},
            "full": self.full,
        }


def check(
    root: str | Path, layout: str = AUTO, *, full: bool = True, product: str | None = None, masks: bool = False
) -> CheckReport:
    """Look at everything in a folder.

    Args:
        root: the folder, or `elpv`.
        layout: as for `load`.
        full: decode every image and mask, and look for leaks; otherwise only headers are read.
        product: one product; None: all.
        masks: a mask is required for every anomaly.

    Raises:
        DataError: the folder cannot be read at all (E_ROOT), or fits no layout or several (E_LAYOUT).
        UnknownName: no such layout or product.
        BadParameter: no such layout option.
    """
    opened = open_folder(root, layout)
    dataset = opened.found.dataset.of(product=product)
    looked = _Looked()
    for sample in track(dataset.samples, "looking at images"):
        looked.at(sample, full)
    split, refused = _default_split(dataset)
    leaks = find_leaks(split.apply(dataset), looked.prints) if split is not None and full else None
    problems = collect(
        (
            *opened.found.problems,
            *looked.problems,
            *refused,
            *_missing_masks(dataset, masks),
            *(leaks.problems if leaks else ()),
            *_as_a_whole(opened, dataset, looked),
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
        split,
        leaks,
        full,
    )


class _Looked:
    """What was seen in the files so far."""

    def __init__(self) -> None:
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.modes: Counter[str] = Counter()
        self.problems: list[Problem] = []
        self.prints: dict[str, Fingerprint] = {}
        self.grey: list[tuple[str, float]] = []

    def at(self, sample: Sample, full: bool) -> None:
        """Open one sample's image and masks."""
        source = sample.source
        assert isinstance(source, FileSource)
        try:
            header = source.header()
            self.sizes[header.size] += 1
            self.modes[header.mode] += 1
            if header.mode == "CMYK":
                told = f"{source.location} is CMYK and read as RGB; expected RGB: convert it to be sure of its colours"
                self.problems.append(Problem("W_CMYK", told, (source.location,)))
            if full:
                self.prints[sample.id] = fingerprint(source.image())
        except DataError as error:
            self._note(error)
            return
        if full:
            self._at_masks(source)

    def _at_masks(self, source: FileSource) -> None:
        marked = False
        for mask in source.masks:
            try:
                regions, odd = source.read_regions(mask)
            except DataError as error:
                self._note(error)
                return
            marked = marked or any(region.mask.any() for region in regions)
            if odd > 0:
                self.grey.append((str(source.root / mask), odd))
        if not source.masks:
            return
        if marked and source.defect == "good":
            told = (
                f"{source.root / source.masks[0]} marks a defect on {source.path}, a good image; expected a blank mask: move one"
            )
            self.problems.append(Problem("E_MASK_ON_NORMAL", told, (str(source.root / source.masks[0]),)))
        if not marked and source.has_mask and source.defect != "good":
            try:
                source.regions()
            except DataError as error:
                self._note(error)

    def _note(self, error: DataError) -> None:
        self.problems.append(Problem(error.code, str(error), error.files))


def _default_split(dataset: Dataset) -> tuple[Split | None, tuple[Problem, ...]]:
    try:
        return make_split(dataset), ()
    except DataError as error:
        return None, (Problem(error.code, str(error), error.files, whole=True),)


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


def _as_a_whole(opened: Opened, dataset: Dataset, looked: _Looked) -> Iterator[Problem]:
    """Warnings about the folder rather than about one file."""
    if opened.tree.hidden:
        told = f"{len(opened.tree.hidden)} hidden files or folders were ignored, such as {opened.tree.hidden[0]}"
        yield Problem("W_HIDDEN", told, opened.tree.hidden, whole=True)
    if len(looked.sizes) > 1:
        sides = [side for size in looked.sizes for side in size]
        told = (
            f"images have {len(looked.sizes)} sizes with sides of {min(sides)} to {max(sides)} px; expected one size: a detector "
            f"resizes all to its own"
        )
        yield Problem("W_SIZES", told, whole=True)
    if looked.grey:
        mask, odd = max(looked.grey, key=lambda item: item[1])
        told = f"{mask} has {odd:.2%} grey pixels, read as marked; expected 0 and 255: fine for antialiased edges"
        yield Problem("W_GREY_MASK", told, tuple(name for name, _ in looked.grey))
    yield from _imbalance(dataset)
    yield from _counts(dataset)


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


def _counts(dataset: Dataset) -> Iterator[Problem]:
    found = Counter((sample.product, sample.defect) for sample in dataset.samples)
    found.update((sample.product, ANY_DEFECT) for sample in dataset.samples if not sample.is_normal)
    wrong = [(key, found[key], count) for key, count in _expected(dataset) if found[key] != count]
    if wrong:
        several = len({product for product, _ in dataset.expected}) > 1
        told = ", ".join(f"{f'{key[0]} ' if several else ''}{key[1]} {here}/{count}" for key, here, count in wrong)
        yield Problem(
            "W_COUNT",
            f"{dataset.name} is not complete (found/expected: {told}); copy the rest to compare with others",
            whole=True,
        )


def _expected(dataset: Dataset) -> Iterable[tuple[tuple[str, str], int]]:
    return [(key, count) for key, count in dataset.expected.items() if key[0] in dataset.products]
