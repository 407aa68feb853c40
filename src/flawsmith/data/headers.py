"""Opening a picture: what its header says, and one line for everything that can be wrong with the file."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as Pillow
from PIL import UnidentifiedImageError
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from flawsmith.core.errors import DataError

ORIENTATION = 0x0112
UNDECODABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    KeyError,
    IndexError,
    struct.error,
    zlib.error,
)
"""What Pillow raises on files that are no whole pictures."""

TURNED = frozenset({5, 6, 7, 8})
"""EXIF orientations that exchange height and width."""

LOSSY = frozenset({"JPEG", "MPO"})
LOSSY_IN_TIFF = frozenset({"jpeg", "tiff_jpeg", "webp"})
"""Pillow's names of the compressions of a TIFF that change values."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Args:
        height, width: as stored, pixels.
        mode: Pillow's name.
        format: Pillow's name of the content, whatever the suffix.
        deep: more than 8 bits per channel.
        orientation: EXIF orientation, 1…8; 1 is upright.
        lossy: compressed so that values change.
    """

    height: int
    width: int
    mode: str
    format: str
    deep: bool
    orientation: int
    lossy: bool

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) as shown, after the EXIF orientation."""
        stored = (self.height, self.width)
        return stored[::-1] if self.orientation in TURNED else stored


def read_header(path: Path) -> Header:
    """Read the header alone.

    Raises:
        DataError: E_CORRUPT; E_MODE: more pixels than Pillow opens.
    """
    with opened(path) as picture:
        return header_of(picture)


def header_of(picture: Pillow.Image) -> Header:
    """The header of an opened picture whose pixels were not read yet."""
    mode, kind = picture.mode, picture.format or ""
    lossy = kind in LOSSY or (kind == "TIFF" and picture.info.get("compression") in LOSSY_IN_TIFF)
    return Header(*_stored_size(picture), mode, kind, _is_deep(picture), orientation_of(picture), lossy)


def _stored_size(picture: Pillow.Image) -> tuple[int, int]:
    """(H, W) as in the file: newer versions of Pillow tell the upright size of a TIFF."""
    if isinstance(picture, TiffImageFile):
        return picture.tag_v2[IMAGELENGTH], picture.tag_v2[IMAGEWIDTH]
    return picture.height, picture.width


def _is_deep(picture: Pillow.Image) -> bool:
    """Pillow reads 16-bit colour as 8-bit colour without a word; only the raw mode of the file tells."""
    tiles = getattr(picture, "tile", None)
    arguments = tiles[0].args if tiles else ""
    raw = str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)
    return picture.mode.startswith(("I", "F")) or (
        picture.format in ("PNG", "TIFF") and any(bits in raw for bits in (";16", ";32"))
    )


def orientation_of(picture: Pillow.Image) -> int:
    """How its pixels still have to be turned; 1 for a TIFF that Pillow has turned as it decoded it."""
    if picture.format == "PNG" and "exif" not in picture.info:
        return 1
    value = picture.getexif().get(ORIENTATION, 1)
    return value if value in range(1, 9) else 1


@contextmanager
def opened(path: Path) -> Iterator[Pillow.Image]:
    """An opened picture; whatever goes wrong while it is used becomes one `DataError`.

    Raises:
        DataError: E_CORRUPT: missing, zero bytes, truncated, or no picture at all; E_MODE: more pixels than Pillow opens.
    """
    try:
        if path.stat().st_size == 0:
            raise corrupt(path, "has zero bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # opened by us: where Pillow opens the file, it maps it into memory, and scrambles a TIFF that is to be turned
            with path.open("rb") as stream, Pillow.open(stream) as picture:
                yield picture
    except UnidentifiedImageError as error:
        raise corrupt(path, _look(path)) from error
    except Pillow.DecompressionBombError as error:
        raise DataError(
            "E_MODE",
            f"{path} has more than {2 * (Pillow.MAX_IMAGE_PIXELS or 0)} pixels, which Pillow opens for nobody (it may be a "
            f"decompression bomb); expected a smaller image: cut it into parts or scale it down",
            [path],
        ) from error
    except UNDECODABLE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise corrupt(path, f"cannot be decoded ({str(reason).strip().rstrip('.') or type(error).__name__})") from error


def corrupt(path: Path, what: str) -> DataError:
    """The error of a file that is no whole picture."""
    return DataError("E_CORRUPT", f"{path} {what}; expected a whole image file: copy it again or remove it", [path])


def _look(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(256).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return "is a web page, not an image"
    return "is no image that can be decoded, whatever its suffix says"
