"""Galleries: test images with truth and map side by side, and synthetic defects."""

from __future__ import annotations

from collections.abc import Sequence

from flawsmith.core.requests import Anomaly
from flawsmith.data.resize import resize_map
from flawsmith.inspection.evaluation import Evaluation, ImageResult
from flawsmith.report.outcomes import is_called_defective
from flawsmith.report.page import Gallery, Legend, Panel, Picture
from flawsmith.report.pictures import Scale, colour_steps, jpeg_uri, peak_is_near, scale_of, views
from flawsmith.report.wording import kind_of, significant
from flawsmith.synthesis.gallery import contact_sheet

ELSEWHERE = "; strongest response outside the marked defect"
OUTLINE_TEXT = "The line around a defect is its true extent."


def report_scale(evaluation: Evaluation) -> Scale:
    """One colour scale for every picture of a report."""
    return scale_of((result.prediction.map for result in evaluation.results), evaluation.threshold)


def legend_of(scale: Scale) -> Legend:
    """What the colours mean."""
    return Legend(
        colour_steps(),
        significant(scale.low),
        f"{significant(scale.high)} and above",
        "anomaly map, the same scale in every picture",
    )


def result_gallery(
    results: Sequence[ImageResult], scale: Scale, threshold: float, *, heading: str = "", caption: str = "", legend: bool = False
) -> Gallery:
    """One picture per result: the photograph, its truth where there is one, its map."""
    pictures = tuple(result_picture(result, scale, threshold) for result in results)
    return Gallery(pictures, heading, caption, legend_of(scale) if legend else None)


def result_picture(result: ImageResult, scale: Scale, threshold: float) -> Picture:
    """The photograph, its truth where there is one, its map; below it what was said and what is true."""
    sample, prediction = result.sample, result.prediction
    mask = sample.mask() if sample.has_mask else None
    seen = views(sample.image(), prediction.map, mask, scale)
    panels = [Panel(jpeg_uri(seen.image), "image", f"photograph {sample.id}")]
    if seen.truth is not None:
        panels.append(Panel(jpeg_uri(seen.truth), "truth", f"true extent of the {kind_of(sample.defect)}"))
    panels.append(Panel(jpeg_uri(seen.coloured), "anomaly map", f"anomaly map, score {significant(prediction.score)}"))
    called, wrong = is_called_defective(result, threshold), is_called_defective(result, threshold) == sample.is_normal
    elsewhere = (
        called and mask is not None and not sample.is_normal and not peak_is_near(mask, resize_map(prediction.map, mask.shape))
    )
    return Picture(
        tuple(panels),
        aspect=seen.image.shape[1] / seen.image.shape[0],
        title="good part" if sample.is_normal else kind_of(sample.defect),
        caption=f"score {significant(prediction.score)}, threshold {significant(threshold)}{ELSEWHERE if elsewhere else ''}",
        name=sample.id,
        tag={(True, False): "found", (False, False): "passed", (True, True): "false alarm", (False, True): "missed"}[
            called, wrong
        ],
        tone="defect" if wrong else "good",
    )


def synthetic_gallery(anomalies: Sequence[Anomaly], *, heading: str = "", caption: str = "") -> Gallery:
    """A contact sheet: normal, anomaly, mask and difference of each; small defects are enlarged."""
    sheet = contact_sheet(anomalies, columns=2)
    picture = Picture((Panel(jpeg_uri(sheet), "", f"{len(anomalies)} synthetic anomalies"),))
    return Gallery((picture,), heading, caption, wide=True)
