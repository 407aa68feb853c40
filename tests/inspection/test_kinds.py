"""Metrics of some data only: logical and structural defects, saturated regions."""

import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from flawsmith.core.detector import Prediction
from flawsmith.core.samples import ArraySource, Region, Sample
from flawsmith.data import load
from flawsmith.data.dataset import Dataset
from flawsmith.inspection.evaluation import Evaluation, evaluate
from flawsmith.inspection.kinds import classified, logical_and_structural, measure_kinds
from flawsmith.inspection.looking import ImageResult, Look
from flawsmith.inspection.measuring import Measures, Stamp
from flawsmith.inspection.protocols import FAMILIES, HONEST, Geometry, released
from flawsmith.inspection.training import train
from flawsmith.metrics import MetricValue, ProtocolRecord
from flawsmith.metrics.spro import spro

SMALL = ("patchcore.size=64",)
LIMITS = ("0.01", "0.05", "0.1", "0.3", "1")


def value(number: float, anomalies: int) -> MetricValue:
    record = ProtocolRecord("image_auroc", image_score="own", images=10 + anomalies, normals=10, anomalies=anomalies)
    return MetricValue(number, "no_negative" if math.isnan(number) else None, record)


def rows(logical: float, structural: float) -> dict[str, dict[str, MetricValue]]:
    return {
        "logical_anomalies": {"image_auroc": value(logical, 4)},
        "structural_anomalies": {"image_auroc": value(structural, 6)},
    }


def test_the_overview_is_the_mean_of_the_two_kinds_whatever_their_numbers() -> None:
    found = logical_and_structural(rows(0.6, 0.9))
    assert [each.value for each in found.values()] == pytest.approx([0.6, 0.9, 0.75])
    mean = found["image_auroc_mean"].record
    assert (mean.metric, mean.images, mean.normals, mean.anomalies) == ("image_auroc_mean", 20, 10, 10)
    assert mean.differences(found["image_auroc_logical"].record) == ("metric", "mean")


def test_the_overview_is_undefined_where_one_kind_is() -> None:
    found = logical_and_structural(rows(0.6, math.nan))
    assert (found["image_auroc_mean"].reason, found["image_auroc_logical"].reason) == ("no_negative", None)


def test_other_data_have_no_overview() -> None:
    assert logical_and_structural({"crack": {"image_auroc": value(0.5, 3)}}) == {}


@pytest.fixture(scope="module")
def loco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("miniatures", Path(__file__).parents[1] / "data" / "miniatures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = tmp_path_factory.mktemp("loco")
    module.loco(root).write()
    return root


@pytest.fixture(scope="module")
def result(loco: Path) -> Evaluation:
    data = load(loco, product="pushpins")
    return evaluate(train(data, "patchcore", settings=SMALL), data)


def test_loco_gets_its_overview_and_spro_at_its_limits(result: Evaluation) -> None:
    for metric in ("image_auroc_logical", "image_auroc_structural", "image_auroc_mean"):
        assert 0 <= result[metric] <= 1
        assert result.metrics[metric].record.details["split"]
    regions = [None if r.sample.is_normal else r.sample.source.regions() for r in result.results]
    expected = spro([r.prediction.map for r in result.results], regions, [not r.sample.is_normal for r in result.results])
    for limit in LIMITS:
        assert result[f"pixel_auspro@{limit}"] == expected[f"pixel_auspro@{limit}"].value
        assert result.metrics[f"pixel_auspro@{limit}"].record.protocol == "honest"


def test_saturations_are_areas_of_the_original_images_so_spro_is_measured_there_alone(loco: Path) -> None:
    data = load(loco, product="pushpins")
    found = evaluate(train(data, "patchcore", settings=SMALL), data, geometry=Geometry("256"))
    assert not [name for name in found.metrics if name.startswith("pixel_auspro")]


def seen(kinds: dict[str, tuple[str, np.ndarray]], regions: dict[str, tuple[Region, ...]] | None = None) -> tuple[Look, Dataset]:
    """name → (true defect, predicted class map); the truth is the upper half of a 4×4 image, or the regions given."""
    half = np.zeros((4, 4), bool)
    half[:2] = True
    results, masks = [], []
    for name, (defect, labels) in kinds.items():
        truth = (regions or {}).get(name, () if defect == "good" else (Region(defect, half),))
        source = ArraySource(np.zeros((4, 4, 3), np.uint8), truth, name)
        sample = Sample(f"p/test/{defect}/{name}", "p", defect, "test", name, source)
        results.append(ImageResult(sample, Prediction(0.0, np.zeros((4, 4), np.float32), labels)))
        masks.append(None if defect == "good" else sample.mask())
    samples = tuple(result.sample for result in results)
    data = Dataset("toy", Path("toy"), "folder", samples, classes={"p": ("crack", "dent")}, combined=frozenset({"both"}))
    return Look(tuple(results), tuple(masks), tuple(masks), 1.0), data


STAMP = Stamp("honest", "abcd", "as given", HONEST)
CLEAN, CRACK, DENT = np.zeros((4, 4), np.int64), np.zeros((4, 4), np.int64), np.zeros((4, 4), np.int64)
CRACK[:2], DENT[:2] = 1, 2


def test_a_detector_that_names_defects_is_scored_on_their_names() -> None:
    kinds = {"a": ("good", CLEAN), "b": ("crack", CRACK), "c": ("dent", CRACK), "d": ("both", CRACK)}
    found = STAMP.on(classified(*seen(kinds), STAMP))
    assert found["cls_acc"].value == pytest.approx(2 / 3)  # the image of several classes is left out
    assert found["cls_acc_anomalous"].value == pytest.approx(1 / 2)
    assert found["cls_miou"].value == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert found["cls_acc"].record.details["split"] == "abcd"


def test_the_record_of_classification_claims_no_rule_that_was_not_followed() -> None:
    look, data = seen({"a": ("good", CLEAN), "b": ("crack", CRACK)})
    stamp = replace(STAMP, geometry=released(FAMILIES["uniadc"]))
    inspector = SimpleNamespace(detector=SimpleNamespace(traits=SimpleNamespace(classifies=True)))
    found = measure_kinds(inspector, data, look, Measures({}, {}, {}, ()), stamp)  # type: ignore[arg-type]
    details = found["cls_miou"].record.details
    assert details["released"].startswith("uniadc")
    assert not {"labels", "empty masks"} & details.keys()


def test_ids_follow_the_names_that_the_detector_gives() -> None:
    look, data = seen({"a": ("good", CLEAN), "b": ("crack", DENT), "c": ("dent", CRACK)})
    named = {"good": 0.2, "dent": 0.4, "crack": 0.4}
    results = tuple(replace(r, prediction=replace(r.prediction, defect_probabilities=named)) for r in look.results)
    assert classified(replace(look, results=results), data, STAMP)["cls_acc"].value == 1


def test_regions_of_other_classes_than_the_images_own_count_as_what_they_are() -> None:
    left, right = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    left[:2, :2], right[:2, 2:] = True, True
    labels = np.where(left, 1, np.where(right, 2, 0)).astype(np.int64)
    kinds = {"a": ("good", CLEAN), "b": ("crack", labels)}
    look, data = seen(kinds, {"b": (Region("crack", left), Region("dent", right))})
    assert classified(look, data, STAMP)["cls_miou"].value == 1


def test_a_detector_without_class_maps_has_no_classification() -> None:
    look, data = seen({"a": ("good", CLEAN)})
    bare = tuple(replace(r, prediction=replace(r.prediction, label_map=None)) for r in look.results)
    assert classified(replace(look, results=bare), data, STAMP) == {}
