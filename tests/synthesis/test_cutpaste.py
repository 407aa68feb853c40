import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from flawsmith.core.errors import BadParameter, NeedUnmet, UsageError
from flawsmith.core.samples import SupportSet
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
    pixels, method = noise(256, 256), CutPaste(jitter=0.0, require_change=False)
    areas = []
    for seed in range(2000):
        _, (_, _, w, h) = boxes(made(method, pixels, seed))
        rounding = (w + h) / 2 + 0.25
        assert 0.02 * 256**2 - rounding <= w * h <= 0.15 * 256**2 + rounding
        areas.append(w * h / 256**2)
    assert np.mean(areas) == pytest.approx(0.085, abs=3 * 0.13 / np.sqrt(12 * 2000))


def test_a_patch_larger_than_a_side_is_clipped_to_it(made, noise):
    for seed in range(50):
        _, (x, y, w, h) = boxes(made(CutPaste(area=(0.8, 0.9), aspect=(8.0, 9.0), jitter=0.0), noise(64, 300), seed))
        assert (x, w) == (0, 300)
        assert 0 <= y <= y + h <= 64


@pytest.mark.parametrize("aspect_draw", ["log_uniform", "coin"])
def test_flat_and_upright_patches_are_alike(made, noise, aspect_draw):
    pixels, method = noise(256, 256), CutPaste(preset="asbench", aspect_draw=aspect_draw)
    drawn = [boxes(made(method, pixels, seed))[1] for seed in range(2000)]
    ratios = np.array([np.log(w / h) for _, _, w, h in drawn])
    flat, upright = ratios[ratios > 0], -ratios[ratios < 0]
    assert abs(ratios).max() <= np.log(1 / 0.3) + 0.05
    assert (ratios > 0).mean() == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(2000) + (ratios == 0).mean())
    if aspect_draw == "log_uniform":
        assert ks_2samp(flat, upright).pvalue > 0.01
        error = np.hypot(flat.std() / np.sqrt(len(flat)), upright.std() / np.sqrt(len(upright)))
        assert flat.mean() == pytest.approx(upright.mean(), abs=3 * error)
    else:  # the two halves of the coin are uniform, so the flat ones spread over a longer range
        assert np.exp(flat).mean() == pytest.approx((1 + 1 / 0.3) / 2, abs=0.08)
        assert np.exp(-upright).mean() == pytest.approx((0.3 + 1) / 2, abs=0.02)


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


def test_what_is_not_labelled_for_one_level_stays_as_it_was(made, noise):
    pixels = 100 + noise(64, 64) // 128  # 100 and 101
    pixels[::4] = 180
    for seed in range(20):
        anomaly = made(CutPaste(jitter=0.0, mask_from_diff=True), pixels, seed)
        np.testing.assert_array_equal(anomaly.image[~anomaly.mask], pixels[~anomaly.mask])


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


def test_a_patch_of_another_normal_comes_from_its_object(made, noise, normal):
    """The pool is magenta on its object and green beside it; the picture is noise without a green or magenta pixel."""
    pixels = np.repeat(noise(96, 96)[..., :1], 3, axis=2)
    pixels[:20] = 5
    pixels[20:] |= 128
    pixels[..., 2] -= 1
    magenta = np.full((96, 96, 3), (0, 60, 0), np.uint8)
    magenta[20:] = (255, 0, 255)
    method = CutPaste(source="normals", jitter=0.0, foreground="threshold:60,bright", area=(0.02, 0.05))
    method.fit(SupportSet((normal(pixels, "0"), normal(magenta, "1"))))
    for seed in range(40):
        anomaly = made(method, pixels, seed)
        assert anomaly.provenance.drawn["from"] == "p/train/good/1"
        source, _ = boxes(anomaly)
        assert anomaly.mask.any()
        assert not anomaly.mask[:20].any()
        assert source[1] + source[3] / 2 >= 20
        np.testing.assert_array_equal(anomaly.image[~anomaly.mask], pixels[~anomaly.mask])
        assert (anomaly.image[anomaly.mask] == (255, 0, 255)).all(axis=1).mean() >= 0.5


def test_a_patch_of_another_normal_needs_one(normal, noise):
    with pytest.raises(NeedUnmet, match="cutpaste needs a second normal"):
        CutPaste(source="normals").fit(SupportSet((normal(noise()),)))
    CutPaste().fit(SupportSet((normal(noise()),)))


def test_what_an_asked_mask_takes_comes_from_the_object(made, noise, normal):
    """The object is bright and the ground black; a slanting line's pixels come from the object, its box need not."""
    pixels = np.zeros((96, 96, 3), np.uint8)
    pixels[:, 40:] = noise(96, 96)[:, 40:] // 2 + 120
    y, x = np.mgrid[0:96, 0:96]
    asked = (abs(x - 50 - y // 3) < 3) & (y < 60)
    method = CutPaste(foreground="threshold:60,bright", jitter=0.0)
    for seed in range(40):
        anomaly = made(method, pixels, seed, mask=asked)
        np.testing.assert_array_equal(anomaly.mask, asked)
        assert (anomaly.image[asked] > 0).any(axis=1).mean() >= 0.5


@pytest.mark.parametrize("aspect", [[2.0, 3.0], [0.2, 0.9]])
def test_a_coin_needs_upright_and_flat_patches(aspect):
    with pytest.raises(BadParameter, match="aspect_draw=coin needs an aspect on both sides of 1"):
        CutPaste.from_params({"aspect": aspect, "aspect_draw": "coin"})
    CutPaste.from_params({"aspect": aspect})
    CutPaste.from_params({"aspect": [1.0, 1.0], "aspect_draw": "coin"})


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
        {"aspect": [-1, 2]},
        {"source": "pool"},
        {"aspect": [1.0, float("inf")]},
        {"jitter": float("nan")},
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
