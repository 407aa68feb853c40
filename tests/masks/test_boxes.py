import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from flawsmith.masks.boxes import box_around, box_of, framed, in_core, inside, middle, random_box, random_pixel, share_in

SIDES = st.integers(1, 60)


@given(height=SIDES, width=SIDES, half=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_a_box_around_a_pixel_holds_it_and_stays_in_the_picture(height, width, half, seed):
    row, column = np.random.default_rng(seed).integers(0, (height, width)).tolist()
    x, y, w, h = box_around((row, column), half, (height, width, 3))
    assert 0 <= x <= column < x + w <= width
    assert 0 <= y <= row < y + h <= height
    assert x == column - half or x == 0
    assert y + h == row + half or y + h == height


def test_each_true_pixel_is_as_likely():
    room = np.zeros((5, 7), bool)
    room[[0, 2, 4, 4], [3, 0, 5, 6]] = True
    rng = np.random.default_rng(0)
    drawn = [random_pixel(room, rng) for _ in range(2000)]
    places, counts = np.unique(drawn, axis=0, return_counts=True)
    assert places.tolist() == [[0, 3], [2, 0], [4, 5], [4, 6]]
    assert chisquare(counts).pvalue > 0.001
    assert random_pixel(np.zeros((3, 3), bool), rng) is None


@pytest.mark.parametrize(
    ("side", "core", "expected"),
    [(256, 0.5, (64, 192)), (256, 0.8, (26, 230)), (100, 0.7, (15, 85)), (11, 0.01, (5, 6)), (2, 0.5, (0, 2)), (1, 0.5, (0, 1))],
)
def test_the_middle_of_an_axis(side, core, expected):
    assert middle(side, core) == expected


def test_the_core_of_a_mask_is_all_of_it_where_it_has_none():
    room = np.zeros((20, 20), bool)
    room[:, 4:7] = True
    kept = in_core(room, 0.5)
    assert kept.sum() == 10 * 2
    assert kept[5:15, 5:7].all()
    corner = np.zeros((20, 20), bool)
    corner[:3, :3] = True
    np.testing.assert_array_equal(in_core(corner, 0.5), corner)


@given(height=SIDES, width=SIDES, seed=st.integers(0, 2**32))
def test_a_framed_part_is_found_again(height, width, seed):
    rng = np.random.default_rng(seed)
    extent = int(rng.integers(1, width + 1)), int(rng.integers(1, height + 1))
    box = random_box(extent, (height, width), rng)
    mask = framed(None, box, (height, width, 3))
    assert box_of(mask) == box
    assert share_in(mask, box) == 1.0
    assert mask.sum() == extent[0] * extent[1]
    part = rng.random(mask[inside(box)].shape) < 0.5
    np.testing.assert_array_equal(framed(part, box, mask.shape)[inside(box)], part)
