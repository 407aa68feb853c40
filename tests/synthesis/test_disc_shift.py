import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from flawsmith.core.errors import BadParameter
from flawsmith.synthesis.disc_shift import DiscShift, shifted


def middling(height, width, seed=0):
    """Noise that no shift clips: from 100 to 155."""
    return np.random.default_rng(seed).integers(100, 156, (height, width, 3), dtype=np.uint8)


@given(seed=st.integers(0, 2**32), height=st.integers(32, 300), width=st.integers(32, 300))
def test_every_pixel_of_the_disc_moves_by_the_same_amount(made, seed, height, width):
    pixels = middling(height, width)
    anomaly = made(DiscShift(), pixels, seed)
    moved = anomaly.image.astype(int) - pixels
    assert (moved[anomaly.mask] == anomaly.provenance.drawn["shift"]).all()
    assert not moved[~anomaly.mask].any()
    row, column = anomaly.provenance.drawn["centre"]
    y, x = np.mgrid[:height, :width]
    np.testing.assert_array_equal(anomaly.mask, np.hypot(y - row, x - column) < anomaly.provenance.drawn["radius"])


def test_statistics_of_the_original(made):
    """Radius 13…25 at 256, area π r² ± 3 %, shift of 20 to 30 % of the range by a fair coin, centre in the central half."""
    pixels, method = middling(256, 256), DiscShift()
    anomalies = [made(method, pixels, seed) for seed in range(2000)]
    drawn = [anomaly.provenance.drawn for anomaly in anomalies]
    radii, counts = np.unique([d["radius"] for d in drawn], return_counts=True)
    assert radii.tolist() == list(range(13, 26))
    assert chisquare(counts).pvalue > 0.001
    for anomaly, d in zip(anomalies, drawn, strict=True):
        assert anomaly.mask.sum() == pytest.approx(np.pi * d["radius"] ** 2, rel=0.03)
    centres = np.array([d["centre"] for d in drawn])
    assert centres.min() == 64
    assert centres.max() == 191
    assert all(chisquare(np.histogram(axis, 16, (64, 192))[0]).pvalue > 0.001 for axis in centres.T)
    shifts = np.array([d["shift"] for d in drawn])
    assert set(abs(shifts)) == set(range(11, 17))  # 0.2 · 55 … 0.3 · 55, rounded
    assert (shifts > 0).mean() == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(2000))


def test_values_are_clipped_or_wrap_round():
    image = np.array([[[250, 10, 128]]], np.uint8)
    assert shifted(image, 60).tolist() == [[[255, 70, 188]]]
    assert shifted(image, -60).tolist() == [[[190, 0, 68]]]
    assert shifted(image, 60, wrap=True).tolist() == [[[54, 70, 188]]]
    assert shifted(image, -60, wrap=True).tolist() == [[[190, 206, 68]]]


def test_wrapping_turns_the_sign_on_a_saturated_picture(made):
    pixels = np.full((64, 64, 3), 255, np.uint8)
    pixels[:, :2] = 0
    for seed in range(30):
        clipped, wrapped = made(DiscShift(), pixels, seed), made(DiscShift(preset="asbench"), pixels, seed)
        assert clipped.provenance.drawn["shift"] < 0  # a brighter disc would change nothing, so it was drawn again
        assert (clipped.image[clipped.mask].astype(int) < 255).all()
        if wrapped.provenance.drawn["shift"] > 0:
            assert (wrapped.image[wrapped.mask].astype(int) < 255).all()


def test_a_plain_picture_stays_normal(made):
    plain = np.full((64, 64, 3), 90, np.uint8)
    assert made(DiscShift(), plain).is_normal
    assert made(DiscShift(), plain).provenance.attempts == 50
    unchanged = made(DiscShift(preset="asbench"), plain)
    assert unchanged.mask.any()
    np.testing.assert_array_equal(unchanged.image, plain)


def test_on_an_object_the_centre_and_the_mask_lie_on_it(made):
    pixels = np.full((128, 128, 3), 10, np.uint8)
    pixels[:40, :60] = middling(40, 60)  # away from the central half but for a corner
    method = DiscShift(foreground="threshold:60,bright")
    for seed in range(50):
        anomaly = made(method, pixels, seed)
        assert anomaly.mask.any()
        assert not anomaly.mask[40:].any()
        row, column = anomaly.provenance.drawn["centre"]
        assert 32 <= row < 40
        assert 32 <= column < 60
        np.testing.assert_array_equal(anomaly.image[~anomaly.mask], pixels[~anomaly.mask])
    corner = np.full((128, 128, 3), 10, np.uint8)
    corner[:30, :30] = middling(30, 30)
    assert made(method, corner).mask[:30, :30].any()


def test_an_asked_mask_is_shifted(made):
    asked = np.zeros((96, 128), bool)
    asked[30:50, 20:70] = np.random.default_rng(1).random((20, 50)) < 0.5
    anomaly = made(DiscShift(), middling(96, 128), 3, mask=asked)
    np.testing.assert_array_equal(anomaly.mask, asked)
    assert ((anomaly.image.astype(int) - middling(96, 128))[asked] == anomaly.provenance.drawn["shift"]).all()


@pytest.mark.parametrize("params", [{"radius": [0, 0.1]}, {"radius": [0.2, 0.1]}, {"amplitude": [0.2, 1.0]}, {"core": 0}])
def test_refuses_parameters_out_of_range(params):
    with pytest.raises(BadParameter, match=f"disc_shift: parameter {next(iter(params))}"):
        DiscShift.from_params(params)
