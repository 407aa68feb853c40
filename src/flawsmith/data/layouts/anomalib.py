"""Layout `anomalib`: folders named one by one, with the arguments of anomalib's `Folder` (open-edge-platform/anomalib).

What it does otherwise, and why: masks pair by exact name, never by order; a validation set is never the test, and a part of it
only where that is asked for twice; 0 is a seed and a ratio; equal stems are refused; extensions come with or without their dot.
"""

from __future__ import annotations

import posixpath
import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.core.samples import GOOD, Sample, SplitName
from flawsmith.data.dataset import Dataset, sort_key
from flawsmith.data.layouts.base import Found, Layout
from flawsmith.data.layouts.masks import MaskHome
from flawsmith.data.layouts.shelves import Shelf, ShelfReader
from flawsmith.data.policies import by_hash
from flawsmith.data.problems import Problem
from flawsmith.data.tree import IMAGE_SUFFIXES, Folder, Tree, split_suffix

TEST_RATIO = 0.2
"""Share of the normals that is tested where no folder of tested normals is named (anomalib's `Folder`)."""

NO_SYNTHETIC = "is not offered: a test or a threshold on synthetic anomalies says nothing of real ones; give --synth to train"
NO_SAME = "is not offered: one image is never on two sides of a split; from_test takes a part of the test, with allow_test_as_val"


class AnomalibLayout(Layout):
    """Folders named one by one. Each is relative to the root, or absolute inside it; several are joined by `+`.

    Args:
        called: name of the data set; empty: the root's.
        normal_dir: good images to train on.
        abnormal_dir: images of anomalies; the last part of each path is the defect's name.
        normal_test_dir: good images to test on.
        mask_dir: masks, in one folder, in one per folder of anomalies, or with sub-folders called like those.
        extensions: endings of images, with or without the dot; empty: all that can be read.
        test_split_mode: `from_dir`, or `none` for no test.
        test_split_ratio: share of the normals that is tested where `normal_test_dir` is empty.
        normal_split_ratio: deprecated name of `test_split_ratio`, which takes its value.
        val_split_mode: `none`: training holds out normals itself; `from_train`: a share of the training normals; `from_test`: a
            share of the test, which needs `allow_test_as_val`.
        val_split_ratio: that share.
        allow_test_as_val: that test images may be looked at for choices; every split then says so.
        seed: of the draws; 0 is one.
    """

    name: ClassVar[str] = "anomalib"
    sought: ClassVar[bool] = False

    called: str = ""
    normal_dir: tuple[str, ...] = ()
    abnormal_dir: tuple[str, ...] = ()
    normal_test_dir: tuple[str, ...] = ()
    mask_dir: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    test_split_mode: Literal["from_dir", "none"] = "from_dir"
    test_split_ratio: float = Field(default=TEST_RATIO, ge=0, lt=1)
    normal_split_ratio: None = None
    val_split_mode: Literal["none", "from_train", "from_test"] = "none"
    val_split_ratio: float = Field(default=0.5, ge=0, lt=1)
    allow_test_as_val: bool = False
    seed: int = 0

    @model_validator(mode="before")
    @classmethod
    def _deprecated_ratio(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("normal_split_ratio") is None:
            return given
        rest = {name: value for name, value in given.items() if name != "normal_split_ratio"}
        old: Any = given["normal_split_ratio"]
        new: Any = rest.setdefault("test_split_ratio", old)
        if float(old) != float(new):
            raise ValueError(f"normal_split_ratio {old} and test_split_ratio {new} disagree; expected one: give the second alone")
        told = "normal_split_ratio is deprecated (anomalib stores it and never reads it): write test_split_ratio"
        warnings.warn(told, FutureWarning, stacklevel=2)
        return rest

    @field_validator("normal_dir", "abnormal_dir", "normal_test_dir", "mask_dir", mode="before")
    @classmethod
    def _paths(cls, value: Any) -> Any:
        listed = _listed(value)
        return tuple(posixpath.normpath(str(path)) for path in listed)

    @field_validator("extensions", mode="before")
    @classmethod
    def _endings(cls, value: Any) -> Any:
        endings = tuple(f".{str(ending).strip().lstrip('.').lower()}" for ending in _listed(value))
        unknown = [ending for ending in endings if ending not in IMAGE_SUFFIXES]
        if unknown:
            raise ValueError(f"{unknown[0]} cannot be read; expected some of {', '.join(sorted(IMAGE_SUFFIXES))}")
        return endings

    @field_validator("test_split_mode", "val_split_mode", mode="before")
    @classmethod
    def _offered(cls, value: Any) -> Any:
        word = str(getattr(value, "value", value)).lower() if value is not None else "none"
        if word in ("synthetic", "same_as_test"):
            raise ValueError(f"{word} {NO_SYNTHETIC if word == 'synthetic' else NO_SAME}")
        return word

    @field_validator("seed", mode="before")
    @classmethod
    def _seeded(cls, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            raise ValueError(f"{value!r} is no seed: a split is always seeded; expected an integer, 0 among them")
        return value

    @model_validator(mode="after")
    def _asked_twice(self) -> AnomalibLayout:
        if self.val_split_mode == "from_test" and not self.allow_test_as_val:
            raise ValueError(
                "val_split_mode from_test lets choices see the test; expected from_train, or allow_test_as_val=true beside it, "
                "which every split then says"
            )
        return self

    def fits(self, tree: Tree) -> tuple[str, ...]:
        """Never by itself: its folders are named."""
        return ()

    def expects(self, tree: Tree) -> str:
        """What it wants."""
        return "anomalib wants its folders named, as in anomalib:normal_dir=good,abnormal_dir=crack+dent,mask_dir=masks"

    def read(self, tree: Tree) -> Found:
        """Read the named folders.

        Raises:
            BadParameter: no folder of good images is named.
        """
        if not self.normal_dir:
            raise BadParameter(f"layout anomalib names no normal_dir; {self.expects(tree)}")
        reader = _Reader(self, tree)
        samples = reader.samples()
        masks = [path for folder in reader.masks for path in folder.all_images()]
        problems = (*reader.twice, *reader.shelves.all_problems(masks))
        dataset = Dataset(
            unicodedata.normalize("NFC", self.called or tree.root.resolve().name or "data"),
            tree.root,
            self.spelled(),
            tuple(sorted(samples, key=sort_key)),
            notes=self._notes(),
            flags=self._flags(),
        )
        return Found(dataset, "the folders named as anomalib does", problems, reader.shelves.unmatched(masks))

    def _notes(self) -> tuple[str, ...]:
        drawn = self.test_split_mode == "from_dir" and not self.normal_test_dir and self.test_split_ratio > 0
        return (f"{self.test_split_ratio:g} of the normals are tested, drawn with seed {self.seed}",) if drawn else ()

    def _flags(self) -> tuple[str, ...]:
        if self.val_split_mode != "from_test":
            return ()
        return (f"validation is {self.val_split_ratio:g} of the test (allow_test_as_val): choices made on it have seen its like",)


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    if isinstance(value, str):
        return [part for part in value.split("+") if part]
    return [value] if isinstance(value, Path) else list(value)


class _Reader:
    """Reads one root."""

    def __init__(self, layout: AnomalibLayout, tree: Tree) -> None:
        self.layout, self.tree, self.shelves = layout, tree, ShelfReader(tree)
        self.product = unicodedata.normalize("NFC", layout.called or tree.root.resolve().name or "product")
        self.masks = [self._folder(path) for path in layout.mask_dir]
        self.twice: list[Problem] = []

    def samples(self) -> list[Sample]:
        """Every sample, on its side."""
        layout, tested = self.layout, self.layout.test_split_mode == "from_dir"
        anomalies = self._of("test", None, layout.abnormal_dir) if tested else []
        normals = self._of("train", GOOD, layout.normal_dir)
        others = self._of("test", GOOD, layout.normal_test_dir) if tested else []
        self._refuse_shared([*anomalies, *normals, *others])
        if tested and not layout.normal_test_dir:
            normals = self._moved(normals, "test", layout.test_split_ratio, "test", keep=1)
        whole = [*anomalies, *normals, *others]
        if layout.val_split_mode == "none":
            return whole
        side: SplitName = "train" if layout.val_split_mode == "from_train" else "test"
        kinds = Counter(sample.defect for sample in whole if sample.split == side)
        chosen = [sample for sample in whole if sample.split != side]
        for defect in kinds:
            mine = [sample for sample in whole if sample.split == side and sample.defect == defect]
            chosen += self._moved(mine, "val", layout.val_split_ratio, "validation", keep=int(side == "train"))
        return chosen

    def _moved(self, samples: Sequence[Sample], side: SplitName, ratio: float, stream: str, keep: int) -> list[Sample]:
        """The samples, a share of which is on another side; so many stay in any case."""
        number = min(int(ratio * len(samples) + 0.5), max(len(samples) - keep, 0))
        moving = set(by_hash([sample.id for sample in samples], self.layout.seed, "anomalib", stream)[:number])
        return [sample.moved_to(side) if sample.id in moving else sample for sample in samples]

    def _of(self, split: SplitName, defect: str | None, paths: Sequence[str]) -> list[Sample]:
        """The samples of some folders, which are named after their defect where it is not given."""
        folders = [self._folder(path) for path in paths]
        kinds = [unicodedata.normalize("NFC", defect or folder.name) for folder in folders]
        samples: list[Sample] = []
        for place, (folder, kind) in enumerate(zip(folders, kinds, strict=True)):
            prefix = f"{folder.path}/" if kinds.count(kind) > 1 else ""
            images = list(self._images(folder))
            homes = self._homes(folder, place if defect is None else None)
            samples.extend(self.shelves.samples(Shelf(self.product, split, kind, images, homes, prefix=prefix)))
        return samples

    def _images(self, folder: Folder) -> Iterator[tuple[str, str]]:
        """(path inside the folder without suffix, path) of each image at or below it, other named folders left aside."""
        named = {self._relative(path) for path in (*self._all_named(), *self.layout.mask_dir)} - {folder.path}
        endings = self.layout.extensions or IMAGE_SUFFIXES
        pending = [folder]
        while pending:
            here = pending.pop(0)
            inside = here.path.removeprefix(folder.path).strip("/")
            for name in here.images:
                stem, suffix = split_suffix(name)
                if suffix in endings:
                    yield f"{inside}/{stem}" if inside else stem, here.join(name)
            pending.extend(child for child in here.folders.values() if child.path not in named)

    def _all_named(self) -> Iterable[str]:
        return (*self.layout.normal_dir, *self.layout.abnormal_dir, *self.layout.normal_test_dir)

    def _homes(self, folder: Folder, place: int | None) -> tuple[MaskHome, ...]:
        """Where the masks of a folder may lie: with as many folders of masks as of anomalies, in the one of the same place."""
        paired = place is not None and len(self.masks) == len(self.layout.abnormal_dir)
        roots = [self.masks[place]] if paired and place is not None else self.masks
        names = frozenset(self._relative(path).rpartition("/")[2] for path in self._all_named())
        homes = [MaskHome(root, reserved=names) for root in roots] if place is not None else []
        homes += [MaskHome(root.folders[folder.name]) for root in roots if folder.name in root.folders]
        return tuple(homes)

    def _relative(self, path: str) -> str:
        """A named folder, from the root.

        Raises:
            DataError: E_ROOT: it lies outside.
        """
        for base in (self.tree.root.absolute().as_posix(), self.tree.root.resolve().as_posix()):
            if path == base or path.startswith(f"{base.rstrip('/')}/"):
                path = path.removeprefix(base).strip("/") or "."
        if path.startswith(("/", "../")) or path == "..":
            told = f"{path} leaves {self.tree.root}; expected a folder inside it: give a root around both"
            raise DataError("E_ROOT", told, [path])
        return "" if path == "." else path

    def _folder(self, path: str) -> Folder:
        folder = self.tree.top.at(self._relative(path))
        if folder is None or not folder.has_images:
            where = self.tree.root / path
            told = f"{where} holds no image; expected the folder that the layout anomalib names: check the name"
            raise DataError("E_LAYOUT", told, [where])
        return folder

    def _refuse_shared(self, samples: Sequence[Sample]) -> None:
        """Remember the images that two of the named folders hold."""
        owners: Mapping[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            owners[sample.source.location].append(sample)
        shared = [location for location, several in owners.items() if len(several) > 1]
        if shared:
            told = f"{shared[0]} lies in two of the named folders; expected each image in one: name folders that do not overlap"
            self.twice.append(Problem("E_DUPLICATE", told, tuple(shared)))
