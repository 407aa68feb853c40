import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.core.errors import BadParameter
from flawsmith.masks.cells import disjoint_sets, grid_of, mask_of_cells, share_of_cells

SIDES = st.integers(3, 80)


def blocks(mask, cell):
    """The cells of a mask, those at the border cut."""
    return [mask[y : y + cell, x : x + cell] for y in range(0, mask.shape[0], cell) for x in range(0, mask.shape[1], cell)]


@given(height=SIDES, width=SIDES, cell=st.integers(1, 16), sets=st.integers(2, 5), seed=st.integers(0, 2**32))
def test_sets_are_disjoint_cover_the_picture_and_are_of_equal_size(height, width, cell, sets, seed):
    rows, columns = grid_of((height, width), cell)
    if sets > rows * columns:
        return
    masks = disjoint_sets((height, width), (cell,), sets, np.random.default_rng(seed))
    assert len(masks) == sets
    assert {mask.shape for mask in masks} == {(height, width)}
    np.testing.assert_array_equal(np.sum(masks, axis=0), 1)
    counts = [sum(block.all() for block in blocks(mask, cell)) for mask in masks]
    assert all(block.all() or not block.any() for mask in masks for block in blocks(mask, cell))
    assert max(counts) - min(counts) <= 1
    assert sum(counts) == rows * columns


def test_each_cell_is_as_likely_in_each_set():
    rng = np.random.default_rng(0)
    shares = np.mean([disjoint_sets((12, 12), (4,), 3, rng)[0] for _ in range(3000)], axis=0)
    np.testing.assert_allclose(shares, 1 / 3, atol=4 * np.sqrt(2 / 9 / 3000))


def test_every_cell_size_is_drawn():
    rng = np.random.default_rng(1)
    drawn = set()
    for _ in range(60):
        mask = disjoint_sets((64, 64), (4, 8, 16), 3, rng)[0]
        drawn.add(max(cell for cell in (4, 8, 16) if all(block.all() or not block.any() for block in blocks(mask, cell))))
    assert drawn == {4, 8, 16}


@pytest.mark.parametrize(
    ("cells", "sets", "exact", "told"),
    [
        ((), 3, False, "cells is empty"),
        ((8,), 1, False, "sets is 1; expected at least 2 and at most 20"),
        ((16,), 7, False, "sets is 7; expected at least 2 and at most 6"),
        ((8, 8), 3, True, "cells of 8 pixels do not divide a picture of 40×30"),
        ((0,), 3, False, "cell is 0"),
    ],
)
def test_refuses(cells, sets, exact, told):
    with pytest.raises(BadParameter, match=told):
        disjoint_sets((30, 40), cells, sets, np.random.default_rng(0), exact)


def test_exact_takes_what_the_cells_divide():
    assert grid_of((32, 48), 16, exact=True) == (2, 3)
    assert grid_of((33, 48), 16) == (3, 3)


@given(height=SIDES, width=SIDES, cell=st.integers(1, 20), seed=st.integers(0, 2**32))
def test_shares_are_means_over_the_part_of_the_cell_on_the_picture(height, width, cell, seed):
    room = np.random.default_rng(seed).random((height, width)) < 0.5
    expected = [block.mean() for block in blocks(room, cell)]
    np.testing.assert_allclose(share_of_cells(room, cell).ravel(), expected)


def test_cells_become_pixels():
    chosen = np.array([[True, False], [False, True]])
    expected = [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    np.testing.assert_array_equal(mask_of_cells(chosen, 2, (3, 3)), np.array(expected, bool))
