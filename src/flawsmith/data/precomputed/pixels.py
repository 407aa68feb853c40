"""The pixels of one pair, as they lie on disk, and whether they are those that the set noted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import DamagedFile
from flawsmith.core.files import sha256_file
from flawsmith.data.precomputed.masks import read_set_mask
from flawsmith.data.precomputed.pairs import Pair
from flawsmith.data.reading import read_image
from flawsmith.data.resize import resize_image, resize_mask_nearest


@dataclass(frozen=True, eq=False)
class PairPixels:
    """One pair, read.

    Args:
        image: uint8 H×W×3.
        mask: bool H×W.
        origin: uint8 H×W×3, where there is one.
    """

    image: Image
    mask: Mask
    origin: Image | None

    def resized(self, size: tuple[int, int]) -> PairPixels:
        """The same at (H, W): pictures by area and bilinearly, the mask by nearest pixel."""
        origin = None if self.origin is None else resize_image(self.origin, size)
        return PairPixels(resize_image(self.image, size), resize_mask_nearest(self.mask, size), origin)


def read_pair(root: Path, pair: Pair, threshold: float = 0.5) -> PairPixels:
    """Read a pair; mask and origin take the image's size where they have another.

    Raises:
        DataError: a file cannot be read (E_CORRUPT, E_MODE).
    """
    image = read_image(root / pair.image)
    size = (image.shape[0], image.shape[1])
    mask = resize_mask_nearest(read_set_mask(root / pair.mask, threshold)[0], size)
    origin = None if pair.origin is None else resize_image(read_image(root / pair.origin), size)
    return PairPixels(image, mask, origin)


def digests_of(root: Path, pair: Pair) -> dict[str, str]:
    """SHA-256 of a pair's files by kind.

    Raises:
        DamagedFile: a file is gone, or is not the one whose digest the set notes.
    """
    return {kind: _digest(root, pair, path) for kind, path in pair.files.items()}


def _digest(root: Path, pair: Pair, path: str) -> str:
    try:
        digest = sha256_file(root / path)
    except OSError as error:
        told = f"{root / path} cannot be read ({error.strerror}); expected the file that was there: copy it again"
        raise DamagedFile(told) from error
    noted = pair.sha256.get(path, digest)
    if digest != noted:
        raise DamagedFile(f"{root / path} was changed since it was written; expected SHA-256 {noted[:12]}…: restore it")
    return digest
