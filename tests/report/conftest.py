"""Evaluations made by hand from the toy texture: the map is how far local brightness and contrast stray from the usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from flawsmith.core.detector import Prediction
from flawsmith.core.samples import ArraySource, Sample
from flawsmith.core.seeding import Seed
from flawsmith.inspection.evaluation import Evaluation, ImageResult
from flawsmith.metrics import per_defect, score_maps
from flawsmith.testing.toy import toy_anomalies, toy_normals

THRESHOLD = 44.0


def predict(sample: Sample, threshold: float = THRESHOLD) -> Prediction:
    image = sample.image()[:, :, 0].astype(np.float32)
    flat, shade = cv2.GaussianBlur(image, (0, 0), 3), cv2.GaussianBlur(image, (0, 0), 24)
    contrast = cv2.GaussianBlur(np.abs(image - flat), (0, 0), 3)
    values = np.abs(contrast - np.median(contrast)) + np.abs(flat - shade)
    score = float(values.max())
    return Prediction(score, values.astype(np.float32), threshold=threshold, verdict="defect" if score > threshold else "good")


def evaluation_of(samples: Sequence[Sample], **changes: Any) -> Evaluation:
    threshold = changes.get("threshold", THRESHOLD)
    results = tuple(ImageResult(sample, predict(sample, threshold)) for sample in samples)
    maps = [r.prediction.map for r in results]
    masks = [s.mask() if s.has_mask else None for s in samples]
    scores = [r.prediction.score for r in results]
    evaluation = Evaluation(
        name="contrast on toy",
        detector="contrast",
        dataset="toy",
        product="toy",
        protocol="honest",
        metrics=dict(score_maps(maps, masks, [int(not s.is_normal) for s in samples], scores, resamples=200)),
        per_defect=per_defect(maps, masks, [s.defect for s in samples], scores),
        results=results,
        threshold=threshold,
        threshold_source="95% quantile of held-out normals (n = 40)",
        recipe={"detector": {"name": "contrast", "params": {"sigma": 4}}, "synth": [], "ratio": 0.5, "seed": 0},
        split={"policy": "grouped", "seed": 0, "digest": "ab" * 32, "flags": [], "train": 80, "val": 20, "test": len(results)},
        timings={"train_seconds": 12.3, "predict_ms_per_image": 21.0},
        command="flawsmith evaluate models/toy toy/ --report report.html",
        environment={"flawsmith": "0.1.0", "python": "3.11", "torch": "2.6"},
        licence="CC0. Toy texture of flawsmith.testing.",
        warnings=(),
    )
    return replace(evaluation, **changes)


def toy_samples(normals: int = 24, anomalies: int = 24, size: int = 64) -> list[Sample]:
    return [*toy_normals(normals, Seed(3), size, split="test"), *toy_anomalies(anomalies, Seed(4), size)]


def without_masks(samples: Sequence[Sample]) -> list[Sample]:
    return [s if s.is_normal else replace(s, source=ArraySource(s.image(), None, "no mask")) for s in samples]


class Cases:
    """What the tests of this folder build evaluations from."""

    samples = staticmethod(toy_samples)
    evaluation_of = staticmethod(evaluation_of)
    without_masks = staticmethod(without_masks)


@pytest.fixture(scope="session")
def cases() -> type[Cases]:
    return Cases


@pytest.fixture(scope="session")
def evaluation() -> Evaluation:
    return evaluation_of(toy_samples(), warnings=("two test images look like training images",))
