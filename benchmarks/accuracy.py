"""Accuracy of a detector over seeds, each seed with its own split.

    python -m benchmarks.accuracy elpv:mono mtd --detector patchcore --seeds 0-4

Data: `elpv:PRODUCT` (package elpv-dataset) and `mtd` (the folder named by FLAWSMITH_MTD). One line per seed and the mean ±
standard deviation (ddof 1) on stdout; `--out FILE.md` writes the table, with command and machine, under `--title`.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flawsmith.core.files import write_text
from flawsmith.data import load
from flawsmith.data.dataset import Dataset
from flawsmith.inspection.evaluation import Evaluation, evaluate
from flawsmith.inspection.training import train

METRICS = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "pixel_aupro")


def main() -> None:
    options = parsed()
    command = shlex.join(["python", "-m", "benchmarks.accuracy", *sys.argv[1:]])
    lines = [f"`{command}`, {platform.machine()}, {os.cpu_count()} cores", ""]
    for name in options.data:
        lines += table(name, options)
    if options.out:
        write_text(options.out, "\n".join([f"# {options.title}", "", *lines]))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="elpv:mono, elpv:poly, mtd")
    parser.add_argument("--detector", default="patchcore")
    parser.add_argument("--synth", default="")
    parser.add_argument("--split", default="auto")
    parser.add_argument("--shots", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--title", default="Accuracy")
    return parser.parse_args()


def opened(name: str) -> Dataset:
    kind, _, product = name.partition(":")
    root = os.environ["FLAWSMITH_MTD"] if kind == "mtd" else kind
    return load(root, kind, product=product or None)


def table(name: str, options: argparse.Namespace) -> list[str]:
    first, _, last = options.seeds.partition("-")
    data, results = opened(name), []
    lines = [f"## {name}, split {options.split}", ""]
    for seed in range(int(first), int(last or first) + 1):
        fields = {"shots": options.shots, "steps": options.steps, "split": options.split, "seed": seed}
        inspector = train(data, options.detector, options.synth, settings=options.settings, **fields)
        results.append(evaluate(inspector, data))
        print(name, options.split, "seed", seed, {metric: round(results[-1][metric], 4) for metric in METRICS}, flush=True)
    lines += seed_table(results) + defect_table(results)
    print("\n".join(lines), flush=True)
    return lines


def seed_table(results: Sequence[Evaluation]) -> list[str]:
    kept = [metric for metric in METRICS if not all(np.isnan(result[metric]) for result in results)]
    share = [positive_share(result) for result in results]
    heads = ["seed", "train", "test (anomalous)", *kept, "train s", "predict ms"]
    rows = [
        [
            str(result.split["seed"]),
            str(result.split["train"]),
            f"{result.split['test']} ({result.split['test_anomalous']})",
            *(f"{result[metric]:.3f}" for metric in kept),
            f"{result.timings['train_seconds']:.0f}",
            f"{result.timings['predict_ms_per_image']:.0f}",
        ]
        for result in results
    ]
    if len(results) > 1:
        spread = [f"{np.mean(v):.3f} ± {np.std(v, ddof=1):.3f}" for v in ([r[m] for r in results] for m in kept)]
        rows.append(["mean ± std", "", "", *spread, "", ""])
    told = [f"Share of anomalous pixels: {np.mean(share):.4f}.", ""] if "pixel_ap" in kept else []
    return [*markdown(heads, rows), *told]


def positive_share(result: Evaluation) -> float:
    counted = [r for r in result.results if r.sample.is_normal or r.sample.has_mask]
    return float(sum(r.sample.mask().sum() for r in counted) / max(1, sum(r.prediction.map.size for r in counted)))


def defect_table(results: Sequence[Evaluation]) -> list[str]:
    defects = sorted({defect for result in results for defect in result.per_defect})
    if len(defects) < 2:
        return []
    kept = [metric for metric in METRICS if metric in next(iter(results[0].per_defect.values()))]
    rows = []
    for defect in defects:
        values = [[r.per_defect[defect][m].value for r in results if defect in r.per_defect] for m in kept]
        rows.append([defect, *(f"{np.nanmean(v):.3f}" for v in values)])
    return ["Means over the seeds, each defect against all normals:", "", *markdown(["defect", *kept], rows)]


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *(f"| {' | '.join(row)} |" for row in rows), ""]


if __name__ == "__main__":
    main()
