import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from flawsmith.core.errors import BadParameter, UsageError
from flawsmith.synthesis.cutpaste import CutPaste


def boxes(anomaly):
    return anomaly.provenance.drawn["source"], anomaly.provenance.drawn["target"]


@given(seed=st.integers(0, 2**32), height=st.integers(32, 300), width=st.integers(32, 300))
def test_the_patch_is_a_piece_of_the_picture_at_any_shape(made, noise, seed, height, width):
    pixels = noise(height, width)
    anomaly = made(CutPaste(preset="asbench"), pixels, seed)
    (sx, sy, w, h), (tx, ty, _, _) = boxes(anomaly)
    expected = pixels.copy()
    expected[ty : ty + h, tx : tx + w] = pixels[sy : sy + h, sx : sx + w]
    np.testing.assert_array_equal(anomaly.image, expected)
    mask = np.zeros((height, width), bool)
    mask[ty : ty + h, tx : tx + w] = True
    np.testing.assert_array_equal(anomaly.mask, mask)


def test_areas_lie_in_their_range(made, noise):
    areas = [made(CutPaste(), noise(256, 256), seed).mask.mean() for seed in range(300)]
    assert min(areas) >= 0.02 - 0.002
    assert max(areas) <= 0.15 + 0.002
    assert np.mean(areas) == pytest.approx(0.085, abs=0.006)


@pytest.mark.parametrize("aspect_draw", ["log_uniform", "coin"])
def test_flat_and_upright_patches_are_alike(made, noise, aspect_draw):
    method = CutPaste(preset="asbench", aspect_draw=aspect_draw)
    ratios = []
    for seed in range(1500):
        _, (_, _, w, h) = boxes(made(method, noise(256, 256), seed))
        ratios.append(np.log(w / h))
    ratios = np.array(ratios)
    assert abs(ratios).max() <= np.log(1 / 0.3) + 0.05
    assert (ratios > 0).mean() == pytest.approx(0.5, abs=0.04)
    if aspect_draw == "log_uniform":
        assert ks_2samp(ratios[ratios > 0], -ratios[ratios < 0]).pvalue > 0.01


def test_jitter_changes_the_patch_and_not_the_mask(made, noise):
    plain, jittered = (made(CutPaste(jitter=strength), noise(), 5) for strength in (0.0, 0.1))
    np.testing.assert_array_equal(plain.mask, jittered.mask)
    assert (plain.image != jittered.image)[plain.mask].any()
    np.testing.assert_array_equal(plain.image[~plain.mask], jittered.image[~plain.mask])


def test_a_paste_that_changes_nothing_is_a_normal(made, noise):
    flat = np.full((64, 64, 3), 100, np.uint8)
    anomaly = made(CutPaste(jitter=0.0), flat)
    assert anomaly.is_normal
    assert anomaly.provenance.status == "no_placement"
    assert anomaly.provenance.attempts == 50
    assert made(CutPaste(preset="asbench"), flat).mask.any()


def test_label_of_what_changed_only(made, noise):
    half = np.zeros((64, 64, 3), np.uint8)
    half[:, 32:] = 200
    for seed in range(20):
        anomaly = made(CutPaste(jitter=0.0, mask_from_diff=True), half, seed)
        np.testing.assert_array_equal(anomaly.mask, (anomaly.image != half).any(axis=2))


def test_both_boxes_lie_half_on_the_object(made, noise):
    pixels = np.full((128, 128, 3), 10, np.uint8)
    disc = (np.mgrid[:128, :128] - 64).astype(float)
    inside = (disc**2).sum(axis=0) < 40**2
    pixels[inside] = noise(128, 128)[inside] // 2 + 120
    for seed in range(60):
        anomaly = made(CutPaste(foreground="auto", area=(0.02, 0.08)), pixels, seed)
        assert not (anomaly.mask & ~inside).any()
        for x, y, w, h in boxes(anomaly):
            assert inside[y : y + h, x : x + w].mean() > 0.45


def test_an_asked_mask_is_filled(made, noise):
    asked = np.zeros((96, 128), bool)
    asked[30:50, 20:70] = np.random.default_rng(1).random((20, 50)) < 0.5
    anomaly = made(CutPaste(), noise(), 3, mask=asked)
    np.testing.assert_array_equal(anomaly.mask, asked)
    np.testing.assert_array_equal(anomaly.image[~asked], noise()[~asked])
    assert anomaly.provenance.asked_mask_sha256


@pytest.mark.parametrize("asked", [np.zeros((96, 128), bool), np.ones((96, 127), bool), np.ones((96, 128), np.uint8)])
def test_an_asked_mask_must_fit(made, noise, asked):
    with pytest.raises(BadParameter, match="mask is"):
        made(CutPaste(), noise(), mask=asked)


@pytest.mark.parametrize(
    "params",
    [
        {"area": [0, 0.1]},
        {"area": [0.1, 1.0]},
        {"area": [0.2, 0.1]},
        {"aspect": [0, 2]},
        {"jitter": 0.6},
        {"aspect_draw": "even"},
    ],
)
def test_refuses_parameters_out_of_range(params):
    with pytest.raises(BadParameter, match=f"cutpaste: parameter {next(iter(params))}"):
        CutPaste.from_params(params)


def test_refuses_pictures_it_cannot_use(made, noise):
    with pytest.raises(UsageError, match="31×64; cutpaste expects at least 32"):
        made(CutPaste(), noise(64, 31))
    with pytest.raises(BadParameter, match="expected uint8"):
        made(CutPaste(), noise().astype(np.float32))
