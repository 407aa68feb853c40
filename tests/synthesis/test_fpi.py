import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from flawsmith.appearance.change import apart
from flawsmith.core.errors import BadParameter, NeedUnmet, NotFitted
from flawsmith.core.samples import SupportSet
from flawsmith.synthesis.fpi import Fpi, mixed


@pytest.fixture(scope="module")
def fitted(normal):
    """fitted(own, other, **parameters): an FPI whose only other normal is `other`."""

    def fit(own, other, **params):
        return Fpi(**params).fit(SupportSet((normal(own, "0"), normal(other, "1"))))

    return fit


@given(seed=st.integers(0, 2**32), height=st.integers(32, 200), width=st.integers(32, 200))
def test_the_patch_mixes_both_and_the_soft_mask_is_the_foreign_weight(made, noise, fitted, seed, height, width):
    own, other = noise(height, width), noise(height, width, 1)
    anomaly = made(fitted(own, other), own, seed)
    weight = anomaly.provenance.drawn["weight"]
    x, y, w, h = anomaly.provenance.drawn["patch"]
    patch = np.zeros((height, width), bool)
    patch[y : y + h, x : x + w] = True
    expected = np.where(patch[..., None], (1 - weight) * own.astype(float) + weight * other, own)
    assert abs(anomaly.image - expected).max() <= 0.5 + 1e-4  # one rounding
    np.testing.assert_array_equal(anomaly.mask, patch & (own != other).any(axis=2))
    np.testing.assert_array_equal(anomaly.soft_mask, np.where(anomaly.mask, np.float32(weight), 0))
    assert anomaly.soft_mask.dtype == np.float32
    assert anomaly.provenance.drawn["from"] == "p/train/good/1"


@given(weight=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_the_halves_of_a_swap_sum_to_both_pictures(weight, seed):
    one, other = np.random.default_rng(seed).integers(0, 256, (2, 8, 9, 3), dtype=np.uint8)
    first, second = mixed(one, other, weight), mixed(other, one, weight)
    assert abs(first.astype(int) + second - one - other).max() <= 1
    assert abs(first - ((1 - weight) * one.astype(float) + weight * other)).max() <= 0.5 + 1e-4


def test_statistics_of_the_original(made, noise, fitted):
    """Weight uniform on 0.05…0.95, half-width 13…50 at 256, centre in the central 80 %."""
    own, other = noise(256, 256), noise(256, 256, 1)
    method = fitted(own, other)
    drawn = [made(method, own, seed).provenance.drawn for seed in range(2000)]
    weights = np.array([d["weight"] for d in drawn])
    assert kstest(weights, "uniform", (0.05, 0.9)).pvalue > 0.001
    x, y, w, h = np.array([d["patch"] for d in drawn]).T
    whole = (x > 0) & (y > 0) & (x + w < 256) & (y + h < 256)
    assert (w == h)[whole].all()
    assert set(w[whole] // 2) == set(range(13, 51))
    for centre in ((x + w // 2)[whole], (y + h // 2)[whole]):
        assert centre.min() >= 25
        assert centre.max() <= 230


def test_discrete_weights_are_equally_likely(made, noise, fitted):
    own, other = noise(64, 64), noise(64, 64, 1)
    method = fitted(own, other, levels=4)
    weights, counts = np.unique([made(method, own, seed).provenance.drawn["weight"] for seed in range(2000)], return_counts=True)
    assert weights.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert chisquare(counts).pvalue > 0.001


def test_equal_normals_give_a_normal(made, noise, fitted):
    anomaly = made(fitted(noise(), noise()), noise())
    assert anomaly.is_normal
    assert anomaly.soft_mask is None
    assert anomaly.provenance.status == "no_placement"


def test_only_where_both_differ_is_labelled(made, noise, fitted):
    own, other = noise(96, 96), noise(96, 96)
    other[40:60] ^= 64
    for seed in range(30):
        anomaly = made(fitted(own, other), own, seed)
        assert anomaly.mask.any()
        assert not anomaly.mask[:40].any()
        assert not anomaly.mask[60:].any()


def test_a_tolerance_compares_steps_and_leaves_equal_ones_alone(made, fitted):
    own = np.full((64, 64, 3), 100, np.uint8)
    other = own.copy()
    other[:, :32] += 3  # in the same step of ten
    other[:, 32:] += 30
    for seed in range(20):
        anomaly = made(fitted(own, other, tolerance=10, weight=(0.9, 0.95)), own, seed)
        assert not anomaly.mask[:, :32].any()
        np.testing.assert_array_equal(anomaly.image[~anomaly.mask], own[~anomaly.mask])
    one, two = np.array([[[10, 19, 99]]], np.uint8), np.array([[[19, 10, 99]]], np.uint8)
    assert not apart(one, two, 10).any()
    assert apart(one, two, 9).all()
    assert apart(one, two).all()


def test_the_source_reaches_the_picture(made, noise, fitted):
    """Another normal of plain magenta: pure where the weight is 1, absent off the mask."""
    own, magenta = noise(64, 64) // 2, np.full((64, 64, 3), (255, 0, 255), np.uint8)
    anomaly = made(fitted(own, magenta, levels=1), own)
    assert (anomaly.image[anomaly.mask] == (255, 0, 255)).all()
    assert not (anomaly.image[~anomaly.mask] == (255, 0, 255)).all(axis=1).any()


def test_a_picture_of_another_size_is_resized(made, noise, fitted):
    own, other = noise(64, 80), noise(100, 40, 1)
    assert made(fitted(own, other), own).image.shape == (64, 80, 3)


def test_a_pool_is_needed(made, noise, normal):
    with pytest.raises(NotFitted):
        made(Fpi(), noise())
    with pytest.raises(NeedUnmet, match="fpi needs a second normal"):
        Fpi().fit(SupportSet((normal(noise()),)))


def test_the_patch_is_centred_on_the_object_and_kept_to_it(made, noise, fitted):
    own, other = np.full((128, 128, 3), 10, np.uint8), noise(128, 128, 1)
    own[:, 50:60] = noise(128, 128)[:, 50:60] // 2 + 120
    method = fitted(own, other, foreground="threshold:60,bright")
    for seed in range(40):
        anomaly = made(method, own, seed)
        assert anomaly.mask.any()
        assert not anomaly.mask[:, :50].any()
        assert not anomaly.mask[:, 60:].any()
        np.testing.assert_array_equal(anomaly.image[~anomaly.mask], own[~anomaly.mask])
        x, _, w, _ = anomaly.provenance.drawn["patch"]
        assert x <= 59
        assert x + w > 50


def test_an_asked_mask_is_mixed(made, noise, fitted):
    asked = np.zeros((96, 128), bool)
    asked[30:50, 20:70] = np.random.default_rng(1).random((20, 50)) < 0.5
    own, other = noise(), noise(seed=1) | 128
    anomaly = made(fitted(own & 127, other), own & 127, 3, mask=asked)
    np.testing.assert_array_equal(anomaly.mask, asked)


@pytest.mark.parametrize(
    "params",
    [
        {"weight": [0, 0.5]},
        {"weight": [0.5, 1]},
        {"weight": [0.9, 0.1]},
        {"half_width": [0.1, 0.6]},
        {"core": 1.0},
        {"levels": -1},
        {"tolerance": 0},
    ],
)
def test_refuses_parameters_out_of_range(params):
    with pytest.raises(BadParameter, match=f"fpi: parameter {next(iter(params))}"):
        Fpi.from_params(params)
