"""Where foreign texture comes from: a folder such as DTD, the user's own normals, or procedures.

Item i of a bank at a size is always the same picture. The photographs of a folder and computed textures are made once for all
processes (`picture_store`); normals are kept per process, up to a limit in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from flawsmith.appearance.picture_cache import CACHE
from flawsmith.appearance.picture_store import picture_store, state_of_file
from flawsmith.appearance.procedural import KINDS, computed_size, render, state_of_code
from flawsmith.core.arrays import Image, freeze
from flawsmith.core.errors import BadParameter, NeedUnmet, UnknownName
from flawsmith.core.samples import Sample
from flawsmith.core.seeding import Seed
from flawsmith.data.dtd import dtd_images
from flawsmith.data.reading import read_image
from flawsmith.data.resize import resize_image
from flawsmith.masks.foreground import is_path

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
BANKS = ("procedural", "normals")
PROCEDURAL_COUNT = 200


class TextureBank(Protocol):
    """Pictures by number."""

    def __len__(self) -> int:
        """How many there are, at least one."""
        ...

    def name(self, index: int) -> str:
        """What the picture is called in provenance."""
        ...

    def image(self, index: int, size: tuple[int, int]) -> Image:
        """The picture squashed to (H, W): uint8 H×W×3, read-only."""
        ...


def check_source(text: str, more: Sequence[str] = ()) -> None:
    """Refuse a word that is neither a bank, nor one of `more`, nor a path; nothing is opened.

    Raises:
        UnknownName: it is none of them.
    """
    if text not in (*BANKS, *more) and not is_path(text):
        raise UnknownName("textures", text, [*BANKS, *more], "a folder needs a slash, as in ./textures")


def open_bank(text: str, normals: Sequence[Sample] = (), most: int | None = None) -> TextureBank:
    """The bank that a parameter names.

    Args:
        text: `procedural`, `normals`, or a folder that is searched with all its subfolders.
        normals: the pictures of `normals`.
        most: so many pictures at most, evenly spread over all of them; None: all.

    Raises:
        BadParameter: the folder does not exist or holds no picture.
        NeedUnmet: `normals` without any.
    """
    check_source(text)
    bank = _open_whole(text, normals)
    return bank if most is None or most >= len(bank) else SomeTextures(bank, most)


def _open_whole(text: str, normals: Sequence[Sample]) -> TextureBank:
    if text == "procedural":
        return ProceduralTextures()
    if text == "normals":
        if not normals:
            raise NeedUnmet("textures=normals", "normal pictures", "call fit with a support set or use textures=procedural")
        return NormalTextures(tuple(normals))
    return _open_folder(text)


@dataclass(frozen=True)
class SomeTextures:
    """A part of a bank, evenly spread over it.

    Args:
        bank: all.
        count: how many of them.
    """

    bank: TextureBank
    count: int

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """As in the whole bank."""
        return self.bank.name(self._number(index))

    def image(self, index: int, size: tuple[int, int]) -> Image:
        """uint8 H×W×3, read-only."""
        return self.bank.image(self._number(index), size)

    def _number(self, index: int) -> int:
        return index * len(self.bank) // self.count


@dataclass(frozen=True)
class ProceduralTextures:
    """Textures that are computed: noise, marble, stripes, cells, scratches and fractals in turn.

    Args:
        seed: root of every draw.
        count: how many there are.
    """

    seed: int = 0
    count: int = PROCEDURAL_COUNT

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """`procedural/12-marble`."""
        return f"procedural/{index}-{KINDS[index % len(KINDS)]}"

    def image(self, index: int, size: tuple[int, int]) -> Image:
        """uint8 H×W×3, read-only."""
        inner, kind = computed_size(size), KINDS[index % len(KINDS)]
        seed = Seed(self.seed, ("texture", index))
        what = f"procedural/{self.seed}/{index}"
        picture = picture_store().get(what, state_of_code(), inner, lambda: render(seed, inner, kind))
        return _enlarged(picture, size)


@dataclass(frozen=True)
class FolderTextures:
    """The pictures of a folder.

    Args:
        root: the folder.
        files: relative to it, sorted.
    """

    root: Path
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        """The file, relative to the folder."""
        return self.files[index]

    def image(self, index: int, size: tuple[int, int]) -> Image:
        """uint8 H×W×3, read-only."""
        file = self.root / self.files[index]
        picture = picture_store().get(str(file), state_of_file(file), size, lambda: _shrunk(read_image(file), size))
        return _enlarged(picture, size)


def _shrunk(picture: Image, size: tuple[int, int]) -> Image:
    """The first half of `resize_image`: made no larger than `size` on either side. Nothing is kept that enlarging made up."""
    return resize_image(picture, (min(size[0], picture.shape[0]), min(size[1], picture.shape[1])))


def _enlarged(picture: Image, size: tuple[int, int]) -> Image:
    """The second half of `resize_image`."""
    return picture if picture.shape[:2] == size else freeze(resize_image(picture, size))


@lru_cache(maxsize=16)
def _open_folder(text: str) -> FolderTextures:
    root = Path(text).expanduser().absolute()
    if not root.is_dir():
        raise BadParameter(
            f"textures is {text}, which is no folder; expected a folder of pictures: check the path or use procedural"
        )
    root = dtd_images(root) or root  # DTD's own root beside its images: the same textures, under the same names
    found = (path.relative_to(root) for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    files = sorted(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))
    if not files:
        raise BadParameter(f"textures is {text}, which holds no picture; expected {', '.join(SUFFIXES)}: choose another folder")
    return FolderTextures(root, tuple(files))


@dataclass(frozen=True)
class NormalTextures:
    """The normals of a support set.

    Args:
        samples: in the support set's order.
    """

    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def name(self, index: int) -> str:
        """The sample's id."""
        return self.samples[index].id

    def image(self, index: int, size: tuple[int, int]) -> Image:
        """uint8 H×W×3, read-only."""
        sample = self.samples[index]
        key = (id(sample.source), size)
        return CACHE.get(key, lambda: resize_image(sample.image(), size), owner=sample.source)
