from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.appearance.shuffling import shuffled_places


def shuffled(image, cells, order):
    every = np.arange(image.shape[0] * image.shape[1])
    return image.reshape(-1, 3)[shuffled_places(every, image.shape[:2], cells, order)].reshape(image.shape)


def by_cutting(image, cells, order):
    """Mirror until the grid divides, cut the cells out, put them back in another order, crop."""
    height, width = image.shape[:2]
    high, wide = -(-height // cells[0]), -(-width // cells[1])
    whole = np.pad(image, ((0, high * cells[0] - height), (0, wide * cells[1] - width), (0, 0)), mode="reflect")
    pieces = [whole[r * high : (r + 1) * high, c * wide : (c + 1) * wide] for r in range(cells[0]) for c in range(cells[1])]
    rows = [np.concatenate([pieces[k] for k in order[r * cells[1] : (r + 1) * cells[1]]], axis=1) for r in range(cells[0])]
    return np.concatenate(rows)[:height, :width]


@given(st.integers(32, 80), st.integers(32, 80), st.integers(1, 32), st.integers(1, 32), st.integers(0, 999))
def test_equals_cutting_and_pasting(height, width, down, across, seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    order = rng.permutation(down * across)
    np.testing.assert_array_equal(shuffled(image, (down, across), order), by_cutting(image, (down, across), order))


@pytest.mark.parametrize("cells", [(8, 8), (4, 8), (1, 2)])
def test_the_cells_are_the_same_ones(cells):
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    high, wide = 64 // cells[0], 96 // cells[1]

    def pieces(picture):
        grid = picture.reshape(cells[0], high, cells[1], wide, 3).swapaxes(1, 2).reshape(-1, high * wide * 3)
        return Counter(piece.tobytes() for piece in grid)

    changed = shuffled(image, cells, np.random.default_rng(1).permutation(cells[0] * cells[1]))
    assert pieces(changed) == pieces(image)


def test_the_order_says_where_each_cell_comes_from():
    image = np.repeat(np.arange(6, dtype=np.uint8).reshape(2, 3), 4, axis=0).repeat(5, axis=1)[..., None].repeat(3, axis=2)
    changed = shuffled(image, (2, 3), np.array([5, 0, 1, 4, 3, 2]))
    np.testing.assert_array_equal(changed[::4, ::5, 0], [[5, 0, 1], [4, 3, 2]])
