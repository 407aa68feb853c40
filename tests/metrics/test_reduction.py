import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.metrics import score_maps
from flawsmith.metrics.reduction import image_score_of

small_maps = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.floats(-100, 100, allow_subnormal=False)
)


def test_the_maximum_of_a_flat_map_is_its_value() -> None:
    assert image_score_of(np.full((32, 32), 0.1), "max") == 0.1


@given(small_maps)
def test_top100_is_the_mean_of_the_hundred_highest_or_of_all(values: NDArray[np.float64]) -> None:
    assert image_score_of(values, "top100") == pytest.approx(np.sort(values, axis=None)[-100:].mean(), abs=1e-12)


@pytest.mark.parametrize(("side", "pixels"), [(256, 100), (512, 400), (25, 1), (4, 1)])
def test_the_fraction_is_a_hundred_pixels_at_256_and_at_least_one(side: int, pixels: int) -> None:
    values = np.random.default_rng(0).permutation(side * side).reshape(side, side).astype(np.float32)
    assert image_score_of(values, "topk_fraction") == np.arange(side * side - pixels, side * side).mean()


def test_the_fraction_can_be_given() -> None:
    values = np.arange(200.0).reshape(10, 20)
    assert image_score_of(values, "topk_fraction@0.01") == 198.5
    assert image_score_of(values, "topk_fraction@1") == values.mean()


def test_the_fraction_means_the_same_at_every_resolution() -> None:
    values = np.random.default_rng(1).random((256, 256))
    enlarged = values.repeat(2, axis=0).repeat(2, axis=1)
    assert image_score_of(enlarged, "topk_fraction") == pytest.approx(image_score_of(values, "topk_fraction"), abs=1e-12)
    assert image_score_of(enlarged, "top100") > image_score_of(values, "top100")


@given(small_maps)
def test_the_smoothed_maximum_is_torchs_average_pooling_that_counts_the_padding(values: NDArray[np.float64]) -> None:
    pooled = torch.nn.functional.avg_pool2d(torch.from_numpy(values)[None, None], 21, stride=1, padding=10)
    assert image_score_of(values, "smooth21_max") == pytest.approx(pooled.max().item(), abs=1e-9)


def test_the_smoothed_maximum_damps_the_border() -> None:
    inside, corner = np.zeros((64, 64)), np.zeros((64, 64))
    inside[20:41, 20:41] = 1
    corner[:21, :21] = 1
    assert image_score_of(inside, "smooth21_max") == pytest.approx(1)
    assert image_score_of(corner, "smooth21_max") == pytest.approx(1)  # its centre sees no border
    edge = np.ones((11, 11))
    assert image_score_of(edge, "smooth21_max") == pytest.approx(121 / 441)


@pytest.mark.parametrize("how", ["topk_fraction@0", "topk_fraction@1.5", "topk_fraction@much", "topk_fraction@nan", "max@3"])
def test_a_bad_parameter_is_refused(how: str) -> None:
    with pytest.raises(BadParameter, match="expected"):
        image_score_of(np.zeros((4, 4)), how)


def test_an_unknown_reduction_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="smooth21_max"):
        image_score_of(np.zeros((4, 4)), "smooth_max")


def test_score_maps_takes_them_and_its_record_says_so() -> None:
    maps = [np.zeros((30, 30)), np.zeros((30, 30))]
    maps[1][5:25, 5:25] = 1
    found = score_maps(maps, None, labels=[0, 1], image_score="smooth21_max", resamples=0)
    assert found["image_auroc"].record.image_score == "smooth21_max"
    assert found.thresholds["image_f1max"] == pytest.approx(400 / 441)
