"""The solver against a dense one, against OpenCV, and against PII's own equations written pixel by pixel."""

import cv2
import numpy as np
import pytest
import scipy.sparse as sp
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import splu

from flawsmith.appearance.poisson import blend, blended_values, interpolate, interpolated_values, rounded, solve, solved_box
from flawsmith.core.errors import BadParameter
from flawsmith.masks.boxes import inside

MOST_APART = 1e-3
"""Grey levels."""


def noise(height, width, seed):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def dense_correction(divergence):
    """The same rectangle system by sparse LU."""
    h, w = divergence.shape[:2]
    second = [sp.diags([np.ones(n - 1), -2 * np.ones(n), np.ones(n - 1)], [-1, 0, 1]) for n in (h, w)]
    laplacian = sp.kron(second[0], sp.eye(w)) + sp.kron(sp.eye(h), second[1])
    return splu(laplacian.tocsc()).solve(divergence.reshape(h * w, -1).astype(float)).reshape(h, w, -1)


def forward(picture):
    right, down = np.zeros_like(picture), np.zeros_like(picture)
    right[:, :-1], down[:-1] = picture[:, 1:] - picture[:, :-1], picture[1:] - picture[:-1]
    return right, down


def dense_blend(image, patch, box, mask, area, guidance, erode):
    """Section by section what the method says, on the whole frame, in float64."""
    image, source = image.astype(float), image.astype(float)
    source[inside(box)] = patch
    chosen = np.zeros(image.shape[:2], np.uint8)
    chosen[inside(box)] = mask
    for _ in range(erode):
        chosen = cv2.erode(chosen, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    chosen[box[1] + box[3] - 1], chosen[:, box[0] + box[2] - 1] = 0, 0
    (sx, sy), (dx, dy) = forward(source), forward(image)
    weight = chosen[..., None].astype(bool)
    if guidance == "mixed":
        wx = wy = weight & (abs(sx - sy) > abs(dx - dy))
    elif guidance == "classic":
        wx, wy = weight & (abs(sx) > abs(dx)), weight & (abs(sy) > abs(dy))
    else:
        wx = wy = weight
    fx, fy = (sx - dx) * wx, (sy - dy) * wy
    x, y, w, h = area
    divergence = fx[y : y + h, x : x + w] - fx[y : y + h, x - 1 : x + w - 1]
    divergence += fy[y : y + h, x : x + w] - fy[y - 1 : y + h - 1, x : x + w]
    return image[inside(area)] + dense_correction(divergence)


def random_place(rng, shape):
    """A box anywhere, the borders among them, and a mask of blobs in it that may touch its sides."""
    h, w = (int(rng.integers(5, side + 1)) for side in shape)
    y, x = (
        int(rng.choice([0, side - extent, rng.integers(side - extent + 1)])) for side, extent in zip(shape, (h, w), strict=True)
    )
    field = cv2.GaussianBlur(rng.standard_normal((h, w)), (0, 0), float(rng.uniform(0.5, 6)))
    return (x, y, w, h), field > np.quantile(field, rng.uniform(0, 0.8))


@pytest.mark.parametrize("guidance", ["normal", "mixed", "classic"])
@pytest.mark.parametrize("erode", [0, 3])
def test_equals_a_dense_solve_on_random_masks_borders_included(guidance, erode):
    worst, touching, solved = 0.0, 0, 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        image = noise(60, 71, seed)
        box, mask = random_place(rng, (60, 71))
        patch = noise(box[3], box[2], seed + 1000)
        values, area = blended_values(image, patch, box, mask, guidance=guidance, erode=erode, confine=False)
        touching += box[0] == 0 or box[1] == 0 or box[0] + box[2] == 71 or box[1] + box[3] == 60
        if values.size:
            solved += 1
            worst = max(worst, abs(values - dense_blend(image, patch, box, mask, area, guidance, erode)).max())
    assert worst <= MOST_APART
    assert touching > 20
    assert solved > 40


@pytest.mark.parametrize(("height", "width", "box"), [(260, 230, (3, 2, 220, 251)), (260, 300, (0, 0, 222, 30))])
def test_long_sides_equal_a_dense_solve(height, width, box):
    """Beyond the sine matrix: FFT, grown to a liked length, shifted at the borders."""
    image, patch = noise(height, width, 0), noise(box[3], box[2], 1)
    mask = np.ones((box[3], box[2]), bool)
    values, area = blended_values(image, patch, box, mask, confine=False)
    assert max(area[2:]) > 200
    assert min(area[:2]) >= 1
    assert area[0] + area[2] <= width - 1
    assert area[1] + area[3] <= height - 1
    np.testing.assert_allclose(values, dense_blend(image, patch, box, mask, area, "normal", 0), atol=MOST_APART)


@pytest.mark.parametrize(("length", "side", "expected"), [(200, 256, 200), (222, 300, 224), (222, 225, 222), (239, 300, 239)])
def test_long_sides_grow_to_a_liked_length_where_there_is_room(length, side, expected):
    _, _, width, _ = solved_box(np.ones((20, length), bool), (1, 5, length, 20), (40, side))
    assert width == expected


@pytest.mark.parametrize("shape", [(1, 1), (7, 30), (199, 3), (203, 11), (250, 20), (601, 2)])
def test_solves_what_it_says(shape):
    divergence = np.random.default_rng(0).standard_normal((2, *shape)) * 100
    field = np.pad(solve(divergence), ((0, 0), (1, 1), (1, 1)))
    inner = field[:, 1:-1, 1:-1]
    laplacian = field[:, 2:, 1:-1] + field[:, :-2, 1:-1] + field[:, 1:-1, 2:] + field[:, 1:-1, :-2] - 4 * inner
    np.testing.assert_allclose(laplacian, divergence, atol=1e-9)


def disc(side):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    return y**2 + x**2 <= ((side - 1) / 2 - 1) ** 2


@pytest.mark.parametrize("flag", ["normal", "mixed"])
@pytest.mark.parametrize("form", ["rectangle", "disc"])
@pytest.mark.parametrize("side", [25, 40, 41, 64, 103])
def test_equals_seamless_clone_but_for_its_truncation(side, form, flag):
    """`erode=3`, with OpenCV's centre put where its rounded bounding box asks for; full and partial strength."""
    image = np.ascontiguousarray(skimage.data.astronaut()[:200, :200])
    patch = np.ascontiguousarray(skimage.data.coffee()[130 : 130 + side, 140 : 140 + side])
    mask = disc(side) if form == "disc" else np.ones((side, side), bool)
    mask[0], mask[-1], mask[:, 0], mask[:, -1] = False, False, False, False
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    centre = (50 + x + w // 2, 40 + y + h // 2)
    clone = {"normal": cv2.NORMAL_CLONE, "mixed": cv2.MIXED_CLONE}[flag]
    for level in (255, 100):
        theirs = cv2.seamlessClone(patch, image, mask.astype(np.uint8) * np.uint8(level), centre, clone).astype(int)
        strength = level / 255
        ours = blend(image, patch, (50, 40, side, side), mask, guidance=flag, strength=strength, erode=3, confine=False)
        apart = np.abs(ours.astype(int) - theirs)
        assert apart[40 : 40 + side, 50 : 50 + side].mean() < 1
        assert apart.max() <= 1  # they cut the fraction off, we round


def test_confined_to_the_mask():
    image, patch, mask = noise(80, 90, 0) // 8 + 100, noise(40, 50, 1) // 8 + 60, np.zeros((40, 50), bool)
    mask[5:35, 8:45] = disc(40)[2:32, :37]
    full = np.zeros((80, 90), bool)
    full[20:60, 30:80] = mask
    free, confined = (blend(image, patch, (30, 20, 50, 40), mask, confine=c) for c in (False, True))
    assert (free != image).any(axis=2)[~full].any()
    np.testing.assert_array_equal(confined[~full], image[~full])
    core = cv2.erode(full.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    np.testing.assert_array_equal(confined[core], free[core])
    x, y, w, h = cv2.boundingRect(full.astype(np.uint8))
    gaps = np.zeros((80, 90), np.uint8)  # what is solved for and lies outside the mask
    gaps[y : y + h, x : x + w] = ~full[y : y + h, x : x + w]
    outline = full & (cv2.dilate(gaps, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) > 0)
    assert outline.sum() > 40
    assert np.abs(confined - (free.astype(float) + image) / 2)[outline].max() <= 1


def test_a_rectangle_needs_no_confining():
    image, patch = noise(80, 90, 0), noise(40, 50, 1)
    free, confined = (blend(image, patch, (30, 20, 50, 40), np.ones((40, 50), bool), confine=c) for c in (False, True))
    np.testing.assert_array_equal(free, confined)
    np.testing.assert_array_equal(np.delete(free, np.s_[20:60], axis=0), np.delete(image, np.s_[20:60], axis=0))


@given(st.integers(0, 2**32), st.integers(-40, 40))
@settings(max_examples=25, deadline=None)
def test_a_constant_offset_changes_nothing(seed, offset):
    rng = np.random.default_rng(seed)
    image = rng.integers(40, 216, (48, 52, 3), dtype=np.uint8)
    box, mask = random_place(rng, (48, 52))
    shifted = (image.astype(int) + offset).astype(np.uint8)
    np.testing.assert_array_equal(blend(image, shifted[inside(box)], box, mask), image)


def test_nothing_left_of_the_mask_changes_nothing():
    image, patch = noise(40, 40, 0), noise(4, 4, 1)
    for mask, erode in ((np.zeros((4, 4), bool), 0), (np.ones((4, 4), bool), 3)):
        np.testing.assert_array_equal(blend(image, patch, (7, 9, 4, 4), mask, erode=erode), image)


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_grey_stays_grey(seed):
    rng = np.random.default_rng(seed)
    image, other = (np.repeat(rng.integers(0, 256, (40, 44, 1), dtype=np.uint8), 3, axis=2) for _ in range(2))
    box, mask = random_place(rng, (40, 44))
    for made in (blend(image, other[inside(box)], box, mask, guidance="mixed"), interpolate(image, other, box, 0.4, mask)):
        assert (made == made[..., :1]).all()


@pytest.mark.parametrize(
    ("box", "patch", "mask"), [((-1, 0, 8, 8), 8, 8), ((5, 5, 40, 8), 8, 8), ((5, 5, 8, 8), 7, 8), ((5, 5, 8, 8), 8, 9)]
)
def test_refuses_what_does_not_fit(box, patch, mask):
    with pytest.raises(BadParameter, match="expected"):
        blend(noise(40, 40, 0), noise(patch, patch, 1), box, np.ones((mask, mask), bool))


def test_halves_are_rounded_upward_even_when_a_little_below():
    np.testing.assert_array_equal(
        rounded(np.array([[[0.5, 1.5 - 1e-9, 2.49999]], [[-3.0, 254.5, 300.0]]])), [[[1, 2, 2]], [[0, 255, 255]]]
    )


# --- PII


def paper_interpolation(image, other, box, weight):
    """Σ_q (u_p - u_q) = Σ_q v_pq over the four neighbours of each pixel of the box, one by one, in float64."""
    x0, y0, w, h = box
    number = {(y, x): k for k, (y, x) in enumerate((y, x) for y in range(y0, y0 + h) for x in range(x0, x0 + w))}
    matrix, right = sp.lil_matrix((h * w, h * w)), np.zeros((h * w, 3))
    first, second = image.astype(float), other.astype(float)
    for (y, x), k in number.items():
        matrix[k, k] = 4
        for q in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            own, foreign = (1 - weight) * (first[y, x] - first[q]), weight * (second[y, x] - second[q])
            right[k] += np.where(abs(own) > abs(foreign), own, foreign)
            if q in number:
                matrix[k, number[q]] = -1
            else:
                right[k] += first[q]
    return splu(matrix.tocsc()).solve(right).reshape(h, w, 3)


@pytest.mark.parametrize(("box", "weight"), [((3, 4, 12, 10), 0.3), ((1, 1, 9, 13), 0.07), ((20, 14, 11, 9), 0.9)])
def test_interpolation_is_that_of_the_paper(box, weight):
    image, other = noise(24, 32, 0), noise(24, 32, 1)
    values, area = interpolated_values(image, other, box, weight)
    assert area == box
    np.testing.assert_allclose(values, paper_interpolation(image, other, box, weight), atol=MOST_APART)


def test_interpolation_leaves_a_small_residual():
    """The system of the paper, in levels, at the largest patch of 256 pixels."""
    image, other, box, weight = noise(256, 256, 0), noise(256, 256, 1), (60, 70, 100, 100), 0.6137
    values, area = interpolated_values(image, other, box, weight)
    field, first, second = (np.array(picture, float) for picture in (image, image, other))
    field[inside(area)] = values
    residual = np.zeros((100, 100, 3))
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        moved = np.s_[70 + dy : 170 + dy, 60 + dx : 160 + dx]
        here = inside(box)
        own, foreign = (1 - weight) * (first[here] - first[moved]), weight * (second[here] - second[moved])
        residual += field[here] - field[moved] - np.where(abs(own) > abs(foreign), own, foreign)
    assert abs(residual).max() < 1e-2


def test_interpolation_keeps_the_image_s_range_and_its_outermost_pixels():
    image = noise(64, 64, 0) // 4 + np.array([10, 60, 120], np.uint8)
    made = interpolate(image, noise(64, 64, 1), (0, 0, 64, 64), 0.9)
    np.testing.assert_array_equal(made.min(axis=(0, 1)), image.min(axis=(0, 1)))
    np.testing.assert_array_equal(made.max(axis=(0, 1)), image.max(axis=(0, 1)))
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        np.testing.assert_array_equal(made[edge], image[edge])


def test_interpolation_under_a_mask_stays_in_it():
    image, other, mask = noise(64, 64, 0), noise(64, 64, 1), disc(40)
    made = interpolate(image, other, (10, 12, 40, 40), 0.7, mask)
    full = np.zeros((64, 64), bool)
    full[12:52, 10:50] = mask
    assert (made != image).any(axis=2)[full].mean() > 0.9
    np.testing.assert_array_equal(made[~full], image[~full])
    whole = interpolate(image, other, (10, 12, 40, 40), 0.7, np.ones((40, 40), bool))
    np.testing.assert_array_equal(whole, interpolate(image, other, (10, 12, 40, 40), 0.7))
