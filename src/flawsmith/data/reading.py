"""Reading images and masks, and refusing what would be read wrongly.

Truncated files are errors (Pillow's tolerance turns a half-read file into a picture with a blank lower part), EXIF orientation is
applied to images, and a mask is taken only in an encoding that keeps its values exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import BadParameter, DataError, NoPixelTruth
from flawsmith.core.samples import GOOD, Region
from flawsmith.data.headers import TURNED, Header, header_of, opened, orientation_of, read_header

READABLE = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
GREY_EDGE_SHARE = 0.01
"""Share of odd pixels up to which a mask counts as binary with antialiased edges."""


@dataclass(frozen=True)
class Code:
    """What one value of a `coded` mask stands for (MVTec LOCO's `defects_config.json`).

    Args:
        defect: its kind.
        saturation: area from which a region counts as found: in pixels, or as a share of its own area.
        relative: whether it is a share.
    """

    defect: str
    saturation: float
    relative: bool

    def region(self, mask: Mask) -> Region:
        """The region of this kind, with its saturation in pixels of the mask."""
        return Region(self.defect, mask, self.saturation * float(mask.sum()) if self.relative else self.saturation)


@dataclass(frozen=True)
class MaskEncoding:
    """How a mask file is read.

    Args:
        kind: `binary` (> 0, values 0 and 255 or 0 and 1), `threshold` (> t), `class_id` (the value names the defect), or `coded`
            (the value names the defect and its saturation).
        threshold: t of `threshold`.
        classes: defect name → value, for `class_id`.
        codes: value → what it stands for, for `coded`.
        declared: where the values are declared, for messages.
    """

    kind: Literal["binary", "threshold", "class_id", "coded"] = "binary"
    threshold: int = 0
    classes: Mapping[str, int] = field(default_factory=dict, hash=False)
    codes: Mapping[int, Code] = field(default_factory=dict, hash=False)
    declared: str = "classes.json"

    @classmethod
    def parse(cls, text: str) -> MaskEncoding:
        """Read `binary` or `threshold:127`.

        Raises:
            BadParameter: neither.
        """
        kind, _, value = text.partition(":")
        if kind == "binary" and not value:
            return BINARY
        if kind == "threshold" and value.isdecimal() and int(value) < 255:
            return cls("threshold", int(value))
        raise BadParameter(
            f"mask encoding {text!r} is unknown; expected binary or threshold:T with T in 0…254, as in threshold:127"
        )

    def __str__(self) -> str:
        return f"threshold:{self.threshold}" if self.kind == "threshold" else self.kind


BINARY = MaskEncoding()


@dataclass(frozen=True)
class Scale:
    """How values of more than 8 bits become 0…255: `low` is black, `high` is white (see `flawsmith.data.scales`).

    Args:
        low, high: values of the file; low < high.
        strict: values outside are refused (`divide:V`); otherwise they are black or white (`range:LOW..HIGH`).
    """

    low: float
    high: float
    strict: bool = False

    def __str__(self) -> str:
        return f"divide:{self.high:.17g}" if self.strict else f"range:{self.low:.17g}..{self.high:.17g}"

    def applied(self, path: Path, values: NDArray[Any]) -> Image:
        """uint8 of the same shape, rounded.

        Raises:
            DataError: E_MODE: a strict scale and values outside it.
        """
        least, most = float(values.min()), float(values.max())
        if self.strict and not (self.low <= least and most <= self.high):
            raise DataError(
                "E_MODE",
                f"{path} has values from {least:g} to {most:g}; expected 0 to {self.high:g} with the scale {self}: give the "
                f"value that is white, as in --scale divide:65535",
                [path],
            )
        share = (values.astype(np.float64) - self.low) / (self.high - self.low)
        return np.rint(np.clip(share, 0.0, 1.0) * 255).astype(np.uint8)


def read_image(path: Path, scale: Scale | None = None) -> Image:
    """Read an image as uint8 H×W×3, upright.

    Args:
        path: the file.
        scale: for images of more than 8 bits, which are refused without; those of 8 bits are refused with one.

    Raises:
        DataError: E_CORRUPT, or E_MODE for transparent images, and for 16-bit and float ones without a scale.
    """
    if scale is not None:
        return _scaled(path, scale)
    with opened(path) as picture:
        header = header_of(picture)
        _refuse_image(path, picture, header)
        picture.load()
        colour = _without_alpha(path, picture).convert("RGB")
        return _turned(np.array(colour, np.uint8), _left_to_turn(picture, header))


def _left_to_turn(picture: Pillow.Image, header: Header) -> int:
    """The orientation of decoded pixels: Pillow turns TIFFs itself, and nothing else."""
    return orientation_of(picture) if header.format == "TIFF" else header.orientation


def _turned(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """H×W or H×W×C as an EXIF orientation of 1…8 shows it."""
    upright = values.swapaxes(0, 1) if orientation in TURNED else values
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(upright[::rows, ::columns])


def _scaled(path: Path, scale: Scale) -> Image:
    header = read_header(path)
    if not header.deep:
        raise DataError(
            "E_MODE",
            f"{path} has 8 bits per channel; expected more, as the scale {scale} is for: use images of the same kind, or leave "
            f"out --scale",
            [path],
        )
    grey = scale.applied(path, read_deep(path))
    return grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=2)


def read_deep(path: Path) -> NDArray[Any]:
    """The values of an image of more than 8 bits per channel, upright: H×W or H×W×3 of uint16, int32 or float32.

    Raises:
        DataError: E_CORRUPT, or E_MODE where it is transparent, holds NaN or is of another kind.
    """
    with opened(path) as picture:
        header = header_of(picture)
        _refuse_pages(path, picture, header)
        picture.load()
        if len(picture.getbands()) == 1:
            values = _turned(np.array(picture), _left_to_turn(picture, header))
        else:
            values = _deep_colour(path, header)
    if not np.isfinite(values).all():
        raise _mode(path, "holds values that are NaN or infinite", "give every pixel a value")
    return values


def _deep_colour(path: Path, header: Header) -> NDArray[Any]:
    """Pillow keeps the upper 8 of 16 bits in colour; OpenCV keeps all, and turns TIFFs too."""
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        raise _mode(path, "has more than 8 bits per channel in a form that cannot be read", "save it as 16-bit PNG or TIFF")
    if values.shape[2] == 4 and values[..., 3].min() != np.iinfo(np.uint16).max:
        raise _mode(path, "is partly transparent", "flatten it on the background you want")
    return _turned(values[..., 2::-1], 1 if header.format == "TIFF" else header.orientation)


def _refuse_image(path: Path, picture: Pillow.Image, header: Header) -> None:
    if header.deep:
        raise _mode(
            path,
            "has more than 8 bits per channel",
            "give one scale for all images, --scale divide:65535 or --scale minmax-dataset, or convert it",
        )
    if header.mode not in READABLE:
        raise _mode(path, f"has the mode {header.mode}", "convert it to grey or RGB")
    _refuse_pages(path, picture, header)


def _refuse_pages(path: Path, picture: Pillow.Image, header: Header) -> None:
    pages = _pages(picture)
    if pages > 1 and header.format != "MPO":
        raise _mode(path, f"holds {pages} pictures", "save them as single files")


def _pages(picture: Pillow.Image) -> int:
    return int(getattr(picture, "n_frames", 1))


def _without_alpha(path: Path, picture: Pillow.Image) -> Pillow.Image:
    if "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode in ("RGBA", "LA", "PA") and picture.getchannel("A").getextrema() != (255, 255):
        raise _mode(path, "is partly transparent", "flatten it on the background you want")
    return picture


def _mode(path: Path, what: str, remedy: str) -> DataError:
    return DataError("E_MODE", f"{path} {what}; expected an opaque 8-bit grey or RGB image: {remedy}", [path])


def read_mask_values(path: Path, *, palette: bool = False) -> NDArray[np.uint8]:
    """Read the values of a mask file, uint8 H×W; 1-bit files become 0 and 255.

    Args:
        path: the file.
        palette: whether palette indices are the values (class-id masks).

    Raises:
        DataError: E_CORRUPT, or E_MODE for lossy, 16-bit, palette or coloured masks, for several pages and turned TIFFs.
    """
    with opened(path) as picture:
        header = header_of(picture)
        if header.lossy:
            raise _mask_mode(path, "is a JPEG, or compressed like one, which changes values")
        if _pages(picture) > 1:
            raise _mask_mode(path, f"holds {_pages(picture)} pictures")
        if header.format == "TIFF" and header.orientation != 1:
            raise _mask_mode(path, f"is turned by its orientation tag ({header.orientation}), and masks have none")
        if header.deep:
            raise _mask_mode(path, "has more than 8 bits per pixel")
        if header.mode == "P" and not palette:
            raise _mask_mode(path, "has a colour palette")
        picture.load()
        values = np.array(picture.convert("L") if header.mode == "1" else picture, np.uint8)
    return _one_channel(path, values, header.mode)


def _one_channel(path: Path, values: NDArray[np.uint8], mode: str) -> NDArray[np.uint8]:
    if mode in ("LA", "RGBA"):
        if (values[..., -1] != 255).any():
            raise _mask_mode(path, "is partly transparent")
        values = values[..., :-1]
    if values.ndim == 3:
        if mode not in ("LA", "RGB", "RGBA") or (values != values[..., :1]).any():
            raise _mask_mode(path, "is coloured")
        values = values[..., 0]
    return cast(NDArray[np.uint8], np.ascontiguousarray(values))


def _mask_mode(path: Path, what: str) -> DataError:
    return DataError("E_MODE", f"{path} {what}; expected an 8-bit grey or 1-bit mask: save it again as such a PNG", [path])


def binary_mask(path: Path, values: NDArray[np.uint8], encoding: MaskEncoding) -> tuple[Mask, float]:
    """(bool mask, share of odd grey pixels) under `binary` or `threshold`.

    Raises:
        DataError: E_MASK_VALUES: declared binary, and at least 1 % of the pixels are neither off nor on.
    """
    if encoding.kind == "threshold":
        return values > encoding.threshold, 0.0
    top = 1 if values.max(initial=0) <= 1 else 255
    odd = float(((values != 0) & (values != top)).mean()) if values.size else 0.0
    if odd >= GREY_EDGE_SHARE:
        found = ", ".join(str(value) for value in np.unique(values)[:6])
        raise DataError(
            "E_MASK_VALUES",
            f"{path} holds the values {found}… ({odd:.1%} of its pixels are neither 0 nor {top}); expected a binary mask of 0 "
            f"and 255: save it so, or read it with --layout folder:encoding=threshold:127",
            [path],
        )
    return values > 0, odd


@dataclass(frozen=True)
class FileSource:
    """The pixels of one sample, in files; nothing is decoded before it is asked for.

    Args:
        root: the data set's folder.
        path: the image, relative to `root`.
        defect: what it shows.
        masks: its mask, or one file per region, relative to `root`; empty where the pixel truth is unknown.
        encoding: how the masks are read.
        blank: the masks are known to be blank although the image shows a defect: the pixel truth counts as unknown.
        scale: for images of more than 8 bits.
    """

    root: Path
    path: str
    defect: str
    masks: tuple[str, ...] = ()
    encoding: MaskEncoding = BINARY
    blank: bool = False
    scale: Scale | None = None

    @property
    def location(self) -> str:
        """The image file."""
        return str(self.root / self.path)

    @property
    def has_mask(self) -> bool:
        """Whether the pixel truth is known; True for normals."""
        return self.defect == GOOD or (bool(self.masks) and not self.blank)

    @property
    def mask_rule(self) -> str:
        """How a mask value becomes a defect pixel."""
        return str(self.encoding)

    def size(self) -> tuple[int, int]:
        """(H, W) from the header, after the EXIF orientation."""
        return self.header().size

    def header(self) -> Header:
        """What the image file says of itself."""
        return read_header(self.root / self.path)

    def image(self) -> Image:
        """uint8 H×W×3."""
        return read_image(self.root / self.path, self.scale)

    def regions(self) -> tuple[Region, ...]:
        """The labelled regions, from the mask files; empty for a normal.

        Raises:
            NoPixelTruth: there is no mask.
            DataError: the mask breaks a rule (E_CORRUPT, E_MODE, E_MASK_VALUES, E_SIZE, E_EMPTY_MASK).
        """
        if self.defect == GOOD:
            return ()
        if not self.has_mask:
            raise NoPixelTruth(
                f"{self.location} has no mask; expected pixel ground truth: add a mask or use image-level metrics",
                [self.location],
            )
        regions = tuple(region for mask in self.masks for region in self.read_regions(mask)[0])
        if not any(region.mask.any() for region in regions):
            raise DataError(
                "E_EMPTY_MASK",
                f"{self.root / self.masks[0]} is blank although {self.path} shows {self.defect}; expected the defect marked: "
                f"draw it, or move the image to the good ones",
                [self.root / self.masks[0]],
            )
        return regions

    def mask_values(self) -> NDArray[np.uint8]:
        """The values in the mask's file, uint8 H×W (of several files the largest), for the mask rules of released code.

        Masks whose values are names are 0 and 255, as that code sees them: it was written for data sets converted so.

        Raises:
            NoPixelTruth: there is no mask.
            DataError: E_CORRUPT, E_MODE, E_SIZE.
        """
        if self.defect == GOOD or not self.masks or not self.has_mask:
            union = np.zeros(self.size(), np.uint8)
            for region in self.regions():
                union[region.mask] = 255
            return union
        layers = []
        for mask in self.masks:
            layers.append(read_mask_values(self.root / mask, palette=self.encoding.kind == "class_id"))
            self._refuse_size(self.root / mask, layers[-1].shape)
        values = cast(NDArray[np.uint8], np.maximum.reduce(layers))
        return (values > 0).astype(np.uint8) * 255 if self.encoding.kind in ("class_id", "coded") else values

    def read_regions(self, mask: str) -> tuple[tuple[Region, ...], float]:
        """(regions of one mask file, share of odd grey pixels); blank masks give regions without a pixel.

        Raises:
            DataError: as for `regions`, E_EMPTY_MASK excepted.
        """
        path = self.root / mask
        values = read_mask_values(path, palette=self.encoding.kind == "class_id")
        self._refuse_size(path, values.shape)
        if self.encoding.kind == "class_id":
            return self._by_class(path, values), 0.0
        if self.encoding.kind == "coded":
            return self._by_code(path, values), 0.0
        on, odd = binary_mask(path, values, self.encoding)
        return (Region(self.defect, on),), odd

    def _refuse_size(self, path: Path, shape: tuple[Any, ...]) -> None:
        header = self.header()
        if shape == header.size:
            return
        turned = shape == (header.height, header.width)
        hint = ": the image's EXIF orientation turns it; turn the mask too" if turned else ": export the mask again"
        raise DataError(
            "E_SIZE",
            f"{path} is {shape[1]}×{shape[0]}, its image {self.path} {header.size[1]}×{header.size[0]}; "
            f"expected equal sizes{hint}",
            [path],
        )

    def _by_class(self, path: Path, values: NDArray[np.uint8]) -> tuple[Region, ...]:
        names = {number: name for name, number in self.encoding.classes.items()}
        found = [int(value) for value in np.unique(values) if value]
        unknown = [value for value in found if value not in names]
        own = self.encoding.classes.get(self.defect)
        if unknown or (found and own is not None and own not in found and self.defect != GOOD):
            told = f"the class {unknown[0]}" if unknown else f"no pixel of its own class {own} ({self.defect})"
            raise DataError(
                "E_MASK_VALUES",
                f"{path} holds {told}; expected the values of {self.encoding.declared} ({dict(self.encoding.classes)}): mend one "
                f"of them",
                [path],
            )
        return tuple(Region(names[value], values == value) for value in found)

    def _by_code(self, path: Path, values: NDArray[np.uint8]) -> tuple[Region, ...]:
        found = [int(value) for value in np.unique(values) if value]
        unknown = [value for value in found if value not in self.encoding.codes]
        if unknown:
            raise DataError(
                "E_MASK_VALUES",
                f"{path} holds the value {unknown[0]}; expected the values of {self.encoding.declared} "
                f"({', '.join(map(str, sorted(self.encoding.codes)))}): copy one of them again",
                [path],
            )
        return tuple(self.encoding.codes[value].region(values == value) for value in found)
