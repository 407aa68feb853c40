"""Protocols: what each is, who has one, and that an evaluation under one is what the released code computes."""

import json
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from flawsmith.core.detector import Prediction
from flawsmith.core.errors import BadParameter, DataError, OutputError, UnknownName
from flawsmith.data import load
from flawsmith.data.resize import mask_as, resize_image
from flawsmith.inspection import measuring
from flawsmith.inspection.evaluation import Evaluation, evaluate
from flawsmith.inspection.inspector import Inspector
from flawsmith.inspection.looking import look
from flawsmith.inspection.protocols import DETECTORS, FAMILIES, HONEST, Geometry, geometry_by_hand, geometry_of, released

TABLE = {
    "draem": ("256", "truncate", "", "smooth21_max", "mvtec3d-100", "folder"),
    "anomalydiffusion": ("256", "truncate", "any", "smooth21_max", "mvtec3d-100", "folder"),
    "memseg": ("256", "truncate-bicubic", "any-bicubic", "top100", "full", "folder"),
    "destseg": ("256", "half", "", "top100", "anomalib<2.3", "mask"),
    "uniadc": ("512", "nearest", "", "top100", "uniform-200/max", "mask"),
    "lfd": ("256", "any-bilinear", "", "max", "mvtec", "folder"),
    "ader": ("256", "half-bilinear", "", "max", "uniform-200/minmax", "mask"),
    "mvtec": ("native", "default", "", "own", "mvtec", "folder"),
}
"""The metrics' specification, sections 1.1-1.3 and 4.2."""


@pytest.fixture(scope="module")
def inspector(model: Path) -> Inspector:
    return Inspector.load(model)


@pytest.fixture(scope="module")
def as_memseg(inspector: Inspector, tiles: Path) -> Evaluation:
    return evaluate(inspector, load(tiles), protocol="as_released:memseg")


def test_every_family_does_what_the_specification_says() -> None:
    for name, family in FAMILIES.items():
        g = family.geometry
        assert (g.resolution, g.mask_rule, g.pro_mask_rule, g.image_score, g.pro, g.labels) == TABLE[name], name
    assert FAMILIES.keys() == TABLE.keys()
    assert {name for name, family in FAMILIES.items() if family.geometry.global_minmax} == {"uniadc"}
    assert "this was not done" in geometry_of("as_released:uniadc", "patchcore").details["classification"]
    assert set(DETECTORS.values()) <= FAMILIES.keys()


def test_a_detector_is_evaluated_as_its_own_code_does_and_the_record_says_what_was_not_done() -> None:
    geometry = geometry_of("as_released", "memseg")
    assert geometry == geometry_of("as_released:memseg", "patchcore") == released(FAMILIES["memseg"])
    assert "chooses its checkpoint by its score on the test set; this was not done" in geometry.details["selection"]
    assert "TooTouch/MemSeg" in geometry.details["released"]
    assert "selection" not in geometry_of("as_released:uniadc", "patchcore").details
    assert "never calls the AUPRO" in geometry_of("as_released:uniadc", "patchcore").details["note"]


def test_a_detector_without_a_released_evaluation_is_refused_with_a_way_out() -> None:
    with pytest.raises(
        BadParameter, match=r"patchcore has no as_released protocol of its own; .* as_released:NAME with one of draem"
    ):
        geometry_of("as_released", "patchcore")


def test_what_as_released_decides_is_not_asked_for_beside_it() -> None:
    with pytest.raises(BadParameter, match="as_released decides resolution"):
        geometry_of("as_released", "memseg", Geometry(resolution="512"))
    assert geometry_of("honest", "memseg", Geometry(pro="full")) == Geometry(pro="full")


@pytest.mark.parametrize("protocol", ["as_relased", "honest:memseg", "as_released:memsec"])
def test_an_unknown_protocol_offers_the_nearest(protocol: str) -> None:
    with pytest.raises(UnknownName, match="did you mean"):
        geometry_of(protocol, "memseg")


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (("265", "default", "own", "mvtec"), "no resolution '265'; did you mean 256"),
        (("native", "truncat", "own", "mvtec"), "no mask rule 'truncat'; did you mean truncate"),
        (("native", "default", "top10", "mvtec"), "no image score 'top10'; did you mean top100"),
        (("native", "default", "own", "ful"), "no AUPRO variant 'ful'; did you mean full"),
    ],
)
def test_an_unknown_choice_offers_the_nearest(choice: tuple[str, str, str, str], told: str) -> None:
    with pytest.raises(UnknownName, match=told):
        geometry_by_hand(*choice)
    assert geometry_by_hand("native", "default", "own", "mvtec") == HONEST


def test_as_memseg_is_what_its_code_computes(as_memseg: Evaluation, inspector: Inspector, tiles: Path) -> None:
    samples = [result.sample for result in as_memseg.results]
    maps = [p.map for p in inspector.predict(resize_image(sample.image(), (256, 256)) for sample in samples)]
    labels = [not sample.is_normal for sample in samples]
    scores = [np.sort(each.ravel())[-100:].mean() for each in maps]
    assert as_memseg["image_auroc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    truth = [mask_as(sample, (256, 256), "truncate-bicubic") for sample in samples]
    pixels = np.concatenate([each.ravel() for each in truth]), np.concatenate([each.ravel() for each in maps])
    assert as_memseg["pixel_ap"] == pytest.approx(average_precision_score(*pixels), abs=1e-9)
    assert as_memseg["pixel_aupro"] > evaluate(inspector, load(tiles))["pixel_aupro"]  # its own integrates the whole curve


def test_every_record_carries_the_protocol_the_geometry_and_the_split(as_memseg: Evaluation) -> None:
    assert as_memseg.protocol == "as_released"
    values = [*as_memseg.metrics.values(), *(value for row in as_memseg.per_defect.values() for value in row.values())]
    for value in values:
        assert value.record.protocol == "as_released"
        assert value.record.resolution == "256"
        assert value.record.details["released"].startswith("memseg:")
        assert as_memseg.split["digest"].startswith(value.record.details["split"])
    assert as_memseg.metrics["pixel_ap"].record.mask_rule == "truncate-bicubic"
    aupro = as_memseg.metrics["pixel_aupro"].record
    assert (aupro.mask_rule, aupro.curve, aupro.fpr_limit) == ("any-bicubic", "full", None)
    assert as_memseg.metrics["image_auroc"].record.image_score == "top100"
    assert all("pixel_aupro" not in row for row in as_memseg.per_defect.values())
    assert any("image metrics are of top100" in warning for warning in as_memseg.warnings)


def test_honest_is_the_default_and_says_so(inspector: Inspector, tiles: Path) -> None:
    record = evaluate(inspector, load(tiles)).metrics["image_auroc"].record
    assert (record.protocol, record.resolution, record.image_score) == ("honest", "native", "own")
    assert set(record.details) == {"split"}


def test_a_geometry_by_hand_is_in_the_record(inspector: Inspector, tiles: Path, as_memseg: Evaluation) -> None:
    found = evaluate(inspector, load(tiles), geometry=Geometry("512", "any", "topk_fraction", "mvtec3d-100"))
    record = found.metrics["pixel_aupro"].record
    assert (record.resolution, record.mask_rule, record.curve, record.protocol) == ("512", "any", "mvtec3d-100", "honest")
    assert found.metrics["image_ap"].record.image_score == "topk_fraction"
    assert found.results[0].prediction.map.shape == (512, 512)
    assert found.metrics["pixel_ap"].record.differences(as_memseg.metrics["pixel_ap"].record)
    area = evaluate(inspector, load(tiles), geometry=Geometry("256")).metrics["pixel_ap"].record.mask_rule
    assert area is not None
    assert area.startswith("area, after ")


@pytest.fixture(scope="module")
def with_a_blank_mask(tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's test images elsewhere; the defects are squares, and one of them is grey: gone where only 255 stays."""
    import shutil

    root = shutil.copytree(tiles / "test", tmp_path_factory.mktemp("blank") / "tiles" / "test").parent
    for number, file in enumerate(sorted((tiles / "ground_truth").rglob("*.png"))):
        mask = np.zeros(cv2.imread(str(file), 0).shape, np.uint8)
        mask[40:50, 40:50] = 255 if number else 200
        target = root / file.relative_to(tiles)
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), mask)
    return root


def anomalies(inspector: Inspector, data: Path, geometry: Geometry) -> tuple[int, int, int, str]:
    """Anomalies at image level and at pixel level, those left out there, and what is said."""
    found = evaluate(inspector, load(data), geometry=geometry)
    image, pixel = found.metrics["image_auroc"].record, found.metrics["pixel_ap"].record
    return image.anomalies, pixel.anomalies, pixel.excluded, " ".join(found.warnings)


def test_what_becomes_of_a_mask_that_is_empty_once_resized(inspector: Inspector, with_a_blank_mask: Path) -> None:
    assert anomalies(inspector, with_a_blank_mask, Geometry("256", "half"))[:3] == (8, 8, 0)
    *counts, told = anomalies(inspector, with_a_blank_mask, Geometry("256", "truncate"))
    assert (counts, "count for image metrics and are left out of pixel metrics" in told) == ([8, 7, 1], True)
    *counts, told = anomalies(inspector, with_a_blank_mask, Geometry("256", "truncate", labels="mask"))
    assert (counts, "1 defective image has an empty mask here" in told, "count as good" in told) == ([7, 7, 0], True, True)
    *counts, told = anomalies(inspector, with_a_blank_mask, Geometry("256", "truncate", blank="background"))
    assert (counts, "all background for pixel metrics" in told) == ([8, 7, 0], True)


def test_pixels_of_an_empty_mask_count_as_background_where_released_code_pools_them(
    inspector: Inspector, with_a_blank_mask: Path
) -> None:
    found = evaluate(inspector, load(with_a_blank_mask), protocol="as_released:draem")
    record = found.metrics["pixel_ap"].record
    assert (record.pixels, record.details["empty masks"]) == (14 * 256 * 256, "count as background")
    left = evaluate(inspector, load(with_a_blank_mask), geometry=Geometry("256", "truncate"))
    assert left.metrics["pixel_ap"].record.pixels == 13 * 256 * 256
    assert found["pixel_ap"] != left["pixel_ap"]


def kind_with_a_blank_mask(data: Path) -> str:
    return sorted((data / "ground_truth").rglob("*.png"))[0].parent.name


def test_rows_of_a_kind_have_the_protocols_labels(inspector: Inspector, with_a_blank_mask: Path) -> None:
    kind = kind_with_a_blank_mask(with_a_blank_mask)
    found = evaluate(inspector, load(with_a_blank_mask), geometry=Geometry("256", "truncate", labels="mask"))
    records = {name: row["image_auroc"].record for name, row in found.per_defect.items()}
    counts = {name: (record.anomalies, record.normals) for name, record in records.items()}
    assert counts == {name: (1 if name == kind else 2, 7) for name in found.per_defect}
    assert len(counts) == 4
    assert found.per_defect[kind]["pixel_ap"].record.excluded == 0


def test_rows_of_a_kind_pool_the_pixels_of_its_empty_masks(inspector: Inspector, with_a_blank_mask: Path) -> None:
    kind = kind_with_a_blank_mask(with_a_blank_mask)
    data = load(with_a_blank_mask)
    found = evaluate(inspector, data, geometry=Geometry("256", "truncate", blank="background"))
    records = [row["pixel_ap"].record for row in found.per_defect.values()]
    assert {(record.pixels, record.excluded) for record in records} == {(8 * 256**2, 0)}
    mine = [result for result in found.results if result.sample.defect in (kind, "good")]
    truth = np.stack([mask_as(result.sample, (256, 256), "truncate") for result in mine])
    maps = np.stack([result.prediction.map for result in mine])
    row = found.per_defect[kind]
    assert row["pixel_ap"].value == pytest.approx(average_precision_score(truth.ravel(), maps.ravel()), abs=1e-9)
    assert row["pixel_auroc"].value == pytest.approx(roc_auc_score(truth.ravel(), maps.ravel()), abs=1e-9)
    assert row["image_auroc"].record.anomalies == 2
    left = evaluate(inspector, data, geometry=Geometry("256", "truncate")).per_defect[kind]
    assert (left["pixel_ap"].record.pixels, left["pixel_ap"].record.excluded) == (7 * 256**2, 1)
    assert left["pixel_aupro"].value != row["pixel_aupro"].value


def test_a_kind_whose_masks_are_all_empty_has_no_positive(inspector: Inspector, with_a_blank_mask: Path, tmp_path: Path) -> None:
    import shutil

    kind = kind_with_a_blank_mask(with_a_blank_mask)
    root = shutil.copytree(with_a_blank_mask, tmp_path / "tiles")
    for file in (root / "ground_truth" / kind).glob("*.png"):
        cv2.imwrite(str(file), np.minimum(cv2.imread(str(file), 0), 200))
    found = evaluate(inspector, load(root), geometry=Geometry("256", "truncate", blank="background"))
    assert found.per_defect[kind]["pixel_ap"].reason == "no_positive"
    assert found.per_defect[kind]["image_auroc"].record.anomalies == 2
    by_mask = evaluate(inspector, load(root), geometry=Geometry("256", "truncate", labels="mask"))
    assert kind not in by_mask.per_defect
    assert len(by_mask.per_defect) == 3


def test_pixel_metrics_have_intervals_up_to_many_pixels_or_where_asked(
    inspector: Inspector, tiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = ("pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_aupro")
    found = evaluate(inspector, load(tiles))
    for name in pixels:
        value = found.metrics[name]
        assert value.interval is not None
        assert value.interval.low <= value.value <= value.interval.high
    assert all(evaluate(inspector, load(tiles), pixel_resamples=0).metrics[name].interval is None for name in pixels)
    monkeypatch.setattr(measuring, "MOST_PIXELS", 1000)
    assert all(evaluate(inspector, load(tiles)).metrics[name].interval is None for name in pixels)
    pooled = evaluate(inspector, load(tiles), protocol="as_released:lfd", pixel_resamples=20)
    assert all(pooled.metrics[name].interval.resamples == 20 for name in pixels)


def comparable(evaluation: Evaluation) -> dict[str, Any]:
    told = evaluation.to_json()
    return {key: value for key, value in told.items() if key not in ("timings", "environment")}


@pytest.mark.parametrize("protocol", ["honest", "as_released:memseg"])
def test_spooling_changes_no_byte_of_the_results(
    inspector: Inspector, tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    held = evaluate(inspector, load(tiles), protocol=protocol)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spooled = evaluate(inspector, load(tiles), protocol=protocol, memory=200_000)
    assert json.dumps(comparable(spooled)) == json.dumps(comparable(held))
    for one, other in zip(held.results, spooled.results, strict=True):
        assert one.prediction.map.tobytes() == other.prediction.map.tobytes()
    assert held.results[0].prediction.map.flags.owndata
    assert not spooled.results[0].prediction.map.flags.owndata
    assert list(tmp_path.iterdir()) == []


def test_each_image_and_each_mask_is_read_once(inspector: Inspector, tiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flawsmith.core.samples import Sample

    samples = [sample for sample in load(tiles).samples if sample.split == "test"]
    read: list[str] = []
    image, mask = Sample.image, Sample.mask
    monkeypatch.setattr(Sample, "image", lambda self: read.append(f"image {self.id}") or image(self))
    monkeypatch.setattr(Sample, "mask", lambda self: read.append(f"mask {self.id}") or mask(self))
    look(inspector, samples, HONEST, memory=0)
    assert sorted(read) == sorted(
        [f"image {sample.id}" for sample in samples] + [f"mask {sample.id}" for sample in samples if not sample.is_normal]
    )


def test_no_temporary_file_is_left_by_an_evaluation_that_fails(
    inspector: Inspector, tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [sample for sample in load(tiles).samples if sample.split == "test"]

    def broken(self: Inspector, images: Any) -> Iterator[Prediction]:
        for number, each in enumerate(images):
            if number == 5:
                raise DataError("E_NOT_FINITE", "the sixth image is broken")
            yield Prediction(0.0, np.zeros(each.shape[:2], np.float32))

    monkeypatch.setattr(Inspector, "predict", broken)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a file that is not closed warns
        with pytest.raises(DataError, match="the sixth image"):
            look(inspector, samples, HONEST, memory=0)
    assert list(tmp_path.iterdir()) == []


def test_a_full_temporary_folder_is_told_in_one_line(
    inspector: Inspector, tiles: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    samples = [sample for sample in load(tiles).samples if sample.split == "test"]
    with pytest.raises(OutputError, match="no temporary file can be written"):
        look(inspector, samples, HONEST, memory=0)


def test_extra_metrics_are_measured_where_they_are_asked_for(inspector: Inspector, tiles: Path) -> None:
    found = evaluate(inspector, load(tiles), require=["pixel_iou_max", "pixel_iou_oracle"])
    assert found["pixel_iou_oracle"] >= 0
    assert found.metrics["pixel_iou_oracle"].record.details["split"]
    assert "pixel_iou_max" not in evaluate(inspector, load(tiles)).metrics
    with pytest.raises(DataError, match=r"image_auroc_logical was asked .* expected a test set with the defect") as caught:
        evaluate(inspector, load(tiles), require=["image_auroc_logical"])
    assert caught.value.code == "E_UNDEFINED"
