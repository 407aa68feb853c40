import json
import math
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from flawsmith.core.errors import BadParameter, DataError, NoPixelTruth, OverBudget, UnknownName
from flawsmith.metrics import METRIC_IDS, per_defect, score_maps, score_stream

Case = tuple[list[NDArray[np.float32]], list[NDArray[np.bool_]]]


@pytest.fixture
def case() -> Case:
    """Three normals and five anomalies of different sizes, half found."""
    rng = np.random.default_rng(5)
    maps, masks = [], []
    for i in range(8):
        shape = (12 + i, 20 - i)
        mask = np.zeros(shape, bool)
        if i >= 3:
            mask[2 : 4 + i // 2, 3:7] = True
        maps.append((rng.standard_normal(shape) + 1.5 * mask).astype(np.float32))
        masks.append(mask)
    return maps, masks


def test_every_id_is_there_in_order_with_its_record(case: Case) -> None:
    found = score_maps(*case)
    assert tuple(found) == METRIC_IDS
    assert len(found) == len(METRIC_IDS)
    for key, value in found.items():
        assert value.defined
        assert value.record.metric == key
    assert found["pixel_aupro"].record.connectivity == 8
    assert found["pixel_aupro"].record.fpr_limit == 0.3
    assert found["image_auroc"].record.image_score == "max"
    assert found["pixel_ap"].record.image_score is None


def test_agrees_with_scikit_learn_on_pooled_pixels_of_different_sizes(case: Case) -> None:
    maps, masks = case
    found = score_maps(maps, masks)
    truth, scores = np.concatenate([m.ravel() for m in masks]), np.concatenate([m.ravel() for m in maps])
    assert found["pixel_auroc"].value == pytest.approx(roc_auc_score(truth, scores), abs=1e-9)
    assert found["pixel_ap"].value == pytest.approx(average_precision_score(truth, scores), abs=1e-9)
    labels, tops = [int(m.any()) for m in masks], [m.max() for m in maps]
    assert found["image_auroc"].value == pytest.approx(roc_auc_score(labels, tops), abs=1e-9)
    assert found.prevalence["image"] == 5 / 8
    assert found.prevalence["pixel"] == pytest.approx(truth.mean())


def test_counts_are_in_the_record(case: Case) -> None:
    maps, masks = case
    record = score_maps(maps, masks)["pixel_auroc"].record
    assert (record.images, record.normals, record.anomalies, record.excluded) == (8, 3, 5, 0)
    assert record.pixels == sum(m.size for m in maps)
    assert record.positive_pixels == sum(int(m.sum()) for m in masks)
    assert record.regions == 5


def test_given_scores_are_used_and_named(case: Case) -> None:
    maps, masks = case
    found = score_maps(maps, masks, scores=[0, 0, 0, 1, 1, 1, 1, 1])
    assert found["image_auroc"].value == 1.0
    assert found["image_auroc"].record.image_score == "given"


def test_top100_is_the_mean_of_the_hundred_highest_or_of_all() -> None:
    small, large = np.arange(12.0).reshape(3, 4), np.arange(400.0).reshape(20, 20)
    found = score_maps([small, large], None, labels=[0, 1], image_score="top100", resamples=0)
    assert found.thresholds["image_f1max"] == np.arange(300, 400).mean()
    with pytest.raises(UnknownName, match="top100"):
        score_maps([small], None, labels=[0], image_score="top10")


def test_empty_mask_on_an_anomaly_counts_for_images_and_not_for_pixels(case: Case) -> None:
    maps, masks = case
    before = score_maps(maps[:-1], masks[:-1], labels=[0, 0, 0, 1, 1, 1, 1])
    masks[-1] = np.zeros_like(masks[-1])
    found = score_maps(maps, masks, labels=[0, 0, 0, 1, 1, 1, 1, 1])
    assert found["image_auroc"].record.anomalies == 5
    assert found["pixel_ap"].record.excluded == 1
    assert found["pixel_ap"].record.anomalies == 4
    for key in ("pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_aupro"):
        assert found[key].value == before[key].value


def test_anomaly_without_mask_is_left_out_of_pixels_and_counted(case: Case) -> None:
    maps, masks = case
    found = score_maps(maps, [*masks[:-1], None], labels=[0, 0, 0, 1, 1, 1, 1, 1])
    assert found["pixel_ap"].defined
    assert found["pixel_ap"].record.excluded == 1


def test_normals_need_no_mask(case: Case) -> None:
    maps, masks = case
    labels = [0, 0, 0, 1, 1, 1, 1, 1]
    assert score_maps(maps, [None] * 3 + masks[3:], labels)["pixel_ap"] == score_maps(maps, masks, labels)["pixel_ap"]


def test_no_masks_at_all_leaves_image_metrics_and_says_why(case: Case) -> None:
    found = score_maps(case[0], None, labels=[0, 0, 0, 1, 1, 1, 1, 1])
    assert found["image_auroc"].defined
    assert {found[key].reason for key in METRIC_IDS if key.startswith("pixel")} == {"no_masks"}
    assert math.isnan(found.thresholds["pixel_f1max"])
    with pytest.raises(NoPixelTruth, match="5 anomalous images have no mask"):
        score_maps(case[0], None, labels=[0, 0, 0, 1, 1, 1, 1, 1], require_pixels=True)


def test_all_normal_and_all_anomalous_sets(case: Case) -> None:
    maps, masks = case
    normal = score_maps(maps[:3], masks[:3])
    assert {value.reason for value in normal.values()} == {"no_positive"}
    anomalous = score_maps(maps[3:], masks[3:])
    assert anomalous["image_auroc"].reason == "no_negative"
    assert anomalous["pixel_auroc"].defined
    full = score_maps([np.ones((2, 2))], [np.ones((2, 2), bool)])
    assert full["pixel_aupro"].reason == "no_negative"


def test_json_has_no_nan(case: Case) -> None:
    text = json.dumps(score_maps(case[0][:3], case[1][:3]).to_json(), allow_nan=False)
    assert json.loads(text)["thresholds"]["image_f1max"] is None


def test_interval_covers_the_value_is_seeded_and_can_be_left_out(case: Case) -> None:
    first, second = score_maps(*case), score_maps(*case)
    interval = first["image_auroc"].interval
    assert interval is not None
    assert interval == second["image_auroc"].interval
    assert interval.low <= first["image_auroc"].value <= interval.high
    assert interval != score_maps(*case, seed=1)["image_auroc"].interval
    assert first["pixel_auroc"].interval is None
    assert score_maps(*case, resamples=0)["image_auroc"].interval is None


def test_interval_of_perfect_scores_is_a_point(case: Case) -> None:
    interval = score_maps(*case, scores=[0, 0, 0, 1, 1, 1, 1, 1])["image_ap"].interval
    assert interval is not None
    assert (interval.low, interval.high) == (1.0, 1.0)


def test_dtypes_that_hold_the_same_numbers_give_the_same_metrics(case: Case) -> None:
    maps = [np.round(m * 8).clip(-100, 100) for m in case[0]]
    expected = score_maps(maps, case[1])
    for dtype in (np.float16, np.float64, np.int8, np.int64):
        found = score_maps([m.astype(dtype) for m in maps], case[1])
        assert {k: v.value for k, v in found.items()} == {k: v.value for k, v in expected.items()}


def test_float64_maps_keep_what_float32_would_tie() -> None:
    mask = np.array([[True, False]])
    assert score_maps([np.array([[1 + 1e-12, 1.0]])], [mask])["pixel_auroc"].value == 1.0


def test_boolean_maps_and_masks_of_zeros_and_255(case: Case) -> None:
    masks = case[1]
    found = score_maps([m.copy() for m in masks], [m.astype(np.uint8) * 255 for m in masks])
    assert found["pixel_aupro"].value == 1.0


def test_one_array_of_maps_and_masks_works() -> None:
    masks = np.zeros((4, 5, 5), bool)
    masks[2:, 1, 1] = True
    assert score_maps(masks.astype(np.float32), masks)["pixel_ap"].value == 1.0


def test_the_callers_arrays_are_left_alone(case: Case) -> None:
    copies = [m.copy() for m in case[0]]
    for m in (*case[0], *case[1]):
        m.flags.writeable = False
    score_maps(*case)
    assert all(np.array_equal(a, b) for a, b in zip(copies, case[0], strict=True))


def test_curves_end_where_they_should_and_stay_small() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((200, 200), bool)
    mask[50:150, 50:150] = True
    curves = score_maps([rng.standard_normal(mask.shape) + mask], [mask]).curves
    assert set(curves) == {"pixel_roc", "pixel_pr", "pixel_pro"}
    for name in ("pixel_roc", "pixel_pro"):
        x, y = curves[name]
        assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
        assert len(x) <= 1002
        assert (np.diff(x) >= 0).all()
        assert (np.diff(y) >= 0).all()


DEFECTS = ["good", "good", "good", "crack", "crack", "pit", "pit", "pit"]


def test_each_defect_is_measured_against_all_normals(case: Case) -> None:
    maps, masks = case
    rows = per_defect(maps, masks, DEFECTS)
    assert list(rows) == ["crack", "pit"]
    for name, row in rows.items():
        chosen = [i for i, each in enumerate(DEFECTS) if each in ("good", name)]
        alone = score_maps([maps[i] for i in chosen], [masks[i] for i in chosen], resamples=0)
        assert row == {key: alone[key] for key in ("image_auroc", "pixel_auroc", "pixel_ap", "pixel_aupro")}
    assert rows["pit"]["image_auroc"].record.anomalies == 3


def test_a_defect_without_masks_says_so_and_the_others_do_not(case: Case) -> None:
    maps, masks = case
    rows = per_defect(maps, [*masks[:5], None, None, None], DEFECTS)
    assert rows["crack"]["pixel_ap"].defined
    assert rows["pit"]["pixel_ap"].reason == "no_masks"
    assert rows["pit"]["pixel_ap"].record.excluded == 3
    assert per_defect(maps, None, DEFECTS)["crack"]["pixel_ap"].reason == "no_masks"


def test_no_normals_and_no_defects(case: Case) -> None:
    assert per_defect(case[0][3:], case[1][3:], DEFECTS[3:])["pit"]["image_auroc"].reason == "no_negative"
    assert per_defect(case[0][:3], case[1][:3], DEFECTS[:3]) == {}


def test_a_set_over_the_memory_budget_is_refused_before_work(case: Case) -> None:
    with pytest.raises(OverBudget, match=r"pixel metrics of .* need .* raise memory="):
        score_maps(*case, memory=1000)
    with pytest.raises(OverBudget):
        per_defect(*case, DEFECTS, memory=1000)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_map_that_is_not_finite_names_its_image(case: Case, value: float) -> None:
    case[0][4][2, 2] = value
    with pytest.raises(DataError, match=r"the map of tile-4 has 1 pixels that are NaN or infinite") as error:
        score_maps(*case, names=[f"tile-{i}" for i in range(8)])
    assert (error.value.code, error.value.files) == ("E_NOT_FINITE", ("tile-4",))


def test_mask_of_another_size_names_its_image(case: Case) -> None:
    case[1][2] = np.zeros((3, 3), bool)
    with pytest.raises(DataError, match=r"the mask of image 2 is 3×3, its map 14×18") as error:
        score_maps(*case)
    assert error.value.code == "E_SIZE"


@pytest.mark.parametrize("odd", [7, 128])
def test_mask_with_other_values_is_refused(case: Case, odd: int) -> None:
    masks = [m.astype(np.uint8) * 255 for m in case[1]]
    masks[6][0, 0] = odd
    with pytest.raises(DataError, match=f"the mask of image 6 holds {odd}; expected booleans") as error:
        score_maps(case[0], masks)
    assert error.value.code == "E_MASK_VALUES"


def test_mask_that_mixes_one_and_255_or_holds_text_is_refused(case: Case) -> None:
    told = {
        "both 1 and 255": np.array([[0, 1, 255]]),
        "values of type <U1": np.array([["a", "b", "c"]]),
        "0.5": np.array([[0.0, 0.5, 0.7]]),
        "nan": np.array([[0.0, 1.0, math.nan]]),
    }
    for what, bad in told.items():
        with pytest.raises(DataError, match=f"the mask of image 0 holds {what}; expected booleans, 0/1 or 0/255"):
            score_maps([np.zeros((1, 3))], [bad], labels=[1])


def test_mask_on_a_normal_is_refused(case: Case) -> None:
    with pytest.raises(
        DataError, match=r"image 3 is labelled good, and its mask marks 12 pixels; expected .*: repair the mask"
    ) as error:
        score_maps(*case, labels=[0, 0, 0, 0, 1, 1, 1, 1])
    assert error.value.code == "E_MASK_ON_NORMAL"


@pytest.mark.parametrize(
    "change",
    [
        {"labels": [0, 1]},
        {"scores": [0.5]},
        {"names": ["a"]},
        {"masks": []},
        {"labels": None, "masks": None},
        {"labels": [[0]] * 3 + [[1]] * 5},
        {"labels": (int(i > 2) for i in range(8))},
        {"scores": [[0.5]] * 8},
        {"scores": ["x"] * 8},
        {"scores": dict.fromkeys(range(8), 0.5)},
        {"masks": (None for _ in range(8))},
        {"maps": {f"a{i}": np.zeros((2, 2)) for i in range(8)}},
        {"maps": 8},
        {"names": "abcdefgh"},
    ],
)
def test_lists_that_do_not_fit_are_refused(case: Case, change: dict[str, object]) -> None:
    arguments: dict[str, object] = {"maps": case[0], "masks": case[1], "labels": None, **change}
    with pytest.raises(BadParameter, match="expected"):
        score_maps(**arguments)  # type: ignore[arg-type]
    with pytest.raises(BadParameter, match="2 defects for 8 maps"):
        per_defect(*case, ["good", "x"])


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        *(("fpr_limit", odd) for odd in ("0.3", None, True, [0.3])),
        *(("connectivity", odd) for odd in ("8", None, 8.5, [8])),
        *(("memory", odd) for odd in (math.inf, math.nan, "4G", None)),
        *(("workers", odd) for odd in ("2", 2.5, True)),
        *(("tolerance", odd) for odd in ("x", None)),
        *(("resamples", odd) for odd in (-1, 2.5, None)),
        *(("pixel_resamples", odd) for odd in (-1, "10")),
        *(("seed", odd) for odd in (None, "a", 0.5)),
        ("metrics", "pixel_iou_max"),
    ],
)
def test_parameters_of_another_kind_are_named(case: Case, name: str, odd: object) -> None:
    with pytest.raises(BadParameter, match=re.escape(f"{name} is {odd!r}; expected ")):
        score_maps(*case, **{name: odd})  # type: ignore[arg-type]
    if name in ("fpr_limit", "connectivity", "memory", "workers", "resamples", "seed"):
        with pytest.raises(BadParameter, match=re.escape(f"{name} is {odd!r}; expected ")):
            score_stream(zip(*case, [None] * 8, strict=True), **{name: odd})  # type: ignore[arg-type]


def test_numbers_of_numpy_and_whole_floats_are_numbers(case: Case) -> None:
    expected = score_maps(*case, resamples=10, connectivity=4, fpr_limit=0.5)
    options = {"resamples": np.int64(10), "connectivity": 4.0, "fpr_limit": np.float32(0.5), "memory": 4e9, "seed": np.int8(0)}
    found = score_maps(*case, **options)  # type: ignore[arg-type]
    assert dict(found) == dict(expected)
    assert json.dumps(found.to_json()) == json.dumps(expected.to_json())


def test_no_maps_and_odd_maps_are_refused() -> None:
    with pytest.raises(BadParameter, match="there are no maps"):
        score_maps([], [])
    for odd in (np.zeros((2, 2, 3)), np.zeros(4), np.zeros((0, 3)), np.zeros((2, 2), complex)):
        with pytest.raises(DataError, match="the map of image 0"):
            score_maps([odd], None, labels=[0])


@pytest.mark.parametrize("odd", [2, -1, 0.5, math.nan])
def test_labels_other_than_0_and_1_name_their_images(case: Case, odd: object) -> None:
    with pytest.raises(DataError, match=r"the label of image 2 is .*; expected 0 .*: give 1 for .*\(and 1 more\)") as error:
        score_maps(*case, labels=[0, 0, odd, 1, 1, 1, 1, odd])  # type: ignore[list-item]
    assert (error.value.code, error.value.files) == ("E_LABEL", ("image 2", "image 7"))
    with pytest.raises(DataError, match=r"the label of image 2 is .*\(and 1 more\)") as error:
        score_stream(zip(*case, [0, 0, odd, 1, 1, 1, 1, odd], strict=True))
    assert (error.value.code, error.value.files) == ("E_LABEL", ("image 2", "image 7"))
    for labels in (["0", "1"] * 4, ["good", "crack"] * 4, [None, 1] * 4):
        with pytest.raises(DataError, match=r"the label of image 0 is .*; expected 0"):
            score_maps(*case, labels=labels)


def test_scores_that_are_not_finite_name_their_images(case: Case) -> None:
    with pytest.raises(DataError, match=r"the score of image 1 is nan; expected .*: repair it.*\(and 1 more\)") as error:
        score_maps(*case, scores=[0, math.nan, 0, 1, 1, 1, 1, math.inf])
    assert error.value.files == ("image 1", "image 7")


@pytest.mark.parametrize("engine", ["sort", "anchored", "histogram"])
def test_numbers_that_float64_would_tie_are_refused_and_others_kept(engine: str) -> None:
    offsets, mask = np.arange(400).reshape(20, 20), np.zeros((20, 20), bool)
    mask[10:] = True
    for tied in (offsets + 2**60, -offsets - 2**60, offsets.astype(np.uint64) + 2**63, np.longdouble(2**60) + offsets):
        with pytest.raises(
            DataError, match=rf"the map of tile is {tied.dtype} and holds numbers that float64 rounds.*: rank"
        ) as error:
            score_maps([tied], [mask], names=["tile"], engine=engine, resamples=0)
        assert (error.value.code, error.value.files) == ("E_MODE", ("tile",))
    for kept in (offsets + 2**53 - 399, offsets.astype(np.longdouble) / 8):
        assert score_maps([kept], [mask], engine="sort", resamples=0)["pixel_auroc"].value == 1.0
    with pytest.raises(DataError, match="float64 rounds"):
        score_maps([mask], [mask], scores=[2**60 + 1])


def test_masked_elements_are_refused_and_arrays_without_any_are_plain(case: Case) -> None:
    maps, masks = case
    hidden = [np.ma.masked_array(each, each > 1) for each in maps]
    with pytest.raises(
        DataError, match=r"the map of image 0 has \d+ masked elements.*expected a plain array: fill them.*7 more"
    ) as error:
        score_maps(hidden, masks)
    assert error.value.code == "E_MODE"
    with pytest.raises(DataError, match="the map of image 0 has"):
        score_stream(zip(hidden, masks, [None] * 8, strict=True))
    with pytest.raises(DataError, match="the mask of image 5 has 1 masked elements"):
        score_maps(maps, [*masks[:5], np.ma.masked_array(masks[5], np.arange(masks[5].size) == 3), *masks[6:]])
    with pytest.raises(DataError, match="the list of labels has 1 masked"):
        score_maps(*case, labels=np.ma.masked_array([0, 0, 0, 1, 1, 1, 1, 1], [0] * 7 + [1]))
    whole = [np.ma.masked_array(each, False) for each in maps]
    assert dict(score_maps(whole, masks)) == dict(score_maps(maps, masks))


def test_what_numpy_cannot_read_is_refused(case: Case) -> None:
    class Tensor:
        def __array__(self, *_: object, **__: object) -> None:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    for odd in (Tensor(), [[1.0], [1.0, 2.0]]):
        with pytest.raises(DataError, match=r"the map of image 0 cannot be read \(.*\); expected numbers") as error:
            score_maps([odd, *case[0][1:]], case[1])  # type: ignore[list-item]
        assert error.value.code == "E_MODE"
