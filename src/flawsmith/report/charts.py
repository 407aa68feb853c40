"""Charts of an evaluation."""

from __future__ import annotations

import numpy as np

from flawsmith.inspection.evaluation import Evaluation
from flawsmith.inspection.protocols import MVTEC, OWN
from flawsmith.metrics import score_maps
from flawsmith.metrics.overlap import FPR_LIMIT
from flawsmith.report import figures
from flawsmith.report.figures import Points
from flawsmith.report.outcomes import Confusion
from flawsmith.report.page import Figure, Figures
from flawsmith.report.wording import decimal

DIAGONAL: Points = (np.array([0.0, 1.0]), np.array([0.0, 1.0]))


def score_histogram(evaluation: Evaluation, prefix: str = "") -> Figures:
    """Scores of good and defective parts with the threshold."""
    good = [r.prediction.score for r in evaluation.results if r.sample.is_normal]
    defective = [r.prediction.score for r in evaluation.results if not r.sample.is_normal]
    svg = figures.histogram(good, defective, evaluation.threshold, f"{prefix}histogram")
    text = "Everything right of the dashed line is called defective. The less the two colours overlap, the better."
    alt = f"Histogram of the anomaly scores of {len(good)} good and {len(defective)} defective parts"
    return Figures((Figure(svg, text, alt),))


def curve_figures(evaluation: Evaluation, prefix: str = "") -> Figures | None:
    """ROC and precision-recall of images, PRO of pixels; those that are defined."""
    curves = curves_of(evaluation)
    charts = [
        chart
        for chart in (
            _roc(evaluation, curves.get("image_roc"), prefix),
            _precision_recall(evaluation, curves.get("image_pr"), prefix),
            _overlap(evaluation, curves.get("pixel_pro"), prefix),
        )
        if chart is not None
    ]
    return Figures(tuple(charts)) if charts else None


def curves_of(evaluation: Evaluation) -> dict[str, Points]:
    """Points of the curves behind the metrics; computed where the evaluation was made without."""
    if evaluation.curves:
        return dict(evaluation.curves)
    results = evaluation.results
    found = score_maps(
        [r.prediction.map for r in results],
        [r.sample.mask() if r.sample.has_mask else None for r in results],
        labels=[int(not r.sample.is_normal) for r in results],
        scores=[r.prediction.score for r in results],
        resamples=0,
    )
    return dict(found.curves)


def _roc(evaluation: Evaluation, points: Points | None, prefix: str) -> Figure | None:
    if points is None:
        return None
    counts = Confusion.of(evaluation.results, evaluation.threshold)
    here = (counts.alarms / counts.normals, counts.found / counts.anomalies)
    titles = ("good parts called defective", "defective parts found")
    own = _is_of_own_scores(evaluation)
    svg = figures.curve(f"{prefix}roc", points, titles, DIAGONAL, point=here if own else None)
    dot = "The dot is the threshold in use, the dotted line guessing." if own else "The dotted line is guessing."
    caption = f"ROC of images, area {_value(evaluation, 'image_auroc')}. {dot}"
    return Figure(svg, caption, f"ROC curve, area {_value(evaluation, 'image_auroc')}")


def _precision_recall(evaluation: Evaluation, points: Points | None, prefix: str) -> Figure | None:
    if points is None:
        return None
    counts = Confusion.of(evaluation.results, evaluation.threshold)
    called = counts.found + counts.alarms
    here = (counts.found / counts.anomalies, counts.found / called) if called and _is_of_own_scores(evaluation) else None
    share = counts.anomalies / (counts.anomalies + counts.normals)
    x, y = points
    whole = np.concatenate(([0.0], x)), np.concatenate((y[:1], y))
    chance: Points = (np.array([0.0, 1.0]), np.array([share, share]))
    titles = ("defective parts found (recall)", "share of alarms that are right (precision)")
    svg = figures.curve(f"{prefix}pr", whole, titles, chance, point=here, steps=True)
    value = _value(evaluation, "image_ap")
    caption = f"Precision and recall of images, average precision {value}. {decimal(share)} is guessing."
    return Figure(svg, caption, f"Precision-recall curve, average precision {value}")


def _overlap(evaluation: Evaluation, points: Points | None, prefix: str) -> Figure | None:
    if points is None:
        return None
    record = evaluation.metrics["pixel_aupro"].record if "pixel_aupro" in evaluation.metrics else None
    usual = record is None or record.curve == MVTEC
    limit = (record.fpr_limit if record else FPR_LIMIT) or 1.0
    titles = ("share of the background marked", "share of each defect covered")
    svg = figures.curve(f"{prefix}pro", points, titles, DIAGONAL, limit=limit if usual else None)
    value = _value(evaluation, "pixel_aupro")
    area = f"AUPRO {value} is the shaded area divided by {limit:g}. {decimal(limit / 2)} is guessing."
    other = f"AUPRO {value} is of the variant {record.curve if record else MVTEC}, which this curve does not show."
    caption = f"Per-region overlap of pixels; {area if usual else other}"
    return Figure(svg, caption, f"Per-region overlap curve, AUPRO {value}")


def _is_of_own_scores(evaluation: Evaluation) -> bool:
    """Whether the curves of images are of the scores that the threshold is for."""
    value = evaluation.metrics.get("image_auroc")
    return value is None or value.record.image_score in (None, OWN, "given")


def _value(evaluation: Evaluation, metric: str) -> str:
    return decimal(evaluation.metrics[metric].value) if metric in evaluation.metrics else decimal(float("nan"))
