import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from flawsmith.appearance.poisson import interpolated_values
from flawsmith.core.errors import BadParameter, NeedUnmet, NotFitted
from flawsmith.core.samples import SupportSet
from flawsmith.masks.boxes import inside
from flawsmith.synthesis.pii import Pii, merge, swapped

ASTRONAUT = np.ascontiguousarray(skimage.data.astronaut()[:128, :160])
COFFEE = np.ascontiguousarray(skimage.data.coffee()[100:228, 150:310])


@pytest.fixture(scope="module")
def fitted(normal):
    """fitted(own, other, **parameters): a PII whose only other normal is `other`."""

    def fit(own, other, **params):
        return Pii.from_params(params).fit(SupportSet((normal(own, "0"), normal(other, "1"))))

    return fit


@given(seed=st.integers(0, 2**32), height=st.integers(32, 120), width=st.integers(32, 120))
@settings(deadline=None, max_examples=40)
def test_the_soft_mask_is_the_foreign_weight_where_the_picture_changed(made, noise, fitted, seed, height, width):
    own, other = noise(height, width), noise(height, width, 1)
    anomaly = made(fitted(own, other), own, seed)
    weight = anomaly.provenance.drawn["weight"]
    np.testing.assert_array_equal(anomaly.mask, (anomaly.image != own).any(axis=2))
    np.testing.assert_array_equal(anomaly.soft_mask, np.where(anomaly.mask, np.float32(weight), 0))
    assert anomaly.soft_mask.dtype == np.float32
    assert anomaly.provenance.drawn["from"] == "p/train/good/1"
    x, y, w, h = anomaly.provenance.drawn["patch"]
    assert not np.delete(anomaly.mask, np.s_[y : y + h], axis=0).any()
    assert not np.delete(anomaly.mask, np.s_[x : x + w], axis=1).any()


def test_the_border_of_the_picture_is_never_part_of_a_patch(made, noise, fitted):
    own, other = noise(96, 96), noise(96, 96, 1)
    method = fitted(own, other, core=0.99, half_width=(0.3, 0.45))
    for seed in range(60):
        x, y, w, h = made(method, own, seed).provenance.drawn["patch"]
        assert min(x, y) >= 1
        assert max(x + w, y + h) <= 95


def test_statistics_of_the_original(made, noise, fitted):
    """Weight uniform on 0.05…0.95, half-width 13…50 at 256, centre in the central 80 %."""
    own, other = noise(256, 256), noise(256, 256, 1)
    method = fitted(own, other)
    drawn = [made(method, own, seed).provenance.drawn for seed in range(2000)]
    assert kstest([d["weight"] for d in drawn], "uniform", (0.05, 0.9)).pvalue > 0.001
    x, y, w, h = np.array([d["patch"] for d in drawn]).T
    whole = (x > 1) & (y > 1) & (x + w < 255) & (y + h < 255)
    assert (w == h)[whole].all()
    assert set(w[whole] // 2) == set(range(13, 51))
    for centre in ((x + w // 2)[whole], (y + h // 2)[whole]):
        assert centre.min() >= 25
        assert centre.max() <= 230


def test_a_vanishing_weight_gives_the_picture_back():
    for weight in (1e-3, 1e-6):
        values, area = interpolated_values(ASTRONAUT, COFFEE, (20, 30, 60, 50), weight)
        assert np.abs(values - ASTRONAUT[inside(area)]).max() < 1


@given(offset=st.integers(-60, 60))
@settings(deadline=None, max_examples=10)
def test_equal_gradients_at_full_weight_give_an_empty_label(offset):
    """The other picture is the own one plus a constant."""
    own = ASTRONAUT // 2 + 60
    (half, soft), _ = swapped(own, (own.astype(int) + offset).astype(np.uint8), (20, 30, 60, 50), 1.0)
    assert not soft.any()
    np.testing.assert_array_equal(half, own)


def test_no_edge_shows_where_the_patch_was_put():
    """Two normals of an aligned product, 60 levels apart in exposure: across the patch's edge nothing jumps by more than the
    gradients there, of both pictures and of the result beside the edge, plus one level."""
    base, rng = cv2.GaussianBlur(ASTRONAUT, (0, 0), 2) // 2, np.random.default_rng(0)
    own, other = (np.clip(base + rng.normal(level, 3, base.shape), 0, 255).astype(np.uint8) for level in (20, 80))
    x, y, w, h = box = (40, 30, 64, 50)
    for weight in (0.1, 0.3, 0.5, 0.7, 0.9):
        made = merge(own, other, box, weight).astype(int)
        for axis, edges in ((0, (y, y + h)), (1, (x, x + w))):
            jumps = np.abs(np.diff(made, axis=axis))
            theirs = np.maximum(*(np.abs(np.diff(picture.astype(int), axis=axis)) for picture in (own, other)))
            span = np.s_[x : x + w] if axis == 0 else np.s_[y : y + h]
            for edge in edges:
                near = [jumps.take(k, axis=axis)[span].max() for k in (edge - 2, edge)]
                near += [theirs.take(k, axis=axis)[span].max() for k in (edge - 2, edge - 1, edge)]
                assert jumps.take(edge - 1, axis=axis)[span].max() <= max(near) + 1
        pasted = own.astype(int).copy()
        pasted[inside(box)] = other[inside(box)]
        assert np.abs(np.diff(pasted, axis=0))[y - 1, x : x + w].min() > 30  # a plain paste would show


@pytest.mark.parametrize("variant", ["dst", "opencv"])
def test_both_halves_of_a_swap_carry_the_same_weight(variant):
    (first, one), (second, other) = swapped(ASTRONAUT, COFFEE, (20, 30, 60, 50), 0.3, variant)
    assert set(np.unique(one)) == set(np.unique(other)) == {np.float32(0), np.float32(0.3)}
    for half, soft, own in ((first, one, ASTRONAUT), (second, other, COFFEE)):
        np.testing.assert_array_equal(half[soft == 0], own[soft == 0])
        assert (half != own).any(axis=2)[soft > 0].mean() > 0.9
    np.testing.assert_array_equal(swapped(COFFEE, ASTRONAUT, (20, 30, 60, 50), 0.3, variant)[0][0], second)


def test_both_branches_of_the_guidance_are_scaled():
    """At weight one half the contrast inside is about halved where both pictures are alike in strength."""
    rng = np.random.default_rng(0)
    own, other = (rng.normal(128, 20, (96, 96, 1)).repeat(3, axis=2).astype(np.uint8) for _ in range(2))
    merged = merge(own, other, (20, 20, 50, 50), 0.5)
    inner = np.s_[25:65, 25:65, 0]
    assert 0.4 < np.diff(merged[inner].astype(int)).std() / np.diff(own[inner].astype(int)).std() < 0.75


def test_the_opencv_variant_is_the_mixed_clone_at_partial_strength(made, fitted, normal):
    own, other = np.tile(ASTRONAUT, (2, 2, 1)), np.tile(COFFEE, (2, 2, 1))
    method = fitted(own, other, variant="opencv")
    for seed in range(12):
        told = made(method, own, seed).provenance.drawn
        (x, y, w, h), weight = told["patch"], told["weight"]
        if min(x, y) == 0 or x + w >= own.shape[1] or y + h >= own.shape[0]:
            continue  # OpenCV refuses patches at the border
        level = np.uint8(np.ceil(255 * weight))
        mask = np.full((h, w), level, np.uint8)
        mask[0], mask[-1], mask[:, 0], mask[:, -1] = 0, 0, 0, 0
        centre = (x + 1 + (w - 2) // 2, y + 1 + (h - 2) // 2)
        theirs = cv2.seamlessClone(other[y : y + h, x : x + w].copy(), own, mask, centre, cv2.MIXED_CLONE)
        assert np.abs(merge(own, other, (x, y, w, h), weight, "opencv").astype(int) - theirs).max() <= 1


def test_the_opencv_variant_draws_gamma_rectangles(made, noise, fitted):
    own, other = noise(256, 256), noise(256, 256, 1)
    method = fitted(own, other, variant="opencv", half_width=(0.004, 0.5))
    boxes = np.array([made(method, own, seed).provenance.drawn["patch"] for seed in range(400)])
    x, _, w, h = boxes.T
    whole = (x > 0) & (x + w < 256)
    assert (w != h).mean() > 0.9
    assert 40 < w[whole].mean() < 2 * 0.13 * 256  # those that the border does not cut are the smaller ones


def test_discrete_weights_are_equally_likely(made, noise, fitted):
    own, other = noise(64, 64), noise(64, 64, 1)
    method = fitted(own, other, levels=4)
    weights, counts = np.unique([made(method, own, seed).provenance.drawn["weight"] for seed in range(2000)], return_counts=True)
    assert weights.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert chisquare(counts).pvalue > 0.001


def test_equal_normals_give_a_normal(made, noise, fitted):
    flat = np.full((64, 64, 3), 90, np.uint8)
    anomaly = made(fitted(flat, flat), flat)
    assert anomaly.is_normal
    assert anomaly.soft_mask is None
    assert anomaly.provenance.status == "no_placement"
    assert anomaly.provenance.attempts == 50


def test_a_tolerance_compares_steps_and_leaves_equal_ones_alone(made, noise, fitted):
    own, other = noise(64, 64) // 16 + 100, noise(64, 64, 1) // 16 + 100
    areas = [np.mean([made(fitted(own, other, tolerance=t), own, seed).mask.mean() for seed in range(20)]) for t in (1, 4, 16)]
    assert areas == sorted(areas, reverse=True)
    assert areas[0] > 1.5 * areas[2]


def test_the_patch_comes_from_the_other_picture(made, noise, fitted):
    """A constant other picture lends no gradient: the patch is flatter than before, and nothing else changes."""
    own, magenta = noise(96, 96), np.full((96, 96, 3), (255, 0, 255), np.uint8)
    for seed in range(10):
        anomaly = made(fitted(own, magenta, weight=(0.9, 0.95)), own, seed)
        region = inside(anomaly.provenance.drawn["patch"])
        assert np.diff(anomaly.image[region].astype(int), axis=0).std() < 0.3 * np.diff(own[region].astype(int), axis=0).std()
        np.testing.assert_array_equal(anomaly.image[~anomaly.mask], own[~anomaly.mask])


@pytest.mark.parametrize("variant", ["dst", "opencv"])
def test_a_foreground_holds_the_patch(made, noise, fitted, variant):
    own = np.full((96, 96, 3), 10, np.uint8)
    own[30:70, 20:80] = noise(96, 96)[30:70, 20:80] // 2 + 120
    inside_object = np.zeros((96, 96), bool)
    inside_object[30:70, 20:80] = True
    method = fitted(own, noise(96, 96, 1), variant=variant, foreground="otsu:bright")
    for seed in range(30):
        anomaly = made(method, own, seed)
        assert anomaly.mask.any()
        assert not (anomaly.mask & ~inside_object).any()


@pytest.mark.parametrize("variant", ["dst", "opencv"])
def test_an_asked_mask_is_filled(made, noise, fitted, variant):
    own, other = noise(96, 128), noise(96, 128, 1)
    asked = np.zeros((96, 128), np.uint8)
    cv2.ellipse(asked, (60, 50), (30, 14), 20, 0, 360, 1, -1)
    anomaly = made(fitted(own, other, variant=variant, weight=(0.8, 0.9)), own, 3, mask=asked > 0)
    assert not anomaly.mask[asked == 0].any()
    assert anomaly.mask[asked > 0].mean() > 0.8


@pytest.mark.parametrize(
    "params",
    [
        {"weight": [0, 0.9]},
        {"weight": [0.1, 1.0]},
        {"weight": [0.9, 0.1]},
        {"half_width": [0.1, 0.6]},
        {"half_width": [0.3, 0.1]},
        {"tolerance": 0},
        {"levels": -1},
        {"variant": "sparse"},
        {"core": 1.5},
    ],
)
def test_refuses_parameters_out_of_range(params):
    with pytest.raises(BadParameter, match=f"pii: parameter {next(iter(params))}"):
        Pii.from_params(params)


def test_refuses_patches_thinner_than_three_pixels(made, noise, fitted):
    with pytest.raises(BadParameter, match="patches of 2 pixels at most; expected 3 or more"):
        made(fitted(noise(64, 64), noise(64, 64, 1), half_width=(0.01, 0.02)), noise(64, 64))


def test_says_what_is_missing(made, noise, normal):
    with pytest.raises(NotFitted):
        made(Pii(), noise())
    with pytest.raises(NeedUnmet, match="a second normal"):
        Pii().fit(SupportSet((normal(noise()),)))
