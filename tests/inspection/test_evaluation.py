import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from flawsmith.core.errors import DataError, NoPixelTruth, UnknownName
from flawsmith.core.samples import Sample
from flawsmith.data import load
from flawsmith.data.dataset import Dataset
from flawsmith.data.fingerprints import digest_of
from flawsmith.inspection.evaluation import Evaluation, evaluate
from flawsmith.inspection.inspector import Inspector
from flawsmith.inspection.training import train


@pytest.fixture(scope="module")
def inspector(model: Path) -> Inspector:
    return Inspector.load(model)


@pytest.fixture(scope="module")
def result(inspector: Inspector, tiles: Path) -> Evaluation:
    return evaluate(inspector, load(tiles))


def test_the_metrics_are_those_of_an_independent_library(result: Evaluation):
    labels = [not r.sample.is_normal for r in result.results]
    scores = [r.prediction.score for r in result.results]
    assert result["image_auroc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    assert result["image_ap"] == pytest.approx(average_precision_score(labels, scores), abs=1e-9)
    truth = np.concatenate([r.sample.mask().ravel() for r in result.results])
    heat = np.concatenate([r.prediction.map.ravel() for r in result.results])
    assert result["pixel_auroc"] == pytest.approx(roc_auc_score(truth, heat), abs=1e-9)


def test_a_trained_trunk_finds_the_toy_defects(result: Evaluation):
    assert result["image_auroc"] > 0.9


def test_only_the_test_side_is_measured(result: Evaluation):
    assert {r.sample.split for r in result.results} == {"test"}
    assert (result.split["test"], result.split["test_anomalous"]) == (14, 8)


def test_it_survives_json_and_every_value_has_its_record(result: Evaluation):
    told = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert len(told["images"]) == 14
    assert all("record" in value for value in told["metrics"].values())
    assert set(told["per_defect"]) == {"scratch", "spot", "smear", "stain"}


def test_an_unknown_metric_offers_the_nearest(inspector: Inspector, tiles: Path, result: Evaluation):
    with pytest.raises(UnknownName, match="did you mean image_auroc"):
        evaluate(inspector, load(tiles), require=["image_aurok"])
    with pytest.raises(UnknownName, match="did you mean image_auroc"):
        result["image_aurok"]


@pytest.mark.parametrize("turn", [np.copy, np.fliplr, np.rot90], ids=["as it is", "mirrored", "turned"])
def test_a_training_image_in_another_folder_is_a_leak(inspector: Inspector, tiles: Path, tmp_path: Path, turn):
    shutil.copytree(tiles / "test", tmp_path / "new" / "test")
    image = cv2.imread(str(tiles / "train" / "good" / "003.png"))
    cv2.imwrite(str(tmp_path / "new" / "test" / "good" / "copied.bmp"), turn(image))
    with pytest.raises(DataError, match=r"copied\.bmp is, perhaps turned, among the images") as caught:
        evaluate(inspector, load(tmp_path / "new"))
    assert caught.value.code == "E_DUPLICATE"


def test_pixel_metrics_without_masks_are_undefined_or_refused(inspector: Inspector, tiles: Path, tmp_path: Path):
    shutil.copytree(tiles / "test", tmp_path / "bare" / "test")
    data = load(tmp_path / "bare")
    assert evaluate(inspector, data).metrics["pixel_ap"].reason == "no_masks"
    with pytest.raises(NoPixelTruth, match="pixel_ap was asked"):
        evaluate(inspector, data, require=["pixel_ap"])


def test_a_moved_folder_is_the_same_data(inspector: Inspector, tiles: Path, tmp_path: Path, result: Evaluation):
    moved = shutil.copytree(tiles, tmp_path / "elsewhere" / "tiles")
    assert evaluate(inspector, load(moved)).to_json()["images"] == result.to_json()["images"]


def test_other_pictures_under_the_same_names_are_other_data(inspector: Inspector, tiles: Path, tmp_path: Path):
    other = shutil.copytree(tiles, tmp_path / "tiles")
    for file in (other / "train").rglob("*.png"):
        cv2.imwrite(str(file), 255 - cv2.imread(str(file)))
    found = evaluate(inspector, load(other))
    assert "other data for testing" in found.split["policy"]
    assert "24 images" in found.warnings[-1]


def test_another_product_is_said_and_several_are_refused(inspector: Inspector, tiles: Path, tmp_path: Path):
    shutil.copytree(tiles / "test", tmp_path / "two" / "bottle" / "test")
    single = load(tmp_path / "two" / "bottle")
    assert "trained on tiles; these images are of bottle" in evaluate(inspector, single).warnings[-1]
    shutil.copytree(tiles / "test", tmp_path / "two" / "cable" / "test")
    with pytest.raises(UnknownName, match="no product 'tiles'"):
        evaluate(inspector, load(tmp_path / "two"))


def test_flags_of_the_own_split_are_not_told_of_other_data(inspector: Inspector, tiles: Path, tmp_path: Path):
    told = ("has only 2 of 9 anomalies left to test", "the split has only 2 of 9 anomalies left to test", "W_NEAR: some")
    flagged = replace(
        inspector,
        split=replace(inspector.split, flags=told[:1]),
        origin=replace(inspector.origin, warnings=told[1:]),
    )
    own = evaluate(flagged, load(tiles))
    assert (own.split["flags"], set(told[1:]) <= set(own.warnings)) == ([told[0]], True)
    shutil.copytree(tiles / "test", tmp_path / "bottle" / "test")
    other = evaluate(flagged, load(tmp_path / "bottle"))
    assert other.split["flags"] == []
    assert told[1] not in other.warnings
    assert told[2] in other.warnings


def test_a_required_metric_that_is_undefined_is_refused_with_its_reason(inspector: Inspector, tiles: Path, tmp_path: Path):
    shutil.copytree(tiles / "test" / "good", tmp_path / "good" / "test" / "good")
    with pytest.raises(DataError, match=r"image_auroc was asked and is undefined \(no_positive\)"):
        evaluate(inspector, load(tmp_path / "good"), require=["image_auroc"])


def test_the_training_data_under_other_names_is_known(inspector: Inspector, tiles: Path, tmp_path: Path, result: Evaluation):
    for file in tiles.rglob("*.png"):
        if "ground_truth" not in file.parts:
            target = tmp_path / "renamed" / ("good" if "good" in file.parts else "bad") / f"{'-'.join(file.parts[-3:])}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    found = evaluate(inspector, load(tmp_path / "renamed"))
    assert "24 images that were learned from were left out" in found.warnings[-1]
    assert sorted(r.prediction.score for r in found.results) == sorted(r.prediction.score for r in result.results)


def refused(inspector: Inspector, data: Dataset, code: str) -> DataError:
    with pytest.raises(DataError) as caught:
        evaluate(inspector, data)
    assert caught.value.code == code
    return caught.value


def changed(data: Dataset, change: Callable[[Sample], Sample]) -> Dataset:
    return replace(data, samples=tuple(change(sample) for sample in data.samples))


def test_synthetic_pictures_are_no_test_images(inspector: Inspector, tiles: Path, tmp_path: Path):
    root = shutil.copytree(tiles / "test", tmp_path / "test").parent
    lines = ["image_path,split,class_name,origin"]
    for number, file in enumerate(sorted((root / "test").rglob("*.png"))):
        lines.append(f"{file.relative_to(root)},test,{file.parent.name},{'real' if number % 3 else 'synthetic'}")
    (root / "list.csv").write_text("\n".join(lines))
    error = refused(inspector, load(root / "list.csv"), "E_SYNTHETIC")
    assert len(error.files) == 5
    assert "is synthetic and in the test split" in str(error)


def test_what_was_made_from_a_test_picture_is_no_training_image(inspector: Inspector, tiles: Path):
    data = load(tiles)
    tested = next(sample for sample in data.samples if sample.split == "test")
    made = {"reference_sha256": digest_of(tested.image())}
    first = next(sample.id for sample in data.samples if sample.split == "train")
    leak = changed(data, lambda s: replace(s, origin="synthetic", tags=made) if s.id == first else s)
    assert "was made from a picture of the test split" in str(refused(inspector, leak, "E_SYNTHETIC"))


def test_one_picture_under_two_labels_is_refused(inspector: Inspector, tiles: Path, tmp_path: Path):
    shutil.copytree(tiles / "test", tmp_path / "new" / "test")
    for stem in ("000", "001"):
        shutil.copy(next((tiles / "test" / "good").glob(f"*{stem}.png")), tmp_path / "new" / "test" / "scratch" / f"g{stem}.png")
    error = refused(inspector, load(tmp_path / "new"), "E_LABEL_CONFLICT")
    assert len(error.files) == 4
    assert "expected one label for one picture" in str(error)


def test_a_group_on_both_sides_of_the_inspectors_own_split_is_refused(inspector: Inspector, tiles: Path):
    torn = {"tiles/train/good/000", "tiles/test/good/000"}
    data = load(tiles)
    assert torn <= {sample.id for sample in data.samples}
    error = refused(inspector, changed(data, lambda s: replace(s, group="one piece") if s.id in torn else s), "E_GROUP")
    assert "are of one group (one piece)" in str(error)


@pytest.fixture
def marked(tiles: Path, tmp_path: Path) -> Path:
    """The tiles, two of whose good test images have a mask that marks something; a third has a blank one."""
    root = shutil.copytree(tiles, tmp_path / "marked" / "tiles")
    for number, file in enumerate(sorted((root / "test" / "good").glob("*.png"))[:3]):
        mask = np.zeros(cv2.imread(str(file), 0).shape, np.uint8)
        mask[:20] = 255 * (number < 2)
        target = root / "ground_truth" / "good" / f"{file.stem}_mask.png"
        target.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(target), mask)
    return root


def test_a_mask_that_marks_a_good_image_is_refused_and_all_are_named(inspector: Inspector, marked: Path):
    error = refused(inspector, load(marked), "E_MASK_ON_NORMAL")
    assert "marks a defect on test/good/" in str(error)
    assert len(error.files) == 2
    with pytest.raises(DataError, match="a good image; expected a blank mask") as caught:
        train(load(marked), "patchcore", settings=["patchcore.size=64"])
    assert (caught.value.code, caught.value.files) == ("E_MASK_ON_NORMAL", error.files)
    for file in error.files:
        Path(file).unlink()
    assert evaluate(inspector, load(marked)).metrics["pixel_ap"].defined
