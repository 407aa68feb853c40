import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from flawsmith.masks.boxes import inside
from flawsmith.synthesis.nsa_patches import Ground, Plan, changes_under, compose, compose_under, union_of_ellipses
from flawsmith.synthesis.nsa_products import Product

ASTRONAUT = np.ascontiguousarray(skimage.data.astronaut()[:200, :220])
COFFEE = np.ascontiguousarray(skimage.data.coffee()[100:300, 150:370])


def plan(gradients="normal", strength=1.0, ellipses=0, erode=3, **product):
    values = {"patches": 1, "resize": (1.0, 1.0), "height": (0.05, 0.2), "width": (0.05, 0.2), **product}
    return Plan(Product(**values), gradients, strength, "uniform", ellipses, False, erode)


@given(seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=30)
def test_a_hard_swap_pastes_the_resized_patch(seed):
    patched = compose(Ground(ASTRONAUT, COFFEE), plan("swap", resize=(0.5, 2.0)), np.random.default_rng(seed))
    (cut, target) = patched.boxes[0]
    x, y, w, h = cut
    expected = ASTRONAUT.copy()
    expected[inside(target)] = cv2.resize(COFFEE[y : y + h, x : x + w], target[2:])
    np.testing.assert_array_equal(patched.image, expected)
    assert patched.patches.sum() == target[2] * target[3]


def test_uniform_mixing_is_a_weighted_mean():
    patched = compose(Ground(ASTRONAUT, COFFEE), plan("uniform", 0.3), np.random.default_rng(0))
    swapped = compose(Ground(ASTRONAUT, COFFEE), plan("swap"), np.random.default_rng(0))
    expected = 0.7 * ASTRONAUT.astype(float) + 0.3 * swapped.image
    assert np.abs(patched.image - expected).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("gradients", ["normal", "mixed"])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_poisson_patches_equal_seamless_clone(gradients, strength):
    """All-ones rectangles of odd and even sides: at most the fraction that OpenCV cuts off."""
    sides = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        big = [np.tile(picture, (2, 2, 1)) for picture in (ASTRONAUT, COFFEE)]
        patched = compose(Ground(*big), plan(gradients, strength, resize=(0.5, 2.0)), rng)
        if not patched.boxes:
            continue
        (cut, target) = patched.boxes[0]
        patch = cv2.resize(big[1][inside(cut)], target[2:])
        mask = np.full(patch.shape[:2], np.uint8(np.ceil(255 * strength)))
        mask[0], mask[-1], mask[:, 0], mask[:, -1] = 0, 0, 0, 0
        centre = (target[0] + 1 + (target[2] - 2) // 2, target[1] + 1 + (target[3] - 2) // 2)
        flag = {"normal": cv2.NORMAL_CLONE, "mixed": cv2.MIXED_CLONE}[gradients]
        apart = np.abs(patched.image.astype(int) - cv2.seamlessClone(patch, big[0], mask, centre, flag))
        assert apart[inside(target)].mean() < 1
        assert apart.max() <= 1
        sides |= {target[2] % 2, target[3] % 2}
    assert sides == {0, 1}


@given(seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=20)
def test_more_patches_never_shrink_what_is_covered(seed):
    """Later patches lie over earlier ones; none erases a label."""
    covered = np.zeros(ASTRONAUT.shape[:2], bool)
    for patches in range(1, 6):
        patched = compose(Ground(ASTRONAUT, COFFEE), plan(patches=patches), np.random.default_rng(seed))
        assert not (covered & ~patched.patches).any()
        covered = patched.patches


def test_further_patches_come_with_probability_one_half():
    numbers = [
        len(compose(Ground(ASTRONAUT, COFFEE), plan("swap", patches=3), np.random.default_rng(s)).boxes) for s in range(2000)
    ]
    assert min(numbers) == 1
    assert np.mean(numbers) == pytest.approx(2, abs=3 * np.sqrt(0.5 / 2000))


def test_sizes_are_held_within_the_half_width_bounds():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        _, (_, _, w, h) = compose(Ground(ASTRONAUT, COFFEE), plan("swap", resize=(0.5, 2.0)), rng).boxes[0]
        assert round(0.05 * 200) <= h <= round(0.2 * 200)
        assert round(0.05 * 220) <= w <= round(0.2 * 220)


def half(left):
    mask = np.zeros(ASTRONAUT.shape[:2], bool)
    mask[:, :110] = left
    mask[:, 110:] = not left
    return mask


def test_objects_are_hit_by_the_cut_and_by_the_target():
    ground, placed = Ground(ASTRONAUT, COFFEE, (half(True), half(False))), 0
    for seed in range(60):
        for cut, target in compose(ground, plan("swap", min_object=0.7), np.random.default_rng(seed)).boxes:
            placed += 1
            assert half(True)[inside(cut)].mean() > 0.7
            assert half(False)[inside(target)].mean() > 0.25 * 0.7
    assert placed > 40


def test_only_object_of_either_picture_is_covered():
    small = np.zeros(ASTRONAUT.shape[:2], bool)
    small[60:140, 60:160] = True
    ground = Ground(ASTRONAUT, COFFEE, (half(True), small))
    for seed in range(40):
        patched = compose(ground, plan(min_object=0.3, min_overlap=0.1), np.random.default_rng(seed))
        for cut, (x, y, w, h) in patched.boxes:
            source = half(True)[inside(cut)].astype(np.uint8)
            either = (cv2.resize(source, (w, h)) > 0) | small[y : y + h, x : x + w]
            np.testing.assert_array_equal(patched.patches[y : y + h, x : x + w], either)


@pytest.mark.parametrize("ellipses", [0, 5])
def test_without_an_object_there_is_no_patch(ellipses):
    nothing = np.zeros(ASTRONAUT.shape[:2], bool)
    everywhere = ~nothing
    for objects in ((nothing, everywhere), (everywhere, nothing), (nothing, nothing)):
        patched = compose(Ground(ASTRONAUT, COFFEE, objects), plan(ellipses=ellipses, patches=3), np.random.default_rng(0))
        assert patched.boxes == ()
        assert not patched.patches.any()
        np.testing.assert_array_equal(patched.image, ASTRONAUT)


def test_background_on_background_blends_along_without_counting():
    """Gradients come from the whole patch, the label from the object."""
    middle = np.zeros(ASTRONAUT.shape[:2], bool)
    middle[:, 90:130] = True
    ground = Ground(ASTRONAUT, COFFEE, (middle, middle))
    patched = compose(ground, plan(min_object=0.3, min_overlap=0.2, width=(0.2, 0.2)), np.random.default_rng(1))
    changed = (patched.image != ASTRONAUT).any(axis=2)
    assert (changed & ~patched.patches).any()


def test_a_foreground_holds_half_of_each_patch():
    room = np.zeros(ASTRONAUT.shape[:2], bool)
    room[50:150, 60:160] = True
    for seed in range(40):
        patched = compose(Ground(ASTRONAUT, COFFEE, None, room), plan(), np.random.default_rng(seed))
        for _, (x, y, w, h) in patched.boxes:
            assert room[y : y + h, x : x + w].mean() >= 0.5
        assert not ((patched.image != ASTRONAUT).any(axis=2) & ~room).any()
        assert not (patched.patches & ~room).any()


def test_ellipses_turn_and_do_not_skew():
    """One ellipse of semi-axes 20 and 5: its area, and its angle by second moments; the skewed form has another area."""
    for seed in range(30):
        state = np.random.default_rng(seed)
        angle = state.uniform(0, np.pi)
        mask = union_of_ellipses((161, 161), (42, 12), (20, 5), 1, np.random.default_rng(seed))
        y, x = np.nonzero(mask)
        if min(x.min(), y.min()) == 0 or max(x.max(), y.max()) == 160:
            continue
        assert mask.sum() == pytest.approx(np.pi * 20 * 5, rel=0.06)
        spread = np.cov(np.stack([y, x]))
        major = np.linalg.eigh(spread)[1][:, 1]
        assert abs(major @ [np.cos(angle), np.sin(angle)]) > 0.99
    skewed = [union_of_ellipses((161, 161), (42, 12), (20, 5), 1, np.random.default_rng(s), skewed=True).sum() for s in range(30)]
    assert max(skewed) > 2 * np.pi * 20 * 5


def test_ellipses_are_drawn_as_published():
    """The formula on a grid, point by point."""
    rng = np.random.default_rng(4)
    angle, y0, x0 = rng.uniform(0, np.pi), rng.integers(30), rng.integers(40)
    a, b = rng.integers(3, max(4, 20 // 2)), rng.integers(2, max(3, 16 // 2))
    expected = {}
    for sign in (1, -1):
        expected[sign] = np.array(
            [
                [
                    (((y - y0) * np.cos(angle) + (x - x0) * np.sin(angle)) / a) ** 2
                    + ((sign * (y - y0) * np.sin(angle) + (x - x0) * np.cos(angle)) / b) ** 2
                    <= 1
                    for x in range(40)
                ]
                for y in range(30)
            ]
        )
    for skewed, sign in ((True, 1), (False, -1)):
        found = union_of_ellipses((30, 40), (20, 16), (3, 2), 1, np.random.default_rng(4), skewed)
        assert (found != expected[sign]).sum() <= 2  # float32 on the outline


def test_more_ellipses_cover_more():
    areas = [
        np.mean([union_of_ellipses((60, 80), (30, 40), (4, 4), n, np.random.default_rng(s)).mean() for s in range(200)])
        for n in (1, 5)
    ]
    assert 2 * areas[0] < areas[1] < 5 * areas[0]


def test_an_asked_mask_takes_a_patch_of_its_own_size():
    asked = np.zeros(ASTRONAUT.shape[:2], bool)
    asked[40:90, 50:120] = True
    patched = compose_under(asked, Ground(ASTRONAUT, COFFEE), plan("swap"), np.random.default_rng(0))
    ((x, y, w, h), target) = patched.boxes[0]
    assert target == (49, 39, 72, 52)
    np.testing.assert_array_equal(patched.image[40:90, 50:120], COFFEE[y + 1 : y + h - 1, x + 1 : x + w - 1])
    np.testing.assert_array_equal(patched.patches, asked)


def test_the_box_around_holds_all_changes():
    for seed in range(20):
        patched = compose(Ground(ASTRONAUT, COFFEE), plan(patches=4), np.random.default_rng(seed))
        changes, label = changes_under(Ground(ASTRONAUT, COFFEE), patched, 1.0)
        x, y, w, h = patched.around
        whole = np.abs(ASTRONAUT.astype(int) - patched.image).sum(axis=2)
        assert whole.sum() == whole[y : y + h, x : x + w].sum() == changes.sum()
        assert label.shape == (h, w)
        places = np.zeros((h, w), bool)
        for left, top, width, height in patched.places():
            places[top : top + height, left : left + width] = True
        np.testing.assert_array_equal(places, patched.patches[y : y + h, x : x + w])
