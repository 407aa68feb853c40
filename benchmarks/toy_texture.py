"""The smoke benchmark: how well, and how quickly, a detector with its default preset does on the toy texture.

    python benchmarks/toy_texture.py patchcore memseg [--seeds 3] [--threads 2] [--synth draem,cutpaste,cutpaste_scar]
                                     [--set memseg.freeze=layer4] [--pictures docs/images]

100 normals train; 60 normals and 100 anomalies (scratch, spot, smear, stain) test, 128×128; anomalies for training come from
`--synth` at ratio 0.5. Held to: image AUROC ≥ 0.90 and pixel AP ≥ 0.35. `--pictures` writes one picture per detector, the first
seed's: per kind of defect the image, the truth, and the map.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pictures

from flawsmith.core.detector import Detector, Prediction, TrainingTask
from flawsmith.core.recipes import parse_methods
from flawsmith.core.registry import build_detector, build_synthesizer
from flawsmith.core.samples import Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.learning.stream import AnomalyStream
from flawsmith.learning.threads import use_threads
from flawsmith.metrics.ranking import auroc, average_precision
from flawsmith.report.pictures import contact_sheet, scale_of, views
from flawsmith.testing.toy import DEFECTS, toy_anomalies, toy_normals

NORMALS, GOOD, BAD = 100, 60, 100


def task_for(detector: Detector, synth: str, seed: Seed) -> TrainingTask:
    normals = toy_normals(NORMALS, seed)
    support = SupportSet(tuple(normals), product="toy")
    stream = None
    if "anomalies" in detector.traits.learns_from and synth:
        sources = [(build_synthesizer(member.method).fit(support), member.weight) for member in parse_methods(synth)]
        stream = AnomalyStream(normals, sources, 0.5, (detector.size, detector.size), seed.child("stream"))
    return TrainingTask(stream, normals, support, seed=seed)


def run(detector: Detector, synth: str, seed: Seed) -> tuple[dict[str, float], list[Sample], list[Prediction]]:
    task = task_for(detector, synth, seed)
    test = toy_normals(GOOD, seed, split="test") + toy_anomalies(BAD, seed)
    began = time.perf_counter()
    detector.fit(task)
    trained = time.perf_counter()
    found = list(detector.predict(sample.image() for sample in test))
    done = time.perf_counter()
    masks, maps = np.stack([sample.mask() for sample in test]), np.stack([prediction.map for prediction in found])
    values = {
        "image_auroc": auroc([prediction.score for prediction in found], [not sample.is_normal for sample in test]).value,
        "pixel_auroc": auroc(maps.ravel(), masks.ravel()).value,
        "pixel_ap": average_precision(maps.ravel(), masks.ravel()).value,
        "fit_s": trained - began,
        "predict_ms": 1000 * (done - trained) / len(test),
    }
    return values, test, found


def draw(path: Path, test: list[Sample], found: list[Prediction]) -> None:
    scale = scale_of(prediction.map for prediction in found)
    shown = [next(i for i, sample in enumerate(test) if sample.defect == defect) for defect in DEFECTS]
    sides = [views(test[i].image(), found[i].map, test[i].mask(), scale) for i in shown]
    rows = [[view.image for view in sides], [view.truth for view in sides], [view.coloured for view in sides]]
    path.parent.mkdir(parents=True, exist_ok=True)
    Pictures.fromarray(contact_sheet([image for row in rows for image in row], columns=len(shown), side=144)).save(path)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="+")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--synth", default="draem,cutpaste,cutpaste_scar")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--pictures", type=Path)
    chosen: Any = parser.parse_args(arguments)
    for name in chosen.detectors:
        mine = [setting for setting in chosen.settings if setting.startswith(f"{name}.")]
        (member,) = parse_methods(name, mine)
        for seed in range(chosen.seeds):
            with use_threads(chosen.threads):
                values, test, found = run(build_detector(member.method), chosen.synth, Seed(seed, ("toy",)))
            print(name, *mine, f"seed={seed}", *(f"{key}={value:.3f}" for key, value in values.items()), flush=True)
            if chosen.pictures and seed == 0:
                draw(chosen.pictures / f"{name}.png", test, found)


if __name__ == "__main__":
    main(sys.argv[1:])
