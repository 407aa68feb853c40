"""Intervals of pixel metrics: what a resample of the images costs beside measuring the set once more, in one run on one core.

python -m benchmarks pixel_intervals [--images 100] [--resamples 1000]

Maps of 256², a quarter of them normal, 2 % of defect pixels, as many scores as pixels. A resample must cost a tenth of
measuring the set at most; exit code 1 where it does not. Reported too: how far the slots move each metric of the set itself,
and peak memory.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))

from flawsmith.metrics import score_maps  # noqa: E402
from flawsmith.metrics.pixel_bootstrap import (  # noqa: E402
    KINDS,
    MOST_THRESHOLDS,
    SlotCounts,
    bootstrap_pixels,
    chosen_thresholds,
)
from flawsmith.metrics.testset import check_set  # noqa: E402

SIDE = 256
MOST = 0.1
"""Share of a fresh measurement that a resample may cost."""


def images(number: int) -> tuple[list[NDArray[np.float32]], list[NDArray[np.bool_]]]:
    rng = np.random.default_rng(0)
    maps, masks = [], []
    for i in range(number):
        mask = np.zeros((SIDE, SIDE), bool)
        if i % 4:
            y, x = rng.integers(0, SIDE - 50, 2)
            mask[y : y + 35, x : x + 50] = True
        maps.append((rng.standard_normal((SIDE, SIDE)) + rng.normal(1.5, 0.5) * mask).astype(np.float32))
        masks.append(mask)
    return maps, masks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--resamples", type=int, default=1000)
    asked = parser.parse_args()
    maps, masks = images(asked.images)
    start = time.perf_counter()
    found = score_maps(maps, masks, metrics=["pixel_iou_max"], resamples=0, engine="sort", workers=1)
    fresh = time.perf_counter() - start
    data = check_set(maps, masks)
    values = {key: found[key].value for key in KINDS}
    start = time.perf_counter()
    intervals = bootstrap_pixels(data, values, resamples=asked.resamples)
    each = (time.perf_counter() - start) / asked.resamples
    counts = SlotCounts.of(data, chosen_thresholds(data, MOST_THRESHOLDS), 8)
    whole = counts.measure(np.ones((1, asked.images)), 0.3)
    print(f"{asked.images} maps of {SIDE}²: measured once {fresh:.2f} s, a resample {1000 * each:.1f} ms, 1 : {fresh / each:.0f}")
    for key, interval in intervals.items():
        print(
            f"  {key:14s} {values[key]:.4f} [{interval.low:.4f}, {interval.high:.4f}]  slots {whole[key][0] - values[key]:+.1e}"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    return int(each > MOST * fresh)


if __name__ == "__main__":
    sys.exit(main())
