"""The 29 mask generators of UniADC and the foreground itself: their numbers, their names, and how to pick some.

UniADC (arXiv 2511.06644), appendix A, figure S2 and table S1. Original code: cnulab/UniADC (Apache-2.0), utils/mask.py. All
numbers are for a canvas of 512×512. The original selects by substring of the name, so that `Ellipse_Large` also takes the hollow
ones; here shape, size and eccentricity are fields, and the substrings remain as another way to say it.

Where nothing is selected, every generator is, except the foreground.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.core.priors import Prior

Shape = Literal["rectangle", "line", "polygon", "ellipse", "hollow_ellipse", "brush", "perlin", "foreground"]
FamilySize = Literal["tiny", "small", "medium", "large", "long"]
Eccentricity = Literal["near_circular", "eccentric"]

SHAPES: tuple[str, ...] = get_args(Shape)
SIZES: tuple[str, ...] = get_args(FamilySize)
ECCENTRICITIES: tuple[str, ...] = get_args(Eccentricity)
ANY = "any"
OUTLINED = ("rectangle", "line", "polygon", "ellipse", "hollow_ellipse")


@dataclass(frozen=True)
class MaskFamily:
    """One generator.

    Args:
        name: what the original calls it.
        shape: what is drawn.
        size: by name; None: the foreground's own.
        least: share of the foreground that a mask must cover.
        area: least and largest nominal share of the image per shape.
        aspect: least and largest ratio of the short side to the long one.
        most: largest number of shapes; of a brush, of strokes.
        blur: pixels of the smoothing kernel; 0: none.
        eccentricity: of ellipses.
        pen: least and largest width of an outline or a brush, in pixels.
        bends: least and largest number of segments of a stroke, or of corners of a polygon.
        exponents: least and largest power of two of Perlin cells per axis.
    """

    name: str
    shape: Shape
    size: FamilySize | None
    least: float
    area: tuple[float, float] = (0.0, 0.0)
    aspect: tuple[float, float] = (1.0, 1.0)
    most: int = 1
    blur: int = 0
    eccentricity: Eccentricity | None = None
    pen: tuple[int, int] = (0, 0)
    bends: tuple[int, int] = (0, 0)
    exponents: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.shape in OUTLINED and self.least > self.area[1]:
            raise BadParameter(
                f"least of {self.name} is {self.least}; expected at most its largest area {self.area[1]}, or nothing would do"
            )


def _turned(name: str, least: float, area: tuple[float, float], aspect: tuple[float, float], most: int, blur: int) -> MaskFamily:
    """A rectangle or a line."""
    return MaskFamily(name, _shape(name), _size(name), least, area, aspect, most, blur)


def _polygon(name: str, least: float, area: tuple[float, float], most: int, blur: int) -> MaskFamily:
    return MaskFamily(name, "polygon", _size(name), least, area, (0.3, 1), most, blur, bends=(10, 21))


def _ellipse(name: str, least: float, area: tuple[float, float], most: int, pen: tuple[int, int] = (0, 0)) -> MaskFamily:
    round_ = name.startswith("NearCircular")
    shape: Shape = "hollow_ellipse" if "Hollow" in name else "ellipse"
    aspect = (0.5, 1.0) if round_ else (0.1, 0.25)
    return MaskFamily(
        name, shape, _size(name), least, area, aspect, most, eccentricity="near_circular" if round_ else "eccentric", pen=pen
    )


def _brush(name: str, least: float, pen: tuple[int, int], bends: tuple[int, int], most: int) -> MaskFamily:
    return MaskFamily(name, "brush", _size(name), least, most=most, pen=pen, bends=bends)


def _perlin(name: str, least: float, exponents: tuple[int, int]) -> MaskFamily:
    return MaskFamily(name, "perlin", _size(name), least, exponents=exponents)


def _shape(name: str) -> Shape:
    return "line" if name.startswith("Line") else "rectangle"


def _size(name: str) -> FamilySize:
    sizes: dict[str, FamilySize] = {"Tiny": "tiny", "Small": "small", "Medium": "medium", "Large": "large", "Long": "long"}
    return sizes[name.rpartition("_")[2]]


FAMILIES = (
    _turned("Rectangle_Large", 0.03, (0.05, 0.10), (0.3, 1), 1, 21),
    _turned("Rectangle_Medium", 0.005, (0.01, 0.04), (0.3, 1), 1, 15),
    _turned("Rectangle_Small", 0.001, (0.005, 0.01), (0.3, 1), 2, 7),
    _turned("Line_Large", 0.005, (0.01, 0.02), (0.05, 0.1), 1, 7),
    _turned("Line_Medium", 0.002, (0.005, 0.01), (0.02, 0.05), 1, 5),
    _turned("Line_Small", 0.001, (0.002, 0.005), (0.01, 0.02), 2, 3),
    _turned("Line_Long", 0.001, (0.08, 0.15), (0.0005, 0.002), 2, 3),
    _polygon("Polygon_Large", 0.008, (0.01, 0.03), 1, 21),
    _polygon("Polygon_Medium", 0.003, (0.005, 0.01), 1, 15),
    _polygon("Polygon_Small", 0.001, (0.002, 0.005), 2, 7),
    _ellipse("NearCircularEllipse_Large", 0.01, (0.015, 0.03), 1),
    _ellipse("NearCircularEllipse_Medium", 0.003, (0.005, 0.015), 1),
    _ellipse("NearCircularEllipse_Small", 0.0001, (0.0002, 0.001), 2),
    _ellipse("EccentricEllipse_Large", 0.005, (0.01, 0.02), 1),
    _ellipse("EccentricEllipse_Medium", 0.003, (0.005, 0.008), 1),
    _ellipse("EccentricEllipse_Small", 0.001, (0.002, 0.005), 2),
    _ellipse("NearCircularHollowEllipse_Large", 0.0075, (0.015, 0.03), 1, (12, 24)),
    _ellipse("NearCircularHollowEllipse_Medium", 0.0025, (0.005, 0.015), 1, (8, 16)),
    _ellipse("NearCircularHollowEllipse_Small", 0.0005, (0.001, 0.005), 2, (4, 10)),
    _ellipse("EccentricHollowEllipse_Large", 0.005, (0.01, 0.02), 1, (12, 20)),
    _ellipse("EccentricHollowEllipse_Medium", 0.0025, (0.005, 0.008), 1, (8, 12)),
    _ellipse("EccentricHollowEllipse_Small", 0.0005, (0.002, 0.005), 2, (4, 8)),
    _brush("Brush_Large", 0.01, (18, 24), (2, 9), 1),
    _brush("Brush_Medium", 0.005, (12, 18), (2, 9), 3),
    _brush("Brush_Small", 0.001, (6, 12), (2, 9), 3),
    _brush("Brush_Tiny", 0.0001, (4, 8), (1, 2), 1),
    _perlin("Perlin_Large", 0.02, (0, 1)),
    _perlin("Perlin_Medium", 0.01, (2, 3)),
    _perlin("Perlin_Small", 0.005, (4, 5)),
    MaskFamily("FGI", "foreground", None, 0.0),
)

PRIOR_SHAPES: dict[str, tuple[Shape, Eccentricity | None]] = {
    **{shape: (shape, None) for shape in get_args(Shape)},
    "ellipse": ("ellipse", "near_circular"),
    "hollow_ellipse": ("hollow_ellipse", "eccentric"),
    "random_brush": ("brush", None),
    "perlin_noise": ("perlin", None),
}
PRIOR_SIZES: tuple[FamilySize, ...] = ("small", "medium", "large")


def select_families(
    shapes: Sequence[str] = (), sizes: Sequence[str] = (), eccentricity: str | None = None
) -> tuple[MaskFamily, ...]:
    """The families of some shapes, sizes and eccentricity; a field left empty restricts nothing.

    The foreground itself is chosen only by its shape. An eccentricity leaves only ellipses.

    Raises:
        UnknownName: no such shape, size or eccentricity.
        BadParameter: no family is all of that.
    """
    _know("mask shape", shapes, SHAPES)
    _know("mask size", sizes, SIZES)
    _know("eccentricity", () if eccentricity is None else (eccentricity,), ECCENTRICITIES)
    wanted = tuple(shapes) or tuple(shape for shape in SHAPES if shape != "foreground")
    of_shape = tuple(f for f in FAMILIES if f.shape in wanted and eccentricity in (None, f.eccentricity))
    found = tuple(f for f in of_shape if not sizes or f.size in sizes)
    if not found:
        asked = " ".join([*sizes, *([eccentricity] if eccentricity else []), *shapes])
        offered = ", ".join(f.name for f in FAMILIES if f.shape in wanted)
        raise BadParameter(f"no mask family is {asked}; expected one or more of {offered}: drop a condition")
    return found


def find_families(text: str) -> tuple[MaskFamily, ...]:
    """The families whose name contains `text` (the original's selectors), or matches it as a wildcard.

    Raises:
        UnknownName: none does.
    """
    found = tuple(f for f in FAMILIES if text and (text in f.name or fnmatch.fnmatchcase(f.name, text)))
    if not found:
        raise UnknownName("mask family", text, [family.name for family in FAMILIES])
    return found


def families_of_prior(prior: Prior) -> tuple[MaskFamily, ...]:
    """The families that the paper's words for a defect mean (table S1), in any case, with spaces or underscores.

    "Ellipse" is near-circular and "Hollow Ellipse" eccentric, as in the original's configurations. A shape without a size has
    the three sizes, a size without a shape every family of that size, and neither means every family but the foreground.

    Raises:
        UnknownName: no such shape.
    """
    if not prior.shapes:
        return select_families((), prior.sizes)
    words = [word.strip().lower().replace(" ", "_").replace("-", "_") for word in prior.shapes]
    _know("mask shape", words, tuple(PRIOR_SHAPES))
    chosen: list[MaskFamily] = []
    for shape, eccentricity in (PRIOR_SHAPES[word] for word in words):
        sizes = () if shape == "foreground" else prior.sizes or PRIOR_SIZES
        chosen += select_families((shape,), sizes, eccentricity)
    return _in_order(chosen)


def parse_families(text: str) -> tuple[MaskFamily, ...]:
    """Read a selection of families from words.

    Parts between commas are united. A part is `any`, or a shape, a size, an eccentricity or several of these with colons between
    them (`line`, `line:small`, `ellipse:near_circular:small:medium`, `large`), or a piece of a generator's name (`Brush`,
    `NearCircularEllipse_Small`, `Line_L*`).

    Raises:
        UnknownName: a word means none of these.
        BadParameter: no family is all of a part.
    """
    chosen: list[MaskFamily] = []
    for part in (part.strip() for part in text.split(",")):
        words = [word.strip() for word in part.split(":")]
        chosen += _typed(words) if _typed_words(words) else find_families(part)
    return _in_order(chosen)


def _typed(words: Sequence[str]) -> tuple[MaskFamily, ...]:
    eccentricities = [word for word in words if word in ECCENTRICITIES]
    return select_families(
        [word for word in words if word in SHAPES],
        [word for word in words if word in SIZES],
        eccentricities[0] if len(set(eccentricities)) == 1 else None,
    )


def _typed_words(words: Sequence[str]) -> bool:
    known = (ANY, *SHAPES, *SIZES, *ECCENTRICITIES)
    if len(words) > 1:
        _know("word for masks", words, known)
    return set(words) <= set(known)


def _know(kind: str, asked: Iterable[str], known: Sequence[str]) -> None:
    for word in asked:
        if word not in known:
            raise UnknownName(kind, word, known)


def _in_order(families: Iterable[MaskFamily]) -> tuple[MaskFamily, ...]:
    """Without repetition, in the order of the table, so that a seed means the same however the words were put."""
    names = {family.name for family in families}
    return tuple(family for family in FAMILIES if family.name in names)
