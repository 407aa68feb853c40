"""Where foreign texture comes from: a folder such as DTD, the user's own normals, or procedures.

Item i of a bank at a size is always the same picture. Decoded pictures are kept per process, up to a limit in bytes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from flawsmith.appearance.procedural import KINDS, render
from flawsmith.core.arrays import Image, freeze
from flawsmith.core.errors import BadParameter, NeedUnmet, UnknownName
from flawsmith.core.samples import Sample
from flawsmith.core.seeding import Seed
from flawsmith.data.reading import read_image
from flawsmith.data.resize import resize_image
from flawsmith.masks.foreground import is_path

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
PROCEDURAL_COUNT = 200
CACHE_BYTES = 192 * 2**20


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


def check_source(text: str) -> None:
    """Refuse a word that is neither `procedural`, `normals` nor a path; nothing is opened.

    Raises:
        UnknownName: it is none of them.
    """
    if text not in ("procedural", "normals") and not is_path(text):
        raise UnknownName("textures", text, ["procedural", "normals"], "a folder needs a slash, as in ./textures")


def open_bank(text: str, normals: Sequence[Sample] = ()) -> TextureBank:
    """The bank that a parameter names.

    Args:
        text: `procedural`, `normals`, or a folder that is searched with all its subfolders.
        normals: the pictures of `normals`.

    Raises:
        BadParameter: the folder does not exist or holds no picture.
        NeedUnmet: `normals` without any.
    """
    check_source(text)
    if text == "procedural":
        return ProceduralTextures()
    if text == "normals":
        if not normals:
            raise NeedUnmet("textures=normals", "normal pictures", "call fit with a support set or use textures=procedural")
        return NormalTextures(tuple(normals))
    return _open_folder(text)


@dataclass(frozen=True)
class ProceduralTextures:
    """Textures that are computed: noise, marble, stripes, cells and scratches in turn.

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
        key = (self, index, size)
        return CACHE.get(key, lambda: render(Seed(self.seed, ("texture", index)), size, KINDS[index % len(KINDS)]))


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
        key = (self.root, self.files[index], size)
        return CACHE.get(key, lambda: resize_image(read_image(self.root / self.files[index]), size))


@lru_cache(maxsize=16)
def _open_folder(text: str) -> FolderTextures:
    root = Path(text).expanduser().absolute()
    if not root.is_dir():
        raise BadParameter(
            f"textures is {text}, which is no folder; expected a folder of pictures: check the path or use procedural"
        )
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
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


class PictureCache:
    """The pictures used last, up to a limit in bytes.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: OrderedDict[object, tuple[Image, object]] = OrderedDict()
        self._bytes = 0

    def get(self, key: object, make: Callable[[], Image], owner: object = None) -> Image:
        """The picture kept under `key`, read-only, made now if it is not there; those longest unused make room.

        `owner` is kept alive as long as the picture, for keys that hold its identity.
        """
        if key not in self._held:
            self._held[key] = freeze(make()), owner
            self._bytes += self._held[key][0].nbytes
            while self._bytes > self.limit and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1][0].nbytes
        self._held.move_to_end(key)
        return self._held[key][0]


CACHE = PictureCache(CACHE_BYTES)
