import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from flawsmith.masks.patches import square_patch


@given(
    seed=st.integers(0, 2**32),
    height=st.integers(32, 400),
    width=st.integers(32, 400),
    margin=st.integers(0, 3),
    half=st.tuples(st.floats(0.01, 0.5), st.floats(0.01, 0.5)).map(sorted),
    core=st.floats(0.1, 1.0),
)
def test_a_patch_lies_inside_the_margin_and_is_never_empty(seed, height, width, margin, half, core):
    x, y, w, h = square_patch((height, width, 3), np.random.default_rng(seed), half, core, margin)
    assert margin <= x < x + w <= width - margin
    assert margin <= y < y + h <= height - margin
    assert max(w, h) <= 2 * max(1, round(half[1] * min(height, width)))


def test_sides_and_centres_are_uniform_where_the_border_does_not_cut():
    rng = np.random.default_rng(3)
    boxes = np.array([square_patch((256, 256), rng, core=0.6) for _ in range(6000)])
    x, y, w, h = boxes.T
    assert (w == h).all()
    half, counts = np.unique(w // 2, return_counts=True)
    assert half.tolist() == list(range(13, 51))  # round(0.05 · 256) … round(0.2 · 256) - 1
    assert chisquare(counts).pvalue > 0.001
    for centre in (x + w // 2, y + h // 2):
        assert centre.min() == 52  # the first whole pixel of the middle 60 %
        assert centre.max() == 204
        assert chisquare(np.histogram(centre, 17, (52, 205))[0]).pvalue > 0.001


def test_a_centre_in_the_margin_moves_out_of_it():
    rng = np.random.default_rng(6)
    boxes = [square_patch((32, 32), rng, (0.01, 0.05), core=1.0, margin=3) for _ in range(2000)]
    assert min(min(w, h) for _, _, w, h in boxes) >= 1
    assert min(x for x, _, _, _ in boxes) == 3
    assert max(y + h for _, y, _, h in boxes) == 29


def test_the_centre_lies_on_an_object_in_the_core_if_it_can():
    rng, room = np.random.default_rng(7), np.zeros((100, 100), bool)
    room[40, 30] = room[2, 2] = True
    assert {(x + w // 2, y + h // 2) for x, y, w, h in (square_patch((100, 100), rng, foreground=room) for _ in range(50))} == {
        (30, 40)
    }
    room[40, 30] = False
    assert all(x == y == 0 for x, y, _, _ in (square_patch((100, 100), rng, foreground=room) for _ in range(50)))


def test_the_border_cuts_patches_whose_centre_is_near_it():
    rng = np.random.default_rng(4)
    boxes = [square_patch((256, 256), rng) for _ in range(2000)]
    assert any(w != h for _, _, w, h in boxes)
    assert min(w for _, _, w, _ in boxes) >= 26


def test_the_smaller_side_sets_the_scale():
    rng = np.random.default_rng(5)
    sides = [max(square_patch((100, 700), rng)[2:]) for _ in range(2000)]
    assert max(sides) == 2 * (20 - 1)
    assert min(sides) == pytest.approx(10, abs=1)
