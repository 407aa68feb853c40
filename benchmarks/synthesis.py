"""Speed of every synthesizer: milliseconds per image on one thread, images per second with two workers, ratio to a plain version.

    python benchmarks/synthesis.py [--methods draem,nsa] [--sizes 256,1024] [--samples 200] [--repeats 3] [--json FILE]

Milliseconds are medians (of a mix, means) over `--samples` single requests, warm, textures and normals decoded; the least of
`--repeats` such medians, each taken in turn with the reference's in blocks of 20, so that a busy machine slows both. At 1024
pixels a tenth of the samples. The reference (`benchmarks/references/METHOD.py`) works on the same pictures and is cut short
after `--seconds` per repeat, never below five samples. Images per second: two processes with one thread each answer requests
for a second and a half side by side; nothing is written. `target`: milliseconds at 256 pixels that the method is held to.
`stated`: what the original code took on a 2-core x86 machine; the plain reference must not need more than 1.3 times that, or
the ratio says nothing.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
import json  # noqa: E402
import multiprocessing  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from dataclasses import asdict, dataclass  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402
from queue import Empty  # noqa: E402
from typing import Any  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.references import Inputs, reference  # noqa: E402
from flawsmith.appearance.surfaces import surface  # noqa: E402
from flawsmith.appearance.textures import open_bank  # noqa: E402
from flawsmith.core.memory import keep_freed_memory  # noqa: E402
from flawsmith.core.methods import MethodRecipe  # noqa: E402
from flawsmith.core.recipes import parse_methods  # noqa: E402
from flawsmith.core.registry import build_synthesizer, synthesizers  # noqa: E402
from flawsmith.core.requests import Request  # noqa: E402
from flawsmith.core.samples import GOOD, ArraySource, Region, Sample, SupportSet  # noqa: E402
from flawsmith.core.seeding import Seed  # noqa: E402
from flawsmith.core.synthesizer import Synthesizer  # noqa: E402
from flawsmith.data.dataset import Dataset  # noqa: E402
from flawsmith.synthesis import build  # noqa: E402
from flawsmith.synthesis.sets import synthesize  # noqa: E402
from flawsmith.synthesis.sources import NONE  # noqa: E402
from flawsmith.synthesis.writing import write_set  # noqa: E402

SEED = Seed(0, ("benchmark",))
SURFACE = "weave"
NORMALS, ANOMALIES, FILES, TEXTURES = 8, 4, 16, 48
BLOCK, LEAST = 20, 5
WORKERS, WORK_SECONDS = 2, 1.5
ALLOWED = 1.3
MIX = "draem:2,cutpaste:1,cutpaste_scar:1"

TARGETS = {
    "cutout": 0.5,
    "cutpaste": 0.2,
    "cutpaste_scar": 0.5,
    "destseg": 3.0,
    "disc_shift": 1.0,
    "draem": 2.0,
    "fpi": 1.0,
    "fractal": 4.0,
    "memseg": 2.0,
    "nsa": 5.0,
    "nsa asbench": 2.0,
    "pii": 3.0,
}
"""Milliseconds at 256 pixels."""

STATED = {"cutpaste": 0.34, "disc_shift": 13.4, "draem": 20.6, "fractal": 16.1, "nsa asbench": 4.4}
"""Milliseconds that the original code takes at 256 pixels on a 2-core x86 machine."""

MEANS = ("mix",)
"""Whose members differ so much that a median says nothing: means instead."""

FURTHER = ("nsa asbench",)
"""Presets beside the default that are measured."""


@dataclass(frozen=True)
class Row:
    """What was measured of one method at one size; milliseconds and images per second."""

    case: str
    size: int
    ms: float
    reference_ms: float | None
    ratio: float | None
    per_second: float | None
    target: float | None
    stated: float | None

    @property
    def verdict(self) -> str:
        """Whether the target is met, and whether the reference is quick enough to compare with."""
        told = [] if self.target is None else ["PASS" if self.ms <= self.target else "miss"]
        if self.stated is not None and self.reference_ms is not None and self.reference_ms > ALLOWED * self.stated:
            told.append("reference too slow")
        return ", ".join(told)


def cases(names: Sequence[str]) -> list[str]:
    """`METHOD` for the default preset and `METHOD PRESET`, for the methods named."""
    found = [*names, *(case for case in FURTHER if case.split()[0] in names)]
    return sorted(found)


class Subject:
    """Pictures of one size, everything decoded, for our methods and for the references alike."""

    def __init__(self, size: int, folder: Path) -> None:
        self.size = size
        self.pixels = [surface(SURFACE, SEED.child("normal", k), (size, size)).image for k in range(NORMALS)]
        self.normals = tuple(sample_of(GOOD, k, pixels, ()) for k, pixels in enumerate(self.pixels))
        self.real = [damaged(SEED.child("anomaly", k), size) for k in range(ANOMALIES)]
        anomalies = (sample_of("spot", k, image, (Region("spot", mask),)) for k, (image, mask) in enumerate(self.real))
        self.support = SupportSet(self.normals, tuple(anomalies), product=SURFACE, dataset="benchmark")
        self.folder = folder

    def inputs(self, textures: bool) -> Inputs:
        """For the references; the textures only where they are asked for, for at 1024 pixels they fill memory."""
        bank = open_bank("procedural")
        decoded = [bank.image(k, (self.size, self.size)) for k in range(TEXTURES if textures else 1)]
        return Inputs(self.pixels, decoded, self.real, files_of(self.folder))

    def method(self, case: str) -> Synthesizer:
        """Ours, fitted."""
        name, _, preset = case.partition(" ")
        if name == "mix":
            return build(parse_methods(MIX)).fit(self.support)
        params = {**({"preset": preset} if preset else {}), **settings(name, self.folder)}
        return build_synthesizer(MethodRecipe(name=name, params=params)).fit(self.support)

    def requests(self, count: int, start: int = 0) -> list[Request]:
        """Distinct requests, the normals in turn."""
        return [Request(self.normals[k % NORMALS], SEED.child("request", k)) for k in range(start, start + count)]


def settings(name: str, folder: Path) -> dict[str, Any]:
    """Parameters that a method cannot do without."""
    return {"folder": str(folder)} if name == "precomputed" else {}


def sample_of(defect: str, number: int, pixels: np.ndarray, regions: tuple[Region, ...]) -> Sample:
    name = f"{SURFACE}/train/{defect}/{number}"
    return Sample(name, SURFACE, defect, "train", f"{defect}-{number}", ArraySource(pixels, regions, name))


def damaged(seed: Seed, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright spot on the surface, and its mask."""
    image, rng, canvas = surface(SURFACE, seed, (size, size)).image, seed.numpy("spot"), np.zeros((size, size), np.uint8)
    axes = tuple(int(axis) for axis in rng.uniform(0.03, 0.1, 2) * size)
    centre = tuple(int(at) for at in rng.uniform(0.2, 0.8, 2) * size)
    cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return np.where(canvas[:, :, None] > 0, 230, image).astype(np.uint8), canvas > 0


def write_files(folder: Path, size: int) -> None:
    """A set of anomalies, as `flawsmith synth` writes it."""
    normals = tuple(sample_of(GOOD, k, surface(SURFACE, SEED.child("before", k), (size, size)).image, ()) for k in range(NORMALS))
    data = Dataset(SURFACE, folder.with_name("nowhere"), "folder", normals)
    write_set(synthesize(data, MIX, FILES, split=NONE), folder)


def files_of(folder: Path) -> list[tuple[Path, Path]]:
    return [(path, path.parents[1] / "mask" / path.name) for path in sorted(folder.rglob("image/*.png"))]


def milliseconds(works: Sequence[Callable[[], Any]], budget: float) -> list[float]:
    """How long each took, until the time is up."""
    taken, began = [], time.perf_counter()
    for work in works:
        before = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - before))
        if time.perf_counter() - began > budget and len(taken) >= LEAST:
            break
    return taken


def measured(case: str, subject: Subject, samples: int, repeats: int, seconds: float) -> tuple[float, float | None]:
    """Milliseconds of ours and of the reference: the least median."""
    method = subject.method(case)
    plain = reference(*case.split())
    inputs = subject.inputs(textures="textures" in method.traits.needs)
    rng = np.random.default_rng(0)
    warm(method, subject, samples)
    if plain is not None:
        plain(subject.pixels[0], inputs, rng)
    ours, theirs = [], []
    for repeat in range(repeats):
        mine: list[float] = []
        other: list[float] = []
        orders = subject.requests(samples, repeat * samples)
        for first in range(0, samples, BLOCK):
            block = orders[first : first + BLOCK]
            mine += milliseconds([partial(method.synthesize, [request]) for request in block], seconds)
            if plain is not None and sum(other) < 1000 * seconds:
                other += milliseconds([partial(plain, request.normal.source.pixels, inputs, rng) for request in block], seconds)
        middle = statistics.mean if case in MEANS else statistics.median
        ours.append(middle(mine))
        theirs += [middle(other)] if other else []
    return min(ours), min(theirs) if theirs else None


def warm(method: Synthesizer, subject: Subject, samples: int) -> None:
    """Load what is loaded once: every texture of the bank, every normal, the code."""
    if "textures" in method.traits.needs:
        bank = open_bank("procedural")
        for k in range(len(bank)):
            bank.image(k, (subject.size, subject.size))
    for request in subject.requests(min(samples, 50), 10**6):
        method.synthesize([request])


def side_by_side(chosen: Sequence[str], size: int, folder: Path) -> dict[str, float]:
    """Images per second of two processes together, by case."""
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(WORKERS), context.Queue()
    workers = [context.Process(target=draw_on, args=(chosen, size, folder, k, barrier, queue)) for k in range(WORKERS)]
    for worker in workers:
        worker.start()
    told: list[dict[str, float]] = []
    while len(told) < WORKERS:
        try:
            told.append(queue.get(timeout=1))
        except Empty:
            if any(worker.exitcode for worker in workers):
                barrier.abort()
                raise SystemExit("a worker failed: its error stands above") from None
    for worker in workers:
        worker.join()
    return {case: sum(rates[case] for rates in told) for case in chosen}


def draw_on(chosen: Sequence[str], size: int, folder: Path, number: int, barrier: Any, queue: Any) -> None:
    cv2.setNumThreads(1)
    keep_freed_memory()
    subject, rates = Subject(size, folder), {}
    for case in chosen:
        method = subject.method(case)
        warm(method, subject, 20)
        requests = subject.requests(2000, 10**7 + number * 10**6)
        barrier.wait()
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < WORK_SECONDS:
            method.synthesize([requests[count % len(requests)]])
            count += 1
        rates[case] = count / (time.perf_counter() - began)
    queue.put(rates)


def rows_of(chosen: Sequence[str], size: int, options: argparse.Namespace) -> list[Row]:
    samples = options.samples if size <= 256 else max(LEAST, options.samples // 10)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "set"
        write_files(folder, size)
        subject = Subject(size, folder)
        rates = side_by_side(chosen, size, folder) if options.workers else {}
        for case in chosen:
            ms, plain = measured(case, subject, samples, options.repeats, options.seconds)
            small = size == 256
            target, stated = (TARGETS.get(case), STATED.get(case)) if small else (None, None)
            ratio = None if plain is None else plain / ms
            rows.append(Row(case, size, ms, plain, ratio, rates.get(case), target, stated))
            print(line(rows[-1]), flush=True)
    return rows


HEADS = (
    "method",
    "pixels",
    "target ms",
    "ms",
    "images/s, 2 workers",
    "plain reference ms",
    "stated ms",
    "times quicker",
    "verdict",
)


def line(row: Row) -> str:
    shown = (
        row.case,
        f"{row.size}²",
        number(row.target),
        number(row.ms),
        number(row.per_second),
        number(row.reference_ms),
        number(row.stated),
        number(row.ratio),
        row.verdict or "–",
    )
    return f"| {' | '.join(shown)} |"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", help="NAME,… of synthesizers; default: all")
    parser.add_argument("--sizes", default="256,1024")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of the reference per repeat")
    parser.add_argument("--no-workers", dest="workers", action="store_false", help="leave out images per second")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parsed(arguments)
    cv2.setNumThreads(1)
    keep_freed_memory()
    names = options.methods.split(",") if options.methods else list(synthesizers.entries)
    for name in names:
        synthesizers.entry(name)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
    rows = [row for size in options.sizes.split(",") for row in rows_of(cases(names), int(size), options)]
    if options.json:
        options.json.write_text(json.dumps([{**asdict(row), "verdict": row.verdict} for row in rows], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
