"""Fractals of random iterated function systems, as masks.

Anderson and Farrell, Improving Fractal Pre-training, WACV 2022, sections 3.1 to 3.3 (how a system is drawn: contractions whose
singular values have a given weighted sum), and FractalAD (AIRS-CSR/FractalAD), which cuts its anomalies with them. Original code:
catalys1/fractal-pretraining, fractals/ifs.py.
Departs in three places: many short chains run side by side instead of one long one, from points that are as mixed as those of the
long one; a map's probability is rounded to 1/65,536; an empty stencil is never drawn (the original's is empty once in 512 times,
and then nothing is rendered).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import FloatArray, Mask
from flawsmith.core.errors import BadParameter

POINTS = 100_000
STEPS = 40
"""Points that each chain contributes: few long chains cost many calls, many short ones many starting points."""

DOUBLINGS = 10
"""Chains start as if they had run for 2 to the power of this many steps."""

FORGOTTEN = 1e-4
"""Share of its distance to another point below which a point has forgotten where it came from."""

SMALLEST_SIDE = 8
FEWEST_POINTS = 1_000
MOST_MAPS = 16
BLOCK = 8
"""Steps whose coefficients are laid out together, so that they stay in the cache."""

CHUNK = 1 << 15
"""Points that are rendered together."""

WIDEST_FLOAT32 = 4096
"""The largest square whose pixels have numbers that float32 tells apart."""

Choices = NDArray[np.uint8]
"""(1 + steps, chains): row 0 for where the chains start, then the map that each chain takes at each step."""

Coordinates = NDArray[np.float32]
"""(steps, chains)."""


@dataclass(frozen=True, eq=False)
class Fractal:
    """A rendered attractor and how it was drawn.

    Args:
        mask: bool side×side.
        drawn: the maps' coefficients and the stencil, as JSON values.
    """

    mask: Mask
    drawn: Mapping[str, Any]


def fractal_mask(side: int, rng: np.random.Generator, *, points: int = POINTS, maps: int = 2) -> Fractal:
    """The attractor of a random system, rendered to fill a square.

    Args:
        side: of the square, pixels.
        rng: the only source of draws.
        points: of the chaos game; rounded up to a multiple of `STEPS`.
        maps: affine maps of the system.

    Raises:
        BadParameter: a square under 8 pixels, under 1,000 points, or not 2…16 maps.
    """
    if side < SMALLEST_SIDE:
        raise BadParameter(f"the fractal's side is {side}; expected at least {SMALLEST_SIDE} pixels")
    if points < FEWEST_POINTS:
        raise BadParameter(f"the fractal's points are {points}; expected at least {FEWEST_POINTS}")
    if not 2 <= maps <= MOST_MAPS:
        raise BadParameter(f"the fractal's maps are {maps}; expected 2…{MOST_MAPS}")
    system = sample_system(maps, rng)
    choices, shifts = draw_choices(probabilities(system), points, rng)
    xs, ys = chaos_game(system, choices, shifts)
    stencil = draw_stencil(rng)
    told = {"system": system.reshape(maps, 6).tolist(), "stencil": stencil.ravel().astype(int).tolist()}
    return Fractal(stamped(rendered(xs, ys, side), stencil), told)


# --- the system


def sample_system(maps: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Random affine contractions, (maps, 2, 3): rotation · signs · singular values · rotation · signs, and a translation."""
    total = (5 + maps + rng.random()) / 2
    singular = singular_values(maps, total, rng)
    angle = rng.uniform(-np.pi, np.pi, (2, maps))
    signs = 1.0 - 2.0 * rng.integers(0, 2, (2, maps, 2))
    left, right = _rotations(angle) * signs[:, :, None, :]
    linear = (left * singular[:, None, :]) @ right
    return np.concatenate([linear, rng.uniform(-1, 1, (maps, 2, 1))], axis=2)


def _rotations(angle: FloatArray) -> FloatArray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos, -sin, sin, cos], axis=-1).reshape(*angle.shape, 2, 2)


def singular_values(maps: int, total: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(maps, 2) singular values 1 ≥ s1 ≥ s2 ≥ 0 whose sum Σ (s1 + 2 s2) is `total`, 0…3·maps; drawn one after the other, each
    within what leaves the rest possible."""
    values = np.empty((maps, 2))
    draws = iter(rng.random(2 * maps - 1).tolist())
    rest = total  # what is still to be given
    least = total - 3 * maps + 3  # what this map must take at least
    for k in range(maps - 1):
        first = _between(max(0.0, least / 3), min(1.0, rest), next(draws))
        least, rest = least - first, rest - first
        second = _between(max(0.0, least / 2), min(first, rest / 2), next(draws))
        least, rest = least - 2 * second + 3, rest - 2 * second
        values[k] = first, second
    second = _between(max(0.0, (rest - 1) / 2), rest / 3, next(draws))
    values[-1] = rest - 2 * second, second
    return values


def _between(low: float, high: float, draw: float) -> float:
    return low + (high - low) * draw


def probabilities(system: FloatArray) -> NDArray[np.float64]:
    """How often each map is taken: in proportion to the area it keeps, |det|."""
    areas = np.abs(np.linalg.det(system[:, :, :2]))
    total = float(areas.sum())
    return areas / total if total > 0 else np.full(len(system), 1 / len(system))


# --- the chaos game


def draw_choices(shares: FloatArray, points: int, rng: np.random.Generator) -> tuple[Choices, list[int]]:
    """The maps for as many chains of `STEPS` steps as `points` need, in proportion to `shares` rounded to 1/65,536; and the
    shifts by which `starting_points` combines those of row 0."""
    rows, chains = 1 + STEPS, -(-points // STEPS)
    words = np.asarray(rng.bit_generator.random_raw(-(-rows * chains // 4)), "<u8").view("<u2")[: rows * chains]
    chosen = np.zeros(rows * chains, np.uint8)
    for end in np.rint(65_536 * np.cumsum(shares)[:-1]).astype(int).tolist():
        chosen += words >= end
    return chosen.reshape(rows, chains), rng.integers(1, chains, DOUBLINGS).tolist()


def chaos_game(system: FloatArray, choices: Choices, shifts: Sequence[int]) -> tuple[Coordinates, Coordinates]:
    """The points that chains reach by taking the chosen maps: x and y, each (steps, chains).

    Each is ((a·x + b·y) + e, (c·x + d·y) + f) of the step before, rounded to float32 after every operation, so that it does not
    depend on how many chains there are, nor on the processor.
    """
    maps = system.astype(np.float32)
    steps, chains = choices.shape[0] - 1, choices.shape[1]
    xs, ys = np.empty((steps + 1, chains), np.float32), np.empty((steps + 1, chains), np.float32)
    xs[0], ys[0] = starting_points(maps, choices[0], shifts)
    x_rows, y_rows = list(xs), list(ys)
    term = np.empty(chains, np.float32)
    multiply, add = np.multiply, np.add
    for start, (a, b, e, c, d, f) in _coefficients(maps, choices[1:]):
        for k in range(min(BLOCK, steps - start)):
            x, y, new_x, new_y = x_rows[start + k], y_rows[start + k], x_rows[start + k + 1], y_rows[start + k + 1]
            multiply(a[k], x, new_x)
            multiply(b[k], y, term)
            add(new_x, term, new_x)
            add(new_x, e[k], new_x)
            multiply(c[k], x, new_y)
            multiply(d[k], y, term)
            add(new_y, term, new_y)
            add(new_y, f[k], new_y)
    return xs[1:], ys[1:]


def starting_points(maps: NDArray[np.float32], letters: NDArray[np.uint8], shifts: Sequence[int]) -> NDArray[np.float32]:
    """(2, chains): where each chain starts: a long random word of maps, applied to the fixed point of the first map.

    A map that contracts little forgets slowly, and chains that all start at one point would stay near it. So chain i gets the
    word of its letter, and in every round appends the word of chain i + shift, which doubles its length; until words have
    forgotten what they are applied to, or the shifts are used up.
    """
    words = np.ascontiguousarray(np.moveaxis(maps[letters], 0, 2))
    for shift in shifts:
        if np.abs(words[:, :2]).max() < FORGOTTEN:
            break
        appended = np.concatenate([words[..., shift:], words[..., :shift]], axis=2)
        joined = words[:, :1] * appended[:1]
        joined += words[:, 1:2] * appended[1:]
        joined[:, 2] += words[:, 2]
        words = joined
    x, y = fixed_point(maps[0])
    return np.asarray(words[:, 0] * np.float32(x) + words[:, 1] * np.float32(y) + words[:, 2], np.float32)


def fixed_point(linear_map: FloatArray) -> tuple[float, float]:
    """The point that an affine map, 2×3, leaves where it is; it lies on the attractor."""
    (a, b, e), (c, d, f) = linear_map.tolist()
    determinant = (1 - a) * (1 - d) - b * c
    if abs(determinant) < 1e-12:
        return e, f
    return ((1 - d) * e + b * f) / determinant, (c * e + (1 - a) * f) / determinant


def _coefficients(system: NDArray[np.float32], choices: Choices) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """For every block of steps its start and the six coefficients of each step and chain, (6, BLOCK, chains), in place.

    Coefficients are picked by their bits: those of the first map, with the bits in which map k differs from map k-1 turned over
    wherever the choice is at least k. That is exact, and a few passes of whole-array integer operations.
    """
    bits = system.reshape(len(system), 6).view(np.int32)
    turned = bits[1:] ^ bits[:-1]
    steps, chains = choices.shape
    taken, term = np.empty((BLOCK, chains), np.int32), np.empty((BLOCK, chains), np.int32)
    laid = np.empty((6, BLOCK, chains), np.float32)
    for start in range(0, steps, BLOCK):
        block = choices[start : start + BLOCK]
        rows = np.s_[: len(block)]
        for k in range(1, len(system)):
            at_least = (block >= k).view(np.int8)
            np.negative(at_least, out=taken[rows], dtype=np.int32, casting="unsafe")  # 0, or all bits
            for j, coefficient in enumerate(laid.view(np.int32)):
                picked = coefficient if k == 1 else term
                np.bitwise_and(taken[rows], turned[k - 1, j], out=picked[rows])
                np.bitwise_xor(picked[rows], bits[0, j] if k == 1 else coefficient[rows], out=coefficient[rows])
        yield start, laid


# --- the picture


def rendered(xs: Coordinates, ys: Coordinates, side: int) -> Mask:
    """The pixels of a square that the points fall into, x downwards, their bounding box stretched over pixels 0…side-1."""
    down, across = (_flat(values, side) for values in (xs, ys))
    (top, down_scale), (left, across_scale) = _stretch(down, side), _stretch(across, side)
    canvas = np.zeros(side * side, bool)
    for start in range(0, len(down), CHUNK):
        index = down[start : start + CHUNK] - top
        index *= down_scale
        np.floor(index, out=index)
        index *= side
        column = across[start : start + CHUNK] - left
        column *= across_scale
        np.floor(column, out=column)
        index += column
        canvas[index.astype(np.intp)] = True
    return canvas.reshape(side, side)


def _flat(values: Coordinates, side: int) -> FloatArray:
    """All in one row, in a type that tells the pixels of the square apart."""
    return values.reshape(-1).astype(np.float32 if side <= WIDEST_FLOAT32 else np.float64, copy=False)


def _stretch(values: FloatArray, side: int) -> tuple[Any, Any]:
    """The least value, and what the distance to it is multiplied by so that the largest lands on side-1."""
    least, largest = values.min(), values.max()
    span = largest - least
    if span == 0:
        return least, span
    scale = (side - 1) / span
    return least, scale if span * scale >= side - 1 else np.nextafter(scale, 2 * scale)


def draw_stencil(rng: np.random.Generator) -> Mask:
    """A 3×3 stencil of fair coins, drawn again where it is empty."""
    drawn = int(rng.integers(1, 512))  # uniform over all but the empty one, which is what drawing again amounts to
    return np.array([drawn >> bit & 1 for bit in range(9)], bool).reshape(3, 3)


def stamped(pixels: Mask, stencil: Mask) -> Mask:
    """The stencil put down with its centre on every pixel; what would lie outside is lost."""
    stamps = cv2.dilate(pixels.view(np.uint8), stencil[::-1, ::-1].astype(np.uint8), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(stamps, np.uint8).view(np.bool_)
