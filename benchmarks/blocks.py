"""Speed of what synthesizers are built of, on one thread, as a ratio to the obvious code in the same run.

    python benchmarks/blocks.py [--samples 200] [--repeats 3]

Milliseconds are medians, the least of `--repeats`; ours and the other take turns. Held to: Perlin noise 15 times quicker than
four corner products per pixel, a clone of 103 pixels twice as quick as `cv2.seamlessClone`, a mask of any family within 1 ms
at 256 pixels and 3 ms at 512.
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
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import skimage.data  # noqa: E402
from skimage.morphology import closing  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.references import fractal, perlin  # noqa: E402
from flawsmith.appearance.poisson import blend  # noqa: E402
from flawsmith.masks.families import parse_families  # noqa: E402
from flawsmith.masks.fractal import fractal_mask  # noqa: E402
from flawsmith.masks.morphology import close  # noqa: E402
from flawsmith.masks.perlin import perlin_mask, perlin_noise  # noqa: E402
from flawsmith.masks.shapes import draw_mask  # noqa: E402

SIDE, PATCH = 256, 103


@dataclass(frozen=True)
class Block:
    """One piece of work.

    Args:
        name: what is done.
        ours: takes a generator.
        plain: the obvious code for it; None: there is none.
        least_ratio: how many times quicker it must be.
        most_ms: how long it may take.
    """

    name: str
    ours: Callable[[np.random.Generator], Any]
    plain: Callable[[np.random.Generator], Any] | None = None
    least_ratio: float | None = None
    most_ms: float | None = None


def blocks() -> list[Block]:
    size = (SIDE, SIDE)
    photograph = np.repeat(skimage.data.gravel()[:SIDE, :SIDE, None], 3, axis=2)
    patch = np.ascontiguousarray(np.repeat(skimage.data.brick()[:PATCH, :PATCH, None], 3, axis=2))
    full, white = np.ones((PATCH, PATCH), bool), np.full((PATCH, PATCH), 255, np.uint8)
    some = np.random.default_rng(0).random(size) < 0.02

    def noise(cells: int) -> Block:
        ours = lambda rng: perlin_noise(size, (cells, cells), rng)  # noqa: E731
        return Block(f"Perlin noise, {cells} cells", ours, lambda rng: perlin.perlin_noise(size, (cells, cells), rng), 15)

    return [
        noise(8),
        noise(32),
        Block("Perlin mask", lambda rng: perlin_mask(size, rng), lambda rng: perlin.perlin_mask(size, rng)),
        Block(
            f"normal clone, {PATCH} pixels",
            lambda rng: blend(photograph, patch, (70, 70, PATCH, PATCH), full, erode=3),
            lambda rng: cv2.seamlessClone(patch, photograph, white.copy(), (121, 121), cv2.NORMAL_CLONE),
            2,
        ),
        Block("fractal, 100,000 points, 96 pixels", lambda rng: fractal_mask(96, rng), lambda rng: fractal.fractal(96, rng)),
        Block("closing by 6×6", lambda rng: close(some, 6), lambda rng: closing(some, np.ones((6, 6), bool))),
        *(
            Block(f"a mask of any family, {side} pixels", lambda rng, s=side: draw_mask(ANY, (s, s), rng), most_ms=most)
            for side, most in ((256, 1), (512, 3))
        ),
    ]


ANY = parse_families("any")


def middle(work: Callable[[np.random.Generator], Any], samples: int, seed: int) -> float:
    """Median milliseconds."""
    rng, taken = np.random.default_rng(seed), []
    for _ in range(samples):
        began = time.perf_counter()
        work(rng)
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def measured(block: Block, samples: int, repeats: int) -> tuple[float, float | None]:
    ours, plain = [], []
    for repeat in range(repeats):
        ours.append(middle(block.ours, samples, repeat))
        if block.plain is not None:
            plain.append(middle(block.plain, max(5, samples // 4), repeat))
    return min(ours), min(plain) if plain else None


def verdict(block: Block, ms: float, ratio: float | None) -> str:
    if block.most_ms is not None:
        return "PASS" if ms <= block.most_ms else "miss"
    if block.least_ratio is not None and ratio is not None:
        return "PASS" if ratio >= block.least_ratio else "miss"
    return "–"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    print("| block | ms | plain ms | times quicker | held to | verdict |\n|---|---|---|---|---|---|")
    for block in blocks():
        ms, plain = measured(block, options.samples, options.repeats)
        ratio = None if plain is None else plain / ms
        held = f"{block.most_ms} ms" if block.most_ms else f"{block.least_ratio} times" if block.least_ratio else "–"
        shown = ("–", "–") if plain is None or ratio is None else (f"{plain:.3g}", f"{ratio:.3g}")
        print(f"| {block.name} | {ms:.3g} | {shown[0]} | {shown[1]} | {held} | {verdict(block, ms, ratio)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
