"""PatchCore: seconds to fit, milliseconds per image, peak memory; and the same as a ratio to a plain implementation.

    python benchmarks/patchcore.py [--images elpv|toy] [--threads 2] [--reference-centres 100]

100 normals at 224 px, EfficientNet-Lite0 layer2 + layer3, coreset of 10 % (7,840 of 78,400 rows), 40 images predicted in
batches of 8. The plain implementation is what anomalib and the paper's code do: batches of 8 through the unfolded network, the
distance of every row to every new centre, `torch.cdist` for the nearest rows; its coreset is timed over the first
`--reference-centres` centres, each of which costs the same, and scaled up. Peak memory is read before the reference runs.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from flawsmith.core.arrays import Image
from flawsmith.core.detector import TrainingTask
from flawsmith.core.samples import ArraySource, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.data.resize import resize_image
from flawsmith.detectors.patchcore import PatchCore
from flawsmith.encoders import efficientnet_lite
from flawsmith.encoders.hub import build_encoder
from flawsmith.learning.threads import use_threads
from flawsmith.testing.toy import toy_texture

NORMALS, TESTED, SIZE, BATCH = 100, 40, 224, 8


def photographs(kind: str, count: int) -> list[Image]:
    if kind == "toy":
        return [toy_texture(Seed(0, ("benchmark", i)), SIZE) for i in range(count)]
    from elpv_dataset.utils import load_dataset

    images, probabilities, types = load_dataset()
    good = [i for i in range(len(images)) if probabilities[i] == 0 and types[i] == "mono"][:count]
    return [resize_image(np.repeat(images[i][:, :, None], 3, 2), (SIZE, SIZE)) for i in good]


def in_batches(images: list[Image]) -> list[list[Image]]:
    return [images[i : i + BATCH] for i in range(0, len(images), BATCH)]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def ours(images: list[Image]) -> dict[str, float]:
    normals = [
        Sample(f"bench/train/good/{i:03d}", "bench", "good", "train", str(i), ArraySource(image))
        for i, image in enumerate(images[:NORMALS])
    ]
    task = TrainingTask(None, normals, SupportSet(tuple(normals)))
    detector = PatchCore(size=SIZE, coreset_ratio=0.1, coreset_max=None)
    fit_seconds, _ = timed(lambda: detector.fit(task))
    tested = images[NORMALS:]
    list(detector.predict(tested[:BATCH]))
    predict_seconds, _ = timed(lambda: [list(detector.predict(batch)) for batch in in_batches(tested)])
    return {
        "fit_s": fit_seconds,
        "predict_ms": 1000 * predict_seconds / len(tested),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        "rows": float(detector.facts["rows"]),
        "patches": float(detector.facts["patches"]),
    }


def unfolded(x: Tensor, conv: Any, norm: Any) -> Tensor:
    return norm(conv(x))


def plain_rows(encoder: Any, batch: list[Image]) -> Tensor:
    images = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).contiguous().float() / 255
    found = encoder.extract(images, ("layer2", "layer3"))
    fine, coarse = (F.avg_pool2d(found[layer].contiguous(), 3, 1, 1) for layer in ("layer2", "layer3"))
    both = torch.cat([fine, F.interpolate(coarse, size=fine.shape[2:], mode="bilinear")], 1)
    return both.permute(0, 2, 3, 1).reshape(-1, both.shape[1])


def plain_coreset_seconds(rows: Tensor, centres: int, timed_centres: int) -> float:
    nearest = torch.linalg.vector_norm(rows - rows[0], dim=1)

    def grow() -> None:
        for _ in range(timed_centres):
            new = int(nearest.argmax())
            torch.minimum(nearest, torch.linalg.vector_norm(rows - rows[new], dim=1), out=nearest)

    return timed(grow)[0] * centres / timed_centres


def reference(images: list[Image], timed_centres: int) -> dict[str, float]:
    encoder = build_encoder("efficientnet_lite0", deepest="layer3")
    folded, efficientnet_lite.conv_norm = efficientnet_lite.conv_norm, unfolded
    try:
        seconds, rows = timed(lambda: torch.cat([plain_rows(encoder, batch) for batch in in_batches(images[:NORMALS])]))
        memory = rows[::10].contiguous()
        fit_seconds = seconds + plain_coreset_seconds(rows, len(memory), timed_centres)

        def predict(some: list[Image]) -> Iterator[Tensor]:
            for batch in in_batches(some):
                yield torch.cdist(plain_rows(encoder, batch), memory).min(1).values

        list(predict(images[:BATCH]))
        predict_seconds, _ = timed(lambda: list(predict(images[NORMALS:])))
    finally:
        efficientnet_lite.conv_norm = folded
    return {"fit_s": fit_seconds, "predict_ms": 1000 * predict_seconds / (len(images) - NORMALS)}


def measure(kind: str, threads: int, timed_centres: int) -> dict[str, Any]:
    images = photographs(kind, NORMALS + TESTED)
    with use_threads(threads):
        mine = ours(images)
        plain = reference(images, timed_centres)
    ratios = {key: round(plain[key] / mine[key], 2) for key in plain}
    return {"images": kind, "threads": threads, "ours": mine, "plain": plain, "times_quicker": ratios}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", choices=("elpv", "toy"), default="elpv")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference-centres", type=int, default=100)
    chosen = parser.parse_args(arguments)
    print(json.dumps(measure(chosen.images, chosen.threads, chosen.reference_centres), indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
