"""Finding the mask of an image: by its exact name, never by order and never by a part of the name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flawsmith.data.problems import Problem
from flawsmith.data.tree import Folder, split_suffix

ENDINGS = ("", "_mask", "_gt")
"""A mask is called STEM.png, STEM_mask.png or STEM_gt.png, or is a folder STEM/ with one file per region."""


@dataclass(frozen=True)
class MaskHome:
    """A folder in which an image's mask may lie.

    Args:
        folder: where.
        endings: what may follow the image's stem.
        reserved: names of sub-folders that belong to defects and not to single images.
    """

    folder: Folder
    endings: tuple[str, ...] = ENDINGS
    reserved: frozenset[str] = frozenset()


@dataclass
class MaskFinder:
    """Pairs images with masks and keeps account of what was taken.

    Args:
        root: for messages.
    """

    root: Path
    problems: list[Problem] = field(default_factory=list)
    _owners: dict[str, str] = field(default_factory=dict)
    _trained: set[str] = field(default_factory=set)
    _stems: dict[str, Mapping[str, list[str]]] = field(default_factory=dict)
    _endings: set[str] = field(default_factory=set)

    @property
    def taken(self) -> frozenset[str]:
        """Paths of the mask files that belong to an image."""
        return frozenset(self._owners)

    def find(
        self, image: str, key: str, homes: Sequence[MaskHome], *, only_free: bool = False, trained: bool = False
    ) -> tuple[str, ...]:
        """The mask files of one image: none, one, or one per region.

        Args:
            image: path of the image, relative to the root.
            key: its path inside its own folder, without suffix.
            homes: where to look.
            only_free: leave alone what another image has already.
            trained: it is an anomaly in a training folder.
        """
        self._endings.update(ending for home in homes for ending in home.endings)
        self._trained.update((image,) if trained else ())
        found = [masks for home in homes for masks in self._in_home(home, key) if image not in masks]
        found = list(dict.fromkeys(found))
        if only_free:
            found = [masks for masks in found if not self.taken.intersection(masks)]
        if len(found) > 1:
            self._ambiguous(image, f"has {len(found)} masks ({', '.join(masks[0] for masks in found)})", "remove all but one")
        if not found:
            return ()
        for mask in found[0]:
            owner = self._owners.setdefault(mask, image)
            if owner != image:
                self._shared(mask, owner, image)
        for extra in found[1:]:
            self._owners.update(dict.fromkeys(extra, image))
        return found[0]

    def _in_home(self, home: MaskHome, key: str) -> Iterator[tuple[str, ...]]:
        inside, _, stem = key.rpartition("/")
        folder = home.folder.at(inside)
        if folder is None:
            return
        for ending in home.endings:
            for name in self._by_stem(folder).get(f"{stem}{ending}", []):
                yield (folder.join(name),)
        regions = folder.folders.get(stem) if "" in home.endings and stem not in home.reserved else None
        if regions is not None and regions.images:
            yield tuple(regions.join(name) for name in regions.images)

    def _by_stem(self, folder: Folder) -> Mapping[str, list[str]]:
        if folder.path not in self._stems:
            names: dict[str, list[str]] = defaultdict(list)
            for name in folder.images:
                names[split_suffix(name)[0]].append(name)
            self._stems[folder.path] = names
        return self._stems[folder.path]

    def _shared(self, mask: str, owner: str, image: str) -> None:
        """Remember two images with one mask; of an anomaly in a training folder and a tested one, that is what is wrong."""
        trained = [name for name in (owner, image) if name in self._trained]
        if len(trained) != 1:
            self._ambiguous(mask, f"fits two images ({owner} and {image})", "put masks into one folder per defect")
            return
        other = image if trained[0] == owner else owner
        told = (
            f"{self.root / trained[0]} is an anomaly in a training folder, and {mask} is the mask of {other} too; expected good "
            f"images alone: move it to test, or part the masks into ground_truth/train/ and ground_truth/test/"
        )
        self.problems.append(Problem("E_ANOMALY_IN_TRAIN", told, (trained[0],)))

    def _ambiguous(self, path: str, what: str, remedy: str) -> None:
        told = f"{self.root / path} {what}; expected one mask for one image: {remedy}"
        self.problems.append(Problem("E_AMBIGUOUS_PAIR", told, (path,)))

    def orphans(self, masks: Sequence[str]) -> Iterator[Problem]:
        """Problems for the files of mask folders that belong to no image."""
        accepted = [ending for ending in ENDINGS if ending in self._endings] or list(ENDINGS)
        names = [*(f"STEM{ending}.png" for ending in accepted), *(["STEM/NAME.png"] if "" in accepted else [])]
        shown = " or ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
        other = "" if len(accepted) == len(ENDINGS) else ", or read the folder with --layout folder, which takes other names too"
        for mask in masks:
            if mask not in self._owners:
                told = f"{self.root / mask} belongs to no image; expected a mask named {shown} after an image STEM"
                yield Problem("E_ORPHAN_MASK", f"{told}: rename or remove it{other}", (mask,))
