"""Pixel metrics of many maps: time and memory of the three engines on synthetic maps of 256² with 2 % of defect pixels.

    python benchmarks/pixel_metrics.py [--parts a,c,d] [--workers 2] [--scratch DIR]

a  10⁸ pixels (1,526 maps) in memory: AUROC, AP, F1-max and AUPRO together in under 30 s and 3 GiB, maps included.
b  10⁹ pixels (15,259 maps) in memory-mapped files through `anchored` in under 2 GiB of anonymous memory. Writes 5 GB to the
   scratch folder and takes them away again; only when asked for.
c  100 maps: at least five times as quick as scikit-learn's three calls in the same run, which give no AUPRO.
d  10⁸ pixels that pass only once through `histogram`, in under 1 GB.

Each part runs in a process of its own. Memory is the largest sample of /proc/self/status, taken every 20 ms (VmRSS, and RssAnon
for what is not a mapped file). Exit code 1 where a limit is missed.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))

from flawsmith.metrics import Scores, score_maps, score_stream  # noqa: E402

SIDE = 256
SHARE = 0.02
PIXEL = ("pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_aupro")
MANY, VERY_MANY, FEW = 1526, 15_259, 100
GIB = 2**30


class Memory:
    """Largest VmRSS and RssAnon while it is open, in bytes."""

    def __enter__(self) -> Memory:
        self.all = self.anonymous = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            self.all = max(self.all, int(told["VmRSS"].split()[0]) << 10)
            self.anonymous = max(self.anonymous, int(told["RssAnon"].split()[0]) << 10)
            if self._over.wait(0.02):
                return


def image(i: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Map and mask i: every other image has three blobs, whose pixels score 1.5 standard deviations higher."""
    rng = np.random.default_rng([7, i])
    mask = np.zeros((SIDE, SIDE), bool)
    if i % 2:
        side = SIDE * (2 * SHARE / 3) ** 0.5
        for third in range(3):
            height = int(side * rng.uniform(0.8, 1.25))
            width = round(side * side / height)
            y, x = rng.integers(0, SIDE - height), third * SIDE // 3 + rng.integers(0, SIDE // 3 - width)
            mask[y : y + height, x : x + width] = True
    return rng.standard_normal(mask.shape, np.float32) + np.float32(1.5) * mask, mask


def in_memory(count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    maps, masks = np.empty((count, SIDE, SIDE), np.float32), np.empty((count, SIDE, SIDE), bool)
    for i in range(count):
        maps[i], masks[i] = image(i)
    return maps, masks


def tell(found: Scores) -> None:
    for key in PIXEL:
        value, bounds = found[key], found[key].bounds
        certified = f", between {bounds[0]:.6f} and {bounds[1]:.6f}" if bounds else ""
        print(f"   {key:12} {value.value:.6f}{certified}")
    record = found["pixel_ap"].record
    share = record.positive_pixels / record.pixels
    print(f"   {record.pixels:,} pixels, {share:.2%} of them on {record.regions:,} regions; {record.engine}")


def held(what: str, measured: float, most: float, unit: str) -> bool:
    print(f"   {what}: {measured:.2f} {unit}, held to {most:g}: {'kept' if measured <= most else 'MISSED'}")
    return measured <= most


def part_a(workers: int, scratch: Path) -> bool:
    maps, masks = in_memory(MANY)
    kept = True
    for engine in ("auto", "sort", "anchored"):
        with Memory() as memory:
            began = time.perf_counter()
            found = score_maps(maps, masks, engine=engine, workers=workers, resamples=0)
            seconds = time.perf_counter() - began
        print(f"a  {MANY} maps in memory, engine {engine}, {workers} workers")
        kept &= held("time", seconds, 30, "s")
        kept &= held("memory, maps included", memory.all / GIB, 3, "GiB")
    tell(found)
    return kept


def part_b(workers: int, scratch: Path) -> bool:
    if shutil.disk_usage(scratch).free < 8 * 10**9:
        print(f"b  {scratch} has less than 8 GB free; give another --scratch", file=sys.stderr)
        return False
    shape = (VERY_MANY, SIDE, SIDE)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        places = Path(folder) / "maps.npy", Path(folder) / "masks.npy"
        stores = [np.lib.format.open_memmap(p, "w+", kind, shape) for p, kind in zip(places, (np.float32, np.bool_), strict=True)]
        for i in range(VERY_MANY):
            stores[0][i], stores[1][i] = image(i)
        for store in stores:
            store.flush()
        del stores, store
        maps, masks = (np.load(place, mmap_mode="r") for place in places)
        with Memory() as memory:
            began = time.perf_counter()
            found = score_maps(maps, masks, engine="anchored", memory=int(1.8 * GIB), workers=workers, resamples=0)
            seconds = time.perf_counter() - began
        del maps, masks
    print(f"b  {VERY_MANY} maps in memory-mapped files, engine anchored, {workers} workers: {seconds:.1f} s")
    kept = held("anonymous memory", memory.anonymous / GIB, 2, "GiB")
    tell(found)
    return kept


def part_c(workers: int, scratch: Path) -> bool:
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

    maps, masks = in_memory(FEW)
    truth, scores = masks.ravel(), maps.ravel()
    ours, theirs = [], []
    for _ in range(3):
        began = time.perf_counter()
        found = score_maps(maps, masks, workers=workers, resamples=0)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        expected = roc_auc_score(truth, scores), average_precision_score(truth, scores)
        precision_recall_curve(truth, scores)
        theirs.append(time.perf_counter() - began)
    difference = max(abs(found["pixel_auroc"].value - expected[0]), abs(found["pixel_ap"].value - expected[1]))
    ratio = min(theirs) / min(ours)
    print(f"c  {FEW} maps: ours {min(ours):.2f} s with AUPRO, scikit-learn {min(theirs):.2f} s without; least of 3")
    print(f"   {ratio:.1f} times as quick, held to 5: {'kept' if ratio >= 5 else 'MISSED'}; largest difference {difference:.1e}")
    return ratio >= 5


def part_d(workers: int, scratch: Path) -> bool:
    def images() -> Iterator[tuple[Any, Any, None]]:
        for i in range(MANY):
            yield *image(i), None

    began = time.perf_counter()
    for _ in images():
        pass
    making = time.perf_counter() - began
    with Memory() as memory:
        began = time.perf_counter()
        found = score_stream(images(), engine="histogram", workers=workers, resamples=0)
        seconds = time.perf_counter() - began
    print(
        f"d  {MANY} maps read once, engine histogram, {workers} workers: {seconds:.1f} s, of which {making:.1f} s make the maps"
    )
    kept = held("memory", memory.all / 1e9, 1, "GB")
    tell(found)
    return kept


PARTS = {"a": part_a, "b": part_b, "c": part_c, "d": part_d}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="a,c,d")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    names = options.parts.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"no part {unknown[0]!r}; known: {', '.join(PARTS)}")
    if len(names) == 1:
        return 0 if PARTS[names[0]](options.workers, options.scratch) else 1
    shared = ["--workers", str(options.workers), "--scratch", str(options.scratch)]
    codes = [subprocess.run([sys.executable, __file__, "--parts", name, *shared]).returncode for name in names]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
