"""Clean surfaces that are computed: pictures of good parts for examples and measurements, where no camera is at hand.

Ours. A kind of surface is one function in `KINDS`, whose keyword arguments are its parameters. Lengths are shares of the smaller
side, so that a surface looks alike at every size. The same seed, size and parameters give the same picture; another seed gives
another photograph of the same product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from flawsmith.core.arrays import FloatArray, Image, Mask
from flawsmith.core.errors import BadParameter, UnknownName, nearest_of
from flawsmith.core.seeding import Seed

SMALLEST = 16
SENSOR_NOISE = 1.5
"""Standard deviation of what the camera adds to each channel, levels."""

Colour = tuple[float, float, float]
"""RGB, 0…255."""


@dataclass(frozen=True, eq=False)
class Surface:
    """One good picture.

    Args:
        image: uint8 H×W×3 RGB.
        foreground: bool H×W, True on the product; everywhere for a surface without a background.
    """

    image: Image
    foreground: Mask


def surface(kind: str, seed: Seed, size: tuple[int, int], **parameters: Any) -> Surface:
    """Compute one surface.

    Args:
        kind: of `KINDS`.
        seed: of the photograph.
        size: (H, W).
        parameters: keyword arguments of the kind's function.

    Raises:
        UnknownName: no such kind.
        BadParameter: the kind has no such parameter, or the picture is too small.
    """
    if kind not in KINDS:
        raise UnknownName("surface", kind, KINDS)
    known = list(KINDS[kind].__kwdefaults__ or {})
    for name in parameters:
        if name not in known:
            raise BadParameter(f"{kind} has no parameter {name!r}; {nearest_of(name, known)}")
    if min(size) < SMALLEST:
        raise BadParameter(f"size is {size}; expected at least {SMALLEST} pixels each way")
    light, foreground = KINDS[kind](seed, size, **parameters)
    noisy = light + SENSOR_NOISE * seed.numpy("sensor").standard_normal(light.shape)
    return Surface(np.rint(np.clip(noisy, 0, 255)).astype(np.uint8), foreground)


Drawn = tuple[FloatArray, Mask]
"""What a kind returns: light H×W×3 in levels, and where the product is."""


def brushed_metal(
    seed: Seed,
    size: tuple[int, int],
    *,
    colour: Colour = (168, 170, 174),
    angle: float = 4,
    grain: float = 0.006,
    depth: float = 9,
) -> Drawn:
    """Sheet metal brushed along one direction, under a light that falls off.

    Args:
        seed: of the photograph.
        size: (H, W).
        colour: of the metal.
        angle: standard deviation of the brush's direction about the horizontal, degrees.
        grain: width of the coarsest strokes.
        depth: standard deviation of the strokes, levels.
    """
    rng = seed.numpy("brush")
    turn = float(rng.normal(0, angle))
    side = min(size)
    strokes = sum(
        weight * _streaks(rng, size, turn, length * side, width * side)
        for weight, length, width in ((0.6, 0.5, grain), (0.5, 0.3, grain / 3), (0.35, 0.08, grain / 4))
    )
    rough = np.asarray(depth * strokes + 0.35 * depth * _smooth(rng, size, 3))
    light = 1 + 0.07 * _slope(rng, size)
    return np.asarray((np.asarray(colour) + rough[:, :, None]) * light[:, :, None]), np.ones(size, bool)


def weave(
    seed: Seed,
    size: tuple[int, int],
    *,
    warp: Colour = (196, 182, 154),
    weft: Colour = (92, 112, 142),
    thread: float = 0.045,
    unevenness: float = 0.08,
) -> Drawn:
    """Plain weave: every thread goes over one and under the next, and none is quite straight or as thick as its neighbour.

    Args:
        seed: of the photograph.
        size: (H, W).
        warp: colour of the upright threads.
        weft: colour of the level threads.
        thread: width of a thread.
        unevenness: standard deviation of a thread's brightness and of its bends, shares of its brightness and width.
    """
    rng = seed.numpy("weave")
    width = max(3.0, thread * min(size))
    y, x = np.arange(size[0])[:, None], np.arange(size[1])[None, :]
    across = x / width + rng.random() + 2 * unevenness * _smooth(rng, size, 6)
    along = y / width + rng.random() + 2 * unevenness * _smooth(rng, size, 6)
    column, row = np.floor(across).astype(int), np.floor(along).astype(int)
    upright = _thread(rng, size, across, along, column, unevenness, 90)
    level = _thread(rng, size, along, across, row, unevenness, 0)
    over = ((column + row) % 2 == 0)[:, :, None]
    cloth = np.where(over, upright[:, :, None] * np.asarray(warp), level[:, :, None] * np.asarray(weft))
    return np.asarray(cloth * (1 + 0.06 * _slope(rng, size))[:, :, None]), np.ones(size, bool)


def machined_part(
    seed: Seed,
    size: tuple[int, int],
    *,
    colour: Colour = (176, 174, 168),
    ground: Colour = (24, 25, 28),
    radius: float = 0.4,
    bore: float = 0.13,
    holes: int = 6,
    play: float = 0.015,
) -> Drawn:
    """A turned flange with a bore and screw holes on a dark ground, its marks in circles, lit from one side.

    Args:
        seed: of the photograph.
        size: (H, W).
        colour: of the metal.
        ground: colour of what it lies on.
        radius: of the flange.
        bore: radius of the bore.
        holes: how many screw holes.
        play: standard deviation of the part's place, and of its turn in turns.
    """
    rng = seed.numpy("part")
    side, edge = min(size), 1.0
    centre = (np.array(size) - 1) / 2 + side * np.clip(rng.normal(0, play, 2), -2 * play, 2 * play)
    turn = 2 * np.pi * float(rng.normal(0, play))
    y, x = np.arange(size[0])[:, None] - centre[0], np.arange(size[1])[None, :] - centre[1]
    distance, direction = np.hypot(y, x), np.arctan2(y, x)

    def disc(share: float, away: FloatArray = distance) -> FloatArray:
        return np.asarray(np.clip((share * side - away) / edge + 0.5, 0, 1))

    screws = np.zeros(size)
    for number in range(holes):
        at = turn + 2 * np.pi * number / holes
        reach = 0.74 * radius * side
        away = np.hypot(y - reach * np.sin(at), x - reach * np.cos(at))
        screws = np.maximum(screws, disc(0.085 * radius, away))
    metal = disc(radius) * (1 - disc(bore)) * (1 - screws)
    marks = _rings(rng, distance, side)
    sheen = np.cos(2 * (direction - float(rng.normal(0.8, 0.1))))
    face = 1 + 0.16 * sheen * np.abs(sheen) + 0.05 * marks + 0.03 * (y + x) / side
    rims = sum(_rim(distance, share * side, side) for share in (radius, bore, 0.5 * radius))
    relief = 1 + 0.3 * rims * np.cos(direction - 2.4)
    lit = (face * relief)[:, :, None] * np.asarray(colour)
    dark = np.asarray(ground) * (1 + 0.15 * _smooth(rng, size, 4))[:, :, None]
    return np.asarray(metal[:, :, None] * lit + (1 - metal)[:, :, None] * dark), np.asarray(metal >= 0.5)


def _streaks(rng: np.random.Generator, size: tuple[int, int], turn: float, length: float, width: float) -> FloatArray:
    """White noise drawn out `length` pixels along `turn` degrees and `width` across, standard deviation 1."""
    pad = round(0.3 * max(size)) + 8
    field = rng.standard_normal((size[0] + 2 * pad, size[1] + 2 * pad)).astype(np.float32)
    drawn = cv2.GaussianBlur(field, (0, 0), sigmaX=max(0.5, length / 4), sigmaY=max(0.3, width))
    centre = ((drawn.shape[1] - 1) / 2, (drawn.shape[0] - 1) / 2)
    turned = cv2.warpAffine(drawn, cv2.getRotationMatrix2D(centre, turn, 1.0), drawn.shape[::-1])
    inner = turned[pad : pad + size[0], pad : pad + size[1]].astype(np.float64)
    return np.asarray((inner - inner.mean()) / max(float(inner.std()), 1e-9))


def _smooth(rng: np.random.Generator, size: tuple[int, int], cells: int) -> FloatArray:
    """A field that varies slowly: normal values on cells×cells points, between them cubic."""
    grid = rng.standard_normal((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(grid, size[::-1], interpolation=cv2.INTER_CUBIC), np.float64)


def _slope(rng: np.random.Generator, size: tuple[int, int]) -> FloatArray:
    """Light that falls off to one side: from -1 to 1 over the diagonal at most."""
    y, x = np.linspace(-1, 1, size[0])[:, None], np.linspace(-1, 1, size[1])[None, :]
    towards = float(rng.normal(-0.8, 0.15))
    return np.asarray((np.sin(towards) * y + np.cos(towards) * x) / np.sqrt(2))


def _thread(
    rng: np.random.Generator,
    size: tuple[int, int],
    across: FloatArray,
    along: FloatArray,
    number: Any,
    unevenness: float,
    turn: float,
) -> FloatArray:
    """Brightness of one set of threads: round across, high where it lies on top, its fibres along it."""
    gains = 1 + unevenness * rng.standard_normal(4096)
    round_off = np.cos(np.pi * (across % 1 - 0.5)) ** 0.6
    crown = 0.75 + 0.25 * np.cos(np.pi * (along % 1 - 0.5))
    fibres = 1 + 0.05 * _streaks(rng, size, turn, 0.06 * min(size), 0.6)
    return np.asarray((0.25 + 0.75 * round_off) * crown * fibres * gains[number % len(gains)])


def _rings(rng: np.random.Generator, distance: FloatArray, side: int) -> FloatArray:
    """The tool's marks: one height for each distance from the centre, standard deviation 1."""
    radii = np.arange(0, 2 * side) / 2
    heights = cv2.blur(rng.standard_normal((len(radii), 1)), (1, 3))[:, 0]
    return np.asarray(np.interp(distance, radii, (heights - heights.mean()) / heights.std()))


def _rim(distance: FloatArray, at: float, side: int) -> FloatArray:
    """A chamfer just inside or about a circle."""
    return np.asarray(np.exp(-(((distance - at + 0.008 * side) / (0.008 * side)) ** 2)))


KINDS: dict[str, Callable[..., Drawn]] = {
    "brushed_metal": brushed_metal,
    "weave": weave,
    "machined_part": machined_part,
}
