"""Metrics of some data only: logical and structural defects, saturated regions."""

import importlib.util
import math
from pathlib import Path

import pytest

from flawsmith.data import load
from flawsmith.inspection.evaluation import Evaluation, evaluate
from flawsmith.inspection.kinds import logical_and_structural
from flawsmith.inspection.protocols import Geometry
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
