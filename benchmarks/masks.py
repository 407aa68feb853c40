"""Speed of masks and foregrounds on one thread: every family, every foreground rule, and foregrounds that fit nothing.

    python benchmarks/masks.py [--samples 200] [--repeats 5]

Milliseconds are medians, the least of `--repeats`. Held to: 1 ms at 256 pixels and 3 ms at 512 for a mask of each family, 0.35 ms
for a Perlin mask of DRAEM and 0.3 ms for `auto` at 256, and 50 ms until any family has given up on a hostile foreground.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from typing import Any  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from flawsmith.appearance.surfaces import surface  # noqa: E402
from flawsmith.core.arrays import Mask  # noqa: E402
from flawsmith.core.memory import keep_freed_memory  # noqa: E402
from flawsmith.core.seeding import Seed  # noqa: E402
from flawsmith.masks.families import FAMILIES, MaskFamily  # noqa: E402
from flawsmith.masks.foreground import foreground_mask, parse_rule  # noqa: E402
from flawsmith.masks.perlin import perlin_mask  # noqa: E402
from flawsmith.masks.shapes import shape_mask  # noqa: E402

SIZES = ((256, 1.0), (512, 3.0))
RULES = ("auto", "otsu", "triangle", "threshold:100", "corner", "nsa:200,60", "grabcut")
MOST_FOR_PERLIN, MOST_FOR_AUTO, MOST_TO_GIVE_UP = 0.35, 0.3, 50.0
GENERATORS = [family for family in FAMILIES if family.shape != "foreground"]


def middle(work: Callable[[], Any], samples: int, repeats: int) -> float:
    """Median milliseconds, the least of some repeats."""
    return min(statistics.median(once(work) for _ in range(samples)) for _ in range(repeats))


def once(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def told(what: str, ms: float, most: float | None = None) -> None:
    verdict = "–" if most is None else f"{most:g} ms | {'PASS' if ms <= most else 'miss'}"
    print(f"| {what} | {ms:.3g} | {verdict if most is not None else '– | –'} |", flush=True)


def hostile(side: int) -> dict[str, Mask]:
    """Foregrounds that leave little or strange room."""
    pixel, speck, board = (np.zeros((side, side), bool) for _ in range(3))
    pixel[side // 6, side // 5 * 4] = True
    speck[side // 3 : side // 3 + 4, side // 3 : side // 3 + 5] = True
    board[::2, ::2] = board[1::2, 1::2] = True
    return {"one pixel": pixel, "twenty pixels": speck, "checkerboard": board}


def slowest_to_give_up(foreground: Mask) -> tuple[float, MaskFamily]:
    shape = (foreground.shape[0], foreground.shape[1])
    taken = [
        (max(once(lambda f=family, s=seed: draw(f, shape, s, foreground)) for seed in range(5)), family) for family in GENERATORS
    ]
    return max(taken, key=lambda pair: pair[0])


def draw(family: MaskFamily, shape: tuple[int, int], seed: int, foreground: Mask | None = None) -> Mask | None:
    return shape_mask(family, shape, np.random.default_rng(seed), foreground=foreground)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    keep_freed_memory()
    print("| what | ms | held to | verdict |\n|---|---|---|---|")
    rng = np.random.default_rng(0)
    for side, most in SIZES:
        for family in GENERATORS:
            work = lambda f=family, s=side: shape_mask(f, (s, s), rng)  # noqa: E731
            told(f"{family.name}, {side} pixels", middle(work, options.samples, options.repeats), most)
        perlin = lambda s=side: perlin_mask((s, s), rng)  # noqa: E731
        told(
            f"DRAEM's Perlin mask, {side} pixels",
            middle(perlin, options.samples, options.repeats),
            MOST_FOR_PERLIN if side == 256 else None,
        )
        picture = surface("machined_part", Seed(0), (side, side)).image
        for word in RULES:
            samples = max(5, options.samples // (50 if word == "grabcut" else 1))
            work = lambda w=word, p=picture: foreground_mask(parse_rule(w), p, "bench/train/good/0")  # noqa: E731
            limit = MOST_FOR_AUTO if word == "auto" and side == 256 else None
            told(f"foreground {word}, {side} pixels", middle(work, samples, options.repeats), limit)
        for kind, foreground in hostile(side).items():
            ms, family = slowest_to_give_up(foreground)
            told(f"{kind}, {side} pixels: slowest is {family.name}", ms, MOST_TO_GIVE_UP)


if __name__ == "__main__":
    main(sys.argv[1:])
