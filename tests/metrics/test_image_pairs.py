"""SSIM, PSNR and VIF against scikit-image and a reference written from the definition with scipy; and what they refuse."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.metrics.psnr import mean_psnr, psnr
from flawsmith.metrics.ssim import SsimSide, ssim, ssim_of
from flawsmith.metrics.vif import VifSide, vif, vif_of

SMALL = arrays(np.uint8, st.tuples(st.integers(11, 24), st.integers(11, 24), st.just(3)))


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(70, 90, 3)), (3, 3, 0))
    one = np.clip(128 + 600 * smooth, 0, 255).astype(np.uint8)
    other = np.clip(one * 0.9 + rng.normal(0, 12, one.shape), 0, 255).astype(np.uint8)
    return one, other


def theirs(one, other, data_range):
    return structural_similarity(
        one, other, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=data_range, channel_axis=-1
    )


def test_ssim_is_scikit_images(pair):
    one, other = pair
    assert ssim(one, other) == pytest.approx(theirs(one, other, 255), abs=1e-9)
    unit, other_unit = one / 255, other / 255
    assert ssim(unit, other_unit, data_range=1) == pytest.approx(theirs(unit, other_unit, 1), abs=1e-9)
    assert ssim(unit, other_unit, data_range=1) == pytest.approx(ssim(one, other), abs=1e-9)


@given(SMALL, st.integers(0, 255))
def test_ssim_of_any_picture_is_scikit_images_symmetric_and_one_with_itself(one, shift):
    other = one[::-1] // 2 + np.uint8(shift // 2)
    assert ssim(one, other) == pytest.approx(theirs(one, other, 255), abs=1e-9)
    assert ssim(one, other) == pytest.approx(ssim(other, one), abs=1e-12)
    assert ssim(one, one) == pytest.approx(1, abs=1e-12)


def test_ssim_of_one_channel_is_that_of_three_equal_ones(pair):
    one, other = pair[0][..., 0], pair[1][..., 0]
    assert ssim(one, other) == pytest.approx(ssim(*(np.repeat(x[..., None], 3, 2) for x in (one, other))), abs=1e-12)


def test_prepared_sides_give_the_same(pair):
    one, other = pair
    assert ssim_of(SsimSide(one), SsimSide(other)) == ssim(one, other)
    assert vif_of(VifSide(one), VifSide(other)) == vif(one, other)


def test_psnr_is_scikit_images(pair):
    one, other = pair
    assert psnr(one, other) == pytest.approx(peak_signal_noise_ratio(one, other, data_range=255), abs=1e-9)
    assert psnr(one / 255, other / 255, data_range=1) == pytest.approx(psnr(one, other), abs=1e-9)


def test_psnr_by_hand():
    black = np.zeros((4, 4, 3), np.uint8)
    assert psnr(black, black + np.uint8(255)) == 0
    assert psnr(black, black + np.uint8(51)) == pytest.approx(10 * math.log10(25))


def test_psnr_of_identical_pictures_is_infinite_and_left_out_of_the_mean():
    picture = np.ones((2, 2, 3), np.uint8)
    assert psnr(picture, picture) == math.inf
    assert mean_psnr([20.0, math.inf, 30.0]) == (25.0, 1)
    assert mean_psnr([math.inf, math.inf]) == (math.inf, 2)
    assert math.isnan(mean_psnr([])[0])


def reference_vif(reference, image):
    """Written from the definition (metrics' specification, 7.3), pixel by pixel where it matters, with scipy's convolution."""
    x, y = (0.299 * v[..., 0] + 0.587 * v[..., 1] + 0.114 * v[..., 2] for v in (reference.astype(float), image.astype(float)))
    above = below = 0.0
    for scale in range(1, 5):
        n = 2 ** (5 - scale) + 1
        rows, columns = np.mgrid[:n, :n] - n // 2
        window = np.exp(-(rows**2 + columns**2) / (2 * (n / 5) ** 2))
        window /= window.sum()
        if scale > 1:
            x, y = (convolve2d(v, window, "valid")[::2, ::2] for v in (x, y))
        m1, m2 = convolve2d(x, window, "valid"), convolve2d(y, window, "valid")
        v1, v2 = convolve2d(x * x, window, "valid") - m1**2, convolve2d(y * y, window, "valid") - m2**2
        c = convolve2d(x * y, window, "valid") - m1 * m2
        for a, b, ab in zip(v1.ravel(), v2.ravel(), c.ravel(), strict=True):
            s1, s2 = max(a, 0.0), max(b, 0.0)
            g = ab / (s1 + 1e-10)
            s = s2 - g * ab
            if s1 < 1e-10:
                g, s, s1 = 0.0, s2, 0.0
            if s2 < 1e-10:
                g, s = 0.0, 0.0
            if g < 0:
                g, s = 0.0, s2
            s = max(s, 1e-10)
            above += math.log10(1 + g * g * s1 / (s + 2))
            below += math.log10(1 + s1 / 2)
    return above / below


def test_vif_is_that_of_a_reference_written_from_the_definition(pair):
    one, other = pair
    assert vif(one, other) == pytest.approx(reference_vif(one, other), abs=1e-9)
    assert vif(other, one) == pytest.approx(reference_vif(other, one), abs=1e-9)
    assert abs(vif(one, other) - vif(other, one)) > 0.01


def test_vif_where_variance_vanishes_and_where_contrast_is_inverted(pair):
    one = pair[0].copy()
    one[:40] = 77
    inverted = 255 - one
    assert vif(one, inverted) == pytest.approx(reference_vif(one, inverted), abs=1e-9)
    assert vif(one, np.full_like(one, 9)) == pytest.approx(0, abs=1e-9)


def test_vif_of_a_picture_with_itself_is_one_and_more_after_contrast_was_gained(pair):
    soft = (pair[0] // 3 + 60).astype(np.uint8)
    assert vif(soft, soft) == pytest.approx(1, abs=1e-9)
    assert vif(soft, soft.astype(float) * 1.5 - 50) > 1.05


@pytest.mark.parametrize("level", [0, 1, 200, 255])
def test_vif_of_a_constant_reference_is_undefined(level):
    flat = np.full((48, 50, 3), level, np.uint8)
    assert math.isnan(vif(flat, np.random.default_rng(0).integers(0, 256, flat.shape, np.uint8)))


@pytest.mark.parametrize(("metric", "least"), [(ssim, 11), (vif, 41)])
def test_the_shortest_side(metric, least):
    rng = np.random.default_rng(1)
    fits = rng.integers(0, 256, (least, least + 3, 3), np.uint8)
    assert np.isfinite(metric(fits, fits))
    short = fits[: least - 1]
    with pytest.raises(DataError, match=f"{least + 3}×{least - 1} pixels; expected sides of at least {least}") as raised:
        metric(short, short)
    assert raised.value.code == "E_SIZE"


@pytest.mark.parametrize("metric", [ssim, psnr, vif])
def test_pictures_that_do_not_fit_are_refused(metric):
    good = np.zeros((50, 50, 3))
    with pytest.raises(DataError, match=r"50×50(×3)? and 50×51(×3)?"):
        metric(good, np.zeros((50, 51, 3)))
    holed = good.copy()
    holed[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        metric(good, holed)
    with pytest.raises(DataError, match="expected a picture"):
        metric(np.zeros((2, 50, 50, 3)), good)


@pytest.mark.parametrize("metric", [ssim, psnr])
@pytest.mark.parametrize("span", [0, -1, math.nan, math.inf])
def test_a_range_that_no_pixel_spans_is_refused(metric, span):
    with pytest.raises(BadParameter, match="data_range"):
        metric(np.zeros((12, 12)), np.zeros((12, 12)), data_range=span)
