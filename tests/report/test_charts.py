"""What stands below the curves under other protocols than our own."""

from dataclasses import replace
from typing import Any

import numpy as np

from flawsmith.inspection.evaluation import Evaluation
from flawsmith.report.charts import curve_figures, curves_of
from flawsmith.report.page import Figures


def recorded(evaluation: Evaluation, metric: str, **fields: Any) -> Evaluation:
    value = evaluation.metrics[metric]
    return replace(evaluation, metrics={**evaluation.metrics, metric: replace(value, record=replace(value.record, **fields))})


def captions(evaluation: Evaluation) -> list[str]:
    figures = curve_figures(evaluation)
    assert isinstance(figures, Figures)
    return [item.caption for item in figures.items]


def test_the_area_is_that_of_the_shaded_part(evaluation: Evaluation) -> None:
    assert "is the shaded area divided by 0.3. 0.150 is guessing." in captions(evaluation)[2]


def test_another_variant_is_not_said_to_be_the_area_below(evaluation: Evaluation) -> None:
    told = captions(recorded(evaluation, "pixel_aupro", curve="full", fpr_limit=None))[2]
    assert told.endswith("is of the variant full, which this curve does not show.")


def test_the_threshold_has_no_dot_on_a_curve_of_other_scores(evaluation: Evaluation) -> None:
    assert "The dot is the threshold in use" in captions(evaluation)[0]
    assert captions(recorded(evaluation, "image_auroc", image_score="top100"))[0].endswith(". The dotted line is guessing.")


def test_curves_that_were_kept_are_not_counted_again(evaluation: Evaluation) -> None:
    kept = {"image_roc": (np.array([0.0, 1.0]), np.array([0.5, 1.0]))}
    assert curves_of(replace(evaluation, curves=kept)) == kept
    assert set(curves_of(evaluation)) == {"image_roc", "image_pr", "pixel_roc", "pixel_pr", "pixel_pro"}
